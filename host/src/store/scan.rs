//! Reading the rows of a range in order, from either end.

use std::cmp::Ordering;
use std::sync::Arc;

use statmill_plugin_api::aggregate;

use super::StoreError;
use super::cut::KeyBounds;
use super::directory::Place;
use super::models::StoredModel;
use super::pages::Pages;
use super::rows::{RowSet, bare};
use super::snapshot::Pin;
use super::table::Table;

/// In which order rows are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// Ascending by key: oldest window first.
    #[default]
    Asc,
    /// Descending by key.
    Desc,
}

/// The rows of a range as (key, value), one page in memory at a time. Ends after an error.
///
/// It sees the rows of its snapshot, whatever is committed meanwhile.
pub struct Rows {
    reading: Reading,
    ended: bool,
    _pin: Arc<Pin>,
}

struct Reading {
    /// Why it could not begin, until that was told.
    merge: Result<Merge, Option<StoreError>>,
    /// Rows that differ only in their shard are merged by these measures.
    shards: Option<Arc<[StoredModel]>>,
    model: usize,
    /// The row that was merged last, and the one behind it.
    merged: Row,
    held: Option<Row>,
    skip: u64,
}

type Row = (Vec<u8>, Vec<u8>);
type RowRef<'a> = (&'a [u8], &'a [u8]);

impl Rows {
    pub(crate) fn new(
        merge: Result<Merge, StoreError>,
        shards: Option<Arc<[StoredModel]>>,
        model: usize,
        skip: u64,
        pin: Arc<Pin>,
    ) -> Self {
        let (merge, merged) = (merge.map_err(Some), Row::default());
        let reading = Reading { merge, shards, model, merged, held: None, skip };
        Self { reading, ended: false, _pin: pin }
    }

    /// As [`Iterator::next`], without a copy of the row.
    pub fn next_row(&mut self) -> Option<Result<RowRef<'_>, StoreError>> {
        if self.ended {
            return None;
        }
        let row = self.reading.next().transpose();
        self.ended = !matches!(row, Some(Ok(_)));
        row
    }
}

impl Reading {
    fn next(&mut self) -> Result<Option<RowRef<'_>>, StoreError> {
        let merge = match &mut self.merge {
            Ok(merge) => merge,
            Err(error) => return error.take().map_or(Ok(None), Err),
        };
        let Some(models) = &self.shards else {
            return Ok(merge.next_stored()?.map(|(key, value)| (bare(key), value)));
        };
        let measures = &models[self.model].model.measures;
        loop {
            let first = match self.held.take() {
                Some(row) => Some(row),
                None => merge.next_bare()?,
            };
            let Some((key, mut value)) = first else { return Ok(None) };
            while let Some((next_key, next_value)) = merge.next_bare()? {
                if next_key != key {
                    self.held = Some((next_key, next_value));
                    break;
                }
                let mut merged = Vec::new();
                aggregate::merge(measures, &value, &next_value, &mut merged)
                    .map_err(|error| StoreError::damaged(&merge.pages.name, error))
                    .inspect_err(|error| merge.pages.damage.note(error))?;
                value = merged;
            }
            if self.skip == 0 {
                self.merged = (key, value);
                return Ok(Some((&self.merged.0, &self.merged.1)));
            }
            self.skip -= 1;
        }
    }
}

impl Iterator for Rows {
    type Item = Result<(Vec<u8>, Vec<u8>), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_row()?.map(|(key, value)| (key.to_vec(), value.to_vec())))
    }
}

impl std::iter::FusedIterator for Rows {}

/// The layers of a table merged, stored key by stored key.
pub(crate) struct Merge {
    table: Table,
    pages: Pages,
    bounds: KeyBounds,
    order: Order,
    /// Newest first; the last one is the page that is being read.
    layers: Vec<Layer>,
    next_page: Option<Place>,
}

/// What is left to read of one layer.
struct Layer {
    rows: Arc<RowSet>,
    low: usize,
    high: usize,
}

impl Merge {
    /// Begins at the row number `skip` of `bounds`, counted in `order`.
    pub(crate) fn new(
        table: &Table,
        pages: &Pages,
        bounds: KeyBounds,
        order: Order,
        skip: u64,
    ) -> Result<Self, StoreError> {
        let mut merge = Self {
            table: table.clone(),
            pages: pages.clone(),
            bounds,
            order,
            layers: Vec::new(),
            next_page: None,
        };
        let (from, mut left) = merge.page_near(skip)?;
        merge.begin(from);
        while left > 0 && merge.next()?.is_some() {
            left -= 1;
        }
        Ok(merge)
    }

