//! A rebuild whose logs no longer reach back keeps the rows of older windows, where both versions mean the same.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use statmill_tests::{Running, message, ndjson, output, plugins, start, wait_until};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");

/// The first content of the file: from 2017-07-14 02:40 on, a message each ten seconds, for 25 hours.
const FIRST: std::ops::Range<u64> = 0..9_000;
/// The second: on to 2017-07-17 14:00.
const SECOND: std::ops::Range<u64> = 9_000..30_000;
/// The first day that the second content holds whole.
const COVERED: &str = "2017-07-16T00:00:00Z";

/// Counts by model, time and topic.
type Rows = BTreeMap<(String, String, String), u64>;

struct Scene {
    folder: TempDir,
    old: TempDir,
    next: TempDir,
}

impl Scene {
    /// Both contents are counted by the old version, and the first is gone.
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let scene =
            Self { folder, old: plugins(&["odd-plugin"]), next: plugins(&["odd-plugin-next"]) };
        std::fs::write(scene.path("messages.ndjson"), ndjson(FIRST)).unwrap();
        scene.run_well("data", &scene.old, &[]);
        std::fs::rename(scene.path("messages.ndjson"), scene.path("messages.ndjson.1")).unwrap();
        std::fs::write(scene.path("messages.ndjson"), ndjson(SECOND)).unwrap();
        scene.run_well("data", &scene.old, &[]);
        std::fs::remove_file(scene.path("messages.ndjson.1")).unwrap();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, data: &str, plugins: &TempDir, more: &[&str], env: &[(&str, &str)]) -> Output {
        let source = format!("file:{}", self.path("messages.ndjson").display());
        let mut command = Command::new(PROGRAM);
        command.args(["run", "--once", "--source", &source, "--checkpoint", "5ms"]);
        command.arg("--data").arg(self.path(data)).arg("--plugins").arg(plugins.path());
        command.args(more).envs(env.iter().copied()).output().unwrap()
    }

    fn run_well(&self, data: &str, plugins: &TempDir, more: &[&str]) -> String {
        let ended = self.run(data, plugins, more, &[]);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(ended.status.success(), "{said}");
        said
    }

    fn rows(&self, ident: &str) -> Rows {
        rows(&self.path("data"), ident)
    }

    fn status(&self, ident: &str) -> Value {
        let data = self.path("data");
        let stats =
            output(PROGRAM, &["stats", "--data", data.to_str().unwrap(), "--format", "json"]);
        let stats: Value = serde_json::from_str(&stats).unwrap();
        stats.as_array().unwrap().iter().find(|stat| stat["ident"] == ident).unwrap().clone()
    }
}

fn rows(data: &Path, ident: &str) -> Rows {
    let text = output(PROGRAM, &["export", "--data", data.to_str().unwrap(), ident]);
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |line: Value| {
        let cells = line.get("cells")?;
        let key = (text(&line["model"]), text(&cells["time"]), text(&cells["topic"]));
        Some((key, cells["count"].as_u64().unwrap()))
    };
    lines.filter_map(row).collect()
}

/// The rows after a rebuild: old ones before the first day that is covered, twice those from it on.
fn half_rebuilt(old: &Rows) -> Rows {
    let factor = |time: &str| if time < COVERED { 1 } else { 2 };
    old.iter().map(|(key, count)| (key.clone(), count * factor(&key.1))).collect()
}

/// As `assert_eq!`, but names only the rows that differ.
fn assert_same(rows: &Rows, expected: &Rows) {
    let differs = |key: &&(String, String, String)| rows.get(*key) != expected.get(*key);
    let differ = rows.keys().chain(expected.keys()).find(differs);
    let both = differ.map(|key| (key, rows.get(key), expected.get(key)));
    assert_eq!(both, None, "(row, found, expected)");
}

#[test]
fn windows_that_the_log_no_longer_holds_keep_their_rows_and_the_others_are_made_anew() {
    let scene = Scene::new();
    let old = scene.rows("odd-hourly");
    let said = scene.run_well("data", &scene.next, &[]);
    let new = scene.rows("odd-hourly");
    assert_same(&new, &half_rebuilt(&old));
    let (kept, anew): (Vec<_>, Vec<_>) =
        new.iter().partition(|((_, time, _), _)| &**time < COVERED);
    assert!(kept.len() > 100 && anew.len() > 100, "{} and {}", kept.len(), anew.len());
    let total = |rows: &[(&(String, String, String), &u64)]| -> u64 {
        rows.iter().filter(|(key, _)| key.0 == "by_hour").map(|(_, count)| **count).sum()
    };
    assert_eq!(total(&kept) + total(&anew) / 2, 30_000);
    // It said so before.
    let told =
        format!("windows from {COVERED} on are made anew, older ones keep the rows they have");
    assert!(said.contains(&told), "{said}");
    let status = scene.status("odd-hourly");
    assert_eq!(status["kept_before"], COVERED);
    assert_eq!((&status["complete_until"], &status["skipped"]), (&"end".into(), &Value::Null));
    // A restart changes nothing, and neither does a second life of the rebuilt rows.
    scene.run_well("data", &scene.next, &[]);
    assert_same(&scene.rows("odd-hourly"), &new);
}

