//! A stat with a backlog delta has exactly the rows of that span, however late its plugin comes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use statmill::{Host, HostBuilder};
use statmill_plugin_api::encoding::Value;
use statmill_tests::{drop_in, plugins, wait_until};
use tempfile::TempDir;

const STAT: &str = "recent";
const DELTA_S: i64 = 2 * 86_400;
const HOUR_S: i64 = 3_600;

/// Window start and key; count and sum.
type Rows = BTreeMap<(i64, String), (i128, i128)>;

/// A message: its time in seconds, and its number.
type Message = (i64, i64);

fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// Five days up to an hour ago, ten minutes apart; every ninth is an old one that comes late.
fn five_days() -> Vec<Message> {
    let first = now_s() - 5 * 86_400;
    let time = |i: i64| if i % 9 == 8 { first + i * 150 } else { first + i * 600 };
    (0..5 * 144 - 6).map(|i| (time(i), i)).collect()
}

fn key(number: i64) -> String {
    format!("key-{}", number % 3)
}

fn ndjson(messages: &[Message]) -> String {
    let line = |&(time, number): &Message| {
        let key = key(number);
        format!(
            "{{\"id\":\"{number}\",\"topic\":\"t\",\"time\":{time},\"key\":\"{key}\",\"int\":{number}}}\n"
        )
    };
    messages.iter().map(line).collect()
}

/// The rows of `messages` at or after `from_s`, counted directly.
fn counted(messages: &[Message], from_s: i64) -> Rows {
    let mut rows = Rows::new();
    for &(time, number) in messages.iter().filter(|(time, _)| *time >= from_s) {
        let window = time.div_euclid(HOUR_S) * HOUR_S;
        let row = rows.entry((window, key(number))).or_default();
        *row = (row.0 + 1, row.1 + i128::from(number));
    }
    rows
}

fn rows(host: &Host) -> Rows {
    let table = host.rows(STAT, None).unwrap();
    let row = |row: &Vec<Value>| match &row[..] {
        [Value::Time(window_us), Value::Text(key), Value::Int(count), Value::Int(sum)] => {
            ((window_us / 1_000_000, key.to_string()), (*count, *sum))
        }
        other => panic!("an odd row: {other:?}"),
    };
    table.rows.iter().map(row).collect()
}

fn cutoff_s(host: &Host) -> i64 {
    let snapshot = host.catalog().stat(STAT).unwrap().snapshot;
    snapshot.record().cutoff_us.unwrap() / 1_000_000
}

fn host(folder: &Path, data: &str, plugins: &TempDir) -> HostBuilder {
    Host::builder().data(folder.join(data)).plugin(plugins.path())
}

/// Reads the file to its end; answers the rows and the cutoff, if the stat is there.
fn read_once(folder: &Path, data: &str, plugins: &TempDir) -> Option<(Rows, i64)> {
    let source = format!("file:{}", folder.join("messages.ndjson").display());
    let host = host(folder, data, plugins).source(&source).unwrap().once().start().unwrap();
    host.wait_finished().unwrap();
    let known = host.catalog().stat(STAT).is_some();
    let answer = known.then(|| (rows(&host), cutoff_s(&host)));
    host.stop();
    answer
}

/// The start of the window of two days before `now_s`.
fn floor_s(now_s: i64) -> i64 {
    (now_s - DELTA_S).div_euclid(HOUR_S) * HOUR_S
}

#[test]
fn a_stat_dropped_in_later_has_exactly_the_rows_of_its_backlog() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let messages = five_days();
    let (early, late) = messages.split_at(messages.len() / 2);

    std::fs::write(folder.join("messages.ndjson"), ndjson(early)).unwrap();
    let growing = plugins(&["statmill-volume"]);
    assert_eq!(read_once(folder, "dropped-in", &growing), None);
    let complete = plugins(&["statmill-volume", "every-aggregator"]);
    let (_, from_the_start_s) = read_once(folder, "from-the-start", &complete).unwrap();

    std::fs::write(folder.join("messages.ndjson"), ndjson(early) + &ndjson(late)).unwrap();
    drop_in(growing.path(), "every-aggregator");
    let before = now_s();
    let (dropped_in, cutoff_s) = read_once(folder, "dropped-in", &growing).unwrap();
    assert!((floor_s(before)..=floor_s(now_s())).contains(&cutoff_s), "cutoff at {cutoff_s}");
    assert_eq!(dropped_in, counted(&messages, cutoff_s));
    assert!(dropped_in.len() > 100);

    let (mut from_the_start, unchanged_s) = read_once(folder, "from-the-start", &complete).unwrap();
    assert_eq!(unchanged_s, from_the_start_s);
    assert_eq!(from_the_start, counted(&messages, from_the_start_s));
    // The hour may have changed between the two births.
    from_the_start.retain(|(window, _), _| *window >= cutoff_s);
    assert_eq!(dropped_in, from_the_start);
}

