//! What can be said of a running engine from outside: completeness, lag, progress.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::lane::LogSlot;
use super::stat::StatShared;
use super::supervisor::SLOW;
use super::{Engine, Shared};
use crate::clock::now_us;
use crate::log::{Log, Offset};
use crate::query::{
    CompleteUntil, Fault, GivenUp, LogStatus, Progress, StatState, StatStatus, StatView, UtcTime,
};
use crate::store::StatRecord;

/// A stat that has folded all that had come so long ago, µs, is level.
const LEVEL_SLACK_US: i64 = 2_000_000;

/// Prefix of the meta records that keep each stat's completeness for readers without a host.
const COMPLETE: &str = "complete/";

impl Engine {
    /// Numbers since the start; see [`crate::Counters`].
    #[must_use]
    pub(crate) fn counters(&self) -> crate::Counters {
        let records = self.shared.stats.iter().map(|stat| stat.written());
        let (mut messages, mut commits) = (0, 0);
        for snapshot in records {
            let record = snapshot.record();
            let kept: u64 = record.positions.values().map(|at| at.messages).sum();
            messages = messages.max(kept + record.retired.messages);
            commits += snapshot.record().commit;
        }
        crate::Counters { messages, commits, syncs: self.shared.syncs() }
    }
}

impl Shared {
    /// Idents of the stats that run.
    pub(crate) fn idents(&self) -> impl Iterator<Item = &str> {
        self.stats.iter().map(|stat| stat.ident.as_str())
    }

    /// One stat's newest committed rows.
    pub(crate) fn view(&self, ident: &str, boot: u64) -> Option<StatView> {
        let stat = self.stats.iter().find(|stat| stat.ident == ident)?;
        let snapshot = stat.served();
        Some(StatView {
            version: format!("{boot}.{}", snapshot.version()),
            // Of the rows that are answered: a rebuild's own may have come further.
            complete_until: self.complete_until(stat, snapshot.record()),
            state: self.state_of(stat, stat.written().record()),
            snapshot,
        })
    }

    /// Everything that is known of every stat.
    pub(crate) fn stat_statuses(&self, boot: u64) -> Vec<StatStatus> {
        self.stats.iter().map(|stat| self.stat_status(stat, boot)).collect()
    }

    /// Up to when `stat` accounts for all that reached its logs: the minimum over them.
    pub(super) fn complete_until(&self, stat: &StatShared, record: &StatRecord) -> CompleteUntil {
        let skipped = record.skipped.iter().filter_map(|span| span.from_us).min();
        let mut logs = self.logs.iter().filter(|slot| slot.read_by(&stat.ident)).peekable();
        if logs.peek().is_none() {
            return CompleteUntil::Unknown;
        }
        let ends = logs.map(|slot| complete_in(slot, record)).reduce(CompleteUntil::and);
        let ends = ends.unwrap_or(CompleteUntil::Unknown);
        skipped.map_or(ends, |from_us| ends.and(CompleteUntil::At(from_us)))
    }

    /// Keeps every stat's completeness beside its rows, for readers that come when no host runs.
    pub(super) fn note_completeness(&self) {
        for stat in &self.stats {
            let snapshot = stat.served();
            let complete = self.complete_until(stat, snapshot.record()).to_string();
            let key = format!("{COMPLETE}{}", stat.ident);
            if let Err(error) = self.database.put_meta(&key, complete.as_bytes()) {
                tracing::error!(stat = stat.ident, "completeness cannot be kept: {error}");
            }
        }
    }

    /// What a stat is doing, in one word.
    pub(super) fn state_of(&self, stat: &StatShared, record: &StatRecord) -> StatState {
        let state = stat.health.lock().state;
        let settled =
            matches!(state, StatState::Quarantined | StatState::Failed | StatState::Detached);
        if settled {
            return state;
        }
        if stat.rebuilding() {
            return StatState::Rebuilding;
        }
        match (self.level_at(stat, record), state) {
            (true, StatState::Live) => StatState::Live,
            (true, before) => {
                stat.leave_state(before, StatState::Live, "");
                StatState::Live
            }
            (false, StatState::Replaying) => state,
            (false, before) if self.workers.is_own(stat.worker.load(Ordering::Acquire)) => {
                stat.leave_state(before, StatState::Lagging, SLOW);
                StatState::Lagging
            }
            (false, StatState::Live) => state,
            (false, before) => {
                stat.leave_state(before, StatState::Backfilling, "");
                StatState::Backfilling
            }
        }
    }

    /// Notices what stats do now, though nobody asks: who watches is told.
    pub(super) fn notice_states(&self) {
        for stat in &self.stats {
            self.state_of(stat, stat.written().record());
        }
    }

    /// Whether a stat has committed all that its logs hold.
    pub(super) fn level(&self, stat: &StatShared) -> bool {
        self.level_at(stat, stat.written().record())
    }

    fn level_at(&self, stat: &StatShared, record: &StatRecord) -> bool {
        let mut logs = self.logs.iter().filter(|slot| slot.read_by(&stat.ident));
        let slack_us =
            LEVEL_SLACK_US.max(3 * i64::try_from(self.options.checkpoint.as_micros()).unwrap_or(0));
        logs.all(|slot| level_in(slot, record, slack_us))
    }

    /// Whether every stat that can be is level with its logs.
    pub(crate) fn all_level(&self) -> bool {
        self.stats.iter().all(|stat| {
            let state = self.state_of(stat, stat.written().record());
            !matches!(state, StatState::Backfilling | StatState::Loading | StatState::Replaying)
        })
    }

