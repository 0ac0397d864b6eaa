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
    /// The column's value, as [`push_order`](super::push_order) writes it.
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

/// The places of rows, in the order of an index. Ends after an error.
pub struct RankedRows {
    of: Indexed,
    /// What the keys of all its entries begin with.
    window: Vec<u8>,
    order: Order,
    /// What is left to read but for `run`.
    bounds: KeyBounds,
    /// Ascending entries: descending, those of one value; else all.
    run: Result<Option<Merge>, Option<StoreError>>,
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
        let bounds = KeyBounds::prefix(&window);
        let mut rows = Self { of, window, order, bounds, run: Ok(None) };
        match (order, after) {
            (Order::Asc, after) => {
                let mut bounds = rows.bounds.clone();
                if let Some(after) = after {
                    bounds.start = Bound::Excluded(rows.of.index.key(&after.cell, &after.key));
                }
                rows.read_from(bounds);
            }
            (Order::Desc, Some(after)) => rows.begin_value(&after.cell, Some(&after.key)),
            (Order::Desc, None) => {}
        }
        rows
    }

    fn read_from(&mut self, bounds: KeyBounds) {
        self.run = self.merge(bounds, Order::Asc).map(Some).map_err(Some);
    }

    fn merge(&self, bounds: KeyBounds, order: Order) -> Result<Merge, StoreError> {
        let bounds = bounds.above(self.of.table.floor_us);
        Merge::new(&self.of.table, &self.of.pages, bounds, order, 0)
    }

    /// Goes on with the rows of one value, behind the row `after`, and then with smaller values.
    fn begin_value(&mut self, cell: &[u8], after: Option<&[u8]>) {
        let value = [self.window.as_slice(), cell].concat();
        let mut bounds = KeyBounds::prefix(&value);
        if let Some(after) = after {
            bounds.start = Bound::Excluded(self.of.index.key(cell, after));
        }
        self.read_from(bounds);
        self.bounds.end = Bound::Excluded(value);
    }

    fn read(&mut self) -> Result<Option<Ranked>, StoreError> {
        loop {
            let run = match &mut self.run {
                Ok(run) => run,
                Err(error) => return error.take().map_or(Ok(None), Err),
            };
            if let Some(run) = run
                && let Some(entry) = next_entry(run, &self.of.index)?
            {
                return Ok(Some(entry));
            }
            if self.order == Order::Asc {
                return Ok(None);
            }
            let mut below = self.merge(self.bounds.clone(), Order::Desc)?;
            let Some(next) = next_entry(&mut below, &self.of.index)? else { return Ok(None) };
            self.begin_value(&next.cell, None);
        }
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
        let row = self.read().transpose();
        if !matches!(row, Some(Ok(_))) {
            self.run = Err(None);
        }
        row
    }
}

impl std::iter::FusedIterator for RankedRows {}
