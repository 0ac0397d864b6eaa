//! Files in a plugins folder that are no plugins, broken ones, or not to be trusted: the host lives and
//! counts on with the others.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use statmill::loader::{self, LoadOptions, library_beside_program};
use statmill_tests::{drop_in, ndjson, output, plugins, write};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");

/// Counts 1000 messages with the plugins of a folder.
fn run(folder: &Path, plugins: &Path, more: &[&str], env: &[(&str, &str)]) -> Output {
    let messages = write(folder, "messages.ndjson", &ndjson(0..1000));
    let source = format!("file:{}", messages.display());
    let data = folder.join("data");
    let (data, plugins) = (data.to_str().unwrap(), plugins.to_str().unwrap());
    let args = ["run", "--once", "--source", &source, "--data", data, "--plugins", plugins];
    Command::new(PROGRAM).args(args).args(more).envs(env.iter().copied()).output().unwrap()
}

/// What it said, if it ended well and counted every message.
fn counted(folder: &Path, plugins: &Path, more: &[&str]) -> String {
    let out = run(folder, plugins, more, &[]);
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.success(), "{said}");
    let data = folder.join("data");
    let show = ["show", "volume-1d", "--data", data.to_str().unwrap(), "--format", "json"];
    let rows: Value = serde_json::from_str(&output(PROGRAM, &show)).unwrap();
    let all: u64 = rows.as_array().unwrap().iter().map(|row| row["volume"].as_u64().unwrap()).sum();
    assert_eq!(all, 1000);
    said
}

/// A small library to damage: the symbols and the debug information of a real one are taken off.
fn stripped(name: &str) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    let small = folder.path().join("small.so");
    let whole = library_beside_program(name).unwrap();
    let done = Command::new("strip").arg("-o").args([&small, &whole]).status().unwrap();
    assert!(done.success());
    std::fs::read(small).unwrap()
}

/// A library made of C.
fn compiled(folder: &Path, name: &str, text: &str) -> PathBuf {
    let source = write(folder, "source.c", text);
    let library = folder.join(name);
    let done =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
    assert!(done.unwrap().success());
    library
}

#[test]
fn damaged_libraries_never_stop_the_host() {
    let (folder, plugins) = (TempDir::new().unwrap(), plugins(&["statmill-volume"]));
    let sound = stripped("odd-plugin");
    // The first by name: what passes its dry run though it is damaged finds its stats taken.
    std::fs::write(plugins.path().join("a-sound.so"), &sound).unwrap();
    for percent in 0..100 {
        let part = &sound[..sound.len() * percent / 100];
        std::fs::write(plugins.path().join(format!("truncated-{percent:02}.so")), part).unwrap();
    }
    // A thousand flipped bits; the same ones every time.
    let mut state = 1u64;
    let mut random = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for number in 0..40 {
        let mut damaged = sound.clone();
        for _ in 0..25 {
            damaged[64 + random(sound.len() - 64)] ^= 1 << random(8);
        }
        std::fs::write(plugins.path().join(format!("flipped-{number:02}.so")), damaged).unwrap();
    }
    let said = counted(folder.path(), plugins.path(), &[]);
    let left_out = said.lines().filter(|line| line.contains("plugin left out")).count();
    assert!(left_out >= 100 + 30, "{left_out} are left out: {said}");
}

