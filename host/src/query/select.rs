//! The rows a query selects: which, in which order, any part of them.
//!
//! Without filters on columns a part is found by counts, and only its own rows are read, wherever
//! in the model it lies. With filters all rows of the time range are read once to count the matches
//! of each time, and those of the part's times once more; where the first dimension must be a text and no
//! time stands before it, only the rows that begin with it. Memory is bounded by the part and by the
//! number of times. In the order of a column they are found by [`sorted`].

mod sorted;

use std::ops::Bound;
use std::time::Instant;

use statmill_plugin_api::encoding::Value;

use self::sorted::Sorting;
use super::event_time;
use super::filter::{Filter, narrow};
use super::params::{ParamError, Query, quoted};
use super::run::{Clock, Limits, QueryError};
use super::shape::{KeyTime, ModelShape};
use super::table::{Column, Table};
use crate::clock::now_us;
use crate::store::{KeyBounds, Order, Snapshot};

/// Key and value, encoded.
type Row = (Vec<u8>, Vec<u8>);
/// Takes the key and the value of a row.
type TakeRow<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), QueryError> + 'a;

/// What a query matches among the rows of one stat, as columns it shows.
pub struct Selection<'a> {
    name: &'a str,
    scan: Scan<'a>,
    total: u64,
    columns: Vec<Column>,
    /// The query named the columns: their places in the whole row.
    chosen: Option<Vec<usize>>,
}

impl<'a> Selection<'a> {
    /// Holds a query against a stat's rows; with filters, counts its matches.
    ///
    /// # Errors
    ///
    /// [`QueryError`], but never [`QueryError::NoSuchPage`]: pages are the caller's.
    pub fn new(snapshot: &'a Snapshot, query: &Query, limits: &Limits) -> Result<Self, QueryError> {
        let models = snapshot.models();
        let is_wanted = |name: &str| query.model.as_ref().is_none_or(|wanted| wanted == name);
        let found = models.iter().enumerate().find(|(_, stored)| is_wanted(&stored.name));
        let Some((at, stored)) = found else {
            let names: Vec<_> = models.iter().map(|stored| stored.name.as_str()).collect();
            return Err(refused("model", "the stat has no such model".to_owned(), &names));
        };
        let shape = ModelShape::new(&stored.model);
        let of_events = event_time::adapt(query, &shape, stored.model.index.as_deref());
        let query = of_events.as_ref().unwrap_or(query);
        let (columns, chosen) = projection(&shape, query)?;
        let scan = Scan::new(snapshot, at, shape, query, limits)?;
        let total = scan.total()?.min(query.limit.unwrap_or(u64::MAX));
        Ok(Self { name: &stored.name, scan, total, columns, chosen })
    }

    /// Name of the model the rows are of.
    #[must_use]
    pub fn model(&self) -> &'a str {
        self.name
    }

    /// How many rows are selected.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Reads the selected rows without the first `skip`, and no more than `take` of them.
    ///
    /// # Errors
    ///
    /// [`QueryError`].
    pub fn part(&self, skip: u64, take: u64) -> Result<Table, QueryError> {
        let take = take.min(self.total.saturating_sub(skip));
        let shape = &self.scan.shape;
        let mut rows = Vec::new();
        self.scan.each(skip, take, &mut |key, value| {
            let mut cells = Vec::with_capacity(shape.columns().len());
            shape.key_cells(key, &mut cells)?;
            shape.value_cells(value, &mut cells)?;
            rows.push(match &self.chosen {
                None => cells,
                Some(places) => places.iter().map(|&place| cells[place].clone()).collect(),
            });
            Ok(())
        })?;
        Ok(Table {
            columns: self.columns.clone(),
            rows,
            total: self.total,
            chosen: self.chosen.is_some(),
        })
    }
}

fn refused(param: &str, reason: String, allowed: &[&str]) -> QueryError {
    let allowed = allowed.join(", ");
    QueryError::Params(vec![ParamError { param: param.to_owned(), reason, allowed }])
}

/// The columns shown and, if the query chose, their places in the whole row.
fn projection(
    shape: &ModelShape<'_>,
    query: &Query,
) -> Result<(Vec<Column>, Option<Vec<usize>>), QueryError> {
    let all = shape.columns();
    let Some(wanted) = &query.columns else { return Ok((all.to_vec(), None)) };
    let names: Vec<_> = all.iter().map(|column| column.name.as_str()).collect();
    // An object has each name once; and a row with one column many times would outgrow the page's bound.
    let twice = (1..wanted.len()).find(|&at| wanted[..at.min(all.len())].contains(&wanted[at]));
    if let Some(at) = twice {
        let reason = format!("names {} twice", quoted(&wanted[at]));
        return Err(refused("columns", reason, &names));
    }
    let place = |name: &String| {
        let place = names.iter().position(|known| known == name);
        let reason = || format!("there is no column {}", quoted(name));
        place.ok_or_else(|| refused("columns", reason(), &names))
    };
    let places = wanted.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    Ok((places.iter().map(|&place| all[place].clone()).collect(), Some(places)))
}

