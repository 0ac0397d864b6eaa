//! A stat whose rows were damaged is made anew from its logs; what they no longer hold is a recorded loss.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::commit::raise_floors;
use super::reach::{Gone, gone, gone_from_start};
use super::stat::StatShared;
use super::{Shared, complete_at_rest, rebuild, resume};
use crate::clock::now_us;
use crate::log::Log;
use crate::query::{StatState, UtcTime};
use crate::store::{Database, Renewed, Span, StatRecord, StatStore, StoreError};

/// Reports every stat of which a fold or a query has found something damaged.
pub(super) fn report_damage(shared: &Shared) {
    for stat in &shared.stats {
        if let Some(reason) = stat.damage()
            && !stat.damage_reported.swap(true, Ordering::AcqRel)
        {
            stat.damaged(reason);
        }
    }
}

/// Sets damaged rows aside and begins them anew, in the place of the old ones.
///
/// # Errors
/// [`StoreError`]: the damage reaches further than the stat. The next start sets it aside.
pub(super) fn renew(
    shared: &Shared,
    stat: &Arc<StatShared>,
    reason: &str,
) -> Result<(), StoreError> {
    let database = &shared.database;
    let mut store = stat.store.lock();
    // The rows that a rebuild will replace may be sound, and then they go on serving.
    let beside = stat.rebuilding() && stat.served().damage().is_none();
    if beside {
        database.set_aside_beside(&stat.manifest, reason)?;
    } else {
        database.set_aside(&stat.ident, reason)?;
    }
    stat.go_on_in(&mut store, resume::begin(database, &stat.manifest, beside)?, beside);
    // A history is asked at a start only.
    let lost = begin(database, stat, &mut store, &shared.logs_of(&stat.ident), false)?;
    shared.lost.lock().extend(lost);
    drop(store);
    stat.damage_reported.store(false, Ordering::Release);
    Ok(())
}

/// Decides what a stat that is made anew keeps of other rows, and writes down what `logs` cannot give
/// again (`fetched`: what a history gave is asked again); answers with that in words. Nothing for a stat
/// that goes on.
pub(super) fn begin(
    database: &Database,
    stat: &StatShared,
    store: &mut StatStore,
    logs: &[rebuild::Read<'_>],
    fetched: bool,
) -> Result<Vec<String>, StoreError> {
    if stat.rebuilding() {
        let complete = complete_at_rest(database, &stat.ident);
        let words = rebuild::begin(store, &stat.served(), logs, fetched, complete.time_us())?;
        stat.set_state(StatState::Rebuilding, words);
    }
    let logs: Vec<&dyn Log> = logs.iter().map(|(log, _)| *log).collect();
    record_losses(database, store, &logs, fetched)
}

fn record_losses(
    database: &Database,
    store: &mut StatStore,
    logs: &[&dyn Log],
    fetched: bool,
) -> Result<Vec<String>, StoreError> {
    let ident = store.ident().to_owned();
    let Some(renewed) = database.renewed(&ident)? else { return Ok(Vec::new()) };
    let mut lost = Vec::new();
    if store.record().positions.is_empty() {
        let mut record = store.record().clone();
        for Gone { log, until_us, why } in what_is_lost(store, &renewed, logs, fetched) {
            let until = until_us.map_or_else(|| "unknown".into(), |us| UtcTime(us).to_string());
            let text = format!("{ident}: its rows were damaged, and {why} (up to {until})");
            tracing::error!("a recorded loss: {text}");
            lost.push(text);
            let from_us = Some(record.cutoff_us.unwrap_or(0));
            let reason = format!("rows were damaged, and {why}");
            record.skipped.push(Span { log, from_us, to_us: until_us, reason });
        }
        if !lost.is_empty() {
            store.commit(&[], record)?;
        }
    }
    database.forget_renewed(&ident)?;
    Ok(lost)
}

fn what_is_lost(
    store: &StatStore,
    renewed: &Renewed,
    logs: &[&dyn Log],
    fetched: bool,
) -> Vec<Gone> {
    let mut gone = match &renewed.record {
        Some(old) => gone(old, logs, fetched),
        None => gone_from_start(logs),
    };
    let wanted_from_us = wanted_from(store, renewed.record.as_ref());
    gone.retain(|gone| gone.until_us.is_none_or(|until_us| Some(until_us) >= wanted_from_us));
    gone
}

/// Messages before this time are in no row: they are older than the cutoff, or than what any model keeps.
fn wanted_from(store: &StatStore, old: Option<&StatRecord>) -> Option<i64> {
    let mut record = old.cloned().unwrap_or_default();
    raise_floors(&mut record, store.models(), now_us());
    let floor_us = record.floors_us.iter().copied().reduce(|a, b| Some(a?.min(b?))).flatten();
    floor_us.max(store.record().cutoff_us)
}
