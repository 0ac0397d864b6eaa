//! Bearer tokens: who may query, ingest and administer.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use subtle::ConstantTimeEq;

use super::problem::Problem;
use crate::config::Tokens;

/// What a request wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Query,
    Ingest,
    Admin,
}

/// Refuses who lacks the token for a use.
pub(super) fn check(tokens: &Tokens, wanted: Use, headers: &HeaderMap) -> Result<(), Problem> {
    let token = match wanted {
        Use::Query => tokens.query.as_ref(),
        Use::Ingest => tokens.ingest.as_ref(),
        // Never easier than reading.
        Use::Admin => tokens.for_admin(),
    };
    let Some(token) = token else {
        return if wanted == Use::Ingest { refuse_other_sites(headers) } else { Ok(()) };
    };
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|text| {
        let (scheme, secret) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
    });
    let Some(given) = given else {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "a token is needed: send the header `Authorization: Bearer <token>`",
        ));
    };
    // Both are compared, whatever the first says: the time must not tell them apart.
    let equal = |token: &String| given.as_bytes().ct_eq(token.as_bytes());
    let matches = equal(token) | tokens.admin.as_ref().map_or(0.into(), equal);
    if bool::from(matches) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::UNAUTHORIZED, "the token is not valid for this"))
}

/// Without a token, a page of any site could make a visitor's browser send messages here.
fn refuse_other_sites(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get("sec-fetch-site").map(|value| value.as_bytes()) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "pages of other sites may send messages only with a token: set an ingest token",
        )),
    }
}
