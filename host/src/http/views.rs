//! `GET /api/{ident}/views/{view}`: a table that a stat's plugin computes of its rows.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;

use super::headers::{self, pairs, with_page};
use super::negotiate::{Chosen, choose};
use super::problem::Problem;
use super::rows::{self, Found};
use super::{Answer, App};
use crate::query::{self, ComputeError, Format, Query, computed_views, params};
use crate::render::html::encode;
use crate::render::{csv, json};

/// Pages to read have no place for views yet.
const FORMATS: [Format; 3] = [Format::Json, Format::Csv, Format::Ndjson];

pub(super) async fn get(
    State(app): State<Arc<App>>,
    path: Result<Path<(String, String)>, PathRejection>,
    RawQuery(raw): RawQuery,
    uri: Uri,
    request: HeaderMap,
) -> Answer {
    let Path((ident, name)) = path.map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, format!("the path is not text: {error}"))
    })?;
    let found = rows::find(&app, &ident)?;
    if found.extension.is_some() {
        return Err(Problem::unknown_stat(&ident, &app.catalog.idents()));
    }
    let (view, extension) = named(&found, &name)?;
    let pairs = pairs(raw.as_deref());
    let asked = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let query = params::parse(asked, crate::clock::now_us()).map_err(Problem::params)?;
    let chosen = choose(extension.or(query.format), &request, &FORMATS)?;

    let etag = rows::etag(&found, Some(&view), &query, chosen);
    let is_private = app.options.tokens.query.is_some();
    if headers::is_known(&request, &etag) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        headers::describe(&mut response, found.view.complete_until, &etag, is_private);
        return Ok(response);
    }
    let base = headers::base(app.options.base_url.as_deref(), &uri, &request);
    let address = format!("{base}/api/{}/views/{}", encode(&ident), encode(&name));
    app.blocking(move |app| {
        let detached = || ComputeError::Detached { ident: found.ident.clone() };
        let views = app.catalog.views().ok_or_else(detached)?;
        let answer = views.run(&found.view, &view, &query, &app.options.limits)?;
        let link = |page| format!("{address}?{}", with_page(&pairs, page));
        let (content_type, body) = write(&found, &query, chosen, &answer, &link);
        let mut response = ([(CONTENT_TYPE, content_type)], body).into_response();
        headers::describe(&mut response, found.view.complete_until, &etag, is_private);
        headers::paging(&mut response, answer.page, answer.table.total, link);
        Ok(response)
    })
    .await?
}

/// A view of a stat by its name, or by its name and an extension.
fn named(found: &Found, name: &str) -> Result<(String, Option<Format>), Problem> {
    let views = computed_views(found.view.snapshot.manifest());
    let known: Vec<_> = views.into_iter().map(|view| view.name).collect();
    if known.iter().any(|view| view == name) {
        return Ok((name.to_owned(), None));
    }
    let dotted = name.rsplit_once('.').filter(|(view, _)| known.iter().any(|known| known == view));
    match dotted {
        Some((view, extension)) => match Format::named(extension) {
            Some(format) => Ok((view.to_owned(), Some(format))),
            None => Err(Problem::no_format(extension, &FORMATS)),
        },
        None => {
            let list = format!("/api/{}/schema", encode(&found.ident));
            Err(Problem::unknown("computed view", name, &known, &list))
        }
    }
}

fn write(
    found: &Found,
    query: &Query,
    chosen: Chosen,
    answer: &query::Answer,
    link: &impl Fn(u64) -> String,
) -> (&'static str, Vec<u8>) {
    let mut body = Vec::new();
    match chosen.format {
        Format::Csv => return (chosen.content_type, csv::body(&answer.table, query.time)),
        Format::Ndjson => json::lines(&answer.table, query.time, &mut body),
        _ => return rows::json_body(found, query, answer, link),
    }
    (chosen.content_type, body)
}
