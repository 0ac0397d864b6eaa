//! Computed views: tables that a stat's own code makes of its rows, where adding up is not enough.
//!
//! A stat's manifest names them (`{"name": …, "compute": {"model": …}}`). The rows that a query
//! selects go to the plugin as JSON, what comes back is checked like anything from outside
//! (`answer.rs`) and remembered until the rows change (`cache.rs`). The plugin runs behind
//! [`Compute`]: nothing here knows threads or the ABI.

mod answer;
mod cache;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use statmill_plugin_api::manifest::StatManifest;

pub(crate) use self::answer::table as read_table;
use self::cache::{Cache, Key};
use super::catalog::StatView;
use super::params::{ParamError, Query, TimeStyle};
use super::run::{Answer, Limits, Page, QueryError};
use super::select::Selection;
use super::table::Table;
use crate::render::json;

/// Most rows that are computed over, however many a query may read.
pub(crate) const MAX_ROWS: u64 = 50_000;
/// Most bytes of their JSON text.
const MAX_BYTES: usize = 16 << 20;
/// Rows read at a time.
const PART_ROWS: u64 = 1_000;

/// A view of a stat that its plugin computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComputedView {
    /// Name in addresses, and what the plugin is asked for.
    pub name: String,
    /// Human name; empty = none.
    pub title: String,
    /// The model whose rows it is computed over; none = the stat's first.
    pub model: Option<String>,
}

/// The computed views among the view definitions of a stat; a definition that is none is left out.
#[must_use]
pub fn computed_views(manifest: &StatManifest) -> Vec<ComputedView> {
    #[derive(Deserialize)]
    struct Definition {
        name: String,
        #[serde(default)]
        title: String,
        compute: Source,
    }
    #[derive(Deserialize)]
    struct Source {
        model: Option<String>,
    }
    let views = manifest.views.iter().filter_map(|view| Definition::deserialize(view).ok());
    views
        .map(|view| ComputedView { name: view.name, title: view.title, model: view.compute.model })
        .collect()
}

/// A table as a plugin would answer it.
#[cfg(test)]
pub(crate) fn table_of(json: &str) -> Result<Table, String> {
    answer::table(json)
}

/// Why there is no answer of a computed view.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum ComputeError {
    /// The rows cannot be selected.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The stat has no such computed view; `known` are those it has.
    #[error("{ident} has no computed view {view:?}; it has: {}", .known.join(", "))]
    NoSuchView { ident: String, view: String, known: Vec<String> },
    /// The code that computes is not here.
    #[error(
        "{ident} has rows but no plugin here, and its plugin computes the view; put it into the \
         plugins folder and start the host again"
    )]
    Detached { ident: String },
    /// More than `limit` rows or bytes would be handed to the plugin.
    #[error(
        "the view would be computed over more than {limit} {what}; narrow them with start, stop, \
         filters or limit"
    )]
    TooMuch { what: &'static str, limit: u64 },
    /// The plugin's own words, or what it did instead of answering.
    #[error("view {view:?} of {ident} failed: {reason}")]
    Failed { ident: String, view: String, reason: String },
    /// What the plugin answered is no table.
    #[error("view {view:?} of {ident} is no table: {reason}")]
    NoTable { ident: String, view: String, reason: String },
    /// The plugin did not answer in time. It is left alone and cannot be stopped.
    #[error(
        "view {view:?} of {ident} was not computed within {max_time:?}; narrow its rows with start, \
         stop, filters or limit, or raise query.max_time"
    )]
    TooSlow { ident: String, view: String, max_time: Duration },
    /// A computation that was given up still runs.
    #[error(
        "a view of {ident} that was given up after its time still runs; ask again when it has \
         ended, or mend the plugin and start the host again"
    )]
    Stuck { ident: String },
    /// As many views as may are being computed.
    #[error("too many views are being computed; ask again in a moment")]
    Busy,
}

/// Runs the views of plugins.
///
/// # Contract
///
/// - Any thread may call it, several at once; it answers within about `max_time`, whatever the
///   plugin does.
/// - The same rows give the same table: answers are remembered.
pub trait Compute: Send + Sync {
    /// Has the plugin of `ident` compute `view` over `rows`, a JSON array of objects. The answer
    /// is the plugin's: UTF-8, bounded, and nothing more is known of it.
    ///
    /// # Errors
    ///
    /// [`ComputeError`].
    fn compute(
        &self,
        ident: &str,
        view: &str,
        rows: String,
        max_time: Duration,
    ) -> Result<String, ComputeError>;

    /// Computations that did not end in time.
    fn given_up(&self) -> GivenUp;
}

/// Calls into plugins that did not end in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUp {
    /// All of them, since the start.
    pub given_up: u64,
    /// Those that still run: a thread each, until it ends by itself or the process does.
    pub stuck: u64,
}

/// The computed views of a host, and what they answered last.
pub struct ComputedViews {
    compute: Box<dyn Compute>,
    cache: Mutex<Cache>,
}

impl ComputedViews {
    /// Views that `compute` runs.
    #[must_use]
    pub fn new(compute: Box<dyn Compute>) -> Self {
        Self { compute, cache: Mutex::default() }
    }