    /// The page to begin with (none = the end of the range) and the rows still to pass over.
    fn page_near(&self, skip: u64) -> Result<(Option<Place>, u64), StoreError> {
        if skip == 0 {
            return Ok((None, 0));
        }
        let (table, directory) = (&self.table, &self.table.directory);
        let start = table.rank(&self.pages, self.bounds.start())?;
        Ok(match self.order {
            Order::Asc => {
                let wanted = start.saturating_add(skip);
                let place = self.last_page_at(|rank| rank <= wanted);
                let place = place.filter(|&place| table.rank_of_page(place) >= start);
                place.map_or((None, skip), |at| (Some(at), wanted - table.rank_of_page(at)))
            }
            Order::Desc => {
                let end = table.rank(&self.pages, self.bounds.end())?;
                let wanted = end.saturating_sub(skip).max(start);
                let place = match self.last_page_at(|rank| rank < wanted) {
                    Some(place) => directory.next(place),
                    None => directory.first(),
                };
                let place = place.filter(|&place| table.rank_of_page(place) <= end);
                place.map_or((None, skip), |at| (Some(at), table.rank_of_page(at) - wanted))
            }
        })
    }

    fn last_page_at(&self, test: impl Fn(u64) -> bool) -> Option<Place> {
        self.table.directory.last_place(|place| test(self.table.rank_of_page(place)))
    }

    /// Sets all layers to the start of the page `from`, or to the end of the range.
    fn begin(&mut self, from: Option<Place>) {
        let directory = &self.table.directory;
        let key = from.map(|place| bare(&directory.entry(place).first_key).to_vec());
        let from_cut = key.as_deref().map(super::cut::Cut::Before);
        let (start, end) = match self.order {
            Order::Asc => (from_cut.unwrap_or(self.bounds.start()), self.bounds.end()),
            Order::Desc => (self.bounds.start(), from_cut.unwrap_or(self.bounds.end())),
        };
        let layer = |rows: &Arc<RowSet>, least: usize| Layer {
            rows: rows.clone(),
            low: rows.partition(|key| start.is_after(key)).max(least),
            high: rows.partition(|key| end.is_after(key)),
        };
        let mut layers: Vec<_> = self.table.runs.iter().rev().map(|run| layer(run, 0)).collect();
        layers.push(layer(&self.table.frozen.rows, self.table.frozen.start));
        layers.push(Layer { rows: Arc::default(), low: 0, high: 0 });
        self.next_page = match self.order {
            Order::Asc => from.or_else(|| directory.last_before(start).or(directory.first())),
            Order::Desc => directory.last_before(end),
        };
        self.layers = layers;
    }

    /// The next row: its layer and number there.
    fn next(&mut self) -> Result<Option<(usize, usize)>, StoreError> {
        self.turn_page()?;
        let wanted = match self.order {
            Order::Asc => Ordering::Less,
            Order::Desc => Ordering::Greater,
        };
        let mut best: Option<(usize, usize)> = None;
        let mut doubles = 0_usize;
        for (number, layer) in self.layers.iter().enumerate() {
            let Some(row) = layer.front(self.order) else { continue };
            let ordering = best.map_or(wanted, |(best_layer, best_row)| {
                layer.rows.key(row).cmp(self.layers[best_layer].rows.key(best_row))
            });
            if ordering == wanted {
                best = Some((number, row));
                doubles = 0;
            } else if ordering == Ordering::Equal {
                doubles += 1;
            }
        }
        let Some((number, row)) = best else { return Ok(None) };
        if doubles > 0 {
            let (above, below) = self.layers.split_at_mut(number + 1);
            let key = above[number].rows.key(row);
            for layer in below {
                let same = |row: &usize| layer.rows.key(*row) == key;
                if layer.front(self.order).as_ref().is_some_and(same) {
                    layer.pass(self.order);
                }
            }
        }
        self.layers[number].pass(self.order);
        Ok(Some((number, row)))
    }

    /// Reads the next page of the range once the last one is used up.
    fn turn_page(&mut self) -> Result<(), StoreError> {
        let last = self.layers.len() - 1;
        while self.layers[last].front(self.order).is_none()
            && let Some(place) = self.next_page
        {
            let directory = &self.table.directory;
            let (start, end) = (self.bounds.start(), self.bounds.end());
            let rows = self.pages.read(directory.entry(place))?;
            let low = rows.partition(|key| start.is_after(key));
            let high = rows.partition(|key| end.is_after(key));
            self.next_page = match self.order {
                Order::Asc if high < rows.len() => None,
                Order::Desc if low > 0 => None,
                Order::Asc => directory.next(place),
                Order::Desc => directory.previous(place),
            };
            self.layers[last] = Layer { rows, low, high };
        }
        Ok(())
    }

    /// The next row with its stored key.
    pub(crate) fn next_stored(&mut self) -> Result<Option<RowRef<'_>>, StoreError> {
        let next = self.next()?;
        Ok(next.map(|(layer, row)| {
            let rows = &self.layers[layer].rows;
            (rows.key(row), rows.value(row))
        }))
    }

    fn next_bare(&mut self) -> Result<Option<Row>, StoreError> {
        Ok(self.next_stored()?.map(|(key, value)| (bare(key).to_vec(), value.to_vec())))
    }
}

impl Layer {
    fn front(&self, order: Order) -> Option<usize> {
        (self.low < self.high).then(|| match order {
            Order::Asc => self.low,
            Order::Desc => self.high - 1,
        })
    }

    fn pass(&mut self, order: Order) {
        match order {
            Order::Asc => self.low += 1,
            Order::Desc => self.high -= 1,
        }
    }
}
