//! A disk that is full or cannot be written: clear errors, nothing lost, and on it goes once there is room.
//!
//! Each test has a small file system of its own. Where none can be mounted it says so, and tests nothing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use statmill_tests::disk::Disk;
use statmill_tests::{
    Running, all_rows, assert_same_rows, failure, message, ndjson, output, plugins, start,
    wait_until, write,
};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");
const PLUGINS: [&str; 2] = ["statmill-volume", "statmill-activity"];

struct Scene {
    disk: Disk,
    /// Messages and plugins, on a disk with room.
    beside: TempDir,
    plugins: TempDir,
}

impl Scene {
    fn new(size: &str) -> Option<Self> {
        Self::on(Disk::mount(size))
    }

    fn on(disk: Option<Disk>) -> Option<Self> {
        let scene =
            Self { disk: disk?, beside: TempDir::new().unwrap(), plugins: plugins(&PLUGINS) };
        write(scene.beside.path(), "file.ndjson", "");
        // A small segment rolls, few rows are folded: all that writes meets the full disk.
        let config = "[journal]\nsegment_bytes = \"4KiB\"\n[store]\nfold_deltas = 20\n";
        write(scene.beside.path(), "statmill.toml", config);
        Some(scene)
    }

    fn data(&self) -> PathBuf {
        self.disk.path().join("data")
    }

    fn args(&self, data: &Path) -> Vec<String> {
        let path = |name: &str| self.beside.path().join(name).display().to_string();
        let file = format!("file:{}", path("file.ndjson"));
        let (data, plugins) =
            (data.display().to_string(), self.plugins.path().display().to_string());
        ["--config", &path("statmill.toml"), "--data", &data, "--plugins", &plugins]
            .into_iter()
            .chain(["--source", &file, "--source", "http:live"])
            .chain(["--checkpoint", "5ms", "--durable-every", "20ms"])
            .map(str::to_owned)
            .collect()
    }

    fn start(&self, data: &Path) -> Running {
        let args = self.args(data);
        start(PROGRAM, &args.iter().map(String::as_str).collect::<Vec<_>>(), &[]).unwrap()
    }

    fn append(&self, messages: std::ops::Range<u64>) {
        let path = self.beside.path().join("file.ndjson");
        let mut file = File::options().append(true).open(path).unwrap();
        file.write_all(ndjson(messages).as_bytes()).unwrap();
    }

    /// The rows of an undisturbed run over what `file` and `sent` hold.
    fn undisturbed(&self, sent: std::ops::Range<u64>, messages: u64) -> String {
        let data = self.beside.path().join("undisturbed");
        let host = self.start(&data);
        for first in sent.step_by(10) {
            assert_eq!(send(&host, first).0, 202);
        }
        wait_level(&host, messages);
        assert!(host.stop());
        all_rows(PROGRAM, &data)
    }
}

/// Sends ten messages; answers the status and what was said.
fn send(host: &Running, first: u64) -> (u16, String) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into();
    let mut answer = agent
        .post(format!("{}/ingest/live", host.url))
        .header("Content-Type", "application/x-ndjson")
        .header("Idempotency-Key", format!("chunk-{first}"))
        .send(ndjson(first..first + 10))
        .unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

fn wait_level(host: &Running, messages: u64) {
    wait_until(|| {
        let status = host.status();
        let is_level = |stat: &Value| {
            let positions = stat["positions"].as_object().unwrap().values();
            let folded: u64 = positions.map(|it| it["messages"].as_u64().unwrap()).sum();
            folded == messages && stat["state"] == "live"
        };
        match status["stats"].as_array().unwrap().iter().find(|stat| !is_level(stat)) {
            None => Ok(()),
            Some(stat) => Err(format!("{stat:#}")),
        }
    });
}

/// Waits until every stat says that nothing can be committed, and why; answers with the status.
fn wait_refused(host: &Running, why: &str) -> Value {
    wait_until(|| {
        let status = host.status();
        let says_so = |stat: &Value| {
            let reason = stat["reason"].as_str().unwrap_or_default();
            stat["state"] == "failed" && reason.contains(why) && reason.contains("by itself")
        };
        let all = status["stats"].as_array().unwrap().iter().all(says_so);
        if all { Ok(status) } else { Err(format!("{:#}", status["stats"])) }
    })
}

