//! Folding: rows of the frozen run go into the pages they belong to.
//!
//! Only touched pages are written, each under a new number; a step folds a bounded number of rows,
//! so that the work of a large fold is spread over many commits.

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use statmill_plugin_api::encoding::key_window;

use super::StoreError;
use super::directory::{self, Directory, Entry, Leaf, Place};
use super::garbage::Numbers;
use super::index::is_gone;
use super::kv::Batch;
use super::pages::{self, Pages};
use super::rows::{Kind, RowSet, RowSetBuilder, RowWriter, bare};
use super::table::Table;

/// Most frozen rows, and about the bytes of them, that go into one page's place at once.
const GROUP_ROWS: usize = 4_096;
const GROUP_BYTES: usize = 256 << 10;

/// What a step changed beside the table.
#[derive(Default)]
pub(crate) struct Folded {
    /// Pages that no directory names any more, with their parts.
    pub(crate) freed: Vec<(u64, u32)>,
    /// Pages that were made, by number.
    pub(crate) written: FxHashMap<u64, Written>,
    /// Their number, a page of one long row counted by its parts.
    pub(crate) parts: usize,
}

/// A page that was made.
pub(crate) struct Written {
    pub(crate) parts: u32,
    pub(crate) rows: Arc<RowSet>,
}

impl Folded {
    /// Reads a page that may be one of those that are not stored yet.
    fn read(&self, store: &Pages, entry: &Entry) -> Result<Arc<RowSet>, StoreError> {
        let own = self.written.get(&entry.page);
        own.map_or_else(|| store.read(entry), |written| Ok(written.rows.clone()))
    }
}

/// How a table's keys and windows are to be read.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) table: u16,
    pub(crate) windowed: bool,
}

/// Folds frozen rows until `rows` are done or `most_pages` are written, at least one page's worth.
pub(crate) fn step(
    table: &mut Table,
    shape: Shape,
    store: &Pages,
    mut numbers: Numbers<'_>,
    batch: &mut Batch,
    rows: usize,
    most_pages: usize,
) -> Result<Folded, StoreError> {
    let frozen = table.frozen.rows.clone();
    let range = table.frozen.start..table.frozen.start.saturating_add(rows.max(1));
    let mut folding = Folding::new(table, shape, store);
    table.frozen.start = folding.fold(&frozen, range, &mut numbers, batch, most_pages)?;
    let (directory, folded) = folding.finish(batch, numbers.next);
    table.directory = Arc::new(directory);
    Ok(folded)
}

/// A table's pages while rows go into them.
pub(crate) struct Folding<'a> {
    shape: Shape,
    kind: Kind,
    floor_us: Option<i64>,
    store: &'a Pages,
    edit: Edit,
    pub(crate) folded: Folded,
}

impl<'a> Folding<'a> {
    pub(crate) fn new(table: &Table, shape: Shape, store: &'a Pages) -> Self {
        Self {
            shape,
            kind: table.kind,
            floor_us: table.floor_us,
            store,
            edit: Edit::new(&table.directory),
            folded: Folded::default(),
        }
    }

    /// Folds rows from the start of `range` on, until its end is reached or `most_pages` are written, at
    /// least one page's worth; returns the row it came to, which may lie behind the end.
    pub(crate) fn fold(
        &mut self,
        rows: &RowSet,
        range: Range<usize>,
        numbers: &mut Numbers<'_>,
        batch: &mut Batch,
        most_pages: usize,
    ) -> Result<usize, StoreError> {
        let most = self.folded.parts + most_pages;
        let mut start = range.start;
        while start < rows.len().min(range.end) && self.folded.parts < most {
            start = self.fold_page(rows, start, numbers, batch)?;
        }
        Ok(start)
    }

