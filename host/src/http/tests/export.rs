//! Rows and positions, streamed.

use std::io::{Read, Write};
use std::net::TcpStream;

use statmill_plugin_api::encoding::Value;
use statmill_plugin_api::manifest::ValueKind;

use super::Fixture;
use crate::query::CompleteUntil;
use crate::query::memory::MemoryRows;
use crate::store::{ExportedStat, export};

#[test]
fn what_is_streamed_is_what_the_store_exports() {
    let fixture = Fixture::with_users();
    fixture.catalog.put("others", super::users(), 1, CompleteUntil::At(1));
    let view = fixture.catalog.stats.lock()["users"].clone();
    let stat =
        ExportedStat { complete_until_us: view.complete_until.time_us(), snapshot: view.snapshot };
    let mut expected = Vec::new();
    export([Ok(stat)], &mut expected).unwrap();
    // HTTP/1.0 knows no chunks: the body lies there as it is.
    let mut stream = TcpStream::connect(fixture.server.address()).unwrap();
    let request = b"GET /api/_export?stat=users&stat=users HTTP/1.0\r\n\r\n";
    let reply = super::exchange(&mut stream, &[request]);
    assert_eq!(reply.body, expected);
    assert_eq!(reply.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(reply.header("statmill-complete-until"), Some("2017-07-14T02:40:00Z"));
}

#[test]
fn what_cannot_be_exported_is_named() {
    let fixture = Fixture::with_users();
    let detail = |path: &str| {
        let (status, problem) = fixture.get(path).problem();
        (status, problem["detail"].as_str().unwrap().to_owned())
    };
    let (status, said) = detail("/api/_export?stat=user");
    assert!(status == 404 && said.contains("did you mean users?"), "{said}");
    assert_eq!(detail("/api/_export?limit=5").0, 400);
    assert_eq!(fixture.ask("POST", "/api/_export", &[], b"").problem().0, 405);
}

#[test]
fn clients_that_do_not_read_hold_up_only_further_exports() {
    let fixture = Fixture::with_users();
    let mut rows = MemoryRows::new("many", true, &[("who", ValueKind::Text)]);
    let name = "x".repeat(5_000);
    for second in 1..=2_000 {
        rows.add(Some(second * 1_000_000), &[Value::Text(name.as_str().into())], 1);
    }
    fixture.catalog.put("many", rows, 1, CompleteUntil::End);
    let begin = || {
        let mut stream = TcpStream::connect(fixture.server.address()).unwrap();
        stream.write_all(b"GET /api/_export HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 1_000]).unwrap();
        stream
    };
    let held = [begin(), begin()];
    let refused = fixture.get("/api/_export");
    assert_eq!(refused.problem().0, 503);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(fixture.get("/api/users").status, 200);
    drop(held);
    while fixture.get("/api/_export?stat=users").status != 200 {}
}
