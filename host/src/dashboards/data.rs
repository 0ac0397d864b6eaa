//! What a view shows in a state: which query it answers, and the rows or the picture of the answer.

use super::definition::{Dashboard, Kind, Source, View};
use super::state::{State, sends};
use crate::clock::now_us;
use crate::query::time::{self, unix};
use crate::query::{
    Answer, Catalog, CompleteUntil, ComputeError, Description, Limits, Order, ParamError, Query,
    QueryError, Selection, StatView, Table, describe, edge, params,
};
use crate::render::picture::{Asked, Fields, Kind as Picture, MOST_ROWS, Plan, Rows, model};
use crate::render::svg::AxisForm;

/// The most rows that are taken of what was computed.
const MAX_ROWS: u64 = 50_000;
/// The most rows of a table.
const TABLE_ROWS: u64 = 50;
/// Pictures are made of the rows that suit this width, px, however wide they are drawn.
const WIDTH: u32 = 1_500;
/// Parameters that a range of time stands for.
const RANGE: [&str; 4] = ["start", "stop", "end", "delta"];

/// Why a view has nothing to show.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum ViewError {
    /// The statistic is gone.
    #[error("there is no statistic {0:?} any more")]
    NoStat(String),
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
    /// The first rows, where those are shown.
    pub table: Table,
    /// What is drawn, where rows are.
    pub picture: Option<Drawn>,
    /// Seconds of a window.
    pub window_s: Option<u64>,
    /// Rows there are.
    pub total: u64,
    /// The parameters by which the same rows are asked for at `/api/{stat}`.
    pub pairs: Vec<(String, String)>,
    /// Up to when the rows account for all that reached the host.
    pub complete_until: CompleteUntil,
    /// Version of the rows.
    pub version: String,
}

/// Rows, and the picture that they make.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// How they are drawn.
    pub plan: Plan,
    /// The rows.
    pub rows: Rows,
    /// What was asked of the picture.
    pub asked: Asked,
    /// The question that they answer.
    pub query: Query,
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
    let models = stat.snapshot.models();
    let (query, _) = parse(&stat, &view.params)?;
    let described = describe(models, &query)?;
    let pairs = asked_for(catalog, (dashboard, view, state), &stat, &described)?;
    let (query, asked) = parse(&stat, &pairs)?;
    let asked = Asked { width: Some(WIDTH), ..of_view(view, state, asked) };
    let shown = Shown {
        kind: state.kind(view),
        table: Table::default(),
        picture: None,
        window_s: query.step_s.or(described.window_s),
        total: 0,
        pairs,
        complete_until: stat.complete_until,
        version: stat.version.clone(),
    };
    let question = Question { stat: &stat, query, asked, limits };
    match &view.source {
        Source::Rows => {
            let chosen = |name: &str| state.chosen_in(dashboard, view, name);
            stored(question, shown, &chosen)
        }
        Source::Computed(name) => computed(catalog, question, name, shown),
    }
}

/// What is asked of a statistic for a view.
struct Question<'a> {
    stat: &'a StatView,
    query: Query,
    asked: Asked,
    limits: &'a Limits,
}

/// What the definition of a view and the state of its page say of a picture.
pub(super) fn of_view(view: &View, state: &State, asked: Asked) -> Asked {
    Asked {
        unit: view.unit.clone(),
        y: (view.y != AxisForm::Zero).then_some(view.y),
        tz: state.zone.clone(),
        ..asked
    }
}

/// The parameters of a view in a state.
fn asked_for(
    catalog: &dyn Catalog,
    (dashboard, view, state): (&Dashboard, &View, &State),
    stat: &StatView,
    described: &Description,
) -> Result<Vec<(String, String)>, QueryError> {
    let mut pairs = view.params.clone();
    // What is chosen in a view stands out in it, beside the rest.
    let others = state.received(view).filter(|choice| !sends(dashboard, view, choice));
    let followed = others.map(|choice| (format!("{}__eq", choice.name), choice.value.clone()));
    pairs.extend(followed);
    if !described.has_time {
        return Ok(pairs);
    }
    let newest = edge(&stat.snapshot, Some(described.model.as_str()), Order::Desc)?;
    let (start, stop) = range(catalog, dashboard, view, state, newest)?;
    if start.is_some() || stop.is_some() {
        pairs.retain(|(name, _)| !RANGE.contains(&name.as_str()));
    }
    let bounds = [("start", start), ("stop", stop)];
    pairs.extend(bounds.into_iter().filter_map(|(name, us)| Some((name.to_owned(), unix(us?)))));
    Ok(pairs)
}

