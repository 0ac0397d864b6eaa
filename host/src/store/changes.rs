//! Merging increments into rows: what a commit is about to change.

use std::ops::Range;

use statmill_plugin_api::aggregate;
use statmill_plugin_api::encoding::{
    BlockReader, DecodeError, Value, WINDOW_LEN, check_key, key_window, rekey, window_start,
};
use statmill_plugin_api::manifest::{Aggregator, Measure, ModelManifest};

use super::StoreError;
use super::index::{Entries, Index};
use super::models::StoredModel;
use super::pages::Pages;
use super::rows::{RowSet, RowSetBuilder, SHARD, bare, hash};
use super::table::{Lookup, Table};
use crate::limits::{StatLimits, TooMuch};

/// What increments are merged with.
pub(crate) struct Current<'a> {
    pub(crate) ident: &'a str,
    pub(crate) models: &'a [StoredModel],
    pub(crate) indexes: &'a [Index],
    /// Those of the models, then those of the indexes.
    pub(crate) tables: &'a [Table],
    pub(crate) pages: &'a Pages,
    pub(crate) shard: u16,
    pub(crate) limits: StatLimits,
}

/// One drained row and the tables it may go to.
struct Increments<'a> {
    rows: Vec<Increment<'a>>,
    keys: Vec<u8>,
}

struct Increment<'a> {
    key: Range<usize>,
    value: &'a [u8],
}

impl Increments<'_> {
    /// Number of the first `rows`, about `at_once` of them, such that what follows has other keys.
    fn whole_keys(&self, rows: &[Increment<'_>], at_once: usize) -> usize {
        let key = |row: &Increment<'_>| &self.keys[row.key.clone()];
        let Some(last) = rows.get(at_once.saturating_sub(1)) else { return rows.len() };
        let same = rows[at_once..].iter().take_while(|row| key(row) == key(last));
        at_once + same.count()
    }
}

/// Merges `increments` (number of the model in the manifest, block) with the rows of tables, and hands the
/// new absolute values to `take`: number of the table, rows of at most `at_once` keys, ascending from call to
/// call; of an index all at once. Returns how many messages were below the floor of every model that could
/// hold them.
///
/// A row that is not there yet takes the increment's value; one below its table's floor is neither
/// made nor changed.
pub(crate) fn merge(
    current: &Current<'_>,
    increments: &[(usize, Vec<u8>)],
    at_once: usize,
    take: &mut dyn FnMut(usize, RowSet) -> Result<(), StoreError>,
) -> Result<u64, StoreError> {
    let Current { ident, models, indexes, tables, pages, shard, limits } = *current;
    let mut too_late = 0;
    let mut sources: Vec<usize> = increments.iter().map(|(source, _)| *source).collect();
    sources.sort_unstable();
    sources.dedup();
    for source in sources {
        let levels: Vec<usize> =
            (0..models.len()).filter(|&level| models[level].source == source).collect();
        let Some(&base) = levels.first() else {
            let model = format!("number {source}");
            let reason = "the manifest has no such model".to_owned();
            return Err(StoreError::BadIncrement { ident: ident.to_owned(), model, reason });
        };
        let model = &models[base].model;
        let bad = |error: DecodeError| StoreError::BadIncrement {
            ident: ident.to_owned(),
            model: model.name.clone(),
            reason: error.to_string(),
        };
        let too_much = |found: TooMuch| {
            let (ident, model) = (ident.to_owned(), model.name.clone());
            StoreError::TooMuch { ident, model, found }
        };
        let mut drained = Vec::new();
        for (_, block) in increments.iter().filter(|(of, _)| *of == source) {
            for row in BlockReader::new(block) {
                let (key, value) = row.map_err(bad)?;
                if model.window_s.is_some() && key.len() < WINDOW_LEN {
                    return Err(bad(DecodeError::Truncated { what: "a window" }));
                }
                limits.check_row(key.len() + value.len()).map_err(too_much)?;
                drained.push((key, value));
            }
        }
        limits.check_checkpoint(drained.len() as u64, 0).map_err(too_much)?;
        too_late += messages_below(models, tables, &levels, &drained).map_err(bad)?;
        for level in levels {
            let wanted = rekeyed(&models[level], &tables[level], shard, &drained);
            let index = indexes.iter().position(|index| index.record.of == level);
            let mut entries = index.map(|index| Entries::new(&indexes[index]));
            let table = &tables[level];
            let (mut rest, mut all) = (wanted.rows.as_slice(), table.rows);
            while !rest.is_empty() {
                let some = rest.split_off(..wanted.whole_keys(rest, at_once));
                let some = some.unwrap_or_default();
                let keys = &wanted.keys;
                let rows = with_current(model, table, pages, keys, some, entries.as_mut(), &bad)?;
                let fresh = rows.fresh_in(0..rows.len());
                all += fresh;
                // A model that has become too large by another limit may still change the rows it has.
                if fresh > 0 {
                    limits.check_model(all).map_err(too_much)?;
                }
                let largest =
                    (0..rows.len()).map(|row| rows.key(row).len() + rows.value(row).len());
                limits.check_row(largest.max().unwrap_or(0)).map_err(too_much)?;
                take(level, rows)?;
            }
            if let (Some(index), Some(entries)) = (index, entries) {
                take(models.len() + index, entries.finish())?;
            }
        }
    }
    Ok(too_late)
}

