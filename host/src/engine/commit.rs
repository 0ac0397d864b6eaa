//! The committer: the only thread that changes rows.
//!
//! It merges increments into rows and commits them with the positions they stand for, one atomic batch
//! per stat and checkpoint, in the order they arrive. A second thread makes commits durable.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, Sender};

use super::letters::Settled;
use super::queue::Taken;
use super::stat::{Fault, StatShared};
use crate::clock::now_us;
use crate::instance::Blocks;
use crate::log::{LogId, Offset};
use crate::project::{Batch, Reject};
use crate::store::{DeadLetter, Span, StatRecord, StoredModel};

/// What the committer is asked to do.
pub(super) enum CommitWork {
    /// Merge and commit; then the room is free.
    Commit(Box<Commit>, Taken),
    /// Answer when everything sent before is committed.
    Barrier(Sender<()>),
    /// Nothing follows that is to be committed.
    End,
}

/// What a stat folded since its last commit.
pub(super) struct Commit {
    pub(super) stat: Arc<StatShared>,
    pub(super) epoch: u64,
    pub(super) increments: Blocks,
    pub(super) progress: Progress,
}

/// How far a stat came since its last commit, and what it met.
#[derive(Default)]
pub(super) struct Progress {
    /// By log.
    pub(super) logs: BTreeMap<LogId, LogProgress>,
    /// Messages folded.
    pub(super) messages: u64,
    /// Messages older than the cutoff.
    pub(super) before_cutoff: u64,
    /// Largest event time met.
    pub(super) largest_time_us: Option<i64>,
    /// Messages that the stat could not fold.
    pub(super) letters: Vec<DeadLetter>,
    /// The dead letter that it settles; the increments are then of its message alone.
    pub(super) settled: Option<Settled>,
    /// Messages that are gone, and why.
    pub(super) skipped: Vec<(LogId, String)>,
}

/// How far a stat came in one log.
pub(super) struct LogProgress {
    pub(super) end: Offset,
    /// Hash of the last record before `end`; none = as before, 0 = nobody knows.
    pub(super) fingerprint: Option<u64>,
    /// Accepted messages in the range.
    pub(super) messages: u64,
    pub(super) rejects: BTreeMap<Reject, u64>,
    pub(super) largest_time_us: Option<i64>,
    /// Places it passed, ascending, and the largest event time between each and the one before it.
    passed: Vec<(Offset, i64)>,
}

impl Progress {
    pub(super) fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    /// Notes that what of `batch` lies at or after `position` was folded, `rows` of it by the stat.
    pub(super) fn folded(&mut self, batch: &Batch, position: Offset, rows: &[u32]) {
        let log = self.log(batch.log, batch.range.end);
        let first = batch.offsets.partition_point(|&offset| offset < position.0);
        let largest = batch.times[first..].iter().copied().max();
        // A range without a record keeps the fingerprint of the one before it.
        if batch.fingerprint != 0 {
            log.fingerprint = Some(batch.fingerprint);
        }
        log.messages += (batch.offsets.len() - first) as u64;
        log.largest_time_us = log.largest_time_us.max(largest);
        log.passed.extend(largest.map(|largest| (batch.range.end, largest)));
        for &(offset, reject) in &batch.rejects {
            if offset >= position.0 {
                *log.rejects.entry(reject).or_default() += 1;
            }
        }
        self.messages += rows.len() as u64;
        self.largest_time_us = self.largest_time_us.max(largest);
    }

    /// Notes that the messages of `log` up to `end` are gone.
    pub(super) fn skipped(&mut self, log: LogId, end: Offset, reason: &str) {
        self.log(log, end).fingerprint = Some(0);
        self.skipped.push((log, reason.to_owned()));
    }

    fn log(&mut self, id: LogId, end: Offset) -> &mut LogProgress {
        let log = self.logs.entry(id).or_insert_with(|| LogProgress {
            end,
            fingerprint: None,
            messages: 0,
            rejects: BTreeMap::new(),
            largest_time_us: None,
            passed: Vec::new(),
        });
        log.end = end;
        log
    }

