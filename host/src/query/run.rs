//! Runs a query: which rows, in which order, which page of them.
//!
//! Without filters on columns a page is found by counts, and only its own rows are read, wherever
//! in the model it lies. With filters all rows of the time range are read, twice at most: once to
//! count the matches of each time, once to take those of the page. Memory is bounded by the page
//! and by the number of times.

use std::time::{Duration, Instant};

use statmill_plugin_api::encoding::{DecodeError, Value};

use super::filter::Filter;
use super::params::{ParamError, Query};
use super::shape::{KeyTime, ModelShape};
use super::source::{KeyBounds, Order, ReadError, Row, RowSource};
use super::table::{Column, Table};
use super::time::now_us;

/// What a query may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The most rows a query with filters may read.
    pub max_rows: u64,
    /// The longest a query may take.
    pub max_time: Duration,
    /// Rows on a page when the query does not say.
    pub default_rows_per_page: u64,
    /// The most rows on a page, whatever the query says.
    pub max_rows_per_page: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_rows: 1_000_000,
            max_time: Duration::from_secs(10),
            default_rows_per_page: 100,
            max_rows_per_page: 10_000,
        }
    }
}

/// A page of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Name of the model asked.
    pub model: String,
    /// The rows of the page.
    pub table: Table,
    /// Which page it is.
    pub page: Page,
}

/// The place of a page among all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// From 1 on.
    pub number: u64,
    /// How many pages there are; 0 when there are no rows.
    pub count: u64,
    /// Rows on a full page.
    pub rows_per_page: u64,
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum QueryError {
    /// These parameters do not fit the model.
    #[error("bad query: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Params(Vec<ParamError>),
    /// There is no such page.
    #[error("there is no page {page}: the last one is {pages}")]
    NoSuchPage { page: u64, pages: u64 },
    /// A filter would have to read more rows than allowed.
    #[error(
        "the filters would read {rows} rows, more than the {max_rows} allowed; narrow the time \
         with start and stop, ask a roll-up with model=, or leave the filters out"
    )]
    TooManyRows { rows: u64, max_rows: u64 },
    /// Reading took longer than allowed.
    #[error(
        "not done after {max_time:?}; narrow the time with start and stop, ask a roll-up with \
         model=, or leave the filters out"
    )]
    TooSlow { max_time: Duration },
    /// The store failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A row is not in the encoding of its model.
    #[error("a stored row is damaged: {0}")]
    Damaged(#[from] DecodeError),
}

/// Runs a query against one stat's rows.
///
/// # Errors
///
/// [`QueryError`].
pub fn run(source: &dyn RowSource, query: &Query, limits: &Limits) -> Result<Answer, QueryError> {
    let models = source.models();
    let (at, &(name, model)) = match &query.model {
        None => models.iter().enumerate().next(),
        Some(wanted) => models.iter().enumerate().find(|(_, (name, _))| name == wanted),
    }
    .ok_or_else(|| {
        let names: Vec<_> = models.iter().map(|(name, _)| *name).collect();
        QueryError::Params(vec![ParamError {
            param: "model".to_owned(),
            reason: "the stat has no such model".to_owned(),
            allowed: names.join(", "),
        }])
    })?;
    let shape = ModelShape::new(model);
    let scan = Scan::new(source, at, &shape, query, limits)?;
    let (columns, chosen) = projection(&shape, query)?;

    let total = scan.total()?.min(query.limit.unwrap_or(u64::MAX));
    let rows_per_page = query
        .rows_per_page
        .unwrap_or(limits.default_rows_per_page)
        .clamp(1, limits.max_rows_per_page.max(1));
    let page = Page { number: query.page, count: total.div_ceil(rows_per_page), rows_per_page };
    // The page right after an exactly full last one is empty, as it was in statscache.
    let skip = (query.page - 1).saturating_mul(rows_per_page);
    if skip > total {
        return Err(QueryError::NoSuchPage { page: query.page, pages: page.count });
    }

    let mut rows = Vec::new();
    for (key, value) in scan.page(skip, rows_per_page.min(total - skip))? {
        let mut cells = Vec::with_capacity(shape.columns().len());
        shape.key_cells(&key, &mut cells)?;
        shape.value_cells(&value, &mut cells)?;
        rows.push(match &chosen {
            None => cells,
            Some(places) => places.iter().map(|&place| cells[place].clone()).collect(),
        });
    }
    let table = Table { columns, rows, total, chosen: chosen.is_some() };
    Ok(Answer { model: name.to_owned(), table, page })
}

/// The columns shown and, if the query chose, their places in the whole row.
fn projection(
    shape: &ModelShape<'_>,
    query: &Query,
) -> Result<(Vec<Column>, Option<Vec<usize>>), QueryError> {
    let all = shape.columns();
    let Some(names) = &query.columns else { return Ok((all.to_vec(), None)) };
    let place = |name: &String| {
        all.iter().position(|column| column.name == *name).ok_or_else(|| {
            let names: Vec<_> = all.iter().map(|column| column.name.as_str()).collect();
            QueryError::Params(vec![ParamError {
                param: "columns".to_owned(),
                reason: format!("there is no column {}", super::params::quoted(name)),
                allowed: names.join(", "),
            }])
        })
    };
    // A row asked for the same column often would outgrow the page's bound.
    if names.len() > all.len() {
        return Err(QueryError::Params(vec![ParamError {
            param: "columns".to_owned(),
            reason: "names more columns than there are".to_owned(),
            allowed: format!("at most {}", all.len()),
        }]));
    }
    let places = names.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    Ok((places.iter().map(|&place| all[place].clone()).collect(), Some(places)))
}

