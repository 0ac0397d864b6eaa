//! Who reads in a browser, which sends no token by itself: a form takes the token once, and a cookie that
//! follows from it lets its bearer read from then on, and nothing else.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;

use super::auth::refuse_other_sites;
use super::headers::{cookies, pairs};
use super::problem::Problem;
use super::{Answer, App};
use crate::config::Tokens;

/// The longest form, bytes.
pub(super) const MAX_FORM: usize = 16 << 10;
/// What it is a name and a value of.
const NAME: &str = "statmill-login-";
/// Seconds after which a browser forgets.
const MAX_AGE_S: u32 = 30 * 86_400;
const FORM: &str = "application/x-www-form-urlencoded";

/// Where a reader wanted to go who is asked for a token.
#[derive(Clone, Debug)]
pub(super) struct Next(pub(super) String);

/// What lets its bearer read.
struct Cookie {
    /// A part of the digest: browsers do not tell the ports of a machine apart, and several hosts may run there.
    name: String,
    value: String,
}

impl Cookie {
    /// It says nothing about the token, and ends with it.
    fn of(token: &str) -> Self {
        let text = URL_SAFE_NO_PAD.encode(digest(&SHA256, format!("login\n{token}").as_bytes()));
        let (name, value) = text.split_at(8);
        Self { name: format!("{NAME}{name}"), value: value.to_owned() }
    }

    fn is_in(&self, request: &HeaderMap) -> bool {
        let mut values = cookies(request).filter(|(name, _)| *name == self.name);
        values.any(|(_, value)| bool::from(value.as_bytes().ct_eq(self.value.as_bytes())))
    }

    fn set(&self, max_age_s: u32, is_secure: bool) -> String {
        let Self { name, value } = self;
        let secure = if is_secure { "; Secure" } else { "" };
        format!("{name}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}")
    }
}

/// The tokens with which answers can be read.
fn reading(tokens: &Tokens) -> impl Iterator<Item = &String> {
    tokens.query.iter().chain(&tokens.admin)
}

/// Whether a request comes from a browser in which a token was given.
pub(super) fn is_logged_in(tokens: &Tokens, request: &HeaderMap) -> bool {
    let sent = |name: &str| request.get(name).map(|value| value.as_bytes());
    // A page of a sister site may lead here; it may not read what is here, as a script for one.
    let is_own = matches!(sent("sec-fetch-site"), None | Some(b"same-origin" | b"none"));
    let leads_here = sent("sec-fetch-mode") == Some(b"navigate");
    (is_own || leads_here) && reading(tokens).any(|token| Cookie::of(token).is_in(request))
}

/// Lets in who sends a token with the form.
pub(super) async fn enter(
    State(app): State<Arc<App>>,
    request: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    refuse_other_sites(&request)?;
    let sent = request.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !sent.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(FORM)) {
        let detail = format!("the form is sent as {FORM}");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let body = body.map_err(|error| {
        let detail = format!("the form did not arrive: {error}");
        Problem::new(error.status(), detail)
    })?;
    let pairs = pairs(std::str::from_utf8(&body).ok());
    let field = |wanted: &str| {
        let found = pairs.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.trim())
    };
    let next = local(field("next").unwrap_or_default());
    let Some(given) = field("token") else {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "the form has no field `token`"));
    };
    let tokens = &app.options.tokens;
    if tokens.query.is_none() {
        // There is nothing to be let in to.
        return Ok(lead(next));
    }
    // All are compared, whatever the first says: the time must not tell them apart.
    let matching: Vec<_> = reading(tokens)
        .filter(|token| bool::from(token.as_bytes().ct_eq(given.as_bytes())))
        .collect();
    let Some(token) = matching.first() else {
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "the token is not valid for this");
        let mut response = problem.into_response();
        response.extensions_mut().insert(Next(next.to_owned()));
        return Ok(response);
    };
    let cookie = Cookie::of(token).set(MAX_AGE_S, is_secure(&app));
    Ok(([(SET_COOKIE, cookie)], lead(next)).into_response())
}

/// Has a browser forget.
pub(super) async fn leave(State(app): State<Arc<App>>, request: HeaderMap) -> Answer {
    refuse_other_sites(&request)?;
    let mut response = lead("/");
    for token in reading(&app.options.tokens) {
        let cookie = Cookie::of(token).set(0, is_secure(&app));
        if let Ok(cookie) = cookie.parse() {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    }
    Ok(response)
}

fn is_secure(app: &App) -> bool {
    app.options.base_url.as_ref().is_some_and(|base| base.starts_with("https:"))
}

fn lead(next: &str) -> Response {
    let headers = [(LOCATION, next), (CACHE_CONTROL, "no-store")];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// An address of this server, and none that a browser could take for one of another; else the first page.
fn local(next: &str) -> &str {
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_plain && next.starts_with('/') && !next.starts_with("//") { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_to_another_site() {
        for next in ["/", "/d/a?b=c%20d", "/api/x.html?y=//z"] {
            assert_eq!(local(next), next);
        }
        for next in [
            "",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "https://evil.example",
            "/ü",
        ] {
            assert_eq!(local(next), "/", "{next:?}");
        }
    }
}
