//! Headers: those of every answer, and those that tell what rows an answer holds.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, ETAG, HOST, IF_NONE_MATCH, LINK,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::cors::{Any, CorsLayer};

use super::links::Link;
use crate::query::{CompleteUntil, Page};

const COMPLETE_UNTIL: HeaderName = HeaderName::from_static("statmill-complete-until");
const LINK_NUMBER: HeaderName = HeaderName::from_static("x-link-number");
const LINK_COUNT: HeaderName = HeaderName::from_static("x-link-count");
const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");
const STEP: HeaderName = HeaderName::from_static("statmill-step-seconds");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Lets pages of any site read every answer, and answers preflights.
pub(super) fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::OPTIONS])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            IDEMPOTENCY_KEY,
            ACCEPT,
            IF_NONE_MATCH,
            LAST_EVENT_ID,
        ])
        // Nothing depends on the origin, so caches need not tell origins apart.
        .vary([])
}

/// Adds what every answer carries.
pub(super) async fn common(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        "access-control-expose-headers",
        HeaderValue::from_static(
            "Link, X-Link-Number, X-Link-Count, X-Total-Count, ETag, Statmill-Complete-Until, \
             Statmill-Step-Seconds, Retry-After",
        ),
    );
    let is_html =
        headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    if is_html {
        let policy = "default-src 'self'; base-uri 'none'; frame-ancestors 'self'";
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
    let is_svg =
        headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"image/svg"));
    if is_svg {
        // A picture opened by itself is a page of this site: it may hold a style and nothing else.
        let policy = "default-src 'none'; style-src 'unsafe-inline'";
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
    headers.append(VARY, HeaderValue::from_static("Accept"));
    response
}

/// Says up to when an answer is complete.
pub(super) fn complete_until(response: &mut Response<Body>, until: CompleteUntil) {
    insert(response.headers_mut(), COMPLETE_UNTIL, &until.to_string());
}

/// Says up to when an answer is complete, and which version of what it is.
pub(super) fn describe(
    response: &mut Response<Body>,
    until: CompleteUntil,
    etag: &str,
    is_private: bool,
) {
    complete_until(response, until);
    let headers = response.headers_mut();
    insert(headers, ETAG, etag);
    // Kept by caches, asked again each time: the tag makes that cheap, and numbers are never old.
    let cache = if is_private { "private, no-cache" } else { "no-cache" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
}

/// Says which page of how many rows an answer is, and where others are.
pub(super) fn paging(response: &mut Response<Body>, page: Page, total: u64, links: &[Link]) {
    let links: Vec<_> = links.iter().map(ToString::to_string).collect();
    let headers = response.headers_mut();
    insert(headers, LINK, &links.join(", "));
    headers.insert(LINK_NUMBER, page.number.into());
    headers.insert(LINK_COUNT, page.count.into());
    headers.insert(TOTAL_COUNT, total.into());
}

/// Says how long the windows are that stored ones were joined to.
pub(super) fn step(response: &mut Response<Body>, step_s: Option<u64>) {
    if let Some(step_s) = step_s {
        response.headers_mut().insert(STEP, step_s.into());
    }
}

/// Has browsers save an answer under a name, of which what is not plain is left out.
pub(super) fn download(response: &mut Response<Body>, name: &str) {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '_' })
        .collect();
    let disposition = format!("attachment; filename=\"{plain}\"");
    insert(response.headers_mut(), CONTENT_DISPOSITION, &disposition);
}

/// Names the content of an answer.
pub(super) fn etag(content: &[u8]) -> String {
    format!("W/\"{:016x}\"", xxhash_rust::xxh3::xxh3_64(content))
}

/// Sends nothing that the client already holds. Answers that cost more to make than to name are not even made
/// then; see [`is_known`].
pub(super) async fn conditional(request: Request, next: Next) -> Response {
    let may_hold = matches!(*request.method(), Method::GET | Method::HEAD)
        && request.headers().contains_key(IF_NONE_MATCH);
    let held = may_hold.then(|| request.headers().clone());
    let mut response = next.run(request).await;
    let Some(held) = held.filter(|_| response.status() == StatusCode::OK) else {
        return response;
    };
    let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
    if etag.is_some_and(|etag| is_known(&held, etag) || wants_none(&held)) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
        for name in [CONTENT_TYPE, CONTENT_LENGTH] {
            response.headers_mut().remove(name);
        }
    }
    response
}

/// Whether the client wants nothing if there is any answer at all.
fn wants_none(headers: &HeaderMap) -> bool {
    headers.get_all(IF_NONE_MATCH).iter().any(|value| value.as_bytes().trim_ascii() == b"*")
}

/// Whether the client already holds what `etag` names. That it wants none at all is another matter:
/// whether there is an answer is not known before it is made.
pub(super) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let wanted = opaque(etag);
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| opaque(tag) == wanted)
}

/// Returns the address of this server as the client knows it, without a slash at the end; empty
/// when it cannot be told, which makes addresses relative.
pub(super) fn base(configured: Option<&str>, uri: &Uri, headers: &HeaderMap) -> String {
    if let Some(base) = configured {
        return base.trim_end_matches('/').to_owned();
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| uri.authority().map(|authority| authority.as_str()));
    let safe = |host: &&str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]_".contains(&byte);
        !host.is_empty() && host.bytes().all(allowed)
    };
    host.filter(safe).map(|host| format!("http://{host}")).unwrap_or_default()
}

/// Returns names and values of the cookies that a browser sent.
pub(super) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

/// Returns names and values of a query string, decoded; what is not UTF-8 is replaced.
pub(super) fn pairs(query: Option<&str>) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let blanks = text.replace('+', " ");
        percent_encoding::percent_decode_str(&blanks).decode_utf8_lossy().into_owned()
    };
    query
        .unwrap_or("")
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
