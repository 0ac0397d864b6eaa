//! What each stat misses: which spans of time must be asked from a history.
//!
//! A stat needs everything from its cutoff on, of every journal. A journal accounts for the times when it
//! was written; fills account for their spans in all journals, for a history has the messages of all. What
//! a stat counted live can be told from what a history gives only while the journal keeps it: where it
//! does not, nothing is asked for a stat that has rows, lest it count twice.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use statmill_plugin_api::manifest::StatManifest;

use crate::clock::now_us;
use crate::engine::{Need, cutoff, cutoff_beside};
use crate::host::HostError;
use crate::loader::Loaded;
use crate::log::Log;
use crate::log::coverage::{Coverage, minus};
use crate::log::fill::Fill;
use crate::log::journal::Journal;
use crate::log::retired::Retired;
use crate::query::UtcTime;
use crate::store::{StatStore, tree_name};

/// A journal and the times when it was written.
pub(super) struct Covered {
    pub(super) journal: Arc<Journal>,
    pub(super) coverage: Arc<Coverage>,
}

/// What the data folder accounts for without asking.
pub(super) struct Accounts<'a> {
    pub(super) journals: &'a [Covered],
    /// Times when journals were written that are not open now.
    pub(super) closed: Vec<Range<i64>>,
    pub(super) fills: &'a [Arc<Fill>],
    pub(super) retired: &'a Retired,
    /// How late the history may be, µs.
    pub(super) settle_us: i64,
}

impl Covered {
    /// Event time from which on the journal keeps all it was sent, µs since 1970; none = all of it.
    fn kept_since_us(&self, settle_us: i64) -> Option<i64> {
        if self.journal.start().0 == 0 {
            return None;
        }
        let oldest = self.journal.segments().outline().first().map(|segment| segment.2);
        oldest.map(|arrival_us| arrival_us.saturating_add(settle_us))
    }

    /// Times of messages that were counted live and that the journal no longer keeps.
    fn gone(&self, settle_us: i64) -> Vec<Range<i64>> {
        let Some(kept_us) = self.kept_since_us(settle_us) else { return Vec::new() };
        let spans = self.coverage.spans().into_iter();
        spans.map(|span| span.start..span.end.min(kept_us)).collect()
    }
}

/// The spans each stat misses. A stat that is new reads the fills there are as well.
pub(super) fn needs(
    accounts: &Accounts<'_>,
    stats: &BTreeMap<String, StatStore>,
    loaded: &Loaded,
) -> Result<Vec<Need>, HostError> {
    let now = now_us();
    let settle_us = accounts.settle_us;
    let gone: Vec<_> = accounts.journals.iter().flat_map(|it| it.gone(settle_us)).collect();
    let counted: Vec<_> = gone.into_iter().chain(accounts.closed.iter().cloned()).collect();
    let mut needs = BTreeMap::new();
    for (_, manifest) in &loaded.stats {
        let ident = &manifest.ident;
        let stored = stats.get(ident);
        let record = stored.filter(|stat| stat.is_of(manifest)).map(StatStore::record);
        let from_us = match (record, stored) {
            (Some(record), _) => record.cutoff_us,
            (None, Some(old)) => cutoff_beside(cutoff(manifest, now), old.record()),
            (None, None) => cutoff(manifest, now),
        };
        let mut filled: Vec<Range<i64>> = Vec::new();
        for fill in accounts.fills {
            if record.is_none() {
                fill.add_reader(ident)?;
            }
            if fill.header().readers.contains(ident) {
                // One that is still being fetched will account for all of its span.
                filled.push(fill.span_us());
            }
        }
        if record.is_some() {
            filled.extend(accounts.retired.folded_by(ident));
        }
        // Senders whose clocks are ahead may have sent before anybody listened.
        let span = from_us.unwrap_or(0).max(0)..now.saturating_add(settle_us);
        let missing = accounts.journals.iter().flat_map(|covered| {
            let kept_us = match record {
                Some(_) => i64::MIN,
                None => covered.kept_since_us(settle_us).unwrap_or(i64::MIN),
            };
            covered.coverage.missing(span.clone(), settle_us, kept_us, filled.iter().cloned())
        });
        let missing = minus(missing.collect(), &[]);
        let asked = match record {
            Some(_) => minus(missing.clone(), &counted),
            None => missing.clone(),
        };
        for left in minus(missing, &asked) {
            tracing::warn!(
                stat = ident,
                from = %UtcTime(left.start),
                to = %UtcTime(left.end),
                "not asked from the history: what was counted live is no longer kept to be compared with"
            );
        }
        needs.insert(ident.clone(), asked);
    }
    Ok(needs.into_iter().collect())
}

/// Idents of the loaded stats that have no rows of this version yet that serve.
pub(super) fn new_stats<'a>(
    stats: &BTreeMap<String, StatStore>,
    loaded: &'a Loaded,
) -> Vec<&'a str> {
    let serves = |manifest: &&StatManifest| {
        stats.get(&manifest.ident).is_some_and(|stat| stat.is_of(manifest))
    };
    let loaded = loaded.stats.iter().map(|(_, manifest)| manifest);
    loaded.filter(|it| !serves(it)).map(|manifest| manifest.ident.as_str()).collect()
}

/// Names of the rows that each stat writes, or would if its plugin were there.
pub(super) fn rows_written(
    stats: &BTreeMap<String, StatStore>,
    loaded: &Loaded,
) -> BTreeMap<String, String> {
    let stored = stats.iter().map(|(ident, stat)| (ident.clone(), stat.tree_name().to_owned()));
    let written = loaded.stats.iter().map(|(_, it)| (it.ident.clone(), tree_name(it)));
    stored.chain(written).collect()
}

/// The event time before which no stat, loaded or not, will ever ask, µs since 1970.
pub(super) fn earliest_us(stats: &BTreeMap<String, StatStore>, loaded: &Loaded) -> i64 {
    let now = now_us();
    let stored = stats.values().map(|stat| stat.record().cutoff_us.unwrap_or(0));
    let loaded = loaded.stats.iter().map(|(_, stat)| cutoff(stat, now).unwrap_or(0));
    stored.chain(loaded).fold(now, i64::min)
}

/// Times when journals below `folder` were written that are not `open`.
pub(super) fn closed(folder: &Path, open: &[Covered]) -> Result<Vec<Range<i64>>, HostError> {
    let io = |source| HostError::Io { what: format!("cannot list {}", folder.display()), source };
    let mut spans = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.is_dir() && !open.iter().any(|covered| covered.coverage.is_in(&path)) {
            spans.extend(Coverage::open(&path).map_err(io)?.spans());
        }
    }
    Ok(spans)
}
