//! Bad input of every kind gets its clear message, and never stops or swells a running host.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufWriter, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use statmill_tests::{Running, failure, message, ndjson, output, plugins, start, write};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");
const MEMORY_KIB: u64 = 200 << 10;

/// Starts a host on the file; its one stat counts messages per topic.
fn follow(folder: &Path, plugins: &TempDir, file: &str) -> Running {
    let source = format!("file:{}", folder.join(file).display());
    let (data, plugins) = (folder.join("data"), plugins.path().to_str().unwrap());
    let args = [
        "--data",
        data.to_str().unwrap(),
        "--plugins",
        plugins,
        "--source",
        &source,
        "--log",
        "warn",
    ];
    start(PROGRAM, &args, &[]).unwrap()
}

/// Waits until `messages` are folded; answers the stat's status.
fn wait_for(running: &Running, messages: u64) -> Value {
    let deadline = Instant::now() + Duration::from_secs(240);
    loop {
        let stat = running.status()["stats"][0].take();
        let folded = stat["messages"].as_u64().unwrap();
        assert!(folded <= messages, "{stat:#}");
        if folded == messages {
            return stat;
        }
        assert!(Instant::now() < deadline, "not level after four minutes: {stat:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The most memory the process ever had resident.
fn peak_kib(running: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_line_of_100_mb_is_refused_by_the_limit_in_bounded_memory() {
    let folder = TempDir::new().unwrap();
    let file = std::fs::File::create(folder.path().join("messages.ndjson")).unwrap();
    let mut out = BufWriter::new(file);
    out.write_all(ndjson(0..100).as_bytes()).unwrap();
    out.write_all(br#"{"topic":"a.b.c.d","timestamp":1500000000,"text":""#).unwrap();
    for _ in 0..100 {
        out.write_all(&vec![b'x'; 1 << 20]).unwrap();
    }
    out.write_all(b"\"}\n").unwrap();
    out.write_all(ndjson(100..200).as_bytes()).unwrap();
    out.into_inner().unwrap();

    let plugins = plugins(&["odd-plugin"]);
    let running = follow(folder.path(), &plugins, "messages.ndjson");
    let stat = wait_for(&running, 200);
    assert_eq!(stat["rejects"], serde_json::json!({"too_large": 1}));
    let peak = peak_kib(&running);
    println!("at most {peak} KiB were resident");
    assert!(peak < MEMORY_KIB, "{peak} KiB");
    assert!(running.stop());
}

#[test]
fn a_file_larger_than_the_memory_allowed_is_read_in_bounded_memory() {
    const LINES: u64 = 30_000;
    let folder = TempDir::new().unwrap();
    let padding = "x".repeat(10 << 10);
    let file = std::fs::File::create(folder.path().join("messages.ndjson")).unwrap();
    let mut out = BufWriter::new(file);
    for i in 0..LINES {
        let message = message(i);
        let open = message.strip_suffix('}').unwrap();
        writeln!(out, "{open},\"padding\":\"{padding}\"}}").unwrap();
    }
    out.into_inner().unwrap();

    let plugins = plugins(&["odd-plugin"]);
    let running = follow(folder.path(), &plugins, "messages.ndjson");
    wait_for(&running, LINES);
    let peak = peak_kib(&running);
    println!("at most {peak} KiB were resident");
    assert!(peak < MEMORY_KIB, "{peak} KiB");
    assert!(running.stop());
}

#[test]
fn bad_lines_of_a_file_are_counted_by_reason_and_the_others_are_folded() {
    let folder = TempDir::new().unwrap();
    let deep = format!(
        r#"{{"topic":"t","timestamp":1500000000,"a":{}{}}}"#,
        "[".repeat(5000),
        "]".repeat(5000)
    );
    let bad: [&[u8]; 12] = [
        br#"{"topic":"a.b","timestamp":15"#,
        b"not json",
        b"[1,2,3]",
        b"\xff\xfe\xfd",
        b"{}{}",
        deep.as_bytes(),
        br#"{"timestamp":1500000000}"#,
        br#"{"topic":7,"timestamp":1500000000}"#,
        b"{\"topic\":\"a\xff\",\"timestamp\":1500000000}",
        br#"{"topic":"a.b"}"#,
        br#"{"topic":"a.b","timestamp":"yesterday"}"#,
        br#"{"topic":"a.b","timestamp":1e300}"#,
    ];
    let mut text = ndjson(0..100).into_bytes();
    for (i, line) in (100..).zip(bad) {
        text.extend_from_slice(line);
        text.extend_from_slice(b"\n\r\n");
        text.extend_from_slice(ndjson([i]).as_bytes());
    }
    std::fs::write(folder.path().join("messages.ndjson"), text).unwrap();
    let plugins = plugins(&["odd-plugin"]);
    let running = follow(folder.path(), &plugins, "messages.ndjson");
    let stat = wait_for(&running, 112);
    let expected = serde_json::json!({"malformed": 5, "too_deep": 1, "no_topic": 3, "no_time": 3});
    assert_eq!(stat["rejects"], expected);
    assert_eq!(stat["state"], "live");
    assert!(running.stop());
}

/// Status and body of a POST, and whether the host is well after it.
fn post(running: &Running, path: &str, content_type: &str, body: &[u8]) -> (u16, String) {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = agent
        .post(format!("{}{path}", running.url))
        .header("Content-Type", content_type)
        .send(body)
        .unwrap();
    let said = answer.body_mut().read_to_string().unwrap();
    let health = ureq::get(format!("{}/healthz", running.url)).call().unwrap();
    assert_eq!(health.status(), 200, "after {said}");
    (answer.status().as_u16(), said)
}

/// What a sender hears who announces 40 MB and, as is wise, waits for leave to send them.
fn refusal_of_40_mb(running: &Running) -> String {
    let address = running.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let length = 40 << 20;
    write!(
        stream,
        "POST /ingest/live HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-ndjson\r\n\
         Content-Length: {length}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

#[test]
fn every_bad_message_over_http_gets_its_clear_answer_and_the_host_keeps_running() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let plugins = plugins(&["odd-plugin"]);
    let args = [
        "--data",
        data.to_str().unwrap(),
        "--plugins",
        plugins.path().to_str().unwrap(),
        "--source",
        "http:live",
        "--log",
        "warn",
    ];
    let running = start(PROGRAM, &args, &[]).unwrap();
    let deep = format!(
        r#"{{"topic":"t","timestamp":1,"a":{}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let large = format!(r#"{{"topic":"t","timestamp":1,"a":"{}"}}"#, "x".repeat(17 << 20));
    let (json, lines) = ("application/json", "application/x-ndjson");
    let good = message(1);
    let half = format!("{good}\n{{\"topic\":1}}\n");
    let cases: [(&str, &[u8], u16, &str); 13] = [
        (json, b"{\"topic\":\"t\",\"timest", 400, "well-formed JSON object"),
        (lines, b"{\"topic\":\"t\",\"timest", 400, "well-formed JSON object"),
        (lines, b"\xff\xfe\x00", 400, "well-formed JSON object"),
        (json, b"[1, 2]", 400, "well-formed JSON object"),
        ("text/plain", b"hello", 400, "well-formed JSON object"),
        (lines, deep.as_bytes(), 400, "nest no deeper than 128"),
        (lines, b"{\"timestamp\":1500000000}", 400, "a text at /topic"),
        (lines, b"{\"topic\":\"a\xff\",\"timestamp\":1}", 400, "a text at /topic"),
        (lines, b"{\"topic\":\"t\"}", 400, "/timestamp"),
        (lines, b"{\"topic\":\"t\",\"timestamp\":\"yesterday\"}", 400, "RFC 3339"),
        (lines, b"{\"topic\":\"t\",\"timestamp\":99999999999}", 400, "the sender's clock"),
        (lines, half.as_bytes(), 400, "document 2 "),
        (
            lines,
            large.as_bytes(),
            413,
            "document 1 is refused, and none was taken: it is too large",
        ),
    ];
    for (content_type, body, status, words) in cases {
        let (answered, said) = post(&running, "/ingest/live", content_type, body);
        assert_eq!(answered, status, "{said}");
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    let (status, said) = post(&running, "/ingest/other", json, good.as_bytes());
    assert_eq!(status, 404);
    assert!(said.contains("there is live"), "{said}");
    let (status, said) = post(&running, "/ingest/live?partial=1", lines, half.as_bytes());
    assert_eq!(status, 202);
    assert!(said.contains("\"accepted\":1") && said.contains("a text at /topic"), "{said}");
    let said = refusal_of_40_mb(&running);
    assert!(said.contains("413 Payload") && said.contains("send it in smaller parts"), "{said}");
    // Only that one of all these came in.
    let stat = wait_for(&running, 1);
    assert_eq!(stat["rejects"], serde_json::json!({}));
    assert!(running.stop());
}

#[test]
fn an_empty_file_gives_no_rows_and_no_error() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "empty.ndjson", "");
    let plugins = plugins(&["odd-plugin"]);
    let source = format!("file:{}", folder.path().join("empty.ndjson").display());
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let plugins = plugins.path().to_str().unwrap();
    let run = ["run", "--once", "--data", data, "--plugins", plugins, "--source", &source];
    let _ = output(PROGRAM, &run);
    assert_eq!(output(PROGRAM, &["show", "odd", "--data", data, "--format", "json"]).trim(), "[]");
    let said = failure(PROGRAM, &["show", "even", "--data", data]);
    assert!(said.contains("no stat \"even\"") && said.contains("there are: odd"), "{said}");
}

#[test]
fn wrong_usage_fails_with_a_message_that_names_what_would_be_right() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    write(folder.path(), "good.ndjson", &ndjson(0..10));
    write(folder.path(), "statmill.toml", "chekpoint = \"1s\"\n");
    let (data, file) = (path("data"), format!("file:{}", path("good.ndjson")));
    let (absent, directory) = (format!("file:{}", path("absent")), format!("file:{}", path("")));
    let (unknown, config) = (format!("{file}?mapp=auto"), path("statmill.toml"));
    let cases: [(&[&str], &str); 14] = [
        (&["--source", &directory], "it is a directory; name an NDJSON file"),
        (&["--source", &absent], "there is no such file"),
        (&["--source", "ftp://host/x"], "--source: \"ftp://host/x\": there is no scheme"),
        (&["--source", "plain-path"], "a file is named `file:plain-path`"),
        (&["--source", "zmq+tcp://host"], "no publisher: write `host:port`"),
        (&["--source", "http:live"], "has no end"),
        (&["--source", &unknown], "no option \"mapp\", only map"),
        (&["--source", &format!("{file}?map=mine")], "there is no mapping \"mine\", only auto"),
        (&["--source", &file, "--checkpoint", "1ms"], "--checkpoint: the shortest is 5ms"),
        (&["--source", &file, "--checkpoint", "soon"], "a number and a unit, such as 5ms"),
        (&["--source", &file, "--listen", "0.0.0.0:0"], "there are no tokens: set"),
        (
            &["--source", &file, "--listen", "here"],
            "--listen: \"here\" is no address: write an IP address and a port",
        ),
        (&["--source", &file, "--config", &config], "did you mean \"checkpoint\"?"),
        (&["--sauce", &file], "--source"),
    ];
    for (args, words) in cases {
        let all = [&["run", "--once", "--data", &data], args].concat();
        let said = failure(PROGRAM, &all);
        assert!(said.contains(words), "{args:?}: {words:?} is not in\n{said}");
    }
    let said = failure(PROGRAM, &["show", "odd", "--data", &path("nowhere")]);
    assert!(said.contains("name the data folder of a host that has run"), "{said}");
    assert!(!Path::new(&path("nowhere")).exists(), "asking made a data folder");
}

#[test]
fn a_missing_plugins_folder_is_named_and_the_host_runs_without_it() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    write(folder.path(), "good.ndjson", &ndjson(0..10));
    let source = format!("file:{}", path("good.ndjson"));
    let out = Command::new(PROGRAM)
        .args(["run", "--once", "--data", &path("data"), "--source", &source])
        .args(["--plugins", &path("no-plugins-here")])
        .output()
        .unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.success(), "{said}");
    let line = said.lines().find(|line| line.contains("no-plugins-here")).unwrap();
    assert!(line.contains("ERROR") && line.contains("cannot read"), "{line}");
}

#[test]
fn a_second_host_on_the_same_folder_is_refused_and_told_the_process() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "good.ndjson", &ndjson(0..10));
    let plugins = plugins(&["odd-plugin"]);
    let running = follow(folder.path(), &plugins, "good.ndjson");
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let process = format!("in use by process {};", running.pid());
    for command in [&["run", "--listen", "127.0.0.1:0"][..], &["stats"], &["show", "odd"]] {
        let said = failure(PROGRAM, &[command, &["--data", data]].concat());
        assert!(said.contains(&process), "{command:?}: {said}");
    }
    wait_for(&running, 10);
    let shown = output(PROGRAM, &["show", "odd", "--url", &running.url, "--format", "csv"]);
    assert!(shown.starts_with("count,topic\n"), "{shown}");
    assert!(running.stop());
}

#[test]
fn a_file_of_which_a_part_is_lost_fails_a_run_to_its_end_unless_that_is_accepted() {
    let folder = TempDir::new().unwrap();
    let packed = folder.path().join("messages.ndjson.gz");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(ndjson(0..2000).as_bytes()).unwrap();
    let whole = gzip.finish().unwrap();
    std::fs::write(&packed, &whole[..whole.len() / 2]).unwrap();
    let (plugins, data) = (plugins(&["odd-plugin"]), folder.path().join("data"));
    let (data, source) = (data.to_str().unwrap(), format!("file:{}", packed.display()));
    let plugins = plugins.path().to_str().unwrap();
    let run = ["run", "--once", "--data", data, "--plugins", plugins, "--source", &source];
    for _ in 0..2 {
        let said = failure(PROGRAM, &run);
        assert!(said.contains("parts are lost") && said.contains("end early"), "{said}");
    }
    let _ = output(PROGRAM, &[&run[..], &["--accept-loss"]].concat());
    let rows = output(PROGRAM, &["show", "odd", "--data", data, "--format", "csv"]);
    let counted: u64 = rows
        .lines()
        .skip(1)
        .map(|row| row.split(',').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert!((100..2000).contains(&counted), "{rows}");
}