    /// Folds the rows from `start` on that belong into the place of one page; returns their end.
    fn fold_page(
        &mut self,
        rows: &RowSet,
        start: usize,
        numbers: &mut Numbers<'_>,
        batch: &mut Batch,
    ) -> Result<usize, StoreError> {
        let Self { shape, kind, floor_us, store, ref mut edit, ref mut folded } = *self;
        let mut place = edit.covering(rows.key(start));
        let next = place.and_then(|place| edit.next_key(place));
        let mut end = next.map_or(rows.len(), |next| rows.seek(start, next));
        end = end.min(rows.some(start, GROUP_ROWS, GROUP_BYTES));
        let mut old = place.map(|place| edit.entry(place).clone());
        let page = old.as_ref().map(|entry| folded.read(store, entry)).transpose()?;
        let kept =
            |key: &[u8]| !shape.windowed || floor_us.is_none_or(|floor| key_window(key) >= floor);
        let mut merged = merge(page.as_deref(), rows, start..end, kind, kept);
        if kind == Kind::Index && page.as_ref().is_some_and(|page| page.same_keys(&merged)) {
            return Ok(end);
        }
        let at_end = next.is_none();
        // Entries that are gone leave pages with few: those go to the page before.
        if kind == Kind::Index
            && pages::filled(&merged) < pages::PAGE_ROOM / 4
            && let (Some(emptied), Some(entry)) = (place, old.take())
        {
            folded.freed.push((entry.page, entry.parts));
            edit.replace(Some(emptied), Vec::new(), numbers.next);
            place = (!merged.is_empty()).then(|| edit.covering(merged.key(0))).flatten();
            old = place.map(|place| edit.entry(place).clone());
            if let Some(entry) = &old {
                let before = folded.read(store, entry)?;
                merged = merge(Some(&before), &merged, 0..merged.len(), kind, kept);
            }
        }
        let appended =
            at_end && page.as_ref().is_none_or(|page| page.key(page.len() - 1) < rows.key(start));
        let mut entries = Vec::new();
        for range in pages::cut(&merged, 0, !appended) {
            let page = numbers.page();
            let (entry, rows) = write_page(batch, page, &merged, range, shape.windowed);
            let parts = entry.parts;
            folded.parts += parts as usize;
            folded.written.insert(entry.page, Written { parts, rows });
            entries.push(entry);
        }
        folded.freed.extend(old.map(|entry| (entry.page, entry.parts)));
        edit.replace(place, entries, numbers.next);
        Ok(end)
    }

    /// Writes the directory that names the pages.
    pub(crate) fn finish(self, batch: &mut Batch, ids: &mut u64) -> (Directory, Folded) {
        (self.edit.finish(batch, self.shape.table, ids), self.folded)
    }
}

/// Takes the pages that lie wholly below the floor out of the directory.
pub(crate) fn drop_below_floor(
    table: &mut Table,
    shape: Shape,
    ids: &mut u64,
    batch: &mut Batch,
) -> Folded {
    let mut folded = Folded::default();
    let Some(floor_us) = table.floor_us.filter(|_| shape.windowed) else { return folded };
    let below = |entry: &Entry| entry.last_window_us < floor_us;
    if !table.directory.first().is_some_and(|first| below(table.directory.entry(first))) {
        return folded;
    }
    let mut edit = Edit::new(&table.directory);
    while let Some(leaf) = edit.leaves.first() {
        let gone = leaf.entries.partition_point(below);
        if gone == 0 {
            break;
        }
        let removed = edit.change(0).entries.drain(..gone);
        folded.freed.extend(removed.map(|entry| (entry.page, entry.parts)));
        if !edit.leaves[0].entries.is_empty() {
            break;
        }
        edit.vacate(0);
    }
    table.directory = Arc::new(edit.finish(batch, shape.table, ids));
    folded
}

fn merge(
    page: Option<&RowSet>,
    frozen: &RowSet,
    range: Range<usize>,
    kind: Kind,
    kept: impl Fn(&[u8]) -> bool,
) -> RowSet {
    let none = RowSet::default();
    let page = page.unwrap_or(&none);
    let bytes = page.bytes_in(0..page.len()) + frozen.bytes_in(range.clone());
    let mut merged = RowSetBuilder::with_capacity(page.len() + range.len(), bytes);
    let mut old = 0;
    for row in range {
        let key = frozen.key(row);
        while old < page.len() && page.key(old) < key {
            if kept(page.key(old)) {
                merged.push(page.key(old), page.value(old), false);
            }
            old += 1;
        }
        if old < page.len() && page.key(old) == key {
            old += 1;
        }
        if kept(key) && !(kind == Kind::Index && is_gone(frozen.value(row))) {
            merged.push(key, frozen.value(row), false);
        }
    }
    for row in old..page.len() {
        if kept(page.key(row)) {
            merged.push(page.key(row), page.value(row), false);
        }
    }
    merged.finish()
}

