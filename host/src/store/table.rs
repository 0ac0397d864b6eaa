//! One table as a reader sees it: what is not yet folded over the pages.
//!
//! Three layers, the upper winning: runs of recent commits, the frozen run that is being folded,
//! the pages. A row is *fresh* in the layer where it was first seen, so the rows of a range are
//! counted by adding up layers, without comparing them.

use std::sync::Arc;

use super::StoreError;
use super::cut::{Cut, KeyBounds};
use super::directory::{Directory, Place};
use super::pages::Pages;
use super::rows::{Kind, RowSet};

/// The layers of one table; cheap to clone, never changed once it is shared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) kind: Kind,
    /// Rows of recent commits, oldest first.
    pub(crate) runs: Vec<Arc<RowSet>>,
    /// Rows on their way into pages.
    pub(crate) frozen: Frozen,
    pub(crate) directory: Arc<Directory>,
    /// Rows of windows below it do not exist; µs.
    pub(crate) floor_us: Option<i64>,
    /// Number of stored rows at or above the floor; not kept for indexes.
    pub(crate) rows: u64,
}

/// Rows that are being folded; those before `start` are in pages already.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frozen {
    pub(crate) rows: Arc<RowSet>,
    pub(crate) start: usize,
}

impl Frozen {
    pub(crate) fn left(&self) -> usize {
        self.rows.len() - self.start
    }
}

impl Table {
    /// An empty index of a table with this floor.
    pub(crate) fn index(floor_us: Option<i64>) -> Self {
        Self { kind: Kind::Index, floor_us, ..Self::default() }
    }

    /// Number of rows before `cut`, those below the floor among them.
    pub(crate) fn rank(&self, pages: &Pages, cut: Cut<'_>) -> Result<u64, StoreError> {
        Ok(self.rank_in_pages(pages, cut)? + self.fresh_before(cut))
    }

    /// Number of rows within `bounds`.
    pub(crate) fn count(&self, pages: &Pages, bounds: &KeyBounds) -> Result<u64, StoreError> {
        let end = self.rank(pages, bounds.end())?;
        Ok(end.saturating_sub(self.rank(pages, bounds.start())?))
    }

    /// Number of rows before the page at `place`.
    pub(crate) fn rank_of_page(&self, place: Place) -> u64 {
        let first = super::rows::bare(&self.directory.entry(place).first_key);
        self.directory.rows_before(place) + self.fresh_before(Cut::Before(first))
    }

    fn rank_in_pages(&self, pages: &Pages, cut: Cut<'_>) -> Result<u64, StoreError> {
        if matches!(cut, Cut::Highest) {
            return Ok(self.directory.rows());
        }
        let Some(place) = self.directory.last_before(cut) else { return Ok(0) };
        let page = pages.read(self.directory.entry(place))?;
        let inside = page.partition(|key| cut.is_after(key));
        Ok(self.directory.rows_before(place) + inside as u64)
    }

    /// Number of rows before `cut` that no page holds.
    fn fresh_before(&self, cut: Cut<'_>) -> u64 {
        let end = |rows: &RowSet| rows.partition(|key| cut.is_after(key));
        let runs = self.runs.iter().map(|run| run.fresh_in(0..end(run))).sum::<u64>();
        runs + self.frozen.rows.fresh_in(self.frozen.start..end(&self.frozen.rows))
    }
}

/// Looks up ascending keys: in runs by hash, in pages from where the last was found.
pub(crate) struct Lookup<'a> {
    table: &'a Table,
    pages: &'a Pages,
    page: Option<PageAt>,
}

struct PageAt {
    rows: Arc<RowSet>,
    at: usize,
    next: Option<Place>,
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(table: &'a Table, pages: &'a Pages) -> Self {
        Self { table, pages, page: None }
    }

    /// The value stored under `key`, which is greater than every key asked for before.
    pub(crate) fn find(&mut self, hash: u32, key: &[u8]) -> Result<Option<&[u8]>, StoreError> {
        // Frozen rows that are in pages already are the same there.
        for rows in self.table.runs.iter().rev().chain([&self.table.frozen.rows]) {
            if let Some(row) = rows.find(hash, key) {
                return Ok(Some(rows.value(row)));
            }
        }
        let directory = &self.table.directory;
        let inside = self.page.as_ref().is_some_and(|page| {
            page.next.is_none_or(|next| *key < *directory.entry(next).first_key)
        });
        if !inside {
            let Some(place) = directory.covering(key) else { return Ok(None) };
            let rows = self.pages.read(directory.entry(place))?;
            self.page = Some(PageAt { rows, at: 0, next: directory.next(place) });
        }
        let Some(page) = &mut self.page else { return Ok(None) };
        page.at = page.rows.seek(page.at, key);
        let found = page.at < page.rows.len() && page.rows.key(page.at) == key;
        Ok(found.then(|| page.rows.value(page.at)))
    }
}
