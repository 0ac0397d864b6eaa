//! Which rows of a model match, and any part of them in the query's order.
//!
//! Without filters on columns a part is found by counts, and only its own rows are read, wherever
//! in the model it lies. With filters, and where windows are joined, all rows of the time range are read
//! once to count the matches of each time, and those of the part's times once more; where the first
//! dimension must be a text and no time stands before it, only the rows that begin with it. Memory is
//! bounded by the part, by the number of times, and by the rows of one joined window.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::time::Instant;

use statmill_plugin_api::encoding::Value;

use super::join::Join;
use super::sorted::Sorting;
use super::{Row, TakeRow};
use crate::clock::now_us;
use crate::query::filter::{Filter, add, narrow};
use crate::query::params::{ParamError, Query};
use crate::query::run::{Clock, Limits, QueryError};
use crate::query::shape::{KeyTime, ModelShape};
use crate::store::{KeyBounds, Order, Snapshot};

/// The rows of one model that a query matches, in its order.
pub(in crate::query) struct Scan<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) model: usize,
    /// Of the rows that match: those that are joined, where windows are.
    pub(in crate::query) shape: ModelShape<'a>,
    pub(super) join: Option<Join<'a>>,
    /// Of the stored rows. None: no row can match.
    pub(super) bounds: Option<KeyBounds>,
    pub(super) order: Order,
    pub(super) filters: Vec<Filter>,
    /// How many rows of each time match, ascending by key; none where the directory tells.
    pub(super) matches: Option<Vec<(KeyTime, u64)>>,
    pub(super) sorting: Option<Sorting>,
    pub(in crate::query) clock: Clock,
}

