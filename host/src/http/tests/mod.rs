//! The server over real connections, in front of rows in memory.

#![allow(clippy::unwrap_used)]

mod answers;
mod client;
mod events;
mod export;
mod fuzz;
mod ingest;
mod login;
mod openapi;
mod pages;
mod pictures;
mod questions;
mod security;
mod transcripts;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use parking_lot::Mutex;
use statmill_plugin_api::encoding::Value;
use statmill_plugin_api::manifest::ValueKind;
use tempfile::TempDir;

use super::{HttpOptions, Server, Shutdown, serve};
use crate::log::Log;
use crate::log::ingest::{Ingest, IngestLimits};
use crate::log::journal::{Journal, JournalOptions};
use crate::project::Mapping;
use crate::query::memory::MemoryRows;
use crate::query::{
    Catalog, CompleteUntil, Limits, PluginReport, StatState, StatStatus, StatView, Status, Watcher,
    Watchers,
};

/// Stats in memory, and a source `bus`.
struct MemoryCatalog {
    stats: Mutex<BTreeMap<String, StatView>>,
    bus: Arc<Ingest>,
    watchers: Watchers,
    _folder: TempDir,
}

impl Default for MemoryCatalog {
    fn default() -> Self {
        let folder = TempDir::new().unwrap();
        let options = JournalOptions::default();
        let journal = Journal::open(folder.path(), "http:bus", Mapping::auto(), options).unwrap();
        let bus = Arc::new(Ingest::new(journal, IngestLimits::default()));
        Self { stats: Mutex::default(), bus, watchers: Watchers::default(), _folder: folder }
    }
}

impl MemoryCatalog {
    /// Number of messages taken.
    fn taken(&self) -> u64 {
        self.bus.journal().end().unwrap().offset.0
    }

    fn put(&self, ident: &str, rows: MemoryRows, commit: u64, complete_until: CompleteUntil) {
        let view = StatView {
            snapshot: rows.snapshot(),
            version: format!("7.{commit}"),
            complete_until,
            state: StatState::Live,
        };
        self.stats.lock().insert(ident.to_owned(), view);
        self.watchers.tell(ident, || Some((1_000_000, commit as i64 * 1_000_000)));
    }

    /// Has a stat do something else, without a commit.
    fn set_state(&self, ident: &str, state: StatState) {
        self.stats.lock().get_mut(ident).unwrap().state = state;
        self.watchers.tell(ident, || None);
    }
}

impl Catalog for MemoryCatalog {
    fn idents(&self) -> Vec<String> {
        self.stats.lock().keys().cloned().collect()
    }

    fn stat(&self, ident: &str) -> Option<StatView> {
        assert_ne!(ident, "panic", "asked to panic");
        self.stats.lock().get(ident).cloned()
    }

    fn status(&self) -> Status {
        let stats = self.stats.lock().values().map(StatStatus::stored).collect();
        Status { stats, ..Status::default() }
    }

    fn ready(&self) -> bool {
        true
    }

    fn logs(&self) -> Vec<Arc<dyn Log>> {
        Vec::new()
    }

    fn ingest(&self, source: &str) -> Option<Arc<Ingest>> {
        (source == "bus").then(|| Arc::clone(&self.bus))
    }

    fn ingest_sources(&self) -> Vec<String> {
        vec!["bus".to_owned()]
    }

    fn plugins(&self) -> Vec<PluginReport> {
        Vec::new()
    }

    fn watch(&self, watcher: &Arc<dyn Watcher>) {
        self.watchers.add(watcher);
    }
}

/// A running server.
struct Fixture {
    catalog: Arc<MemoryCatalog>,
    server: Server,
    shutdown: Shutdown,
}

impl Fixture {
    fn new(options: HttpOptions) -> Self {
        let catalog = Arc::new(MemoryCatalog::default());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shutdown = Shutdown::new();
        let served: Arc<dyn Catalog> = Arc::clone(&catalog) as _;
        let server = serve(listener, served, options, shutdown.clone()).unwrap();
        Self { catalog, server, shutdown }
    }

    /// A stat `users` of five rows over three times.
    fn with_users() -> Self {
        let limits = Limits { max_rows_per_page: 100, ..Limits::default() };
        let fixture = Self::new(HttpOptions { limits, ..HttpOptions::default() });
        fixture.catalog.put("users", users(), 1, CompleteUntil::At(1_500_000_000_000_000));
        fixture
    }

    fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], b"")
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        ask(self.server.address(), method, path, headers, body)
    }
}

fn users() -> MemoryRows {
    let mut rows = MemoryRows::new("users", true, &[("user", ValueKind::Text)]);
    for (time, user, volume) in
        [(1, "ann", 1), (1, "bob", 2), (2, "zoë", 3), (3, "<b>\"x'&,\n", 4), (3, "ann", 5)]
    {
        rows.add(Some(time * 1_000_000), &[Value::Text(user.into())], volume);
    }
    rows
}

/// A message that the source `bus` takes.
const MESSAGE: &str = r#"{"topic":"a.b","time":1}"#;

/// What came back.
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Status of a problem, after checking that it is a whole one.
    fn problem(&self) -> (u16, serde_json::Value) {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}",
            self.text()
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        for member in ["type", "title", "detail"] {
            assert!(problem[member].is_string(), "{problem}");
        }
        (self.status, problem)
    }
}

/// Sends exactly what is given: a client library would add headers of its own.
fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let mut request =
        format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    exchange(&mut TcpStream::connect(address).unwrap(), &[request.as_bytes(), body])
}

/// Sends the parts and reads until the server closes the connection.
fn exchange(stream: &mut TcpStream, parts: &[&[u8]]) -> Reply {
    for part in parts {
        // A server that refuses a body may close before all of it was sent.
        let _ = stream.write_all(part);
    }
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    let end = reply.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let (status, headers) = head(&reply[..end]);
    Reply { status, headers, body: reply[end + 4..].to_vec() }
}

/// Sends a request and reads the head and body of one answer, leaving the connection open.
fn exchange_one(stream: &mut TcpStream, request: &[u8]) -> Reply {
    stream.write_all(request).unwrap();
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        reply.push(byte[0]);
    }
    let (status, headers) = head(&reply[..reply.len() - 4]);
    let mut reply = Reply { status, headers, body: Vec::new() };
    let length = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
    reply.body = vec![0; length];
    stream.read_exact(&mut reply.body).unwrap();
    reply
}

fn head(text: &[u8]) -> (u16, Vec<(String, String)>) {
    let mut lines = std::str::from_utf8(text).unwrap().split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    (status, headers)
}
