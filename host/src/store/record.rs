//! The position record: how far a statistic has come. It is committed together with its rows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::log::{LogId, Offset};
use crate::project::Reject;

/// All that a statistic keeps beside its rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatRecord {
    /// Number of commits; set by the store.
    pub commit: u64,
    /// How far each log is folded.
    pub positions: BTreeMap<LogId, Position>,
    /// Event time below which nothing is folded, µs since 1970.
    pub cutoff_us: Option<i64>,
    /// For each stored model: rows with a window start below it do not exist, µs since 1970.
    pub floors_us: Vec<Option<i64>>,
    /// Largest event time folded, µs since 1970.
    pub largest_time_us: Option<i64>,
    /// Messages folded.
    pub messages: u64,
    /// Messages below the floor of every model that could hold them; added to by the store.
    pub too_late: u64,
    /// Messages below the cutoff.
    pub before_cutoff: u64,
    /// Spans that were passed over on purpose.
    pub skipped: Vec<Span>,
    /// Messages that no fold could take, those included that were dropped or folded later.
    pub dead_letters: u64,
    /// Those of them that still wait for a decision, in the order they were met.
    pub letters: Vec<DeadLetter>,
    /// What was folded from fills that are gone.
    pub retired: Retired,
    /// The rows rest on an import from logs that are not known here.
    pub base: Option<Base>,
    /// What a rebuild keeps of the rows it replaces; also after it took over.
    pub kept: Option<Kept>,
}

/// A message that a plugin could not fold, passed over in the commit that noted it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The log it is in.
    pub log: LogId,
    /// Where.
    pub offset: Offset,
    /// Its event time, µs since 1970.
    pub time_us: i64,
    /// Its topic.
    pub topic: String,
    /// What the plugin said.
    pub reason: String,
    /// When it was passed over, µs since 1970.
    pub noted_us: i64,
}

/// How far one log is folded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Position {
    /// End of the last folded range.
    pub end: Offset,
    /// Hash of the last record before `end` ([`crate::log::record_hash`]).
    pub fingerprint: u64,
    /// The log's name, for people.
    pub name: String,
    /// Messages folded from it.
    pub messages: u64,
    /// Messages refused, by reason.
    pub rejects: BTreeMap<Reject, u64>,
    /// Largest event time folded from it, µs since 1970.
    pub largest_time_us: Option<i64>,
    /// Some of the places it passed, ascending, each with the largest event time before it, µs since
    /// 1970: what is known of messages that the log drops later.
    pub passed: Vec<(Offset, i64)>,
}

/// Most places of a position that are remembered.
const PASSED_MOST: usize = 32;

impl Position {
    /// The largest event time of what was folded before `offset`, or a larger one; none = unknown.
    pub(crate) fn largest_before(&self, offset: Offset) -> Option<i64> {
        let at = self.passed.iter().find(|(passed, _)| *passed >= offset);
        at.map(|(_, largest_us)| *largest_us).or(self.largest_time_us)
    }

    /// Remembers that nothing before `offset` is of a larger event time than `largest_us`.
    ///
    /// The nearer the past, the closer are the places that stay remembered.
    pub(crate) fn pass(&mut self, offset: Offset, largest_us: i64) {
        match self.passed.last_mut() {
            Some(last) if last.1 >= largest_us => last.0 = last.0.max(offset),
            _ => self.passed.push((offset, largest_us)),
        }
        if self.passed.len() <= PASSED_MOST {
            return;
        }
        let share = |pair: &[(Offset, i64)]| {
            let (gap, age) = (pair[1].1.abs_diff(pair[0].1), largest_us.abs_diff(pair[0].1));
            gap as f64 / age as f64
        };
        let shares = self.passed.windows(2).map(share).enumerate();
        // Without a place its messages count as those before the next one.
        if let Some((least, _)) = shares.min_by(|a, b| a.1.total_cmp(&b.1)) {
            self.passed.remove(least);
        }
    }
}

/// The positions in logs that are gone, summed up: their messages stay counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retired {
    /// Number of logs.
    pub logs: u64,
    /// Messages folded from them.
    pub messages: u64,
    /// Messages refused, by reason.
    pub rejects: BTreeMap<Reject, u64>,
    /// Largest event time of those messages, µs since 1970.
    pub largest_time_us: Option<i64>,
}

impl Retired {
    /// Adds a position that is given up.
    pub(crate) fn add(&mut self, position: Position) {
        self.logs += 1;
        self.messages += position.messages;
        self.largest_time_us = self.largest_time_us.max(position.largest_time_us);
        for (reject, count) in position.rejects {
            *self.rejects.entry(reject).or_default() += count;
        }
    }
}

/// A span of event time of one log that was not folded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// The log.
    pub log: LogId,
    /// Its start, µs since 1970; none = the log's start.
    pub from_us: Option<i64>,
    /// Its end, µs since 1970; none = unknown.
    pub to_us: Option<i64>,
    /// Why.
    pub reason: String,
}

/// What a rebuild keeps of the rows it replaces.
///
/// The new rows of a kept window are the old one's, and what of it was folded after them: what the old
/// rows hold is not folded again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Windows before it are kept, µs since 1970; a start of a window of every model. [`i64::MIN`] =
    /// none is.
    pub before_us: i64,
    /// What the old rows hold of each log; only until they are taken over.
    pub held: BTreeMap<LogId, Held>,
    /// Up to which event time the old rows account for what a fill may fetch, where that is known.
    pub known_until_us: Option<i64>,
    /// How many of the old rows are taken over; none = all that are kept.
    pub taken: Option<Taken>,
}

/// What old rows hold of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// All that lies before this offset.
    Before(Offset),
    /// All messages before this event time, µs since 1970.
    Until(i64),
}

/// How far old rows are taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Tables before it are through.
    pub table: usize,
    /// Rows of that table.
    pub rows: u64,
}

impl Kept {
    /// Is the message at `offset` of `log` in the rows that are kept?
    pub(crate) fn holds(&self, log: LogId, offset: Offset, time_us: i64) -> bool {
        time_us < self.before_us
            && match self.held.get(&log) {
                Some(Held::Before(end)) => offset < *end,
                Some(Held::Until(until_us)) => time_us < *until_us,
                None => false,
            }
    }

    /// Nothing of the old rows is waited for.
    pub(crate) fn taken_over(&self) -> bool {
        self.taken.is_none()
    }
}

/// What imported rows rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The imported rows account for everything before it, µs since 1970.
    pub complete_until_us: i64,
}
