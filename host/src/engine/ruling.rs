//! What was decided about stats that went wrong: kept beside the rows, so that a restart does not repeat what led
//! to it.
//!
//! What is kept belongs to one build of the plugin and one configuration: another one begins without it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::stat::{Outside, StatShared};
use super::worker::beginning;
use crate::clock::now_us;
use crate::loader::Code;
use crate::query::StatState;
use crate::store::{Database, StoreError};

/// What was decided about a stat.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ruling {
    /// It is left alone.
    Quarantine,
    /// It hung in this process and goes on in one of its own.
    Outside,
}

/// Why and since when.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    reason: String,
    since_us: i64,
    /// Digest of plugin and configuration.
    build: String,
}

impl Ruling {
    fn key(self, stat: &StatShared) -> String {
        let prefix = match self {
            Self::Quarantine => "quarantine/",
            Self::Outside => "outside/",
        };
        format!("{prefix}{}", stat.ident)
    }

    /// What was kept of it about `stat`, if nothing of that has changed since.
    fn kept(self, database: &Database, stat: &StatShared) -> Result<Option<Kept>, StoreError> {
        let Some(kept) = database.get_meta(&self.key(stat))? else { return Ok(None) };
        match serde_json::from_slice::<Kept>(&kept) {
            Ok(kept) if kept.build == build(stat) => Ok(Some(kept)),
            _ => self.forget(database, stat).map(|()| None),
        }
    }

    /// Remembers it, from the next sync on.
    pub(super) fn note(self, database: &Database, stat: &StatShared, reason: &str, since_us: i64) {
        let kept = Kept { reason: beginning(reason), since_us, build: build(stat) };
        let noted = serde_json::to_vec(&kept).map_err(|error| error.to_string());
        let noted = noted.and_then(|text| {
            database.put_meta(&self.key(stat), &text).map_err(|error| error.to_string())?;
            database.sync().map_err(|error| error.to_string())
        });
        if let Err(error) = noted {
            tracing::error!(stat = stat.ident, "a restart will not know of this: {error}");
        }
    }

    /// The stat is to be as if it had never been.
    pub(super) fn forget(self, database: &Database, stat: &StatShared) -> Result<(), StoreError> {
        database.remove_meta(&self.key(stat))
    }
}

fn build(stat: &StatShared) -> String {
    let config = xxhash_rust::xxh3::xxh3_64(stat.config.as_bytes());
    format!("{}-{config:016x}", stat.found.digest)
}

/// Puts `stat` where it was when a host stopped.
pub(super) fn keep(database: &Database, stat: &StatShared) -> Result<(), StoreError> {
    match Ruling::Outside.kept(database, stat)? {
        // It has a process by itself now.
        Some(_) if matches!(stat.found.code, Code::Isolated(_)) => {
            Ruling::Outside.forget(database, stat)?;
        }
        Some(kept) => {
            put_outside(stat, kept.reason, kept.since_us);
        }
        None => {}
    }
    if let Some(kept) = Ruling::Quarantine.kept(database, stat)? {
        tracing::error!(
            stat = stat.ident,
            "still quarantined; `statmill plugins resume {}` has it tried again: {}",
            stat.ident,
            kept.reason
        );
        let mut health = stat.health.lock();
        health.state = StatState::Quarantined;
        health.since_us = kept.since_us;
        health.reason = kept.reason;
    }
    Ok(())
}

/// Lets the next instances of a stat that hung run in processes of their own; `false` where it is in one already,
/// or may have none.
pub(super) fn move_out(database: &Database, stat: &StatShared, reason: &str) -> bool {
    let since_us = now_us();
    let moves = stat.outside.read().is_none() && put_outside(stat, reason.to_owned(), since_us);
    if moves {
        Ruling::Outside.note(database, stat, reason, since_us);
    }
    moves
}

/// Lets the next instances of a stat run in this process again; `false` where they do.
pub(super) fn bring_back(database: &Database, stat: &StatShared) -> bool {
    let was_outside = stat.outside.write().take().is_some();
    if was_outside && let Err(error) = Ruling::Outside.forget(database, stat) {
        tracing::error!(stat = stat.ident, "a restart will move it out again: {error}");
    }
    was_outside
}

fn put_outside(stat: &StatShared, reason: String, since_us: i64) -> bool {
    let Some(plugin) = stat.found.moved_out().map(Arc::new) else { return false };
    tracing::warn!(
        stat = stat.ident,
        "has a worker process of its own; `statmill plugins resume {}` brings it back into the host: {reason}",
        stat.ident
    );
    *stat.outside.write() = Some(Outside { plugin, reason, since_us });
    true
}
