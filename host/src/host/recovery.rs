//! Going on after a full disk, or one that could not be written, without a new start.
//!
//! After a refused write the store writes nothing more. Here is waited until something can be written again;
//! then the store is opened anew and another engine goes on at the commits that had reached the disk.

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::HostError;
use super::running::Running;
use crate::backoff::Backoff;
use crate::store::Refusals;

/// Nobody tells when there is room again: it is tried, seldomer and seldomer.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The thread that waits. It ends before this is dropped.
pub(super) struct Recovery {
    refusals: Arc<Refusals>,
    thread: Option<JoinHandle<()>>,
}

impl Recovery {
    pub(super) fn begin(
        running: &Arc<Running>,
        refusals: Arc<Refusals>,
    ) -> Result<Self, HostError> {
        let (running, watched) = (Arc::downgrade(running), Arc::clone(&refusals));
        let thread = std::thread::Builder::new()
            .name("recovery".to_owned())
            .spawn(move || run(&watched, &running))
            .map_err(|source| HostError::Io { what: "cannot start a thread".into(), source })?;
        Ok(Self { refusals, thread: Some(thread) })
    }
}

impl Drop for Recovery {
    fn drop(&mut self) {
        self.refusals.end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(refusals: &Refusals, running: &Weak<Running>) {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let mut went_on: Option<Instant> = None;
    while let Some(refusal) = refusals.wait() {
        tracing::error!("nothing is committed until the disk can be written: {}", refusal.reason);
        metrics::counter!("statmill_store_refusals_total").increment(1);
        // A disk that fails again and again is not to be tried faster and faster.
        if went_on.is_none_or(|since| since.elapsed() > LONGEST_PAUSE * 10) {
            backoff.reset();
        }
        let mut said = String::new();
        loop {
            if refusals.is_over_within(backoff.pause()) {
                return;
            }
            let Some(running) = running.upgrade() else { return };
            match running.recover() {
                Ok(()) => break,
                Err(error) => {
                    let error = error.to_string();
                    if error != said {
                        tracing::warn!("not yet: {error}");
                        said = error;
                    }
                }
            }
        }
        tracing::info!("the store is open again: counting goes on at the last commits");
        went_on = Some(Instant::now());
    }
}
