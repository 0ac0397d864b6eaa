//! The directory of a table's pages: which page holds which keys, and how many rows.
//!
//! It is kept in memory, immutable and shared, and on disk as records of its own, one for each
//! leaf of some dozens of pages, so that opening a store never lists its pages. A leaf's record
//! `x/<model u16><leaf u64>` is a number of entries, then for each
//! `first key (bytes shared with the one before, length, rest), page, parts, rows, last window`;
//! numbers are LEB128, the last window is 8 bytes, big-endian, 0 for tables without windows.

use std::sync::Arc;

use statmill_plugin_api::encoding::leb128;

use super::cut::Cut;
use super::kv::Batch;
use super::rows::{SHARD, bare, get_bytes, get_number, put_bytes};
use super::{StoreError, chunks};

const LEAF_KEY: usize = 2 + 2 + 8;
const LEAF_ROOM: usize = chunks::room(LEAF_KEY);

/// A page, as its directory knows it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Stored key of the first row; its window is the smallest of the page.
    pub(crate) first_key: Box<[u8]>,
    pub(crate) page: u64,
    pub(crate) parts: u32,
    pub(crate) rows: u32,
    /// The largest window start of the page, µs; 0 for tables without windows.
    pub(crate) last_window_us: i64,
}

/// A record of the directory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaf {
    pub(crate) id: u64,
    pub(crate) parts: u32,
    /// Hash of its record and number.
    pub(crate) hash: u64,
    pub(crate) entries: Vec<Entry>,
}

/// All pages of a table, ascending by key.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    leaves: Vec<Arc<Leaf>>,
    /// Rows in the leaves before each.
    before: Vec<u64>,
    rows: u64,
    sum: u64,
}

/// A page's place in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) leaf: usize,
    pub(crate) entry: usize,
}

impl Directory {
    /// A directory of leaves, none of them empty, ascending by key.
    pub(crate) fn new(leaves: Vec<Arc<Leaf>>) -> Self {
        let mut rows = 0;
        let before = leaves.iter().map(|leaf| {
            let before = rows;
            rows += leaf.entries.iter().map(|entry| u64::from(entry.rows)).sum::<u64>();
            before
        });
        let before = before.collect();
        let sum = leaves.iter().fold(0, |sum: u64, leaf| sum.wrapping_add(leaf.hash));
        Self { leaves, before, rows, sum }
    }

    /// Sum of the hashes of its leaves: two directories with the same sum are the same.
    pub(crate) fn sum(&self) -> u64 {
        self.sum
    }

    pub(crate) fn leaves(&self) -> &[Arc<Leaf>] {
        &self.leaves
    }

    /// Number of rows in all pages.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    pub(crate) fn entry(&self, place: Place) -> &Entry {
        &self.leaves[place.leaf].entries[place.entry]
    }

    /// Number of rows in the pages before `place`.
    pub(crate) fn rows_before(&self, place: Place) -> u64 {
        let leaf = &self.leaves[place.leaf].entries[..place.entry];
        self.before[place.leaf] + leaf.iter().map(|entry| u64::from(entry.rows)).sum::<u64>()
    }

    /// The last page whose first key lies before `cut`.
    pub(crate) fn last_before(&self, cut: Cut<'_>) -> Option<Place> {
        self.last_where(|entry| cut.is_after(bare(&entry.first_key)))
    }

    /// The last page whose first stored key is `key` or less.
    pub(crate) fn covering(&self, key: &[u8]) -> Option<Place> {
        self.last_where(|entry| *entry.first_key <= *key)
    }

    fn last_where(&self, test: impl Fn(&Entry) -> bool) -> Option<Place> {
        self.last_place(|place| test(self.entry(place)))
    }

    /// The last page for which `test` holds; it must hold for a run of pages from the first on.
    pub(crate) fn last_place(&self, test: impl Fn(Place) -> bool) -> Option<Place> {
        let partition = |length: usize, test: &dyn Fn(usize) -> bool| {
            let (mut low, mut high) = (0, length);
            while low < high {
                let middle = low.midpoint(high);
                if test(middle) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            low.checked_sub(1)
        };
        let leaf = partition(self.leaves.len(), &|leaf| test(Place { leaf, entry: 0 }))?;
        let entries = self.leaves[leaf].entries.len();
        let entry = partition(entries, &|entry| test(Place { leaf, entry }))?;
        Some(Place { leaf, entry })
    }

    pub(crate) fn first(&self) -> Option<Place> {
        (!self.leaves.is_empty()).then_some(Place { leaf: 0, entry: 0 })
    }

    pub(crate) fn next(&self, place: Place) -> Option<Place> {
        if place.entry + 1 < self.leaves[place.leaf].entries.len() {
            return Some(Place { leaf: place.leaf, entry: place.entry + 1 });
        }
        (place.leaf + 1 < self.leaves.len()).then_some(Place { leaf: place.leaf + 1, entry: 0 })
    }

    pub(crate) fn previous(&self, place: Place) -> Option<Place> {
        if place.entry > 0 {
            return Some(Place { leaf: place.leaf, entry: place.entry - 1 });
        }
        let leaf = place.leaf.checked_sub(1)?;
        Some(Place { leaf, entry: self.leaves[leaf].entries.len() - 1 })
    }
}

