//! Bearer tokens: who may query, ingest and administer.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};

use super::problem::Problem;

/// One secret per kind of use; where none is set, that use is open.
#[derive(Clone, Default)]
pub struct Tokens {
    /// For `POST /ingest/…`.
    pub ingest: Option<String>,
    /// For reading.
    pub query: Option<String>,
    /// For everything.
    pub admin: Option<String>,
}

// Not derived: secrets do not belong into logs.
impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let set = |token: &Option<String>| if token.is_some() { "set" } else { "none" };
        f.debug_struct("Tokens")
            .field("ingest", &set(&self.ingest))
            .field("query", &set(&self.query))
            .field("admin", &set(&self.admin))
            .finish()
    }
}

/// What a request wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Query,
    Ingest,
}

impl Tokens {
    /// Whether nobody can read or write without a token.
    #[must_use]
    pub fn guard_all(&self) -> bool {
        self.ingest.is_some() && self.query.is_some()
    }

    pub(super) fn check(&self, wanted: Use, headers: &HeaderMap) -> Result<(), Problem> {
        let token = match wanted {
            Use::Query => &self.query,
            Use::Ingest => &self.ingest,
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
        let matches = equal(given, token);
        let is_admin = self.admin.as_ref().is_some_and(|admin| equal(given, admin));
        if matches | is_admin {
            return Ok(());
        }
        Err(Problem::new(StatusCode::UNAUTHORIZED, "the token is not valid for this"))
    }
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

/// Compares secrets in a time that tells no more than their lengths.
fn equal(a: &str, b: &str) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let difference = a.bytes().zip(b.bytes()).fold(0, |all, (x, y)| all | (x ^ y));
    std::hint::black_box(difference) == 0
}
