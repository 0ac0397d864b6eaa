//! Every plugin of the original statscache over the same real messages: what it stored, our stats store.
//!
//! What differs on purpose is listed in `difference`, with its reason, and in `docs/statscache.md`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use statmill_plugin_api::encoding::window_start;
use statmill_plugin_api::stat::interval_text;
use statmill_tests::{output, plugins, shared};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");
const EXPECTED: &str = "data/statscache/plugins_on_messages_epoch_2012-01-01.json";
const LOG: &str = "release-engineering-event-logs";

/// A data folder in which all plugins have read the messages.
struct Folded(TempDir);

impl Folded {
    fn new(messages: &PathBuf) -> Self {
        let data = TempDir::new().unwrap();
        let plugins = plugins(&["statmill-volume", "statmill-pagure", "statmill-releng"]);
        let source = format!("file:{}", messages.display());
        let folder = plugins.path().to_str().unwrap();
        let run = ["run", "--once", "--source", &source, "--plugins", folder, "--data"];
        let _ = output(PROGRAM, &[&run[..], &[data.path().to_str().unwrap()]].concat());
        Self(data)
    }

    fn ask(&self, args: &[&str]) -> String {
        output(PROGRAM, &[args, &["--data", self.0.path().to_str().unwrap()]].concat())
    }

    fn rows(&self, ident: &str) -> Vec<Value> {
        serde_json::from_str(&self.ask(&["show", ident, "--format", "json"])).unwrap()
    }
}

/// Rows as a set of texts: equal whatever the order of rows and members, and however the log's JSON is laid out.
fn set(rows: &[Value]) -> BTreeSet<String> {
    let texts = rows.iter().map(|row| {
        let mut row = row.as_object().unwrap().clone();
        row["timestamp"] = json!(row["timestamp"].as_f64().unwrap().floor());
        if let Some(Ok(message)) =
            row.get("message").map(|it| serde_json::from_str(it.as_str().unwrap()))
        {
            row["message"] = message;
        }
        let sorted: BTreeMap<_, _> = row.iter().collect();
        serde_json::to_string(&sorted).unwrap()
    });
    let set: BTreeSet<_> = texts.collect();
    assert_eq!(set.len(), rows.len(), "a row is there twice");
    set
}

/// What of the original's rows is otherwise with us, and why.
fn difference(ident: &str, rows: &mut Vec<Value>) -> Option<&'static str> {
    match ident {
        "volume-1s" | "volume-5s" | "volume-1m" => {
            let seconds = match ident.rsplit_once('-').unwrap().1 {
                "1s" => 1,
                "5s" => 5,
                _ => 60,
            };
            *rows = in_windows(rows, seconds);
            Some("the original kept a row for each time of a message, whatever the interval")
        }
        "number-of-contribution-per-project-to-pagure.io-1d" => {
            for (project, volume) in [("fedora-websites", 3), ("fedoramagazine-images", 1)] {
                rows.push(
                    json!({ "timestamp": 1458345600.0, "project": project, "volume": volume }),
                );
            }
            Some("the original failed on the four pushes that name the project in their commit")
        }
        LOG => {
            for row in rows.iter_mut().filter(|row| started_and_completed_at_once(row)) {
                let message = row["message"].as_str().unwrap();
                let was_start = message.contains("start");
                let (from, to) =
                    if was_start { ("start", "complete") } else { ("complete", "start") };
                row["message"] = message.replace(from, to).into();
            }
            Some("of two events of one second the later in the log counts, not the earlier")
        }
        _ => None,
    }
}

/// Steps of composes of which the messages tell the start and the end with one and the same time.
fn started_and_completed_at_once(row: &Value) -> bool {
    const STEPS: [(&str, &str); 7] = [
        ("compose-branched_arm", "rsync"),
        ("compose-branched_primary", "branched"),
        ("compose-branched_primary", "mash"),
        ("compose-branched_primary", "pungify"),
        ("compose-branched_primary", "rsync"),
        ("compose-rawhide_arm", "mash"),
        ("compose-rawhide_primary", "mash"),
    ];
    let text = |name: &str| row[name].as_str().unwrap_or_default();
    STEPS.contains(&(text("category"), text("category_constraint")))
}

