//! `GET /api/openapi.json`: the API as OpenAPI 3.1 describes it.
//!
//! Made of the tables that the server itself goes by: addresses ([`super::routes`]), parameters
//! ([`PARAMS`](crate::query::params::PARAMS)), operators of filters, and of each statistic its columns.
//! Every address of a statistic is described in general, and again for each one there is.

pub(super) mod operations;
mod parameters;
mod schemas;

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde_json::{Map, Value as Json, json};

use super::auth::Use;
use super::routes::{ROUTES, Route};
use super::{Answer, App, headers};
use crate::query::{StatView, computed_views};
use crate::render::html::encode;

pub(super) async fn get(State(app): State<Arc<App>>) -> Answer {
    app.blocking(move |app| {
        let stats = super::index::stats(app);
        let until = super::index::together(&stats);
        let body = document(&stats, app).to_string();
        let etag = headers::etag(body.as_bytes());
        let mut response = ([(CONTENT_TYPE, "application/json")], body).into_response();
        headers::describe(&mut response, until, &etag, app.is_private());
        Ok(response)
    })
    .await?
}

/// What an operation is described for.
pub(super) enum Subject<'a> {
    /// Whatever the address names.
    Any,
    /// One statistic.
    Stat { ident: &'a str, view: &'a StatView },
    /// One computed view of a statistic.
    View { ident: &'a str, view: &'a StatView, name: &'a str },
}

impl<'a> Subject<'a> {
    /// The statistic, where it is one.
    fn stat(&self) -> Option<(&'a str, &'a StatView)> {
        match self {
            Self::Any => None,
            Self::Stat { ident, view } | Self::View { ident, view, .. } => Some((ident, view)),
        }
    }
}

/// The whole description.
pub(super) fn document(stats: &[(String, StatView)], app: &App) -> Json {
    let mut paths = Map::new();
    for route in ROUTES {
        add(&mut paths, route, route.path.to_owned(), &Subject::Any, app);
        let Some(rest) = route.path.strip_prefix("/api/{ident}") else { continue };
        for (ident, view) in stats {
            let place = format!("/api/{}", encode(ident));
            if rest == "/views/{view}" {
                for computed in computed_views(view.snapshot.manifest()) {
                    let name = computed.name.as_str();
                    let path = format!("{place}/views/{}", encode(name));
                    add(&mut paths, route, path, &Subject::View { ident, view, name }, app);
                }
            } else {
                let path = format!("{place}{rest}");
                add(&mut paths, route, path, &Subject::Stat { ident, view }, app);
            }
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "statmill",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Statistics over a stream of messages, kept exactly.",
            "description": "Any column of a statistic is a filter: `column=value`, or \
                            `column__operator=value`. Every answer of rows says up to when it is \
                            complete, in the header `Statmill-Complete-Until`.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": [
            { "name": "statistics", "description": "What can be asked in general." },
            { "name": "host", "description": "The process that answers." },
        ],
        "paths": paths,
        "components": {
            "schemas": schemas::components(stats),
            "parameters": parameters::components(),
            "headers": parameters::headers(),
            "responses": schemas::responses(),
            "securitySchemes": { "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "Browsers log in at `/login` instead.",
            } },
        },
    })
}

fn add(
    paths: &mut Map<String, Json>,
    route: &Route,
    path: String,
    subject: &Subject<'_>,
    app: &App,
) {
    let mut operation = (route.describe)(subject);
    let names = route.path.split('/').filter(|part| !part.is_empty());
    let name = names.map(|part| part.trim_matches(['{', '}', '_'])).collect::<Vec<_>>().join("-");
    let name = if name.is_empty() { "home" } else { &name };
    let slash = if route.path.ends_with('/') && route.path.len() > 1 { "-list" } else { "" };
    let of = match subject {
        Subject::Any => String::new(),
        Subject::Stat { ident, .. } => format!(":{ident}"),
        Subject::View { ident, name, .. } => format!(":{ident}:{name}"),
    };
    operation["operationId"] = json!(format!("{}-{name}{slash}{of}", route.method));
    let tag = match subject.stat() {
        Some((ident, _)) => ident,
        None if route.path.starts_with("/api/{") => "statistics",
        None => "host",
    };
    operation["tags"] = json!([tag]);
    let tokens = &app.options.tokens;
    let token = match route.access {
        None => None,
        Some(Use::Query) => tokens.query.as_ref(),
        Some(Use::Ingest) => tokens.ingest.as_ref(),
        Some(Use::Admin | Use::Repair) => tokens.for_admin(),
    };
    if token.is_some() {
        operation["security"] = json!([{ "token": [] }]);
        operation["responses"]["401"] = schemas::problem();
    }
    // What every server may answer: it is stopping, or there is too much to do.
    operation["responses"]["503"] = schemas::problem();
    paths.entry(path).or_insert_with(|| json!({}))[route.method] = operation;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_another_name() {
        let mut paths: Vec<_> = ROUTES.iter().map(|route| route.path).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), ROUTES.len());
    }
}
