//! Fills: what is missing is planned at start, fetched beside the live messages, and read like any log.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::needs::{Accounts, closed, earliest_us, needs, new_stats, rows_written};
use super::{SourceOptions, Sources, mapping, retire};
use crate::clock::now_us;
use crate::engine::{LogInput, plan_fills};
use crate::host::HostError;
use crate::loader::Loaded;
use crate::log::fill::{Fill, FillState};
use crate::log::history::{self, FillError, FillOptions, History, run_fill};
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
        let history = history::open(url, mapping(&options.mappings, url.map.as_deref())?)?;
        sources.history = Some(Arc::clone(&history));
        for fill in fills.iter().filter(|fill| fill.state() != FillState::Complete) {
            // Another history does not know its cursor; what is missing is asked anew.
            if !url.is_same_as(&fill.header().history) {
                fill.give_up()?;
            }
        }
        fills.extend(ask(sources, options, (stats, loaded), &fills, &retired)?);
        for fill in fills.iter().filter(|fill| fill.state() != FillState::Complete) {
            let (fill, history) = (Arc::clone(fill), Arc::clone(&history));
            sources.fetches.push(Fetch { fill, history });
        }
    }
    sources.seam.set_retired(retired);
    read(sources, fills);
    Ok(())
}

/// Makes the fills that are missing for the stats of another engine, and has all fills read by their readers.
/// None is retired: logs are read beside it.
pub(super) fn plan_on(
    sources: &mut Sources,
    options: &SourceOptions,
    stats: &BTreeMap<String, StatStore>,
    loaded: &Loaded,
) -> Result<(), HostError> {
    let mut fills = sources.seam.fills();
    let rows = rows_written(stats, loaded);
    let asked = sources.seam.with_retired(|retired| {
        retired.set_rows(rows);
        retired.begin_anew(new_stats(stats, loaded))?;
        ask(sources, options, (stats, loaded), &fills, retired)
    });
    let made = asked.transpose()?.unwrap_or_default();
    if let Some(history) = &sources.history {
        let fetch = |fill: &Arc<Fill>| Fetch { fill: fill.clone(), history: history.clone() };
        sources.fetches.extend(made.iter().map(fetch));
    }
    fills.extend(made);
    read(sources, fills);
    Ok(())
}

/// Makes the fills that stats miss, where there is a history to be asked.
fn ask(
    sources: &Sources,
    options: &SourceOptions,
    (stats, loaded): (&BTreeMap<String, StatStore>, &Loaded),
    fills: &[Arc<Fill>],
    retired: &Retired,
) -> Result<Vec<Arc<Fill>>, HostError> {
    let (Some(url), Some(history)) = (&options.history, &sources.history) else {
        return Ok(Vec::new());
    };
    let accounts = Accounts {
        journals: &sources.journals,
        closed: closed(&options.data.join("journals"), &sources.journals)?,
        fills,
        retired,
        settle_us: history.settle_us(),
    };
    let needs = needs(&accounts, stats, loaded)?;
    let mut made = Vec::new();
    for plan in plan_fills(&needs) {
        tracing::info!(
            from = %crate::query::UtcTime(plan.range.start),
            to = %crate::query::UtcTime(plan.range.end),
            stats = plan.readers.len(),
            "fetching what is missing from {url}"
        );
        let folder = options.data.join("fills");
        made.push(Arc::new(make(&folder, options, url, plan.range, plan.readers)?));
    }
    Ok(made)
}

/// Has the fills read by their readers.
fn read(sources: &mut Sources, fills: Vec<Arc<Fill>>) {
    for fill in fills {
        sources.seam.add_fill(Arc::clone(&fill));
        sources.inputs.push(LogInput {
            readers: Some(fill.header().readers.into_iter().collect()),
            log: fill,
            max_rate: 0,
            max_ahead_us: None,
            seen: VecDeque::new(),
        });
    }
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
    let mapping = mapping(&options.mappings, url.map.as_deref())?;
    Ok(Fill::create(&folder, range, &url.to_string(), mapping, readers)?)
}

/// How long a fill rests that could not be fetched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// How often, and how fast, it is asked for before it rests.
    pub(super) asking: FillOptions,
    /// The first rest; each is twice as long as the one before.
    pub(super) rest: Duration,
    pub(super) longest_rest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            asking: FillOptions::default(),
            rest: Duration::from_secs(60),
            longest_rest: Duration::from_secs(3600),
        }
    }
}

