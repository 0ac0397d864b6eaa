//! The calls that a worker's thread makes into plugins, where others can see them.
//!
//! A thread that hangs in a plugin cannot be ended: it is given up. From then on it is nobody's: every
//! call it would still make fails, and it ends as soon as the plugin returns, having touched neither its
//! queue nor a commit. Nothing is locked while a plugin runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::Sender;
use parking_lot::{Condvar, Mutex};
use rustix::thread::{Pid, gettid};
use statmill_plugin_api::abi::FoldReport;
use statmill_plugin_api::manifest::FieldKind;

use super::stat::StatShared;
use crate::instance::{Blocks, Failure, Instance};
use crate::project::{Batch, Generation};

/// What one thread is doing.
#[derive(Default)]
pub(super) struct Calls {
    now: Mutex<Now>,
    changed: Condvar,
}

#[derive(Default)]
struct Now {
    thread: Option<Pid>,
    made: u64,
    call: Option<Call>,
    given_up: bool,
    ended: bool,
    /// Who waits until a checkpoint is through.
    asker: Option<Sender<()>>,
}

/// A call that has not returned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// Which of the thread's calls it is.
    pub(super) number: u64,
    /// Index of the stat.
    pub(super) stat: usize,
    pub(super) what: What,
    /// The thread, for the system.
    pub(super) thread: Option<Pid>,
}

/// What a plugin is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Create,
    Restore,
    Fold,
    Drain,
    Drop,
}

/// The thread was given up: it must touch nothing any more.
#[derive(Debug)]
pub(super) struct GivenUp;

/// How a thread came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Ended,
    GivenUp,
}

impl Calls {
    /// Notes which thread it is that calls. To be called by it before all else; what is answered is kept
    /// as long as it runs, and `stuck` counts it while it is given up.
    pub(super) fn enter(self: &Arc<Self>, stuck: Arc<AtomicU64>) -> Running {
        self.now.lock().thread = Some(gettid());
        Running { calls: Arc::clone(self), stuck }
    }

    /// The call that the thread is in.
    pub(super) fn current(&self) -> Option<Call> {
        self.now.lock().call
    }

    /// Whether the thread has ended.
    pub(super) fn have_ended(&self) -> bool {
        self.now.lock().ended
    }

    /// An error once the thread was given up.
    pub(super) fn check(&self) -> Result<(), GivenUp> {
        if self.now.lock().given_up { Err(GivenUp) } else { Ok(()) }
    }

    /// Keeps who asked for a checkpoint until it is through or the thread is given up.
    pub(super) fn asked_by(&self, asker: Sender<()>) {
        self.now.lock().asker = Some(asker);
    }

    /// Answers who asked for a checkpoint.
    pub(super) fn answer(&self) {
        if let Some(asker) = self.now.lock().asker.take() {
            // The asker may have given up waiting: that is its business.
            let _ = asker.send(());
        }
    }

    /// Gives the thread up if it still is in its call `number`, and then counts it as stuck.
    pub(super) fn give_up(&self, number: u64, stuck: &AtomicU64) -> bool {
        let mut now = self.now.lock();
        let is_in = now.call.is_some_and(|call| call.number == number);
        if is_in && !now.ended {
            now.given_up = true;
            now.asker = None;
            stuck.fetch_add(1, Ordering::SeqCst);
            self.changed.notify_all();
        }
        is_in && !now.ended
    }

    /// Waits until the thread has ended or was given up.
    pub(super) fn wait_over(&self) -> Over {
        let mut now = self.now.lock();
        self.changed.wait_while(&mut now, |now| !now.ended && !now.given_up);
        if now.given_up { Over::GivenUp } else { Over::Ended }
    }

    fn make<T>(
        &self,
        stat: &StatShared,
        what: What,
        call: impl FnOnce() -> T,
    ) -> Result<T, GivenUp> {
        {
            let mut now = self.now.lock();
            if now.given_up {
                return Err(GivenUp);
            }
            now.made += 1;
            let (number, thread) = (now.made, now.thread);
            now.call = Some(Call { number, stat: stat.index, what, thread });
        }
        let answer = call();
        let mut now = self.now.lock();
        now.call = None;
        if now.given_up { Err(GivenUp) } else { Ok(answer) }
    }
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Restore => "restore",
            Self::Fold => "fold",
            Self::Drain => "drain",
            Self::Drop => "drop",
        })
    }
}

/// Kept by a thread as long as it runs.
pub(super) struct Running {
    calls: Arc<Calls>,
    stuck: Arc<AtomicU64>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut now = self.calls.now.lock();
        now.ended = true;
        if now.given_up {
            self.stuck.fetch_sub(1, Ordering::SeqCst);
        }
        now.asker = None;
        self.calls.changed.notify_all();
    }
}

/// An instance each call of which can be seen, its end included.
pub(super) struct Watched {
    /// None once it is dropped.
    instance: Option<Instance>,
    stat: Arc<StatShared>,
    calls: Arc<Calls>,
}

impl Watched {
    /// See [`Instance::create`].
    pub(super) fn create(stat: &Arc<StatShared>, calls: &Arc<Calls>) -> Result<Self, Failure> {
        let create = || Instance::create(&stat.plugin(), &stat.ident, &stat.config);
        let instance = Some(calls.make(stat, What::Create, create)??);
        Ok(Self { instance, stat: Arc::clone(stat), calls: Arc::clone(calls) })
    }

    /// What sees its calls.
    pub(super) fn calls(&self) -> &Arc<Calls> {
        &self.calls
    }

    /// See [`Instance::restore`].
    pub(super) fn restore(&mut self, model: usize, block: &[u8]) -> Result<(), Failure> {
        self.call(What::Restore, |instance| instance.restore(model, block))
    }

    /// See [`Instance::fold`]; an error also if it then holds more than is allowed.
    pub(super) fn fold(
        &mut self,
        batch: &Batch,
        columns: &[usize],
        rows: &[u32],
    ) -> Result<FoldReport, Failure> {
        let held = self.call(What::Fold, |instance| instance.fold(batch, columns, rows))?;
        let checked = self.stat.limits.check_checkpoint(held.rows, held.bytes);
        checked.map_err(|found| Failure::Said(format!("it holds {found}")))?;
        Ok(held)
    }

    /// See [`Instance::drain`].
    pub(super) fn drain(
        &mut self,
        generation: &Generation,
        fields: &[(usize, FieldKind)],
        models: usize,
    ) -> Result<Blocks, Failure> {
        self.call(What::Drain, |instance| instance.drain(generation, fields, models))
    }

    fn call<T>(
        &mut self,
        what: What,
        call: impl FnOnce(&mut Instance) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let instance = self.instance.as_mut().ok_or(Failure::GivenUp)?;
        self.calls.make(&self.stat, what, || call(instance))?
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let instance = self.instance.take();
        // Also of a thread that was given up: what the plugin holds is its own to free.
        let _ = self.calls.make(&self.stat, What::Drop, || drop(instance));
    }
}

impl From<GivenUp> for Failure {
    fn from(_: GivenUp) -> Self {
        Self::GivenUp
    }
}
