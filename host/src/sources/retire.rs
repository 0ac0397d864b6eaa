//! Retires fills at start, when nobody reads: what all readers have folded becomes a noted span.
//!
//! In this order, each step durable before the next and harmless when it is done twice: the rows and
//! positions that say it is folded; the note that it is ([`Retired::begin`]); the positions without it; its
//! identities, while the horizon holds them; its folder. Killed anywhere, the next start goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::host::HostError;
use crate::loader::Loaded;
use crate::log::fill::{Fill, FillState};
use crate::log::retired::Retired;
use crate::log::{Log, LogId, Offset};
use crate::project::Limits;
use crate::store::{Database, Position, Span, StatStore};

/// A fill with more messages than this is kept as it is until the horizon has passed it.
const SMALL: u64 = 1 << 16;

/// What tells how far fills are folded.
pub(super) struct Folded<'a> {
    pub(super) database: &'a Database,
    /// The rows that serve.
    pub(super) stats: &'a mut BTreeMap<String, StatStore>,
    pub(super) loaded: &'a Loaded,
}

/// Retires every fill that can be, and takes it out of `fills`.
///
/// `horizon_us` is the record time before which identities are promised no more; none = nothing came yet.
pub(super) fn retire(
    fills: &mut Vec<Arc<Fill>>,
    retired: &mut Retired,
    folded: Folded<'_>,
    horizon_us: Option<i64>,
    limits: &Limits,
) -> Result<(), HostError> {
    if fills.is_empty() && !retired.is_unfinished() {
        return Ok(());
    }
    let readers = readers(&folded)?;
    let due: Vec<_> = fills
        .iter()
        .filter(|fill| !retired.is_leaving(fill.id()))
        .filter(|fill| fill.segments().end_offset().0 <= SMALL || is_past(fill, horizon_us))
        .filter(|fill| folded_by_all(fill, &readers))
        .cloned()
        .collect();
    if !due.is_empty() {
        folded.database.sync()?;
        crate::fault::point("fill_retire");
        retired.begin(due.iter().map(|fill| &**fill))?;
        crate::fault::point("fill_retire");
    }
    if !retired.is_unfinished() {
        return Ok(());
    }
    let (leaving, staying): (Vec<_>, Vec<_>) =
        std::mem::take(fills).into_iter().partition(|fill| retired.is_leaving(fill.id()));
    *fills = staying;
    drop_positions(&leaving, folded)?;
    let taken = retired.taken_over()?;
    for fill in leaving {
        if !is_past(&fill, horizon_us) {
            retired.take_over(&fill, &taken, limits)?;
        }
        crate::fault::point("fill_retire");
        fill.delete()?;
    }
    retired.finish()?;
    Ok(())
}

/// Whether the horizon has passed all that the fill holds.
fn is_past(fill: &Fill, horizon_us: Option<i64>) -> bool {
    let newest_us = fill.segments().outline().iter().map(|segment| segment.2).max();
    let newest_us = newest_us.unwrap_or(i64::MIN);
    horizon_us.is_some_and(|horizon_us| newest_us < horizon_us)
}

/// How far each stat that has rows, or will have some, has folded its logs; none = it is being rebuilt, or its
/// first start is still to come, and it needs every fill.
type Readers = BTreeMap<String, Option<BTreeMap<LogId, Position>>>;

fn readers(folded: &Folded<'_>) -> Result<Readers, HostError> {
    let Folded { database, stats, loaded } = folded;
    let loaded = loaded.stats.iter().map(|(_, manifest)| manifest);
    let mut readers: Readers = loaded.clone().map(|stat| (stat.ident.clone(), None)).collect();
    for (ident, stat) in stats.iter() {
        let manifest = loaded.clone().find(|loaded| loaded.ident == *ident);
        let changed = manifest.is_some_and(|manifest| !stat.is_of(manifest));
        let level = !changed && !database.is_rebuilding(ident)?;
        readers.insert(ident.clone(), level.then(|| stat.record().positions.clone()));
    }
    Ok(readers)
}

/// Whether every stat that reads a complete fill, loaded or not, has committed all of it.
fn folded_by_all(fill: &Fill, readers: &Readers) -> bool {
    let (id, end) = (fill.id(), fill.segments().end_offset());
    let folded = |positions: &Option<BTreeMap<LogId, Position>>| {
        let position = positions.as_ref().map(|all| all.get(&id).map_or(Offset(0), |at| at.end));
        position.is_some_and(|position| position >= end)
    };
    // One that is neither loaded nor has rows was removed.
    fill.state() == FillState::Complete
        && fill.header().readers.iter().all(|reader| readers.get(reader).is_none_or(folded))
}

/// Takes the fills out of the records of all stats; what was counted in them stays counted, and what the
/// history could not give stays missing.
fn drop_positions(fills: &[Arc<Fill>], folded: Folded<'_>) -> Result<(), HostError> {
    for (ident, store) in folded.stats.iter_mut() {
        let mut record = store.record().clone();
        for fill in fills {
            if let Some(position) = record.positions.remove(&fill.id()) {
                record.retired.add(position);
            }
            let header = fill.header();
            for hole in header.holes.iter().filter(|_| header.readers.contains(ident)) {
                let span = Span {
                    log: fill.id(),
                    from_us: Some(hole.from_us),
                    to_us: Some(hole.to_us),
                    reason: hole.reason.clone(),
                };
                if !record.skipped.contains(&span) {
                    record.skipped.push(span);
                }
            }
        }
        if record != *store.record() {
            store.commit(&[], record)?;
        }
    }
    crate::fault::point("fill_retire");
    folded.database.sync()?;
    Ok(())
}