/// The original's volumes by message time, added up in windows.
fn in_windows(rows: &[Value], seconds: i64) -> Vec<Value> {
    let mut windows = BTreeMap::<i64, u64>::new();
    for row in rows {
        let start = window_start(row["timestamp"].as_f64().unwrap() as i64, seconds);
        *windows.entry(start + seconds).or_default() += row["volume"].as_u64().unwrap();
    }
    let rows =
        windows.into_iter().map(|(end, volume)| json!({ "timestamp": end, "volume": volume }));
    rows.collect()
}

#[test]
fn every_plugin_of_the_original_has_its_rows() {
    let (Some(messages), Some(expected)) = (shared("data/fedmsg/messages.jsonl"), shared(EXPECTED))
    else {
        return;
    };
    let expected: Value =
        serde_json::from_str(&std::fs::read_to_string(expected).unwrap()).unwrap();
    let folded = Folded::new(&messages);
    let plugins = expected["plugins"].as_object().unwrap();
    assert_eq!(plugins.len(), 18);
    for (ident, plugin) in plugins {
        let mut rows = plugin["rows"].as_array().unwrap().clone();
        if let Some(reason) = difference(ident, &mut rows) {
            println!("{ident}: {reason}");
        }
        let (found, expected) = (set(&folded.rows(ident)), set(&rows));
        let more: Vec<_> = found.difference(&expected).collect();
        let less: Vec<_> = expected.difference(&found).collect();
        assert!(more.is_empty() && less.is_empty(), "{ident}: more {more:#?}, less {less:#?}");
    }
    let stats: Value = serde_json::from_str(&folded.ask(&["stats", "--format", "json"])).unwrap();
    let mut stats = stats.as_array().unwrap().iter();
    let category = stats.find(|stat| stat["ident"] == "volume-by-category-1d").unwrap();
    assert_eq!(category["messages"], 391);
    assert_eq!(category["rejects"]["no_time"], 20);
    assert_eq!(category["complete_until"], "end");
}

#[test]
fn the_log_of_release_engineering_is_asked_for_by_the_time_of_its_events() {
    let Some(messages) = shared("data/fedmsg/messages.jsonl") else { return };
    let folded = Folded::new(&messages);
    let times = |args: &[&str]| -> Vec<String> {
        let csv = folded.ask(&[&["show", LOG, "--format", "csv"], args].concat());
        let mut lines = csv.lines();
        assert_eq!(lines.next(), Some("timestamp,category,category_constraint,message"));
        lines.map(|line| line.split(',').next().unwrap().to_owned()).collect()
    };
    let newest = ["1512398352.0", "1512395453.0", "1344447839.891876"];
    assert_eq!(times(&["--limit", "3"]), newest);
    assert_eq!(times(&["--start", "1512395453"]), newest[..2]);
    assert_eq!(times(&["--stop", "1512395453", "--limit", "1"]), newest[1..2]);
    assert_eq!(times(&["--order", "asc", "--start", "1400000000"]), [newest[1], newest[0]]);
    assert!(times(&["--start", "1512398353"]).is_empty());
}

#[test]
fn windows_lie_and_are_named_as_schedules_were() {
    let Some(file) = shared("data/statscache/schedule.json") else { return };
    let cases: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let cases = cases["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 47);
    for case in cases {
        let time_us = |name: &str| {
            let time: DateTime = case[name].as_str().unwrap().parse().unwrap();
            time.to_zoned(TimeZone::UTC).unwrap().timestamp().as_microsecond()
        };
        let interval_s = case["interval_s"].as_f64().unwrap() as u64;
        assert_eq!(interval_text(interval_s), case["str"].as_str().unwrap(), "{case}");
        let interval_us = interval_s as i64 * 1_000_000;
        let (now, epoch) = (time_us("now"), time_us("epoch"));
        // Our windows count from 1970, the original's from its epoch.
        let last = window_start(now - epoch, interval_us) + epoch;
        assert_eq!(last, time_us("last"), "{case}");
        assert_eq!(last + interval_us, time_us("next"), "{case}");
        let fires_in = case["time_to_fire_s"].as_f64().unwrap();
        assert_eq!(last + interval_us - now, (fires_in * 1e6).round() as i64, "{case}");
        if epoch % interval_us == 0 {
            assert_eq!(window_start(now, interval_us), last, "{case}");
        }
    }
}
