//! The workers: their queues, and the threads that serve them.
//!
//! A queue outlives the thread that serves it: when that is given up, another one takes over what lies in
//! it. The first workers are shared by all stats; the others stand ready for a stat that is so slow that
//! it holds up those beside it, one for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::Mutex;

use super::calls::{Call, Calls, Over};
use super::queue::Commits;
use super::worker::{self, Desk, Work};
use super::{EngineError, spawn};
use crate::query::GivenUp;

/// Batches a worker may lie behind before its lanes wait.
const QUEUED_BATCHES: usize = 8;

/// Most stats that may have a worker of their own.
const MOST_OWN: usize = 16;

/// All workers.
pub(super) struct Workers {
    workers: Vec<Worker>,
    shared: usize,
    commits: Commits,
    period: Duration,
    stopping: Arc<AtomicBool>,
    /// Threads that were given up, and those of them that still run.
    given_up: AtomicU64,
    stuck: Arc<AtomicU64>,
}

struct Worker {
    work: Receiver<Work>,
    waiting: Arc<AtomicUsize>,
    /// It has, or should have, a thread.
    started: AtomicBool,
    serving: Mutex<Option<Serving>>,
}

/// The thread that serves a queue.
struct Serving {
    calls: Arc<Calls>,
    thread: JoinHandle<()>,
}

/// The way to a worker. Its thread ends with the last of these.
pub(super) struct Queue {
    work: Sender<Work>,
    waiting: Arc<AtomicUsize>,
    /// It serves one stat, which reads by itself while it is behind.
    pub(super) own: bool,
}

/// There was no room in time.
pub(super) struct TooFull;

/// `shared` workers and those that stand ready for one of `stats` stats, none of them started; and the
/// ways to them.
pub(super) fn workers(
    shared: usize,
    stats: usize,
    commits: Commits,
    period: Duration,
    stopping: Arc<AtomicBool>,
) -> (Workers, Arc<[Queue]>) {
    let (mut workers, mut queues) = (Vec::new(), Vec::new());
    for index in 0..shared + stats.min(MOST_OWN) {
        let (send, work) = bounded(QUEUED_BATCHES);
        let waiting = Arc::new(AtomicUsize::new(0));
        queues.push(Queue { work: send, waiting: Arc::clone(&waiting), own: index >= shared });
        let (started, serving) = (AtomicBool::new(false), Mutex::new(None));
        workers.push(Worker { work, waiting, started, serving });
    }
    let (given_up, stuck) = Default::default();
    let workers = Workers { workers, shared, commits, period, stopping, given_up, stuck };
    (workers, queues.into())
}

impl Workers {
    /// Starts those that all stats share.
    pub(super) fn start_shared(&self) -> Result<(), EngineError> {
        (0..self.shared).try_for_each(|worker| self.start(worker))
    }

    /// Has a thread serve `worker`, unless one does.
    pub(super) fn start(&self, worker: usize) -> Result<(), EngineError> {
        let it = &self.workers[worker];
        it.started.store(true, Ordering::Release);
        let mut serving = it.serving.lock();
        if serving.is_some() {
            return Ok(());
        }
        let calls = Arc::<Calls>::default();
        let desk = Desk {
            work: it.work.clone(),
            commits: self.commits.clone(),
            period: self.period,
            calls: Arc::clone(&calls),
            // What is left unread now is read at the next start: a slow stat must not hold up the end.
            leave: (worker >= self.shared).then(|| Arc::clone(&self.stopping)),
        };
        let stuck = Arc::clone(&self.stuck);
        let thread = spawn(&format!("worker-{worker}"), move || {
            let _running = desk.calls.enter(stuck);
            worker::run(&desk);
        })?;
        *serving = Some(Serving { calls, thread });
        Ok(())
    }

    /// Number of all.
    pub(super) fn len(&self) -> usize {
        self.workers.len()
    }

    /// Whether `worker` serves a single stat.
    pub(super) fn is_own(&self, worker: usize) -> bool {
        worker >= self.shared
    }

    /// Those that may serve a single stat.
    pub(super) fn own(&self) -> std::ops::Range<usize> {
        self.shared..self.workers.len()
    }

    /// Whether `worker` has been started.
    pub(super) fn is_started(&self, worker: usize) -> bool {
        self.workers[worker].started.load(Ordering::Acquire)
    }

    /// The call that `worker` is in.
    pub(super) fn call(&self, worker: usize) -> Option<Call> {
        self.workers[worker].serving.lock().as_ref()?.calls.current()
    }

    /// Whether work waits for `worker`, in its queue or for room there.
    pub(super) fn is_awaited(&self, worker: usize) -> bool {
        let it = &self.workers[worker];
        !it.work.is_empty() || it.waiting.load(Ordering::Relaxed) > 0
    }

    /// Gives up the thread of `worker` if it still is in its call `number`; another has then to take over.
    pub(super) fn give_up(&self, worker: usize, number: u64) -> bool {
        let mut serving = self.workers[worker].serving.lock();
        let Some(calls) = serving.as_ref().map(|serving| &serving.calls) else { return false };
        if !calls.give_up(number, &self.stuck) {
            return false;
        }
        // Never joined: it may never end.
        *serving = None;
        self.given_up.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Takes the thread of `worker` away if it has ended though work may come; another has then to take
    /// over.
    pub(super) fn take_ended(&self, worker: usize) -> bool {
        let mut serving = self.workers[worker].serving.lock();
        serving.take_if(|serving| serving.calls.have_ended()).is_some()
    }

    /// Whether `worker` should have a thread and has none.
    pub(super) fn is_vacant(&self, worker: usize) -> bool {
        self.is_started(worker) && self.workers[worker].serving.lock().is_none()
    }

    /// Waits until all threads have ended that were not given up. The ways to them must be gone.
    pub(super) fn wait_ended(&self) {
        for worker in &self.workers {
            loop {
                let calls = worker.serving.lock().as_ref().map(|it| Arc::clone(&it.calls));
                let Some(calls) = calls else { break };
                if calls.wait_over() == Over::GivenUp {
                    // It was taken away, and perhaps another one has taken over already.
                    continue;
                }
                worker.started.store(false, Ordering::Release);
                if let Some(serving) = worker.serving.lock().take() {
                    let _ = serving.thread.join();
                }
            }
        }
    }

    /// Threads that were given up, and those of them that still run.
    pub(super) fn given_up(&self) -> GivenUp {
        GivenUp {
            given_up: self.given_up.load(Ordering::Relaxed),
            stuck: self.stuck.load(Ordering::SeqCst),
        }
    }
}

impl Queue {
    /// Hands `work` over; waits while too much lies there.
    pub(super) fn send(&self, work: Work) {
        if let Err(work) = self.try_send(work) {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            // A queue without a thread is served again soon, and fails never.
            let _ = self.work.send(work);
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// As [`Queue::send`], but waits no longer than `patience`; then the work is lost.
    pub(super) fn send_timeout(&self, work: Work, patience: Duration) -> Result<(), TooFull> {
        self.work.send_timeout(work, patience).map_err(|_| TooFull)
    }

    /// Hands `work` over if there is room, else back.
    pub(super) fn try_send(&self, work: Work) -> Result<(), Work> {
        match self.work.try_send(work) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(work) | TrySendError::Disconnected(work)) => Err(work),
        }
    }

    /// Whether half of it is free.
    pub(super) fn has_room(&self) -> bool {
        self.work.len() <= QUEUED_BATCHES / 2
    }
}
