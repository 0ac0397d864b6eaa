//! `GET /api/{ident}`: the rows of a stat.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::headers;
use super::links::Place;
use super::negotiate::{Chosen, choose};
use super::pages::{self, Wish};
use super::problem::Problem;
use super::{Answer, App, svg};
use crate::query::{self, Format, Query, StatView, params};
use crate::render::{csv, json};

/// A stat found by the last part of a path.
pub(super) struct Found {
    pub(super) ident: String,
    pub(super) view: StatView,
    pub(super) extension: Option<Format>,
}

/// Finds a stat by its ident, or by its ident and an extension; an ident may itself have dots.
pub(super) fn find(app: &App, name: &str) -> Result<Found, Problem> {
    if let Some(view) = app.catalog.stat(name) {
        return Ok(Found { ident: name.to_owned(), view, extension: None });
    }
    if let Some((ident, extension)) = name.rsplit_once('.')
        && let Some(view) = app.catalog.stat(ident)
    {
        let format =
            Format::named(extension).ok_or_else(|| Problem::no_format(extension, &Format::ALL))?;
        return Ok(Found { ident: ident.to_owned(), view, extension: Some(format) });
    }
    Err(Problem::unknown_stat(name, &app.catalog.idents()))
}

/// Finds a stat by its ident alone.
pub(super) fn find_plain(app: &App, ident: &str) -> Result<Found, Problem> {
    let found = find(app, ident)?;
    if found.extension.is_some() {
        return Err(Problem::unknown_stat(ident, &app.catalog.idents()));
    }
    Ok(found)
}

pub(super) async fn get(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
    uri: Uri,
    request: HeaderMap,
) -> Answer {
    let Path(name) = path.map_err(|error| Problem::path(&error))?;
    let found = find(&app, &name)?;
    let asked = (found.ident.as_str(), "");
    let place = Place::new(&app, (&uri, &request), asked, found.extension, raw.as_deref());
    let mut query =
        params::parse(place.pairs(), crate::clock::now_us()).map_err(Problem::params)?;
    let chosen = choose(found.extension.or(query.format), &request, &Format::ALL)?;
    if let Some(redirect) = pages::clean(&uri, &place) {
        return Ok(redirect);
    }
    // Pages hand on what they were asked, so what is said of a picture is no filter elsewhere either.
    let asked = svg::asked(&found, &mut query)?;
    if chosen.format == Format::Svg {
        return svg::answer(&app, found, query, asked, (chosen, place, &request)).await;
    }
    let wish = Wish::of(&request);
    let etag = etag(&found, &format!("{asked:?}"), &query, (chosen, wish));
    if let Some(known) = known(&app, &found, &etag, &request) {
        return Ok(known);
    }
    app.blocking(move |app| {
        let answer = query::run(&found.view.snapshot, &query, &app.options.limits)?;
        let body = match chosen.format {
            Format::Html => {
                let (computed, zone) = (None, asked.tz.as_deref());
                let (found, query, answer, place) = (&found, &query, &answer, &place);
                let asked = pages::Asked { found, query, answer, place, wish, zone, computed };
                Some(pages::rows_page(app, &asked).into_bytes())
            }
            _ => None,
        };
        Ok(respond(app, &found, &query, chosen, &answer, &place, (&etag, &Format::ALL, body)))
    })
    .await?
}

/// The answer to who already holds what `etag` names.
pub(super) fn known(app: &App, found: &Found, etag: &str, request: &HeaderMap) -> Option<Response> {
    headers::is_known(request, etag).then(|| {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        headers::describe(&mut response, found.view.complete_until, etag, app.is_private());
        response
    })
}

/// An answer in its form, with the headers of all answers of rows. `body` stands for a form that is
/// not written from the table alone.
pub(super) fn respond(
    app: &App,
    found: &Found,
    query: &Query,
    chosen: Chosen,
    answer: &query::Answer,
    place: &Place,
    (etag, forms, body): (&str, &[Format], Option<Vec<u8>>),
) -> Response {
    let (content_type, body) = match body {
        Some(body) => (chosen.content_type, body),
        None => write(found, query, chosen, answer, place),
    };
    let mut response = ([(CONTENT_TYPE, content_type)], body).into_response();
    headers::describe(&mut response, found.view.complete_until, etag, app.is_private());
    let links = place.links(query, answer, forms);
    headers::paging(&mut response, answer.page, answer.table.total, &links);
    headers::step(&mut response, answer.step_s);
    if query.download {
        let name = format!("{}.{}", found.ident, chosen.format.name());
        headers::download(&mut response, &name);
    }
    response
}

fn write(
    found: &Found,
    query: &Query,
    chosen: Chosen,
    answer: &query::Answer,
    place: &Place,
) -> (&'static str, Vec<u8>) {
    let mut body = Vec::new();
    match chosen.format {
        Format::Csv => body = csv::body(&answer.table, query.time),
        Format::Ndjson => json::lines(&answer.table, query.time, &mut body),
        _ => return json_body(found, query, answer, place),
    }
    (chosen.content_type, body)
}

/// An answer as JSON, with its media type.
fn json_body(
    found: &Found,
    query: &Query,
    answer: &query::Answer,
    place: &Place,
) -> (&'static str, Vec<u8>) {
    let mut body = Vec::new();
    if query.envelope {
        let envelope = json::Envelope {
            stat: found.ident.clone(),
            model: answer.model.clone(),
            version: found.view.version.clone(),
            complete_until: found.view.complete_until.to_string(),
            step_s: answer.step_s,
            total: answer.table.total,
            page: answer.page.number,
            pages: answer.page.count,
            next: place.next(query, answer),
            cursor: answer.next.as_ref().map(ToString::to_string),
            columns: answer.table.columns.clone(),
        };
        json::enveloped(&envelope, &answer.table, query.shape, query.time, &mut body);
    } else {
        json::rows(&answer.table, query.shape, query.time, &mut body);
    }
    match &query.callback {
        Some(callback) => ("application/javascript; charset=utf-8", json::script(callback, &body)),
        None => (Chosen::of(Format::Json).content_type, body),
    }
}

/// Names what a query answers, of the rows or of `what` else of a stat: changes when the rows or the
/// question do. Weak, for compression changes the bytes.
pub(super) fn etag(
    found: &Found,
    what: &str,
    query: &Query,
    (chosen, wish): (Chosen, Wish),
) -> String {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    (&found.ident, what, query, chosen).hash(&mut hash);
    if query.envelope || matches!(chosen.format, Format::Html | Format::Svg) {
        // These show it in their body, and it moves on while the rows stay.
        (found.view.complete_until, wish).hash(&mut hash);
    }
    let version = found.view.version.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "_");
    format!("W/\"{version}-{:016x}\"", hash.finish())
}
