//! Computed views: a stat's code outside of its fold, on threads and instances of their own.
//!
//! Each computation gets a thread, of which there are few at once. One that does not answer in time is
//! left alone, for a thread cannot be ended: it is counted, never joined, and as long as it runs no
//! view of its stat is computed, so that there are never more such threads than that. No worker, no
//! lock of the host and no instance that folds is ever touched.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, bounded};
use parking_lot::{Condvar, Mutex};

use super::Shared;
use super::stat::StatShared;
use crate::instance::{Computer, Failure};
use crate::query::{Compute, ComputeError, GivenUp};

/// Computations at once.
const THREADS: usize = 2;
/// Requests that may wait for one of them.
const WAITING: usize = 2;

/// The views of all stats that run.
pub(crate) struct Views {
    stats: HashMap<String, Arc<Source>>,
    slots: Slots,
    given_up: AtomicU64,
}

/// Where instances of a stat's views come from.
struct Source {
    stat: Arc<StatShared>,
    /// Instances that answered the last time they were asked.
    idle: Mutex<Vec<Computer>>,
    /// Computations that were given up and still run.
    stuck: AtomicU64,
}

impl Views {
    /// The views of the stats of `shared`.
    pub(crate) fn new(shared: &Shared) -> Self {
        let sources = shared.stats.iter().map(|stat| {
            let source =
                Source { stat: Arc::clone(stat), idle: Mutex::default(), stuck: AtomicU64::new(0) };
            (stat.ident.clone(), Arc::new(source))
        });
        Self { stats: sources.collect(), slots: Slots::default(), given_up: AtomicU64::new(0) }
    }
}

impl Compute for Views {
    fn compute(
        &self,
        ident: &str,
        view: &str,
        rows: String,
        max_time: Duration,
    ) -> Result<String, ComputeError> {
        let detached = || ComputeError::Detached { ident: ident.to_owned() };
        let source = self.stats.get(ident).ok_or_else(detached)?;
        let _slot = self.slots.take(max_time).ok_or(ComputeError::Busy)?;
        if source.stuck.load(Ordering::SeqCst) > 0 {
            return Err(ComputeError::Stuck { ident: ident.to_owned() });
        }
        let failed = |reason: String| ComputeError::Failed {
            ident: ident.to_owned(),
            view: view.to_owned(),
            reason,
        };
        let settled = Arc::new(AtomicBool::new(false));
        let (answer, answered) = bounded(1);
        let job = {
            let (source, settled, view) =
                (Arc::clone(source), Arc::clone(&settled), view.to_owned());
            move || {
                let outcome =
                    source.compute(&view, &rows, max_time).map_err(|failure| failure.to_string());
                // Whoever settles it second knows that the other one was first.
                if settled.swap(true, Ordering::SeqCst) {
                    source.stuck.fetch_sub(1, Ordering::SeqCst);
                    tracing::info!(
                        stat = source.stat.ident,
                        view,
                        "a view that was given up has ended"
                    );
                } else {
                    // The asker waits for what is settled in time.
                    let _ = answer.send(outcome);
                }
            }
        };
        let thread = std::thread::Builder::new().name("view".to_owned()).spawn(job);
        thread.map_err(|error| failed(format!("no thread can be started for it: {error}")))?;
        let gone = |_| failed("its thread ended without an answer".to_owned());
        match answered.recv_timeout(max_time) {
            Ok(outcome) => outcome.map_err(failed),
            Err(RecvTimeoutError::Disconnected) => Err(gone(())),
            Err(RecvTimeoutError::Timeout) => {
                // Before it is settled: the other side takes it off again right after.
                source.stuck.fetch_add(1, Ordering::SeqCst);
                if settled.swap(true, Ordering::SeqCst) {
                    source.stuck.fetch_sub(1, Ordering::SeqCst);
                    return answered.recv().map_err(|_| gone(()))?.map_err(failed);
                }
                self.given_up.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(stat = ident, view, "a view was given up after {max_time:?}");
                let (ident, view) = (ident.to_owned(), view.to_owned());
                Err(ComputeError::TooSlow { ident, view, max_time })
            }
        }
    }

    fn given_up(&self) -> GivenUp {
        let stuck = self.stats.values().map(|source| source.stuck.load(Ordering::SeqCst));
        GivenUp { given_up: self.given_up.load(Ordering::Relaxed), stuck: stuck.sum() }
    }
}

impl Source {
    /// Computes in an idle instance or a new one, which survives only a success.
    fn compute(&self, view: &str, rows: &str, within: Duration) -> Result<String, Failure> {
        let idle = self.idle.lock().pop();
        let begin = || {
            let StatShared { ident, config, .. } = &*self.stat;
            Computer::create(&self.stat.plugin(), ident, config)
        };
        let mut instance = idle.map_or_else(begin, Ok)?;
        let mut text = instance.compute(view, rows, within);
        if text.as_ref().is_err_and(Failure::is_foreign) {
            // Somebody ended its process, perhaps while it was idle.
            instance = begin()?;
            text = instance.compute(view, rows, within);
        }
        let text = text?;
        let mut idle = self.idle.lock();
        if idle.len() < THREADS {
            idle.push(instance);
        }
        Ok(text)
    }
}

/// Bounds computations, and who waits for one.
#[derive(Default)]
struct Slots {
    /// Computing, waiting.
    taken: Mutex<(usize, usize)>,
    freed: Condvar,
}

struct Slot<'a>(&'a Slots);

impl Slots {
    /// Waits for a slot; `None` if too many wait already, or for too long.
    fn take(&self, max_time: Duration) -> Option<Slot<'_>> {
        let mut taken = self.taken.lock();
        if taken.0 >= THREADS {
            if taken.1 >= WAITING {
                return None;
            }
            let deadline = Instant::now().checked_add(max_time);
            taken.1 += 1;
            while taken.0 >= THREADS {
                let Some(deadline) = deadline else {
                    self.freed.wait(&mut taken);
                    continue;
                };
                if self.freed.wait_until(&mut taken, deadline).timed_out() {
                    break;
                }
            }
            taken.1 -= 1;
        }
        (taken.0 < THREADS).then(|| {
            taken.0 += 1;
            Slot(self)
        })
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.taken.lock().0 -= 1;
        self.0.freed.notify_one();
    }
}