#[test]
fn what_is_no_library_never_stops_the_host() {
    let (folder, plugins) = (TempDir::new().unwrap(), plugins(&["statmill-volume"]));
    let at = |name: &str| plugins.path().join(name);
    let done = Command::new("mkfifo").arg(at("fifo.so")).status().unwrap();
    assert!(done.success());
    std::fs::create_dir(at("folder.so")).unwrap();
    symlink(at("loop-b.so"), at("loop-a.so")).unwrap();
    symlink(at("loop-a.so"), at("loop-b.so")).unwrap();
    symlink(at("nowhere"), at("dangling.so")).unwrap();
    symlink("/dev/zero", at("device.so")).unwrap();
    std::fs::File::create(at("large.so")).unwrap().set_len(600 << 20).unwrap();
    std::fs::write(at("empty.so"), "").unwrap();
    std::fs::write(at("text.so"), "this is not a library").unwrap();
    std::fs::write(at("name\nwith a line.so"), "\x7fELF").unwrap();
    compiled(plugins.path(), "stranger.so", "int unrelated(void) { return 1; }");
    compiled(
        plugins.path(),
        "aborts.so",
        "#include <stdlib.h>\n__attribute__((constructor)) void c(void) { abort(); }",
    );
    let written = folder.path().join("written");
    let text = format!(
        "#include <stdio.h>\n#include <stdlib.h>\n__attribute__((constructor)) void c(void) {{\n\
         if (fopen(\"{}\", \"w\")) exit(0); else abort(); }}",
        written.display()
    );
    compiled(plugins.path(), "writes.so", &text);
    let said = counted(folder.path(), plugins.path(), &[]);
    let about = |name: &str| {
        let line = said.lines().find(|line| line.contains("left out") && line.contains(name));
        line.unwrap_or_else(|| panic!("nothing about {name}: {said}"))
    };
    for name in ["fifo.so", "folder.so", "device.so"] {
        assert!(about(name).contains("not a regular file"), "{}", about(name));
    }
    for name in ["loop-a.so", "loop-b.so", "dangling.so"] {
        assert!(about(name).contains("cannot read"), "{}", about(name));
    }
    assert!(about("large.so").contains("more than"), "{}", about("large.so"));
    assert!(about("text.so").contains("not an ELF file"), "{}", about("text.so"));
    assert!(
        about("stranger.so").contains("not a plugin for this host"),
        "{}",
        about("stranger.so")
    );
    assert!(about("aborts.so").contains("SIGABRT"), "{}", about("aborts.so"));
    assert!(about("writes.so").contains("SIGABRT"), "{}", about("writes.so"));
    assert!(!written.exists());
}

#[test]
fn a_plugin_that_took_the_host_down_twice_gets_a_process_until_that_is_unwanted() {
    let (folder, plugins) = (TempDir::new().unwrap(), plugins(&["statmill-volume"]));
    drop_in(plugins.path(), "careless-plugin");
    let abort = [("CARELESS_PLUGIN_ABORTS", "1")];
    for _ in 0..2 {
        let out = run(folder.path(), plugins.path(), &[], &abort);
        assert_eq!(out.status.signal(), Some(6), "its constructor aborts, but not in the dry run");
    }
    let out = run(folder.path(), plugins.path(), &[], &abort);
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.signal(), None, "{said}");
    assert!(said.contains("it gets a process of its own"), "{said}");
    let verdict = said.split("to have it mapped again remove ").nth(1);
    let verdict = verdict.and_then(|rest| rest.split(" path=").next());
    std::fs::remove_file(verdict.unwrap()).unwrap();
    let out = run(folder.path(), plugins.path(), &[], &[]);
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(said.contains("plugin careless-plugin 0.1.0 loaded"), "{said}");
    assert!(!said.contains("a process of its own"), "{said}");
}

#[test]
fn a_library_is_tried_once() {
    let folder = TempDir::new().unwrap();
    let file = library_beside_program("odd-plugin").unwrap();
    let options = LoadOptions {
        child_program: Some(PROGRAM.into()),
        ..LoadOptions::copying_to(folder.path())
    };
    let verdict = || {
        let mut entries =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let found = entries.find(|path| path.to_str().unwrap().ends_with("verdict.json"));
        found.unwrap().metadata().unwrap().ino()
    };
    assert!(loader::load(&file, &options).is_ok());
    let first = verdict();
    assert!(loader::load(&file, &options).is_ok());
    assert_eq!(verdict(), first, "it is kept, not found out again");
    let configs = [("odd".to_owned(), "{\"mended\":true}".to_owned())].into();
    assert!(loader::load(&file, &LoadOptions { configs, ..options }).is_ok());
    assert_ne!(verdict(), first, "another configuration is another question");
}