/// Fetches one fill after the other until all are complete or the host stops. One that cannot be fetched rests
/// while others are, and is tried again.
pub(super) fn run(
    fetches: Vec<Fetch>,
    seam: &SeamIndex,
    patience: Patience,
    stopping: &AtomicBool,
) {
    let start = Instant::now();
    let mut waiting: VecDeque<(Instant, Duration, Fetch)> =
        fetches.into_iter().map(|fetch| (start, patience.rest, fetch)).collect();
    loop {
        let soonest = (0..waiting.len()).min_by_key(|&at| waiting[at].0);
        let Some((due, rest, fetch)) = soonest.and_then(|at| waiting.remove(at)) else { return };
        while Instant::now() < due {
            if stopping.load(Ordering::Acquire) {
                return;
            }
            std::thread::park_timeout(due.saturating_duration_since(Instant::now()));
        }
        let Fetch { fill, history } = &fetch;
        match run_fill(&**history, fill, seam, patience.asking, |_| {}, stopping) {
            Ok(()) => tracing::info!(span = ?fill.span_us(), "fetched from {}", history.url()),
            Err(FillError::Stopped) => return,
            Err(error) => {
                tracing::error!("a fill is not complete, it goes on in {rest:?}: {error}");
                let due = Instant::now() + rest;
                waiting.push_back((due, (rest * 2).min(patience.longest_rest), fetch));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::AtomicU32;

    use super::*;
    use crate::log::history::{Cursor, HistoryError, Page};
    use crate::project::Mapping;

    /// Gives one message after so many failures.
    struct Ill(AtomicU32, Mapping);

    impl History for Ill {
        fn url(&self) -> &str {
            "test:ill"
        }

        fn mapping(&self) -> &Mapping {
            &self.1
        }

        fn fetch(&self, _: Range<i64>, _: &Cursor) -> Result<Page, HistoryError> {
            let left = |left: u32| left.checked_sub(1);
            if self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_ok() {
                let reason = "down".to_owned();
                return Err(HistoryError::Unavailable { url: "test:ill".to_owned(), reason });
            }
            let mut page = Page::default();
            page.done = true;
            page.push(br#"{"id":"a","topic":"t","time":1}"#);
            Ok(page)
        }
    }

    #[test]
    fn a_fill_that_cannot_be_fetched_is_tried_again_while_the_host_runs() {
        let dir = tempfile::tempdir().unwrap();
        let fetch = |name: &str, failures: u32| {
            let fill =
                Fill::create(&dir.path().join(name), 0..5_000_000, name, Mapping::auto(), []);
            let history = Arc::new(Ill(AtomicU32::new(failures), Mapping::auto()));
            Fetch { fill: Arc::new(fill.unwrap()), history }
        };
        let (ill, well) = (fetch("ill", 7), fetch("well", 0));
        let fills = [Arc::clone(&ill.fill), Arc::clone(&well.fill)];
        let patience = Patience {
            asking: FillOptions { attempts: 2, pause: Duration::ZERO, ..FillOptions::default() },
            rest: Duration::from_millis(1),
            longest_rest: Duration::from_millis(4),
        };
        run(vec![ill, well], &SeamIndex::new(), patience, &AtomicBool::new(false));
        for fill in fills {
            assert_eq!(fill.state(), FillState::Complete);
        }
    }

    #[test]
    fn a_host_that_stops_does_not_wait_for_what_rests() {
        let dir = tempfile::tempdir().unwrap();
        let fill = Fill::create(&dir.path().join("f"), 0..5, "ill", Mapping::auto(), []).unwrap();
        let history = Arc::new(Ill(AtomicU32::new(u32::MAX), Mapping::auto()));
        let fetches = vec![Fetch { fill: Arc::new(fill), history }];
        let patience = Patience {
            asking: FillOptions { attempts: 1, ..FillOptions::default() },
            rest: Duration::from_secs(86_400),
            ..Patience::default()
        };
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let running = std::thread::spawn(move || run(fetches, &SeamIndex::new(), patience, &stop));
        stopping.store(true, Ordering::Release);
        running.thread().unpark();
        running.join().unwrap();
    }
}
