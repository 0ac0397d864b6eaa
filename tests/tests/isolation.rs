//! `isolation = "process"`: the rows are those of a plugin in the host, whatever happens to a worker process.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use statmill_tests::{
    Running, all_rows, assert_same_rows, failure, message, ndjson, output, plugins, start,
    wait_until, write,
};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");

const SHIPPED: [&str; 4] =
    ["statmill-activity", "statmill-pagure", "statmill-releng", "statmill-volume"];

/// Arguments of a run over `messages.ndjson` of `folder` with its own data folder `data`.
fn arguments(folder: &Path, data: &str, plugins: &Path, isolation: &str) -> Vec<String> {
    let source = format!("file:{}", folder.join("messages.ndjson").display());
    let (data, plugins) = (folder.join(data), plugins.to_path_buf());
    let (data, plugins) = (data.to_str().unwrap(), plugins.to_str().unwrap());
    ["--source", &source, "--data", data, "--plugins", plugins, "--isolation", isolation]
        .map(str::to_owned)
        .to_vec()
}

/// Runs over the messages to their end with `check`, which judges how it ended.
fn run_once(
    folder: &Path,
    plugins: &Path,
    isolation: &str,
    check: impl Fn(&str, &[&str]) -> String,
) -> String {
    let arguments = arguments(folder, isolation, plugins, isolation);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    check(PROGRAM, &[&["run", "--once", "--checkpoint", "20ms"][..], &arguments].concat())
}

/// A host that follows the messages with isolated plugins.
fn follow(folder: &Path, plugins: &Path) -> Running {
    let arguments = arguments(folder, "process", plugins, "process");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    start(PROGRAM, &[&["--checkpoint", "20ms"][..], &arguments].concat(), &[]).unwrap()
}

/// Process ids of the workers of a host.
fn workers(host: u32) -> Vec<u32> {
    let is_worker = |process: &u32| {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else {
            return false;
        };
        let fields = stat.rsplit_once(')').unwrap().1;
        let mut fields = fields.split_ascii_whitespace();
        let (state, parent) = (fields.next().unwrap(), fields.next().unwrap());
        state != "Z" && parent == host.to_string()
    };
    let processes = std::fs::read_dir("/proc").unwrap();
    let numbers =
        processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter(is_worker).collect()
}

fn is_alive(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

fn kill(process: u32) {
    let _ = Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap();
}

fn rows(folder: &Path, isolation: &str) -> String {
    all_rows(PROGRAM, &folder.join(isolation))
}

#[test]
fn isolated_stats_keep_the_same_rows_as_those_in_the_host() {
    let folder = TempDir::new().unwrap();
    let odd = |i: u64| {
        format!(
            "{{\"topic\":\"odd.{}\",\"timestamp\":{},\"key\":\"k{}\",\"name\":\"caf\\u00e9 {}\",\
             \"int\":{},\"num\":{}.5,\"text\":\"a \\\"quoted\\\" text {i}\",\"raw\":[{i},null],\
             \"do\":null}}\n",
            i % 3,
            1_500_000_000 + i * 60,
            i % 17,
            i % 5,
            i * 31,
            i,
        )
    };
    let odd: String = (0..2500).map(odd).collect();
    write(folder.path(), "messages.ndjson", &(ndjson(0..3000) + &odd + &ndjson(3000..4000)));
    let plugins = plugins(&[&SHIPPED[..], &["every-aggregator", "odd-plugin"]].concat());
    let _ = run_once(folder.path(), plugins.path(), "in-process", output);
    let _ = run_once(folder.path(), plugins.path(), "process", output);
    let expected = rows(folder.path(), "in-process");
    assert!(expected.lines().count() > 1000, "{expected}");
    assert_same_rows(&rows(folder.path(), "process"), &expected);
}

#[test]
fn workers_killed_at_any_moment_leave_every_row_exact() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "messages.ndjson", &ndjson(0..40_000));
    let plugins = plugins(&["statmill-volume", "odd-plugin"]);
    let _ = run_once(folder.path(), plugins.path(), "in-process", output);

    let host = follow(folder.path(), plugins.path());
    let level = |host: &Running| {
        let status = host.status();
        let stats = status["stats"].as_array().unwrap();
        stats.iter().all(|stat| stat["messages"] == 40_000 && stat["state"] == "live")
    };
    let folded = |host: &Running| -> u64 {
        let status = host.status();
        let stats = status["stats"].as_array().unwrap();
        stats.iter().map(|stat| stat["messages"].as_u64().unwrap_or_default()).sum()
    };
    let stats = host.status()["stats"].as_array().unwrap().len() as u64;
    // Whoever is struck is at another point each time: some start, some fold, some drain.
    for turn in 0..12 {
        let far = stats * 40_000 * turn as u64 / 14;
        wait_until(|| match folded(&host) {
            folded if folded < far => Err(format!("{folded} of {far}")),
            _ => Ok(()),
        });
        wait_until(|| match workers(host.pid()) {
            workers if workers.is_empty() => Err("no worker".to_owned()),
            workers => {
                kill(workers[turn * 7 % workers.len()]);
                Ok(())
            }
        });
    }
    wait_until(|| if level(&host) { Ok(()) } else { Err(host.status().to_string()) });
    assert!(host.stop());
    assert_same_rows(&rows(folder.path(), "process"), &rows(folder.path(), "in-process"));
}

