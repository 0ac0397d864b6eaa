//! Logs: ordered, replayable sequences of messages. The engine knows nothing else.
//!
//! Files are logs as they stand ([`mod@file`]); every other source becomes one by being written to its
//! journal first ([`journal`]); history becomes one by being fetched into a fill ([`fill`]).
//! Journals and fills share one segment format ([`segment`], `docs/segment-format.md`).

pub mod connections;
pub mod coverage;
pub mod demo;
pub mod file;
pub mod fill;
pub mod history;
pub mod horizon;
pub mod identity;
pub mod ingest;
pub mod journal;
pub mod retired;
pub mod seam;
pub mod segment;
pub mod source;
pub mod stdin;

use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A place in a log. Ascending and opaque: compared, never counted with.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Offset(pub u64);

/// Random id made together with a log; shown as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(pub u64);

/// A run of records of one log, text and all.
///
/// Reused between reads: a reader [begins](Self::begin) and fills it.
#[derive(Debug, Default)]
pub struct Records {
    /// The range the records stand for; blank lines and holes are inside it.
    pub range: Range<Offset>,
    /// Text of the records, and possibly bytes between them.
    pub text: Vec<u8>,
    /// Where in `text` each record lies: start and length.
    pub spans: Vec<(u32, u32)>,
    /// Offset of each record, ascending, inside `range`.
    pub offsets: Vec<u64>,
    /// When each record was accepted, µs since 1970; empty for logs read in place.
    pub arrivals: Vec<i64>,
    /// The last record of the range, where it may have been left out of `spans`; projecting takes it.
    pub last: Option<(u32, u32)>,
}

impl Records {
    /// Forgets what it holds, to be filled from `from` on.
    pub fn begin(&mut self, from: Offset) {
        self.text.clear();
        self.spans.clear();
        self.offsets.clear();
        self.arrivals.clear();
        self.last = None;
        self.range = from..from;
    }

    /// Text of the record at an offset, if it is among them.
    #[must_use]
    pub fn at(&self, offset: Offset) -> Option<&[u8]> {
        let (start, length) = self.spans[self.offsets.binary_search(&offset.0).ok()?];
        Some(&self.text[start as usize..][..length as usize])
    }
}

/// Why a log cannot be read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum LogError {
    /// The range starts before the oldest record kept.
    #[error("log {log}: offset {} is no longer kept, the oldest is {}", asked.0, oldest.0)]
    Expired { log: String, asked: Offset, oldest: Offset },
    /// The log no longer holds the message a position was taken at: it was replaced or rewritten.
    #[error("log {log} diverged at offset {}: {reason}", at.0)]
    Diverged { log: String, at: Offset, reason: String },
    /// A stored block fails its check; what it held is a recorded loss.
    #[error("log {log}: damaged at offset {}: {reason}", at.0)]
    Damaged { log: String, at: Offset, reason: String },
    /// The medium failed.
    #[error("log {log}: {what}: {source}")]
    Io { log: String, what: String, source: std::io::Error },
    /// The source's address or an option of it makes no sense.
    #[error("source {url:?}: {reason}")]
    BadSource { url: String, reason: String },
}

/// Where a log ends, and when that was seen.
#[derive(Clone, Copy, Debug)]
pub struct LogEnd {
    /// Just past the newest record.
    pub offset: Offset,
    /// The clock when the end was seen, µs since 1970.
    pub seen_us: i64,
    /// Nothing will ever be appended (a finished fill, a file read with `--once`).
    pub finished: bool,
}

