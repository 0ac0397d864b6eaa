//! The rows that a view shows in a state: which query they answer, and what is added up.

use std::collections::BTreeMap;

use statmill_plugin_api::encoding::Value;
use statmill_plugin_api::manifest::ValueKind;

use super::check::is_name;
use super::definition::{Dashboard, Kind, Source, View};
use super::state::{State, sends};
use crate::clock::now_us;
use crate::query::time::{self, unix};
use crate::query::{
    Catalog, Column, CompleteUntil, ComputeError, Description, Limits, Order, ParamError, Query,
    QueryError, Selection, StatView, Table, describe, edge, params,
};

/// The most rows that are drawn.
const MAX_ROWS: u64 = 50_000;
/// The most rows of a table.
const TABLE_ROWS: u64 = 50;
/// The most windows that are drawn: longer ones are made of them.
const MAX_WINDOWS: u64 = 750;
/// Parameters that a range of time stands for.
const RANGE: [&str; 4] = ["start", "stop", "end", "delta"];
/// Lengths of windows that read well, s.
const STEPS: [u64; 17] = [
    1, 5, 10, 15, 30, 60, 300, 600, 900, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800,
    2_592_000,
];
const SECOND_US: i64 = 1_000_000;

/// Why a view has nothing to show.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum ViewError {
    /// The statistic is gone.
    #[error("there is no statistic {0:?} any more")]
    NoStat(String),
    /// More rows than can be drawn.
    #[error(
        "{rows} rows are too many to draw, more than {MAX_ROWS}; choose a shorter time or a value"
    )]
    TooMany { rows: u64 },
    /// The rows cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The plugin did not compute it.
    #[error(transparent)]
    Compute(#[from] ComputeError),
}

/// What a view shows.
#[derive(Clone, Debug)]
pub struct Shown {
    /// In which form.
    pub kind: Kind,
    /// The rows: ascending by time where they are drawn over it; for bars, one for each name.
    pub table: Table,
    /// The column of times.
    pub time: Option<usize>,
    /// The column of names.
    pub name: Option<usize>,
    /// The column of values.
    pub value: Option<usize>,
    /// Values of several rows may be added up.
    pub additive: bool,
    /// Seconds of a window.
    pub window_s: Option<u64>,
    /// How long after its start a window shows itself, µs.
    pub after_us: i64,
    /// Rows there are, of which `table` may have the first.
    pub total: u64,
    /// The parameters by which the same rows are asked for at `/api/{stat}`.
    pub pairs: Vec<(String, String)>,
    /// Up to when the rows account for all that reached the host.
    pub complete_until: CompleteUntil,
    /// Version of the rows.
    pub version: String,
}

