//! Messages sent to a source.

use super::{Fixture, ask};
use crate::http::HttpOptions;

#[test]
fn messages_are_taken_and_counted() {
    let fixture = Fixture::with_users();
    let reply = fixture.ask("POST", "/ingest/bus", &[], b"{\"a\":1}\n{\"a\":2}");
    assert_eq!(reply.status, 202);
    assert_eq!(reply.json()["accepted"], 2);
    assert_eq!(fixture.catalog.taken.lock().len(), 1);
}

#[test]
fn a_faulty_line_is_named_and_nothing_is_taken() {
    let fixture = Fixture::with_users();
    let (status, problem) = fixture.ask("POST", "/ingest/bus", &[], b"{}\n{\n{}").problem();
    assert_eq!(status, 400);
    assert_eq!(problem["rejected"][0]["line"], 2);
    assert!(problem["detail"].as_str().unwrap().contains("line 2: not JSON"), "{problem}");
    assert!(fixture.catalog.taken.lock().is_empty());
    let reply = fixture.ask("POST", "/ingest/bus?partial=1", &[], b"{}\n{\n{}");
    assert_eq!((reply.status, &reply.json()["accepted"]), (202, &2.into()));
    assert_eq!(reply.json()["rejected"][0]["line"], 2);
}

#[test]
fn the_idempotency_key_reaches_the_source() {
    let fixture = Fixture::with_users();
    let reply = fixture.ask("POST", "/ingest/bus", &[("Idempotency-Key", "seen")], b"{}");
    assert_eq!(reply.json()["duplicates"], 1);
    let long = "x".repeat(256);
    let refused = fixture.ask("POST", "/ingest/bus", &[("Idempotency-Key", &long)], b"{}");
    assert_eq!(refused.problem().0, 400);
}

#[test]
fn an_unknown_source_is_told_the_known_ones() {
    let fixture = Fixture::with_users();
    let (status, problem) = fixture.ask("POST", "/ingest/nope", &[], b"{}").problem();
    assert_eq!(status, 404);
    assert!(problem["detail"].as_str().unwrap().contains("bus"), "{problem}");
}

#[test]
fn a_body_over_the_limit_is_413_however_its_length_is_told() {
    let fixture = Fixture::new(HttpOptions { max_body_bytes: 10, ..HttpOptions::default() });
    assert_eq!(fixture.ask("POST", "/ingest/bus", &[], &[b' '; 11]).problem().0, 413);
    let chunked = [("Transfer-Encoding", "chunked")];
    let address = fixture.server.address();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let request = "POST /ingest/bus HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let head = format!("{request}{}: {}\r\n\r\n", chunked[0].0, chunked[0].1);
    let reply = super::exchange(&mut stream, &[head.as_bytes(), b"b\r\n           \r\n0\r\n\r\n"]);
    assert_eq!(reply.problem().0, 413);
}

#[test]
fn compressed_bodies_are_refused() {
    let fixture = Fixture::with_users();
    let reply = fixture.ask("POST", "/ingest/bus", &[("Content-Encoding", "gzip")], b"{}");
    assert_eq!(reply.problem().0, 415);
}

#[test]
fn while_stopping_senders_are_told_to_come_back() {
    let fixture = Fixture::with_users();
    let mut stream = std::net::TcpStream::connect(fixture.server.address()).unwrap();
    let head = "POST /ingest/bus HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n";
    let head = format!("{head}Expect: 100-continue\r\n\r\n");
    // Once the server asks for the body, the request is under way.
    assert_eq!(super::exchange_one(&mut stream, head.as_bytes()).status, 100);
    fixture.shutdown.ask();
    let reply = super::exchange(&mut stream, &[b"{}"]);
    assert_eq!(reply.problem().0, 503);
    assert!(reply.header("retry-after").is_some());
    assert!(fixture.catalog.taken.lock().is_empty());
}

#[test]
fn a_server_that_was_stopped_refuses_connections() {
    let fixture = Fixture::with_users();
    let address = fixture.server.address();
    assert_eq!(ask(address, "GET", "/healthz", &[], b"").status, 200);
    fixture.server.stop();
    assert!(std::net::TcpStream::connect(address).is_err());
}
