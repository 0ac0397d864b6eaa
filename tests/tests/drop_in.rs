//! A plugin dropped in after the fact ends with the rows of one that was there from the start.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use statmill_tests::{all_rows, drop_in, ndjson, output, plugins, write};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");

fn run_once(folder: &TempDir, data: &str, plugins: &TempDir) -> String {
    let source = format!("file:{}", folder.path().join("messages.ndjson").display());
    let data = folder.path().join(data);
    let _ = output(
        PROGRAM,
        &[
            "run",
            "--once",
            "--source",
            &source,
            "--data",
            data.to_str().unwrap(),
            "--plugins",
            plugins.path().to_str().unwrap(),
        ],
    );
    all_rows(PROGRAM, &data)
}

#[test]
fn a_plugin_dropped_in_later_fills_itself_from_the_past() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "messages.ndjson", &ndjson(0..3000));
    let both = plugins(&["statmill-activity", "statmill-volume"]);
    let expected = run_once(&folder, "from-the-start", &both);
    assert!(expected.contains("== activity-users") && expected.contains("== volume-1d"));

    let growing = plugins(&["statmill-activity"]);
    let first = run_once(&folder, "later", &growing);
    assert!(!first.contains("== volume-1d"));
    drop_in(growing.path(), "statmill-volume");
    assert_eq!(run_once(&folder, "later", &growing), expected);
}

#[test]
fn a_second_run_over_the_same_file_changes_nothing() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "messages.ndjson", &ndjson(0..1000));
    let plugins = plugins(&["statmill-volume"]);
    let first = run_once(&folder, "data", &plugins);
    assert_eq!(run_once(&folder, "data", &plugins), first);
}

#[test]
fn what_was_appended_between_two_runs_is_counted_once() {
    let folder = TempDir::new().unwrap();
    let plugins = plugins(&["statmill-volume"]);
    write(folder.path(), "messages.ndjson", &ndjson(0..1000));
    run_once(&folder, "data", &plugins);
    write(folder.path(), "messages.ndjson", &ndjson(0..2500));
    let grown = run_once(&folder, "data", &plugins);
    assert_eq!(grown, run_once(&folder, "straight", &plugins));
}

#[test]
fn rows_stay_readable_when_their_plugin_is_gone() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "messages.ndjson", &ndjson(0..100));
    let before = run_once(&folder, "data", &plugins(&["statmill-volume"]));
    assert_eq!(run_once(&folder, "data", &plugins(&[])), before);
}