fn metrics(host: &Running) -> String {
    let answer = ureq::get(format!("{}/metrics", host.url)).call().unwrap();
    answer.into_body().read_to_string().unwrap()
}

#[test]
fn a_host_whose_disk_is_full_says_so_and_counts_everything_once_when_there_is_room() {
    let Some(scene) = Scene::new("40m") else { return };
    let mut host = scene.start(&scene.data());
    scene.append(10_000..11_000);
    for first in (0..500).step_by(10) {
        assert_eq!(send(&host, first).0, 202);
    }
    wait_level(&host, 1_500);

    let ballast = scene.disk.fill();
    scene.append(11_000..12_000);
    let mut next = 500;
    // What fits into the last page of a file is still taken.
    let (status, said) = loop {
        let (status, said) = send(&host, next);
        if status != 202 {
            break (status, said);
        }
        next += 10;
    };
    assert_eq!(status, 507, "{said}");
    assert!(said.contains("no room") && said.contains("free some"), "{said}");
    let told_by = wait_refused(&host, "No space left on device");
    assert!(host.alive());
    let rows = ureq::get(format!("{}/api/volume-1d", host.url)).call();
    assert_eq!(rows.unwrap().status(), 200, "what is committed is still answered");

    let status = host.status();
    assert!(status["host"]["refused"]["text"].as_str().unwrap().contains("No space left"));
    assert!(metrics(&host).contains("\nstatmill_store_refused_info 1\n"));

    std::fs::remove_file(ballast).unwrap();
    for first in (next..1_000).step_by(10) {
        assert_eq!(send(&host, first).0, 202);
    }
    scene.append(12_000..13_000);
    wait_level(&host, 4_000);
    let status = host.status();
    assert_eq!(status["host"]["refused"], Value::Null);
    assert!(status["host"]["boot"].as_u64() > told_by["host"]["boot"].as_u64(), "new versions");
    assert!(metrics(&host).contains("\nstatmill_store_refused_info 0\n"));
    assert!(host.stop());
    assert_same_rows(&all_rows(PROGRAM, &scene.data()), &scene.undisturbed(0..1_000, 4_000));
}

#[test]
fn a_disk_that_fills_up_again_and_again_is_gone_on_with_each_time() {
    let Some(scene) = Scene::new("40m") else { return };
    let host = scene.start(&scene.data());
    let mut next = 0;
    for round in 0..3 {
        scene.append(10_000 + round * 500..10_500 + round * 500);
        let ballast = scene.disk.fill();
        // Nothing comes in any more; what came is committed or not.
        while send(&host, next).0 == 202 {
            next += 10;
        }
        wait_refused(&host, "No space left on device");
        std::fs::remove_file(ballast).unwrap();
        let upto = next + 100;
        while next < upto {
            assert_eq!(send(&host, next).0, 202);
            next += 10;
        }
        wait_level(&host, next + (round + 1) * 500);
    }
    assert!(host.stop());
    let rows = all_rows(PROGRAM, &scene.data());
    assert_same_rows(&rows, &scene.undisturbed(0..next, next + 1_500));
}

#[test]
fn a_disk_that_refuses_writes_for_a_time_costs_no_message_and_no_restart() {
    let Some(scene) = Scene::on(Disk::mount_ext4()) else { return };
    let host = scene.start(&scene.data());
    scene.append(10_000..11_000);
    for first in (0..500).step_by(10) {
        assert_eq!(send(&host, first).0, 202);
    }
    wait_level(&host, 1_500);

    scene.disk.freeze("data", true);
    scene.append(11_000..12_000);
    let (status, said) = send(&host, 500);
    assert!(status >= 500, "{status} {said}");
    wait_refused(&host, "Operation not permitted");
    let rows = ureq::get(format!("{}/api/volume-1d", host.url)).call();
    assert_eq!(rows.unwrap().status(), 200, "what is committed is still answered");

    scene.disk.freeze("data", false);
    for first in (500..1_000).step_by(10) {
        assert_eq!(send(&host, first).0, 202);
    }
    wait_level(&host, 3_000);
    assert!(host.stop());
    let rows = all_rows(PROGRAM, &scene.data());
    assert_same_rows(&rows, &scene.undisturbed(0..1_000, 3_000));
}

