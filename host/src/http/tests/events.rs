//! Streams of events over real connections.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{Fixture, ask, users};
use crate::config::Tokens;
use crate::http::HttpOptions;
use crate::query::{CompleteUntil, StatState};

/// One event as a client sees it.
#[derive(Debug, Default)]
struct Event {
    name: String,
    id: Option<String>,
    data: Json,
}

/// An open stream. HTTP/1.0 has it come as it is, without chunks.
struct Stream {
    lines: BufReader<TcpStream>,
    headers: String,
}

impl Stream {
    fn open(fixture: &Fixture, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut stream = TcpStream::connect(fixture.server.address()).unwrap();
        let headers: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n{headers}\r\n").unwrap();
        let mut stream = Self { lines: BufReader::new(stream), headers: String::new() };
        loop {
            let line = stream.line().unwrap();
            if line.is_empty() {
                return stream;
            }
            stream.headers.push_str(&line.to_ascii_lowercase());
            stream.headers.push('\n');
        }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = self.lines.read_line(&mut line).unwrap_or(0);
        (length > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// The next event, comments left out; `None` at the end.
    fn event(&mut self) -> Option<Event> {
        let mut event = Event::default();
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some(("event", name)) => event.name = name.to_owned(),
                Some(("id", id)) => event.id = Some(id.to_owned()),
                Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                _ if line.is_empty() && !event.name.is_empty() => return Some(event),
                _ => {}
            }
        }
    }

    /// The next event, which has this name.
    fn named(&mut self, name: &str) -> Event {
        let event = self.event().unwrap();
        assert_eq!(event.name, name, "{event:?}");
        event
    }
}

fn two_stats(options: HttpOptions) -> Fixture {
    let fixture = Fixture::new(options);
    for ident in ["first", "second"] {
        fixture.catalog.put(ident, users(), 1, CompleteUntil::At(1_500_000_000_000_000));
    }
    fixture
}

fn at_once() -> HttpOptions {
    HttpOptions { events_every: Duration::ZERO, ..HttpOptions::default() }
}

#[test]
fn a_stream_tells_of_every_stat_and_then_of_each_commit() {
    let fixture = two_stats(at_once());
    let mut stream = Stream::open(&fixture, "/api/events", &[]);
    let first = stream.named("update");
    assert_eq!(first.id, None);
    let expected = json!({
        "stat": "first", "version": "7.1", "complete_until": "2017-07-14T02:40:00Z",
        "state": "live", "rows": 5, "changed": null,
    });
    assert_eq!(first.data, expected);
    let second = stream.named("update");
    assert_eq!(second.data["stat"], "second");
    assert!(second.id.is_some());
    fixture.catalog.put("second", users(), 2, CompleteUntil::End);
    let update = stream.named("update");
    assert_eq!((&update.data["stat"], &update.data["version"]), (&json!("second"), &json!("7.2")));
    assert_eq!(update.data["complete_until"], "end");
    let changed = json!({"start": "1970-01-01T00:00:01Z", "stop": "1970-01-01T00:00:02Z"});
    assert_eq!(update.data["changed"], changed);
}

#[test]
fn a_stream_of_some_stats_tells_of_no_others() {
    let fixture = two_stats(at_once());
    for path in ["/api/second/events", "/api/events?stat=second"] {
        let mut stream = Stream::open(&fixture, path, &[]);
        assert_eq!(stream.named("update").data["stat"], "second");
        fixture.catalog.put("first", users(), 2, CompleteUntil::End);
        fixture.catalog.put("second", users(), 2, CompleteUntil::End);
        assert_eq!(stream.named("update").data["stat"], "second");
        fixture.catalog.put("second", users(), 1, CompleteUntil::End);
    }
    assert_eq!(fixture.get("/api/events?stat=third").problem().0, 404);
    assert_eq!(fixture.get("/api/third/events").problem().0, 404);
    assert_eq!(fixture.get("/api/events?stats=first").problem().0, 400);
    assert_eq!(fixture.get("/api/second/events?limit=1").problem().0, 400);
}

#[test]
fn who_comes_again_is_told_only_what_changed_meanwhile_and_once() {
    let fixture = two_stats(at_once());
    let mut stream = Stream::open(&fixture, "/api/events", &[]);
    stream.named("update");
    let last = stream.named("update").id.unwrap();
    drop(stream);
    for commit in 2..=5 {
        fixture.catalog.put("second", users(), commit, CompleteUntil::End);
    }
    let mut stream = Stream::open(&fixture, "/api/events", &[("Last-Event-ID", &last)]);
    let update = stream.named("update");
    assert_eq!((&update.data["stat"], &update.data["version"]), (&json!("second"), &json!("7.5")));
    fixture.catalog.put("first", users(), 2, CompleteUntil::End);
    assert_eq!(stream.named("update").data["stat"], "first");
}

#[test]
fn who_was_away_while_the_host_was_started_again_is_told_everything_anew() {
    let fixture = two_stats(at_once());
    let mut stream = Stream::open(&fixture, "/api/events", &[("Last-Event-ID", "5eed-7")]);
    assert!(stream.named("reset").data["reason"].is_string());
    assert_eq!(stream.named("update").data["stat"], "first");
    assert_eq!(stream.named("update").data["stat"], "second");
}

