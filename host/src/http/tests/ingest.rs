//! Messages sent to a source.

use serde_json::json;

use super::{Fixture, MESSAGE, Reply, ask};
use crate::http::HttpOptions;

fn send(fixture: &Fixture, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    fixture.ask("POST", path, headers, body.as_bytes())
}

#[test]
fn messages_are_taken_and_counted() {
    let fixture = Fixture::with_users();
    let reply = send(&fixture, "/ingest/bus", &[], &format!("{MESSAGE}\n{MESSAGE}"));
    assert_eq!(reply.status, 202);
    assert_eq!(reply.json(), json!({ "accepted": 2, "duplicates": 0, "rejected": [] }));
    assert_eq!(fixture.catalog.taken(), 2);
}

#[test]
fn a_faulty_document_is_named_and_nothing_is_taken() {
    let fixture = Fixture::with_users();
    let body = format!("{MESSAGE}\n{{\n{MESSAGE}");
    let (status, problem) = send(&fixture, "/ingest/bus", &[], &body).problem();
    assert_eq!(status, 400);
    let refused = json!({
        "line": 2, "reason": "malformed", "remedy": "send one well-formed JSON object for each message"
    });
    assert_eq!(problem["rejected"], json!([refused]));
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("document 2") && detail.contains("partial=1"), "{detail}");
    assert_eq!(fixture.catalog.taken(), 0);
    let reply = send(&fixture, "/ingest/bus?partial=1", &[], &body);
    assert_eq!(reply.status, 202);
    assert_eq!(reply.json(), json!({ "accepted": 2, "duplicates": 0, "rejected": [refused] }));
}

#[test]
fn a_message_over_the_limit_is_413_and_named_with_the_limit() {
    let fixture = Fixture::with_users();
    let large = format!(r#"{{"topic":"t","time":1,"x":"{}"}}"#, "x".repeat(16 << 20));
    let (status, problem) =
        send(&fixture, "/ingest/bus", &[], &format!("{MESSAGE}\n{large}")).problem();
    assert_eq!((status, &problem["rejected"][0]["line"]), (413, &2.into()));
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("document 2") && detail.contains("16777216 bytes"), "{detail}");
    assert_eq!(fixture.catalog.taken(), 0);
}

#[test]
fn of_very_many_faulty_lines_the_first_are_told_and_the_others_counted() {
    let fixture = Fixture::with_users();
    let body = format!("{}{MESSAGE}", "x\n".repeat(150));
    let answer = send(&fixture, "/ingest/bus?partial=1", &[], &body).json();
    assert_eq!(answer["rejected"].as_array().unwrap().len(), 100);
    assert_eq!((&answer["accepted"], &answer["rejected_beyond"]), (&1.into(), &50.into()));
}

#[test]
fn the_idempotency_key_reaches_the_source() {
    let fixture = Fixture::with_users();
    let keyed =
        |key: &str, body: &str| send(&fixture, "/ingest/bus", &[("Idempotency-Key", key)], body);
    assert_eq!(keyed("k", MESSAGE).json()["accepted"], 1);
    assert_eq!(keyed("k", MESSAGE).json()["repeated"], true);
    assert_eq!(fixture.catalog.taken(), 1);
    assert_eq!(keyed("k", &format!("{MESSAGE}\n{MESSAGE}")).problem().0, 422);
    assert_eq!(keyed(&"x".repeat(256), MESSAGE).problem().0, 400);
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
    assert_eq!(fixture.catalog.taken(), 0);
}

#[test]
fn a_server_that_was_stopped_refuses_connections() {
    let fixture = Fixture::with_users();
    let address = fixture.server.address();
    assert_eq!(ask(address, "GET", "/healthz", &[], b"").status, 200);
    fixture.server.stop();
    assert!(std::net::TcpStream::connect(address).is_err());
}
