//! Where each stat goes on after a start: its store, its cutoff, its place in every log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use parking_lot::{Mutex, RwLock};
use statmill_plugin_api::manifest::{FieldKind, StatManifest};

use super::health::Health;
use super::stat::{Controls, StatShared};
use super::worker::Target;
use super::{EngineError, EngineOptions, LogInput};
use crate::clock::now_us;
use crate::loader::Plugin;
use crate::log::{Log, Offset};
use crate::project::TopicFilter;
use crate::query::{StatState, Watchers};
use crate::store::{Database, Span, StatRecord, StatStore, StoreError, stored_models};

/// Stats this close behind the foremost are fed with it by one lane: reading twice costs more.
const NEAR_BYTES: u64 = 8 << 20;

/// How a log is read at start.
pub(super) struct Plan {
    /// Where the live lane starts.
    pub(super) live_from: Offset,
    /// Who it feeds.
    pub(super) live: Vec<Target>,
    /// Where a catch-up lane starts, and who it feeds.
    pub(super) behind: Option<(Offset, Vec<Target>)>,
}

/// Takes a stat's rows out of `stored` or begins them; a new stat gets its cutoff.
pub(super) fn open(
    database: &Arc<Database>,
    stored: &mut BTreeMap<String, StatStore>,
    (index, plugin): (usize, &Arc<Plugin>),
    manifest: &StatManifest,
    wanted: &[(String, FieldKind)],
    options: &EngineOptions,
    (controls, watchers): (&Controls, &Arc<Watchers>),
) -> Result<Arc<StatShared>, EngineError> {
    let ident = &manifest.ident;
    if let Some(stat) = stored.get_mut(ident).filter(|stat| stat.is_of(manifest)) {
        // Refused, it stays where it is, to be read without its plugin.
        stat.go_on_under(manifest)?;
    }
    let (store, replaced) = match stored.remove(ident) {
        Some(store) if store.is_of(manifest) => {
            database.drop_inactive(ident)?;
            (store, None)
        }
        Some(old) => {
            tracing::info!(stat = ident, "its version changed: its rows are rebuilt");
            // Rows of another version keep serving until the new ones are level.
            match begin(database, manifest, true) {
                Ok(store) => (store, Some(old)),
                Err(error) => {
                    stored.insert(ident.clone(), old);
                    return Err(error.into());
                }
            }
        }
        None => {
            let store = begin(database, manifest, false)?;
            database.drop_inactive(ident)?;
            (store, None)
        }
    };
    let served = replaced.as_ref().unwrap_or(&store).handle();
    let fields = manifest
        .fields
        .iter()
        .filter_map(|field| {
            let place = |(pointer, kind): &(String, FieldKind)| {
                *pointer == field.pointer && *kind == field.kind
            };
            Some((wanted.iter().position(place)?, field.kind))
        })
        .collect();
    Ok(Arc::new(StatShared {
        index,
        ident: manifest.ident.clone(),
        manifest: Arc::new(manifest.clone()),
        found: Arc::clone(plugin),
        outside: RwLock::default(),
        config: options.stat_config.get(&manifest.ident).cloned().unwrap_or_else(|| "{}".into()),
        worker: AtomicUsize::new(index % options.threads.max(1)),
        fields,
        filter: TopicFilter::new(&manifest.topics),
        limits: options.stat_limits,
        written: RwLock::new(store.handle()),
        served: RwLock::new(served),
        replaced: Mutex::new(replaced),
        store: Mutex::new(store),
        epoch: AtomicU64::new(1),
        health: Mutex::new(Health::new(StatState::Loading, now_us())),
        damage_reported: AtomicBool::new(false),
        controls: controls.clone(),
        watchers: Arc::clone(watchers),
    }))
}

/// Opens the rows of this version, or begins them with their cutoff; damaged ones are set aside,
/// loudly, and made anew from the logs. `beside`: those of another version go on serving.
pub(super) fn begin(
    database: &Database,
    manifest: &StatManifest,
    beside: bool,
) -> Result<StatStore, StoreError> {
    let open = || {
        if beside { database.open_beside(manifest) } else { database.open_stat(manifest) }
    };
    let mut store = match open() {
        Err(error) if error.is_damage() => {
            let reason = error.to_string();
            if beside {
                database.set_aside_beside(manifest, &reason)?;
            } else {
                database.set_aside(&manifest.ident, &reason)?;
            }
            open()?
        }
        outcome => outcome?,
    };
    if store.record().commit == 0
        && let Some(cutoff) = cutoff(manifest, now_us())
    {
        let record = StatRecord { cutoff_us: Some(cutoff), ..store.record().clone() };
        store.commit(&[], record)?;
    }
    Ok(store)
}

/// Reads the rows of `stat` again, after a commit whose outcome is unknown.
pub(super) fn reopen(database: &Database, stat: &StatShared) -> Result<(), StoreError> {
    let mut store = stat.store.lock();
    let rebuilding = database.serves(&stat.manifest)? == Some(false);
    let mut rows = begin(database, &stat.manifest, rebuilding)?;
    rows.succeed(&mut store);
    stat.go_on_in(&mut store, rows, rebuilding);
    Ok(())
}