fn write_page(
    batch: &mut Batch,
    (page, parts_before): (u64, u32),
    rows: &RowSet,
    range: Range<usize>,
    windowed: bool,
) -> (Entry, Arc<RowSet>) {
    let mut writer = RowWriter::after(Vec::new(), pages::PAGE_ROOM);
    let mut kept = RowSetBuilder::with_capacity(range.len(), rows.bytes_in(range.clone()));
    let last = range.end - 1;
    for row in range.clone() {
        writer.push(rows.key(row), rows.value(row), false);
        kept.push(rows.key(row), rows.value(row), false);
    }
    let parts = pages::write(batch, page, &writer.bytes, parts_before);
    let last_window_us = if windowed { key_window(bare(rows.key(last))) } else { 0 };
    let first_key = rows.key(range.start).into();
    let entry = Entry { first_key, page, parts, rows: range.len() as u32, last_window_us };
    (entry, Arc::new(kept.finish()))
}

/// A directory being changed: leaves are copied when they are first touched.
struct Edit {
    leaves: Vec<Arc<Leaf>>,
    changed: Vec<bool>,
    emptied: Vec<Arc<Leaf>>,
}

impl Edit {
    fn new(directory: &Directory) -> Self {
        let leaves = directory.leaves().to_vec();
        let changed = vec![false; leaves.len()];
        Self { leaves, changed, emptied: Vec::new() }
    }

    fn entry(&self, place: Place) -> &Entry {
        &self.leaves[place.leaf].entries[place.entry]
    }

    fn change(&mut self, leaf: usize) -> &mut Leaf {
        self.changed[leaf] = true;
        Arc::make_mut(&mut self.leaves[leaf])
    }

    /// The page whose place `key` is: the last that begins at or before it, else the first.
    fn covering(&self, key: &[u8]) -> Option<Place> {
        let begins = |leaf: &Arc<Leaf>| *leaf.entries[0].first_key <= *key;
        let leaf = self.leaves.partition_point(begins).saturating_sub(1);
        let entries = &self.leaves.get(leaf)?.entries;
        let entry = entries.partition_point(|entry| *entry.first_key <= *key).saturating_sub(1);
        Some(Place { leaf, entry })
    }

    fn next_key(&self, place: Place) -> Option<&[u8]> {
        let same = self.leaves[place.leaf].entries.get(place.entry + 1);
        let next = same.or_else(|| self.leaves.get(place.leaf + 1)?.entries.first());
        next.map(|entry| &*entry.first_key)
    }

    fn replace(&mut self, place: Option<Place>, entries: Vec<Entry>, ids: &mut u64) {
        if let Some(place) = place {
            self.change(place.leaf).entries.splice(place.entry..=place.entry, entries);
            if self.leaves[place.leaf].entries.is_empty() {
                self.vacate(place.leaf);
            }
        } else if !entries.is_empty() {
            let leaf = Leaf { id: directory::next_id(ids), parts: 0, hash: 0, entries };
            self.leaves.push(Arc::new(leaf));
            self.changed.push(true);
        }
    }

    /// Sets an empty leaf aside, where searches do not meet it.
    fn vacate(&mut self, leaf: usize) {
        self.changed.remove(leaf);
        self.emptied.push(self.leaves.remove(leaf));
    }

    fn finish(self, batch: &mut Batch, model: u16, ids: &mut u64) -> Directory {
        let mut leaves = Vec::with_capacity(self.leaves.len());
        for leaf in self.emptied {
            directory::write(batch, model, &leaf, ids);
        }
        for (leaf, changed) in self.leaves.into_iter().zip(self.changed) {
            if changed {
                leaves.extend(directory::write(batch, model, &leaf, ids));
            } else {
                leaves.push(leaf);
            }
        }
        Directory::new(leaves)
    }
}