#[test]
fn what_a_stat_does_is_told_when_it_changes_without_a_commit() {
    let fixture = two_stats(at_once());
    let mut stream = Stream::open(&fixture, "/api/first/events", &[]);
    stream.named("update");
    fixture.catalog.set_state("first", StatState::Quarantined);
    let plugin = stream.named("plugin");
    assert_eq!(plugin.data, json!({"stat": "first", "state": "quarantined"}));
}

#[test]
fn the_rows_of_a_question_come_with_each_update() {
    let fixture = two_stats(at_once());
    let path = "/api/first/events?rows=1&user=ann&columns=volume&shape=arrays&order=asc";
    let mut stream = Stream::open(&fixture, path, &[]);
    assert_eq!(stream.named("update").id, None);
    let rows = stream.named("rows");
    assert!(rows.id.is_some());
    assert_eq!(rows.data["rows"], json!([[1], [5]]));
    assert_eq!(rows.data["version"], "7.1");
    let (status, problem) = fixture.get("/api/first/events?rows=1&nobody=1").problem();
    assert_eq!((status, &problem["errors"][0]["param"]), (400, &json!("nobody")));
}

#[test]
fn a_stream_on_which_nothing_happens_shows_that_it_lives() {
    let heartbeat = Duration::from_millis(5);
    let fixture = Fixture::new(HttpOptions { heartbeat, ..HttpOptions::default() });
    let mut stream = Stream::open(&fixture, "/api/events", &[]);
    // The first comment begins the stream.
    for _ in 0..3 {
        while !stream.line().unwrap().starts_with(':') {}
    }
}

#[test]
fn a_stop_ends_every_stream_and_tells_why() {
    let fixture = two_stats(at_once());
    let mut stream = Stream::open(&fixture, "/api/first/events", &[]);
    stream.named("update");
    fixture.shutdown.ask();
    assert!(stream.named("end").data["reason"].as_str().unwrap().contains("stopping"));
    assert!(stream.event().is_none());
    fixture.server.stop();
}

#[test]
fn a_client_that_leaves_events_lying_is_told_so_and_let_go() {
    let fixture = two_stats(HttpOptions { stall_time: Duration::ZERO, ..at_once() });
    let mut stream = Stream::open(&fixture, "/api/events", &[]);
    assert!(stream.named("end").data["reason"].as_str().unwrap().contains("lying"));
    assert!(stream.event().is_none());
}

#[test]
fn a_client_that_never_reads_costs_a_bounded_buffer_and_its_place_is_free_again() {
    let fixture = two_stats(HttpOptions {
        max_streams: 1,
        idle_time: Duration::from_millis(20),
        ..at_once()
    });
    let silent = Stream::open(&fixture, "/api/events", &[]);
    // Nothing is sent and nothing read: the connection is closed, and with it the stream.
    let mut reply = ask(fixture.server.address(), "HEAD", "/api/events", &[], b"");
    while reply.status == 503 {
        reply = ask(fixture.server.address(), "HEAD", "/api/events", &[], b"");
    }
    assert_eq!(reply.status, 200);
    drop(silent);
}

#[test]
fn streams_are_limited_and_the_one_too_many_is_told_when_to_come_again() {
    let fixture = two_stats(HttpOptions { max_streams: 1, ..at_once() });
    let _first = Stream::open(&fixture, "/api/events", &[]);
    let reply = fixture.get("/api/first/events");
    assert_eq!(reply.problem().0, 503);
    assert_eq!(reply.header("retry-after"), Some("30"));
    assert_eq!(fixture.get("/api/first").status, 200);
}

#[test]
fn events_are_never_compressed_or_kept_and_any_page_may_read_them() {
    let fixture = two_stats(at_once());
    let mut stream = Stream::open(&fixture, "/api/events", &[("Accept-Encoding", "gzip, br")]);
    for header in [
        "content-type: text/event-stream",
        "cache-control: no-store",
        "x-accel-buffering: no",
        "access-control-allow-origin: *",
    ] {
        assert!(stream.headers.contains(header), "{}", stream.headers);
    }
    assert!(!stream.headers.contains("content-encoding"), "{}", stream.headers);
    stream.named("update");
    let tokens = Tokens { query: Some("ask".to_owned()), ..Tokens::default() };
    let guarded = two_stats(HttpOptions { tokens, ..at_once() });
    assert_eq!(guarded.get("/api/events").problem().0, 401);
    let mut stream = Stream::open(&guarded, "/api/events", &[("Authorization", "Bearer ask")]);
    stream.named("update");
}

#[test]
fn commits_are_not_held_up_by_clients_that_do_not_read() {
    let fixture = two_stats(at_once());
    let streams: Vec<_> = (0..8).map(|_| Stream::open(&fixture, "/api/events", &[])).collect();
    for commit in 2..=3_000 {
        fixture.catalog.put("first", users(), commit, CompleteUntil::End);
    }
    for mut stream in streams {
        // However many were told of: the last one is.
        while stream.named("update").data["version"] != "7.3000" {}
        stream.lines.get_ref().shutdown(std::net::Shutdown::Both).unwrap();
        let _ = stream.lines.read_to_end(&mut Vec::new());
    }
}
