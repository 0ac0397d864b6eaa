//! A model's index: its rows once more, ordered by a column within their window.
//!
//! An index is a table of its own behind those of the models, kept by the same deltas and pages in
//! the same commits. The key of an entry is that of its row with the column's cell put between window
//! and dimensions; the value is one byte, the cell's length, or 0: the entry is gone. A row whose
//! column changed leaves an entry that is gone at its old place. Pages hold none of those.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use statmill_plugin_api::aggregate;
use statmill_plugin_api::encoding::{DecodeError, Value, WINDOW_LEN, push_num, push_value};
use statmill_plugin_api::manifest::{Aggregator, Measure, ModelManifest, ValueKind};

use super::StoreError;
use super::models::StoredModel;
use super::rows::{RowSet, RowSetBuilder};

/// Value of an entry that is gone.
const GONE: u8 = 0;

/// An index as the layout record names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexRecord {
    /// Of this one index: deltas name it, and those of an index that was dropped mean nothing.
    pub(crate) id: u64,
    /// Number of the table whose rows it orders.
    pub(crate) of: usize,
    /// The column it orders them by.
    pub(crate) column: String,
    /// It holds every row; else it is still being made, and nobody may read it.
    pub(crate) built: bool,
}

/// An index, with what it takes to keep it.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub(crate) record: IndexRecord,
    windowed: bool,
    measures: Vec<Measure>,
    /// The last of `measures`, and the column's place among its own.
    column: usize,
    kind: ValueKind,
    /// A row never gets a value again that it had before.
    one_way: bool,
}

/// The column that a model is to be indexed by: number of its measure, place in it, kind.
fn place(model: &ModelManifest, column: &str) -> Option<(usize, usize, ValueKind)> {
    model.measures.iter().enumerate().find_map(|(number, measure)| {
        let columns = aggregate::columns(measure);
        let at = columns.iter().position(|known| known.name == column)?;
        let kind = columns[at].kind;
        // Texts may be as long as a message: a copy of them is no index.
        (!matches!(kind, ValueKind::Text | ValueKind::Json)).then_some((number, at, kind))
    })
}

/// Why `index` of `model` cannot be kept, if it cannot.
pub(crate) fn refusal(model: &ModelManifest) -> Option<String> {
    let column = model.index.as_ref()?;
    place(model, column).is_none().then(|| {
        let measures = model.measures.iter().flat_map(aggregate::columns).map(|known| known.name);
        let measures: Vec<_> = measures.filter(|name| place(model, name).is_some()).collect();
        format!("{column:?} is no column to index by; there are {}", measures.join(", "))
    })
}

/// The indexes that the models declare, in the order of their tables: table and column.
pub(crate) fn wanted(models: &[StoredModel]) -> Vec<(usize, &str)> {
    let declared = models.iter().enumerate().filter_map(|(of, stored)| {
        let column = stored.model.index.as_deref()?;
        place(&stored.model, column).map(|_| (of, column))
    });
    declared.collect()
}

impl Index {
    /// The index of a record, among these models; `None` if it is not one of theirs.
    pub(crate) fn of(record: &IndexRecord, models: &[StoredModel]) -> Option<Self> {
        let model = &models.get(record.of)?.model;
        let (measure, column, kind) = place(model, &record.column)?;
        let measures = model.measures[..=measure].to_vec();
        let one_way = matches!(
            measures[measure].aggregator,
            Aggregator::Count | Aggregator::Min { .. } | Aggregator::Max { .. }
        );
        let windowed = model.window_s.is_some();
        Some(Self { record: record.clone(), windowed, measures, column, kind, one_way })
    }

    fn window(&self) -> usize {
        if self.windowed { WINDOW_LEN } else { 0 }
    }

    /// Appends the column's cell in the row value `value`.
    fn push_cell(
        &self,
        mut value: &[u8],
        scratch: &mut Vec<Value>,
        out: &mut Vec<u8>,
    ) -> Result<(), DecodeError> {
        if let Some((last, before)) = self.measures.split_last() {
            before.iter().try_for_each(|measure| aggregate::check_state(measure, &mut value))?;
            scratch.clear();
            aggregate::values(last, &mut value, scratch)?;
        }
        push_order(self.kind, scratch.get(self.column).unwrap_or(&Value::Null), out);
        Ok(())
    }