/// An ordered sequence of past messages that can be read again.
///
/// # Contract
///
/// - Reading the same range twice yields equal records: replay is repeatable.
/// - Only what survives a crash is readable: a journal shows records after their fsync.
/// - Offsets below [`Log::start`] fail with [`LogError::Expired`]; they are never skipped in silence.
/// - All methods may be called from any thread.
pub trait Log: Send + Sync {
    /// Id made with the log; a log that was replaced by another has another id.
    fn id(&self) -> LogId;
    /// The source's name as shown to people (`file:/var/log/bus.ndjson`, `http:builds`).
    fn name(&self) -> &str;
    /// Orders logs where the times of two messages are equal; the same in every run.
    fn key(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64(self.name().as_bytes())
    }
    /// Offset of the oldest record kept.
    fn start(&self) -> Offset;
    /// Looks where the log ends now.
    ///
    /// # Errors
    /// [`LogError::Io`] if the medium cannot be asked.
    fn end(&self) -> Result<LogEnd, LogError>;
    /// Clears `into` and reads the records from `from` on: at least one unless the log ends at `from`,
    /// then as many as fit in about `max_bytes` and `max_records`. `into.range` starts at `from`.
    ///
    /// # Errors
    /// [`LogError::Expired`], [`LogError::Damaged`], [`LogError::Io`].
    fn read(
        &self,
        from: Offset,
        max_bytes: usize,
        max_records: usize,
        into: &mut Records,
    ) -> Result<(), LogError>;
    /// Text of the record at `at`, whole; `None` if none begins there.
    ///
    /// # Errors
    /// As [`Log::read`].
    fn record(&self, at: Offset) -> Result<Option<Vec<u8>>, LogError> {
        let mut records = Records::default();
        self.read(at, 1, 1, &mut records)?;
        Ok(records.at(at).map(<[u8]>::to_vec))
    }
    /// Waits until the log reaches past `from`, it is finished, or `timeout` is over.
    fn wait(&self, from: Offset, timeout: Duration);
    /// Hash of the last record before `end`; `None` if there is none or it is no longer kept.
    ///
    /// # Errors
    /// [`LogError::Io`].
    fn fingerprint(&self, end: Offset) -> Result<Option<u64>, LogError>;
    /// Start of the first chunk whose largest event time is `time_us` or later; `start()` when unknown.
    fn first_at(&self, time_us: i64) -> Offset;
    /// Learns what a batch made of the log tells: how many messages a range holds, and their times.
    fn note(&self, batch: &crate::project::Batch) {
        let _ = batch;
    }
    /// Smallest event time of the records from `from` on; `None` when unknown.
    fn smallest_time_from(&self, from: Offset) -> Option<i64> {
        let _ = from;
        None
    }
    /// Where reading can go on after [`LogError::Damaged`] at `at`; `None` = it cannot.
    fn after_damage(&self, at: Offset) -> Option<Offset> {
        let _ = at;
        None
    }
    /// Event time from which the log is known to lack messages: what a fill has still to fetch, or could
    /// not. `None` = it lacks none.
    fn lacks_from_us(&self) -> Option<i64> {
        None
    }
    /// Tells what is special about the log: horizon, holes, fills, losses.
    fn describe(&self, status: &mut crate::query::LogStatus) {
        let _ = status;
    }
    /// Number of records in `range`, where an index knows; for lag only.
    fn count(&self, range: Range<Offset>) -> Option<u64>;
    /// Size of `range` in bytes, roughly; for progress only.
    fn bytes(&self, range: Range<Offset>) -> u64;
    /// All readers that need the log are durably past `below`: older records may be dropped.
    fn release(&self, below: Offset) {
        let _ = below;
    }
    /// Event time up to which the source may still deliver late, µs before its end was seen.
    fn settle_us(&self) -> i64 {
        0
    }
    /// Messages may have no time of their own: it is then the record's arrival.
    fn arrival_time(&self) -> bool {
        false
    }
    /// How fields of its messages are found.
    fn mapping(&self) -> &crate::project::Mapping;
}

/// Hash of a record's text: what fingerprints compare.
#[must_use]
pub fn record_hash(text: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(text)
}

impl std::fmt::Display for LogId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl std::fmt::Debug for LogId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::str::FromStr for LogId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

// As text: JSON object keys must be strings, and 64 bits do not survive JavaScript's numbers.
impl Serialize for LogId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LogId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