/// Counts the messages of the rows that no level may hold.
fn messages_below(
    models: &[StoredModel],
    tables: &[Table],
    levels: &[usize],
    drained: &[(&[u8], &[u8])],
) -> Result<u64, DecodeError> {
    if levels.iter().any(|&level| tables[level].floor_us.is_none()) {
        return Ok(0);
    }
    let mut messages: u64 = 0;
    for (key, value) in drained {
        let time_us = key_window(key);
        let held = levels.iter().any(|&level| holds(&models[level], &tables[level], time_us));
        if !held {
            let measures = &models[levels[0]].model.measures;
            messages = messages.saturating_add(messages_of(measures, value)?);
        }
    }
    Ok(messages)
}

/// How many messages a row stands for: its count, where it has one, else one.
fn messages_of(measures: &[Measure], mut value: &[u8]) -> Result<u64, DecodeError> {
    let count = measures.iter().position(|measure| measure.aggregator == Aggregator::Count);
    let Some(count) = count else { return Ok(1) };
    let mut values = Vec::new();
    for measure in &measures[..=count] {
        values.clear();
        aggregate::values(measure, &mut value, &mut values)?;
    }
    Ok(match values.first() {
        Some(Value::Int(count)) => u64::try_from(*count).unwrap_or(1),
        _ => 1,
    })
}

/// May the table hold a row of the base model's window that starts at `time_us`?
fn holds(stored: &StoredModel, table: &Table, time_us: i64) -> bool {
    table.floor_us.is_none_or(|floor_us| coarse(stored, time_us) >= floor_us)
}

fn coarse(stored: &StoredModel, time_us: i64) -> i64 {
    stored.window_us().map_or(time_us, |window_us| window_start(time_us, window_us))
}

/// The increments under the keys of one level, ascending.
fn rekeyed<'a>(
    stored: &StoredModel,
    table: &Table,
    shard: u16,
    drained: &[(&'a [u8], &'a [u8])],
) -> Increments<'a> {
    let bytes = drained.iter().map(|(key, _)| key.len() + SHARD).sum();
    let rows = Vec::with_capacity(drained.len());
    let mut increments = Increments { rows, keys: Vec::with_capacity(bytes) };
    let windowed = stored.model.window_s.is_some();
    for (key, value) in drained {
        let start = increments.keys.len();
        if windowed {
            let window_us = key_window(key);
            if !holds(stored, table, window_us) {
                continue;
            }
            rekey(key, coarse(stored, window_us), &mut increments.keys);
        } else {
            increments.keys.extend_from_slice(key);
        }
        increments.keys.extend_from_slice(&shard.to_be_bytes());
        increments.rows.push(Increment { key: start..increments.keys.len(), value });
    }
    let keys = &increments.keys;
    let key = |row: &Increment<'_>| &keys[row.key.clone()];
    if !increments.rows.is_sorted_by(|a, b| key(a) < key(b)) {
        increments.rows.sort_by(|a, b| key(a).cmp(key(b)));
    }
    increments
}

/// Merges increments of equal keys with each other and with what is stored; what that changes in the
/// table's index goes to `entries`.
fn with_current(
    model: &ModelManifest,
    table: &Table,
    pages: &Pages,
    keys: &[u8],
    wanted: &[Increment<'_>],
    mut entries: Option<&mut Entries<'_>>,
    bad: &impl Fn(DecodeError) -> StoreError,
) -> Result<RowSet, StoreError> {
    let key = |row: &Increment<'_>| &keys[row.key.clone()];
    let bytes = wanted.iter().map(|row| row.key.len() + row.value.len() + 8).sum();
    let mut changed = RowSetBuilder::with_capacity(wanted.len(), bytes);
    let mut lookup = Lookup::new(table, pages);
    let (mut value, mut merged) = (Vec::new(), Vec::new());
    let merge = |a: &[u8], b: &[u8], out: &mut Vec<u8>| {
        aggregate::merge(&model.measures, a, b, out).map_err(|error| {
            // Whose fault it is: the plugin's, if its own bytes do not pass.
            let checked = aggregate::check(&model.measures, b).map_err(bad);
            checked.err().unwrap_or_else(|| StoreError::damaged(&pages.name, error))
        })
    };
    for same in wanted.chunk_by(|a, b| key(a) == key(b)) {
        let (key, first) = (key(&same[0]), same[0].value);
        let hash = hash(key);
        let current = lookup.find(hash, key)?;
        let fresh = current.is_none();
        if fresh {
            // A key that is stored was checked when it came.
            check_key(model.window_s.is_some(), &model.dimensions, bare(key)).map_err(bad)?;
            aggregate::check(&model.measures, first).map_err(bad)?;
        }
        if let [_] = same {
            changed.push_with(key, fresh, |out| match current {
                Some(current) => merge(current, first, out),
                None => {
                    out.extend_from_slice(first);
                    Ok(())
                }
            })?;
        } else {
            value.clear();
            value.extend_from_slice(current.unwrap_or(first));
            for increment in &same[usize::from(fresh)..] {
                merged.clear();
                merge(&value, increment.value, &mut merged)?;
                std::mem::swap(&mut value, &mut merged);
            }
            changed.push(key, &value, fresh);
        }
        if let Some(entries) = &mut entries {
            let noted = entries.change(key, current, changed.last_value());
            noted.map_err(|error| StoreError::damaged(&pages.name, error))?;
        }
    }
    Ok(changed.finish())
}