/// The event time below which a stat that starts now folds nothing: the start of its coarsest window
/// at `now − delta`, so that no window is filled by half.
pub(crate) fn cutoff(manifest: &StatManifest, now_us: i64) -> Option<i64> {
    let delta = i64::try_from(manifest.backlog_delta_s?).ok()?.checked_mul(1_000_000)?;
    let windows = stored_models(manifest).into_iter().filter_map(|stored| stored.model.window_s);
    let coarsest = windows.max().unwrap_or(1);
    let window = i64::try_from(coarsest).ok()?.checked_mul(1_000_000)?;
    Some((now_us - delta).div_euclid(window) * window)
}

/// Plans how each log is read so that every stat is brought level.
pub(super) fn plan(
    stats: &[Arc<StatShared>],
    inputs: &[LogInput],
) -> Result<Vec<Plan>, EngineError> {
    inputs.iter().map(|input| plan_log(stats, input)).collect()
}

fn plan_log(stats: &[Arc<StatShared>], input: &LogInput) -> Result<Plan, EngineError> {
    let log = &*input.log;
    let mut places: Vec<(Offset, Target)> = Vec::new();
    for stat in stats {
        if !input.read_by(&stat.ident) || stat.is_quarantined() {
            continue;
        }
        match place(stat, log) {
            Ok(offset) => places.push((offset, stat.target(1))),
            Err(PlaceError::Diverged(reason)) => {
                tracing::error!(stat = stat.ident, log = log.name(), "{reason}");
                stat.set_state(StatState::Failed, reason);
            }
            Err(PlaceError::Engine(error)) => return Err(error),
        }
    }
    let Some(foremost) = places.iter().map(|(offset, _)| *offset).max() else {
        return Ok(Plan { live_from: log.end()?.offset, live: vec![], behind: None });
    };
    let near = |offset: Offset| offset == foremost || log.bytes(offset..foremost) <= NEAR_BYTES;
    let (live, behind): (Vec<_>, Vec<_>) = places.into_iter().partition(|(at, _)| near(*at));
    let first = |group: &[(Offset, Target)]| group.iter().map(|(at, _)| *at).min();
    let targets = |group: Vec<(Offset, Target)>| group.into_iter().map(|(_, t)| t).collect();
    Ok(Plan {
        live_from: first(&live).unwrap_or(foremost),
        behind: first(&behind).map(|from| (from, targets(behind))),
        live: targets(live),
    })
}

enum PlaceError {
    Diverged(String),
    Engine(EngineError),
}

impl From<StoreError> for PlaceError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<crate::log::LogError> for PlaceError {
    fn from(error: crate::log::LogError) -> Self {
        Self::Engine(error.into())
    }
}

/// The offset from which `stat` must fold `log`, after what is too old for it or lost was recorded.
fn place(stat: &StatShared, log: &dyn Log) -> Result<Offset, PlaceError> {
    let mut store = stat.store.lock();
    let record = store.snapshot().record().clone();
    let known = record.positions.get(&log.id());
    let position = known.map_or(log.start(), |at| at.end);
    if let Some(at) = known
        && position > log.start()
    {
        let ends = log.end()?.offset;
        let found = log.fingerprint(position)?;
        if position > ends
            || found.is_some_and(|hash| at.fingerprint != 0 && hash != at.fingerprint)
        {
            return Err(PlaceError::Diverged(format!(
                "log {} no longer holds the message at offset {} that was folded last: it was \
                 rewritten; put the old content back, or give the new content a name of its own",
                log.name(),
                position.0
            )));
        }
    }
    let now = now_us();
    let wanted = stat.manifest.backlog_delta_s.map(|_| {
        // A new stat's cutoff was made at its birth, a moment ago; a known stat's moves only with a jump.
        match known {
            None => record.cutoff_us.unwrap_or(i64::MIN),
            // A rebuild reaches back as far as the rows it replaces, however long it takes.
            Some(_) if stat.rebuilding() => record.cutoff_us.unwrap_or(i64::MIN),
            Some(_) => cutoff(&stat.manifest, now).unwrap_or(i64::MIN),
        }
    });
    let first = wanted.map_or(log.start(), |from| log.first_at(from));
    let next = position.max(first).max(log.start());
    if next > position {
        let mut jumped = record.clone();
        let entry = jumped.positions.entry(log.id()).or_default();
        let from_us = entry.largest_time_us;
        entry.end = next;
        entry.name = log.name().to_owned();
        entry.fingerprint = log.fingerprint(next)?.unwrap_or(0);
        if known.is_some() {
            let reason = if next == first { "older than the backlog delta" } else { "expired" };
            skip(
                &mut jumped.skipped,
                Span { log: log.id(), from_us, to_us: wanted.or(Some(now)), reason: reason.into() },
            );
            if wanted.is_some() {
                jumped.cutoff_us = wanted;
            }
            tracing::warn!(stat = stat.ident, log = log.name(), "skipped to {}: {reason}", next.0);
        }
        store.commit(&[], jumped)?;
    }
    Ok(next)
}

/// Records a skipped span. One that goes on where the last of its log ended makes that longer: a log of
/// old messages is jumped in at every start.
fn skip(skipped: &mut Vec<Span>, span: Span) {
    let same = |it: &&mut Span| it.log == span.log && it.reason == span.reason;
    match skipped.iter_mut().rev().find(same) {
        Some(last) if span.from_us <= last.to_us => last.to_us = last.to_us.max(span.to_us),
        _ => skipped.push(span),
    }
}
