#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use super::process::start;
use super::sandbox::Given;
use super::*;

const LIMITS: Limits = Limits { memory_bytes: 1 << 30, cpu_s: None, readable: Vec::new() };

fn script(text: &str) -> (tempfile::TempDir, Program) {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("program");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    (folder, Program(path))
}

fn asked(program: &Program, within: Duration) -> ChildError {
    ask(program, Role::Probe, &LIMITS, b"question", 1000, within).unwrap_err()
}

/// A hello that says that everything is given, as a script prints it.
fn hello() -> String {
    let given = Given::Whole;
    let protection = Protection {
        limits: given.clone(),
        no_new_privileges: given.clone(),
        landlock: given.clone(),
        system_calls: given,
    };
    let text = serde_json::to_string(&serve::Hello { protection }).unwrap();
    let length: String =
        (text.len() as u32).to_le_bytes().iter().map(|byte| format!("\\{byte:03o}")).collect();
    format!("printf '{length}%s' '{text}'")
}

#[test]
fn a_program_that_does_not_serve_is_told_from_one_that_fails() {
    let (_folder, program) = script("echo my own output");
    assert!(matches!(asked(&program, Duration::from_secs(9)), ChildError::NoChild { .. }));
    assert_eq!(Program::find(Some(&program.0)), None, "it is not asked again");
    let missing = Program("/does/not/exist".into());
    assert!(matches!(asked(&missing, Duration::from_secs(9)), ChildError::Start { .. }));
    assert_eq!(Program::find(None), None, "the test program does not call serve_as_child");
}

#[test]
fn a_child_is_asked_and_answers() {
    let (_folder, program) = script(&format!("{}; cat", hello()));
    let question = vec![b'q'; 300_000];
    let within = Duration::from_secs(60);
    let answer = ask(&program, Role::Probe, &LIMITS, &question, 1 << 20, within);
    assert_eq!(answer.unwrap().0, question);
}

#[test]
fn how_a_child_ended_and_its_last_words_are_told() {
    let (_folder, program) = script(&format!("{}; echo oh no >&2; kill -SEGV $$", hello()));
    let error = asked(&program, Duration::from_secs(60)).to_string();
    assert!(error.contains("SIGSEGV") && error.contains("oh no"), "{error}");
    let (_folder, program) = script(&format!("{}; exit 3", hello()));
    let error = asked(&program, Duration::from_secs(60)).to_string();
    assert_eq!(error, "the child process exited with code 3");
}

#[test]
fn a_child_has_nothing_of_the_environment_and_no_end_of_words() {
    let (_folder, program) = script(&format!(
        "{}; env >&2; i=0; while [ $i -lt 3000 ]; do echo many words >&2; i=$((i+1)); done; exit 1",
        hello()
    ));
    let ChildError::Ended { said, .. } = asked(&program, Duration::from_secs(60)) else {
        panic!("it ends");
    };
    assert!(said.ends_with("many words\n") && said.len() <= 4096, "{said}");
    let (_folder, program) = script(&format!("{}; env >&2; exit 1", hello()));
    let error = asked(&program, Duration::from_secs(60)).to_string();
    assert!(!error.contains("HOME") && !error.contains("CARGO"), "{error}");
}

#[test]
fn a_child_that_does_not_end_or_does_not_stop_is_killed_with_all_it_started() {
    let (folder, program) = script("");
    let pids = folder.path().join("pids");
    let text =
        format!("#!/bin/sh\n{}\nsleep 1000 & echo $$ $! > {}\nwait\n", hello(), pids.display());
    std::fs::write(&program.0, text).unwrap();
    let before = Instant::now();
    // Long enough to have written its numbers, however slow the machine is.
    let mut child = start(&program, Role::Probe, &LIMITS, None).unwrap();
    let numbers = loop {
        let text = std::fs::read_to_string(&pids).unwrap_or_default();
        if text.ends_with('\n') {
            break text;
        }
        assert!(before.elapsed() < Duration::from_secs(60));
        std::thread::yield_now();
    };
    let late = child.finish(Duration::from_millis(1)).unwrap_err();
    assert!(matches!(late, ChildError::Late { .. }), "{late}");
    for pid in numbers.split_whitespace() {
        let gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        while !gone() {
            assert!(before.elapsed() < Duration::from_secs(60), "{pid} is left");
            std::thread::yield_now();
        }
    }

    let (_folder, program) = script(&format!("{}; while :; do echo y; done", hello()));
    let error = asked(&program, Duration::from_secs(60));
    assert!(matches!(error, ChildError::TooLong { most: 1000 }), "{error}");
}
