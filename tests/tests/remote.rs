//! The commands that ask a running host: what they give is what the data folder gives at rest.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use statmill_tests::{Running, failure, ndjson, output, plugins, start, wait_until, write};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");

/// A host that takes messages over HTTP.
struct Scene {
    folder: TempDir,
    _plugins: TempDir,
    host: Running,
}

impl Scene {
    fn new(crates: &[&str], env: &[(&str, &str)]) -> Self {
        let (folder, plugins) = (TempDir::new().unwrap(), plugins(crates));
        let data = folder.path().join("data");
        let args = ["--data", data.to_str().unwrap(), "--source", "http:live", "--log", "warn"];
        let more = ["--plugins", plugins.path().to_str().unwrap(), "--checkpoint", "5ms"];
        let host = start(PROGRAM, &[&args[..], &more].concat(), env).unwrap();
        Self { folder, _plugins: plugins, host }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn send(&self, messages: std::ops::Range<u64>) {
        let url = format!("{}/ingest/live", self.host.url);
        ureq::post(url).send(ndjson(messages).as_bytes()).unwrap();
    }

    /// Waits until every stat has folded `messages`.
    fn wait_for(&self, messages: u64) {
        let level = |stat: &Value| stat["messages"].as_u64() == Some(messages);
        wait_until(|| {
            let status = self.host.status();
            let all = status["stats"].as_array().unwrap().iter().all(level);
            if all { Ok(()) } else { Err(status.to_string()) }
        });
    }

    /// The rows of an export, after an import into a fresh folder.
    fn rows_after_import(&self, export: &str, name: &str) -> String {
        let (file, data) = (self.text(&format!("{name}.jsonl")), self.text(name));
        write(self.folder.path(), &format!("{name}.jsonl"), export);
        let base = "--as-base=2100-01-01T00:00:00Z";
        let _ = output(PROGRAM, &["import", &file, "--data", &data, base]);
        rows(&output(PROGRAM, &["export", "--data", &data]))
    }
}

/// The lines of an export that are rows.
fn rows(export: &str) -> String {
    export
        .lines()
        .filter(|line| line.contains("\"value\""))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// For each stat of `volume` the messages its position stands for and those its rows hold.
fn messages(export: &str) -> Vec<(String, u64, u64)> {
    let mut stats: Vec<(String, u64, u64)> = Vec::new();
    for line in export.lines().skip(1) {
        let line: Value = serde_json::from_str(line).unwrap();
        match line["record"]["messages"].as_u64() {
            Some(folded) => stats.push((line["stat"].as_str().unwrap().to_owned(), folded, 0)),
            None => stats.last_mut().unwrap().2 += line["cells"]["volume"].as_u64().unwrap(),
        }
    }
    stats.retain(|(ident, ..)| !ident.contains("-by-"));
    stats
}

#[test]
fn an_export_taken_while_messages_are_folded_holds_rows_and_positions_of_one_commit() {
    let scene = Scene::new(&["statmill-volume"], &[]);
    let export = || output(PROGRAM, &["export", "--url", &scene.host.url]);
    let (sent, done) = (6_000, AtomicBool::new(false));
    let exports = std::thread::scope(|scope| {
        scope.spawn(|| {
            for from in (0..sent).step_by(20) {
                scene.send(from..from + 20);
            }
            done.store(true, Ordering::Release);
        });
        let mut exports = Vec::new();
        while !done.load(Ordering::Acquire) {
            exports.push(export());
        }
        exports
    });
    let mut between = 0;
    for (number, text) in exports.iter().enumerate() {
        let stats = messages(text);
        assert_eq!(stats.len(), 6);
        for (ident, folded, held) in &stats {
            assert_eq!(held, folded, "{ident} in export {number}");
        }
        between += stats.iter().filter(|(_, folded, _)| (1..sent).contains(folded)).count();
        if number % 8 == 0 {
            assert_eq!(scene.rows_after_import(text, &format!("copy-{number}")), rows(text));
        }
    }
    assert!(between > 0, "no export was taken while messages were folded");

    scene.wait_for(sent);
    let (running, names) = (export(), ["volume-1d", "volume-by-user-1s"]);
    let some = output(PROGRAM, &[&["export", "--url", &scene.host.url][..], &names].concat());
    assert_eq!(some.lines().filter(|line| line.contains("\"manifest\"")).count(), 2);
    let data = scene.text("data");
    assert!(scene.host.stop());
    let at_rest = output(PROGRAM, &["export", "--data", &data]);
    assert_eq!(rows(&running), rows(&at_rest));
    assert_eq!(messages(&running), messages(&at_rest));
}

type Env<'a> = &'a [(&'a str, &'a str)];

fn run(args: &[&str], env: Env<'_>) -> Output {
    Command::new(PROGRAM).args(args).envs(env.iter().copied()).output().unwrap()
}

#[test]
fn an_export_needs_the_admin_token_and_no_token_is_ever_printed() {
    const ADMIN: &str = "an-admin-s-secret";
    const QUERY: &str = "a-reader-s-secret";
    let tokens = [("STATMILL_TOKENS__ADMIN", ADMIN), ("STATMILL_TOKENS__QUERY", QUERY)];
    let scene = Scene::new(&["odd-plugin"], &tokens);
    let config = scene.text("client.toml");
    write(scene.folder.path(), "client.toml", &format!("[tokens]\nadmin = \"{ADMIN}\"\n"));
    let url = scene.host.url.as_str();
    let export = ["--log", "trace", "export", "--url", url];
    let stats = ["--log", "trace", "stats", "--url", url];
    let cases: [(&[&str], &[&str], Env<'_>, bool); 9] = [
        (&export, &[], &[], false),
        (&export, &[], &tokens[1..], false),
        (&export, &["--token", QUERY], &tokens, false),
        (&export, &[], &tokens, true),
        (&export, &["--config", &config], &[], true),
        (&export, &[], &[("STATMILL_TOKEN", ADMIN)], true),
        (&stats, &[], &[], false),
        (&stats, &[], &tokens[1..], true),
        (&stats, &["--config", &config], &[], true),
    ];
    for (command, args, env, good) in cases {
        let out = run(&[command, args].concat(), env);
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.success(), good, "{command:?} {args:?} {env:?}: {said}");
        assert!(good || said.contains("answered 401"), "{said}");
        assert!(!said.contains("secret"), "{command:?} {args:?} {env:?}: {said}");
    }
}

#[test]
fn a_file_of_an_export_that_failed_is_left_as_it_was() {
    let scene = Scene::new(&["odd-plugin"], &[]);
    scene.send(0..10);
    let out = scene.text("out.jsonl");
    let url = scene.host.url.clone();
    let _ = output(PROGRAM, &["export", "--url", &url, "--out", &out]);
    let before = std::fs::read_to_string(&out).unwrap();
    let said = failure(PROGRAM, &["export", "od", "--url", &url, "--out", &out]);
    assert!(said.contains("did you mean odd?"), "{said}");
    scene.host.kill();
    let said = failure(PROGRAM, &["export", "--url", &url, "--out", &out]);
    assert!(said.contains(&url) && said.contains("is the host running there?"), "{said}");
    assert_eq!(std::fs::read_to_string(&out).unwrap(), before);
    let names = std::fs::read_dir(scene.folder.path()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_str().unwrap().starts_with('.')), "{names:?}");
}

/// Speaks TLS for a host that does not; answers its address.
fn tls_front(host: &str, folder: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    write(folder, "trusted.pem", &made.cert.pem());
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("localhost:0").unwrap();
    let address = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let host = host.trim_start_matches("http://").to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            // A client that does not trust the certificate leaves.
            let _ = pass_on(StreamOwned::new(connection, client.unwrap()), &host);
        }
    });
    address
}

