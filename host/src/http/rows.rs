//! `GET /api/{ident}`: the rows of a stat.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;

use super::headers::{self, pairs, with_page};
use super::negotiate::{Chosen, choose};
use super::problem::Problem;
use super::{Answer, App};
use crate::query::{self, Format, Query, StatView, params};
use crate::render::{csv, html, json};

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

pub(super) async fn get(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
    uri: Uri,
    request: HeaderMap,
) -> Answer {
    let Path(name) = path.map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, format!("the path is not text: {error}"))
    })?;
    let found = find(&app, &name)?;
    let pairs = pairs(raw.as_deref());
    let asked = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let query = params::parse(asked, crate::clock::now_us()).map_err(Problem::params)?;
    let chosen = choose(found.extension.or(query.format), &request, &Format::ALL)?;

    let etag = etag(&found, None, &query, chosen);
    let is_private = app.options.tokens.query.is_some();
    if headers::is_known(&request, &etag) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        headers::describe(&mut response, found.view.complete_until, &etag, is_private);
        return Ok(response);
    }

    let place =
        Place { base: headers::base(app.options.base_url.as_deref(), &uri, &request), name, pairs };
    app.blocking(move |app| {
        let answer = query::run(&found.view.snapshot, &query, &app.options.limits)?;
        let (content_type, body) = write(&found, &query, chosen, &answer, &place);
        let mut response = ([(CONTENT_TYPE, content_type)], body).into_response();
        headers::describe(&mut response, found.view.complete_until, &etag, is_private);
        headers::paging(&mut response, answer.page, answer.table.total, |page| place.page(page));
        Ok(response)
    })
    .await?
}

/// Where the answer is, so that it can tell where its other pages are.
struct Place {
    base: String,
    name: String,
    pairs: Vec<(String, String)>,
}

impl Place {
    fn page(&self, page: u64) -> String {
        let (base, name) = (&self.base, html::encode(&self.name));
        format!("{base}/api/{name}?{}", with_page(&self.pairs, page))
    }
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
        Format::Html => body = page(found, answer, place).into_bytes(),
        Format::Json => return json_body(found, query, answer, |page| place.page(page)),
    }
    (chosen.content_type, body)
}

/// An answer as JSON, with its media type. `link` makes the address of another page.
pub(super) fn json_body(
    found: &Found,
    query: &Query,
    answer: &query::Answer,
    link: impl Fn(u64) -> String,
) -> (&'static str, Vec<u8>) {
    let mut body = Vec::new();
    if query.envelope {
        let next = (answer.page.number < answer.page.count).then(|| link(answer.page.number + 1));
        let envelope = json::Envelope {
            stat: found.ident.clone(),
            model: answer.model.clone(),
            version: found.view.version.clone(),
            complete_until: found.view.complete_until.to_string(),
            total: answer.table.total,
            page: answer.page.number,
            pages: answer.page.count,
            next,
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

fn page(found: &Found, answer: &query::Answer, place: &Place) -> String {
    let manifest = found.view.snapshot.manifest();
    let ident = html::encode(&found.ident);
    let kept = place.pairs.iter().filter(|(name, _)| name != "page" && name != "format");
    let kept: Vec<_> = kept.cloned().collect();
    let mut links: Vec<(&str, String)> = [("JSON", "json"), ("CSV", "csv"), ("NDJSON", "ndjson")]
        .map(|(label, extension)| {
            (label, format!("/api/{ident}.{extension}?{}", with_page(&kept, answer.page.number)))
        })
        .to_vec();
    let address = |page| format!("/api/{ident}.html?{}", with_page(&kept, page));
    if answer.page.number > 1 {
        links.push(("Previous page", address(answer.page.number - 1)));
    }
    if answer.page.number < answer.page.count {
        links.push(("Next page", address(answer.page.number + 1)));
    }
    let about = html::RowsPage {
        ident: &found.ident,
        title: &manifest.title,
        summary: &manifest.summary,
        complete_until: found.view.complete_until,
        page: answer.page,
        links: &links,
    };
    html::rows(&about, &answer.table)
}

/// Names what a query of the rows, or of a computed view, answers: changes when the rows or the question do. Weak, for compression
/// changes the bytes.
pub(super) fn etag(found: &Found, view: Option<&str>, query: &Query, chosen: Chosen) -> String {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    (&found.ident, view, query, chosen).hash(&mut hash);
    if query.envelope || chosen.format == Format::Html {
        // These show it in their body, and it moves on while the rows stay.
        found.view.complete_until.hash(&mut hash);
    }
    let version = found.view.version.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "_");
    format!("W/\"{version}-{:016x}\"", hash.finish())
}
