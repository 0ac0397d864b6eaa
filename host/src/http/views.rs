//! `GET /api/{ident}/views/{view}`: a table that a stat's plugin computes of its rows.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, Uri};

use super::links::Place;
use super::negotiate::choose;
use super::pages::{self, Wish};
use super::problem::Problem;
use super::rows::{self, Found};
use super::{Answer, App, svg};
use crate::query::{ComputeError, Format, Limits, Query, computed_views, params};
use crate::render::html::encode;

pub(super) const FORMATS: [Format; 5] =
    [Format::Json, Format::Csv, Format::Html, Format::Ndjson, Format::Svg];
/// The most rows that a picture is made of.
const MOST_ROWS: u64 = 50_000;

pub(super) async fn get(
    State(app): State<Arc<App>>,
    path: Result<Path<(String, String)>, PathRejection>,
    RawQuery(raw): RawQuery,
    uri: Uri,
    request: HeaderMap,
) -> Answer {
    let Path((ident, name)) = path.map_err(|error| Problem::path(&error))?;
    let found = rows::find_plain(&app, &ident)?;
    let (view, extension) = named(&found, &name)?;
    let known = computed_views(found.view.snapshot.manifest());
    let title = known.into_iter().find(|known| known.name == view).map(|known| known.title);
    let title = title.unwrap_or_default();
    let rest = format!("/views/{}", encode(&view));
    let place = Place::new(&app, (&uri, &request), (&ident, &rest), extension, raw.as_deref());
    let mut query =
        params::parse(place.pairs(), crate::clock::now_us()).map_err(Problem::params)?;
    let asked = svg::asked(&found, &mut query)?;
    let chosen = choose(extension.or(query.format), &request, &FORMATS)?;
    if let Some(redirect) = pages::clean(&uri, &place) {
        return Ok(redirect);
    }
    let wish = Wish::of(&request);
    let is_picture = chosen.format == Format::Svg;
    // Links in a picture repeat the question as it was put.
    let put: Vec<_> = place.pairs().filter(|_| is_picture).collect();
    let what = format!("{rest} {asked:?} {put:?}");
    let etag = rows::etag(&found, &what, &query, (chosen, wish));
    if let Some(known) = rows::known(&app, &found, &etag, &request) {
        return Ok(known);
    }
    app.blocking(move |app| {
        let detached = || ComputeError::Detached { ident: found.ident.clone() };
        let views = app.catalog.views().ok_or_else(detached)?;
        if is_picture {
            let limits = Limits {
                default_rows_per_page: MOST_ROWS,
                max_rows_per_page: MOST_ROWS,
                ..app.options.limits.clone()
            };
            // A picture is one page.
            let whole = Query { page: 1, rows_per_page: None, ..query.clone() };
            let answer = views.run(&found.view, &view, &whole, &limits)?;
            let (answer, body) = svg::computed(&found, &title, answer, (&asked, &query, &place))?;
            let forms = (etag.as_str(), &FORMATS[..], Some(body.into_bytes()));
            return Ok(rows::respond(app, &found, &query, chosen, &answer, &place, forms));
        }
        let answer = views.run(&found.view, &view, &query, &app.options.limits)?;
        let body = (chosen.format == Format::Html).then(|| {
            let (computed, zone) = (Some(view.as_str()), asked.tz.as_deref());
            let (found, query, answer, place) = (&found, &query, &answer, &place);
            let asked = pages::Asked { found, query, answer, place, wish, zone, computed };
            pages::rows_page(app, &asked).into_bytes()
        });
        Ok(rows::respond(app, &found, &query, chosen, &answer, &place, (&etag, &FORMATS, body)))
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