/// Passes one request and its answer on.
fn pass_on(
    mut client: StreamOwned<ServerConnection, TcpStream>,
    host: &str,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    request.truncate(request.len() - 2);
    request.extend_from_slice(b"Connection: close\r\n\r\n");
    let mut host = TcpStream::connect(host)?;
    host.write_all(&request)?;
    std::io::copy(&mut host, &mut client)?;
    client.conn.send_close_notify();
    client.flush()
}

#[test]
fn a_host_behind_tls_is_asked_if_its_certificate_is_trusted() {
    let scene = Scene::new(&["odd-plugin"], &[]);
    scene.send(0..50);
    scene.wait_for(50);
    let url = tls_front(&scene.host.url, scene.folder.path());
    let trusted = scene.text("trusted.pem");
    let trust = [("SSL_CERT_FILE", trusted.as_str())];
    let show = |url: &str, env: Env<'_>| {
        let out = run(&["show", "odd", "--url", url, "--format", "csv"], env);
        (out.stdout, String::from_utf8(out.stderr).unwrap())
    };
    let plain = show(&scene.host.url, &[]);
    assert!(plain.0.starts_with(b"count,topic\n"), "{plain:?}");
    assert_eq!(show(&url, &trust), plain);
    let export = |url: &str| {
        rows(&String::from_utf8(run(&["export", "--url", url], &trust).stdout).unwrap())
    };
    assert!(export(&url).lines().count() >= 3);
    assert_eq!(export(&url), export(&scene.host.url));

    let (_, said) = show(&url, &[]);
    assert!(said.contains("certificate") && said.contains("SSL_CERT_FILE"), "{said}");
    let (_, said) = show(&scene.host.url.replace("http:", "https:"), &trust);
    assert!(said.contains("a host without TLS is asked with http://"), "{said}");
    let (_, said) = show(&url.replace("https:", "http:"), &trust);
    assert!(said.contains("a host behind TLS is asked with https://"), "{said}");
}

#[test]
fn no_host_where_one_is_asked_is_told_with_address_and_remedy() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for command in [&["stats"][..], &["show", "odd"], &["export"]] {
        let said = failure(PROGRAM, &[command, &["--url", &format!("http://{free}")]].concat());
        assert!(said.contains(&free.to_string()) && said.contains("refused"), "{said}");
        assert!(said.contains("is the host running there?"), "{said}");
    }
}
