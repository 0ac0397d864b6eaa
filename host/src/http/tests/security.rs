//! Tokens, strangers, and what answers forbid browsers to do.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use super::{Fixture, MESSAGE, MemoryCatalog};
use crate::config::Tokens;
use crate::http::{HttpError, HttpOptions, Shutdown, serve};

fn guarded() -> Fixture {
    let token = |text: &str| Some(text.to_owned());
    let tokens = Tokens { ingest: token("in"), query: token("ask"), admin: token("root") };
    Fixture::new(HttpOptions { tokens, ..HttpOptions::default() })
}

#[test]
fn each_use_needs_its_own_token_and_admin_opens_all() {
    let fixture = guarded();
    for (token, may_query, may_ingest) in [
        (None, false, false),
        (Some("Bearer ask"), true, false),
        (Some("bearer in"), false, true),
        (Some("Bearer root"), true, true),
        (Some("Bearer asl"), false, false),
        (Some("Bearer asking"), false, false),
        (Some("Bearer "), false, false),
        (Some("Basic ask"), false, false),
    ] {
        let headers: Vec<_> = token.map(|token| ("Authorization", token)).into_iter().collect();
        let status = |allowed, good| if allowed { good } else { 401 };
        for path in ["/", "/api/", "/api/_status", "/metrics"] {
            let reply = fixture.ask("GET", path, &headers, b"");
            assert_eq!(reply.status, status(may_query, 200), "{path} {token:?}");
            assert_eq!(reply.header("www-authenticate").is_some(), !may_query);
        }
        let reply = fixture.ask("POST", "/ingest/bus", &headers, MESSAGE.as_bytes());
        assert_eq!(reply.status, status(may_ingest, 202), "{token:?}");
        let reply = fixture.ask("GET", "/api/_export", &headers, b"");
        assert_eq!(reply.status, status(may_query && may_ingest, 200), "{token:?}");
    }
    assert_eq!(fixture.get("/healthz").status, 200);
    assert_eq!(fixture.get("/readyz").json(), serde_json::json!({ "ready": true }));
}

#[test]
fn without_an_admin_token_an_export_is_no_easier_to_have_than_an_answer() {
    let tokens = Tokens { query: Some("ask".to_owned()), ..Tokens::default() };
    let fixture = Fixture::new(HttpOptions { tokens, ..HttpOptions::default() });
    assert_eq!(fixture.get("/api/_export").problem().0, 401);
    let headers = [("Authorization", "Bearer ask")];
    assert_eq!(fixture.ask("GET", "/api/_export", &headers, b"").status, 200);
    assert_eq!(Fixture::with_users().get("/api/_export").status, 200);
}

#[test]
fn a_connection_on_which_nothing_moves_is_closed() {
    let idle_time = std::time::Duration::from_millis(20);
    let fixture = Fixture::new(HttpOptions { idle_time, ..HttpOptions::default() });
    let mut stream = TcpStream::connect(fixture.server.address()).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost:").unwrap();
    // Ends only when the server gives up waiting for the rest.
    let _ = stream.read_to_end(&mut Vec::new());
}

#[test]
fn a_connection_too_many_waits_for_its_place() {
    let fixture = Fixture::new(HttpOptions { max_connections: 1, ..HttpOptions::default() });
    let mut first = TcpStream::connect(fixture.server.address()).unwrap();
    let alive = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(super::exchange_one(&mut first, alive).status, 200);
    let mut second = TcpStream::connect(fixture.server.address()).unwrap();
    second.write_all(alive).unwrap();
    drop(first);
    assert_eq!(super::exchange_one(&mut second, b"").status, 200);
}

#[test]
fn other_machines_are_not_answered_without_tokens() {
    let serve = |options: HttpOptions| {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        serve(listener, Arc::new(MemoryCatalog::default()), options, Shutdown::new())
    };
    let refused = serve(HttpOptions::default()).unwrap_err();
    assert!(matches!(refused, HttpError::Open { .. }));
    assert!(refused.to_string().contains("token"));
    assert!(serve(HttpOptions { open: true, ..HttpOptions::default() }).is_ok());
}

#[test]
fn a_page_of_another_site_cannot_send_messages_without_a_token() {
    let fixture = Fixture::with_users();
    let send = |site| {
        let headers = [("Sec-Fetch-Site", site)];
        fixture.ask("POST", "/ingest/bus", &headers, MESSAGE.as_bytes()).status
    };
    assert_eq!(send("cross-site"), 403);
    assert_eq!(send("same-origin"), 202);
}

#[test]
fn browsers_are_told_to_guess_nothing_and_load_nothing() {
    let fixture = Fixture::with_users();
    for path in ["/", "/api/users.html", "/api/users", "/nothing", "/stats"] {
        let reply = fixture.get(path);
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        let is_html = reply.header("content-type").unwrap().starts_with("text/html");
        assert_eq!(reply.header("content-security-policy").is_some(), is_html, "{path}");
    }
}

#[test]
fn a_host_header_that_is_no_host_is_not_echoed() {
    let fixture = Fixture::with_users();
    let request =
        "GET /api/users?rows_per_page=1 HTTP/1.1\r\nHost: a>b\r\nConnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(fixture.server.address()).unwrap();
    let reply = super::exchange(&mut stream, &[request.as_bytes()]);
    assert!(!reply.header("link").unwrap_or("").contains("a>b"));
}

#[test]
fn a_repair_needs_the_admin_token_or_comes_from_this_machine_and_no_page_of_another_site() {
    const JSON: (&str, &str) = ("Content-Type", "application/json");
    let open = Fixture::with_users();
    let ask = |fixture: &Fixture, headers: &[(&str, &str)]| {
        fixture.ask("POST", "/api/_admin/reload", headers, b"{}").status
    };
    // Who may ask is told that there is nothing to be repaired here.
    assert_eq!(ask(&open, &[JSON]), 404);
    assert_eq!(ask(&open, &[JSON, ("Sec-Fetch-Site", "same-origin")]), 404);
    for stranger in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("Forwarded", "for=192.0.2.1"),
        ("Via", "1.1 proxy"),
    ] {
        assert_eq!(ask(&open, &[JSON, stranger]), 403, "{stranger:?}");
    }
    assert_eq!(ask(&open, &[("Content-Type", "text/plain")]), 415);
    assert_eq!(ask(&open, &[]), 415);
    assert_eq!(open.get("/api/_admin/reload").status, 405);

    let guarded = guarded();
    for (token, status) in [("root", 404), ("ask", 401), ("in", 401)] {
        let bearer = format!("Bearer {token}");
        assert_eq!(ask(&guarded, &[JSON, ("Authorization", &bearer)]), status, "{token}");
    }
    assert_eq!(ask(&guarded, &[JSON]), 401);
}
