//! `file:…?dedup=id`: what comes again within the horizon is counted once, whatever happens in between.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use statmill_tests::{Running, all_rows, drop_in, ndjson, output, plugins, start, write};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");

fn arguments(folder: &Path, data: &str, plugins: &TempDir, options: &str) -> Vec<String> {
    let source = format!("file:{}?{options}", folder.join("messages.ndjson").display());
    let data = folder.join(data).display().to_string();
    let plugins = plugins.path().display().to_string();
    ["--source", &source, "--data", &data, "--plugins", &plugins].map(str::to_owned).to_vec()
}

fn run_once(folder: &Path, data: &str, plugins: &TempDir, options: &str) -> String {
    let arguments = arguments(folder, data, plugins, options);
    let mut all = vec!["run", "--once"];
    all.extend(arguments.iter().map(String::as_str));
    let _ = output(PROGRAM, &all);
    all_rows(PROGRAM, &folder.join(data))
}

/// Every message twice, the second time forty later.
fn doubled(range: std::ops::Range<u64>) -> String {
    let late = |i: u64| i.checked_sub(40).filter(|late| range.contains(late));
    range.clone().map(|i| ndjson(std::iter::once(i).chain(late(i)))).collect()
}

fn append(folder: &Path, text: &str) {
    let mut file =
        std::fs::File::options().append(true).open(folder.join("messages.ndjson")).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// What every message counted once gives.
fn expected(count: u64) -> String {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "messages.ndjson", &ndjson(0..count));
    let plugins = plugins(&["statmill-volume", "statmill-activity"]);
    run_once(folder.path(), "straight", &plugins, "")
}

#[test]
fn appends_restarts_and_a_later_plugin_see_each_message_once() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let growing = plugins(&["statmill-volume"]);
    write(folder, "messages.ndjson", &doubled(0..800));
    run_once(folder, "data", &growing, "dedup=id");
    append(folder, &doubled(700..1500));
    run_once(folder, "data", &growing, "dedup=id");
    drop_in(growing.path(), "statmill-activity");
    assert_eq!(run_once(folder, "data", &growing, "dedup=id"), expected(1500));
    // Without the option they are taken as they are.
    assert_ne!(run_once(folder, "plain", &growing, ""), expected(1500));
}

#[test]
fn a_file_that_was_taken_as_it_is_goes_on_with_identities_known() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let plugins = plugins(&["statmill-volume", "statmill-activity"]);
    write(folder, "messages.ndjson", &ndjson(0..500));
    run_once(folder, "data", &plugins, "");
    append(folder, &doubled(300..900));
    assert_eq!(run_once(folder, "data", &plugins, "dedup=id"), expected(900));
}

/// Waits until the file's first stat has read further than `position`, and answers to where.
fn wait_past(running: &mut Running, position: u64) -> u64 {
    let deadline = Instant::now() + Duration::from_secs(60);
    while running.alive() && Instant::now() < deadline {
        let status = running.status();
        let ends = status["stats"][0]["positions"].as_object().unwrap();
        let end = ends.values().next().and_then(|at| at["end"].as_u64()).unwrap_or(0);
        if end > position {
            return end;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("it does not get past {position}");
}

fn horizon(status: &Value) -> (u64, u64) {
    let log = &status["logs"][0];
    (log["duplicates"].as_u64().unwrap(), log["horizon"]["identities"].as_u64().unwrap())
}

#[test]
fn killed_again_and_again_it_counts_each_message_once() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let plugins = plugins(&["statmill-volume", "statmill-activity"]);
    write(folder, "messages.ndjson", &doubled(0..6000));
    let mut arguments = arguments(folder, "data", &plugins, "dedup=id&rate=10000");
    arguments.extend(["--checkpoint", "5ms", "--durable-every", "20ms"].map(str::to_owned));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let size = std::fs::metadata(folder.join("messages.ndjson")).unwrap().len();
    let mut position = 0;
    for _ in 0..6 {
        let mut running = start(PROGRAM, &arguments, &[]).unwrap();
        position = wait_past(&mut running, position).min(size * 3 / 4);
        running.kill();
    }
    let mut running = start(PROGRAM, &arguments, &[]).unwrap();
    wait_past(&mut running, size - 1);
    assert_eq!(horizon(&running.status()), (5960, 6000));
    assert!(running.stop());
    assert_eq!(all_rows(PROGRAM, &folder.join("data")), expected(6000));
}
