//! What was missed is fetched from the real archive of a message bus: each message is counted once.
#![cfg(feature = "real-servers")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use statmill_tests::archive::{Archive, Datagrepper, Postgres};
use statmill_tests::{Running, plugins, start, wait_until};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");
const STAT: &str = "volume-by-topic-1d";

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Message number `i` at a time: of three kinds, and four in ten of the old kind have no id.
fn message(i: usize, time: f64) -> String {
    let topic = format!("org.fedoraproject.prod.{}.event", ["bodhi", "git", "copr"][i % 3]);
    match i % 10 {
        0 | 3 | 6 | 9 => format!(
            r#"{{"topic":"{topic}","i":{i},"timestamp":{time:.6},"username":"apache","msg":{{"n":{i}}}}}"#
        ),
        1 | 4 | 7 => format!(
            r#"{{"topic":"{topic}","i":{i},"timestamp":{time:.6},"msg_id":"2026-{i:08}","msg":{{"n":{i}}}}}"#
        ),
        _ => {
            let sent_at = jiff::Timestamp::from_second(time as i64).unwrap();
            format!(
                r#"{{"topic":"{topic}","id":"00000000-0000-4000-8000-{i:012}","queue":null,"priority":0,"headers":{{"sent-at":"{sent_at}","fedora_messaging_severity":20,"fedora_messaging_schema":"base.message"}},"body":{{"n":{i}}}}}"#
            )
        }
    }
}

/// So many messages of each topic.
fn expected(messages: usize) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for i in 0..messages {
        let topic = format!("org.fedoraproject.prod.{}.event", ["bodhi", "git", "copr"][i % 3]);
        *counts.entry(topic).or_default() += 1;
    }
    counts
}

struct Scene {
    folder: TempDir,
    plugins: TempDir,
    archive: Archive,
    /// What was published, by number.
    published: Vec<String>,
    // Ends after what uses it.
    postgres: Postgres,
}

impl Scene {
    fn new() -> Self {
        let postgres = Postgres::start();
        Self {
            folder: TempDir::new().unwrap(),
            plugins: plugins(&["statmill-volume"]),
            archive: Archive::create(&postgres),
            published: Vec::new(),
            postgres,
        }
    }

    fn start(&self, history: &str) -> Running {
        let data = self.folder.path().join("data");
        let args = ["--data", data.to_str().unwrap(), "--source", "http:live", "--log", "warn"];
        let more = ["--plugins", self.plugins.path().to_str().unwrap(), "--history", history];
        start(PROGRAM, &[&args[..], &more, &["--checkpoint", "20ms"]].concat(), &[]).unwrap()
    }

    /// Publishes messages at these times: the archive has them, and the host if one listens.
    fn publish(&mut self, times: impl IntoIterator<Item = f64>, host: Option<&Running>) {
        let first = self.published.len();
        let new: Vec<_> =
            times.into_iter().enumerate().map(|(at, time)| message(first + at, time)).collect();
        if let Some(host) = host {
            send(host, &new);
        }
        self.archive.store(&new);
        self.published.extend(new);
    }

    /// Waits until all that was published is counted, and everything is fetched.
    fn wait(&self, host: &Running) {
        let expected = expected(self.published.len());
        wait_until(|| {
            let status = host.status();
            let fills = status["logs"].as_array().unwrap().iter();
            let mut fills = fills.flat_map(|log| log["fills"].as_array().unwrap());
            let (counts, fetched) = (counts(host), fills.all(|fill| fill["finished"] == true));
            match counts == expected && fetched {
                true => Ok(()),
                false => Err(format!("{counts:?} instead of {expected:?}: {status:#}")),
            }
        });
    }
}

fn send(host: &Running, messages: &[String]) {
    let url = format!("{}/ingest/live", host.url);
    ureq::post(url).send((messages.join("\n") + "\n").as_bytes()).unwrap();
}

/// What the host has counted, by topic.
fn counts(host: &Running) -> BTreeMap<String, u64> {
    let url = format!("{}/api/{STAT}?rows_per_page=1000", host.url);
    let text = match ureq::get(url).header("Accept", "text/csv").call() {
        Ok(mut answer) => answer.body_mut().read_to_string().unwrap(),
        Err(error) => panic!("{error}"),
    };
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap_or_default();
    let column = |name: &str| header.iter().position(|it| *it == name).unwrap();
    let (topic, volume) = (column("topic"), column("volume"));
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(line[topic].to_owned()).or_default() += line[volume].parse::<u64>().unwrap();
    }
    counts
}

/// Times long past: some apart, and more in one second than a page holds.
fn past() -> Vec<f64> {
    let start = now() - 7200.0;
    let apart = (0..300).map(|i| start + f64::from(i) * 11.3);
    let at_once = (0..250).map(|i| (start + 4000.0).floor() + f64::from(i) * 0.003);
    apart.chain(at_once).collect()
}

/// Waits until a fill has some messages and not all.
fn wait_for_the_middle(host: &Running) {
    wait_until(|| {
        let status = host.status();
        let fills = status["logs"].as_array().unwrap().iter();
        let mut fills = fills.flat_map(|log| log["fills"].as_array().unwrap());
        let half = fills.any(|fill| fill["finished"] == false && fill["messages"] != 0);
        if half { Ok(()) } else { Err(format!("not in the middle of a fill: {status:#}")) }
    });
}

/// The whole story, for a history asked at its usual speed and slowly.
fn every_message_is_counted_once(mut scene: Scene, fast: &str, slow: &str) {
    scene.publish(past(), None);
    let host = scene.start(fast);
    scene.publish((0..50).map(|_| now()), Some(&host));
    scene.wait(&host);
    assert!(host.stop());

    // Missed while no host ran; killed while it is fetched, with live messages between.
    scene.publish((0..400).map(|_| now()), None);
    let host = scene.start(slow);
    scene.publish((0..30).map(|_| now()), Some(&host));
    wait_for_the_middle(&host);
    host.kill();
    scene.publish((0..20).map(|_| now()), None);
    let host = scene.start(fast);
    scene.publish((0..30).map(|_| now()), Some(&host));
    scene.wait(&host);

    // What the archive gave comes late from its sender, with id or without.
    let before = scene.published.len();
    send(&host, &scene.published[before - 50..before - 30]);
    scene.publish([now()], Some(&host));
    scene.wait(&host);
    assert!(host.stop());
    let host = scene.start(fast);
    scene.wait(&host);
}

#[test]
fn what_was_missed_is_fetched_from_legacy_rows_and_counted_once() {
    let scene = Scene::new();
    let datagrepper = Datagrepper::start(&scene.postgres);
    let history = |options: &str| datagrepper.history("raw", options);
    let (fast, slow) = (history("settle=1s"), history("settle=1s&rows=3&slice=1s"));
    every_message_is_counted_once(scene, &fast, &slow);
}

#[test]
fn what_was_missed_is_fetched_from_modern_rows_and_counted_once() {
    let scene = Scene::new();
    let datagrepper = Datagrepper::start(&scene.postgres);
    let history = |options: &str| datagrepper.history("v2/search", options);
    let (fast, slow) = (history("settle=1s"), history("settle=1s&rows=3&slice=1s"));
    every_message_is_counted_once(scene, &fast, &slow);
}
