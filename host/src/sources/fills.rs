//! Fills: what is missing is planned at start, fetched beside the live messages, and read like any log.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::needs::{Accounts, closed, earliest_us, needs, new_stats, rows_written};
use super::{SourceOptions, Sources, mapping, retire};
use crate::clock::now_us;
use crate::engine::{LogInput, plan_fills};
use crate::host::HostError;
use crate::loader::Loaded;
use crate::log::fill::{Fill, FillState};
use crate::log::history::{FileHistory, FillError, FillOptions, History, run_fill};
use crate::log::retired::Retired;
use crate::log::seam::SeamIndex;
use crate::log::source::HistoryUrl;
use crate::store::{Database, StatStore};

/// A fill to be fetched, or to be fetched on.
pub(super) struct Fetch {
    fill: Arc<Fill>,
    history: Arc<dyn History>,
}

/// Opens the fills there are, makes those that are missing, and has their logs read by their readers.
pub(super) fn plan(
    sources: &mut Sources,
    options: &SourceOptions,
    database: &Database,
    stats: &mut BTreeMap<String, StatStore>,
    loaded: &Loaded,
) -> Result<(), HostError> {
    let folder = options.data.join("fills");
    let mut fills: Vec<Arc<Fill>> = Fill::open_all(&folder)?.into_iter().map(Arc::new).collect();
    let horizon_us = horizon_us(sources, options);
    let rows = rows_written(stats, loaded);
    let mut retired = Retired::open(&options.data.join("retired"), rows)?;
    retired.begin_anew(new_stats(stats, loaded))?;
    let folded = retire::Folded { database, stats, loaded };
    retire::retire(&mut fills, &mut retired, folded, horizon_us, &options.limits)?;
    retired.forget(horizon_us.unwrap_or(i64::MIN), earliest_us(stats, loaded))?;
    if let Some(url) = &options.history {
        let history: Arc<dyn History> = Arc::new(FileHistory::new(
            &url.name(),
            &url.path,
            mapping(options, url.map.as_deref())?,
        )?);
        let accounts = Accounts {
            journals: &sources.journals,
            closed: closed(&options.data.join("journals"), &sources.journals)?,
            fills: &fills,
            retired: &retired,
            settle_us: history.settle_us(),
        };
        let needs = needs(&accounts, stats, loaded)?;
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
    sources.seam.set_retired(retired);
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

/// Record time before which no identity is promised to be known: that of the journal that has come least far.
fn horizon_us(sources: &Sources, options: &SourceOptions) -> Option<i64> {
    let newest = sources.journals.iter().map(|covered| covered.journal.newest_us());
    let newest_us = newest.min().flatten()?;
    Some(newest_us.saturating_sub(options.journal.horizon.span_us))
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