/// The rows of one model that a query matches, in its order.
struct Scan<'a> {
    snapshot: &'a Snapshot,
    model: usize,
    shape: ModelShape<'a>,
    /// None: no row can match.
    bounds: Option<KeyBounds>,
    order: Order,
    filters: Vec<Filter>,
    /// With filters: how many rows of each time match, ascending by key.
    matches: Vec<(KeyTime, u64)>,
    sorting: Option<Sorting>,
    clock: Clock,
}

impl<'a> Scan<'a> {
    fn new(
        snapshot: &'a Snapshot,
        model: usize,
        shape: ModelShape<'a>,
        query: &Query,
        limits: &Limits,
    ) -> Result<Self, QueryError> {
        let now_us = now_us();
        let (mut filters, mut errors) = (Vec::new(), Vec::new());
        for condition in &query.conditions {
            match condition.bind(shape.columns(), now_us) {
                Ok(filter) => filters.push(filter),
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
        let bounds = shape.beginning(&filters).or_else(|| shape.between(start, stop));
        let newest_first = if shape.has_time() { Order::Desc } else { Order::Asc };
        let order = query.order.unwrap_or(newest_first);
        let clock = Clock { start: Instant::now(), max_time: limits.max_time };
        let (matches, sorting) = (Vec::new(), None);
        let mut scan =
            Self { snapshot, model, shape, bounds, order, filters, matches, sorting, clock };
        if !scan.filters.is_empty() {
            scan.check_rows("the filters", limits.max_rows)?;
            scan.matches = scan.count_matches()?;
        }
        if let Some((column, order)) = sorted_by {
            scan.sorting = Some(Sorting::new(&scan, column, order, limits.max_rows)?);
        }
        Ok(scan)
    }

    /// Refuses to read more rows than allowed, before any is read.
    fn check_rows(&self, what: &'static str, max_rows: u64) -> Result<(), QueryError> {
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

    fn total(&self) -> Result<u64, QueryError> {
        match &self.bounds {
            None => Ok(0),
            Some(_) if !self.filters.is_empty() => {
                Ok(self.matches.iter().map(|(_, count)| count).sum())
            }
            Some(bounds) => Ok(self.snapshot.count(self.model, bounds)?),
        }
    }

    /// Hands the rows of a part to `row`, in order.
    fn each(&self, skip: u64, take: u64, row: &mut TakeRow<'_>) -> Result<(), QueryError> {
        let Some(bounds) = self.bounds.as_ref().filter(|_| take > 0) else { return Ok(()) };
        let rows = if let Some(sorting) = &self.sorting {
            sorting.page(self, skip, take)?
        } else if !self.filters.is_empty() {
            self.filtered(skip, take)?
        } else if self.order == Order::Desc && self.shape.has_time() {
            self.newest_first(bounds, skip, take)?
        } else {
            return self.read(bounds, self.order, skip, take, row);
        };
        rows.iter().try_for_each(|(key, value)| row(key, value))
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
        let Some(bounds) = &self.bounds else { return Ok(Vec::new()) };
        let mut matches: Vec<(KeyTime, u64)> = Vec::new();
        let mut cells = Vec::new();
        let scan = self.snapshot.scan(self.model, bounds, Order::Asc, 0);
        for (read, row) in scan.enumerate() {
            self.clock.check(read)?;
            let row = row?;
            if !self.admits(&row, &mut cells)? {
                continue;
            }
            let time = self.shape.key_time(&row.0)?;
            match matches.last_mut() {
                Some((last, count)) if *last == time => *count += 1,
                _ => matches.push((time, 1)),
            }
        }
        Ok(matches)
    }

    fn filtered(&self, mut skip: u64, take: u64) -> Result<Vec<Row>, QueryError> {
        let turned = self.order == Order::Desc && !self.shape.has_time();
        if turned {
            // All rows are of one time, none: take the mirrored part and turn it around.
            let total = self.total()?;
            skip = total - skip - take;
        }
        let mut rows = Vec::new();
        let mut cells = Vec::new();
        let times: Box<dyn Iterator<Item = &(KeyTime, u64)>> = match self.order {
            Order::Asc => Box::new(self.matches.iter()),
            Order::Desc => Box::new(self.matches.iter().rev()),
        };
        for &(time, count) in times {
            if skip >= count {
                skip -= count;
                continue;
            }
            let mut wanted = (count - skip).min(take - rows.len() as u64);
            let of_time = match &self.bounds {
                Some(bounds) if !self.shape.has_time() => bounds.clone(),
                _ => self.shape.at(time),
            };
            let scan = self.snapshot.scan(self.model, &of_time, Order::Asc, 0);
            for (read, row) in scan.enumerate() {
                self.clock.check(read)?;
                let row = row?;
                if !self.admits(&row, &mut cells)? {
                    continue;
                }
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                rows.push(row);
                wanted -= 1;
                if wanted == 0 {
                    break;
                }
            }
            if rows.len() as u64 == take {
                break;
            }
        }
        if turned {
            rows.reverse();
        }
        Ok(rows)
    }

    /// Whether a row passes all filters. The value is decoded only if the key passes.
    fn admits(&self, row: &Row, cells: &mut Vec<Value>) -> Result<bool, QueryError> {
        let keys = self.shape.key_columns();
        cells.clear();
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

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