/// Reads what `view` shows in `state`.
///
/// # Errors
///
/// [`ViewError`].
pub fn show(
    catalog: &dyn Catalog,
    dashboard: &Dashboard,
    view: &View,
    state: &State,
    limits: &Limits,
) -> Result<Shown, ViewError> {
    let stat = catalog.stat(&view.stat).ok_or_else(|| ViewError::NoStat(view.stat.clone()))?;
    let kind = state.kind(view);
    let given = view.params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut query = parse(given)?;
    let described = describe(stat.snapshot.models(), &query)?;
    let mut pairs = view.params.clone();
    // What is chosen in a view stands out in it, beside the rest.
    let others = state.received(view).filter(|choice| !sends(dashboard, view, choice));
    let followed = others.map(|choice| (format!("{}__eq", choice.name), choice.value.clone()));
    pairs.extend(followed);
    if described.has_time {
        let model = Some(described.model.as_str());
        let newest = edge(&stat.snapshot, model, Order::Desc)?;
        let (start, stop) = range(catalog, dashboard, view, state, newest)?;
        if start.is_some() || stop.is_some() {
            pairs.retain(|(name, _)| !RANGE.contains(&name.as_str()));
        }
        let bounds = [("start", start), ("stop", stop)];
        pairs
            .extend(bounds.into_iter().filter_map(|(name, us)| Some((name.to_owned(), unix(us?)))));
        let first = match start {
            Some(start) => Some(start),
            None => edge(&stat.snapshot, model, Order::Asc)?,
        };
        let last = newest.map(|newest| stop.map_or(newest, |stop| stop.min(newest)));
        if let Some(step_s) = step(kind, &query, &described, first.zip(last)) {
            pairs.push(("step".to_owned(), step_s.to_string()));
        }
    }
    query = parse(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
    let window_s = query.step_s.or(described.window_s);
    let shown = Shown {
        kind,
        table: Table::default(),
        time: None,
        name: None,
        value: None,
        additive: false,
        window_s,
        after_us: if described.shows_end { window_s.map_or(0, micros) } else { 0 },
        total: 0,
        pairs,
        complete_until: stat.complete_until,
        version: stat.version.clone(),
    };
    match &view.source {
        Source::Rows => rows(&stat, query, &described, shown, limits),
        Source::Computed(name) => computed(catalog, &stat, name, &query, shown, limits),
    }
}

fn micros(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(SECOND_US)
}

fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Query, QueryError> {
    params::parse(pairs, now_us()).map_err(QueryError::Params)
}

/// First and last time that a view is asked for, µs, as far as they are bounded.
fn range(
    catalog: &dyn Catalog,
    dashboard: &Dashboard,
    view: &View,
    state: &State,
    own_newest: Option<i64>,
) -> Result<(Option<i64>, Option<i64>), QueryError> {
    let now = now_us();
    let given = |text: &Option<String>| text.as_ref().and_then(|text| time::parse(text, now));
    let (start, end) = (given(&state.start), given(&state.end));
    if start.is_some() || end.is_some() {
        return Ok((start, end));
    }
    let span = match &state.span {
        Some(span) if span == "all" => return Ok((None, None)),
        Some(span) => Some(span),
        None => view.span.as_ref().or(dashboard.span.as_ref()),
    };
    let Some(span_us) = span.and_then(|span| time::span(span)) else { return Ok((None, None)) };
    // Pictures of one page end at the same time, so that they can be compared.
    let newest = match state.span.is_some() || view.span.is_none() {
        true => newest_of(catalog, dashboard)?.max(own_newest),
        false => own_newest,
    };
    let start = newest.map(|newest| newest.saturating_sub(span_us).saturating_add(1));
    Ok((start, newest))
}

/// Time of the newest row of all that a dashboard shows.
fn newest_of(catalog: &dyn Catalog, dashboard: &Dashboard) -> Result<Option<i64>, QueryError> {
    let mut newest = None;
    for view in &dashboard.views {
        let Some(stat) = catalog.stat(&view.stat) else { continue };
        let model = view.params.iter().find(|(name, _)| name == "model");
        let query = Query { model: model.map(|(_, model)| model.clone()), ..Query::default() };
        newest = newest.max(edge(&stat.snapshot, query.model.as_deref(), Order::Desc)?);
    }
    Ok(newest)
}

/// The length to which windows are joined, where there are more between two times than can be drawn.
fn step(
    kind: Kind,
    query: &Query,
    described: &Description,
    times: Option<(i64, i64)>,
) -> Option<u64> {
    let (window_s, (first, last)) = (described.window_s?, times?);
    if query.step_s.is_some() || query.points.is_some() || matches!(kind, Kind::Table | Kind::Count)
    {
        return None;
    }
    let seconds = (last.saturating_sub(first) / SECOND_US).unsigned_abs();
    let least = (seconds / MAX_WINDOWS).max(window_s);
    if least == window_s {
        return None;
    }
    // Which hour of the day it was is not seen in longer windows.
    let most = if kind == Kind::Heatmap { 3_600 } else { u64::MAX };
    let fits = |step: &&u64| **step >= least && step.is_multiple_of(window_s) && **step <= most;
    let step = STEPS.iter().find(fits).copied();
    step.or_else(|| (kind == Kind::Heatmap && window_s < 3_600).then_some(3_600))
}

fn rows(
    stat: &StatView,
    mut query: Query,
    described: &Description,
    mut shown: Shown,
    limits: &Limits,
) -> Result<Shown, ViewError> {
    let is_table = matches!(shown.kind, Kind::Table | Kind::Count);
    if described.has_time && !is_table && query.sort.is_none() {
        query.order = Some(Order::Asc);
    }
    let selection = Selection::new(&stat.snapshot, &query, limits)?;
    shown.total = selection.total();
    let take = match shown.kind {
        Kind::Count => 0,
        Kind::Table => TABLE_ROWS,
        _ if shown.total > MAX_ROWS => return Err(ViewError::TooMany { rows: shown.total }),
        _ => MAX_ROWS,
    };
    shown.table = selection.part(0, take)?;
    let columns = &shown.table.columns;
    let is_key = |column: &Column| {
        described.all.iter().take(described.key_columns).any(|key| key.name == column.name)
    };
    let place = |wanted: &dyn Fn(&Column) -> bool| columns.iter().position(wanted);
    shown.time = place(&|column| column.kind == ValueKind::Time);
    shown.name = place(&|column| is_key(column) && is_name(column.kind))
        .or_else(|| place(&|column| column.kind == ValueKind::Text));
    let is_number = |column: &Column| matches!(column.kind, ValueKind::Int | ValueKind::Num);
    shown.value = place(&|column| is_number(column) && !is_key(column));
    let added_up = shown.value.map(|value| described.additive.contains(&columns[value].name));
    shown.additive = added_up.unwrap_or(false) && query.agg.is_none();
    if shown.kind == Kind::Bar && described.window_s.is_some() {
        shown.table = added_by_name(&shown);
        (shown.time, shown.name, shown.value) = (None, Some(0), Some(1));
    } else if let (Kind::Bar, None, Some(value)) = (shown.kind, &query.sort, shown.value) {
        shown.table.rows.sort_by(|a, b| b[value].cmp(&a[value]));
    }
    Ok(shown)
}

/// One row for each name: what the rows of all windows add up to, the largest first.
fn added_by_name(shown: &Shown) -> Table {
    let (Some(name), Some(value)) = (shown.name, shown.value) else { return shown.table.clone() };
    let mut sums: BTreeMap<Value, Sum> = BTreeMap::new();
    for row in &shown.table.rows {
        sums.entry(row[name].clone()).or_default().add(&row[value]);
    }
    let mut rows: Vec<_> = sums.into_iter().map(|(name, sum)| vec![name, sum.value()]).collect();
    rows.sort_by(|a, b| b[1].cmp(&a[1]));
    let columns = vec![shown.table.columns[name].clone(), shown.table.columns[value].clone()];
    Table { columns, total: rows.len() as u64, rows, chosen: true }
}

/// A sum of cells: exact as long as they are whole numbers.
#[derive(Default)]
pub(crate) struct Sum {
    whole: i128,
    rest: Option<f64>,
}

impl Sum {
    /// Adds a cell; what is no number adds nothing.
    pub(crate) fn add(&mut self, cell: &Value) {
        match cell {
            Value::Int(number) => self.whole = self.whole.saturating_add(*number),
            Value::Num(number) => self.rest = Some(self.rest.unwrap_or(0.0) + number),
            _ => {}
        }
    }

    /// What was added.
    pub(crate) fn value(&self) -> Value {
        match self.rest {
            None => Value::Int(self.whole),
            Some(rest) => Value::Num(rest + self.whole as f64),
        }
    }
}

fn computed(
    catalog: &dyn Catalog,
    stat: &StatView,
    name: &str,
    query: &Query,
    mut shown: Shown,
    limits: &Limits,
) -> Result<Shown, ViewError> {
    let ident = || stat.snapshot.manifest().ident.clone();
    let views = catalog.views().ok_or_else(|| ComputeError::Detached { ident: ident() })?;
    let wide = Limits {
        default_rows_per_page: if shown.kind == Kind::Table { TABLE_ROWS } else { MAX_ROWS },
        max_rows_per_page: MAX_ROWS,
        ..limits.clone()
    };
    // A computed view may stand on another model; then the query's own would be refused.
    let query = Query { model: None, columns: None, ..query.clone() };
    let answer = views.run(stat, name, &query, &wide)?;
    shown.total = answer.table.total;
    shown.table = answer.table;
    let place = |wanted: &dyn Fn(ValueKind) -> bool| {
        shown.table.columns.iter().position(|column| wanted(column.kind))
    };
    shown.time = place(&|kind| kind == ValueKind::Time);
    shown.name = place(&|kind| kind == ValueKind::Text);
    let last_number = shown
        .table
        .columns
        .iter()
        .rposition(|column| matches!(column.kind, ValueKind::Int | ValueKind::Num));
    shown.value = last_number;
    let missing = match shown.kind {
        Kind::Table | Kind::Count => None,
        Kind::Line | Kind::Area | Kind::Heatmap if shown.time.is_none() => Some("a time"),
        Kind::Bar if shown.name.is_none() => Some("a name"),
        _ if shown.value.is_none() => Some("a number"),
        _ => None,
    };
    if let Some(missing) = missing {
        return Err(QueryError::Params(vec![ParamError {
            param: "type".to_owned(),
            reason: format!("{} needs {missing}, and no computed column is one", shown.kind.name()),
            allowed: "table".to_owned(),
        }])
        .into());
    }
    Ok(shown)
}
