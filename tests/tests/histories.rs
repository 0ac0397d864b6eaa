//! What was missed is fetched from the real archive of a message bus, over HTTP or from its tables: each
//! message is counted once.
#![cfg(feature = "real-servers")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use statmill::log::history::{self, Cursor, HistoryError};
use statmill::log::source::HistoryUrl;
use statmill::project::Mapping;
use statmill_tests::archive::{Archive, Datagrepper, Postgres};
use statmill_tests::{Running, plugins, start, wait_until};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");
const SECOND_US: i64 = 1_000_000;
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
    let (fast, slow) = (history("settle=1s"), history("settle=1s&rows=10&slice=1s"));
    every_message_is_counted_once(scene, &fast, &slow);
}

#[test]
fn what_was_missed_is_fetched_from_modern_rows_and_counted_once() {
    let scene = Scene::new();
    let datagrepper = Datagrepper::start(&scene.postgres);
    let history = |options: &str| datagrepper.history("v2/search", options);
    let (fast, slow) = (history("settle=1s"), history("settle=1s&rows=10&slice=1s"));
    every_message_is_counted_once(scene, &fast, &slow);
}

#[test]
fn what_was_missed_is_read_from_the_tables_and_counted_once() {
    let scene = Scene::new();
    let history = scene.postgres.history();
    let (fast, slow) = (format!("{history}?settle=1s"), format!("{history}?settle=1s&rows=3"));
    every_message_is_counted_once(scene, &fast, &slow);
}

#[test]
fn a_database_that_is_down_when_the_host_starts_is_read_when_it_is_back() {
    let mut scene = Scene::new();
    scene.publish(past().into_iter().step_by(9), None);
    scene.postgres.stop();
    let host = scene.start(&format!("{}?settle=1s", scene.postgres.history()));
    wait_until(|| {
        let status = host.status();
        let fills = status["logs"].as_array().unwrap().iter();
        let mut fills = fills.flat_map(|log| log["fills"].as_array().unwrap());
        match fills.any(|fill| fill["last_error"]["text"].is_string()) {
            true => Ok(()),
            false => Err(format!("no error is shown: {status:#}")),
        }
    });
    scene.postgres.restart();
    scene.wait(&host);
}

/// All rows of a history, in the order of their ids.
fn rows(url: &str) -> Vec<Value> {
    let url: HistoryUrl = url.parse().unwrap();
    let history = history::open(&url, Mapping::auto()).unwrap();
    let span_us = 0..now() as i64 * SECOND_US - 10 * SECOND_US;
    let (mut cursor, mut rows) = (Cursor::default(), Vec::new());
    loop {
        let page = history.fetch(span_us.clone(), &cursor).unwrap();
        assert_eq!((page.rejected, page.holes.len()), (0, 0));
        rows.extend(page.iter().map(|text| serde_json::from_slice::<Value>(text).unwrap()));
        if page.done {
            break;
        }
        cursor = page.next;
    }
    let id = |row: &Value| row.get("msg_id").or(row.get("id")).unwrap().to_string();
    rows.sort_by_key(id);
    // Slices overlap.
    rows.dedup();
    rows
}

#[test]
fn the_tables_give_the_rows_that_a_datagrepper_gives_of_them() {
    let mut scene = Scene::new();
    let start = now() - 3600.0;
    scene.publish((0..40).map(|i| start + f64::from(i)), None);
    let named = r#"{"topic":"a.b.c.d","timestamp":1500000000.25,"msg_id":"x","msg":{"é":[1.5,null]},
        "users":["ralph","lmacken"],"packages":["python"],"headers":{}}"#;
    scene.archive.store([&named.replace('\n', "")]);
    let datagrepper = Datagrepper::start(&scene.postgres);
    let (raw, modern) =
        (rows(&datagrepper.history("raw", "")), rows(&datagrepper.history("v2/search", "")));
    let tables = rows(&scene.postgres.history());
    assert_eq!((raw.len(), modern.len(), tables.len()), (41, 41, 41));
    for row in tables {
        let id = row.get("msg_id").or(row.get("id")).unwrap();
        if row.get("body").is_some() {
            let mut row = row.clone();
            let other = modern.iter().find(|other| other["id"] == *id).unwrap();
            row.as_object_mut().unwrap().retain(|name, _| name != "users" && name != "packages");
            assert_eq!(row, *other);
        } else {
            let mut row = row.clone();
            let other = raw.iter().find(|other| other["msg_id"] == *id).unwrap();
            // A datagrepper cuts fractions off.
            row["timestamp"] = row["timestamp"].as_f64().unwrap().floor().into();
            assert_eq!(row, *other);
        }
    }
    let ralph = raw.iter().find(|row| row["msg_id"] == "x").unwrap();
    assert_eq!(ralph["users"], serde_json::json!(["lmacken", "ralph"]));
}

#[test]
fn tables_of_the_old_form_are_read_too() {
    let postgres = Postgres::start();
    postgres.run(
        "messages",
        r#"create table messages (id serial primary key, msg_id text unique, i integer not null,
             topic text not null, timestamp timestamp not null, certificate text, signature text,
             category text not null, username text, crypto text, source_name text,
             source_version text, _msg text not null, _headers text);
           create table "user" (name text primary key);
           create table package (name text primary key);
           create table user_messages (username text, msg integer);
           create table package_messages (package text, msg integer);
           insert into messages (msg_id, i, topic, timestamp, category, username, _msg, _headers) values
             ('2013-a', 4, 'a.b.c.d', '2013-05-08 18:48:39.25', 'c', 'apache', '{"n": 1}', '{}'),
             ('2013-b', 5, 'a.b.c.d', '2013-05-08 18:48:39.25', 'c', null, '{"n": 2}', null);
           insert into user_messages values ('ralph', 1), ('lmacken', 1);
           insert into package_messages values ('python', 1)"#,
    );
    let rows = rows(&format!("{}?rows=1", postgres.history()));
    assert_eq!(rows.len(), 2);
    let of = |row: usize, name: &str| rows[row][name].to_string();
    assert_eq!(of(0, "users"), r#"["lmacken","ralph"]"#);
    assert_eq!(
        (of(0, "username"), of(0, "packages")),
        (r#""apache""#.into(), r#"["python"]"#.into())
    );
    assert_eq!((of(0, "timestamp"), of(1, "msg")), ("1368038919.25".into(), r#"{"n":2}"#.into()));
}

#[test]
fn a_database_without_the_tables_is_refused_in_words() {
    let postgres = Postgres::start();
    let url: HistoryUrl = postgres.history().parse().unwrap();
    let history = history::open(&url, Mapping::auto()).unwrap();
    match history.fetch(0..SECOND_US, &Cursor::default()) {
        Err(error @ HistoryError::Refused { .. }) => {
            assert!(error.to_string().contains("as datanommer makes it"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}
