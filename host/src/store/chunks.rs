//! Records of any length as values of at most 4,000 bytes, each with its own checksum.
//!
//! sled moves nodes with large values into files of their own, which it writes without fsync;
//! values up to 4,000 bytes with their key never are. A record of key `k` is stored as parts
//! `k ++ part number (u32, big-endian)`, each
//! `format (1 byte), CRC-32 of key and rest (4), number of parts (4), bytes`, little-endian.

use super::StoreError;
use super::kv::{Batch, Tree};

/// Most bytes of a stored key and its value together.
pub(crate) const STORED_MAX: usize = 4_000;
/// Version of the form of parts.
pub(crate) const FORMAT: u8 = 1;
const HEADER: usize = 9;
const PART: usize = 4;

/// Most bytes of a record under a key of `key_bytes` that fit into one part.
pub(crate) const fn room(key_bytes: usize) -> usize {
    STORED_MAX - key_bytes - PART - HEADER
}

/// Puts `body` under `key` in as many parts as it takes; returns their number.
pub(crate) fn put(batch: &mut Batch, key: &[u8], body: &[u8]) -> u32 {
    let room = room(key.len());
    let parts = body.len().div_ceil(room).max(1) as u32;
    for part in 0..parts {
        let from = part as usize * room;
        let bytes = &body[from..body.len().min(from + room)];
        let stored_key = part_key(key, part);
        let mut value = Vec::with_capacity(HEADER + bytes.len());
        value.push(FORMAT);
        value.extend_from_slice(&[0; 4]);
        value.extend_from_slice(&parts.to_le_bytes());
        value.extend_from_slice(bytes);
        let crc = checksum(&stored_key, &value[5..]);
        value[1..5].copy_from_slice(&crc.to_le_bytes());
        batch.put(stored_key, value);
    }
    parts
}

/// Puts `body` under `key` where a record of `before` parts was; returns the number of parts.
pub(crate) fn replace(batch: &mut Batch, key: &[u8], body: &[u8], before: u32) -> u32 {
    let parts = put(batch, key, body);
    (parts..before).for_each(|part| batch.remove(part_key(key, part)));
    parts
}

/// Removes the record of `parts` parts under `key`.
pub(crate) fn remove(batch: &mut Batch, key: &[u8], parts: u32) {
    (0..parts).for_each(|part| batch.remove(part_key(key, part)));
}

/// Reads the record under `key` and the number of its parts.
pub(crate) fn get(
    tree: &dyn Tree,
    name: &str,
    key: &[u8],
) -> Result<Option<(Vec<u8>, u32)>, StoreError> {
    let Some(first) = tree.get(&part_key(key, 0))? else { return Ok(None) };
    let mut body = Vec::new();
    let parts = open(name, &part_key(key, 0), &first, &mut body)?;
    for part in 1..parts {
        let stored_key = part_key(key, part);
        let value = tree.get(&stored_key)?;
        let value = value.ok_or_else(|| missing(name, key, part))?;
        if open(name, &stored_key, &value, &mut body)? != parts {
            return Err(missing(name, key, part));
        }
    }
    Ok(Some((body, parts)))
}

/// A record that [`scan`] found.
pub(crate) struct Record {
    pub(crate) key: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) parts: u32,
}

/// Reads all records whose keys begin with `prefix`, ascending; one in memory at a time.
pub(crate) fn scan<'a>(
    tree: &'a dyn Tree,
    name: &'a str,
    prefix: &[u8],
) -> impl Iterator<Item = Result<Record, StoreError>> + 'a {
    let mut entries = tree.scan(prefix);
    std::iter::from_fn(move || {
        let first = entries.next()?;
        Some(first.and_then(|(stored_key, value)| {
            let mut body = Vec::new();
            let parts = open(name, &stored_key, &value, &mut body)?;
            let key = stored_key[..stored_key.len() - PART].to_vec();
            if stored_key != part_key(&key, 0) {
                return Err(missing(name, &key, 0));
            }
            for part in 1..parts {
                let (stored_key, value) =
                    entries.next().transpose()?.ok_or_else(|| missing(name, &key, part))?;
                if stored_key != part_key(&key, part)
                    || open(name, &stored_key, &value, &mut body)? != parts
                {
                    return Err(missing(name, &key, part));
                }
            }
            Ok(Record { key, body, parts })
        }))
    })
}

/// Checks one part and appends its bytes to `body`; returns the number of parts.
fn open(name: &str, key: &[u8], value: &[u8], body: &mut Vec<u8>) -> Result<u32, StoreError> {
    let damaged = |what: &str| StoreError::damaged(name, format!("record {}: {what}", hex(key)));
    if key.len() < PART || value.len() < HEADER {
        return Err(damaged("too short"));
    }
    if value[0] != FORMAT {
        let what = format!("record {} of {name}", hex(key));
        return Err(StoreError::Newer { what, found: value[0].into(), known: FORMAT.into() });
    }
    let number =
        |at: usize| u32::from_le_bytes([value[at], value[at + 1], value[at + 2], value[at + 3]]);
    if checksum(key, &value[5..]) != number(1) {
        return Err(damaged("checksum does not match"));
    }
    body.extend_from_slice(&value[HEADER..]);
    Ok(number(5))
}

// The key is part of the sum: a value in the wrong place is as wrong as a changed one.
fn checksum(key: &[u8], rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(rest);
    hasher.finalize()
}

fn part_key(key: &[u8], part: u32) -> Vec<u8> {
    let mut stored = Vec::with_capacity(key.len() + PART);
    stored.extend_from_slice(key);
    stored.extend_from_slice(&part.to_be_bytes());
    stored
}

fn missing(name: &str, key: &[u8], part: u32) -> StoreError {
    StoreError::damaged(name, format!("record {}: part {part} is missing", hex(key)))
}

/// Base 16, lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// Bytes of base 16 text; `None` if it is none.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some((digit(pair[0])? << 4 | digit(*pair.get(1)?)?) as u8)).collect()
}