#[test]
fn a_stat_dropped_in_later_reads_only_what_may_belong_in_of_a_file_that_was_read_before() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let messages = five_days();
    // Large enough for some chunks.
    let padded =
        ndjson(&messages).replace("}\n", &format!(",\"pad\":\"{}\"}}\n", "x".repeat(20_000)));
    std::fs::write(folder.join("messages.ndjson"), &padded).unwrap();
    let growing = plugins(&["statmill-volume"]);
    assert_eq!(read_once(folder, "data", &growing), None);
    drop_in(growing.path(), "every-aggregator");

    let source = format!("file:{}", folder.join("messages.ndjson").display());
    let host = host(folder, "data", &growing).source(&source).unwrap().once().start().unwrap();
    host.wait_finished().unwrap();
    assert_eq!(rows(&host), counted(&messages, cutoff_s(&host)));
    let status = host.catalog().status();
    let log = status.logs.iter().find(|log| log.name == source).unwrap();
    assert_eq!(log.records, Some(messages.len() as u64));
    let read = |ident: &str| {
        let stat = status.stats.iter().find(|stat| stat.ident == ident).unwrap();
        assert_eq!(stat.lag_messages, Some(0));
        stat.positions[&log.id.unwrap()].messages
    };
    assert_eq!(read("every-aggregator"), messages.len() as u64);
    assert!(read(STAT) * 2 < messages.len() as u64, "read {} of {}", read(STAT), messages.len());
    host.stop();
    // The next start finds it where it was.
    let (again, _) = read_once(folder, "data", &growing).unwrap();
    assert_eq!(again.len(), counted(&messages, floor_s(now_s())).len());
}

#[test]
fn a_restart_changes_neither_the_rows_nor_the_cutoff() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("messages.ndjson"), ndjson(&five_days())).unwrap();
    let plugins = plugins(&["every-aggregator"]);
    let first = read_once(folder, "data", &plugins).unwrap();
    for _ in 0..3 {
        assert_eq!(read_once(folder, "data", &plugins).unwrap(), first);
    }
}

#[test]
fn what_is_sent_live_obeys_the_cutoff_and_the_rest_is_filled_from_history() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let messages = five_days();
    std::fs::write(folder.join("history.ndjson"), ndjson(&messages)).unwrap();
    let history = format!("file:{}", folder.join("history.ndjson").display());
    let plugins = plugins(&["every-aggregator"]);
    let start = || {
        let host = host(folder, "data", &plugins).source("http:live").unwrap();
        host.history(&history).unwrap().start().unwrap()
    };

    let running = start();
    let cutoff = cutoff_s(&running);
    // Live: some that the history has too, one before the cutoff, one that is new.
    let new = [(cutoff - 1, 900_001), (now_s(), 900_002)];
    let sent = ndjson(&messages[messages.len() - 20..]) + &ndjson(&new);
    let sink = running.ingest("live").unwrap();
    let accepted = sink.accept(sent.as_bytes(), Some("application/x-ndjson"), None, false).unwrap();
    // What the fill was faster with is a duplicate here.
    assert_eq!(accepted.accepted + accepted.duplicates, 22);
    let all: Vec<Message> = messages.iter().chain(&new).copied().collect();
    let expected = counted(&all, cutoff);
    wait_for(&running, &expected);
    drop(running);

    let again = start();
    wait_for(&again, &expected);
    assert_eq!(cutoff_s(&again), cutoff);
    again.stop();
}

fn wait_for(host: &Host, expected: &Rows) {
    wait_until(|| {
        host.flush();
        let rows = rows(host);
        if rows == *expected && host.catalog().ready() {
            return Ok(());
        }
        Err(format!("{rows:?} instead of {expected:?}: {:#?}", host.catalog().status()))
    });
}
