//! `GET /api/{ident}/facets`: which values a dimension has, and how many rows have each.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, Uri};

use super::links::Place;
use super::negotiate::choose;
use super::pages::Wish;
use super::problem::Problem;
use super::rows::{etag, find_plain, known, respond};
use super::{Answer, App};
use crate::query::{self, Format, params};

/// On pages facets are what a reader can pick.
pub(super) const FORMATS: [Format; 3] = [Format::Json, Format::Csv, Format::Ndjson];
/// What may be counted by, in words.
pub(super) const BY_ALLOWED: &str = "the name of a dimension";

pub(super) async fn get(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
    uri: Uri,
    request: HeaderMap,
) -> Answer {
    let Path(ident) = path.map_err(|error| Problem::path(&error))?;
    let found = find_plain(&app, &ident)?;
    let place = Place::new(&app, (&uri, &request), (&ident, "/facets"), None, raw.as_deref());
    let (by, rest): (Vec<_>, Vec<_>) = place.pairs().partition(|(name, _)| *name == "by");
    let by = match by[..] {
        [(_, by)] if !by.is_empty() => by.to_owned(),
        [] | [_] => return Err(Problem::param("by", "is not given", BY_ALLOWED)),
        _ => return Err(Problem::param("by", "is given more than once", BY_ALLOWED)),
    };
    let query = params::parse(rest, crate::clock::now_us()).map_err(Problem::params)?;
    let chosen = choose(query.format, &request, &FORMATS)?;
    let etag = etag(&found, &format!("/facets?by={by}"), &query, (chosen, Wish::default()));
    if let Some(known) = known(&app, &found, &etag, &request) {
        return Ok(known);
    }
    app.blocking(move |app| {
        let answer = query::facets(&found.view.snapshot, &query, &by, &app.options.limits)?;
        Ok(respond(app, &found, &query, chosen, &answer, &place, (&etag, &[], None)))
    })
    .await?
}
