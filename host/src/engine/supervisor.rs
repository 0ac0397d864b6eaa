//! Starts stats again after a fault, from their committed positions, and moves those that are too slow.
//!
//! It alone begins a life of a stat. The epoch is raised before the committed record is read, so that no
//! commit of an earlier life can come in between.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::health::Next;
use super::lane::Lane;
use super::lane_count::RunningLane;
use super::ruling::{self, Ruling};
use super::stat::{Control, Fault, StatShared, Stretch};
use super::worker::{Target, Work};
use super::{LaneContext, Shared};
use crate::clock::now_us;
use crate::instance::Failure;
use crate::log::{LogId, Offset};
use crate::query::StatState;

/// While one is waited for: how often is looked whether the host stops.
const GLANCE: Duration = Duration::from_millis(100);

/// A stat that is started again later.
struct Later {
    at: Instant,
    stat: usize,
    suspect: Option<Stretch>,
    /// Of the lane that will feed it: until then its logs are not read to their ends.
    _lane: RunningLane,
}

/// Why a stat lags.
pub(super) const SLOW: &str =
    "it is so much slower than the others that it reads its logs by itself";

/// Acts upon what it is told until told to stop.
pub(super) fn run(shared: &Arc<Shared>, controls: &Receiver<Control>) {
    let mut later: Vec<Later> = Vec::new();
    loop {
        let control = match later.iter().map(|later| later.at).min() {
            None => controls.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => controls.recv_deadline(at.min(Instant::now() + GLANCE)),
        };
        let context = shared.context.lock().clone();
        match control {
            Ok(Control::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
            Ok(control) => {
                // Without it the host is stopping.
                if let Some(context) = &context {
                    act(shared, context, control, &mut later);
                }
                shared.controls.note_handled();
            }
        }
        if shared.stopping.load(Ordering::Acquire) {
            later.clear();
        }
        let now = Instant::now();
        for due in later.extract_if(.., |later| later.at <= now) {
            let stat = &shared.stats[due.stat];
            if let Some(context) = context.as_ref().filter(|_| !stat.is_given_up()) {
                detach(shared, stat);
                restart(shared, context, stat, due.suspect);
            }
        }
    }
}

fn act(shared: &Arc<Shared>, context: &LaneContext, control: Control, later: &mut Vec<Later>) {
    match control {
        Control::Fault { stat, epoch, fault } => {
            let index = stat;
            let stat = &shared.stats[stat];
            // A life that has begun since then, on a worker of its own, has failed in nothing yet.
            if stat.epoch.load(Ordering::SeqCst) == epoch || fault.is_of_rows() {
                // What follows from this one takes its place.
                later.retain(|later| later.stat != index);
                later.extend(handle(shared, context, stat, &fault));
            }
        }
        Control::GivenUp { worker, stat, reason } => {
            take_over(shared, context, worker, stat, &reason);
        }
        // One that waits for its time holds up nobody.
        Control::TooSlow { stat } if later.iter().any(|later| later.stat == stat) => {}
        Control::TooSlow { stat } => set_apart(shared, context, &shared.stats[stat]),
        Control::Left { target, log, from } => follow(shared, context, target, log, from),
        Control::Resume { stat, done } => {
            resume(shared, context, &shared.stats[stat]);
            // The asker may have given up waiting.
            let _ = done.send(());
        }
        Control::Refused => suspend(shared, context),
        Control::Stop => {}
    }
}

/// Acts upon a fault; answers what is to follow later.
fn handle(
    shared: &Arc<Shared>,
    context: &LaneContext,
    stat: &Arc<StatShared>,
    fault: &Fault,
) -> Option<Later> {
    // Of a life before the one for which it was given up.
    if stat.is_given_up() && !matches!(fault, Fault::Damaged(_)) {
        return None;
    }
    // Whatever it was: nothing can be committed, and what cannot be read need not be damaged.
    if shared.database.refusals().now().is_some() {
        suspend(shared, context);
        return None;
    }
    detach(shared, stat);
    if let Some(reason) = stat.damage() {
        if let Err(error) = super::renewal::renew(shared, stat, &reason) {
            tracing::error!(stat = stat.ident, "damaged rows cannot be set aside: {error}");
            let text = format!("{reason}; it cannot be set aside while the host runs: {error}");
            stat.set_state(StatState::Failed, text);
            return None;
        }
    } else if matches!(fault, Fault::Commit(_)) {
        // The outcome of a failed commit is unknown until the rows are read again.
        if let Err(error) = super::resume::reopen(&shared.database, stat) {
            tracing::error!(stat = stat.ident, "not started again after \"{fault}\": {error}");
            stat.set_state(StatState::Failed, error.to_string());
            return None;
        }
    }
    let committed = stat.written().record().commit;
    let (next, suspect) = {
        let mut health = stat.health.lock();
        (health.count(fault, committed, now_us()), health.suspect())
    };
    metrics::counter!("statmill_faults_total", "stat" => stat.ident.clone()).increment(1);
    if let Next::Quarantine(reason) = next {
        quarantine(shared, context, stat, reason);
        return None;
    }
    tracing::warn!(stat = stat.ident, "started again from its last commit: {fault}");
    stat.set_state(StatState::Replaying, fault.to_string());
    let worker = stat.worker.load(Ordering::Acquire);
    if matches!(fault.failure(), Some(Failure::Late(_)))
        && !shared.workers.is_own(worker)
        && let Some(own) = own_worker(shared, stat)
    {
        // To find out in which message it hangs takes as long many times over: nobody else is to wait.
        stat.worker.store(own, Ordering::Release);
    }
    if let Next::After(pause) = next {
        let at = Instant::now() + pause;
        return Some(Later { at, stat: stat.index, suspect, _lane: shared.lanes.enter() });
    }
    restart(shared, context, stat, suspect);
    None
}

/// Decides about the stats of a worker whose thread was given up in a call of `culprit`: that one may hang
/// again, the others have lost what was not committed.
fn take_over(
    shared: &Arc<Shared>,
    context: &LaneContext,
    worker: usize,
    culprit: Option<usize>,
    reason: &str,
) {
    for stat in &shared.stats {
        // The culprit may have been set apart meanwhile, only to hang there as well.
        let is_its = stat.worker.load(Ordering::Acquire) == worker || Some(stat.index) == culprit;
        if !is_its || stat.is_given_up() {
            continue;
        }
        stat.epoch.fetch_add(1, Ordering::SeqCst);
        match culprit {
            None => {
                // It is no fault of a process: nothing follows later.
                handle(shared, context, stat, &Fault::Hung(reason.to_owned()));
            }
            Some(culprit) if culprit == stat.index => {
                detach(shared, stat);
                stat.health.lock().last_error = Some(reason.to_owned());
                metrics::counter!("statmill_faults_total", "stat" => stat.ident.clone())
                    .increment(1);
                let reason = format!("it hung: {reason}");
                // There it can be ended, and the message in which it hangs be found.
                if ruling::move_out(&shared.database, stat, &reason) {
                    let words = format!("moved to a worker process of its own: {reason}");
                    stat.set_state(StatState::Replaying, words);
                    restart(shared, context, stat, None);
                } else {
                    quarantine(shared, context, stat, reason);
                }
            }
            Some(culprit) => {
                detach(shared, stat);
                let culprit = &shared.stats[culprit].ident;
                let reason = format!("the thread that it shared with {culprit} was given up");
                stat.set_state(StatState::Replaying, reason);
                let suspect = stat.suspect();
                restart(shared, context, stat, suspect);
            }
        }
    }
}

/// Leaves a stat alone, and its rows as they are.
fn quarantine(shared: &Shared, context: &LaneContext, stat: &StatShared, reason: String) {
    let worker = stat.worker.load(Ordering::Acquire);
    context.workers[worker].send(Work::Drop { stat: stat.index });
    // One of its own is for those that fold.
    stat.worker.store(stat.index % shared.workers.own().start, Ordering::Release);
    tracing::error!(stat = stat.ident, "quarantined: {reason}");
    Ruling::Quarantine.note(&shared.database, stat, &reason, now_us());
    stat.set_state(StatState::Quarantined, reason);
}

/// A worker that nobody has, for a stat that holds up all others.
fn own_worker(shared: &Shared, stat: &StatShared) -> Option<usize> {
    let is_taken =
        |own: usize| shared.stats.iter().any(|stat| stat.worker.load(Ordering::Acquire) == own);
    let Some(own) = shared.workers.own().find(|&own| !is_taken(own)) else {
        tracing::warn!(stat = stat.ident, "it holds up all others: too many do to set it apart");
        return None;
    };
    if let Err(error) = shared.workers.start(own) {
        tracing::error!(stat = stat.ident, "it holds up all others: {error}");
        return None;
    }
    Some(own)
}

/// Ends the lives of all stats, for nothing can be committed: the host opens the store again as soon as it can be
/// written, and another engine goes on at the last commits.
fn suspend(shared: &Shared, context: &LaneContext) {
    let Some(refusal) = shared.database.refusals().now() else { return };
    for stat in shared.stats.iter().filter(|stat| !stat.is_given_up()) {
        stat.epoch.fetch_add(1, Ordering::SeqCst);
        detach(shared, stat);
        let worker = stat.worker.load(Ordering::Acquire);
        context.workers[worker].send(Work::Drop { stat: stat.index });
        stat.health.lock().last_error = Some(refusal.reason.clone());
        stat.set_state(StatState::Failed, refusal.in_words());
    }
}

/// Gives a stat that holds up all others a worker of its own.
fn set_apart(shared: &Arc<Shared>, context: &LaneContext, stat: &Arc<StatShared>) {
    let before = stat.worker.load(Ordering::Acquire);
    if stat.is_given_up() || shared.workers.is_own(before) {
        return;
    }
    let Some(own) = own_worker(shared, stat) else { return };
    tracing::warn!(stat = stat.ident, "lags: {SLOW}");
    // Before all that waits: what its worker still has for it is passed over from now on.
    stat.epoch.fetch_add(1, Ordering::SeqCst);
    detach(shared, stat);
    context.workers[before].send(Work::Drop { stat: stat.index });
    stat.worker.store(own, Ordering::Release);
    stat.set_state(StatState::Lagging, SLOW);
    let suspect = stat.suspect();
    restart(shared, context, stat, suspect);
}

/// Feeds on a stat that the live lane of a log has left behind.
fn follow(shared: &Arc<Shared>, context: &LaneContext, target: Target, log: LogId, from: Offset) {
    let stat = &shared.stats[target.stat];
    let slot = shared.logs.iter().find(|slot| slot.log.id() == log);
    // Another life is fed by other lanes.
    if let Some(slot) = slot.filter(|_| stat.epoch.load(Ordering::SeqCst) == target.epoch) {
        let lane = Arc::new(Lane::starting_at(from, vec![target]));
        if let Err(error) = shared.spawn_lane(slot, &lane, context) {
            stat.set_state(StatState::Failed, error.to_string());
        }
    }
}

/// Feeds `stat` no more.
fn detach(shared: &Shared, stat: &StatShared) {
    for slot in &shared.logs {
        slot.remove(stat.index);
    }
}

/// Begins a new life of `stat`, which no lane feeds, at its committed record; where `suspect` comes, some
/// message cannot be folded.
fn restart(
    shared: &Arc<Shared>,
    context: &LaneContext,
    stat: &Arc<StatShared>,
    suspect: Option<Stretch>,
) {
    let epoch = stat.epoch.fetch_add(1, Ordering::SeqCst) + 1;
    stat.send_reset(&context.workers, epoch, suspect);
    attach(shared, context, stat, epoch);
}

/// Begins a new life of a quarantined stat, as if it had never failed; or of one that was moved to a worker
/// process, in the host again.
fn resume(shared: &Arc<Shared>, context: &LaneContext, stat: &Arc<StatShared>) {
    let is_quarantined = stat.is_quarantined();
    if is_quarantined {
        if let Err(error) = Ruling::Quarantine.forget(&shared.database, stat) {
            tracing::error!(stat = stat.ident, "a restart will quarantine it again: {error}");
        }
    } else if stat.is_given_up() || !ruling::bring_back(&shared.database, stat) {
        return;
    }
    {
        let mut health = stat.health.lock();
        (health.failures, health.failing, health.recent) = (0, None, (0, 0));
    }
    // One that counts is still fed.
    stat.epoch.fetch_add(1, Ordering::SeqCst);
    detach(shared, stat);
    let words = if is_quarantined { "resumed" } else { "brought back into the host" };
    tracing::info!(stat = stat.ident, "{words}, from its last commit");
    stat.set_state(StatState::Replaying, words);
    restart(shared, context, stat, None);
}

/// Feeds `stat` from its committed positions on: by the live lane where it is level, else by a
/// catch-up lane of its own.
fn attach(shared: &Arc<Shared>, context: &LaneContext, stat: &Arc<StatShared>, epoch: u64) {
    let record = stat.store.lock().snapshot().record().clone();
    for slot in &shared.logs {
        if !slot.read_by(&stat.ident) {
            continue;
        }
        let from = record.positions.get(&slot.log.id()).map_or(slot.log.start(), |at| at.end);
        let target = stat.target(epoch);
        if !slot.live.join(&[target], from) {
            let lane = Arc::new(Lane::starting_at(from, vec![target]));
            if let Err(error) = shared.spawn_lane(slot, &lane, context) {
                stat.set_state(StatState::Failed, error.to_string());
            }
        }
    }
}
