//! A batch: the messages of a range of one log, wanted fields as columns; immutable, shared by `Arc`.

use std::ops::Range;
use std::sync::Arc;

use statmill_plugin_api::manifest::FieldKind;

use crate::log::{LogId, Offset};
use crate::project::Generation;

/// The accepted messages of a half-open range of offsets of one log.
#[derive(Debug)]
pub struct Batch {
    /// The log's id.
    pub log: LogId,
    /// The log's key ([`crate::log::Log::key`]).
    pub log_key: u64,
    /// The offsets the batch stands for; rejected messages are inside.
    pub range: Range<Offset>,
    /// The dictionaries its codes belong to.
    pub generation: Arc<Generation>,
    /// Offset of each accepted message.
    pub offsets: Vec<u64>,
    /// Event time of each, µs since 1970.
    pub times: Vec<i64>,
    /// Topic code of each.
    pub topics: Vec<u32>,
    /// One column for each field of the projection.
    pub columns: Vec<Column>,
    /// Text of the messages; spans point into it.
    pub text: Vec<u8>,
    /// Unescaped strings.
    pub unescaped: Vec<u8>,
    /// Messages refused, by reason, with the offset of each.
    pub rejects: Vec<(u64, Reject)>,
    /// Hash of the last record of the range ([`crate::log::record_hash`]), 0 where it has none.
    pub fingerprint: u64,
}

impl Batch {
    /// Number of accepted messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether no message was accepted; the range counts all the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// The rejected messages counted by reason.
    #[must_use]
    pub fn reject_counts(&self) -> Rejects {
        let mut counts = Rejects::default();
        for (_, reject) in &self.rejects {
            counts.0[*reject as usize] += 1;
        }
        counts
    }

    /// Bytes the batch holds, roughly: for the limit on live batches.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let cells: usize = self.columns.iter().map(|column| column.words.capacity() * 8).sum();
        let rows = self.offsets.capacity() * (20 + 5 * self.columns.len());
        self.text.capacity() + self.unescaped.capacity() + cells + rows
    }
}

/// One wanted field of every accepted message.
#[derive(Debug)]
pub struct Column {
    /// Kind of the values.
    pub kind: FieldKind,
    /// State of each value ([`statmill_plugin_api::abi::state`]).
    pub states: Vec<u8>,
    /// `Sym`: codes.
    pub codes: Vec<u32>,
    /// Other kinds: see [`statmill_plugin_api::abi::ColumnAbi::words`].
    pub words: Vec<u64>,
}

impl Column {
    pub(super) fn with_capacity(kind: FieldKind, rows: usize) -> Self {
        let (codes, words) = if kind == FieldKind::Sym { (rows, 0) } else { (0, rows) };
        Self {
            kind,
            states: Vec::with_capacity(rows),
            codes: Vec::with_capacity(codes),
            words: Vec::with_capacity(words),
        }
    }
}

/// Why a message is counted by no stat.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Reject {
    /// The text is not one well-balanced JSON object (see [`crate::project`] for what is checked).
    Malformed,
    /// Nested deeper than the limit.
    TooDeep,
    /// Larger than the limit.
    TooLarge,
    /// No topic, or one that is not text.
    NoTopic,
    /// No event time, or one that is none.
    NoTime,
    /// Its time lies further ahead of its arrival than the limit.
    Future,
}

impl std::fmt::Display for Reject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "it is malformed",
            Self::TooDeep => "it is nested too deep",
            Self::TooLarge => "it is too large",
            Self::NoTopic => "it has no topic",
            Self::NoTime => "it has no time",
            Self::Future => "its time lies in the future",
        })
    }
}

/// Number of rejected messages by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejects(pub [u64; 6]);
