//! The numbers of others: rows that the original statscache made of real messages, and the tables of
//! the workload's exact calculator.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use statmill_tests::{output, plugins, shared};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");

#[test]
fn volume_by_category_has_the_rows_of_the_original_statscache() {
    let (Some(messages), Some(expected)) = (
        shared("data/fedmsg/messages.jsonl"),
        shared("data/statscache/plugins_on_messages_epoch_2012-01-01.json"),
    ) else {
        return;
    };
    let expected: Value =
        serde_json::from_str(&std::fs::read_to_string(expected).unwrap()).unwrap();
    let data = TempDir::new().unwrap();
    let plugins = plugins(&["statmill-volume"]);
    let data = data.path().to_str().unwrap();
    let source = format!("file:{}", messages.display());
    let run = [
        "run",
        "--once",
        "--source",
        &source,
        "--plugins",
        plugins.path().to_str().unwrap(),
        "--data",
        data,
    ];
    let _ = output(PROGRAM, &run);
    for interval in ["1s", "15s", "1m", "1h", "1d"] {
        let ident = format!("volume-by-category-{interval}");
        let shown = output(PROGRAM, &["show", &ident, "--data", data, "--format", "json"]);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(rows(&shown), rows(&expected["plugins"][&ident]["rows"]), "{ident}");
    }
    let stats = output(PROGRAM, &["stats", "--data", data, "--format", "json"]);
    let stats: Value = serde_json::from_str(&stats).unwrap();
    let category = stats
        .as_array()
        .unwrap()
        .iter()
        .find(|stat| stat["ident"] == "volume-by-category-1d")
        .unwrap();
    assert_eq!(category["messages"], 391);
    assert_eq!(category["rejects"]["no_time"], 20);
    assert_eq!(category["complete_until"], "end");
}

fn rows(rows: &Value) -> BTreeSet<(String, String, u64)> {
    let rows = rows.as_array().unwrap();
    let set: BTreeSet<_> = rows
        .iter()
        .map(|row| {
            (
                format!("{:?}", row["timestamp"].as_f64().unwrap()),
                row["category"].as_str().unwrap().to_owned(),
                row["volume"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(set.len(), rows.len(), "a row is there twice");
    set
}

#[test]
fn the_workload_gives_the_tables_of_the_exact_calculator_whatever_threads_and_dictionaries_there_are()
 {
    let Some(bench) = shared("bench") else { return };
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let python = |script: &str, args: &[&str]| {
        let out = Command::new("python3").arg(bench.join(script)).args(args).output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{script}:\n{said}");
    };
    let (file, expected, result) = (path("m.ndjson"), path("expected"), path("result.json"));
    python("gen_messages.py", &["-n", "20000", "-o", &file]);
    python("expected.py", &[&file, "--out", &expected]);
    let bench_program = std::path::Path::new(PROGRAM).with_file_name("statmill-bench-under-test");
    for (threads, dictionary) in [("2", "1000000"), ("1", "4"), ("4", "4")] {
        let how = ["--threads", threads, "--dictionary", dictionary];
        let run = [&[&*file, "--out", &result], &how[..]].concat();
        let _ = output(bench_program.to_str().unwrap(), &run);
        python("check.py", &[&expected, &format!("{result}.answers")]);
    }
}
