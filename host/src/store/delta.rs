//! Deltas: the rows a commit changed, with their new absolute values.
//!
//! Record `d/<sequence u64>`: the number of rows of each table (LEB128), then the tables' rows
//! one after the other; then for each index that changed its id, its number of rows and the rows.
//! Absolute values, so reading one twice does no harm.

use statmill_plugin_api::encoding::leb128;

use super::kv::{Batch, Tree};
use super::rows::{RowSet, RowWriter, get_number, read_rows};
use super::{StoreError, chunks};

const DELTA_KEY: usize = 2 + 8;

/// A delta that was read.
pub(crate) struct Delta {
    pub(crate) sequence: u64,
    pub(crate) parts: u32,
    /// For each table of a model.
    pub(crate) rows: Vec<RowSet>,
    /// Ids of indexes, and their rows.
    pub(crate) indexes: Vec<(u64, RowSet)>,
}

/// Writes a delta; returns the number of its parts. `tables` are those of the models, and behind
/// them those of the indexes, whose ids are `indexes`.
pub(crate) fn write(batch: &mut Batch, sequence: u64, tables: &[RowSet], indexes: &[u64]) -> u32 {
    let room = tables.iter().map(RowSet::bytes).sum();
    let (tables, sorted) = tables.split_at(tables.len() - indexes.len());
    let mut body = Vec::new();
    tables.iter().for_each(|rows| leb128::push_u64(rows.len() as u64, &mut body));
    let mut writer = RowWriter::after(body, room);
    let put = |writer: &mut RowWriter, rows: &RowSet| {
        for row in 0..rows.len() {
            writer.push(rows.key(row), rows.value(row), rows.is_fresh(row));
        }
        writer.begin_table();
    };
    tables.iter().for_each(|rows| put(&mut writer, rows));
    for (id, rows) in indexes.iter().zip(sorted).filter(|(_, rows)| !rows.is_empty()) {
        leb128::push_u64(*id, &mut writer.bytes);
        leb128::push_u64(rows.len() as u64, &mut writer.bytes);
        put(&mut writer, rows);
    }
    chunks::put(batch, &key(sequence), &writer.bytes)
}

/// Removes a delta.
pub(crate) fn remove(batch: &mut Batch, sequence: u64, parts: u32) {
    chunks::remove(batch, &key(sequence), parts);
}

/// Reads all deltas, oldest first; of those before `from` only how many parts they have.
pub(crate) fn scan<'a>(
    tree: &'a dyn Tree,
    name: &'a str,
    tables: usize,
    from: u64,
) -> impl Iterator<Item = Result<Delta, StoreError>> + 'a {
    chunks::scan(tree, name, b"d/").map(move |record| {
        let record = record?;
        let decoded = decode(&record, tables, from);
        decoded
            .ok_or_else(|| StoreError::damaged(name, format!("delta {}", chunks::hex(&record.key))))
    })
}

fn decode(record: &chunks::Record, tables: usize, from: u64) -> Option<Delta> {
    let sequence = u64::from_be_bytes(record.key.get(2..)?.try_into().ok()?);
    if sequence < from {
        return Some(Delta {
            sequence,
            parts: record.parts,
            rows: Vec::new(),
            indexes: Vec::new(),
        });
    }
    let mut input = record.body.as_slice();
    let mut counts = Vec::with_capacity(tables);
    for _ in 0..tables {
        counts.push(get_number(&mut input)?);
    }
    let mut rows = Vec::with_capacity(tables);
    for count in counts {
        rows.push(read_rows(&mut input, count)?);
    }
    let mut indexes = Vec::new();
    while !input.is_empty() {
        let id = get_number(&mut input)?;
        let count = get_number(&mut input)?;
        indexes.push((id, read_rows(&mut input, count)?));
    }
    Some(Delta { sequence, parts: record.parts, rows, indexes })
}

fn key(sequence: u64) -> [u8; DELTA_KEY] {
    let mut key = *b"d/\0\0\0\0\0\0\0\0";
    key[2..].copy_from_slice(&sequence.to_be_bytes());
    key
}
