//! Sets of rows laid over each other: the newer win.

use std::borrow::Borrow;
use std::sync::Arc;

use super::index::is_gone;
use super::rows::{Kind, RowSet, RowSetBuilder};

/// Lays `new` over `old`; rows of `new` win, and a row fresh in either is fresh. An entry of an index
/// that came and went above all layers that could hold it is left out.
fn overlay(old: &RowSet, new: &RowSet, kind: Kind) -> RowSet {
    let (rows, bytes) =
        (old.len() + new.len(), old.bytes_in(0..old.len()) + new.bytes_in(0..new.len()));
    let mut merged = RowSetBuilder::with_capacity(rows, bytes);
    let mut i = 0;
    for j in 0..new.len() {
        let end = old.seek(i, new.key(j));
        (i..end).for_each(|row| merged.copy(old, row, old.is_fresh(row)));
        let same = end < old.len() && old.key(end) == new.key(j);
        let was_fresh = same && old.is_fresh(end);
        if kind == Kind::Rows || !was_fresh || !is_gone(new.value(j)) {
            merged.copy(new, j, new.is_fresh(j) || was_fresh);
        }
        i = end + usize::from(same);
    }
    (i..old.len()).for_each(|row| merged.copy(old, row, old.is_fresh(row)));
    merged.finish()
}

/// Lays many over each other, oldest first, as [`overlay`] would one after the other, and makes a run of
/// them: each row is copied once.
pub(crate) fn overlay_all<S: Borrow<RowSet>>(sets: &[S], kind: Kind) -> RowSet {
    let sets: Vec<&RowSet> = sets.iter().map(Borrow::borrow).collect();
    let rows = sets.iter().map(|rows| rows.len()).sum();
    let mut order: Vec<(u32, u32)> = Vec::with_capacity(rows);
    for (set, rows) in sets.iter().enumerate() {
        order.extend((0..rows.len()).map(|row| (set as u32, row as u32)));
    }
    let key = |&(set, row): &(u32, u32)| sets[set as usize].key(row as usize);
    // Stable: of equal keys the newest is the last; and quick, for each set is in order already.
    order.sort_by(|a, b| key(a).cmp(key(b)));
    let newest = |same: &[(u32, u32)]| {
        let (set, row) = same[same.len() - 1];
        (sets[set as usize], row as usize)
    };
    let same = || order.chunk_by(|a, b| key(a) == key(b));
    let room = same().map(|same| {
        let (set, row) = newest(same);
        set.key(row).len() + set.value(row).len()
    });
    let (rows, bytes) = room.fold((0, 0), |(rows, bytes), room| (rows + 1, bytes + room));
    let mut merged = RowSetBuilder::with_capacity(rows, bytes);
    for same in same() {
        let fresh = same.iter().any(|&(set, row)| sets[set as usize].is_fresh(row as usize));
        let (set, row) = newest(same);
        if kind == Kind::Rows || !fresh || !is_gone(set.value(row)) {
            merged.copy(set, row, fresh);
        }
    }
    let merged = merged.finish();
    if kind == Kind::Rows { merged.indexed() } else { merged }
}

/// Runs of about so many bytes are not merged any further: copying them again would cost more than a look
/// into one run more, and twice their memory.
const LONG_RUN: usize = 1 << 20;

/// Puts `newest` on a stack of runs, oldest first, merging short ones so that each is at least twice as long
/// as the next: lookups see few runs, and a row is copied a logarithmic number of times.
pub(crate) fn stack(runs: &mut Vec<Arc<RowSet>>, newest: RowSet, kind: Kind) {
    if newest.is_empty() {
        return;
    }
    let mut newest = newest;
    let is_short = |run: &RowSet| run.bytes_in(0..run.len()) < LONG_RUN;
    // Only the last of the merges is looked into.
    while let Some(last) = runs.last()
        && is_short(last)
        && is_short(&newest)
        && last.len() < 2 * newest.len()
    {
        newest = overlay(last, &newest, kind);
        runs.pop();
    }
    // Entries of an index are never looked up by their key.
    let newest = if kind == Kind::Rows { newest.indexed() } else { newest };
    if !newest.is_empty() {
        runs.push(Arc::new(newest));
    }
}