/// A query, and what it says of pictures.
fn parse(stat: &StatView, pairs: &[(String, String)]) -> Result<(Query, Asked), QueryError> {
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut query = params::parse(pairs, now_us()).map_err(QueryError::Params)?;
    let asked = Asked::of(stat.snapshot.models(), &mut query).map_err(QueryError::Params)?;
    Ok((query, asked))
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

fn stored<'s>(
    question: Question<'_>,
    mut shown: Shown,
    chosen: &dyn Fn(&str) -> Vec<&'s str>,
) -> Result<Shown, ViewError> {
    let Question { stat, query, asked, limits } = question;
    let wrong = |error: ParamError| QueryError::Params(vec![error]);
    let kind = match shown.kind {
        Kind::Table | Kind::Count => None,
        Kind::Suited => Some(None),
        Kind::Picture(kind) => Some(Some(kind)),
        Kind::Summary => Some(Some(Picture::Line)),
    };
    let plan = match (kind, model(stat.snapshot.models(), &query)) {
        (Some(kind), Some(model)) => {
            let asked = Asked { kind, ..asked.clone() };
            let fields = Fields::of_model(model, query.agg);
            let plan = Plan::new(&fields, &asked, &query).map_err(wrong)?;
            Some(if shown.kind == Kind::Summary { plan.clipped() } else { plan })
        }
        _ => None,
    };
    let Some(plan) = plan else {
        let selection = Selection::new(&stat.snapshot, &query, limits)?;
        shown.total = selection.total();
        shown.table = selection.part(0, if shown.kind == Kind::Count { 0 } else { TABLE_ROWS })?;
        return Ok(shown);
    };
    let kept = plan.by().map(chosen).unwrap_or_default();
    let rows = plan.read(&stat.snapshot, &query, &kept, limits)?;
    if shown.kind == Kind::Summary && rows.is_narrowed() {
        let (rows, max_rows) = (rows.answer.table.total, MOST_ROWS);
        let error = QueryError::TooManyRows { what: "a summary", rows, max_rows, indexed: None };
        return Err(error.into());
    }
    Ok(drawn(shown, plan, rows, asked, query))
}

fn drawn(mut shown: Shown, plan: Plan, rows: Rows, asked: Asked, query: Query) -> Shown {
    if let Some(step_s) = rows.answer.step_s {
        shown.window_s = Some(step_s);
        // Whoever asks for the rows of a picture of all that a range holds gets them as they are.
        if !plan.is_clipped() && !shown.pairs.iter().any(|(name, _)| name == "step") {
            shown.pairs.push(("step".to_owned(), step_s.to_string()));
        }
    }
    shown.kind =
        if shown.kind == Kind::Summary { Kind::Summary } else { Kind::Picture(plan.kind()) };
    shown.total = rows.answer.table.total;
    shown.picture = Some(Drawn { plan, rows, asked, query });
    shown
}

fn computed(
    catalog: &dyn Catalog,
    question: Question<'_>,
    name: &str,
    mut shown: Shown,
) -> Result<Shown, ViewError> {
    let Question { stat, query, asked, limits } = question;
    let ident = || stat.snapshot.manifest().ident.clone();
    let views = catalog.views().ok_or_else(|| ComputeError::Detached { ident: ident() })?;
    let wide = Limits {
        default_rows_per_page: if shown.kind == Kind::Table { TABLE_ROWS } else { MAX_ROWS },
        max_rows_per_page: MAX_ROWS,
        ..limits.clone()
    };
    // A computed view may stand on another model; then the query's own would be refused.
    let selecting = Query { model: None, columns: None, ..query.clone() };
    let answer: Answer = views.run(stat, name, &selecting, &wide)?;
    let kind = match shown.kind {
        Kind::Picture(kind) => Some(kind),
        Kind::Summary => Some(Picture::Line),
        _ => None,
    };
    let plan = match shown.kind {
        Kind::Table | Kind::Count => None,
        _ => {
            let asked = Asked { kind, ..asked.clone() };
            match Plan::of_table(&answer.table, &asked, &query) {
                Ok(plan) => Some(plan),
                // Not every table is a picture.
                Err(_) if shown.kind == Kind::Suited => None,
                Err(error) => return Err(QueryError::Params(vec![error]).into()),
            }
        }
    };
    if let Some(plan) = plan {
        return Ok(drawn(shown, plan, Rows::all(answer), asked, query));
    }
    shown.kind = if shown.kind == Kind::Count { Kind::Count } else { Kind::Table };
    shown.total = answer.table.total;
    shown.table = answer.table;
    shown.table.rows.truncate(usize::try_from(TABLE_ROWS).unwrap_or(usize::MAX));
    Ok(shown)
}