/// Writes a leaf that changed, as several where it has grown too long for one record; `ids` gives
/// numbers to new leaves. An empty leaf is removed.
pub(crate) fn write(batch: &mut Batch, model: u16, leaf: &Leaf, ids: &mut u64) -> Vec<Arc<Leaf>> {
    if leaf.entries.is_empty() {
        chunks::remove(batch, &leaf_key(model, leaf.id), leaf.parts);
        return Vec::new();
    }
    let mut leaves = Vec::new();
    let (mut id, mut parts) = (leaf.id, leaf.parts);
    for entries in split(&leaf.entries) {
        let body = encode(entries);
        let parts_now = chunks::replace(batch, &leaf_key(model, id), &body, parts);
        let (hash, entries) = (leaf_hash(id, &body), entries.to_vec());
        leaves.push(Arc::new(Leaf { id, parts: parts_now, hash, entries }));
        (id, parts) = (next_id(ids), 0);
    }
    leaves
}

/// Removes all leaves of a table; returns its pages and their parts.
pub(crate) fn remove(batch: &mut Batch, table: u16, directory: &Directory) -> Vec<(u64, u32)> {
    let leaves = directory.leaves();
    leaves.iter().for_each(|leaf| chunks::remove(batch, &leaf_key(table, leaf.id), leaf.parts));
    let pages = leaves.iter().flat_map(|leaf| &leaf.entries);
    pages.map(|entry| (entry.page, entry.parts)).collect()
}

/// Reads the directories of `models` tables.
pub(crate) fn load(
    tree: &dyn super::kv::Tree,
    name: &str,
    models: usize,
) -> Result<Vec<Directory>, StoreError> {
    let mut leaves: Vec<Vec<Arc<Leaf>>> = vec![Vec::new(); models];
    for record in chunks::scan(tree, name, b"x/") {
        let record = record?;
        let damaged =
            || StoreError::damaged(name, format!("directory record {}", chunks::hex(&record.key)));
        let model = record.key.get(2..4).and_then(|bytes| bytes.try_into().ok());
        let id = record.key.get(4..12).and_then(|bytes| bytes.try_into().ok());
        let (Some(model), Some(id)) = (model.map(u16::from_be_bytes), id.map(u64::from_be_bytes))
        else {
            return Err(damaged());
        };
        let entries = decode(&record.body).filter(|entries| !entries.is_empty());
        let entries = entries.ok_or_else(damaged)?;
        let of_model = leaves.get_mut(usize::from(model)).ok_or_else(damaged)?;
        let hash = leaf_hash(id, &record.body);
        of_model.push(Arc::new(Leaf { id, parts: record.parts, hash, entries }));
    }
    let sorted = leaves.into_iter().map(|mut leaves| {
        leaves.sort_unstable_by(|a, b| a.entries[0].first_key.cmp(&b.entries[0].first_key));
        let all = leaves.iter().flat_map(|leaf| &leaf.entries);
        if !all.is_sorted_by(|a, b| a.first_key < b.first_key) {
            return Err(StoreError::damaged(name, "directory records overlap"));
        }
        Ok(Directory::new(leaves))
    });
    sorted.collect()
}

/// Takes the next unused number.
pub(crate) fn next_id(ids: &mut u64) -> u64 {
    *ids += 1;
    *ids - 1
}

fn split(entries: &[Entry]) -> Vec<&[Entry]> {
    let cost = |entry: &Entry| entry.first_key.len() + 40;
    let total: usize = entries.iter().map(cost).sum();
    if total <= LEAF_ROOM {
        return vec![entries];
    }
    // Leaves three quarters full: the next pages of a leaf shall not split it at once.
    let target = LEAF_ROOM * 3 / 4;
    let (mut start, mut filled, mut leaves) = (0, 0, Vec::new());
    for (at, entry) in entries.iter().enumerate() {
        if at > start && filled + cost(entry) > target {
            leaves.push(&entries[start..at]);
            (start, filled) = (at, 0);
        }
        filled += cost(entry);
    }
    leaves.push(&entries[start..]);
    leaves
}

fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    leb128::push_u64(entries.len() as u64, &mut out);
    let mut last: &[u8] = &[];
    for entry in entries {
        let shared = last.iter().zip(&entry.first_key).take_while(|(a, b)| a == b).count();
        leb128::push_u64(shared as u64, &mut out);
        put_bytes(&mut out, &entry.first_key[shared..]);
        for number in [entry.page, entry.parts.into(), entry.rows.into()] {
            leb128::push_u64(number, &mut out);
        }
        out.extend_from_slice(&entry.last_window_us.to_be_bytes());
        last = &entry.first_key;
    }
    out
}

fn decode(mut input: &[u8]) -> Option<Vec<Entry>> {
    let count = get_number(&mut input)?;
    let mut entries = Vec::new();
    let mut key = Vec::new();
    for _ in 0..count {
        let shared = usize::try_from(get_number(&mut input)?).ok()?;
        let rest = get_bytes(&mut input)?;
        key = key.get(..shared)?.to_vec();
        key.extend_from_slice(rest);
        let page = get_number(&mut input)?;
        let parts = u32::try_from(get_number(&mut input)?).ok()?;
        let rows = u32::try_from(get_number(&mut input)?).ok()?;
        let window = input.split_off(..8)?.try_into().ok()?;
        let last_window_us = i64::from_be_bytes(window);
        if key.len() < SHARD {
            return None;
        }
        let first_key = key.clone().into_boxed_slice();
        entries.push(Entry { first_key, page, parts, rows, last_window_us });
    }
    input.is_empty().then_some(entries)
}

fn leaf_hash(id: u64, body: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(body, id)
}

fn leaf_key(model: u16, leaf: u64) -> [u8; LEAF_KEY] {
    let mut key = *b"x/\0\0\0\0\0\0\0\0\0\0";
    key[2..4].copy_from_slice(&model.to_be_bytes());
    key[4..].copy_from_slice(&leaf.to_be_bytes());
    key
}
