//! Runs a query: one page of the rows it selects.

use std::time::{Duration, Instant};

use statmill_plugin_api::encoding::DecodeError;

use super::cursor::Cursor;
use super::params::{ParamError, Query};
use super::select::Selection;
use super::table::Table;
use crate::store::{Snapshot, StoreError};

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

// Those of the configuration, where nothing is set.
impl Default for Limits {
    fn default() -> Self {
        Self {
            max_rows: 10_000_000,
            max_time: Duration::from_secs(10),
            default_rows_per_page: 100,
            max_rows_per_page: 1_000,
        }
    }
}

impl Limits {
    /// No bounds: for a command that runs for one person and can be interrupted.
    #[must_use]
    pub fn none() -> Self {
        Self { max_rows: u64::MAX, max_time: Duration::MAX, ..Self::default() }
    }
}

/// Ends queries that take too long.
pub(super) struct Clock {
    pub(super) start: Instant,
    pub(super) max_time: Duration,
}

impl Clock {
    pub(super) fn check(&self, step: usize) -> Result<(), QueryError> {
        // Asking the clock for every row would cost more than many a row does.
        if step % 256 == 255 && self.start.elapsed() > self.max_time {
            return Err(QueryError::TooSlow { max_time: self.max_time });
        }
        Ok(())
    }
}

/// A page of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Name of the model asked.
    pub model: String,
    /// Seconds of the windows, where stored ones were joined.
    pub step_s: Option<u64>,
    /// The rows of the page.
    pub table: Table,
    /// Which page it is.
    pub page: Page,
    /// The place behind its last row, if there are rows behind it.
    pub next: Option<Cursor>,
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

impl Page {
    /// The page of `total` rows that a query asks for, and how many rows lie before it. Of a query with
    /// a cursor: the page that it would be, and no rows.
    pub(super) fn of(
        query: &Query,
        total: u64,
        limits: &Limits,
    ) -> Result<(Self, u64), QueryError> {
        let rows_per_page = query
            .rows_per_page
            .unwrap_or(limits.default_rows_per_page)
            .clamp(1, limits.max_rows_per_page.max(1));
        let count = total.div_ceil(rows_per_page);
        if let Some(cursor) = &query.cursor {
            let number = cursor.given / rows_per_page + 1;
            return Ok((Self { number, count, rows_per_page }, 0));
        }
        let page = Self { number: query.page, count, rows_per_page };
        // The page right after an exactly full last one is empty, as it was in statscache.
        let skip = query.page.saturating_sub(1).saturating_mul(rows_per_page);
        if skip > total {
            return Err(QueryError::NoSuchPage { page: query.page, pages: page.count });
        }
        Ok((page, skip))
    }
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum QueryError {
    /// There is no such stat.
    #[error("there is no stat {0:?}")]
    NoSuchStat(String),
    /// These parameters do not fit the model.
    #[error("bad query: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Params(Vec<ParamError>),
    /// There is no such page.
    #[error("there is no page {page}: the last one is {pages}")]
    NoSuchPage { page: u64, pages: u64 },
    /// `what` (filters, or sorting) would have to read more rows than allowed; `indexed` is the query
    /// that the model's index answers.
    #[error(
        "{what} would read {rows} rows, more than the {max_rows} allowed; narrow the time with \
         start and stop, ask a roll-up with model=, or leave filters and sort out{}",
        .indexed.as_ref().map(|indexed| {
            format!("; {indexed} without filters is answered by an index, however many rows there are")
        }).unwrap_or_default()
    )]
    TooManyRows { what: &'static str, rows: u64, max_rows: u64, indexed: Option<String> },
    /// Reading took longer than allowed.
    #[error(
        "not done after {max_time:?}; narrow the time with start and stop, ask a roll-up with \
         model=, or leave the filters out"
    )]
    TooSlow { max_time: Duration },
    /// The rows of one window do not fit into memory.
    #[error(
        "the rows of one window take more than {} MiB; join fewer windows (a shorter step), or \
         narrow the rows with filters",
        .max_bytes >> 20
    )]
    TooLarge { max_bytes: usize },
    /// There are more values than can be counted at once.
    #[error(
        "{by:?} has more than {max_values} values here, or very long ones; narrow the rows with start, \
         stop or filters"
    )]
    TooManyValues { by: String, max_values: usize },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row is not in the encoding of its model.
    #[error("a stored row is damaged: {0}")]
    Damaged(#[from] DecodeError),
}

/// Runs a query against one stat's rows.
///
/// # Errors
///
/// [`QueryError`].
pub fn run(snapshot: &Snapshot, query: &Query, limits: &Limits) -> Result<Answer, QueryError> {
    let selection = Selection::new(snapshot, query, limits)?;
    let (page, skip) = Page::of(query, selection.total(), limits)?;
    let (table, next) = selection.page(skip, page.rows_per_page)?;
    let (model, step_s) = (selection.model().to_owned(), selection.step_s());
    Ok(Answer { model, step_s, table, page, next })
}
