//! Reading rows in the order of an index.

use std::ops::Bound;
use std::sync::Arc;

use statmill_plugin_api::encoding::push_window;

use super::StoreError;
use super::cut::KeyBounds;
use super::index::Index;
use super::pages::Pages;
use super::scan::{Merge, Order};
use super::snapshot::Pin;
use super::table::Table;

/// A row's place in the order of a column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ranked {
    /// The column's value, as `push_order` writes it.
    pub cell: Vec<u8>,
    /// The row's key.
    pub key: Vec<u8>,
}

/// An index and what it is kept in, as of one commit.
pub(crate) struct Indexed {
    pub(crate) table: Table,
    pub(crate) pages: Pages,
    pub(crate) index: Index,
    pub(crate) _pin: Arc<Pin>,
}

/// Most rows of one value that are held to be turned around; more are read again from their start.
const HELD_ROWS: usize = 64;

/// The places of rows, in the order of an index. Ends after an error.
pub struct RankedRows {
    of: Indexed,
    /// What the keys of all its entries begin with.
    window: Vec<u8>,
    order: Order,
    /// Ascending entries that come next: descending, those of one value; else all.
    run: Option<Merge>,
    /// Descending: the entries of one value, the next one last.
    held: Vec<Ranked>,
    /// Descending: the first entry of the value after that.
    next: Option<Ranked>,
    /// Descending: the values below.
    below: Option<Merge>,
    /// Why it could not begin, until that was told.
    failed: Option<StoreError>,
    ended: bool,
}

impl RankedRows {
    pub(crate) fn new(
        of: Indexed,
        window_us: Option<i64>,
        order: Order,
        after: Option<&Ranked>,
    ) -> Self {
        let mut window = Vec::new();
        window_us.inspect(|window_us| push_window(*window_us, &mut window));
        let mut rows = Self {
            of,
            window,
            order,
            run: None,
            held: Vec::new(),
            next: None,
            below: None,
            failed: None,
            ended: false,
        };
        rows.failed = rows.begin(after).err();
        rows
    }

    fn begin(&mut self, after: Option<&Ranked>) -> Result<(), StoreError> {
        let mut bounds = KeyBounds::prefix(&self.window);
        match (self.order, after) {
            (Order::Asc, after) => {
                if let Some(after) = after {
                    bounds.start = Bound::Excluded(self.of.index.key(&after.cell, &after.key));
                }
                self.run = Some(self.merge(bounds, Order::Asc)?);
            }
            (Order::Desc, Some(after)) => self.begin_value(&after.cell, Some(&after.key))?,
            (Order::Desc, None) => self.below = Some(self.merge(bounds, Order::Desc)?),
        }
        Ok(())
    }

    fn merge(&self, bounds: KeyBounds, order: Order) -> Result<Merge, StoreError> {
        let bounds = bounds.above(self.of.table.floor_us);
        Merge::new(&self.of.table, &self.of.pages, bounds, order, 0)
    }

    /// Goes on with the rows of one value, behind the row `after`, and then with smaller values.
    fn begin_value(&mut self, cell: &[u8], after: Option<&[u8]>) -> Result<(), StoreError> {
        let value = [self.window.as_slice(), cell].concat();
        let mut bounds = KeyBounds::prefix(&value);
        if let Some(after) = after {
            bounds.start = Bound::Excluded(self.of.index.key(cell, after));
        }
        self.run = Some(self.merge(bounds, Order::Asc)?);
        let mut below = KeyBounds::prefix(&self.window);
        below.end = Bound::Excluded(value);
        self.below = Some(self.merge(below, Order::Desc)?);
        Ok(())
    }

    fn read(&mut self) -> Result<Option<Ranked>, StoreError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        loop {
            if let Some(entry) = self.held.pop() {
                return Ok(Some(entry));
            }
            if let Some(run) = &mut self.run {
                if let Some(entry) = next_entry(run, &self.of.index)? {
                    return Ok(Some(entry));
                }
                self.run = None;
            }
            if !self.hold_value()? {
                return Ok(None);
            }
        }
    }

    /// Holds the entries of the next smaller value; `false` if there is none.
    fn hold_value(&mut self) -> Result<bool, StoreError> {
        let Some(below) = &mut self.below else { return Ok(false) };
        let first = match self.next.take() {
            Some(first) => first,
            None => match next_entry(below, &self.of.index)? {
                Some(first) => first,
                None => return Ok(false),
            },
        };
        self.held.push(first);
        while let Some(entry) = next_entry(below, &self.of.index)? {
            if entry.cell != self.held[0].cell {
                self.next = Some(entry);
                break;
            }
            if self.held.len() == HELD_ROWS {
                self.held.clear();
                self.begin_value(&entry.cell, None)?;
                break;
            }
            self.held.push(entry);
        }
        Ok(true)
    }
}

fn next_entry(merge: &mut Merge, index: &Index) -> Result<Option<Ranked>, StoreError> {
    while let Some((key, value)) = merge.next_stored()? {
        if let Some((cell, key)) = index.entry(super::rows::bare(key), value) {
            return Ok(Some(Ranked { cell, key }));
        }
    }
    Ok(None)
}

impl Iterator for RankedRows {
    type Item = Result<Ranked, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.read().transpose();
        self.ended = !matches!(row, Some(Ok(_)));
        row
    }
}

impl std::iter::FusedIterator for RankedRows {}
