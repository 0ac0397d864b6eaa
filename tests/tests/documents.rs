//! Journals as stores of documents: every message can be had back byte for byte.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;
use std::process::Command;

use serde_json::Value;
use statmill_tests::{Running, plugins, start, wait_until, write};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");

/// Status, content type and body of a GET.
fn get(host: &Running, path: &str) -> (u16, String, Vec<u8>) {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = agent.get(format!("{}{path}", host.url)).call().unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (answer.status().as_u16(), kind, answer.body_mut().read_to_vec().unwrap())
}

fn detail(host: &Running, path: &str) -> (u16, String) {
    let (status, kind, body) = get(host, path);
    assert_eq!(kind, "application/problem+json");
    let problem: Value = serde_json::from_slice(&body).unwrap();
    (status, problem["detail"].as_str().unwrap().to_owned())
}

#[test]
fn a_message_is_answered_byte_for_byte_by_log_and_offset() {
    let folder = TempDir::new().unwrap();
    let (data, plugins) = (folder.path().join("data"), plugins(&["odd-plugin"]));
    let lines =
        "{ \"topic\":\"f\",\"time\": 1.50e0 }\r\n\n no json\n{\"topic\":\"g\",\"time\":2}\n";
    let file = write(folder.path(), "in place.ndjson", lines);
    let name = format!("file:{}", file.display());
    let args = ["--data", data.to_str().unwrap(), "--plugins", plugins.path().to_str().unwrap()];
    let more = ["--source", "http:live", "--source", &name, "--log", "warn"];
    let host = start(PROGRAM, &[&args[..], &more].concat(), &[]).unwrap();
    let documents = [
        "{ \"topic\" :\"a\", \"time\":1, \"n\": 1.0e+2, \"s\":\"\\u00e9 é\" }",
        "{\n  \"time\": 1500000000.000001,\n\t\"topic\": \"b\", \"x\": 1, \"x\": 2\n}",
    ];
    for document in documents {
        ureq::post(format!("{}/ingest/live", host.url)).send(document).unwrap();
    }
    let status = host.status();
    let id = |name: &str| {
        let logs = status["logs"].as_array().unwrap().iter();
        let log = logs.clone().find(|log| log["name"] == name).unwrap();
        log["id"].as_str().unwrap().to_owned()
    };
    for (offset, document) in (0..).zip(documents) {
        for log in ["http:live", "http%3Alive", &id("http:live")] {
            let (status, kind, body) = get(&host, &format!("/api/_messages/{log}/{offset}"));
            assert_eq!((status, kind.as_str()), (200, "application/json"), "{log} {offset}");
            assert_eq!(body, document.as_bytes());
        }
    }
    let of_file = |offset: u64| format!("/api/_messages/{}/{offset}", id(&name));
    for (offset, kind, text) in [
        (0, "application/json", lines[..30].to_owned()),
        (33, "application/octet-stream", " no json".to_owned()),
        (42, "application/json", lines[42..].trim_end().to_owned()),
    ] {
        let expected = (200, kind.to_owned(), text.into_bytes());
        assert_eq!(get(&host, &of_file(offset)), expected, "{offset}");
    }
    for offset in [1, 30, 31, 32, 34, 41, 43] {
        let (status, said) = detail(&host, &of_file(offset));
        assert!(status == 404 && said.contains("begins at offset"), "{offset}: {said}");
    }
    let cases = [
        (of_file(lines.len() as u64), 404, "ends before offset"),
        ("/api/_messages/http:live/2".to_owned(), 404, "ends before offset 2"),
        ("/api/_messages/http:live/99999999999999999999".to_owned(), 400, "offset"),
        ("/api/_messages/http:live/-1".to_owned(), 400, "offset"),
        ("/api/_messages/http:life/0".to_owned(), 404, "did you mean http:live?"),
    ];
    for (path, status, words) in cases {
        let (answered, said) = detail(&host, &path);
        assert!(answered == status && said.contains(words), "{path}: {answered} {said}");
    }
    assert!(host.stop());
}

/// A message of 50 kB that cannot be packed.
fn large(i: u64) -> String {
    let mut text = format!("{{\"topic\":\"t\",\"time\":{i},\"x\":\"");
    let mut random = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for _ in 0..3_125 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        write!(text, "{random:016x}").unwrap();
    }
    text + "\"}"
}

#[test]
fn a_message_that_is_no_longer_kept_is_told_as_such_and_a_journal_kept_for_ever_has_it() {
    let (folder, plugins) = (TempDir::new().unwrap(), plugins(&["odd-plugin"]));
    let data = folder.path().join("data");
    let config = "[journal]\nmax_age = \"1ms\"\nsegment_bytes = \"64KiB\"\n\
                  [sources.short]\nurl = \"http:short\"\n\
                  [sources.long]\nurl = \"http:long\"\nkeep = \"forever\"\n";
    let config = write(folder.path(), "statmill.toml", config);
    let args = ["--config", config.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let more = ["--plugins", plugins.path().to_str().unwrap(), "--durable-every", "5ms"];
    let host = start(PROGRAM, &[args, more].concat(), &[]).unwrap();
    for i in 0..8 {
        for source in ["short", "long"] {
            let url = format!("{}/ingest/{source}", host.url);
            ureq::post(url).send(large(i).as_bytes()).unwrap();
        }
    }
    let oldest = "/api/_messages/http:short/0";
    let (status, said) = wait_until(|| match get(&host, oldest).0 {
        200 => Err("it is still kept".to_owned()),
        _ => Ok(detail(&host, oldest)),
    });
    assert!(status == 404 && said.contains("no longer kept, the oldest is"), "{said}");
    for i in 0..8 {
        let (status, _, body) = get(&host, &format!("/api/_messages/http:long/{i}"));
        assert_eq!((status, body), (200, large(i).into_bytes()));
    }
    assert!(host.stop());
}

#[test]
fn check_config_says_which_limit_keeps_less_than_the_models_need() {
    let (folder, plugins) = (TempDir::new().unwrap(), plugins(&["statmill-volume"]));
    let said = |text: &str| {
        let config = write(folder.path(), "statmill.toml", text);
        let out = Command::new(PROGRAM)
            .args(["--log", "warn", "check-config", "--config", config.to_str().unwrap()])
            .args(["--plugins", plugins.path().to_str().unwrap()])
            .output()
            .unwrap();
        assert!(out.status.success());
        String::from_utf8(out.stderr).unwrap()
    };
    let source = "[sources.a]\nurl = \"http:a\"\n";
    assert_eq!(said(source), "");
    let short = said(&format!("[journal]\nmax_age = \"1d\"\n{source}"));
    assert!(short.contains("statmill.toml:2: journal.max_age = \"1d\""), "{short}");
    assert!(short.contains("http:a") && short.contains("kept for ever"), "{short}");
    let kept = format!("[journal]\nmax_age = \"1d\"\n{source}keep = \"forever\"\n");
    assert_eq!(said(&kept), "");
    let small = said(&format!("[journal]\nmax_bytes = \"1GiB\"\n{source}keep = \"forever\"\n"));
    assert!(
        small.contains("journal.max_bytes") && small.contains("to be kept for ever"),
        "{small}"
    );
    let file = "[sources.a]\nurl = \"file:a\"\nkeep = \"forever\"\n";
    let config = write(folder.path(), "statmill.toml", file);
    let refused =
        statmill_tests::failure(PROGRAM, &["check-config", "--config", config.to_str().unwrap()]);
    assert!(refused.contains("has no option \"keep\""), "{refused}");
}
