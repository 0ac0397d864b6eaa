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

#[test]
fn a_panicking_stat_is_quarantined_and_the_others_count_everything() {
    let folder = TempDir::new().unwrap();
    let poison = r#"{"topic":"a.b.c.d","timestamp":1500000000,"do":"panic"}"#;
    let text = ndjson(0..2000) + poison + "\n" + &ndjson(2000..4000);
    write(folder.path(), "messages.ndjson", &text);
    let plugins = plugins(&["odd-plugin", "statmill-volume"]);
    let said = run_once(folder.path(), plugins.path(), failure);
    assert!(said.contains("odd is quarantined: 3 faults in a row"), "{said}");
    assert_eq!(total(&show(folder.path(), "volume-1d"), "volume"), 4001);
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
