//! Sorted, immutable rows in memory and as bytes: pages, deltas and what is not yet folded.
//!
//! A stored key is a row's key with a shard of two bytes (big-endian) behind it.
//! As bytes a row is `bytes shared with the key before, rest of the key (length, bytes),
//! value length * 2 + fresh, value`; numbers are LEB128.

use std::ops::Range;

use hashbrown::HashTable;
use statmill_plugin_api::encoding::leb128;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of the shard behind each stored key.
pub(crate) const SHARD: usize = 2;

/// A stored key without its shard.
pub(crate) fn bare(key: &[u8]) -> &[u8] {
    &key[..key.len() - SHARD]
}

/// Rows ascending by stored key, each key once.
#[derive(Debug, Default)]
pub(crate) struct RowSet {
    bytes: Vec<u8>,
    rows: Vec<RowAt>,
    fresh: u32,
    /// Rows by hash: in runs, where most lookups are for keys that are not there.
    index: HashTable<u32>,
}

#[derive(Clone, Copy, Debug)]
struct RowAt {
    start: usize,
    key: u32,
    value: u32,
    /// Number of fresh rows before this one.
    fresh_before: u32,
}

/// Hash of a key, as rows are found by.
pub(crate) fn hash(key: &[u8]) -> u32 {
    xxh3_64(key) as u32
}

// The table takes its tags from the top bits and its places from the bottom ones.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

impl RowSet {
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Heap memory, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() + self.rows.len() * size_of::<RowAt>() + self.index.allocation_size()
    }

    pub(crate) fn key(&self, row: usize) -> &[u8] {
        let at = self.rows[row];
        &self.bytes[at.start..at.start + at.key as usize]
    }

    pub(crate) fn value(&self, row: usize) -> &[u8] {
        let at = self.rows[row];
        let start = at.start + at.key as usize;
        &self.bytes[start..start + at.value as usize]
    }

    /// No older layer held the row when it was written: it counts as one row more.
    pub(crate) fn is_fresh(&self, row: usize) -> bool {
        self.fresh_before(row + 1) > self.fresh_before(row)
    }

    /// Number of fresh rows in `range`.
    pub(crate) fn fresh_in(&self, range: Range<usize>) -> u64 {
        u64::from(self.fresh_before(range.end.max(range.start)) - self.fresh_before(range.start))
    }

    fn fresh_before(&self, row: usize) -> u32 {
        self.rows.get(row).map_or(self.fresh, |at| at.fresh_before)
    }

    /// Number of rows at the start whose bare keys are all `before`.
    pub(crate) fn partition(&self, before: impl Fn(&[u8]) -> bool) -> usize {
        self.rows
            .partition_point(|at| before(bare(&self.bytes[at.start..at.start + at.key as usize])))
    }

    /// End of the rows from `start` on that are at most `rows` and about `bytes`, at least one.
    pub(crate) fn some(&self, start: usize, rows: usize, bytes: usize) -> usize {
        let most = self.rows.len().min(start + rows);
        let limit = self.rows[start].start + bytes;
        let end = start + self.rows[start..most].partition_point(|at| at.start < limit);
        end.max(start + 1)
    }

    /// Bytes of the keys and values of `range`.
    pub(crate) fn bytes_in(&self, range: Range<usize>) -> usize {
        let start = |row: usize| self.rows.get(row).map_or(self.bytes.len(), |at| at.start);
        start(range.end).saturating_sub(start(range.start))
    }

    /// Are both of the same keys?
    pub(crate) fn same_keys(&self, other: &Self) -> bool {
        self.len() == other.len() && (0..self.len()).all(|row| self.key(row) == other.key(row))
    }

    /// The row of a run with this key.
    pub(crate) fn find(&self, hash: u32, key: &[u8]) -> Option<usize> {
        let row = self.index.find(spread(hash), |&row| self.key(row as usize) == key);
        row.map(|&row| row as usize)
    }

    /// Makes a run of it, in which rows can be found by hash.
    pub(crate) fn indexed(mut self) -> Self {
        let hash = |&row: &u32| spread(hash(self.key(row as usize)));
        let mut index = HashTable::with_capacity(self.rows.len());
        for row in 0..self.rows.len() as u32 {
            index.insert_unique(hash(&row), row, hash);
        }
        self.index = index;
        self
    }

    /// The first row from `from` on whose stored key is `key` or greater; cheap where it is near.
    pub(crate) fn seek(&self, from: usize, key: &[u8]) -> usize {
        let mut step = 1;
        let mut low = from;
        while low + step <= self.len() && self.key(low + step - 1) < key {
            low += step;
            step *= 2;
        }
        let high = self.len().min(low + step);
        low + self.rows[low..high]
            .partition_point(|at| self.bytes[at.start..at.start + at.key as usize] < *key)
    }
}

/// Collects rows in ascending order.
#[derive(Default)]
pub(crate) struct RowSetBuilder(RowSet);

impl RowSetBuilder {
    /// The value of the row that was pushed last.
    pub(crate) fn last_value(&self) -> &[u8] {
        self.0.value(self.0.len() - 1)
    }

    pub(crate) fn push(&mut self, key: &[u8], value: &[u8], fresh: bool) {
        debug_assert!(self.0.is_empty() || self.0.key(self.0.len() - 1) < key);
        let Ok(()) = self.push_with(key, fresh, |bytes| {
            bytes.extend_from_slice(value);
            Ok::<_, std::convert::Infallible>(())
        });
    }

    /// Room for `rows` rows of `bytes` bytes together.
    pub(crate) fn with_capacity(rows: usize, bytes: usize) -> Self {
        let (bytes, rows) = (Vec::with_capacity(bytes), Vec::with_capacity(rows));
        Self(RowSet { bytes, rows, ..RowSet::default() })
    }

