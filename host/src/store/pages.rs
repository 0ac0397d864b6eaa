//! Pages: immutable runs of rows of one table, at most 4,000 bytes unless one row alone is larger.
//!
//! A page is never changed: rows are folded into new pages under new numbers, so a reader that
//! holds an old directory goes on seeing what it saw. Decoded pages are cached with a bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::damage::Damage;
use super::directory::Entry;
use super::kv::{Batch, Tree};
use super::rows::{RowSet, RowWriter, read_rows};
use super::{StoreError, chunks};

/// Most bytes of a page's rows.
pub(crate) const PAGE_ROOM: usize = chunks::room(PAGE_KEY);
const PAGE_KEY: usize = 2 + 8;

/// The pages of one statistic.
#[derive(Clone)]
pub(crate) struct Pages {
    pub(crate) tree: Arc<dyn Tree>,
    pub(crate) name: Arc<str>,
    pub(crate) damage: Damage,
    cache: Arc<PageCache>,
    owner: u32,
}

impl Pages {
    pub(crate) fn new(tree: Arc<dyn Tree>, name: &str, cache: Arc<PageCache>) -> Self {
        let owner = cache.owners.fetch_add(1, Ordering::Relaxed);
        Self { tree, name: name.into(), damage: Damage::default(), cache, owner }
    }

    /// Reads a page that a directory names; notes if it is damaged.
    pub(crate) fn read(&self, entry: &Entry) -> Result<Arc<RowSet>, StoreError> {
        if let Some(rows) = self.cache.get((self.owner, entry.page)) {
            return Ok(rows);
        }
        self.read_stored(entry).inspect_err(|error| self.damage.note(error))
    }

    fn read_stored(&self, entry: &Entry) -> Result<Arc<RowSet>, StoreError> {
        let damaged = || StoreError::damaged(&self.name, format!("page {}", entry.page));
        let (body, _) = chunks::get(&*self.tree, &self.name, &page_key(entry.page))?
            .ok_or_else(|| StoreError::damaged(&self.name, format!("no page {}", entry.page)))?;
        let mut input = body.as_slice();
        let rows = read_rows(&mut input, entry.rows.into()).ok_or_else(damaged)?;
        if !input.is_empty() || rows.is_empty() || rows.key(0) != &*entry.first_key {
            return Err(damaged());
        }
        let rows = Arc::new(rows);
        self.keep(entry.page, &rows);
        Ok(rows)
    }

    /// Remembers a page that was just written, for it is likely to be read next.
    pub(crate) fn keep(&self, page: u64, rows: &Arc<RowSet>) {
        self.cache.put((self.owner, page), rows.clone());
    }
}

/// Writes a page where one of `before` parts was; returns the number of its parts.
pub(crate) fn write(batch: &mut Batch, page: u64, body: &[u8], before: u32) -> u32 {
    chunks::replace(batch, &page_key(page), body, before)
}

/// Removes a page.
pub(crate) fn remove(batch: &mut Batch, page: u64, parts: u32) {
    chunks::remove(batch, &page_key(page), parts);
}

fn page_key(page: u64) -> [u8; PAGE_KEY] {
    let mut key = *b"g/\0\0\0\0\0\0\0\0";
    key[2..].copy_from_slice(&page.to_be_bytes());
    key
}

/// About how many bytes of a page the rows take.
pub(crate) fn filled(rows: &RowSet) -> usize {
    (0..rows.len()).map(|row| RowWriter::cost(rows.key(row), rows.value(row))).sum()
}

/// Cuts ascending rows into pages.
///
/// `even` makes them about equally long (so that each has room for more), else they are filled:
/// right where rows only ever come at the end.
pub(crate) fn cut(rows: &RowSet, from: usize, even: bool) -> Vec<std::ops::Range<usize>> {
    let cost = |row: usize| RowWriter::cost(rows.key(row), rows.value(row));
    let total: usize = (from..rows.len()).map(cost).sum();
    let target = if even { total.div_ceil(total.div_ceil(PAGE_ROOM).max(1)) } else { PAGE_ROOM };
    let mut pages = Vec::new();
    let (mut start, mut filled) = (from, 0);
    for row in from..rows.len() {
        let cost = cost(row);
        if row > start && (filled + cost > PAGE_ROOM || filled >= target) {
            pages.push(start..row);
            (start, filled) = (row, 0);
        }
        filled += cost;
    }
    if start < rows.len() {
        pages.push(start..rows.len());
    }
    pages
}

/// Decoded pages of all statistics, the least recently used half dropped when full.
pub(crate) struct PageCache {
    halves: Mutex<Halves>,
    half_bytes: usize,
    owners: AtomicU32,
}

#[derive(Default)]
struct Halves {
    young: FxHashMap<(u32, u64), Arc<RowSet>>,
    old: FxHashMap<(u32, u64), Arc<RowSet>>,
    young_bytes: usize,
}

impl PageCache {
    /// A cache of about `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { halves: Mutex::default(), half_bytes: bytes / 2, owners: AtomicU32::new(0) }
    }

    fn get(&self, id: (u32, u64)) -> Option<Arc<RowSet>> {
        let mut halves = self.halves.lock();
        if let Some(rows) = halves.young.get(&id) {
            return Some(rows.clone());
        }
        let rows = halves.old.remove(&id)?;
        halves.insert(id, rows.clone(), self.half_bytes);
        Some(rows)
    }

    /// In the place of what another page of that number held.
    fn put(&self, id: (u32, u64), rows: Arc<RowSet>) {
        let mut halves = self.halves.lock();
        halves.remove(id);
        halves.insert(id, rows, self.half_bytes);
    }
}

impl Halves {
    fn remove(&mut self, id: (u32, u64)) {
        self.old.remove(&id);
        if let Some(rows) = self.young.remove(&id) {
            self.young_bytes -= cost(&rows);
        }
    }

    fn insert(&mut self, id: (u32, u64), rows: Arc<RowSet>, half_bytes: usize) {
        let bytes = cost(&rows);
        // A page of one huge row is not worth all others.
        if bytes > half_bytes / 4 {
            return;
        }
        if self.young_bytes + bytes > half_bytes {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        if self.young.insert(id, rows).is_none() {
            self.young_bytes += bytes;
        }
    }
}

/// What a page takes in the cache.
fn cost(rows: &RowSet) -> usize {
    const ENTRY: usize = 96;
    rows.bytes() + ENTRY
}
