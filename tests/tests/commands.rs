//! The command line as a picky user meets it: exit codes, messages, output that cannot be written.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::process::{Command, Output, Stdio};

use statmill_tests::{Running, ndjson, plugins, start, wait_until, write};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");

/// A data folder at rest, and a host that runs on another with the same rows.
struct Scene {
    folder: TempDir,
    _plugins: TempDir,
    host: Running,
}

impl Scene {
    fn new() -> Self {
        let (folder, plugins) = (TempDir::new().unwrap(), plugins(&["statmill-volume"]));
        let file = write(folder.path(), "messages.ndjson", &ndjson(0..50));
        let source = format!("file:{}", file.display());
        let data = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let plugins_folder = plugins.path().to_str().unwrap();
        let (at_rest, running) = (data("at-rest"), data("running"));
        let args = ["--plugins", plugins_folder, "--source", &source, "--log", "warn", "--data"];
        let once = [&["run", "--once"], &args[..], &[at_rest.as_str()]].concat();
        let _ = statmill_tests::output(PROGRAM, &once);
        let host = start(PROGRAM, &[&args[..], &[running.as_str()]].concat(), &[]).unwrap();
        wait_until(|| {
            let status = host.status();
            if status["host"]["ready"] == true { Ok(()) } else { Err(status.to_string()) }
        });
        Self { folder, _plugins: plugins, host }
    }

    fn data(&self) -> String {
        self.folder.path().join("at-rest").to_str().unwrap().to_owned()
    }
}

fn run(args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).output().unwrap()
}

fn said(out: &Output) -> String {
    String::from_utf8(out.stderr.clone()).unwrap()
}

#[test]
fn wrong_usage_exits_with_2_and_what_failed_with_1_for_a_folder_and_a_host_alike() {
    let scene = Scene::new();
    let data = scene.data();
    let places = [["--data", data.as_str()], ["--url", scene.host.url.as_str()]];
    let cases: [(&[&str], i32, &str); 9] = [
        (&["show", "volume-1d"], 0, ""),
        (&["show", "volume-1dd"], 1, "did you mean volume-1d"),
        (
            &["show", "volume-1d", "--order", "up"],
            2,
            "order: \"up\" is neither; allowed: `asc` or `desc`",
        ),
        (&["show", "volume-1d", "--start", "soon"], 2, "start: \"soon\" is not a time"),
        (
            &["show", "volume-1d", "--columns", "size"],
            2,
            "there is no column \"size\"; allowed: timestamp, volume",
        ),
        (&["show", "volume-1d", "--where", "volume"], 2, "give it as NAME=VALUE"),
        (&["show", "volume-1d", "--where", "volume=x"], 2, "not a value of the column"),
        (&["show", "volume-1d", "--limit", "-1"], 2, "invalid value '-1' for '--limit <LIMIT>'"),
        (&["export", "volume-1dd"], 1, "did you mean volume-1d"),
    ];
    for place in places {
        for (args, code, words) in cases {
            let out = run(&[args, &place].concat());
            let said = said(&out);
            assert_eq!(out.status.code(), Some(code), "{args:?} {place:?}: {said}");
            assert!(said.contains(words), "{args:?} {place:?}: {said}");
        }
    }
    let far = said(&run(&["show", "nothing-alike-at-all", "--data", &data]));
    assert!(far.contains("`statmill stats` lists them"), "{far}");
}

#[test]
fn a_cause_is_said_once() {
    let folder = TempDir::new().unwrap();
    let nowhere = folder.path().join("no/where").to_str().unwrap().to_owned();
    let data = folder.path().join("data").to_str().unwrap().to_owned();
    for args in [
        &["check-config", "--config", &nowhere][..],
        &["import", &nowhere, "--data", &data],
        &["export", "--data", &nowhere],
        &["run", "--once", "--data", "/proc/nowhere"],
    ] {
        let out = run(args);
        assert!(!out.status.success());
        let said = said(&out);
        assert!(said.matches("No such file").count() <= 1, "{args:?}: {said}");
    }
    assert!(!folder.path().join("data").exists(), "an import of nothing made a data folder");
    let other = write(folder.path(), "other.jsonl", "{}\n").to_str().unwrap().to_owned();
    let said = said(&run(&["import", &other, "--data", &data]));
    assert!(said.contains("other.jsonl: line 1: no statmill export"), "{said}");
}

#[test]
fn output_that_cannot_be_written_fails_and_output_nobody_reads_does_not() {
    let scene = Scene::new();
    let data = scene.data();
    for args in [&["stats"][..], &["show", "volume-1s"], &["export"]] {
        let args = [args, &["--data", &data]].concat();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let out = Command::new(PROGRAM).args(&args).stdout(full).output().unwrap();
        assert_eq!(out.status.code(), Some(1), "{args:?}");
        assert_eq!(said(&out).matches("No space left").count(), 1, "{}", said(&out));
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let out = Command::new(PROGRAM).args(&args).stdout(Stdio::from(writer)).output().unwrap();
        assert_eq!(out.status.code(), Some(0), "{args:?}: {}", said(&out));
    }
}

#[test]
fn a_running_host_tells_what_it_measured_of_itself() {
    let scene = Scene::new();
    let url = format!("{}/metrics", scene.host.url);
    let text = || ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap();
    // The first answer is counted in the second.
    let _ = text();
    let text = text();
    for line in [
        "statmill_messages_total 50",
        "statmill_http_requests_total{route=\"/metrics\",status=\"200\"}",
        "statmill_commits_total ",
    ] {
        assert!(text.lines().any(|known| known.starts_with(line)), "{line}: {text}");
    }
}
