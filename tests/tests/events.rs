//! Streams of events of the real program: a message that was sent is told of, and a stop ends them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;
use statmill_tests::{Running, message, plugins, start};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");

fn host(data: &TempDir, plugins: &TempDir) -> Running {
    let args = ["--data", data.path().to_str().unwrap(), "--source", "http:live", "--log", "warn"];
    let more = ["--plugins", plugins.path().to_str().unwrap(), "--checkpoint", "5ms"];
    start(PROGRAM, &[&args[..], &more].concat(), &[]).unwrap()
}

fn send(host: &Running, numbers: std::ops::Range<u64>) {
    let body = numbers.map(message).collect::<Vec<_>>().join("\n");
    ureq::post(format!("{}/ingest/live", host.url)).send(body.as_bytes()).unwrap();
}

/// An open stream: HTTP/1.0 has it come without chunks.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(host: &Running, path: &str, last: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(host.url.trim_start_matches("http://")).unwrap();
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let request = format!("GET {path} HTTP/1.0\r\nAccept-Encoding: gzip\r\n{last}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        Self(BufReader::new(stream))
    }

    /// The next event: name, id, data. `None` at the end of the stream.
    fn next(&mut self) -> Option<(String, Option<String>, Value)> {
        let (mut name, mut id, mut data) = (String::new(), None, Value::Null);
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap_or(0) == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("event", text)) => text.clone_into(&mut name),
                Some(("id", text)) => id = Some(text.to_owned()),
                Some(("data", text)) => data = serde_json::from_str(text).unwrap(),
                _ if line.trim_end().is_empty() && !name.is_empty() => {
                    return Some((name, id, data));
                }
                _ => {}
            }
        }
    }

    /// The first update with which the statistic has so many rows of messages.
    fn update_where(&mut self, holds: impl Fn(&Value) -> bool) -> (Option<String>, Value) {
        loop {
            let (name, id, data) = self.next().expect("the stream goes on");
            if name == "update" && holds(&data) {
                return (id, data);
            }
        }
    }
}

const STAT: &str = "volume-by-topic-1d";

#[test]
fn a_message_is_told_of_when_its_number_can_be_asked_for() {
    let (data, plugins) = (TempDir::new().unwrap(), plugins(&["statmill-volume"]));
    let host = host(&data, &plugins);
    let mut stream = Stream::open(&host, &format!("/api/{STAT}/events"), None);
    stream.update_where(|data| data["rows"] == 0);
    send(&host, 0..1);
    let (id, update) = stream.update_where(|data| data["rows"] == 1);
    // The times of the event are those under which the row is found.
    let (start, stop) = (&update["changed"]["start"], &update["changed"]["stop"]);
    let path = format!(
        "{}/api/{STAT}?start={}&stop={}",
        host.url,
        start.as_str().unwrap(),
        stop.as_str().unwrap()
    );
    let rows = ureq::get(path).call().unwrap().body_mut().read_to_string().unwrap();
    let rows: Value = serde_json::from_str(&rows).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    drop(stream);

    // Who was away is told what came meanwhile.
    send(&host, 1..40);
    let mut again = Stream::open(&host, "/api/events", id.as_deref());
    again.update_where(|data| data["stat"] == STAT && data["rows"].as_u64() > Some(1));
    assert!(host.stop());
}

#[test]
fn a_stop_ends_streams_and_does_not_wait_for_them() {
    let (data, plugins) = (TempDir::new().unwrap(), plugins(&["statmill-volume"]));
    let host = host(&data, &plugins);
    let mut streams: Vec<_> = (0..5).map(|_| Stream::open(&host, "/api/events", None)).collect();
    for stream in &mut streams {
        stream.next().unwrap();
    }
    let asked = Instant::now();
    assert!(host.stop());
    // Ten seconds are what answers under way have; streams are none of them.
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    for stream in &mut streams {
        let last = std::iter::from_fn(|| stream.next()).last().unwrap();
        assert_eq!(last.0, "end");
    }
}
