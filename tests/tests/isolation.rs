//! `isolation = "process"`: the rows are those of a plugin in the host, whatever happens to a worker process.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use statmill::loader::library_beside_program;
use statmill_tests::{
    Running, all_rows, assert_same_rows, evil, failure, is_alive, kill, message, ndjson, output,
    plugins, start, wait_until, workers, write,
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

/// Status and body of an answer.
fn get(host: &Running, path: &str) -> (u16, String) {
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder().http_status_as_error(false).build(),
    );
    let mut answer = agent.get(format!("{}{path}", host.url)).call().unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), text)
}

fn append(folder: &Path, messages: std::ops::Range<u64>) {
    let path = folder.join("messages.ndjson");
    let mut file = std::fs::File::options().append(true).open(path).unwrap();
    std::io::Write::write_all(&mut file, ndjson(messages).as_bytes()).unwrap();
}

/// Waits until the stat `ident` has folded `messages`.
fn wait_folded(host: &Running, ident: &str, messages: u64) {
    wait_until(|| {
        let status = host.status();
        let stats = status["stats"].as_array().unwrap();
        match stats.iter().find(|stat| stat["ident"] == ident) {
            Some(stat) if stat["messages"] == messages => Ok(()),
            stat => Err(format!("{stat:#?}")),
        }
    });
}

#[test]
fn a_stat_that_asks_for_its_earlier_rows_gets_them_whenever_its_process_is_a_new_one() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "messages.ndjson", &ndjson(0..1_000));
    let plugins = plugins(&["careless-plugin"]);
    let ident = "careless-remembers";
    let host = follow(folder.path(), plugins.path());
    wait_folded(&host, ident, 1_000);
    assert!(host.stop());

    write(folder.path(), "messages.ndjson", &ndjson(0..2_000));
    let host = follow(folder.path(), plugins.path());
    wait_folded(&host, ident, 2_000);
    workers(host.pid()).into_iter().for_each(kill);
    append(folder.path(), 2_000..3_000);
    wait_folded(&host, ident, 3_000);
    assert!(host.stop());
    // It numbers messages: with other rows, or none, it would have begun with another number.
    let data = folder.path().join("process");
    let shown = output(PROGRAM, &["show", ident, "--data", data.to_str().unwrap()]);
    assert!(shown.contains("3000"), "{shown}");
}

#[test]
fn computed_views_give_the_same_tables_and_go_wrong_by_themselves_alone() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "messages.ndjson", &ndjson(0..700));
    let plugins = plugins(&["statmill-activity"]);
    evil::drop_in(plugins.path(), "evil", &["evil".to_owned(), "!view: abort".to_owned()]);
    let share = |more: &str| format!("/api/activity-users/views/share?{more}");
    let mut tables = Vec::new();
    for isolation in ["in-process", "process"] {
        let mut arguments = arguments(folder.path(), isolation, plugins.path(), isolation);
        // In the host the evil one would be stopped before it is mapped.
        arguments.extend(["--checkpoint", "20ms"].map(str::to_owned));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let host = start(PROGRAM, &arguments, &[("STATMILL_QUERY__MAX_TIME", "20s")]).unwrap();
        wait_folded(&host, "activity-users", 700);
        let (status, table) = get(&host, &share("limit=100"));
        assert_eq!(status, 200, "{table}");
        tables.push(table);
        if isolation == "in-process" {
            assert!(host.stop());
            continue;
        }
        // Whoever waits to compute again is killed; the answer is not the one that is remembered.
        workers(host.pid()).into_iter().for_each(kill);
        let (status, again) = get(&host, &share("limit=1"));
        assert_eq!(status, 200, "{again}");
        wait_folded(&host, "evil", 700);
        for (view, said) in [("abort", "SIGABRT"), ("panic", "asked to"), ("huge", "bytes")] {
            let (status, problem) = get(&host, &format!("/api/evil/views/{view}"));
            assert!(status >= 500 && problem.contains(said), "{status} {problem}");
        }
        let (status, sound) = get(&host, "/api/evil/views/sound");
        assert_eq!(status, 200, "{sound}");
        assert!(host.stop());
    }
    assert!(tables[0].contains("user-1"), "{}", tables[0]);
    assert_eq!(tables[0], tables[1]);
}

#[test]
fn what_of_the_sandbox_the_kernel_does_not_have_is_said_of_the_plugins_in_processes() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "messages.ndjson", &message(0));
    let plugins = plugins(&["statmill-pagure"]);
    let library = plugins.path().join("libstatmill_pagure.so");
    let check = ["plugins", "check", library.to_str().unwrap(), "--count", "1000"];
    let report: Value =
        serde_json::from_str(&output(PROGRAM, &[&check[..], &["--format", "json"]].concat()))
            .unwrap();
    let steps = report["steps"].as_array().unwrap();
    let sandbox = steps.iter().find(|step| step["name"] == "sandbox").unwrap();
    let expected = match sandbox["outcome"].as_str().unwrap() {
        "passed" => "",
        _ => sandbox["words"].as_str().unwrap(),
    };
    let host = follow(folder.path(), plugins.path());
    let plugin = &host.status()["plugins"][0];
    let lacks = plugin["sandbox_lacks"].as_array().cloned().unwrap_or_default();
    let lacks: Vec<_> = lacks.iter().map(|lack| lack.as_str().unwrap()).collect();
    assert_eq!(lacks.join("; "), expected, "{plugin}");
    assert!(host.stop());
}

/// Names of the private copies of libraries.
fn copies(data: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(data.join("plugin-copies")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".so")).collect();
    names.sort();
    names
}

#[test]
fn copies_of_libraries_that_are_gone_are_removed_and_those_that_are_used_stay() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "messages.ndjson", &ndjson(0..100));
    let plugins = plugins(&["odd-plugin", "statmill-pagure"]);
    let data = folder.path().join("process");
    let host = follow(folder.path(), plugins.path());
    let before = copies(&data);
    assert_eq!(before.len(), 2, "{before:?}");
    // Another version in the place of the first one, as a whole.
    let (next, place) = (plugins.path().join("next"), plugins.path().join("libodd_plugin.so"));
    std::fs::copy(library_beside_program("odd-plugin-next").unwrap(), &next).unwrap();
    std::fs::rename(next, &place).unwrap();
    let after = wait_until(|| match copies(&data) {
        names if names.len() == 2 && names != before => Ok(names),
        names => Err(format!("{names:?}")),
    });
    let pagure = |name: &&String| name.contains("pagure");
    assert_eq!(after.iter().find(pagure), before.iter().find(pagure));
    // What is used stays usable: every process is begun anew of it.
    workers(host.pid()).into_iter().for_each(kill);
    append(folder.path(), 100..200);
    wait_folded(&host, "odd", 200);
    assert!(host.stop());
    std::fs::remove_file(place).unwrap();
    let host = follow(folder.path(), plugins.path());
    let left = copies(&data);
    assert!(left.len() == 1 && left[0].contains("pagure"), "{left:?}");
    assert!(host.stop());
}
