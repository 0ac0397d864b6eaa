//! Errors as RFC 9457 `application/problem+json`: what is wrong, where, and what would be right.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::query::{LineError, ParamError, QueryError};

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
        let names: Vec<_> = errors.iter().map(|error| error.param.as_str()).collect();
        let detail = format!("bad value of {}", names.join(", "));
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, detail) }
    }

    pub(super) fn param(param: &str, reason: &str, allowed: &str) -> Self {
        Self::params(vec![ParamError {
            param: param.to_owned(),
            reason: reason.to_owned(),
            allowed: allowed.to_owned(),
        }])
    }

    /// There is no `what` of that name; those that sound alike are told.
    pub(super) fn unknown(what: &str, name: &str, known: &[String]) -> Self {
        let near = near(name, known);
        let hint = match &near[..] {
            [] if known.is_empty() => format!("; there is no {what} at all yet"),
            [] => "; GET /api/ lists them".to_owned(),
            near => format!("; did you mean {}?", near.join(", ")),
        };
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what} {name:?}{hint}"))
    }

    pub(super) fn busy(detail: impl Into<String>, retry_after_s: u32) -> Self {
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    }

    pub(super) fn lines(detail: String, rejected: Vec<LineError>) -> Self {
        Self { rejected, ..Self::new(StatusCode::BAD_REQUEST, detail) }
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
            QueryError::TooManyRows { .. } | QueryError::TooSlow { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
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

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.status, body).into_response();
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

/// The up to three names that differ least from `name`, if they differ little.
fn near(name: &str, known: &[String]) -> Vec<String> {
    // The distance is quadratic in the lengths, and the name is a stranger's.
    let name: Vec<char> = name.chars().take(64).collect();
    let mut near: Vec<_> = known
        .iter()
        .map(|known| (distance(&name, &known.chars().take(64).collect::<Vec<_>>()), known))
        .filter(|(distance, _)| *distance <= name.len() / 3 + 1)
        .collect();
    near.sort();
    near.into_iter().take(3).map(|(_, known)| known.clone()).collect()
}

/// Levenshtein distance.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_sound_alike_are_found() {
        let known = ["volume-1s", "volume-1m", "volume-by-user-1d", "activity"].map(String::from);
        assert_eq!(near("volume-1x", &known), ["volume-1m", "volume-1s"]);
        assert_eq!(near("Activity", &known), ["activity"]);
        assert!(near("nope", &known).is_empty());
    }
}
