//! The API is what it says it is: its description is valid, and whatever is asked by it, or beside it, is
//! answered as described. Needs `tests/servers/install.sh`.
#![cfg(feature = "real-servers")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::Command;

use statmill_tests::{Running, ndjson, plugins, start, wait_until, write};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");
const MESSAGES: u64 = 300;
/// Streams have no end, and have tests of their own; of statistics that differ in the length of their
/// windows or in names alone one is enough.
const LEFT_OUT: &str = "/events$|^/api/(activity-(elapsed|latest|packages|volume)|recent|\
                        volume-[0-9]+[smhd]|volume-by-(category|package|user)-.*|\
                        volume-by-topic-([0-9]+s|1m|1h))(/.*)?$";

fn installed(program: &str) -> PathBuf {
    let servers = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/servers");
    let path = PathBuf::from(servers).join("schemathesis/bin").join(program);
    assert!(path.exists(), "{} is not there: run tests/servers/install.sh", path.display());
    path
}

/// A host with all plugins and some rows in each of their statistics.
fn host(folder: &TempDir, plugins: &TempDir) -> Running {
    let data = folder.path().join("data");
    let args = ["--data", data.to_str().unwrap(), "--source", "http:live", "--log", "error"];
    let more = ["--plugins", plugins.path().to_str().unwrap(), "--checkpoint", "5ms"];
    let host = start(PROGRAM, &[&args[..], &more].concat(), &[]).unwrap();
    let url = format!("{}/ingest/live", host.url);
    ureq::post(url).send(ndjson(0..MESSAGES).as_bytes()).unwrap();
    wait_until(|| {
        let status = host.status();
        let stats = status["stats"].as_array().unwrap().clone();
        let is_level = stats.iter().all(|stat| stat["lag_messages"] == 0);
        if is_level { Ok(()) } else { Err(status.to_string()) }
    });
    host
}

#[test]
fn the_description_is_valid_and_every_answer_is_as_described() {
    let folder = TempDir::new().unwrap();
    let plugins = plugins(&["statmill-volume", "statmill-activity", "every-aggregator"]);
    let mut host = host(&folder, &plugins);
    let url = format!("{}/api/openapi.json", host.url);
    let document = ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap();
    let document = write(folder.path(), "openapi.json", &document);

    let valid = Command::new(installed("openapi-spec-validator")).arg(&document).output().unwrap();
    assert!(valid.status.success(), "{}", String::from_utf8_lossy(&valid.stdout));

    let asked = Command::new(installed("schemathesis"))
        .current_dir(folder.path())
        .args(["run", document.to_str().unwrap(), "--url", &host.url, "--no-color"])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "5", "--seed", "7"])
        .args(["--exclude-path-regex", LEFT_OUT])
        // What is right in itself may be wrong together: `sort` with `order`, a page beyond the last.
        .args(["--checks", "all", "--exclude-checks", "positive_data_acceptance"])
        .args(["--continue-on-failure", "--max-redirects", "0", "--warnings", "off"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&asked.stdout);
    let alive = host.alive();
    assert!(asked.status.success() && alive, "{said}\n{}", String::from_utf8_lossy(&asked.stderr));
    println!("{said}");
}
