//! Blocks: rows in ascending key order.

use std::ops::Range;

use super::{DecodeError, leb128};

/// Writes a block.
#[derive(Clone, Debug, Default)]
pub struct BlockWriter {
    bytes: Vec<u8>,
    rows: u64,
    last_key: Range<usize>,
}

impl BlockWriter {
    /// A block without rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a row; its key must sort after the one before it, else the block will not be read.
    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        debug_assert!(self.rows == 0 || self.bytes[self.last_key.clone()] < *key, "keys ascend");
        leb128::push_u64(key.len() as u64, &mut self.bytes);
        self.last_key = self.bytes.len()..self.bytes.len() + key.len();
        self.bytes.extend_from_slice(key);
        leb128::push_u64(value.len() as u64, &mut self.bytes);
        self.bytes.extend_from_slice(value);
        self.rows += 1;
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The block so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The block.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads the rows (key, value) of a block whose bytes are not to be trusted. Ends after an error.
///
/// Checks lengths and that keys ascend; what keys and values hold is checked by
/// [`check_key`](super::check_key) and [`crate::aggregate::check`].
#[derive(Clone, Debug)]
pub struct BlockReader<'a> {
    rest: &'a [u8],
    rows: u64,
    last_key: &'a [u8],
}

impl<'a> BlockReader<'a> {
    /// Reads `block` from its start.
    #[must_use]
    pub fn new(block: &'a [u8]) -> Self {
        Self { rest: block, rows: 0, last_key: &[] }
    }

    fn row(&mut self) -> Result<(&'a [u8], &'a [u8]), DecodeError> {
        let key = take_bytes(&mut self.rest, "a row's key")?;
        let value = take_bytes(&mut self.rest, "a row's value")?;
        if self.rows > 0 && key <= self.last_key {
            return Err(DecodeError::Unordered { row: self.rows });
        }
        self.last_key = key;
        self.rows += 1;
        Ok((key, value))
    }
}

impl<'a> Iterator for BlockReader<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let row = self.row();
        if row.is_err() {
            self.rest = &[];
        }
        Some(row)
    }
}

impl std::iter::FusedIterator for BlockReader<'_> {}

fn take_bytes<'a>(rest: &mut &'a [u8], what: &'static str) -> Result<&'a [u8], DecodeError> {
    let len = usize::try_from(leb128::take_u64(rest, what)?);
    let (bytes, after) = len
        .ok()
        .and_then(|len| rest.split_at_checked(len))
        .ok_or(DecodeError::Truncated { what })?;
    *rest = after;
    Ok(bytes)
}
