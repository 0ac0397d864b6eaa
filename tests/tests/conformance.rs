//! The numbers of others: the tables of the workload's exact calculator. Those of the original statscache are in
//! `statscache.rs`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use statmill_tests::{output, shared};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");

#[test]
fn the_workload_gives_the_tables_of_the_exact_calculator_whatever_threads_and_dictionaries_there_are()
 {
    let Some(bench) = shared("bench") else { return };
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let python = |script: &str, args: &[&str]| {
        let out = Command::new("python3").arg(bench.join(script)).args(args).output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{script}:\n{said}");
    };
    let (file, expected, result) = (path("m.ndjson"), path("expected"), path("result.json"));
    python("gen_messages.py", &["-n", "20000", "-o", &file]);
    python("expected.py", &[&file, "--out", &expected]);
    let bench_program = std::path::Path::new(PROGRAM).with_file_name("statmill-bench-under-test");
    for (threads, dictionary) in [("2", "1000000"), ("1", "4"), ("4", "4")] {
        let how = ["--threads", threads, "--dictionary", dictionary];
        let run = [&[&*file, "--out", &result], &how[..]].concat();
        let _ = output(bench_program.to_str().unwrap(), &run);
        python("check.py", &[&expected, &format!("{result}.answers")]);
    }
}
