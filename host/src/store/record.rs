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
    /// Messages that no fold could take.
    pub dead_letters: u64,
    /// What was folded from fills that are gone.
    pub retired: Retired,
    /// The rows rest on an import from logs that are not known here.
    pub base: Option<Base>,
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
}

impl Retired {
    /// Adds a position that is given up.
    pub(crate) fn add(&mut self, position: Position) {
        self.logs += 1;
        self.messages += position.messages;
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

/// What imported rows rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The imported rows account for everything before it, µs since 1970.
    pub complete_until_us: i64,
}
