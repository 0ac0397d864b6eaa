//! What answers are made from: the stats of a running engine, or those of a data folder at rest.
//!
//! HTTP and the command line know nothing else of the host. All of it is committed state; nothing
//! here calls into a plugin.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::computed::ComputedViews;
use super::status::{PluginReport, Status};
use super::time::UtcTime;
use crate::store::Snapshot;

/// The stats that can be asked.
///
/// # Contract
///
/// - Every method may be called from any thread, at any time, and answers from memory: none waits
///   for a plugin, a commit or the medium.
/// - [`Catalog::stat`] gives the newest commit; what it returned stays readable and unchanged.
pub trait Catalog: Send + Sync {
    /// The stats' names, sorted.
    fn idents(&self) -> Vec<String>;
    /// One stat's newest committed rows.
    fn stat(&self, ident: &str) -> Option<StatView>;
    /// Everything `/api/_status` shows.
    fn status(&self) -> Status;
    /// Whether every stat is level with its logs for the first time since the start.
    fn ready(&self) -> bool;
    /// Where messages sent to a source go; `None` if there is no such source.
    fn ingest(&self, source: &str) -> Option<Arc<dyn IngestSink>>;
    /// Names that [`Catalog::ingest`] knows, for those who ask for another.
    fn ingest_sources(&self) -> Vec<String>;
    /// The plugin files found, loaded or not.
    fn plugins(&self) -> Vec<PluginReport>;
    /// What computes the views of stats; none where no plugin is loaded. Asking it waits for a
    /// plugin, as long as a query may take.
    fn views(&self) -> Option<Arc<ComputedViews>> {
        None
    }
}

/// One stat as of one commit.
#[derive(Clone)]
pub struct StatView {
    /// Rows and manifest.
    pub snapshot: Arc<Snapshot>,
    /// `<boot>.<commit>`: changes whenever the rows may have.
    pub version: String,
    /// Up to when the rows account for all that reached the host.
    pub complete_until: CompleteUntil,
    /// What the stat is doing.
    pub state: StatState,
}

/// Up to which time an answer accounts for all that reached the host.
///
/// As text: RFC 3339, `end`, or `unknown`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CompleteUntil {
    /// Nothing is known yet, or no log feeds the stat.
    #[default]
    Unknown,
    /// This time, µs since 1970.
    At(i64),
    /// Everything there is or will be: all sources were read to their end.
    End,
}

impl CompleteUntil {
    /// The time, µs since 1970, where it is one.
    #[must_use]
    pub fn time_us(self) -> Option<i64> {
        match self {
            Self::At(time_us) => Some(time_us),
            Self::Unknown | Self::End => None,
        }
    }

    /// Returns what holds for two answers taken together.
    ///
    /// # Examples
    ///
    /// ```
    /// # use statmill::query::CompleteUntil::{At, End, Unknown};
    /// assert_eq!(At(5).and(End), At(5));
    /// assert_eq!(At(5).and(Unknown), Unknown);
    /// ```
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::End, other) | (other, Self::End) => other,
            (Self::At(a), Self::At(b)) => Self::At(a.min(b)),
        }
    }
}

impl std::fmt::Display for CompleteUntil {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown"),
            Self::At(time_us) => UtcTime(*time_us).fmt(f),
            Self::End => f.write_str("end"),
        }
    }
}

impl Serialize for CompleteUntil {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CompleteUntil {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "unknown" => Ok(Self::Unknown),
            "end" => Ok(Self::End),
            text => super::time::parse(text, 0)
                .map(Self::At)
                .ok_or_else(|| serde::de::Error::custom("neither a time, `end` nor `unknown`")),
        }
    }
}

/// What a stat is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatState {
    /// Its plugin is being started.
    #[default]
    Loading,
    /// It reads the past that its logs and the history keep.
    Backfilling,
    /// It is level: what arrives is folded at once.
    Live,
    /// It cannot keep up and reads its log by itself.
    Lagging,
    /// It reads again what a fault made it lose.
    Replaying,
    /// Its rows are made anew beside the old ones, which keep serving.
    Rebuilding,
    /// It failed too often and is left alone until told otherwise.
    Quarantined,
    /// It cannot go on; the reason is in its status.
    Failed,
    /// Its plugin is not here; its rows are.
    Detached,
}

impl std::fmt::Display for StatState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Loading => "loading",
            Self::Backfilling => "backfilling",
            Self::Live => "live",
            Self::Lagging => "lagging",
            Self::Replaying => "replaying",
            Self::Rebuilding => "rebuilding",
            Self::Quarantined => "quarantined",
            Self::Failed => "failed",
            Self::Detached => "detached",
        })
    }
}

/// Takes messages for one source.
pub trait IngestSink: Send + Sync {
    /// Takes one JSON document, an array of them, or NDJSON, and returns once they are durable.
    ///
    /// All or nothing, unless `partial`: then the good messages are taken and the others answered
    /// for line by line. A body that comes again under the same `idempotency_key` is not taken
    /// twice. Blocks for an fsync.
    ///
    /// # Errors
    ///
    /// [`IngestError`]; nothing was taken then.
    fn accept(
        &self,
        body: &[u8],
        content_type: Option<&str>,
        idempotency_key: Option<&str>,
        partial: bool,
    ) -> Result<Accepted, IngestError>;
}

/// What became of the messages of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Messages written, durable now.
    pub accepted: u64,
    /// Messages that had been taken before.
    pub duplicates: u64,
    /// Messages refused; empty unless partial answers were asked for.
    pub rejected: Vec<LineError>,
}

/// Why one message of a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineError {
    /// Which one, from 1 on: the line of NDJSON, the element of an array.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// Why a request's messages were not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum IngestError {
    /// These messages are no messages, and the request was all or nothing.
    #[error("{} of the messages cannot be taken, so none was; mend them or ask with partial=1",
        .rejected.len())]
    Rejected { rejected: Vec<LineError> },
    /// The request itself makes no sense.
    #[error("{reason}")]
    Bad { reason: String },
    /// The body is neither JSON nor NDJSON as its content type claims.
    #[error(
        "content type {content_type:?} is not taken: send application/json or \
        application/x-ndjson"
    )]
    ContentType { content_type: String },
    /// A message or the request is longer than the source takes.
    #[error("{what} is longer than {limit_bytes} bytes")]
    TooLarge { what: String, limit_bytes: u64 },
    /// The key came before, with another body.
    #[error("idempotency key {key:?} was used before with another body")]
    KeyReused { key: String },
    /// The host is stopping or cannot take more now.
    #[error("not taking messages now: {reason}")]
    Busy { reason: String, retry_after_s: u32 },
    /// The journal's medium failed.
    #[error("cannot write the journal: {reason}")]
    Journal { reason: String },
}
