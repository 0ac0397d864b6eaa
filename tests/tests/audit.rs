//! An audit says whether rows are what the messages say, and changes nothing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use statmill_tests::{all_rows, ndjson, plugins, start, wait_until, write};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");
const STAT: &str = "volume-by-topic-1d";

/// The data folder of a host that got some messages live, some from a history, and some by both ways.
struct Scene {
    folder: TempDir,
    plugins: TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene =
            Self { folder: TempDir::new().unwrap(), plugins: plugins(&["statmill-volume"]) };
        write(scene.folder.path(), "past.ndjson", &ndjson(0..300));
        let host = start(PROGRAM, &scene.with(&[]), &[]).unwrap();
        ureq::post(format!("{}/ingest/live", host.url)).send(ndjson(200..400).as_bytes()).unwrap();
        wait_until(|| {
            let status = host.status();
            let level = |stat: &Value| stat["messages"] == 400 && stat["state"] == "live";
            let fills = status["logs"].as_array().unwrap().iter();
            let mut fills = fills.flat_map(|log| log["fills"].as_array().unwrap());
            let all = status["stats"].as_array().unwrap().iter().all(level);
            match all && fills.all(|fill| fill["finished"] == true) {
                true => Ok(()),
                false => Err(status.to_string()),
            }
        });
        assert!(host.stop());
        scene
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn past(&self) -> PathBuf {
        self.folder.path().join("past.ndjson")
    }

    /// The arguments that name what the host has, and more.
    fn with<'a>(&self, more: &[&'a str]) -> Vec<&'a str> {
        let leak = |text: String| -> &'static str { text.leak() };
        let history = leak(format!("file:{}", self.past().display()));
        let data = leak(self.data().display().to_string());
        let plugins = leak(self.plugins.path().display().to_string());
        let own = ["--data", data, "--plugins", plugins, "--source", "http:live"];
        [&own[..], &["--history", history, "--log", "warn"], more].concat()
    }

    fn audit(&self, ident: &str, more: &[&str]) -> Output {
        let span = ["audit", ident, "--from", "2017-07-14", "--to", "2017-07-15"];
        Command::new(PROGRAM).args(span).args(self.with(more)).output().unwrap()
    }

    fn append(&self, text: &str) {
        let mut file = std::fs::File::options().append(true).open(self.past()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
}

/// Names and contents of all files below a folder, but those of the store, which is opened, and the lock.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true if path.ends_with("store") => {}
            false if path.ends_with("lock") => {}
            true => files.extend(contents(&path)),
            false => files.push((path.clone(), std::fs::read(&path).unwrap())),
        }
    }
    files.sort();
    files
}

fn said(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

#[test]
fn rows_that_are_right_have_no_differences_and_nothing_changes() {
    let scene = Scene::new();
    let before = (contents(&scene.data()), all_rows(PROGRAM, &scene.data()));
    for ident in [STAT, "volume-1d", "volume-by-user-1d"] {
        let out = scene.audit(ident, &["--format", "json"]);
        assert_eq!((out.status.code(), said(&out).trim()), (Some(0), "[]"));
    }
    let after = (contents(&scene.data()), all_rows(PROGRAM, &scene.data()));
    let names = |files: &[(PathBuf, Vec<u8>)]| -> Vec<PathBuf> {
        files.iter().map(|(path, _)| path.clone()).collect()
    };
    assert_eq!(names(&before.0), names(&after.0));
    let changed = before.0.iter().zip(&after.0).filter(|(a, b)| a != b).map(|(a, _)| &a.0);
    assert_eq!(changed.collect::<Vec<_>>(), Vec::<&PathBuf>::new());
    assert_eq!(before.1, after.1);
}

#[test]
fn a_message_that_was_never_counted_is_a_difference() {
    let scene = Scene::new();
    scene.append(&ndjson([1000]));
    let out = scene.audit(STAT, &["--format", "json"]);
    assert_eq!(out.status.code(), Some(3), "{}", said(&out));
    assert!(said(&out).contains("1 rows differ"), "{}", said(&out));
    let rows: Value = serde_json::from_slice(&out.stdout).unwrap();
    let volume = |at: usize| (&rows[at]["found"], rows[at]["volume"].as_u64().unwrap());
    assert_eq!(rows.as_array().unwrap().len(), 2, "{rows}");
    assert_eq!(rows[0]["topic"], rows[1]["topic"]);
    let ((stored, counted), (recounted, more)) = (volume(0), volume(1));
    assert_eq!((stored, recounted), (&"stored".into(), &"recounted".into()));
    assert_eq!(more, counted + 1);
    assert_eq!(scene.audit(STAT, &[]).status.code(), Some(3));
}

#[test]
fn rows_without_any_message_left_are_a_difference() {
    let scene = Scene::new();
    std::fs::write(scene.past(), ndjson(300..310)).unwrap();
    std::fs::remove_dir_all(scene.data().join("journals")).unwrap();
    let out = scene.audit("volume-by-topic-1d", &["--format", "csv"]);
    assert_eq!(out.status.code(), Some(3), "{}", said(&out));
    assert!(said(&out).contains("there is no journal of http:live"), "{}", said(&out));
}

#[test]
fn what_cannot_be_audited_is_said() {
    let scene = Scene::new();
    let out = scene.audit("volume-by-colour", &[]);
    assert_eq!((out.status.code(), said(&out).contains("no such stat")), (Some(1), true));
    let span = ["audit", STAT, "--from", "2017-07-15", "--to", "2017-07-14"];
    let out = Command::new(PROGRAM).args(span).args(scene.with(&[])).output().unwrap();
    assert_eq!(out.status.code(), Some(2), "{}", said(&out));
    std::fs::write(scene.folder.path().join("past.txt"), "").unwrap();
    let running = start(PROGRAM, &scene.with(&[]), &[]).unwrap();
    let out = scene.audit(STAT, &[]);
    assert_eq!(
        (out.status.code(), said(&out).contains("in use")),
        (Some(1), true),
        "{}",
        said(&out)
    );
    drop(running);
}