#[test]
fn a_message_that_ends_its_process_is_passed_over_and_nothing_else_is_lost() {
    for (wish, reason) in [
        ("abort", "SIGABRT"),
        ("segfault", "SIGSEGV"),
        ("exit", "exited with code 0"),
        ("panic", "asked to"),
    ] {
        let folder = TempDir::new().unwrap();
        let poison = format!("{{\"topic\":\"a\",\"timestamp\":1500000000,\"do\":\"{wish}\"}}\n");
        write(folder.path(), "messages.ndjson", &(ndjson(0..2000) + &poison + &ndjson(2000..3000)));
        let plugins = plugins(&["odd-plugin", "statmill-volume"]);
        let said = run_once(folder.path(), plugins.path(), "process", failure);
        assert!(said.contains("odd passed over what its plugin cannot fold: 1 of its"), "{said}");
        let data = folder.path().join("process");
        let data = data.to_str().unwrap();
        let letters = output(PROGRAM, &["dead-letters", "--format", "json", "--data", data]);
        let letters: Value = serde_json::from_str(&letters).unwrap();
        assert_eq!(letters.as_array().unwrap().len(), 1, "{letters}");
        assert_eq!(letters[0]["offset"], ndjson(0..2000).len(), "{letters}");
        assert!(letters[0]["reason"].as_str().unwrap().contains(reason), "{letters}");
        let total = |ident: &str, column: &str| {
            let rows = output(PROGRAM, &["show", ident, "--data", data, "--format", "json"]);
            let rows: Value = serde_json::from_str(&rows).unwrap();
            rows.as_array().unwrap().iter().map(|row| row[column].as_u64().unwrap()).sum::<u64>()
        };
        assert_eq!(total("odd", "count"), 3000, "{wish}");
        assert_eq!(total("odd-daily", "count"), 3001, "{wish}");
        assert_eq!(total("volume-1d", "volume"), 3001, "{wish}");
    }
}

#[test]
fn a_message_that_a_worker_never_ends_with_is_passed_over_too() {
    let folder = TempDir::new().unwrap();
    let endless = "{\"topic\":\"a\",\"timestamp\":1500000000,\"do\":\"loop\"}\n";
    write(folder.path(), "messages.ndjson", &(ndjson(0..5) + endless + &ndjson(5..9)));
    let plugins = plugins(&["odd-plugin"]);
    let arguments = arguments(folder.path(), "process", plugins.path(), "process");
    let mut command = Command::new(PROGRAM);
    command.args(["run", "--once"]).args(arguments).env("STATMILL_STAT_LIMITS__DEADLINE", "1s");
    let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(said.contains("odd passed over what its plugin cannot fold: 1 of its"), "{said}");
    assert!(said.contains("no answer within 1 s of CPU time"), "{said}");
    let data = folder.path().join("process");
    let rows = ["show", "odd", "--data", data.to_str().unwrap(), "--format", "json"];
    let rows: Value = serde_json::from_str(&output(PROGRAM, &rows)).unwrap();
    let count = |row: &Value| row["count"].as_u64().unwrap();
    assert_eq!(rows.as_array().unwrap().iter().map(count).sum::<u64>(), 9, "{said}");
}

