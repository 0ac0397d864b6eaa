//! Makes commits durable, and tells logs what nobody needs any more.
//!
//! A commit is visible at once but survives a power loss only after the next sync of the store. What
//! waits for durability (retention, acknowledgement) goes by the positions noted here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::Shared;
use super::stat::Control;
use crate::log::Offset;
use crate::store::StatRecord;

/// What is durable.
pub(super) struct Durable {
    /// Commit number of each stat that is synced.
    synced: Vec<AtomicU64>,
    /// Number of syncs.
    pub(super) syncs: AtomicU64,
    stopping: AtomicBool,
    wake: (Mutex<()>, Condvar),
}

impl Durable {
    pub(super) fn new(stats: usize) -> Self {
        Self {
            synced: (0..stats).map(|_| AtomicU64::new(0)).collect(),
            syncs: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            wake: Default::default(),
        }
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        let _guard = self.wake.0.lock();
        self.wake.1.notify_all();
    }

    fn wait(&self, period: Duration) {
        let mut guard = self.wake.0.lock();
        if !self.stopping.load(Ordering::Acquire) {
            self.wake.1.wait_for(&mut guard, period);
        }
    }
}

/// Syncs the store once in each period until told to stop.
pub(super) fn run(shared: &Arc<Shared>) {
    let mut is_refused = false;
    while !shared.durable.stopping.load(Ordering::Acquire) {
        shared.durable.wait(shared.options.durable_every);
        make_durable(shared);
        if shared.database.refusals().now().is_some() {
            if !std::mem::replace(&mut is_refused, true) {
                shared.controls.tell(Control::Refused);
            }
            continue;
        }
        super::renewal::report_damage(shared);
        super::rebuild::swap_those_level(shared);
        shared.notice_states();
    }
}

/// Syncs what is committed now, if anything is new, and releases what all readers of a log are past.
pub(super) fn make_durable(shared: &Shared) {
    // Read before the sync: what is committed during it may or may not be in it.
    let records: Vec<StatRecord> =
        shared.stats.iter().map(|stat| stat.written().record().clone()).collect();
    let synced = &shared.durable.synced;
    let news = records
        .iter()
        .zip(synced)
        .any(|(record, synced)| record.commit > synced.load(Ordering::Acquire));
    // After a refusal nobody knows what arrived.
    if !news || shared.database.refusals().now().is_some() {
        return;
    }
    shared.note_completeness();
    if let Err(error) = shared.database.sync() {
        tracing::error!("the store cannot be synced, nothing is released: {error}");
        return;
    }
    shared.durable.syncs.fetch_add(1, Ordering::Relaxed);
    metrics::counter!("statmill_syncs_total").increment(1);
    for (record, synced) in records.iter().zip(synced) {
        synced.store(record.commit, Ordering::Release);
    }
    for slot in &shared.logs {
        let lowest = shared
            .stats
            .iter()
            .zip(&records)
            .filter(|(stat, _)| slot.read_by(&stat.ident))
            .map(|(_, record)| record.positions.get(&slot.log.id()).map_or(Offset(0), |at| at.end))
            .min();
        if let Some(lowest) = lowest {
            slot.log.release(lowest);
        }
    }
}