impl<'a> Scan<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        model: usize,
        shape: ModelShape<'a>,
        mut join: Option<Join<'a>>,
        query: &Query,
        limits: &Limits,
    ) -> Result<Self, QueryError> {
        let now_us = now_us();
        let (mut filters, mut errors) = (Vec::new(), Vec::new());
        for condition in &query.conditions {
            match condition.bind(shape.columns(), now_us) {
                Ok(filter) => add(&mut filters, filter),
                Err(error) => errors.push(error),
            }
        }
        if !shape.has_time() {
            for (param, given) in [("start", query.start_us), ("stop", query.stop_us)] {
                if given.is_some() {
                    errors.push(ParamError {
                        param: param.to_owned(),
                        reason: "rows of this model have no time".to_owned(),
                        allowed: "models with a time column".to_owned(),
                    });
                }
            }
        }
        let sorted_by = query.sort.as_ref().map(|sort| sort.bind(shape.columns()));
        let sorted_by = sorted_by.transpose().unwrap_or_else(|error| {
            errors.push(error);
            None
        });
        if !errors.is_empty() {
            return Err(QueryError::Params(errors));
        }
        let (start, stop) = narrow(shape.has_time(), &mut filters, query.start_us, query.stop_us);
        let bounds = match &mut join {
            Some(join) => join.bounds(start, stop),
            None => shape.beginning(&filters).or_else(|| shape.between(start, stop)),
        };
        let newest_first = if shape.has_time() { Order::Desc } else { Order::Asc };
        let order = query.order.unwrap_or(newest_first);
        let clock = Clock { start: Instant::now(), max_time: limits.max_time };
        let (matches, sorting) = (None, None);
        let mut scan =
            Self { snapshot, model, shape, join, bounds, order, filters, matches, sorting, clock };
        if scan.join.is_some() || !scan.filters.is_empty() {
            let what = if scan.join.is_some() { "joining windows" } else { "the filters" };
            scan.check_rows(what, limits.max_rows)?;
            scan.matches = Some(scan.count_matches()?);
        }
        if let Some((column, order)) = sorted_by {
            scan.sorting = Some(Sorting::new(&scan, column, order, limits.max_rows)?);
        }
        Ok(scan)
    }

    /// Refuses to read more rows than allowed, before any is read.
    pub(in crate::query) fn check_rows(
        &self,
        what: &'static str,
        max_rows: u64,
    ) -> Result<(), QueryError> {
        let Some(bounds) = &self.bounds else { return Ok(()) };
        let rows = self.snapshot.count(self.model, bounds)?;
        if rows <= max_rows {
            return Ok(());
        }
        let column = self.snapshot.index_column(self.model);
        let indexed = column.map(|column| match self.shape.is_windowed() {
            true => format!("sort=-{column} of a single window"),
            false => format!("sort=-{column}"),
        });
        Err(QueryError::TooManyRows { what, rows, max_rows, indexed })
    }

    pub(super) fn total(&self) -> Result<u64, QueryError> {
        match (&self.bounds, &self.matches) {
            (None, _) => Ok(0),
            (_, Some(matches)) => Ok(matches.iter().map(|(_, count)| count).sum()),
            (Some(bounds), None) => Ok(self.snapshot.count(self.model, bounds)?),
        }
    }

    /// Hands the rows of a part to `row`, in order.
    pub(super) fn each(
        &self,
        skip: u64,
        take: u64,
        row: &mut TakeRow<'_>,
    ) -> Result<(), QueryError> {
        let Some(bounds) = self.bounds.as_ref().filter(|_| take > 0) else { return Ok(()) };
        let rows = if let Some(sorting) = &self.sorting {
            sorting.page(self, skip, take)?
        } else if let Some(matches) = &self.matches {
            self.matched(matches, bounds, skip, take)?
        } else if self.order == Order::Desc && self.shape.has_time() {
            self.newest_first(bounds, skip, take)?
        } else {
            return self.read(bounds, self.order, skip, take, row);
        };
        rows.iter().try_for_each(|(key, value)| row(key, value))
    }

    /// The rows that lie within bounds of stored ones and pass all filters, ascending by key.
    pub(in crate::query) fn matching<'s>(
        &'s self,
        bounds: &KeyBounds,
    ) -> Box<dyn Iterator<Item = Result<Row, QueryError>> + 's> {
        let stored = self.snapshot.scan(self.model, bounds, Order::Asc, 0);
        let mut cells = Vec::new();
        let admitted = move |row: Result<Row, QueryError>| match row {
            Ok(row) => match self.admits(&row, &mut cells) {
                Ok(true) => Some(Ok(row)),
                Ok(false) => None,
                Err(error) => Some(Err(error)),
            },
            Err(error) => Some(Err(error)),
        };
        if let Some(join) = &self.join {
            let rows = join.rows(stored, &self.clock, |row| self.admits_dimensions(row));
            return Box::new(rows.filter_map(admitted));
        }
        let timed = stored.enumerate().map(|(read, row)| {
            self.clock.check(read)?;
            Ok(row?)
        });
        Box::new(timed.filter_map(admitted))
    }

    /// All rows that match, ascending by key.
    pub(in crate::query) fn all(&self) -> Box<dyn Iterator<Item = Result<Row, QueryError>> + '_> {
        match &self.bounds {
            Some(bounds) => self.matching(bounds),
            None => Box::new(std::iter::empty()),
        }
    }

    /// The stored rows of which those of one time are made.
    pub(super) fn of_time(&self, time: KeyTime, bounds: &KeyBounds) -> KeyBounds {
        match &self.join {
            Some(join) => join.of(time),
            None if self.shape.has_time() => self.shape.at(time),
            None => bounds.clone(),
        }
    }

    /// The values of rows that match, by their keys; nothing where a key is none of theirs.
    pub(super) fn values(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, QueryError> {
        if self.join.is_none() {
            let get = |key: &&[u8]| Ok(self.snapshot.get(self.model, key)?);
            return keys.iter().map(get).collect();
        }
        let mut values = vec![None; keys.len()];
        let mut by_time: BTreeMap<KeyTime, HashMap<&[u8], usize>> = BTreeMap::new();
        for (place, key) in keys.iter().enumerate() {
            by_time.entry(self.shape.key_time(key)?).or_default().insert(key, place);
        }
        for (time, wanted) in by_time {
            for row in self.matching(&self.of_time(time, &KeyBounds::default())) {
                let (key, value) = row?;
                if let Some(&place) = wanted.get(key.as_slice()) {
                    values[place] = Some(value);
                }
            }
        }
        Ok(values)
    }

    fn read(
        &self,
        bounds: &KeyBounds,
        order: Order,
        skip: u64,
        take: u64,
        row: &mut TakeRow<'_>,
    ) -> Result<(), QueryError> {
        let mut rows = self.snapshot.scan(self.model, bounds, order, skip);
        for read in 0..to_usize(take) {
            self.clock.check(read)?;
            let Some(next) = rows.next_row() else { break };
            let (key, value) = next?;
            row(key, value)?;
        }
        Ok(())
    }

    /// Times descend, the keys of one time ascend. Descending keys meet the same times at the same
    /// places, so they tell where a page starts; each time's rows are then turned around.
    fn newest_first(
        &self,
        bounds: &KeyBounds,
        skip: u64,
        take: u64,
    ) -> Result<Vec<Row>, QueryError> {
        let descending =
            |bounds: &KeyBounds, skip| self.snapshot.scan(self.model, bounds, Order::Desc, skip);
        let Some(first) = descending(bounds, skip).next() else { return Ok(Vec::new()) };
        let time = self.shape.key_time(&first?.0)?;
        let here = self.shape.at(time);
        let newer = match here.end.clone() {
            Bound::Excluded(next) => {
                let newer = KeyBounds { start: Bound::Included(next), end: bounds.end.clone() };
                self.snapshot.count(self.model, &newer)?
            }
            _ => 0,
        };
        let ascending = |bounds: &KeyBounds, skip, take, rows: &mut Vec<Row>| {
            self.read(bounds, Order::Asc, skip, take, &mut |key, value| {
                rows.push((key.to_vec(), value.to_vec()));
                Ok(())
            })
        };
        // The first time may be entered in its middle.
        let mut rows = Vec::new();
        ascending(&here, skip - newer, take, &mut rows)?;

        let older = KeyBounds { start: bounds.start.clone(), end: self.shape.before(time) };
        let mut block: Vec<Row> = Vec::new();
        let mut block_time = None;
        for row in descending(&older, 0) {
            let left = to_usize(take) - rows.len();
            if left == 0 {
                break;
            }
            self.clock.check(rows.len())?;
            let row = row?;
            let time = self.shape.key_time(&row.0)?;
            if !block.is_empty() && block_time != Some(time) {
                rows.extend(block.drain(..).rev());
                if rows.len() == to_usize(take) {
                    break;
                }
            } else if block.len() == left {
                // More rows of one time than the page has room for: its first ones are needed,
                // and the block holds its last.
                block.clear();
                ascending(&self.shape.at(time), 0, left as u64, &mut rows)?;
                break;
            }
            block_time = Some(time);
            block.push(row);
        }
        rows.extend(block.into_iter().rev());
        Ok(rows)
    }

    fn count_matches(&self) -> Result<Vec<(KeyTime, u64)>, QueryError> {
        let mut matches: Vec<(KeyTime, u64)> = Vec::new();
        for row in self.all() {
            let time = self.shape.key_time(&row?.0)?;
            match matches.last_mut() {
                Some((last, count)) if *last == time => *count += 1,
                _ => matches.push((time, 1)),
            }
        }
        Ok(matches)
    }

    fn matched(
        &self,
        matches: &[(KeyTime, u64)],
        bounds: &KeyBounds,
        mut skip: u64,
        mut take: u64,
    ) -> Result<Vec<Row>, QueryError> {
        let turned = self.order == Order::Desc && !self.shape.has_time();
        if turned {
            // All rows are of one time, none: take the mirrored part and turn it around.
            let left = self.total()?.saturating_sub(skip);
            take = take.min(left);
            skip = left - take;
        }
        let mut rows = Vec::new();
        let times: Box<dyn Iterator<Item = &(KeyTime, u64)>> = match self.order {
            Order::Asc => Box::new(matches.iter()),
            Order::Desc => Box::new(matches.iter().rev()),
        };
        for &(time, count) in times {
            if rows.len() as u64 == take {
                break;
            }
            if skip >= count {
                skip -= count;
                continue;
            }
            let wanted = take - rows.len() as u64;
            let here = self.matching(&self.of_time(time, bounds)).skip(to_usize(skip));
            for row in here.take(to_usize(wanted)) {
                rows.push(row?);
            }
            skip = 0;
        }
        if turned {
            rows.reverse();
        }
        Ok(rows)
    }

    /// Whether a stored row passes the filters on dimensions, which it has in common with the row that
    /// it is joined to.
    fn admits_dimensions(&self, row: &Row) -> Result<bool, QueryError> {
        let dimensions = usize::from(self.shape.has_time())..self.shape.key_columns();
        let mut filters = self.filters.iter().filter(|filter| dimensions.contains(&filter.column));
        let Some(first) = filters.next() else { return Ok(true) };
        let mut cells = Vec::new();
        self.shape.key_cells(&row.0, &mut cells)?;
        let passes = |filter: &Filter| filter.admits(&cells[filter.column]);
        Ok(passes(first) && filters.all(passes))
    }

    /// Whether a row passes all filters. The value is decoded only if the key passes.
    pub(super) fn admits(&self, row: &Row, cells: &mut Vec<Value>) -> Result<bool, QueryError> {
        cells.clear();
        if self.filters.is_empty() {
            return Ok(true);
        }
        let keys = self.shape.key_columns();
        self.shape.key_cells(&row.0, cells)?;
        let passes = |filter: &Filter, cells: &[Value]| filter.admits(&cells[filter.column]);
        let of_key = |filter: &&Filter| filter.column < keys;
        if !self.filters.iter().filter(of_key).all(|filter| passes(filter, cells)) {
            return Ok(false);
        }
        let mut rest = self.filters.iter().filter(|filter| !of_key(filter)).peekable();
        if rest.peek().is_none() {
            return Ok(true);
        }
        self.shape.value_cells(&row.1, cells)?;
        Ok(rest.all(|filter| passes(filter, cells)))
    }
}

pub(super) fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