#[test]
fn a_disk_that_turns_read_only_stops_counting_but_harms_nothing() {
    let Some(mut scene) = Scene::on(Disk::mount_ext4()) else { return };
    let mut host = scene.start(&scene.data());
    scene.append(10_000..11_000);
    wait_level(&host, 1_000);

    // As the system does when it finds an error on the disk.
    if !scene.disk.turn_read_only() {
        eprintln!("NOT TESTED: the kernel does not take an ext4 for broken when asked to");
        return;
    }
    scene.append(11_000..12_000);
    wait_refused(&host, "Read-only file system");
    assert!(host.alive());
    let rows = ureq::get(format!("{}/api/volume-1d", host.url)).call();
    assert_eq!(rows.unwrap().status(), 200, "what is committed is still answered");
    assert!(host.stop());

    scene.disk.mount_again();
    let host = scene.start(&scene.data());
    for first in (0..500).step_by(10) {
        assert_eq!(send(&host, first).0, 202);
    }
    wait_level(&host, 2_500);
    assert!(host.stop());
    assert_same_rows(&all_rows(PROGRAM, &scene.data()), &scene.undisturbed(0..500, 2_500));
}

#[test]
fn a_host_killed_on_a_full_disk_says_why_it_does_not_start_and_counts_everything_once_there_is_room()
 {
    let Some(scene) = Scene::new("40m") else { return };
    let host = scene.start(&scene.data());
    scene.append(10_000..11_000);
    for first in (0..200).step_by(10) {
        assert_eq!(send(&host, first).0, 202);
    }
    wait_level(&host, 1_200);
    let ballast = scene.disk.fill();
    scene.append(11_000..12_000);
    let mut next = 200;
    while send(&host, next).0 == 202 {
        next += 10;
    }
    host.kill();

    let args = scene.args(&scene.data());
    let args: Vec<_> =
        ["run", "--listen", "127.0.0.1:0"].into_iter().chain(args.iter().map(|it| &**it)).collect();
    let said = failure(PROGRAM, &args);
    assert!(said.contains("No space left on device"), "{said}");
    assert!(said.contains(scene.disk.path().to_str().unwrap()), "{said}");
    assert!(!said.contains("panicked"), "{said}");

    std::fs::remove_file(ballast).unwrap();
    let host = scene.start(&scene.data());
    for first in (next..300).step_by(10) {
        assert_eq!(send(&host, first).0, 202);
    }
    wait_level(&host, 2_300);
    assert!(host.stop());
    assert_same_rows(&all_rows(PROGRAM, &scene.data()), &scene.undisturbed(0..300, 2_300));
}

#[test]
fn a_disk_that_cannot_be_written_is_named_at_the_start_and_nothing_on_it_changes() {
    let Some(scene) = Scene::new("40m") else { return };
    write(scene.beside.path(), "file.ndjson", &(message(1) + "\n"));
    let host = scene.start(&scene.data());
    wait_level(&host, 1);
    assert!(host.stop());
    let before = all_rows(PROGRAM, &scene.data());
    scene.disk.remount("ro");
    for data in [scene.data(), scene.disk.path().join("new")] {
        let args = scene.args(&data);
        let args: Vec<_> =
            ["run", "--once"].into_iter().chain(args.iter().map(|it| &**it)).collect();
        let said = failure(PROGRAM, &args);
        assert!(said.contains("Read-only file system"), "{said}");
        assert!(said.contains(scene.disk.path().to_str().unwrap()), "{said}");
        assert!(!said.contains("panicked") && !said.contains("set aside"), "{said}");
    }
    scene.disk.remount("rw");
    let host = scene.start(&scene.data());
    wait_level(&host, 1);
    assert!(host.stop());
    assert_eq!(all_rows(PROGRAM, &scene.data()), before);
    let _ = output(PROGRAM, &["stats", "--data", scene.data().to_str().unwrap()]);
}
