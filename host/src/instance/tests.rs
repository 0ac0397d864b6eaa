//! Workers that do not do what they should.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tempfile::TempDir;

use super::{Failure, Isolated};
use crate::child::Program;

/// What a "worker" says that is a shell script which says hello and then runs `then`.
fn worker(then: &str) -> Result<String, Failure> {
    let hello = r#"{"protection":{"limits":{"given":"whole"},"no_new_privileges":{"given":"whole"},"landlock":{"given":"whole"},"system_calls":{"given":"whole"}}}"#;
    described(hello, then).map(|(manifest, _)| manifest)
}

/// The same of one that says `hello`; and what of the sandbox it does not have.
fn described(hello: &str, then: &str) -> Result<(String, Vec<String>), Failure> {
    let folder = TempDir::new().unwrap();
    // Who ends before it was asked has not answered.
    let hear = "dd bs=65536 count=1 >/dev/null 2>&1";
    let length = hello.len();
    let script =
        format!("#!/bin/sh\nprintf '\\{length:03o}\\0\\0\\0%s' '{hello}'\n{hear}\n{then}\n");
    let file = folder.path().join("worker");
    std::fs::write(&file, script).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    let isolated = Isolated {
        program: Program::find(Some(&file)).unwrap(),
        file: "plugin.so".into(),
        library: "copy.so".into(),
        max_memory: 1 << 30,
        deadline: Duration::from_millis(50),
        lacks: Vec::new(),
    };
    isolated.describe()
}

#[test]
fn what_a_worker_says_ends_in_words_that_tell_what_happened() {
    // Length and kind of an answer: a text of four bytes.
    assert_eq!(worker(r"printf '\005\0\0\0\147text'; read -r _"), Ok("text".to_owned()));
    assert_eq!(worker(r"printf '\004\0\0\0\146why'"), Err(Failure::Said("why".to_owned())));
    for (then, words) in [
        (r"printf '\005\0\0\0\001text'", "with no manifest"),
        (r"printf '\005\0\0\0\377text'", "no frame"),
        (r"printf '\0\0\0\0\0'", "no frame"),
        (r"printf '\377\377\377\377\147'", "4294967294 bytes where 4194304 are the most"),
        (r"printf '\377\377\377\377\146'", "4294967294 bytes where"),
        (r"printf '\005\0\0\0\147te'; exec 1>&-; exit 3", "exited with code 3"),
        ("echo 'last words' >&2; kill -SEGV $$", "SIGSEGV"),
        ("echo 'last words' >&2; kill -SEGV $$", "last words"),
        ("exit 0", "exited with code 0"),
        ("while true; do true; done", "no answer within 0.05 s"),
        ("exec sleep 100", "no answer within 0.05 s"),
        (r"while printf '\001\0'; do true; done", "with no manifest"),
    ] {
        let failure = worker(then).unwrap_err();
        assert!(failure.to_string().contains(words), "{then}: {failure}");
        assert!(!failure.is_foreign(), "{failure}");
    }
    let killed = worker("kill -KILL $$").unwrap_err();
    assert!(killed.is_foreign() && killed.is_of_process(), "{killed}");
}

#[test]
fn what_the_kernel_does_not_give_is_known_of_a_worker() {
    let hello = r#"{"protection":{"limits":{"given":"whole"},"no_new_privileges":{"given":"whole"},"landlock":{"given":"not","lacks":"too old"},"system_calls":{"given":"part","lacks":"some"}}}"#;
    let (_, lacks) = described(hello, r"printf '\005\0\0\0\147text'; read -r _").unwrap();
    assert_eq!(lacks, ["no Landlock (too old)", "seccomp in part (some)"]);
}
