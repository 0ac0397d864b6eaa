//! Tokens: who may query, ingest and administer.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::{AUTHORIZATION, FORWARDED, HOST, VIA};
use axum::http::{HeaderMap, StatusCode};
use subtle::ConstantTimeEq;

use super::login::is_logged_in;
use super::problem::Problem;
use crate::config::Tokens;

/// What a request wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Query,
    Ingest,
    Admin,
    /// Change what the host does.
    Repair,
}

/// Refuses who lacks the token for a use. `peer` is the other end of the connection.
pub(super) fn check(
    tokens: &Tokens,
    wanted: Use,
    headers: &HeaderMap,
    peer: Option<SocketAddr>,
) -> Result<(), Problem> {
    let token = match wanted {
        Use::Query => tokens.query.as_ref(),
        Use::Ingest => tokens.ingest.as_ref(),
        // Never easier than reading.
        Use::Admin | Use::Repair => tokens.for_admin(),
    };
    if wanted == Use::Repair && tokens.admin.is_none() {
        refuse_other_machines(headers, peer)?;
    }
    let Some(token) = token else {
        return match wanted {
            Use::Ingest | Use::Repair => refuse_other_sites(headers),
            Use::Query | Use::Admin => Ok(()),
        };
    };
    if wanted == Use::Query && is_logged_in(tokens, headers) {
        return Ok(());
    }
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

/// Without a token for it, only who is logged in here may repair the host: not who comes through a proxy, and
/// no page whose site gave its name this machine's address.
fn refuse_other_machines(headers: &HeaderMap, peer: Option<SocketAddr>) -> Result<(), Problem> {
    let comes_from_here = peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback());
    let is_passed_on = [FORWARDED.as_str(), VIA.as_str(), "x-forwarded-for", "x-real-ip"];
    let is_passed_on = is_passed_on.iter().any(|name| headers.contains_key(*name));
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if comes_from_here && !is_passed_on && is_this_machine(host) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "without an admin token the host can be repaired only from its own machine, at localhost: \
         set an admin token",
    ))
}

/// Whether the header `Host` names this machine by what no name server can have said.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_loopback)
}

/// Without a token that it sends itself, a page of any site could make a visitor's browser send messages here.
pub(super) fn refuse_other_sites(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get("sec-fetch-site").map(|value| value.as_bytes()) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "pages of other sites may send anything only with a token: set one",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_no_name_server_gives_mean_this_machine() {
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1:8040", "127.9.9.9", "[::1]:8040"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:80",
            "localhost.evil.example",
            "192.0.2.1",
            "[2001:db8::1]:80",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
