//! Starts stats again after a fault, from their committed positions.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::Receiver;

use super::lane::Lane;
use super::stat::{Control, Fault, StatShared};
use super::worker::Work;
use super::{LaneContext, Shared};
use crate::query::StatState;

/// Faults in a row, without a commit in between, after which a stat is quarantined.
const MAX_FAILURES: u32 = 3;

/// Handles faults until told to stop.
pub(super) fn run(shared: &Arc<Shared>, controls: &Receiver<Control>) {
    for control in controls {
        match control {
            Control::Fault { stat, fault } => {
                let context = shared.context.lock().clone();
                if let Some(context) = context {
                    handle(shared, &context, &shared.stats[stat], &fault);
                }
                shared.faults.note_handled();
            }
            Control::Stop => return,
        }
    }
}

fn handle(shared: &Arc<Shared>, context: &LaneContext, stat: &Arc<StatShared>, fault: &Fault) {
    for slot in &shared.logs {
        slot.remove(stat.index);
    }
    if let Some(reason) = stat.damage() {
        if let Err(error) = super::renewal::renew(shared, stat, &reason) {
            tracing::error!(stat = stat.ident, "damaged rows cannot be set aside: {error}");
            let text = format!("{reason}; it cannot be set aside while the host runs: {error}");
            stat.set_state(StatState::Failed, text);
            return;
        }
    } else if matches!(fault, Fault::Commit(_)) {
        // The outcome of a failed commit is unknown until the rows are read again.
        if let Err(error) = super::resume::reopen(&shared.database, stat) {
            tracing::error!(stat = stat.ident, "not started again after \"{fault}\": {error}");
            stat.set_state(StatState::Failed, error.to_string());
            return;
        }
    }
    let committed = stat.written().record().commit;
    let (failures, suspect) = {
        let mut health = stat.health.lock();
        health.failures = if health.failed_at == committed { health.failures + 1 } else { 1 };
        health.failed_at = committed;
        health.last_error = Some(fault.to_string());
        let at = if let Fault::Fold { at, .. } = fault { Some(at.clone()) } else { None };
        let before = health.failing.take();
        health.failing = at.map(|at| match before {
            Some((before, times)) if before.meets(&at) => (at, times + 1),
            _ => (at, 1),
        });
        let (suspect, times) = match &health.failing {
            // Once may be chance; what fails twice is looked for.
            Some((at, times @ 2..)) => (Some(at.clone()), *times),
            _ => (None, 0),
        };
        (health.failures.max(times), suspect)
    };
    metrics::counter!("statmill_faults_total", "stat" => stat.ident.clone()).increment(1);
    if failures >= MAX_FAILURES || matches!(fault, Fault::DeadLetters(_)) {
        let _ = context.workers[stat.worker].send(Work::Drop { stat: stat.index });
        tracing::error!(stat = stat.ident, "quarantined: {fault}");
        let reason = match fault {
            Fault::DeadLetters(_) => fault.to_string(),
            _ => format!("{failures} faults in a row: {fault}"),
        };
        stat.set_state(StatState::Quarantined, reason);
        return;
    }
    tracing::warn!(stat = stat.ident, "started again from its last commit: {fault}");
    stat.set_state(StatState::Replaying, fault.to_string());
    let epoch = stat.epoch.load(Ordering::SeqCst);
    stat.send_reset(&context.workers, epoch, suspect);
    attach(shared, context, stat, epoch);
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
