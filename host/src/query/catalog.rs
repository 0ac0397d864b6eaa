//! What answers are made from: the stats of a running engine, or those of a data folder at rest.
//!
//! HTTP and the command line know nothing else of the host. All of it is committed state; nothing
//! here calls into a plugin.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::computed::ComputedViews;
use super::status::{PluginReport, Status};
use super::time::UtcTime;
use super::watch::Watcher;
use crate::admin::Admin;
use crate::log::Log;
use crate::log::ingest::Ingest;
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
    /// The logs that are read. Theirs are the offsets by which a message can be asked for.
    fn logs(&self) -> Vec<Arc<dyn Log>>;
    /// Where messages sent to a source go; `None` if there is no such source.
    fn ingest(&self, source: &str) -> Option<Arc<Ingest>>;
    /// Names that [`Catalog::ingest`] knows, for those who ask for another.
    fn ingest_sources(&self) -> Vec<String>;
    /// The plugin files found, loaded or not.
    fn plugins(&self) -> Vec<PluginReport>;
    /// What computes the views of stats; none where no plugin is loaded. Asking it waits for a
    /// plugin, as long as a query may take.
    fn views(&self) -> Option<Arc<ComputedViews>> {
        None
    }
    /// Who can be told to repair something; nobody where no host runs.
    fn admin(&self) -> Option<Arc<dyn Admin>> {
        None
    }
    /// Has `watcher` told of every change from now on, for as long as it lives. Where nothing ever
    /// changes there is nothing to tell.
    fn watch(&self, watcher: &Arc<dyn Watcher>) {
        let _ = watcher;
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
