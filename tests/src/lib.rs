//! What the whole-system tests share: plugin folders, messages, and the real program as a process.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "real-servers")]
pub mod archive;
#[cfg(feature = "real-servers")]
pub mod browser;
pub mod disk;
pub mod evil;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with copies of the libraries of these crates, as a user's plugins folder.
#[must_use]
pub fn plugins(crates: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for name in crates {
        drop_in(folder.path(), name);
    }
    folder
}

/// Copies the library of the crate `name` into a plugins folder.
pub fn drop_in(folder: &Path, name: &str) {
    let file = statmill::loader::library_beside_program(name).unwrap();
    std::fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
}

/// A path below the folder of shared data; says so when it is not there, and the test then passes
/// without having tested anything.
#[must_use]
pub fn shared(path: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(path);
    if found.exists() {
        return Some(found);
    }
    eprintln!("NOT TESTED: ../shared/{path} is not there");
    None
}

/// Message number `i` of a stream: ten seconds apart, five topics, seven users, every field any shipped stat reads.
#[must_use]
pub fn message(i: u64) -> String {
    const APPS: [&str; 5] = ["bodhi", "git", "copr", "pagure", "wiki"];
    let time = 1_500_000_000.25 + i as f64 * 10.0;
    let app = APPS[(i * i % 5) as usize];
    let package = i % 11;
    let user = match i * 7919 % 7 {
        0 => "null".to_owned(),
        user => format!("\"user-{user}\""),
    };
    format!(
        r#"{{"msg_id":"m-{i}","topic":"org.fedoraproject.prod.{app}.event","timestamp":{time},"username":{user},"msg":{{"agent":{user},"name":"pkg-{package}","package":{{"name":"pkg-{package}"}},"timing":{{"elapsed_ms":{}}}}}}}"#,
        i * 37 % 5000,
    )
}

/// Messages as NDJSON.
#[must_use]
pub fn ndjson(messages: impl IntoIterator<Item = u64>) -> String {
    messages.into_iter().fold(String::new(), |text, i| text + &message(i) + "\n")
}

/// A running `statmill run` with its address. Killed when dropped.
pub struct Running {
    child: Child,
    /// `http://127.0.0.1:port`.
    pub url: String,
}

/// Starts `program run` with `args` and an address of its own, and waits until it serves.
/// `None` if it ended before that (a fault point may lie there).
#[must_use]
pub fn start(program: &str, args: &[&str], env: &[(&str, &str)]) -> Option<Running> {
    let mut child = Command::new(program)
        .arg("run")
        .args(args)
        .args(["--listen", "127.0.0.1:0"])
        .envs(env.iter().copied())
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while let Some(Ok(line)) = lines.next() {
        if let Some(at) = line.find("http://") {
            // Read on to the end, so that the child never blocks on a full pipe.
            std::thread::spawn(move || lines.for_each(drop));
            return Some(Running { child, url: line[at..].trim().to_owned() });
        }
    }
    child.wait().unwrap();
    None
}

impl Running {
    /// Ends it as a power cut would: no handler runs.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and answers whether it ended well.
    #[must_use]
    pub fn stop(mut self) -> bool {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().success()
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) {
        self.child.wait().unwrap();
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its status, as `/api/_status` tells it.
    #[must_use]
    pub fn status(&self) -> Value {
        let url = format!("{}/api/_status", self.url);
        let text = ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Whether it still runs.
    #[must_use]
    pub fn alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Process ids of the workers of a host.
#[must_use]
pub fn workers(host: u32) -> Vec<u32> {
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

/// Whether a process runs.
#[must_use]
pub fn is_alive(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// Ends a process as the system does when it is out of memory.
pub fn kill(process: u32) {
    let _ = Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap();
}

/// Looks again every few milliseconds until `look` finds what is waited for. Panics after five minutes, with
/// what it found instead.
pub fn wait_until<T>(mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        match look() {
            Ok(found) => return found,
            Err(instead) => assert!(Instant::now() < deadline, "after five minutes: {instead}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a command printed. Panics, with what it said, if it failed.
#[must_use]
pub fn output(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{program} {args:?} failed:\n{said}");
    String::from_utf8(out.stdout).unwrap()
}

/// What a command that must fail said on standard error.
#[must_use]
pub fn failure(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).output().unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(!out.status.success(), "{program} {args:?} did not fail, it said:\n{said}");
    said
}

/// All rows of all stats of a data folder at rest: what two runs are compared by.
#[must_use]
pub fn all_rows(program: &str, data: &Path) -> String {
    let data = data.to_str().unwrap();
    let stats: Value =
        serde_json::from_str(&output(program, &["stats", "--data", data, "--format", "json"]))
            .unwrap();
    let mut text = String::new();
    for stat in stats.as_array().unwrap() {
        let ident = stat["ident"].as_str().unwrap();
        let rows = output(program, &["show", ident, "--data", data, "--format", "csv"]);
        text.push_str(&format!("== {ident}\n{rows}"));
    }
    text
}

/// Panics with the first lines that differ if two texts of [`all_rows`] are not the same.
pub fn assert_same_rows(found: &str, expected: &str) {
    let differing: Vec<_> = found.lines().zip(expected.lines()).filter(|(a, b)| a != b).collect();
    let (rows, wanted) = (found.lines().count(), expected.lines().count());
    assert!(
        differing.is_empty() && rows == wanted,
        "{rows} rows instead of {wanted}, {} lines differ; the first (found, expected): {:#?}",
        differing.len(),
        differing.iter().take(5).collect::<Vec<_>>(),
    );
}

/// Writes `text` to a new file in `folder`.
pub fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    path
}
