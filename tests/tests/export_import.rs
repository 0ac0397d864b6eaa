//! What is exported comes back whole, and a damaged store is made anew from its log.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use statmill_tests::{all_rows, failure, ndjson, output, plugins, write};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");

struct Scene {
    folder: TempDir,
    plugins: TempDir,
}

impl Scene {
    /// A data folder `data` in which `crates` have read three thousand messages.
    fn new(crates: &[&str]) -> Self {
        let scene = Self { folder: TempDir::new().unwrap(), plugins: plugins(crates) };
        write(scene.folder.path(), "messages.ndjson", &ndjson(0..3000));
        // Rows lie in pages, not only in the deltas that every start reads.
        write(scene.folder.path(), "statmill.toml", "[store]\nfold_deltas = 1\n");
        let _ = scene.run("data");
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Reads the file to its end into the data folder `name`; answers what was said.
    fn run(&self, name: &str) -> String {
        let source = format!("file:{}", self.path("messages.ndjson").display());
        let out = Command::new(PROGRAM)
            .args(["run", "--once", "--source", &source, "--data", &self.text(name)])
            .args(["--config", &self.text("statmill.toml"), "--checkpoint", "5ms"])
            .args(["--plugins", self.plugins.path().to_str().unwrap()])
            .output()
            .unwrap();
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(out.status.success(), "{said}");
        said
    }

    fn rows(&self, name: &str) -> String {
        all_rows(PROGRAM, &self.path(name))
    }

    fn export(&self, name: &str) -> String {
        output(PROGRAM, &["export", "--data", &self.text(name)])
    }
}

#[test]
fn an_import_into_an_emptied_store_gives_the_same_export_and_goes_on_where_it_was() {
    let scene = Scene::new(&["statmill-volume", "every-aggregator"]);
    let (rows, exported) = (scene.rows("data"), scene.export("data"));
    write(scene.folder.path(), "export.jsonl", &exported);
    // The logs are known as before, the rows are not.
    std::fs::remove_dir_all(scene.path("data/store")).unwrap();
    let _ =
        output(PROGRAM, &["import", &scene.text("export.jsonl"), "--data", &scene.text("data")]);
    assert_eq!(scene.export("data"), exported);
    assert_eq!(scene.rows("data"), rows);

    write(scene.folder.path(), "messages.ndjson", &ndjson(0..4000));
    let _ = scene.run("data");
    let _ = scene.run("straight");
    assert_eq!(scene.rows("data"), scene.rows("straight"));
}

#[test]
fn an_import_of_unknown_logs_needs_as_base_and_keeps_the_rows_readable_without_a_plugin() {
    let scene = Scene::new(&["statmill-volume"]);
    let exported = scene.export("data");
    write(scene.folder.path(), "export.jsonl", &exported);
    let (file, new) = (scene.text("export.jsonl"), scene.text("new"));
    let said = failure(PROGRAM, &["import", &file, "--data", &new]);
    assert!(said.contains("not known here") && said.contains("--as-base"), "{said}");
    assert_eq!(scene.rows("new"), "", "a refused import left rows");

    let _ = output(PROGRAM, &["import", &file, "--data", &new, "--as-base=2100-01-01T00:00:00Z"]);
    assert_eq!(scene.rows("new"), scene.rows("data"));
    // All rows are there again, with the same bytes; only the positions are not.
    assert_eq!(row_lines(&scene.export("new")), row_lines(&exported));
    let stats = output(PROGRAM, &["stats", "--data", &new, "--format", "json"]);
    let stats: Value = serde_json::from_str(&stats).unwrap();
    let detached = |stat: &Value| stat["state"] == "detached" && stat["rows"].as_u64() > Some(0);
    assert!(stats.as_array().unwrap().iter().all(detached), "{stats:#}");
    // A base may be exported and imported in its turn.
    write(scene.folder.path(), "again.jsonl", &scene.export("new"));
    let _ = output(
        PROGRAM,
        &[
            "import",
            &scene.text("again.jsonl"),
            "--data",
            &scene.text("newer"),
            "--as-base=2100-01-01T00:00:00Z",
        ],
    );
    assert_eq!(scene.rows("newer"), scene.rows("data"));
}

/// The lines of an export that are rows.
fn row_lines(export: &str) -> Vec<&str> {
    export.lines().filter(|line| line.contains("\"value\"")).collect()
}

#[test]
fn a_broken_export_is_refused_by_line_and_changes_nothing() {
    let scene = Scene::new(&["statmill-volume"]);
    let exported = scene.export("data");
    std::fs::remove_dir_all(scene.path("data/store")).unwrap();
    let middle = exported.lines().count() / 2;
    let cut = exported.lines().take(middle).collect::<Vec<_>>().join("\n");
    let mut lines: Vec<&str> = exported.lines().collect();
    lines[middle] = "{\"what\": 1}";
    for (name, text) in [("cut.jsonl", cut), ("odd.jsonl", lines.join("\n"))] {
        write(scene.folder.path(), name, &text);
        let said = failure(PROGRAM, &["import", &scene.text(name), "--data", &scene.text("data")]);
        assert!(said.contains("line "), "{said}");
        assert_eq!(scene.rows("data"), "", "{name} left rows");
    }
}

/// Overwrites `length` bytes of a file from `at` on.
fn overwrite(file: &Path, at: u64, length: usize) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.write_all_at(&vec![0xa5; length], at).unwrap();
}

fn set_aside(data: &Path) -> Vec<PathBuf> {
    let corrupt =
        |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("store.corrupt-");
    std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path()).filter(corrupt).collect()
}

#[test]
fn a_damaged_store_is_set_aside_and_rebuilt_from_the_file_with_equal_rows() {
    let scene = Scene::new(&["statmill-volume", "every-aggregator"]);
    let rows = scene.rows("data");
    let store = scene.path("data/store/db");
    overwrite(&store, 0, usize::try_from(store.metadata().unwrap().len()).unwrap());
    let said = scene.run("data");
    assert!(said.contains("ERROR") && said.contains("rebuilt from the logs"), "{said}");
    assert_eq!(scene.rows("data"), rows);
    let aside = set_aside(&scene.path("data"));
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert!(aside[0].join("db").is_file());
}

#[test]
fn wherever_a_store_is_damaged_the_rows_after_the_next_run_are_equal() {
    let scene = Scene::new(&["statmill-volume"]);
    let rows = scene.rows("data");
    let store = scene.path("data/store/db");
    for eighth in 0..8 {
        let size = store.metadata().unwrap().len();
        overwrite(&store, size * eighth / 8, 4096);
        let said = scene.run("data");
        assert_eq!(scene.rows("data"), rows, "damaged at {eighth}/8 of {size} bytes:\n{said}");
    }
}
