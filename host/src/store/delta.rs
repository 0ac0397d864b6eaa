//! Deltas: the rows a commit changed, with their new absolute values.
//!
//! Record `d/<sequence u64>`: the number of rows of each table (LEB128), then the tables' rows
//! one after the other. Absolute values, so reading one twice does no harm.

use statmill_plugin_api::encoding::leb128;

use super::kv::{Batch, Tree};
use super::rows::{RowSet, RowWriter, get_number, read_rows};
use super::{StoreError, chunks};

const DELTA_KEY: usize = 2 + 8;

/// A delta that was read.
pub(crate) struct Delta {
    pub(crate) sequence: u64,
    pub(crate) parts: u32,
    /// For each table.
    pub(crate) rows: Vec<RowSet>,
}

/// Writes a delta; returns the number of its parts.
pub(crate) fn write(batch: &mut Batch, sequence: u64, tables: &[RowSet]) -> u32 {
    let mut body = Vec::new();
    tables.iter().for_each(|rows| leb128::push_u64(rows.len() as u64, &mut body));
    let mut writer = RowWriter::after(body, tables.iter().map(RowSet::bytes).sum());
    for rows in tables {
        for row in 0..rows.len() {
            writer.push(rows.key(row), rows.value(row), rows.is_fresh(row));
        }
        writer.begin_table();
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
        return Some(Delta { sequence, parts: record.parts, rows: Vec::new() });
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
    input.is_empty().then_some(Delta { sequence, parts: record.parts, rows })
}

fn key(sequence: u64) -> [u8; DELTA_KEY] {
    let mut key = *b"d/\0\0\0\0\0\0\0\0";
    key[2..].copy_from_slice(&sequence.to_be_bytes());
    key
}
