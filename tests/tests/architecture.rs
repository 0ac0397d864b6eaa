//! The invariants of ARCHITECTURE.md that can be checked by reading the sources.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Rust sources below a folder of the project, as paths from its root.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// Files below `folder` with a line of code (no comment) that contains `word`.
fn users_of(word: &str, folder: &str) -> Vec<String> {
    let uses = |text: &str| {
        text.lines().any(|line| line.contains(word) && !line.trim_start().starts_with("//"))
    };
    sources(folder).into_iter().filter(|(_, text)| uses(text)).map(|(name, _)| name).collect()
}

fn assert_only(word: &str, folder: &str, allowed: &[&str]) {
    for user in users_of(word, folder) {
        assert!(
            allowed.iter().any(|prefix| user.starts_with(prefix)),
            "{user} uses {word}, which belongs to {allowed:?}"
        );
    }
}

#[test]
fn abi_stable_is_known_only_at_the_boundary() {
    assert_only("abi_stable", "host/src", &["host/src/loader/"]);
    assert_only(
        "abi_stable",
        "plugin-api/src",
        &["plugin-api/src/abi.rs", "plugin-api/src/export", "plugin-api/src/testing"],
    );
}

#[test]
fn sled_is_known_only_to_its_store() {
    assert_only(" sled::", "host/src", &["host/src/store/sled.rs"]);
    assert_only("(sled::", "host/src", &["host/src/store/sled.rs"]);
}

#[test]
fn axum_is_known_only_to_http() {
    assert_only("axum", "host/src", &["host/src/http/"]);
}

#[test]
fn lapin_is_known_only_to_the_source_and_its_addresses() {
    let allowed = ["host/src/sources/amqp", "host/src/log/source/amqp.rs"];
    assert_only("lapin::", "host/src", &allowed);
}

#[test]
fn what_a_child_gives_away_is_known_only_to_its_sandbox() {
    assert_only("landlock::", "host/src", &["host/src/child/sandbox"]);
    assert_only("seccompiler::", "host/src", &["host/src/child/sandbox"]);
}

#[test]
fn unsafe_code_lives_in_the_named_files_only() {
    assert_only(
        "unsafe ",
        "host/src",
        &[
            "host/src/loader/",
            "host/src/instance/mapped.rs",
            "host/src/project/simd/",
            "host/src/project/dictionary.rs",
        ],
    );
    assert_only("unsafe ", "plugin-api/src", &["plugin-api/src/abi.rs", "plugin-api/src/export"]);
    assert_only("unsafe ", "plugins", &[]);
    // The plugins that do what must be survived.
    let evil = ["tests/evil/src/", "tests/odd-plugin/src/lib.rs", "tests/careless-plugin/src/"];
    let others = ["tests/abi/", "tests/tests/architecture.rs"];
    assert_only("unsafe", "tests", &[&evil[..], &others].concat());
}

/// What stands between `before` and `after`, wherever it does.
fn between<'a>(text: &'a str, before: &'a str, after: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(before).skip(1).filter_map(move |rest| rest.split(after).next())
}

#[test]
fn every_named_fault_point_is_visited_by_a_test_that_kills_there() {
    let host = sources("host/src");
    let named = host.iter().flat_map(|(_, text)| between(text, "fault::point(\"", "\""));
    // A log's commits pass the point that the log was opened with: a journal's, a fill's.
    let names: std::collections::BTreeSet<&str> = named.chain(["ingest", "fill_fetch"]).collect();
    assert!(names.len() > 8, "{names:?}");
    let tests = sources("tests/tests");
    let visits = |name: &str| {
        let [quoted, counted] = [format!("\"{name}\""), format!("\"{name}:")];
        let kills = |text: &str| text.contains("STATMILL_FAULT");
        tests
            .iter()
            .any(|(_, text)| kills(text) && (text.contains(&quoted) || text.contains(&counted)))
    };
    let left: Vec<_> = names.into_iter().filter(|name| !visits(name)).collect();
    assert!(left.is_empty(), "no test kills at {left:?}");
}

#[test]
fn a_plugin_never_sees_the_host() {
    assert_only("statmill::", "plugins", &[]);
    assert_only("statmill::", "plugin-api/src", &[]);
}

#[test]
fn no_code_names_a_path_of_one_machine() {
    for folder in ["host", "plugin-api", "plugins", "examples", "tests"] {
        for (name, text) in sources(folder) {
            for root in ["/work/", "/root/", "/home/"] {
                let quoted = format!("\"{root}");
                assert!(!text.contains(&quoted) || name.ends_with("architecture.rs"), "{name}");
            }
        }
    }
}
