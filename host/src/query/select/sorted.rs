//! Rows in the order of a column: by the model's index where that can tell, else by reading them all.
//!
//! Either way places are found in blocks, each behind the one before it, so that memory is bounded
//! wherever in the order a page lies. Equal values are ordered by key, ascending, in both directions.

use std::cell::RefCell;
use std::collections::BinaryHeap;

use statmill_plugin_api::encoding::Value;
use statmill_plugin_api::manifest::ValueKind;

use super::Row;
use super::scan::{Scan, to_usize};
use crate::query::run::QueryError;
use crate::store::{KeyBounds, Order, Ranked, StoreError, push_order};

/// Most places of one block, and about the most bytes of them.
const BLOCK_ROWS: u64 = 65_536;
const BLOCK_BYTES: usize = 16 << 20;

/// The order of a query that sorts.
pub(super) struct Sorting {
    /// The column's place in the whole row.
    column: usize,
    kind: ValueKind,
    order: Order,
    source: Source,
    /// The place behind which all of it begins.
    behind: Option<Ranked>,
    /// The places that were found last: who reads part by part goes on where it was.
    block: RefCell<Block>,
}

enum Source {
    /// The index, of the window that starts here or of a model without windows.
    Index { window_us: Option<i64> },
    /// All rows that match.
    Rows,
}

#[derive(Default)]
struct Block {
    start: u64,
    places: Vec<Ranked>,
}

impl Block {
    fn end(&self) -> u64 {
        self.start + self.places.len() as u64
    }
}

impl Sorting {
    /// The order of the rows of `scan` by the column at place `column`.
    pub(super) fn new(
        scan: &Scan<'_>,
        column: usize,
        order: Order,
        max_rows: u64,
    ) -> Result<Self, QueryError> {
        let found = &scan.shape.columns()[column];
        let kind = found.kind;
        let is_indexed = scan.snapshot.index_column(scan.model) == Some(found.name.as_str());
        let source = match indexed_window(scan)? {
            Some(window_us) if is_indexed => Source::Index { window_us },
            _ => {
                scan.check_rows("sorting", max_rows)?;
                Source::Rows
            }
        };
        Ok(Self { column, kind, order, source, behind: None, block: RefCell::default() })
    }

    /// Begins behind a place.
    pub(super) fn begin_behind(&mut self, mut place: Ranked) {
        self.turn(&mut place.cell);
        self.behind = Some(place);
    }

    /// The column's value in a row of these cells, encoded.
    pub(super) fn cell(&self, cells: &[Value]) -> Vec<u8> {
        let mut cell = Vec::new();
        push_order(self.kind, &cells[self.column], &mut cell);
        cell
    }

    /// Has the cells that are read of rows ascend whatever the order. No cell is the beginning of another
    /// one: turned bits turn the order.
    fn turn(&self, cell: &mut [u8]) {
        if let (Source::Rows, Order::Desc) = (&self.source, self.order) {
            cell.iter_mut().for_each(|byte| *byte = !*byte);
        }
    }

    /// The rows at the places from `skip` on, `take` of them.
    pub(super) fn page(
        &self,
        scan: &Scan<'_>,
        skip: u64,
        take: u64,
    ) -> Result<Vec<Row>, QueryError> {
        let mut block = self.block.borrow_mut();
        if skip < block.start {
            *block = Block::default();
        }
        let mut found: Vec<Ranked> = Vec::new();
        while found.len() < to_usize(take) {
            let place = skip + found.len() as u64;
            let Some(ranked) = block.places.get(to_usize(place - block.start)) else {
                // Who asks for more than the first block reads on, most likely to the end.
                let most = if block.end() == 0 { skip.saturating_add(take) } else { BLOCK_ROWS };
                let after = block.places.last().or(self.behind.as_ref());
                let places = self.next(scan, after, most.min(BLOCK_ROWS))?;
                if places.is_empty() {
                    break;
                }
                *block = Block { start: block.end(), places };
                continue;
            };
            scan.clock.check(found.len())?;
            found.push(ranked.clone());
        }
        let keys: Vec<_> = found.iter().map(|ranked| ranked.key.as_slice()).collect();
        let values = scan.values(&keys)?;
        let ident = &scan.snapshot.manifest().ident;
        let missing = || StoreError::damaged(ident, "an index names a row that is not there");
        let rows = found.into_iter().zip(values);
        rows.map(|(ranked, value)| Ok((ranked.key, value.ok_or_else(missing)?))).collect()
    }

    /// The places behind `after`, at most `most` of them.
    fn next(
        &self,
        scan: &Scan<'_>,
        after: Option<&Ranked>,
        most: u64,
    ) -> Result<Vec<Ranked>, QueryError> {
        let Source::Index { window_us } = self.source else {
            return self.least(scan, after, to_usize(most));
        };
        let mut places = Vec::new();
        let rows = scan.snapshot.by_index(scan.model, window_us, self.order, after);
        for ranked in rows.into_iter().flatten().take(to_usize(most)) {
            scan.clock.check(places.len())?;
            places.push(ranked?);
        }
        Ok(places)
    }

    /// Reads all rows for those that come first behind `after`.
    fn least(
        &self,
        scan: &Scan<'_>,
        after: Option<&Ranked>,
        mut most: usize,
    ) -> Result<Vec<Ranked>, QueryError> {
        let mut least: BinaryHeap<Ranked> = BinaryHeap::new();
        let (mut cells, mut bytes) = (Vec::new(), 0);
        let size = |ranked: &Ranked| ranked.cell.len() + ranked.key.len();
        for row in scan.all() {
            let row = row?;
            cells.clear();
            scan.shape.key_cells(&row.0, &mut cells)?;
            if cells.len() <= self.column {
                scan.shape.value_cells(&row.1, &mut cells)?;
            }
            let mut cell = self.cell(&cells);
            self.turn(&mut cell);
            let here = (cell.as_slice(), row.0.as_slice());
            let was_told = after.is_some_and(|after| here <= place(after));
            let is_late =
                least.len() >= most && least.peek().is_some_and(|last| here > place(last));
            if was_told || is_late {
                continue;
            }
            let ranked = Ranked { cell, key: row.0 };
            bytes += size(&ranked);
            least.push(ranked);
            while least.len() > most || (bytes > BLOCK_BYTES && least.len() > 1) {
                bytes -= least.pop().as_ref().map_or(0, size);
                most = most.min(least.len());
            }
        }
        Ok(least.into_sorted_vec())
    }
}

fn place(ranked: &Ranked) -> (&[u8], &[u8]) {
    (&ranked.cell, &ranked.key)
}

/// The window whose index holds exactly the rows of `scan`, none for models without windows; `None`
/// if there is none such.
fn indexed_window(scan: &Scan<'_>) -> Result<Option<Option<i64>>, QueryError> {
    let is_plain = scan.filters.is_empty() && scan.join.is_none();
    let Some(bounds) = scan.bounds.as_ref().filter(|_| is_plain) else {
        return Ok(None);
    };
    if !scan.shape.is_windowed() {
        return Ok((*bounds == KeyBounds::default()).then_some(None));
    }
    let time = |order| match scan.snapshot.scan(scan.model, bounds, order, 0).next() {
        Some(row) => Ok::<_, QueryError>(scan.shape.key_time(&row?.0)?),
        None => Ok(None),
    };
    let (first, last) = (time(Order::Asc)?, time(Order::Desc)?);
    Ok(first.filter(|_| first == last).map(Some))
}