    /// The record after this progress.
    fn apply(self, record: &StatRecord, log_name: impl Fn(LogId) -> String) -> StatRecord {
        let mut next = record.clone();
        next.messages += self.messages;
        next.before_cutoff += self.before_cutoff;
        next.dead_letters += self.letters.len() as u64;
        next.letters.extend(self.letters);
        next.largest_time_us = next.largest_time_us.max(self.largest_time_us);
        for (log, reason) in self.skipped {
            // What was lost lies behind all that was folded of the log; up to when is not known.
            let from_us = next.positions.get(&log).and_then(|at| at.largest_time_us);
            next.skipped.push(Span { log, from_us, to_us: None, reason });
        }
        for (id, progress) in self.logs {
            let position = next.positions.entry(id).or_default();
            position.end = progress.end;
            position.fingerprint = progress.fingerprint.unwrap_or(position.fingerprint);
            if position.name.is_empty() {
                position.name = log_name(id);
            }
            position.messages += progress.messages;
            for (offset, largest_us) in progress.passed {
                position.pass(
                    offset,
                    position.largest_time_us.map_or(largest_us, |known| known.max(largest_us)),
                );
                position.largest_time_us = position.largest_time_us.max(Some(largest_us));
            }
            position.largest_time_us = position.largest_time_us.max(progress.largest_time_us);
            for (reject, count) in progress.rejects {
                *position.rejects.entry(reject).or_default() += count;
            }
        }
        next
    }
}

/// Raises the floors of models with a retention; a floor never falls.
pub(super) fn raise_floors(record: &mut StatRecord, models: &[StoredModel], now_us: i64) {
    record.floors_us.resize(models.len(), None);
    let Some(largest) = record.largest_time_us else { return };
    for (floor, stored) in record.floors_us.iter_mut().zip(models) {
        let (Some(retention), Some(window)) = (stored.model.retention_s, stored.model.window_s)
        else {
            continue;
        };
        let oldest = largest.min(now_us).saturating_sub(micros(retention));
        *floor = (*floor).max(Some(oldest.div_euclid(micros(window)) * micros(window)));
    }
}

fn micros(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX / 1_000_000).saturating_mul(1_000_000)
}

/// Commits until told to end: a thread that was given up may keep its sender for ever.
pub(super) fn run(work: &Receiver<CommitWork>, log_name: impl Fn(LogId) -> String) {
    for item in work {
        match item {
            CommitWork::Commit(commit, _room) => {
                let (stat, epoch) = (Arc::clone(&commit.stat), commit.epoch);
                if let Err(reason) = apply(*commit, &log_name) {
                    stat.fault(epoch, Fault::Commit(reason));
                }
            }
            CommitWork::Barrier(done) => {
                // The asker may have given up waiting: that is its business.
                let _ = done.send(());
            }
            CommitWork::End => return,
        }
    }
}

fn apply(commit: Commit, log_name: impl Fn(LogId) -> String) -> Result<(), String> {
    let Commit { stat, epoch, increments, mut progress } = commit;
    let mut store = stat.store.lock();
    // Under the lock: whoever ends a life bumps the epoch first and reads the record after, so that
    // nothing of the old life can slip in between.
    if stat.epoch.load(Ordering::SeqCst) != epoch {
        return Ok(());
    }
    let snapshot = store.snapshot();
    // Of two decisions on one letter the second must not count its message again.
    if progress.settled.as_ref().is_some_and(|settled| !settled.is_in(snapshot.record())) {
        return Ok(());
    }
    let settled = progress.settled.take();
    let mut record = progress.apply(snapshot.record(), log_name);
    if let Some(settled) = &settled {
        settled.apply(&mut record);
    }
    raise_floors(&mut record, snapshot.models(), now_us());
    drop(snapshot);
    store.commit(&increments, record).map_err(|error| error.to_string())?;
    drop(store);
    // Of rows that are made beside those that are answered nobody sees anything yet.
    if !stat.rebuilding() {
        stat.tell_change(Some(&increments));
    }
    metrics::counter!("statmill_commits_total").increment(1);
    if let Some(settled) = settled {
        settled.tell();
    }
    Ok(())
}
