//! `GET /api/{ident}.svg`: the rows of a stat as a picture.

use std::sync::Arc;

use super::links::Place;
use super::negotiate::Chosen;
use super::pages::Wish;
use super::problem::Problem;
use super::rows::{self, Found};
use super::{Answer, App};
use crate::query::{self, Format, Limits, Page, Query, QueryError};
use crate::render::picture::{About, Asked, Fields, MOST_ROWS, Plan, Rows, model};
use crate::render::svg::{Emphasis, Link, Mark, Plot, Size, stand_alone};
use axum::http::HeaderMap;

/// Height of heading and edges around bars, px.
const AROUND_BARS: u32 = 80;
/// The most bars that make a picture higher than it usually is.
const MOST_BARS: usize = 30;

/// Takes what is said of a picture out of a query.
pub(super) fn asked(found: &Found, query: &mut Query) -> Result<Asked, Problem> {
    Asked::of(found.view.snapshot.models(), query).map_err(Problem::params)
}

/// What a picture may read: as other queries, and a whole picture at once.
pub(super) fn limits(app: &App) -> Limits {
    Limits { max_rows_per_page: MOST_ROWS, ..app.options.limits.clone() }
}

pub(super) async fn answer(
    app: &Arc<App>,
    found: Found,
    query: Query,
    asked: Asked,
    (chosen, place, request): (Chosen, Place, &HeaderMap),
) -> Answer {
    // Links in a picture repeat the question as it was put.
    let put: Vec<_> = place.pairs().collect();
    let etag =
        rows::etag(&found, &format!("svg {asked:?} {put:?}"), &query, (chosen, Wish::default()));
    if let Some(known) = rows::known(app, &found, &etag, request) {
        return Ok(known);
    }
    app.blocking(move |app| {
        let (mut answer, body) = draw(app, &found, &query, &asked, &place)?;
        // A picture is one page, however many rows it shows.
        answer.page = Page { number: 1, count: 1, ..answer.page };
        let body = Some(body.into_bytes());
        let forms = (etag.as_str(), &Format::ALL[..], body);
        Ok(rows::respond(app, &found, &query, chosen, &answer, &place, forms))
    })
    .await?
}

/// Refuses what a picture would show but a part of.
pub(super) fn check_rows(answer: &query::Answer) -> Result<(), QueryError> {
    let (rows, max_rows) = (answer.table.total, MOST_ROWS);
    if rows > max_rows {
        return Err(QueryError::TooManyRows { what: "a picture", rows, max_rows, indexed: None });
    }
    Ok(())
}

fn draw(
    app: &App,
    found: &Found,
    query: &Query,
    asked: &Asked,
    place: &Place,
) -> Result<(query::Answer, String), Problem> {
    let snapshot = &found.view.snapshot;
    let Some(model) = model(snapshot.models(), query) else {
        // There is no such model: the query says so, and which there are.
        query::run(snapshot, query, &limits(app))?;
        return Err(Problem::internal());
    };
    let fields = Fields::of_model(model, query.agg);
    let plan = Plan::new(&fields, asked, query).map_err(|error| Problem::params(vec![error]))?;
    let rows = plan.read(snapshot, query, &[], &app.options.limits)?;
    let body = drawn(found, "", &plan, &rows, (asked, query, place));
    Ok((rows.answer, body))
}

/// A picture of what the plugin computed.
pub(super) fn computed(
    found: &Found,
    title: &str,
    answer: query::Answer,
    (asked, query, place): (&Asked, &Query, &Place),
) -> Result<(query::Answer, String), Problem> {
    let plan = Plan::of_table(&answer.table, asked, query);
    let plan = plan.map_err(|error| Problem::params(vec![error]))?;
    let rows = Rows::all(answer);
    let body = drawn(found, title, &plan, &rows, (asked, query, place));
    Ok((rows.answer, body))
}

/// `title` stands for that of the stat, unless it is empty.
fn drawn(
    found: &Found,
    title: &str,
    plan: &Plan,
    rows: &Rows,
    (asked, query, place): (&Asked, &Query, &Place),
) -> String {
    let manifest = found.view.snapshot.manifest();
    let pairs: Vec<(&str, &str)> = place.pairs().collect();
    let titles = [title, &manifest.title, &found.ident];
    // What only the answer has cannot be asked for.
    let can_filter = |name: &str| {
        let mut models = found.view.snapshot.models().iter();
        models.any(|stored| stored.model.dimensions.iter().any(|own| own.name == name))
    };
    let about = About {
        title: titles.into_iter().find(|title| !title.is_empty()).unwrap_or_default(),
        summary: &manifest.summary,
        complete_until: found.view.complete_until,
        asked,
        query,
        mark: &|name, value| {
            if can_filter(name) { mark(&pairs, name, value) } else { Mark::default() }
        },
    };
    let mut chart = plan.chart(&about, rows);
    if let (Plot::Bars(bars), None) = (&chart.plot, asked.height) {
        let height = bars.height(MOST_BARS);
        chart.size = Size::new(chart.size.width(), height.saturating_add(AROUND_BARS));
    }
    stand_alone(&chart)
}

/// Choosing a value filters by it; choosing it again does not any more.
fn mark(pairs: &[(&str, &str)], dimension: &str, value: &str) -> Mark {
    let is_chosen = pairs.contains(&(dimension, value));
    let moved = ["page", "cursor", "limit", "rows_per_page"];
    let kept = pairs.iter().filter(|(name, _)| *name != dimension && !moved.contains(name));
    let own = (dimension, value);
    let chosen = (!is_chosen).then_some(&own);
    let query = kept.chain(chosen).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let link =
        Link { query: query.collect(), signal: dimension.to_owned(), value: value.to_owned() };
    let emphasis = if is_chosen { Emphasis::Chosen } else { Emphasis::Plain };
    Mark { link: Some(link), emphasis }
}