fn openssl(folder: &Path, args: &[&str]) -> String {
    let out = Command::new("openssl").args(args).current_dir(folder).output().unwrap();
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn only_signed_or_listed_libraries_are_let_in_where_that_is_asked() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("NOT TESTED: openssl is not there");
        return;
    }
    let (folder, plugins) = (TempDir::new().unwrap(), plugins(&["statmill-volume"]));
    drop_in(plugins.path(), "odd-plugin");
    openssl(folder.path(), &["genpkey", "-algorithm", "ed25519", "-out", "key.pem"]);
    let public = openssl(folder.path(), &["pkey", "-in", "key.pem", "-pubout"]);
    let key = public.lines().nth(1).unwrap();
    let config =
        write(folder.path(), "statmill.toml", &format!("[vetting]\ntrusted_keys = [\"{key}\"]\n"));
    let with = ["--config", config.to_str().unwrap()];
    let sign = |name: &str| {
        let library = plugins.path().join(name);
        let signature = plugins.path().join(format!("{name}.sig"));
        let (library, signature) = (library.to_str().unwrap(), signature.to_str().unwrap());
        let args = ["pkeyutl", "-sign", "-rawin", "-inkey", "key.pem", "-in", library, "-out"];
        openssl(folder.path(), &[&args[..], &[signature]].concat());
    };
    sign("libstatmill_volume.so");
    let said = counted(folder.path(), plugins.path(), &with);
    assert!(said.contains("libodd_plugin.so.sig: sign it with a key"), "{said}");

    // The signature of another file is none.
    let signature = |name: &str| plugins.path().join(format!("{name}.sig"));
    std::fs::copy(signature("libstatmill_volume.so"), signature("libodd_plugin.so")).unwrap();
    let said = counted(folder.path(), plugins.path(), &with);
    assert!(said.contains("of no key of vetting.trusted_keys"), "{said}");
    sign("libodd_plugin.so");
    let said = counted(folder.path(), plugins.path(), &with);
    assert!(!said.contains("left out"), "{said}");

    // By digest, as sha256sum prints it.
    let digest = openssl(plugins.path(), &["dgst", "-sha256", "-r", "libstatmill_volume.so"]);
    let digest = digest.split(' ').next().unwrap();
    std::fs::write(&config, format!("[vetting]\nallow = [\"{digest}\"]\n")).unwrap();
    let said = counted(folder.path(), plugins.path(), &with);
    assert!(said.contains("its digest is not in vetting.allow"), "{said}");
}

/// What `plugins check` prints as JSON, and whether it passes.
fn check(name: &str, more: &[&str]) -> (bool, Value) {
    let file = library_beside_program(name).unwrap();
    let args = ["plugins", "check", file.to_str().unwrap(), "--format", "json"];
    let out = Command::new(PROGRAM).args(args).args(more).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let report: Value = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&out.stderr)));
    assert_eq!(report["passed"], out.status.success());
    (out.status.success(), report)
}

#[test]
fn the_shipped_plugins_pass_their_check() {
    let folder = TempDir::new().unwrap();
    let messages = write(folder.path(), "messages.ndjson", &(ndjson(0..500) + "no message\n"));
    for name in ["statmill-activity", "statmill-pagure", "statmill-releng"] {
        let more = ["--count", "20000", "--messages", messages.to_str().unwrap()];
        let (passed, report) = check(name, &more);
        assert!(passed, "{report:#}");
        assert!(report.to_string().contains("501 real"), "{report:#}");
        let has_view = report.to_string().contains("share with");
        assert_eq!(has_view, name == "statmill-activity", "{report:#}");
    }
}

#[test]
fn the_mistakes_of_a_careless_author_are_found() {
    let (passed, report) = check("careless-plugin", &["--count", "200000"]);
    assert!(!passed);
    let step = |ident: &str, name: &str| {
        let stats = report["stats"].as_array().unwrap();
        let stat = stats.iter().find(|stat| stat["ident"] == ident).unwrap();
        let steps = stat["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["name"] == name).unwrap();
        (step["outcome"].as_str().unwrap().to_owned(), step["words"].as_str().unwrap().to_owned())
    };
    let (outcome, words) = step("careless-batches", "determinism");
    assert!(outcome == "failed" && words.contains("batches of 1"), "{words}");
    let (outcome, words) = step("careless-numbers", "determinism");
    assert!(outcome == "failed" && words.contains("a second time"), "{words}");
    let (outcome, words) = step("careless-leak", "memory");
    assert!(outcome == "failed" && words.contains("128.0 bytes for each"), "{words}");
    let (outcome, words) = step("careless-field", "fields");
    assert!(outcome == "noted" && words.contains("never (\"/never\")"), "{words}");
    assert_eq!(step("careless-field", "determinism").0, "passed");
    let (outcome, words) = step("careless-forgets", "restore");
    assert!(outcome == "failed" && words.contains("1 of 1 differ"), "{words}");
    assert_eq!(step("careless-forgets", "determinism").0, "passed");
    assert_eq!(step("careless-remembers", "restore").0, "passed");
    let (outcome, words) = step("careless-views", "views");
    assert!(outcome == "failed" && words.contains("\"asked\": computed twice"), "{words}");
    let (outcome, words) = step("careless-expects", "fold");
    let tells = words.contains("every message has a name") && words.contains("generated message");
    assert!(outcome == "failed" && tells, "{words}");
}
