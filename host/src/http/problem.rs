//! Errors as RFC 9457 `application/problem+json`: what is wrong, where, and what would be right.

use axum::extract::rejection::PathRejection;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::config::nearest::near;
use crate::log::ingest::LineError;
use crate::query::{ComputeError, Format, ParamError, QueryError};
use crate::render::html::encode;
use crate::store::StoreError;

/// What a problem says, for a page that says it.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) title: &'static str,
    pub(super) detail: String,
}

/// An answer that is none.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    #[serde(serialize_with = "status_number")]
    status: StatusCode,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ParamError>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rejected: Vec<LineError>,
    #[serde(skip)]
    retry_after_s: Option<u32>,
}

fn status_number<S: serde::Serializer>(status: &StatusCode, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u16(status.as_u16())
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status,
            detail: detail.into(),
            errors: Vec::new(),
            rejected: Vec::new(),
            retry_after_s: None,
        }
    }

    pub(super) fn params(errors: Vec<ParamError>) -> Self {
        let words: Vec<_> =
            errors.iter().map(|error| format!("{} {}", error.param, error.reason)).collect();
        let detail = words.join("; ");
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, detail) }
    }

    pub(super) fn param(param: &str, reason: &str, allowed: &str) -> Self {
        Self::params(vec![ParamError {
            param: param.to_owned(),
            reason: reason.to_owned(),
            allowed: allowed.to_owned(),
        }])
    }

    /// A path holds what is not text.
    pub(super) fn path(error: &PathRejection) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("the path is not text: {error}"))
    }

    /// There is no statistic of that name; those that sound alike are told.
    pub(super) fn unknown_stat(name: &str, known: &[String]) -> Self {
        Self::unknown("statistic", name, known, "/api/")
    }

    /// There is no `what` of that name, only those `known`, which are listed at `list`.
    pub(super) fn unknown(what: &str, name: &str, known: &[String], list: &str) -> Self {
        let near = near(name, known.iter().map(String::as_str));
        let hint = match &near[..] {
            [] if known.is_empty() => format!("; there is no {what} at all yet"),
            [] => format!("; GET {list} lists them"),
            near => format!("; did you mean {}?", near.join(", ")),
        };
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what} {name:?}{hint}"))
    }

    /// The form asked for is none of those offered.
    pub(super) fn no_format(asked: &str, offered: &[Format]) -> Self {
        let names: Vec<_> = offered.iter().map(|format| format.name()).collect();
        let detail = format!("{asked:?} is not available here; there is {}", names.join(", "));
        Self::new(StatusCode::NOT_ACCEPTABLE, detail)
    }

    pub(super) fn busy(detail: impl Into<String>, retry_after_s: u32) -> Self {
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    }

    /// One document spoils a request that is all or nothing.
    pub(super) fn document(status: StatusCode, detail: String, document: LineError) -> Self {
        Self { rejected: vec![document], ..Self::new(status, detail) }
    }

    pub(super) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the answer failed; the host's log tells where, and the host goes on",
        )
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let detail = error.to_string();
        match error {
            QueryError::Params(errors) => Self::params(errors),
            QueryError::NoSuchStat(_) => Self::new(StatusCode::NOT_FOUND, error.to_string()),
            QueryError::NoSuchPage { pages, .. } => Self {
                errors: vec![ParamError {
                    param: "page".to_owned(),
                    reason: detail.clone(),
                    allowed: format!("1 to {}", pages.max(1)),
                }],
                ..Self::new(StatusCode::BAD_REQUEST, detail)
            },
            QueryError::TooManyRows { .. }
            | QueryError::TooSlow { .. }
            | QueryError::TooLarge { .. }
            | QueryError::TooManyValues { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
            }
            QueryError::Store(StoreError::Closed | StoreError::Refused { .. }) => {
                Self::busy(detail, 1)
            }
            QueryError::Store(ref store) if store.is_damage() => {
                tracing::error!(error = detail, "a query found damaged rows");
                Self::busy(detail, 5)
            }
            QueryError::Store(_) | QueryError::Damaged(_) => {
                tracing::error!(error = detail, "a query failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
            }
        }
    }
}

impl From<ComputeError> for Problem {
    fn from(error: ComputeError) -> Self {
        let detail = error.to_string();
        match error {
            ComputeError::Query(error) => error.into(),
            ComputeError::NoSuchView { ident, view, known } => {
                let list = format!("/api/{}/schema", encode(&ident));
                Self::unknown("computed view", &view, &known, &list)
            }
            ComputeError::Detached { .. } => Self::new(StatusCode::CONFLICT, detail),
            ComputeError::TooMuch { .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail),
            ComputeError::Failed { .. } | ComputeError::NoTable { .. } => {
                tracing::error!(error = detail, "a computed view failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
            }
            ComputeError::TooSlow { .. } => Self::new(StatusCode::GATEWAY_TIMEOUT, detail),
            ComputeError::Stuck { .. } => Self::busy(detail, 60),
            ComputeError::Busy => Self::busy(detail, 1),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        response.extensions_mut().insert(Told { title: self.title, detail: self.detail });
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
