//! `POST /api/_admin/…`: what repairs a running host. Bodies and answers are JSON.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;

use super::problem::Problem;
use super::status::NEVER_STORED;
use super::{Answer, App};
use crate::admin::{Admin, AdminError, LetterAt, Reloaded, Retried, Settled, SettledLetter};
use crate::log::Offset;
use crate::query::{StatStatus, Status};

/// Which dead letters are meant: one, or all of the stat.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Which {
    /// Id or name of its log.
    log: Option<String>,
    offset: Option<u64>,
    all: bool,
}

type Asked<T> = Result<Json<T>, JsonRejection>;

pub(super) async fn retry(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    asked: Asked<Which>,
) -> Answer {
    settle(&app, path, asked, |admin, ident, at| {
        Ok(match admin.retry(ident, at)? {
            Retried::Folded => ("folded", None),
            Retried::Failed { reason } => ("failed", Some(reason)),
        })
    })
    .await
}

pub(super) async fn drop_letters(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    asked: Asked<Which>,
) -> Answer {
    settle(&app, path, asked, |admin, ident, at| {
        admin.drop_letter(ident, at).map(|()| ("dropped", None))
    })
    .await
}

/// Nothing more is to be said.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

pub(super) async fn resume(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    asked: Asked<Nothing>,
) -> Answer {
    let Path(ident) = path.map_err(|error| Problem::path(&error))?;
    body(asked)?;
    repair(&app, move |app, admin| {
        admin.resume(&ident).map_err(|error| match error {
            AdminError::NoSuchStat { .. } => Problem::unknown_stat(&ident, &app.catalog.idents()),
            error => problem(error),
        })?;
        let state = app.catalog.stat(&ident).map(|view| view.state);
        let answer = serde_json::json!({ "stat": ident, "state": state });
        Ok((NEVER_STORED, Json(answer)).into_response())
    })
    .await
}

pub(super) async fn reload(State(app): State<Arc<App>>, asked: Asked<Nothing>) -> Answer {
    body(asked)?;
    repair(&app, |_, admin| {
        let plugins = admin.reload().map_err(problem)?;
        Ok((NEVER_STORED, Json(Reloaded { plugins })).into_response())
    })
    .await
}

type Outcome = Result<(&'static str, Option<String>), AdminError>;

/// Does `each` to the dead letters that are meant. One alone that cannot be is a problem; of all of them each
/// says what became of it.
async fn settle(
    app: &Arc<App>,
    path: Result<Path<String>, PathRejection>,
    asked: Asked<Which>,
    each: fn(&dyn Admin, &str, LetterAt) -> Outcome,
) -> Answer {
    let Path(ident) = path.map_err(|error| Problem::path(&error))?;
    let which = body(asked)?;
    repair(app, move |app, admin| {
        let status = app.catalog.status();
        let stat = status.stats.iter().find(|stat| stat.ident == ident);
        let stat = stat.ok_or_else(|| Problem::unknown_stat(&ident, &app.catalog.idents()))?;
        let wanted = meant(stat, &status, &which)?;
        let mut letters = Vec::new();
        for at in wanted {
            let (outcome, reason) = match each(admin, &ident, at) {
                Ok(done) => done,
                Err(error) if !which.all => return Err(problem(error)),
                Err(error) => ("kept", Some(error.to_string())),
            };
            letters.push(SettledLetter { at, outcome: outcome.to_owned(), reason });
        }
        Ok((NEVER_STORED, Json(Settled { stat: ident, letters })).into_response())
    })
    .await
}

fn meant(stat: &StatStatus, status: &Status, which: &Which) -> Result<Vec<LetterAt>, Problem> {
    match (&which.log, which.offset, which.all) {
        (None, None, true) => {
            let all = stat.letters.iter();
            Ok(all.map(|letter| LetterAt { log: letter.log, offset: letter.offset }).collect())
        }
        (Some(log), Some(offset), false) => {
            let named = status.logs.iter().filter(|known| known.name == *log).find_map(|it| it.id);
            let log = log.parse().ok().or(named).ok_or_else(|| {
                Problem::param("log", &format!("{log:?} is none"), "the id or the name of a log")
            })?;
            Ok(vec![LetterAt { log, offset: Offset(offset) }])
        }
        _ => Err(Problem::param(
            "log",
            "which dead letter is meant is not clear",
            "`log` and `offset`, or `\"all\": true`",
        )),
    }
}

/// The body, which must be named as JSON: a form of another site cannot do that.
fn body<T>(asked: Asked<T>) -> Result<T, Problem> {
    asked.map(|Json(body)| body).map_err(|error| Problem::new(error.status(), error.body_text()))
}

/// Does `work`, which blocks, one after the other.
async fn repair(
    app: &Arc<App>,
    work: impl FnOnce(&App, &dyn Admin) -> Answer + Send + 'static,
) -> Answer {
    let Some(admin) = app.catalog.admin() else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "there is no running host to be repaired"));
    };
    let permit = app.repairs.clone().acquire_owned().await;
    if app.shutdown.is_asked() {
        return Err(Problem::busy("the host is stopping", 5));
    }
    let app = Arc::clone(app);
    let outcome = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work(&app, &*admin)
    });
    outcome.await.map_err(|_| Problem::internal())?
}

fn problem(error: AdminError) -> Problem {
    let status = match &error {
        AdminError::NoSuchStat { .. } | AdminError::NoSuchLetter { .. } => StatusCode::NOT_FOUND,
        AdminError::Gone { .. } => StatusCode::GONE,
        AdminError::Detached { .. }
        | AdminError::Unwanted { .. }
        | AdminError::InOrder { .. }
        | AdminError::State { .. } => StatusCode::CONFLICT,
        AdminError::TooSlow { .. } => StatusCode::GATEWAY_TIMEOUT,
        AdminError::Failed { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        AdminError::Stopping => return Problem::busy(error.to_string(), 5),
    };
    Problem::new(status, error.to_string())
}