    /// Answers one page of the view `name` of a stat. `query` selects the rows that it is computed
    /// over; its page is one of the answer.
    ///
    /// # Errors
    ///
    /// [`ComputeError`].
    pub fn run(
        &self,
        stat: &StatView,
        name: &str,
        query: &Query,
        limits: &Limits,
    ) -> Result<Answer, ComputeError> {
        let view = find(stat.snapshot.manifest(), name)?;
        let selected = selecting(&view, query)?;
        let key = Key {
            ident: stat.snapshot.manifest().ident.clone(),
            view: view.name.clone(),
            version: stat.version.clone(),
            query: selected,
        };
        let remembered = self.cache.lock().get(&key);
        let table = match remembered {
            Some(table) => table,
            None => self.fresh(stat, key, limits)?,
        };
        Ok(page(view.model.unwrap_or_default(), &table, query, limits)?)
    }

    /// Computations that did not end in time.
    #[must_use]
    pub fn given_up(&self) -> GivenUp {
        self.compute.given_up()
    }

    fn fresh(
        &self,
        stat: &StatView,
        key: Key,
        limits: &Limits,
    ) -> Result<Arc<Table>, ComputeError> {
        let rows = rows(stat, &key.query, limits)?;
        let text = self.compute.compute(&key.ident, &key.view, rows, limits.max_time)?;
        let table = read_table(&text).map_err(|reason| ComputeError::NoTable {
            ident: key.ident.clone(),
            view: key.view.clone(),
            reason,
        })?;
        let table = Arc::new(table);
        // What `now` means is not in the key.
        if !key.query.conditions.iter().any(|condition| is_relative(&condition.value)) {
            self.cache.lock().put(key, &table, text.len());
        }
        Ok(table)
    }
}

/// Might a filter's value be a time relative to now?
fn is_relative(value: &str) -> bool {
    value.split(',').any(|value| value.trim().starts_with("now") || value.trim().starts_with('-'))
}

/// The view `name` of a stat.
pub(crate) fn find(manifest: &StatManifest, name: &str) -> Result<ComputedView, ComputeError> {
    let mut views = computed_views(manifest);
    let found = views.iter().position(|view| view.name == name);
    found.map(|at| views.swap_remove(at)).ok_or_else(|| ComputeError::NoSuchView {
        ident: manifest.ident.clone(),
        view: name.to_owned(),
        known: computed_views(manifest).into_iter().map(|view| view.name).collect(),
    })
}

/// The part of a query that selects the rows to compute over: the rest is about the answer.
fn selecting(view: &ComputedView, query: &Query) -> Result<Query, QueryError> {
    let given = [
        ("model", query.model.is_some()),
        ("columns", query.columns.is_some()),
        ("agg", query.agg.is_some()),
        ("cursor", query.cursor.is_some()),
    ];
    let refused = given.iter().filter(|(_, given)| *given).map(|(param, _)| ParamError {
        param: (*param).to_owned(),
        reason: "is the view's own business".to_owned(),
        allowed: "parameters that select rows, and those of the answer's form".to_owned(),
    });
    let refused: Vec<_> = refused.collect();
    if !refused.is_empty() {
        return Err(QueryError::Params(refused));
    }
    Ok(Query {
        model: view.model.clone(),
        order: query.order,
        sort: query.sort.clone(),
        start_us: query.start_us,
        stop_us: query.stop_us,
        step_s: query.step_s,
        points: query.points,
        limit: query.limit,
        conditions: query.conditions.clone(),
        ..Query::default()
    })
}

/// The rows that a query selects, as the plugin gets them.
fn rows(stat: &StatView, query: &Query, limits: &Limits) -> Result<String, ComputeError> {
    let selection = Selection::new(&stat.snapshot, query, limits)?;
    let most = limits.max_rows.min(MAX_ROWS);
    if selection.total() > most {
        return Err(ComputeError::TooMuch { what: "rows", limit: most });
    }
    let mut text = b"[".to_vec();
    for skip in (0..selection.total()).step_by(PART_ROWS as usize) {
        let part = selection.part(skip, PART_ROWS)?;
        for row in &part.rows {
            if text.len() > 1 {
                text.push(b',');
            }
            json::object(&part.columns, row, TimeStyle::Unix, &mut text);
            if text.len() > MAX_BYTES {
                return Err(ComputeError::TooMuch { what: "bytes", limit: MAX_BYTES as u64 });
            }
        }
    }
    text.push(b']');
    // Rows are texts that were checked, so this copies nothing.
    Ok(String::from_utf8(text)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn page(
    model: String,
    table: &Table,
    query: &Query,
    limits: &Limits,
) -> Result<Answer, QueryError> {
    let total = table.rows.len() as u64;
    let (page, skip) = Page::of(query, total, limits)?;
    let rows = table.rows.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX));
    let rows = rows.take(usize::try_from(page.rows_per_page).unwrap_or(usize::MAX));
    let table = Table {
        columns: table.columns.clone(),
        rows: rows.cloned().collect(),
        total,
        chosen: true,
    };
    Ok(Answer { model, step_s: None, table, page, next: None })
}