    /// Takes an entry's key and value apart: the column's cell and the row's key; `None` if it is
    /// gone.
    pub(crate) fn entry(&self, key: &[u8], value: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let length = value.first().copied().filter(|length| *length != GONE)?;
        let (window, rest) = key.split_at_checked(self.window())?;
        let (cell, dimensions) = rest.split_at_checked(length.into())?;
        Some((cell.to_vec(), [window, dimensions].concat()))
    }

    /// The key of the entry of a row.
    pub(crate) fn key(&self, cell: &[u8], row: &[u8]) -> Vec<u8> {
        let (window, dimensions) = row.split_at(self.window().min(row.len()));
        [window, cell, dimensions].concat()
    }
}

/// Is a row of an index gone?
pub(crate) fn is_gone(value: &[u8]) -> bool {
    value.first() == Some(&GONE)
}

/// Appends bytes that sort as values of a column of `kind` do: null first, then by value.
pub(crate) fn push_order(kind: ValueKind, value: &Value, out: &mut Vec<u8>) {
    match (kind, value) {
        // A sum of ints beyond `i128` reads as a num: larger or smaller than all that are not.
        (ValueKind::Int, Value::Num(number)) => {
            if *number > 0.0 {
                out.push(0xff);
            }
            push_num(*number, out);
        }
        _ => push_value(value, out),
    }
}

/// Collects what a commit changes in one index.
pub(crate) struct Entries<'a> {
    index: &'a Index,
    keys: Vec<u8>,
    entries: Vec<Entry>,
    scratch: Vec<Value>,
    cells: [Vec<u8>; 2],
}

struct Entry {
    key: Range<usize>,
    /// As the value says it.
    length: u8,
    fresh: bool,
}

impl<'a> Entries<'a> {
    pub(crate) fn new(index: &'a Index) -> Self {
        let (scratch, cells) = (Vec::new(), [Vec::new(), Vec::new()]);
        Self { index, keys: Vec::new(), entries: Vec::new(), scratch, cells }
    }

    /// Notes that the row with the stored key `key` has now the value `new` instead of `old`.
    pub(crate) fn change(
        &mut self,
        key: &[u8],
        old: Option<&[u8]>,
        new: &[u8],
    ) -> Result<(), DecodeError> {
        let [mut was, mut is] = std::mem::take(&mut self.cells);
        was.clear();
        is.clear();
        if let Some(old) = old {
            self.index.push_cell(old, &mut self.scratch, &mut was)?;
        }
        self.index.push_cell(new, &mut self.scratch, &mut is)?;
        if was != is {
            if old.is_some() {
                self.push(key, &was, GONE, false);
            }
            // No older layer holds the entry: only then may it vanish without a trace.
            let fresh = old.is_none() || self.index.one_way;
            self.push(key, &is, is.len() as u8, fresh);
        }
        self.cells = [was, is];
        Ok(())
    }

    fn push(&mut self, row: &[u8], cell: &[u8], length: u8, fresh: bool) {
        let start = self.keys.len();
        let (window, dimensions) = row.split_at(self.index.window());
        self.keys.extend_from_slice(window);
        self.keys.extend_from_slice(cell);
        self.keys.extend_from_slice(dimensions);
        self.entries.push(Entry { key: start..self.keys.len(), length, fresh });
    }

    /// The entries as rows.
    pub(crate) fn finish(mut self) -> RowSet {
        let keys = &self.keys;
        self.entries.sort_unstable_by(|a, b| keys[a.key.clone()].cmp(&keys[b.key.clone()]));
        let bytes = keys.len() + self.entries.len();
        let mut rows = RowSetBuilder::with_capacity(self.entries.len(), bytes);
        for entry in &self.entries {
            let Ok(()) = rows.push_with(&keys[entry.key.clone()], entry.fresh, |out| {
                out.push(entry.length);
                Ok::<_, std::convert::Infallible>(())
            });
        }
        rows.finish()
    }
}

/// Resolves the indexes of a layout.
pub(crate) fn resolve(
    name: &str,
    records: &[IndexRecord],
    models: &[StoredModel],
) -> Result<Vec<Index>, StoreError> {
    let index = |record: &IndexRecord| {
        let damaged = || StoreError::damaged(name, format!("index by {:?}", record.column));
        Index::of(record, models).ok_or_else(damaged)
    };
    records.iter().map(index).collect()
}