#[test]
fn a_late_message_of_a_kept_window_is_counted_beside_its_old_rows() {
    let scene = Scene::new();
    let mut expected = half_rebuilt(&scene.rows("odd-hourly"));
    // Message 0 once more, under another id: its hour and its day lie in what is gone.
    let late = message(0).replace("m-0", "late");
    let text = ndjson(SECOND) + &late + "\n";
    std::fs::write(scene.path("messages.ndjson"), text).unwrap();
    scene.run_well("data", &scene.next, &[]);
    let topic = "org.fedoraproject.prod.bodhi.event".to_owned();
    for (model, time) in
        [("by_hour", "2017-07-14T02:00:00Z"), ("by_hour@1d", "2017-07-14T00:00:00Z")]
    {
        *expected.get_mut(&(model.to_owned(), time.to_owned(), topic.clone())).unwrap() += 2;
    }
    assert_same(&scene.rows("odd-hourly"), &expected);
}

#[test]
fn without_windows_or_with_other_measures_the_swap_waits_until_the_loss_is_accepted() {
    let scene = Scene::new();
    let old = [scene.rows("odd"), scene.rows("odd-daily")];
    let said = scene.run_well("data", &scene.next, &[]);
    assert_eq!([scene.rows("odd"), scene.rows("odd-daily")], old);
    assert!(said.contains("a model without windows cannot be split"), "{said}");
    assert!(said.contains("its model by_day has another key or other measures"), "{said}");

    scene.run_well("data", &scene.next, &["--accept-loss"]);
    let total = |ident: &str| scene.rows(ident).values().sum::<u64>();
    assert_eq!((total("odd"), total("odd-daily")), (2 * 21_000, 21_000));
    // The loss stays recorded: the rows claim nothing from the oldest old window on.
    let status = scene.status("odd-daily");
    assert_eq!(status["complete_until"], "2017-07-14T00:00:00Z");
    let reason = status["skipped"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("no longer reaches back to its start"), "{reason}");
}

#[test]
fn kept_rows_are_kept_through_a_second_rebuild() {
    let scene = Scene::new();
    let old = scene.rows("odd-hourly");
    scene.run_well("data", &scene.next, &[]);
    // Back to the version before: its rows are made anew as well, from the same log.
    scene.run_well("data", &scene.old, &[]);
    assert_same(&scene.rows("odd-hourly"), &old);
}

/// Waits until `odd-hourly` is live with `messages` accepted, and stops the host.
fn stop_when_level(running: Running, messages: u64) {
    wait_until(|| {
        let status = running.status();
        let stats = status["stats"].as_array().unwrap();
        let stat = stats.iter().find(|stat| stat["ident"] == "odd-hourly").unwrap();
        let positions = stat["positions"].as_object().unwrap().values();
        let accepted: u64 = positions.map(|at| at["messages"].as_u64().unwrap()).sum();
        if stat["state"] == "live" && accepted >= messages {
            return Ok(());
        }
        Err(format!("not level: {stat:#}"))
    });
    assert!(running.stop());
}

#[test]
fn what_a_shorter_history_gives_once_more_is_not_counted_beside_the_kept_rows() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, history) = (path("data"), format!("file:{}", path("history.ndjson")));
    let begin = |plugins: &TempDir| {
        let plugins = plugins.path().to_str().unwrap();
        let args = ["--source", "http:live", "--history", &history, "--data", &data];
        let more = ["--checkpoint", "5ms", "--durable-every", "20ms", "--plugins", plugins];
        start(PROGRAM, &[&args[..], &more].concat(), &[]).unwrap()
    };
    let send = |running: &Running, messages: std::ops::Range<u64>| {
        let url = format!("{}/ingest/live", running.url);
        let post = ureq::post(url).header("Content-Type", "application/x-ndjson");
        assert_eq!(post.send(ndjson(messages)).unwrap().status(), 202);
    };
    std::fs::write(path("history.ndjson"), ndjson(0..4_000)).unwrap();
    let (before, after) = (plugins(&["odd-plugin"]), plugins(&["odd-plugin-next"]));
    let running = begin(&before);
    send(&running, 4_000..12_000);
    stop_when_level(running, 12_000);
    let old = rows(data.as_ref(), "odd-hourly");

    std::fs::remove_dir_all(path("data/fills")).unwrap();
    std::fs::write(path("history.ndjson"), ndjson(3_000..4_000)).unwrap();
    let running = begin(&after);
    stop_when_level(running, 1_000 + 8_000);
    let kept = |time: &str| time < "2017-07-15T00:00:00Z";
    let expected: Rows = old
        .iter()
        .map(|(key, count)| (key.clone(), if kept(&key.1) { *count } else { 2 * count }))
        .collect();
    assert_same(&rows(data.as_ref(), "odd-hourly"), &expected);
}

#[test]
fn a_kill_at_the_swap_takes_every_kept_row_over_once() {
    let scene = Scene::new();
    let expected = half_rebuilt(&scene.rows("odd-hourly"));
    let mut died = 0;
    if cfg!(feature = "fault-points") {
        for passing in 1..=6 {
            let fault = format!("rebuild_swap:{passing}");
            let ended = scene.run("data", &scene.next, &[], &[("STATMILL_FAULT", &fault)]);
            died += u32::from(!ended.status.success());
        }
        assert!(died > 1, "died {died} times");
    }
    scene.run_well("data", &scene.next, &[]);
    assert_same(&scene.rows("odd-hourly"), &expected);
}