    /// Everything that is known of one stat.
    pub(super) fn stat_status(&self, stat: &StatShared, boot: u64) -> StatStatus {
        let written = stat.written();
        let record = written.record();
        let complete_until = self.complete_until(stat, record);
        let state = self.state_of(stat, record);
        // Positions and counts are those of the rows being written: a rebuild's, while there is one.
        let version = format!("{boot}.{}", stat.served().version());
        let mut status = StatStatus::stored(&StatView {
            snapshot: Arc::clone(&written),
            version,
            complete_until,
            state,
        });
        let slots: Vec<&LogSlot> =
            self.logs.iter().filter(|slot| slot.read_by(&stat.ident)).map(|slot| &**slot).collect();
        let lag = |slot: &LogSlot| {
            let end = slot.log.end().ok()?.offset;
            slot.log.count(position(slot, record)..end)
        };
        for slot in &slots {
            if let Some(known) = status.positions.get_mut(&slot.log.id()) {
                known.lag_messages = lag(slot);
            }
        }
        let health = stat.health.lock();
        StatStatus {
            reason: (!health.reason.is_empty()).then(|| health.reason.clone()),
            since: Some(UtcTime(health.since_us)),
            lag_messages: slots.iter().map(|slot| lag(slot)).sum(),
            lag_s: match complete_until {
                CompleteUntil::At(time_us) => Some((now_us() - time_us).max(0) as f64 / 1e6),
                CompleteUntil::End => Some(0.0),
                CompleteUntil::Unknown => None,
            },
            last_error: health
                .last_error
                .as_ref()
                .map(|text| Fault { at: UtcTime(health.since_us), text: text.clone() }),
            outside: stat.outside.read().as_ref().map(|outside| Fault {
                at: UtcTime(outside.since_us),
                text: outside.reason.clone(),
            }),
            progress: progress(&slots, record),
            ..status
        }
    }

    /// Threads that were given up, and those of them that still run.
    pub(crate) fn given_up(&self) -> GivenUp {
        self.workers.given_up()
    }

    /// The logs that are read.
    pub(crate) fn logs(&self) -> Vec<Arc<dyn Log>> {
        self.logs.iter().map(|slot| Arc::clone(&slot.log)).collect()
    }

    /// Everything that is known of the logs.
    pub(crate) fn log_status(&self) -> Vec<LogStatus> {
        self.logs.iter().map(|slot| one_log_status(slot)).collect()
    }

    /// Number of commits of all stats and of syncs of the store since the start.
    pub(crate) fn syncs(&self) -> u64 {
        self.durable.syncs.load(Ordering::Relaxed)
    }
}

/// The completeness that a host left behind for a stat.
pub(crate) fn complete_at_rest(database: &crate::store::Database, ident: &str) -> CompleteUntil {
    let kept = database.get_meta(&format!("{COMPLETE}{ident}")).ok().flatten();
    let text = kept.map(|bytes| serde_json::Value::String(String::from_utf8_lossy(&bytes).into()));
    text.and_then(|text| serde_json::from_value(text).ok()).unwrap_or_default()
}

fn position(slot: &LogSlot, record: &StatRecord) -> Offset {
    record.positions.get(&slot.log.id()).map_or(slot.log.start(), |at| at.end)
}

/// Whether what is committed reaches an end of the log that was seen a moment ago: the newest end moves
/// with every message, commits follow it in steps.
fn level_in(slot: &LogSlot, record: &StatRecord, slack_us: i64) -> bool {
    let seen = slot.live.seen_by(position(slot, record));
    seen.is_some_and(|end| end.finished || end.seen_us >= now_us() - slack_us)
}

fn complete_in(slot: &LogSlot, record: &StatRecord) -> CompleteUntil {
    let position = position(slot, record);
    let lacks = slot.log.lacks_from_us().map_or(CompleteUntil::End, CompleteUntil::At);
    // A late message that is not folded yet lowers what a look at the clock would say.
    let unread = slot.log.smallest_time_from(position).map(CompleteUntil::At);
    let folded = match slot.live.seen_by(position) {
        Some(end) if end.finished => CompleteUntil::End,
        Some(end) => {
            let clock = CompleteUntil::At(end.seen_us - slot.log.settle_us());
            clock.and(unread.unwrap_or(CompleteUntil::End))
        }
        None => unread.unwrap_or(CompleteUntil::Unknown),
    };
    folded.and(lacks)
}

fn progress(slots: &[&LogSlot], record: &StatRecord) -> Option<Progress> {
    let mut done = 0;
    let mut total = 0;
    for slot in slots {
        let end = slot.log.end().ok()?.offset;
        let start = slot.log.start();
        done += slot.log.bytes(start..position(slot, record));
        total += slot.log.bytes(start..end);
    }
    (done < total).then(|| Progress {
        what: "backlog".into(),
        done,
        total: Some(total),
        unit: "bytes".into(),
        eta_s: None,
    })
}

fn one_log_status(slot: &LogSlot) -> LogStatus {
    let log = &slot.log;
    let start = log.start();
    let end = log.end().ok();
    let offset = end.map_or(start, |end| end.offset);
    let mut status = LogStatus {
        id: Some(log.id()),
        name: log.name().to_owned(),
        start,
        end: offset,
        records: log.count(start..offset),
        bytes: log.bytes(start..offset),
        finished: end.is_some_and(|end| end.finished),
        error: slot.error.lock().clone(),
        ..LogStatus::default()
    };
    log.describe(&mut status);
    status
}
