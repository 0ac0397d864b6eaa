//! `/api/_status`, `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::headers::complete_until;
use super::problem::Problem;
use super::{Answer, App, metrics};
use crate::query::{CompleteUntil, StatState};

pub(super) const NEVER_STORED: [(axum::http::HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

// None of these waits for a place among the queries: they must answer when queries are many.

pub(super) async fn status(State(app): State<Arc<App>>) -> Response {
    let status = app.catalog.status();
    let until = status.stats.iter().map(|stat| stat.complete_until).reduce(CompleteUntil::and);
    let mut response = (NEVER_STORED, Json(status)).into_response();
    complete_until(&mut response, until.unwrap_or_default());
    response
}

/// The process runs and answers.
pub(super) async fn alive() -> Response {
    (NEVER_STORED, [(CONTENT_TYPE, "text/plain; charset=utf-8")], "ok\n").into_response()
}

/// One stat as `/readyz` lists it.
#[derive(Serialize)]
struct Readiness {
    ident: String,
    state: StatState,
    lag_messages: Option<u64>,
    complete_until: CompleteUntil,
}

/// Every stat was level once, and the host is not stopping. Which stats there are is told only
/// where everyone may query.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Answer {
    if app.shutdown.is_asked() {
        return Err(Problem::busy("the host is stopping", 5));
    }
    let is_told = app.options.tokens.query.is_none();
    let stats: Vec<_> = app
        .catalog
        .status()
        .stats
        .into_iter()
        .map(|stat| Readiness {
            ident: stat.ident,
            state: stat.state,
            lag_messages: stat.lag_messages,
            complete_until: stat.complete_until,
        })
        .collect();
    if app.catalog.ready() {
        let mut body = serde_json::json!({ "ready": true });
        if is_told {
            body["stats"] = serde_json::json!(stats);
        }
        return Ok((NEVER_STORED, Json(body)).into_response());
    }
    if !is_told {
        return Err(Problem::busy("not level with the logs yet", 1));
    }
    let behind: Vec<_> = stats
        .iter()
        .filter(|stat| stat.state != StatState::Live)
        .map(|stat| match stat.lag_messages {
            Some(lag) => format!("{} ({}, {lag} messages behind)", stat.ident, stat.state),
            None => format!("{} ({})", stat.ident, stat.state),
        })
        .collect();
    let which = if behind.is_empty() { "starting".to_owned() } else { behind.join(", ") };
    Err(Problem::busy(format!("not level with the logs yet: {which}"), 1))
}

pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let text = metrics::render(&app.catalog.status(), app.options.metrics.as_ref());
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    (NEVER_STORED, [(CONTENT_TYPE, content_type)], text).into_response()
}
