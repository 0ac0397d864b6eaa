//! Plugins that come, change and go while the host runs: no message is lost or counted twice.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use serde_json::Value;
use statmill_tests::{
    Running, all_rows, assert_same_rows, drop_in, failure, ndjson, output, plugins, start,
    wait_until, write,
};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");
/// Messages of the file; those over HTTP come after them.
const FILE: u64 = 2_000;

struct Scene {
    folder: TempDir,
    plugins: TempDir,
}

impl Scene {
    fn new(crates: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        write(folder.path(), "file.ndjson", &ndjson(0..FILE));
        write(folder.path(), "statmill.toml", "");
        Self { folder, plugins: plugins(crates) }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn start(&self, data: &str, env: &[(&str, &str)]) -> Option<Running> {
        let (config, data) = (self.path("statmill.toml"), self.path(data));
        let file = format!("file:{}", self.path("file.ndjson"));
        let plugins = self.plugins.path().to_str().unwrap();
        let args = [
            ["--config", &config, "--data", &data, "--plugins", plugins, "--source", &file],
            [
                "--source",
                "http:live",
                "--checkpoint",
                "5ms",
                "--durable-every",
                "20ms",
                "--log",
                "info",
            ],
        ];
        start(PROGRAM, &args.concat(), env)
    }

    fn library(&self, name: &str) -> PathBuf {
        self.plugins.path().join(format!("lib{name}.so"))
    }

    /// Puts another build in the place of a library, which does the same: in place, or by a rename.
    fn rebuild(&self, name: &str, number: u64) {
        let mut bytes = std::fs::read(self.library(name)).unwrap();
        bytes.extend_from_slice(&number.to_le_bytes());
        if number.is_multiple_of(2) {
            std::fs::write(self.library(name), bytes).unwrap();
        } else {
            let beside = write(self.plugins.path(), "next", "");
            std::fs::write(&beside, bytes).unwrap();
            std::fs::rename(beside, self.library(name)).unwrap();
        }
    }

    fn rows(&self, data: &str) -> String {
        all_rows(PROGRAM, Path::new(&self.path(data)))
    }
}

/// Sends messages over HTTP, ten at a time, until it is finished.
struct Sender {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Sender {
    fn to(host: &Running, from: u64) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(from)));
        let url = host.url.clone();
        let thread = {
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let first = sent.load(Ordering::Relaxed);
                    if !post(&url, first) {
                        return;
                    }
                    sent.store(first + 10, Ordering::Relaxed);
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
            })
        };
        Self { stop, sent, thread }
    }

    /// The end of what was sent and accepted.
    fn finish(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.sent.load(Ordering::Relaxed)
    }
}

fn post(url: &str, first: u64) -> bool {
    let request = ureq::post(format!("{url}/ingest/live"))
        .header("Content-Type", "application/x-ndjson")
        .header("Idempotency-Key", format!("chunk-{first}"));
    request.send(ndjson(first..first + 10)).is_ok_and(|answer| answer.status() == 202)
}

fn find<'a>(list: &'a Value, member: &str, value: &str) -> Option<&'a Value> {
    let is_it = |item: &&Value| item[member].as_str().is_some_and(|text| text.ends_with(value));
    list.as_array().unwrap().iter().find(is_it)
}

fn state(host: &Running, ident: &str) -> String {
    let status = host.status();
    let stat = find(&status["stats"], "ident", ident);
    stat.map_or_else(|| "none".to_owned(), |stat| stat["state"].as_str().unwrap().to_owned())
}

fn wait_state(host: &Running, ident: &str, wanted: &str) {
    wait_until(|| match state(host, ident) {
        state if state == wanted => Ok(()),
        state => Err(state),
    });
}

/// Waits until every stat that runs has folded `messages` of each log it reads.
fn wait_level(host: &Running, messages: u64) {
    wait_until(|| {
        let status = host.status();
        let behind = status["stats"].as_array().unwrap().iter().find(|stat| {
            let folded = stat["positions"].as_object().unwrap().values();
            let folded: u64 = folded.map(|at| at["messages"].as_u64().unwrap()).sum();
            stat["state"] != "detached" && (folded < messages || stat["state"] != "live")
        });
        behind.map_or(Ok(()), |stat| Err(stat.to_string()))
    });
}

fn boot(host: &Running) -> u64 {
    host.status()["host"]["boot"].as_u64().unwrap()
}

/// Waits until other plugins run than at `before`.
fn wait_exchanged(host: &Running, before: u64) -> u64 {
    wait_until(|| match boot(host) {
        now if now > before => Ok(now),
        now => Err(format!("still {now}")),
    })
}