/// The rows of one model that a query matches, in its order.
struct Scan<'a> {
    source: &'a dyn RowSource,
    model: usize,
    shape: &'a ModelShape<'a>,
    /// None: no row can match.
    bounds: Option<KeyBounds>,
    order: Order,
    filters: Vec<Filter>,
    /// With filters: how many rows of each time match, ascending by key.
    matches: Vec<(KeyTime, u64)>,
    clock: Clock,
}

impl<'a> Scan<'a> {
    fn new(
        source: &'a dyn RowSource,
        model: usize,
        shape: &'a ModelShape<'a>,
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
        if !errors.is_empty() {
            return Err(QueryError::Params(errors));
        }
        let (start, stop) = narrow(shape, &mut filters, query.start_us, query.stop_us);
        let bounds = shape.between(start, stop);
        let newest_first = if shape.has_time() { Order::Desc } else { Order::Asc };
        let order = query.order.unwrap_or(newest_first);
        let clock = Clock { start: Instant::now(), max_time: limits.max_time };
        let mut scan =
            Self { source, model, shape, bounds, order, filters, matches: Vec::new(), clock };
        if !scan.filters.is_empty() {
            scan.matches = scan.count_matches(limits.max_rows)?;
        }
        Ok(scan)
    }

    fn total(&self) -> Result<u64, QueryError> {
        match &self.bounds {
            None => Ok(0),
            Some(_) if !self.filters.is_empty() => {
                Ok(self.matches.iter().map(|(_, count)| count).sum())
            }
            Some(bounds) => Ok(self.source.count(self.model, bounds)?),
        }
    }

    fn page(&self, skip: u64, take: u64) -> Result<Vec<Row>, QueryError> {
        let Some(bounds) = &self.bounds else { return Ok(Vec::new()) };
        if take == 0 {
            return Ok(Vec::new());
        }
        if !self.filters.is_empty() {
            return self.filtered(skip, take);
        }
        match self.order {
            Order::Desc if self.shape.has_time() => self.newest_first(bounds, skip, take),
            order => self.read(bounds, order, skip, take),
        }
    }

    fn read(
        &self,
        bounds: &KeyBounds,
        order: Order,
        skip: u64,
        take: u64,
    ) -> Result<Vec<Row>, QueryError> {
        let mut rows = Vec::new();
        for row in self.source.scan(self.model, bounds, order, skip).take(to_usize(take)) {
            self.clock.check(rows.len())?;
            rows.push(row?);
        }
        Ok(rows)
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
            |bounds: &KeyBounds, skip| self.source.scan(self.model, bounds, Order::Desc, skip);
        let Some(first) = descending(bounds, skip).next() else { return Ok(Vec::new()) };
        let time = self.shape.key_time(&first?.0)?;
        let here = self.shape.at(time);
        let newer = match here.to.clone() {
            Some(from) => {
                self.source.count(self.model, &KeyBounds { from, to: bounds.to.clone() })?
            }
            None => 0,
        };
        // The first time may be entered in its middle.
        let mut rows = self.read(&here, Order::Asc, skip - newer, take)?;

        let older = KeyBounds { from: bounds.from.clone(), to: Some(here.from) };
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
                rows.extend(self.read(&self.shape.at(time), Order::Asc, 0, left as u64)?);
                break;
            }
            block_time = Some(time);
            block.push(row);
        }
        rows.extend(block.into_iter().rev());
        Ok(rows)
    }

    fn count_matches(&self, max_rows: u64) -> Result<Vec<(KeyTime, u64)>, QueryError> {
        let Some(bounds) = &self.bounds else { return Ok(Vec::new()) };
        let rows = self.source.count(self.model, bounds)?;
        if rows > max_rows {
            return Err(QueryError::TooManyRows { rows, max_rows });
        }
        let mut matches: Vec<(KeyTime, u64)> = Vec::new();
        let mut cells = Vec::new();
        let scan = self.source.scan(self.model, bounds, Order::Asc, 0);
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
            let scan = self.source.scan(self.model, &self.shape.at(time), Order::Asc, 0);
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

/// Turns filters on the time column into bounds, which cost nothing.
fn narrow(
    shape: &ModelShape<'_>,
    filters: &mut Vec<Filter>,
    mut start: Option<i64>,
    mut stop: Option<i64>,
) -> (Option<i64>, Option<i64>) {
    use super::filter::Operator;
    if !shape.has_time() {
        return (start, stop);
    }
    filters.retain(|filter| {
        let [Value::Time(time_us)] = filter.values[..] else { return true };
        if filter.column != 0 {
            return true;
        }
        let (from, to) = match filter.operator {
            Operator::Eq | Operator::In => (Some(time_us), Some(time_us)),
            Operator::Gt => (Some(time_us.saturating_add(1)), None),
            Operator::Gte => (Some(time_us), None),
            Operator::Lt => (None, Some(time_us.saturating_sub(1))),
            Operator::Lte => (None, Some(time_us)),
            Operator::Not | Operator::Contains => return true,
        };
        start = start.max(from);
        stop = match (stop, to) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        false
    });
    (start, stop)
}

/// Ends queries that take too long.
struct Clock {
    start: Instant,
    max_time: Duration,
}

impl Clock {
    fn check(&self, step: usize) -> Result<(), QueryError> {
        // Asking the clock for every row would cost more than many a row does.
        if step % 256 == 255 && self.start.elapsed() > self.max_time {
            return Err(QueryError::TooSlow { max_time: self.max_time });
        }
        Ok(())
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
