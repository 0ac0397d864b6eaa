//! `GET /api/_messages/{log}/{offset}`: one message as it was received, byte for byte.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::de::IgnoredAny;

use super::problem::Problem;
use super::{Answer, App};
use crate::log::{Log, LogError, Offset};

pub(super) async fn get(
    State(app): State<Arc<App>>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Answer {
    let Path((log, offset)) = path.map_err(|error| Problem::path(&error))?;
    let log = find(&app, &log)?;
    let at = offset.parse().map(Offset).map_err(|_| {
        Problem::param("offset", &format!("{offset:?} is not one"), "a whole number, 0 or more")
    })?;
    app.blocking(move |_| {
        let message = log.record(at).map_err(problem)?.ok_or_else(|| none(&*log, at))?;
        Ok(([(CONTENT_TYPE, content_type(&message))], message).into_response())
    })
    .await?
}

/// Finds a log by its id or its name, both as `/api/_status` lists them.
fn find(app: &App, log: &str) -> Result<Arc<dyn Log>, Problem> {
    let logs = app.catalog.logs();
    let is_meant = |known: &&Arc<dyn Log>| known.id().to_string() == log || known.name() == log;
    logs.iter().find(is_meant).cloned().ok_or_else(|| {
        let names: Vec<_> = logs.iter().map(|log| log.name().to_owned()).collect();
        Problem::unknown("log", log, &names, "/api/_status")
    })
}

/// Messages are JSON documents; a log read in place may hold anything.
fn content_type(message: &[u8]) -> &'static str {
    match serde_json::from_slice::<IgnoredAny>(message) {
        Ok(_) => "application/json",
        Err(_) => "application/octet-stream",
    }
}

fn none(log: &dyn Log, at: Offset) -> Problem {
    let name = log.name();
    let detail = match log.end() {
        Ok(end) if at >= end.offset => format!("log {name} ends before offset {}", at.0),
        _ => format!("no message of log {name} begins at offset {}", at.0),
    };
    Problem::new(StatusCode::NOT_FOUND, detail)
}

fn problem(error: LogError) -> Problem {
    let status = match error {
        LogError::Expired { .. } | LogError::Damaged { .. } => StatusCode::NOT_FOUND,
        _ => {
            tracing::error!("a message cannot be read: {error}");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    Problem::new(status, error.to_string())
}