    /// As [`RowSetBuilder::push`]; `write` appends the value and nothing if it fails.
    pub(crate) fn push_with<E>(
        &mut self,
        key: &[u8],
        fresh: bool,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.0.bytes.len();
        self.0.bytes.extend_from_slice(key);
        let written = write(&mut self.0.bytes);
        if written.is_err() {
            self.0.bytes.truncate(start);
            return written;
        }
        self.end_row(start, key.len(), fresh);
        Ok(())
    }

    /// The bytes from `start` on are a row, the first `key` of them its key.
    fn end_row(&mut self, start: usize, key: usize, fresh: bool) {
        let value = (self.0.bytes.len() - start - key) as u32;
        let fresh_before = self.0.fresh;
        self.0.rows.push(RowAt { start, key: key as u32, value, fresh_before });
        self.0.fresh += u32::from(fresh);
    }

    /// Appends a row of another set.
    pub(crate) fn copy(&mut self, from: &RowSet, row: usize, fresh: bool) {
        let at = from.rows[row];
        let start = self.0.bytes.len();
        let end = at.start + at.key as usize + at.value as usize;
        self.0.bytes.extend_from_slice(&from.bytes[at.start..end]);
        self.0.rows.push(RowAt { start, fresh_before: self.0.fresh, ..at });
        self.0.fresh += u32::from(fresh);
    }

    /// The rows, without much more memory than they need.
    pub(crate) fn finish(mut self) -> RowSet {
        let (bytes, rows) = (self.0.bytes.len(), self.0.rows.len());
        self.0.bytes.shrink_to(bytes + bytes / 4);
        self.0.rows.shrink_to(rows + rows / 4);
        self.0
    }
}

/// What the rows of a table are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Rows of a model.
    #[default]
    Rows,
    /// Entries of an index, some of which say that they are gone.
    Index,
}

/// Appends rows to bytes, sharing what a key has in common with the one before.
#[derive(Default)]
pub(crate) struct RowWriter {
    pub(crate) bytes: Vec<u8>,
    last_key: Vec<u8>,
}

impl RowWriter {
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8], fresh: bool) {
        let shared = self.last_key.iter().zip(key).take_while(|(a, b)| a == b).count();
        leb128::push_u64(shared as u64, &mut self.bytes);
        put_bytes(&mut self.bytes, &key[shared..]);
        leb128::push_u64((value.len() as u64) << 1 | u64::from(fresh), &mut self.bytes);
        self.bytes.extend_from_slice(value);
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(&key[shared..]);
    }

    /// Appends to `bytes`, about `more` of them.
    pub(crate) fn after(mut bytes: Vec<u8>, more: usize) -> Self {
        bytes.reserve(more);
        Self { bytes, last_key: Vec::new() }
    }

    /// The next row is the first of another run of rows.
    pub(crate) fn begin_table(&mut self) {
        self.last_key.clear();
    }

    /// Most bytes [`RowWriter::push`] would add.
    pub(crate) fn cost(key: &[u8], value: &[u8]) -> usize {
        key.len() + value.len() + 12
    }
}

/// Reads `rows` rows as [`RowWriter`] wrote them; `None` if they are none.
pub(crate) fn read_rows(input: &mut &[u8], rows: u64) -> Option<RowSet> {
    let (mut ahead, mut bytes, mut count) = (*input, 0_usize, 0);
    // Room for all of it at once; whether it is sound is seen below.
    while count < rows
        && let Some((shared, rest, value, _)) = read_row(&mut ahead)
    {
        bytes = bytes.checked_add(shared)?.checked_add(rest.len() + value.len())?;
        count += 1;
    }
    // A row that shares much is long and takes few bytes: of bytes that are no rows, little is believed.
    let room = bytes.min(input.len().saturating_mul(16));
    let mut set = RowSetBuilder::with_capacity(count as usize, room);
    let mut last = 0..0;
    for row in 0..rows {
        let (shared, rest, value, fresh) = read_row(input)?;
        let RowSetBuilder(RowSet { bytes, .. }) = &mut set;
        let before = &bytes[last.clone()];
        // Ascending: the first byte that differs is greater, or the key before is a prefix.
        let ascends = match before.get(shared) {
            Some(byte) => rest.first() > Some(byte),
            None => shared == before.len() && !rest.is_empty(),
        };
        if (!ascends && row > 0) || shared > before.len() {
            return None;
        }
        let key = shared + rest.len();
        if key < SHARD || u32::try_from(key).is_err() || u32::try_from(value.len()).is_err() {
            return None;
        }
        let start = bytes.len();
        bytes.extend_from_within(last.start..last.start + shared);
        bytes.extend_from_slice(rest);
        bytes.extend_from_slice(value);
        last = start..start + key;
        set.end_row(start, key, fresh);
    }
    Some(set.finish())
}

/// Takes a row off the front: bytes shared with the key before, rest of the key, value, fresh.
fn read_row<'a>(input: &mut &'a [u8]) -> Option<(usize, &'a [u8], &'a [u8], bool)> {
    let shared = usize::try_from(get_number(input)?).ok()?;
    let rest = get_bytes(input)?;
    let length = get_number(input)?;
    let value = input.split_off(..usize::try_from(length >> 1).ok()?)?;
    Some((shared, rest, value, length & 1 == 1))
}

/// Takes an unsigned LEB128 number off the front.
pub(crate) fn get_number(input: &mut &[u8]) -> Option<u64> {
    leb128::take_u64(input, "a number").ok()
}

/// Appends a length and bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    leb128::push_u64(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Takes a length and bytes off the front.
pub(crate) fn get_bytes<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(get_number(input)?).ok()?;
    input.split_off(..length)
}
