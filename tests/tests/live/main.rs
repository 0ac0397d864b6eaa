//! The buses as they are: every message that was published is counted once, whatever is killed when.
//!
//! RabbitMQ with the publisher of fedora-messaging, and fedmsg's publishers over ZeroMQ, all started here.
#![cfg(feature = "real-servers")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod amqp;
mod fedmsg;
mod servers;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use statmill_tests::{Running, output, plugins, start, wait_until};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");

/// Messages by topic.
type Counts = BTreeMap<String, u64>;

/// A data folder, the plugins, and a source.
struct Scene {
    folder: TempDir,
    plugins: TempDir,
    source: String,
}

impl Scene {
    fn new(source: String) -> Self {
        Self { folder: TempDir::new().unwrap(), plugins: plugins(&["statmill-volume"]), source }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn start(&self) -> Running {
        let (data, plugins) = (self.data(), self.plugins.path());
        let args = ["--data", data.to_str().unwrap(), "--plugins", plugins.to_str().unwrap()];
        let args = [&args[..], &["--source", &self.source]].concat();
        start(PROGRAM, &args, &[]).expect("the host does not serve")
    }
}

/// What the host says of its only source.
fn source(running: &Running) -> Value {
    running.status()["logs"][0]["source"].clone()
}

/// Waits until every connection of the source is there.
fn wait_connected(running: &Running) {
    wait_until(|| {
        let source = source(running);
        let connections = source["connections"].as_array().unwrap();
        let is_there = connections.iter().all(|it| it["state"] == "connected");
        is_there.then_some(()).ok_or_else(|| source.to_string())
    });
}

/// Waits until so many messages are counted, and returns how many of each topic there are.
fn wait_counted(running: &Running, expected: &Counts) {
    let messages: u64 = expected.values().sum();
    wait_until(|| {
        let status = running.status();
        let stats = status["stats"].as_array().unwrap();
        let stat = stats.iter().find(|stat| stat["ident"] == "volume-1d").unwrap();
        let counted = stat["messages"].as_u64().unwrap();
        (counted >= messages)
            .then_some(())
            .ok_or_else(|| format!("{counted} of {messages}: {status}"))
    });
    let by_topic = wait_until(|| {
        let rows = ["show", "volume-by-topic-1d", "--url", &running.url, "--format", "json"];
        let rows: Value = serde_json::from_str(&output(PROGRAM, &rows)).unwrap();
        let mut found = Counts::new();
        for row in rows.as_array().unwrap() {
            let topic = row["topic"].as_str().unwrap().to_owned();
            *found.entry(topic).or_default() += row["volume"].as_u64().unwrap();
        }
        let counted: u64 = found.values().sum();
        if counted >= messages { Ok(found) } else { Err(format!("{found:?}")) }
    });
    assert_eq!(by_topic, *expected);
}

/// Metrics as lines.
fn metrics(running: &Running) -> String {
    let url = format!("{}/metrics", running.url);
    ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap()
}