fn signal(host: &Running, name: &str) {
    let pid = host.pid().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

#[test]
fn however_often_plugins_change_under_load_the_rows_are_those_of_an_undisturbed_run() {
    let scene = Scene::new(&["statmill-volume", "odd-plugin"]);
    let host = scene.start("swapped", &[]).unwrap();
    let sender = Sender::to(&host, FILE);
    let mut exchanged = boot(&host);
    for number in 0..12 {
        scene.rebuild(["statmill_volume", "odd_plugin"][number as usize % 2], number);
        exchanged = wait_exchanged(&host, exchanged);
        if number == 5 {
            drop_in(scene.plugins.path(), "statmill-activity");
            exchanged = wait_exchanged(&host, exchanged);
        }
    }
    let sent = sender.finish();
    assert!(sent > FILE + 50, "only {sent} were sent meanwhile");
    wait_level(&host, sent);
    assert!(host.stop());

    let host = scene.start("undisturbed", &[]).unwrap();
    for first in (FILE..sent).step_by(10) {
        assert!(post(&host.url, first));
    }
    wait_level(&host, sent);
    assert!(host.stop());
    assert_same_rows(&scene.rows("swapped"), &scene.rows("undisturbed"));
}

#[test]
fn a_plugin_that_comes_fills_itself_and_one_that_goes_leaves_its_rows() {
    let scene = Scene::new(&["odd-plugin"]);
    let host = scene.start("data", &[]).unwrap();
    wait_level(&host, FILE);
    assert_eq!(state(&host, "volume-1d"), "none");
    drop_in(scene.plugins.path(), "statmill-volume");
    wait_state(&host, "volume-1d", "live");
    wait_level(&host, FILE);

    std::fs::remove_file(scene.library("odd_plugin")).unwrap();
    wait_state(&host, "odd", "detached");
    assert!(post(&host.url, FILE));
    wait_level(&host, FILE + 10);
    let count = |path: &str| total(&host, path);
    assert_eq!((count("odd"), count("volume-1d")), (FILE, FILE + 10));

    drop_in(scene.plugins.path(), "odd-plugin");
    wait_state(&host, "odd", "live");
    wait_level(&host, FILE + 10);
    assert_eq!(count("odd"), FILE + 10);
    assert!(host.stop());
}

/// The sum of the number of messages of all rows.
fn total(host: &Running, ident: &str) -> u64 {
    let text = output(PROGRAM, &["show", ident, "--url", &host.url, "--format", "json"]);
    let rows: Value = serde_json::from_str(&text).unwrap();
    let number = |row: &Value| row["count"].as_u64().or(row["volume"].as_u64()).unwrap();
    rows.as_array().unwrap().iter().map(number).sum()
}

#[test]
fn a_version_that_counts_otherwise_is_made_beside_the_old_rows_and_back() {
    let scene = Scene::new(&["odd-plugin"]);
    let host = scene.start("data", &[]).unwrap();
    let sender = Sender::to(&host, FILE);
    for (next, factor) in [("odd-plugin-next", 2), ("odd-plugin", 1), ("odd-plugin-next", 2)] {
        let before = boot(&host);
        let from = plugins(&[next]);
        let file = format!("lib{}.so", next.replace('-', "_"));
        std::fs::rename(from.path().join(file), scene.library("odd_plugin"))
            .or_else(|_| {
                let file = format!("lib{}.so", next.replace('-', "_"));
                std::fs::copy(from.path().join(file), scene.library("odd_plugin")).map(drop)
            })
            .unwrap();
        wait_exchanged(&host, before);
        wait_until(|| {
            let folded = find(&host.status()["stats"], "ident", "odd").unwrap()["messages"].clone();
            let (rows, folded) = (total(&host, "odd"), folded.as_u64().unwrap());
            let is_level = state(&host, "odd") == "live" && rows >= FILE * factor;
            if is_level { Ok(()) } else { Err(format!("{rows} of {folded}")) }
        });
    }
    let sent = sender.finish();
    wait_level(&host, sent);
    assert_eq!(total(&host, "odd"), sent * 2);
    assert!(host.stop());
}

#[test]
fn what_cannot_be_used_leaves_the_old_plugin_running_and_says_why() {
    let scene = Scene::new(&["odd-plugin", "statmill-volume"]);
    write(scene.folder.path(), "statmill.toml", "[stats.odd]\nconfig = { mended = true }\n");
    let host = scene.start("data", &[]).unwrap();
    wait_level(&host, FILE);
    let before = boot(&host);
    let library = scene.library("odd_plugin");
    let good = std::fs::read(&library).unwrap();
    let other = plugins(&["odd-plugin-next"]);
    let refuses = std::fs::read(other.path().join("libodd_plugin_next.so")).unwrap();
    for (bytes, why) in [
        (&b"this is not a library"[..], "not an ELF file"),
        (&good[..good.len() / 2], "truncated"),
        // It takes no configuration, and has one: it makes no instance.
        (&refuses[..], "takes no configuration"),
    ] {
        std::fs::write(&library, bytes).unwrap();
        let said = failure(PROGRAM, &["plugins", "reload", "--url", &host.url]);
        assert!(said.contains("1 of 2 plugin files are refused"), "{said}");
        let report = find(&host.status()["plugins"], "file", "libodd_plugin.so").unwrap().clone();
        let error = report["error"].as_str().unwrap();
        assert!(error.contains(why) && error.contains("goes on"), "{error}");
        assert_eq!(report["stats"][0], "odd");
        assert_eq!(state(&host, "odd"), "live");
    }
    assert_eq!(boot(&host), before, "nothing was exchanged");
    assert!(post(&host.url, FILE));
    wait_level(&host, FILE + 10);
    assert_eq!(total(&host, "odd"), FILE + 10);

    std::fs::write(&library, good).unwrap();
    let _ = output(PROGRAM, &["plugins", "reload", "--url", &host.url]);
    assert!(host.stop());
}

#[test]
fn a_quarantine_outlives_a_restart_and_ends_when_somebody_says_so_or_mends_it() {
    let scene = Scene::new(&["odd-plugin", "statmill-volume"]);
    let poison = "{\"topic\":\"a.b.c.d\",\"timestamp\":1500000000,\"do\":\"panic\"}\n";
    let mut file = std::fs::File::options().append(true).open(scene.path("file.ndjson")).unwrap();
    file.write_all(poison.repeat(30).as_bytes()).unwrap();
    let host = scene.start("data", &[]).unwrap();
    wait_state(&host, "odd", "quarantined");
    let told = |host: &Running| {
        let stat = find(&host.status()["stats"], "ident", "odd").unwrap().clone();
        assert_eq!(stat["state"], "quarantined");
        stat["reason"].as_str().unwrap().to_owned()
    };
    let reason = told(&host);
    assert!(reason.contains("too many of one batch"), "{reason}");
    assert!(host.stop());

    let host = scene.start("data", &[]).unwrap();
    assert_eq!(told(&host), reason);
    let live = failure(PROGRAM, &["plugins", "resume", "volume-1d", "--url", &host.url]);
    assert!(live.contains("is live: only what is quarantined, or was moved"), "{live}");
    let _ = output(PROGRAM, &["plugins", "resume", "odd", "--url", &host.url]);
    wait_state(&host, "odd", "quarantined");

    write(scene.folder.path(), "statmill.toml", "[stats.odd]\nconfig = { broken = true }\n");
    signal(&host, "-HUP");
    write(scene.folder.path(), "statmill.toml", "[stats.odd]\nconfig = { mended = true }\n");
    signal(&host, "-HUP");
    wait_level(&host, FILE + 30);
    assert_eq!(total(&host, "odd"), FILE + 30);
    assert!(host.stop());
}

#[test]
#[cfg(feature = "fault-points")]
fn killed_at_any_step_of_an_exchange_the_rows_are_those_of_an_undisturbed_run() {
    let scene = Scene::new(&["statmill-volume", "odd-plugin"]);
    let (mut sent, mut died) = (FILE, 0);
    for passing in 1..=8 {
        let fault = format!("swap:{passing}");
        let mut host = scene.start("killed", &[("STATMILL_FAULT", &fault)]).unwrap();
        let sender = Sender::to(&host, sent);
        let before = boot(&host);
        let mut rebuilt = false;
        scene.rebuild("statmill_volume", passing);
        wait_until(|| {
            if !host.alive() {
                return Ok(());
            }
            // It may die in the midst of an answer.
            let asked = ureq::get(format!("{}/api/_status", host.url)).call();
            let text = asked.and_then(|mut answer| answer.body_mut().read_to_string());
            let status: Value =
                text.ok().and_then(|it| serde_json::from_str(&it).ok()).unwrap_or_default();
            if !rebuilt && status["host"]["boot"].as_u64() > Some(before) {
                scene.rebuild("odd_plugin", passing);
                rebuilt = true;
            }
            Err(format!("swap:{passing} is not reached"))
        });
        died += 1;
        sent = sender.finish();
        host.wait();
    }
    println!("      swap died {died} times");

    let finish = |data: &str| {
        let host = scene.start(data, &[]).unwrap();
        for first in (FILE..sent + 10).step_by(10) {
            assert!(post(&host.url, first));
        }
        wait_level(&host, sent + 10);
        assert!(host.stop());
        scene.rows(data)
    };
    assert_same_rows(&finish("killed"), &finish("undisturbed"));
}
