//! What a plugin does wrong stays its own trouble; what its next version counts replaces its rows.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use serde_json::Value;
use statmill_tests::{drop_in, failure, ndjson, output, plugins, write};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");

/// Runs the program over the messages to their end with `check`, which judges how it ended.
fn run_once(folder: &Path, plugins: &Path, check: impl Fn(&str, &[&str]) -> String) -> String {
    let source = format!("file:{}", folder.join("messages.ndjson").display());
    let data = folder.join("data");
    let (data, plugins) = (data.to_str().unwrap(), plugins.to_str().unwrap());
    check(PROGRAM, &["run", "--once", "--source", &source, "--data", data, "--plugins", plugins])
}

fn show(folder: &Path, ident: &str) -> Value {
    let data = folder.join("data");
    let text =
        output(PROGRAM, &["show", ident, "--data", data.to_str().unwrap(), "--format", "json"]);
    serde_json::from_str(&text).unwrap()
}

fn total(rows: &Value, column: &str) -> u64 {
    rows.as_array().unwrap().iter().map(|row| row[column].as_u64().unwrap()).sum()
}

const POISON: &str = "{\"topic\":\"a.b.c.d\",\"timestamp\":1500000000,\"do\":\"panic\"}\n";

#[test]
fn a_message_that_cannot_be_folded_is_passed_over_with_its_place_and_reason() {
    let folder = TempDir::new().unwrap();
    let error = r#"{"topic":"e","timestamp":1500000001,"do":"error"}"#.to_owned() + "\n";
    let (first, second) = (ndjson(0..2000) + POISON + &ndjson(2000..3000), ndjson(3000..4000));
    let text = [&*first, &error, &second].concat();
    write(folder.path(), "messages.ndjson", &text);
    let plugins = plugins(&["odd-plugin", "statmill-volume"]);
    let said = run_once(folder.path(), plugins.path(), failure);
    assert!(said.contains("odd passed over what its plugin cannot fold: 2 of its"), "{said}");
    assert_eq!(total(&show(folder.path(), "volume-1d"), "volume"), 4002);
    assert_eq!(total(&show(folder.path(), "odd"), "count"), 4000);

    let data = folder.path().join("data");
    let list = |more: &[&str]| {
        let args = ["dead-letters", "--format", "json", "--data", data.to_str().unwrap()];
        serde_json::from_str::<Value>(&output(PROGRAM, &[&args, more].concat())).unwrap()
    };
    let letters = list(&["odd"]);
    let member = |name: &str| -> Vec<&Value> {
        letters.as_array().unwrap().iter().map(|letter| &letter[name]).collect()
    };
    let poison_at = ndjson(0..2000).len();
    assert_eq!(member("offset"), [poison_at, first.len()]);
    assert_eq!(member("topic"), ["a.b.c.d", "e"]);
    assert_eq!(member("time"), ["2017-07-14T02:40:00Z", "2017-07-14T02:40:01Z"]);
    assert!(letters[0]["reason"].as_str().unwrap().contains("asked to"), "{letters}");
    assert_eq!(letters[1]["reason"], "asked to fail");
    assert_eq!(list(&[]), letters);
    assert_eq!(list(&["volume-1d"]), Value::Array(vec![]));
}

#[test]
fn a_stat_that_cannot_fold_many_messages_is_quarantined_and_the_others_count_everything() {
    let folder = TempDir::new().unwrap();
    let text = ndjson(0..2000) + &POISON.repeat(30) + &ndjson(2000..4000);
    write(folder.path(), "messages.ndjson", &text);
    let plugins = plugins(&["odd-plugin", "statmill-volume"]);
    let said = run_once(folder.path(), plugins.path(), failure);
    assert!(said.contains("odd is quarantined: it cannot fold"), "{said}");
    assert!(said.contains("too many of one batch"), "{said}");
    assert_eq!(total(&show(folder.path(), "volume-1d"), "volume"), 4030);
    assert!(total(&show(folder.path(), "odd"), "count") <= 2000);
}

#[test]
fn a_changed_fold_rebuilds_the_rows_from_the_log() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "messages.ndjson", &ndjson(0..3000));
    let plugins = plugins(&["odd-plugin"]);
    let _ = run_once(folder.path(), plugins.path(), output);
    assert_eq!(total(&show(folder.path(), "odd"), "count"), 3000);

    std::fs::remove_file(plugins.path().join("libodd_plugin.so")).unwrap();
    drop_in(plugins.path(), "odd-plugin-next");
    let _ = run_once(folder.path(), plugins.path(), output);
    assert_eq!(total(&show(folder.path(), "odd"), "count"), 6000);
}

#[test]
fn every_wrong_file_in_the_plugins_folder_is_one_clear_line_and_the_rest_loads() {
    let plugins = plugins(&["statmill-volume"]);
    let folder = plugins.path();
    let good = std::fs::read(folder.join("libstatmill_volume.so")).unwrap();
    let with = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    with("a-text.so", b"this is not a library");
    with("b-empty.so", b"");
    with("c-truncated.so", &good[..good.len() / 2]);
    let mut other = good.clone();
    other[18] = 0xb7;
    with("d-machine.so", &other);
    let mut narrow = good.clone();
    narrow[4] = 1;
    with("e-32-bit.so", &narrow);
    with("z-again.so", &good);
    std::fs::create_dir(folder.join("f-folder.so")).unwrap();
    let text =
        output(PROGRAM, &["plugins", "--plugins", folder.to_str().unwrap(), "--format", "json"]);
    let reports: Value = serde_json::from_str(&text).unwrap();
    let error = |name: &str| {
        let report = reports
            .as_array()
            .unwrap()
            .iter()
            .find(|report| report["file"].as_str().unwrap().ends_with(name))
            .unwrap();
        report["error"].as_str().unwrap_or_default().to_owned()
    };
    assert!(error("a-text.so").contains("not an ELF file"), "{}", error("a-text.so"));
    assert!(error("b-empty.so").contains("not an ELF file"));
    assert!(error("c-truncated.so").contains("truncated"), "{}", error("c-truncated.so"));
    assert!(error("d-machine.so").contains("another machine"));
    assert!(error("e-32-bit.so").contains("64-bit"), "{}", error("e-32-bit.so"));
    assert!(error("f-folder.so").contains("not a regular file"));
    assert!(error("z-again.so").contains("already provided by"));
    assert_eq!(error("libstatmill_volume.so"), "");
}
