//! Which stats are quarantined, and why: kept beside the rows, so that a restart does not repeat what made them so.
//!
//! What is kept belongs to one build of the plugin and one configuration: another one begins without it.

use serde::{Deserialize, Serialize};

use super::stat::StatShared;
use super::worker::beginning;
use crate::clock::now_us;
use crate::query::StatState;
use crate::store::{Database, StoreError};

const PREFIX: &str = "quarantine/";

/// Why and since when a stat is quarantined.
#[derive(Debug, Serialize, Deserialize)]
struct Quarantine {
    reason: String,
    since_us: i64,
    /// Digest of plugin and configuration.
    build: String,
}

fn key(stat: &StatShared) -> String {
    format!("{PREFIX}{}", stat.ident)
}

fn build(stat: &StatShared) -> String {
    let config = xxhash_rust::xxh3::xxh3_64(stat.config.as_bytes());
    format!("{}-{config:016x}", stat.plugin.digest)
}

/// Quarantines `stat` as it was when a host stopped, if nothing of it has changed since.
pub(super) fn keep(database: &Database, stat: &StatShared) -> Result<(), StoreError> {
    let Some(kept) = database.get_meta(&key(stat))? else { return Ok(()) };
    match serde_json::from_slice::<Quarantine>(&kept) {
        Ok(kept) if kept.build == build(stat) => {
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
            Ok(())
        }
        _ => forget(database, stat),
    }
}

/// Remembers, from the next sync on, that `stat` is quarantined.
pub(super) fn note(database: &Database, stat: &StatShared, reason: &str) {
    let kept = Quarantine { reason: beginning(reason), since_us: now_us(), build: build(stat) };
    let noted = serde_json::to_vec(&kept).map_err(|error| error.to_string());
    let noted = noted.and_then(|text| {
        database.put_meta(&key(stat), &text).map_err(|error| error.to_string())?;
        database.sync().map_err(|error| error.to_string())
    });
    if let Err(error) = noted {
        tracing::error!(stat = stat.ident, "a restart will not know of the quarantine: {error}");
    }
}

/// The stat may be tried again.
pub(super) fn forget(database: &Database, stat: &StatShared) -> Result<(), StoreError> {
    database.remove_meta(&key(stat))
}
