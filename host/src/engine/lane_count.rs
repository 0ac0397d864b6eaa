//! How many lanes run: a log is read to its end when none does.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// Number of lanes that run.
#[derive(Default)]
pub(super) struct LaneCount {
    running: Mutex<usize>,
    changed: Condvar,
}

/// Counts one lane as running until it is dropped.
pub(super) struct RunningLane(Arc<LaneCount>);

impl LaneCount {
    pub(super) fn enter(self: &Arc<Self>) -> RunningLane {
        *self.running.lock() += 1;
        RunningLane(Arc::clone(self))
    }

    pub(super) fn none(&self) -> bool {
        *self.running.lock() == 0
    }

    pub(super) fn wait_none(&self) {
        let mut running = self.running.lock();
        while *running > 0 {
            self.changed.wait(&mut running);
        }
    }
}

impl Drop for RunningLane {
    fn drop(&mut self) {
        *self.0.running.lock() -= 1;
        self.0.changed.notify_all();
    }
}
