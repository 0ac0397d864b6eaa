//! The watchdog: looks many times a second at what every worker is doing.
//!
//! A call that takes too much CPU time, or too long by the clock, never comes back as far as anybody can
//! tell: its thread is given up, another one takes over the queue, and the supervisor decides about the
//! stats. A stat in whose calls a worker is most of the time while other work waits holds up all others:
//! it is to read by itself. The watchdog itself calls no plugin and waits for nobody.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use rustix::process::setpriority_process;

use super::Shared;
use super::calls::Call;
use super::slow::{Looks, Place};
use super::stat::Control;
use crate::clock::cpu_of;
use crate::query::StatState;

/// A call may take so many times its CPU time by the clock: it may sleep or wait for others.
const CLOCK_SHARE: u32 = 20;

/// Time between two looks at most.
const LOOK: Duration = Duration::from_millis(50);

/// A call seen before, and what it has taken since.
#[derive(Clone, Copy)]
struct Seen {
    number: u64,
    stat: usize,
    cpu: Option<Duration>,
    waited: Duration,
}

/// Looks until the other end of `stop` is dropped.
pub(super) fn run(shared: &Arc<Shared>, stop: &Receiver<()>) {
    let deadline = shared.options.stat_limits.deadline;
    let look = (deadline / 20).clamp(Duration::from_millis(1), LOOK);
    let mut seen: Vec<Option<Seen>> = vec![None; shared.workers.len()];
    let mut looks = Looks::new(shared.stats.len(), shared.workers.len());
    let mut last = Instant::now();
    while stop.recv_timeout(look) == Err(RecvTimeoutError::Timeout) {
        // Who did not get to look for long, or was stopped, cannot tell what the others did meanwhile.
        let passed = last.elapsed().min(look * 2);
        last = Instant::now();
        for (worker, seen) in seen.iter_mut().enumerate() {
            let call = shared.workers.call(worker);
            let ended = seen.filter(|seen| call.is_none_or(|call| call.number != seen.number));
            *seen = call.map(|call| Seen::of(&call, *seen, passed));
            if let (Some(call), Some(now)) = (call, *seen)
                && let Some(taken) = now.too_much(&call, deadline, shared.is_stopping())
            {
                give_up(shared, worker, &call, &taken);
            }
            if !shared.is_stopping() && shared.workers.take_ended(worker) {
                let reason = "its worker ended by a fault of the host; please report it".to_owned();
                tell_given_up(shared, worker, None, reason);
            }
            if shared.workers.is_vacant(worker)
                && let Err(error) = shared.workers.start(worker)
            {
                tracing::error!(worker, "nobody takes over: {error}");
            }
            let (stat, before) = (call.map(|call| call.stat), ended.map(|seen| seen.stat));
            looks.note(worker, shared.workers.is_awaited(worker), stat, before);
        }
        if let Some(slow) = looks.finish(passed, |stat| place(shared, stat)) {
            for stat in slow {
                shared.controls.tell(Control::TooSlow { stat });
            }
        }
    }
}

/// Where a stat is folded, if it is not given up.
fn place(shared: &Shared, stat: usize) -> Place {
    let stat = &shared.stats[stat];
    let worker = stat.worker.load(Ordering::Acquire);
    match stat.health.lock().state {
        StatState::Quarantined | StatState::Failed => Place::None,
        _ if shared.workers.is_own(worker) => Place::Own,
        _ => Place::Shared(worker),
    }
}

fn give_up(shared: &Arc<Shared>, worker: usize, call: &Call, taken: &str) {
    if !shared.workers.give_up(worker, call.number) {
        return;
    }
    // It may run for ever: behind everybody else then.
    let _ = setpriority_process(call.thread, 19);
    let reason =
        format!("one call ({}) took {taken} and did not end (stat_limits.deadline)", call.what);
    let ident = &shared.stats[call.stat].ident;
    tracing::error!(stat = ident, "its thread is given up: {reason}");
    tell_given_up(shared, worker, Some(call.stat), reason);
}

fn tell_given_up(shared: &Shared, worker: usize, stat: Option<usize>, reason: String) {
    shared.controls.tell(Control::GivenUp { worker, stat, reason });
}

impl Seen {
    fn of(call: &Call, before: Option<Self>, passed: Duration) -> Self {
        match before.filter(|before| before.number == call.number) {
            Some(before) => Self { waited: before.waited + passed, ..before },
            // From here on: what it had taken before is let off.
            None => Self {
                number: call.number,
                stat: call.stat,
                cpu: call.thread.and_then(cpu_of),
                waited: Duration::ZERO,
            },
        }
    }

    /// What the call has taken, in words, if it is too much.
    fn too_much(&self, call: &Call, deadline: Duration, stopping: bool) -> Option<String> {
        // Whoever waits for the end of the host is not to wait for a plugin.
        let most = if stopping { deadline } else { deadline * CLOCK_SHARE };
        if self.waited >= most {
            return Some(format!("{most:?}"));
        }
        // No thread takes more CPU time than passes by the clock.
        if self.waited < deadline / 2 {
            return None;
        }
        let taken = call.thread.and_then(cpu_of)?.checked_sub(self.cpu?)?;
        (taken >= deadline).then(|| format!("{deadline:?} of CPU time"))
    }
}
