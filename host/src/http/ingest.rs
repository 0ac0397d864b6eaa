//! `POST /ingest/{source}`: messages for a source.

use std::io::ErrorKind;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{FromRequest, Path, RawQuery, Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;

use super::headers::pairs;
use super::problem::Problem;
use super::{Answer, App};
use crate::log::LogError;
use crate::log::ingest::{Accepted, IngestError, MAX_KEY};
use crate::project::Reject;
use crate::query::params::flag;

/// Most faulty lines told of in one answer.
const MAX_LINES_TOLD: usize = 100;
/// Seconds after which a sender may try again when the journal could not be written.
const RETRY_S: u32 = 1;

/// What became of a request, as it is answered.
#[derive(Serialize)]
struct Taken {
    #[serde(flatten)]
    accepted: Accepted,
    /// Refused documents beyond those listed.
    #[serde(skip_serializing_if = "is_zero")]
    rejected_beyond: usize,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

pub(super) async fn post(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
    request: Request,
) -> Answer {
    let Path(source) = path.map_err(|error| Problem::path(&error))?;
    let Some(sink) = app.catalog.ingest(&source) else {
        return Err(unknown_source(&source, &app.catalog.ingest_sources()));
    };
    let is_partial = is_partial(raw.as_deref())?;
    let content_type = text_header(request.headers(), CONTENT_TYPE.as_str())?;
    let key = text_header(request.headers(), "idempotency-key")?;
    if key.as_ref().is_some_and(|key| key.is_empty() || key.len() > MAX_KEY) {
        let allowed = format!("1 to {MAX_KEY} characters");
        return Err(Problem::param("Idempotency-Key", "is empty or too long", &allowed));
    }
    if request.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "compressed bodies are not taken: send without Content-Encoding",
        ));
    }

    let held = app.bodies.clone().acquire_many_owned(places(body_bytes(&app, &request)?)).await;
    let body = read(&app, request).await?;
    // Asked after the wait for the body: a slow sender must not find a journal that is closed.
    if app.shutdown.is_asked() {
        return Err(Problem::busy("the host is stopping", 5));
    }
    let permit = app.ingests.clone().acquire_owned().await;
    let outcome = tokio::task::spawn_blocking(move || {
        let _permits = (held, permit);
        sink.accept(&body, content_type.as_deref(), key.as_deref(), is_partial)
    });
    match outcome.await.map_err(|_| Problem::internal())? {
        Ok(mut accepted) => {
            let rejected_beyond = accepted.rejected.len().saturating_sub(MAX_LINES_TOLD);
            accepted.rejected.truncate(MAX_LINES_TOLD);
            Ok((StatusCode::ACCEPTED, Json(Taken { accepted, rejected_beyond })).into_response())
        }
        Err(error) => Err(problem(error)),
    }
}

/// Places that a body takes among those held in memory.
pub(super) fn places(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

/// What the body may take: what it says, or the most there can be where it does not say.
fn body_bytes(app: &App, request: &Request) -> Result<usize, Problem> {
    let limit = app.options.max_body_bytes;
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    match length.and_then(|length| length.parse().ok()) {
        Some(bytes) if bytes > limit => Err(too_large(limit)),
        Some(bytes) => Ok(bytes),
        None => Ok(limit),
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body is longer than {limit} bytes; send it in smaller parts"),
    )
}

async fn read(app: &App, request: Request) -> Result<Bytes, Problem> {
    let limit = app.options.max_body_bytes;
    let read = tokio::time::timeout(app.options.body_time, Bytes::from_request(request, &()));
    match read.await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) => Err(body_problem(&error, limit)),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "the body took too long to arrive; send it in smaller parts",
        )),
    }
}

fn body_problem(error: &BytesRejection, limit: usize) -> Problem {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large(limit);
    }
    Problem::new(StatusCode::BAD_REQUEST, format!("the body did not arrive: {error}"))
}

fn problem(error: IngestError) -> Problem {
    let detail = error.to_string();
    match error {
        IngestError::Rejected(document) => {
            let detail = format!("{detail}; or ask with partial=1 for the others to be taken");
            let status = match document.reason {
                Reject::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                _ => StatusCode::BAD_REQUEST,
            };
            Problem::document(status, detail, document)
        }
        IngestError::BodyTooLarge { .. } | IngestError::TooManyDocuments { .. } => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
        }
        IngestError::KeyReused => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail),
        IngestError::Log(LogError::Io { source, .. }) if is_full(&source) => {
            tracing::error!("messages cannot be taken: {detail}");
            Problem::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "there is no room for it on the disk of the data folder; free some and send it again",
            )
        }
        IngestError::Log(_) => {
            tracing::error!("messages cannot be taken: {detail}");
            Problem::busy("the journal cannot be written; the host's log tells why", RETRY_S)
        }
        _ => Problem::new(StatusCode::BAD_REQUEST, detail),
    }
}

/// Whether the medium has no room, or no more is granted.
fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

fn unknown_source(source: &str, known: &[String]) -> Problem {
    let hint = if known.is_empty() {
        "no source takes messages over HTTP; add one with --source http:<name>".to_owned()
    } else {
        format!("there is {}", known.join(", "))
    };
    Problem::new(StatusCode::NOT_FOUND, format!("there is no source {source:?} to send to; {hint}"))
}

fn is_partial(raw: Option<&str>) -> Result<bool, Problem> {
    let mut is_partial = false;
    for (name, value) in pairs(raw) {
        if name != "partial" {
            return Err(Problem::param(&name, "is not a parameter of ingest", "`partial`"));
        }
        is_partial = flag(&value).ok_or_else(|| {
            Problem::param("partial", &format!("{value:?} is neither"), "`1` or `0`")
        })?;
    }
    Ok(is_partial)
}

fn text_header(headers: &HeaderMap, name: &str) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().map_err(|_| {
        Problem::param(name, "holds characters outside of ASCII", "visible ASCII characters")
    })?;
    Ok(Some(text.to_owned()))
}
