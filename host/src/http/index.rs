//! `GET /api/`: what can be asked.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::headers::{self, pairs};
use super::negotiate::{Chosen, choose};
use super::pages::{self, Wish};
use super::problem::Problem;
use super::schema::{ModelSchema, models};
use super::{Answer, App};
use crate::clock::now_us;
use crate::query::params::{self, flag};
use crate::query::time::UtcTime;
use crate::query::{CompleteUntil, Format, StatState, StatView, edge};
use crate::render::html::encode;
use crate::render::json;
use crate::store::Order;

/// `/api` was never a list of its own: clients find the list one slash further.
pub(super) async fn redirect(RawQuery(raw): RawQuery) -> Response {
    let place = raw.map_or_else(|| "/api/".to_owned(), |query| format!("/api/?{query}"));
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, place)]).into_response()
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
    request: HeaderMap,
) -> Answer {
    let pairs = pairs(raw.as_deref());
    let (detail, rest): (Vec<_>, Vec<_>) = pairs.iter().partition(|(name, _)| name == "detail");
    let is_detailed = match detail.last() {
        None => false,
        Some((_, value)) => flag(value).ok_or_else(|| {
            Problem::param("detail", &format!("{value:?} is neither"), "`1` or `0`")
        })?,
    };
    let asked = rest.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let query = params::parse(asked, now_us()).map_err(Problem::params)?;
    if let Some(unknown) = query.conditions.first() {
        let allowed = "`detail`, `format` and `callback`";
        return Err(Problem::param(&unknown.name, "is not a parameter of the list", allowed));
    }
    let chosen = choose(query.format, &request, &[Format::Json, Format::Csv, Format::Html])?;
    let callback = query.callback;
    let wish = Wish::of(&request);
    app.blocking(move |app| {
        let (mut body, until) = write(app, chosen, is_detailed, wish)?;
        let mut content_type = chosen.content_type;
        if let (Format::Json, Some(callback)) = (chosen.format, callback) {
            body = json::script(&callback, &body);
            content_type = "application/javascript; charset=utf-8";
        }
        let etag = headers::etag(&body);
        let mut response = ([(CONTENT_TYPE, content_type)], body).into_response();
        headers::describe(&mut response, until, &etag, app.is_private());
        Ok(response)
    })
    .await?
}

fn write(
    app: &App,
    chosen: Chosen,
    is_detailed: bool,
    wish: Wish,
) -> Result<(Vec<u8>, CompleteUntil), Problem> {
    if chosen.format == Format::Html {
        let (page, until) = pages::list(app, wish);
        return Ok((page.into_bytes(), until));
    }
    let stats = stats(app);
    let until = together(&stats);
    let idents: Vec<_> = stats.iter().map(|(ident, _)| ident.as_str()).collect();
    let body = match chosen.format {
        Format::Csv => lines(&idents),
        _ if is_detailed => {
            let detail = stats.iter().map(|(ident, view)| Detail::of(ident, view));
            serde_json::to_vec(&detail.collect::<Result<Vec<_>, _>>()?)
                .map_err(|_| Problem::internal())?
        }
        _ => serde_json::to_vec(&idents).map_err(|_| Problem::internal())?,
    };
    Ok((body, until))
}

/// One ident per line, none after the last, quoted as CSV where one needs it.
fn lines(idents: &[&str]) -> Vec<u8> {
    let mut writer = ::csv::WriterBuilder::new().from_writer(Vec::new());
    for ident in idents {
        writer.write_record([ident]).expect("writing CSV to memory cannot fail");
    }
    let mut body = writer.into_inner().unwrap_or_default();
    body.pop();
    body
}

/// All statistics, each as of its newest commit.
pub(super) fn stats(app: &App) -> Vec<(String, StatView)> {
    let idents = app.catalog.idents();
    idents
        .into_iter()
        .filter_map(|ident| app.catalog.stat(&ident).map(|view| (ident, view)))
        .collect()
}

/// Up to when an answer about all of these is complete.
pub(super) fn together(stats: &[(String, StatView)]) -> CompleteUntil {
    stats.iter().map(|(_, view)| view.complete_until).reduce(CompleteUntil::and).unwrap_or_default()
}

/// A stat as `?detail=1` lists it.
#[derive(Serialize)]
struct Detail<'a> {
    ident: &'a str,
    title: &'a str,
    summary: &'a str,
    description: &'a str,
    state: StatState,
    version: &'a str,
    rows: u64,
    first: Option<UtcTime>,
    last: Option<UtcTime>,
    complete_until: CompleteUntil,
    models: Vec<ModelSchema>,
    links: Links,
}

#[derive(Serialize)]
struct Links {
    rows: String,
    schema: String,
}

impl<'a> Detail<'a> {
    fn of(ident: &'a str, view: &'a StatView) -> Result<Self, Problem> {
        let manifest = view.snapshot.manifest();
        let path = format!("/api/{}", encode(ident));
        Ok(Self {
            ident,
            title: &manifest.title,
            summary: &manifest.summary,
            description: &manifest.description,
            state: view.state,
            version: &view.version,
            rows: view.snapshot.rows(0),
            first: edge(&view.snapshot, None, Order::Asc)?.map(UtcTime),
            last: edge(&view.snapshot, None, Order::Desc)?.map(UtcTime),
            complete_until: view.complete_until,
            models: models(view),
            links: Links { schema: format!("{path}/schema"), rows: path },
        })
    }
}
