//! Fills: what is missing is planned at start, fetched beside the live messages, and read like any log.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{SourceOptions, Sources, mapping};
use crate::clock::now_us;
use crate::engine::{LogInput, Need, cutoff, cutoff_beside, plan_fills};
use crate::host::HostError;
use crate::loader::Loaded;
use crate::log::coverage::Coverage;
use crate::log::fill::{Fill, FillState};
use crate::log::history::{FileHistory, FillError, FillOptions, History, run_fill};
use crate::log::seam::SeamIndex;
use crate::log::source::HistoryUrl;
use crate::store::StatStore;

/// A fill to be fetched, or to be fetched on.
pub(super) struct Fetch {
    fill: Arc<Fill>,
    history: Arc<dyn History>,
}

/// Opens the fills there are, makes those that are missing, and has their logs read by their readers.
pub(super) fn plan(
    sources: &mut Sources,
    options: &SourceOptions,
    coverage: &Coverage,
    stats: &BTreeMap<String, StatStore>,
    loaded: &Loaded,
) -> Result<(), HostError> {
    let folder = options.data.join("fills");
    let mut fills: Vec<Arc<Fill>> = Fill::open_all(&folder)?.into_iter().map(Arc::new).collect();
    if let Some(url) = &options.history {
        let history: Arc<dyn History> = Arc::new(FileHistory::new(
            &url.name(),
            &url.path,
            mapping(options, url.map.as_deref())?,
        )?);
        let needs = needs(&fills, coverage, stats, loaded, history.settle_us())?;
        for plan in plan_fills(&needs) {
            tracing::info!(
                from = %crate::query::UtcTime(plan.range.start),
                to = %crate::query::UtcTime(plan.range.end),
                stats = plan.readers.len(),
                "fetching what is missing from {url}"
            );
            let made = make(&folder, options, url, plan.range, plan.readers)?;
            fills.push(Arc::new(made));
        }
        for fill in &fills {
            if fill.state() != FillState::Complete {
                sources
                    .fetches
                    .push(Fetch { fill: Arc::clone(fill), history: Arc::clone(&history) });
            }
        }
    }
    for fill in fills {
        sources.seam.add_fill(Arc::clone(&fill));
        sources.inputs.push(LogInput {
            readers: Some(fill.header().readers.into_iter().collect()),
            log: fill,
            max_rate: 0,
            max_ahead_us: None,
        });
    }
    Ok(())
}

fn make(
    folder: &Path,
    options: &SourceOptions,
    url: &HistoryUrl,
    range: Range<i64>,
    readers: Vec<String>,
) -> Result<Fill, HostError> {
    // Unique though several fills are made in one microsecond or at one range.
    let number = std::fs::read_dir(folder).map_or(0, Iterator::count);
    let folder = folder.join(format!("{:020}-{number}", now_us()));
    let mapping = mapping(options, url.map.as_deref())?;
    Ok(Fill::create(&folder, range, &url.to_string(), mapping, readers)?)
}

/// What each stat misses: from its cutoff to now, without what the journals and its fills account for.
///
/// A stat that is new reads the fills there are as well.
fn needs(
    fills: &[Arc<Fill>],
    coverage: &Coverage,
    stats: &BTreeMap<String, StatStore>,
    loaded: &Loaded,
    settle_us: i64,
) -> Result<Vec<Need>, HostError> {
    let now = now_us();
    let mut needs = BTreeMap::new();
    for (_, manifest) in &loaded.stats {
        let stored = stats.get(&manifest.ident);
        let record = stored.filter(|stat| stat.is_of(manifest)).map(StatStore::record);
        let from_us = match (record, stored) {
            (Some(record), _) => record.cutoff_us,
            (None, Some(old)) => cutoff_beside(cutoff(manifest, now), old.record()),
            (None, None) => cutoff(manifest, now),
        };
        if record.is_none() {
            for fill in fills {
                fill.add_reader(&manifest.ident)?;
            }
        }
        let filled = fills
            .iter()
            .filter(|fill| fill.header().readers.contains(&manifest.ident))
            // One that is still being fetched will account for all of its span.
            .map(|fill| fill.span_us());
        let missing = coverage.missing(from_us.unwrap_or(0).max(0), now, settle_us, filled);
        needs.insert(manifest.ident.clone(), missing);
    }
    Ok(needs.into_iter().collect())
}

/// Fetches one fill after the other until all are complete or the host stops.
pub(super) fn run(fetches: Vec<Fetch>, seam: &SeamIndex, stopping: &AtomicBool) {
    for Fetch { fill, history } in fetches {
        let outcome = run_fill(&*history, &fill, seam, FillOptions::default(), |_| {}, stopping);
        match outcome {
            Ok(()) => tracing::info!(span = ?fill.span_us(), "fetched from {}", history.url()),
            Err(FillError::Stopped) => return,
            Err(error) => {
                tracing::error!("a fill is not complete, it goes on at the next start: {error}");
            }
        }
    }
}