#[test]
fn what_a_plugin_prints_is_in_the_log_with_its_name() {
    let folder = TempDir::new().unwrap();
    let message = r#"{"topic":"a","timestamp":1500000000,"do":"print"}"#;
    write(folder.path(), "messages.ndjson", &format!("{message}\n"));
    let plugins = plugins(&["odd-plugin"]);
    let arguments = arguments(folder.path(), "process", plugins.path(), "process");
    let mut command = Command::new(PROGRAM);
    command.args(["run", "--once"]).args(arguments).env("STATMILL_LOG", "debug");
    let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
    let line = said.lines().find(|line| line.contains("it printed: printed by a plugin"));
    assert!(line.is_some_and(|line| line.contains("libodd_plugin.so")), "{said}");
}

#[test]
fn a_plugin_that_took_the_host_down_when_it_was_mapped_gets_a_process() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "messages.ndjson", &ndjson(0..100));
    let plugins = plugins(&["statmill-volume"]);
    let _ = run_once(folder.path(), plugins.path(), "in-process", output);
    // What a host leaves that ends while it maps a plugin; it takes one that is not caught in the dry run.
    let copies = std::fs::read_dir(folder.path().join("in-process/plugin-copies")).unwrap();
    let verdict = copies
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with(".verdict.json"));
    let verdict = verdict.unwrap();
    let kept: Value = serde_json::from_slice(&std::fs::read(&verdict).unwrap()).unwrap();
    let marker = verdict.to_str().unwrap().replace(".verdict.json", ".loading");
    std::fs::write(marker, json!({ "host": kept["host"], "at_us": 1, "times": 2 }).to_string())
        .unwrap();
    write(folder.path(), "messages.ndjson", &ndjson(0..3000));

    let mut arguments = arguments(folder.path(), "in-process", plugins.path(), "in-process");
    arguments.extend(["--checkpoint".to_owned(), "20ms".to_owned()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let host = start(PROGRAM, &arguments, &[]).unwrap();
    let plugin = &host.status()["plugins"][0];
    assert_eq!(plugin["isolation"], "process", "{plugin}");
    assert_eq!(plugin["error"], Value::Null, "{plugin}");
    wait_until(|| match &host.status()["stats"] {
        stats if stats.as_array().unwrap().iter().all(|stat| stat["messages"] == 3000) => Ok(()),
        stats => Err(stats.to_string()),
    });
    assert!(host.stop());
    let _ = run_once(folder.path(), plugins.path(), "process", output);
    assert_same_rows(&rows(folder.path(), "in-process"), &rows(folder.path(), "process"));
}

#[test]
fn no_worker_outlives_its_host() {
    const STATS: usize = 5;
    let folder = TempDir::new().unwrap();
    write(folder.path(), "messages.ndjson", &message(0));
    let plugins = plugins(&["odd-plugin"]);
    for cut in [true, false] {
        let host = follow(folder.path(), plugins.path());
        let workers = wait_until(|| match workers(host.pid()) {
            workers if workers.len() == STATS => Ok(workers),
            workers => Err(format!("{workers:?}")),
        });
        let plugin = &host.status()["plugins"][0];
        assert_eq!(plugin["isolation"], "process", "{plugin}");
        if cut {
            host.kill();
        } else {
            assert!(host.stop());
        }
        wait_until(|| match workers.iter().find(|worker| is_alive(**worker)) {
            None => Ok(()),
            Some(worker) => Err(format!("{worker} is there still")),
        });
    }
}
