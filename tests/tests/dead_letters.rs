//! Dead letters: what a mended plugin folds again counts once, whatever happens meanwhile.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use statmill_tests::{Running, failure, ndjson, output, plugins, start, wait_until, write};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");
const POISON: [&str; 2] = [
    "{\"topic\":\"a.b.c.d\",\"timestamp\":1500000000,\"do\":\"panic\"}\n",
    "{\"topic\":\"e\",\"timestamp\":1500000001,\"do\":\"error\"}\n",
];
const GOOD: u64 = 300;

/// A data folder in which the stat `odd` has two dead letters, and what is needed to go on there.
struct Scene {
    folder: TempDir,
    plugins: TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let text = ndjson(0..200) + POISON[0] + &ndjson(200..250) + POISON[1] + &ndjson(250..GOOD);
        write(folder.path(), "messages.ndjson", &text);
        write(folder.path(), "other.ndjson", "");
        write(folder.path(), "mended.toml", "[stats.odd]\nconfig = { mended = true }\n");
        write(folder.path(), "as-it-was.toml", "");
        let scene = Self { folder, plugins: plugins(&["odd-plugin"]) };
        assert!(scene.start("as-it-was.toml", &[]).unwrap().stop());
        assert_eq!((scene.count(), scene.letters().len()), (GOOD, 2));
        scene
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A host that is level.
    fn start(&self, config: &str, env: &[(&str, &str)]) -> Option<Running> {
        self.start_on("messages.ndjson", config, env)
    }

    fn start_on(&self, file: &str, config: &str, env: &[(&str, &str)]) -> Option<Running> {
        let (config, data) = (self.path(config), self.path("data"));
        let source = format!("file:{}", self.path(file));
        let plugins = self.plugins.path().to_str().unwrap();
        let args =
            ["--config", &config, "--data", &data, "--plugins", plugins, "--source", &source];
        let host = start(PROGRAM, &args, env)?;
        wait_until(|| {
            let stat = odd(&host.status());
            let met = stat["messages"].as_u64().unwrap() + stat["dead_letters"].as_u64().unwrap();
            let is_level = met >= GOOD + 2 && stat["state"] == "live";
            if is_level { Ok(()) } else { Err(stat.to_string()) }
        });
        Some(host)
    }

    /// What the folder at rest says.
    fn rest(&self, args: &[&str]) -> Value {
        let data = self.path("data");
        let text = output(PROGRAM, &[args, &["--data", &data, "--format", "json"]].concat());
        serde_json::from_str(&text).unwrap()
    }

    /// Messages counted, of all topics.
    fn count(&self) -> u64 {
        let rows = self.rest(&["show", "odd"]);
        rows.as_array().unwrap().iter().map(|row| row["count"].as_u64().unwrap()).sum()
    }

    fn letters(&self) -> Vec<Value> {
        self.rest(&["dead-letters", "list", "odd"]).as_array().unwrap().clone()
    }
}

fn odd(status: &Value) -> Value {
    let stats = status["stats"].as_array().unwrap();
    stats.iter().find(|stat| stat["ident"] == "odd").unwrap().clone()
}

/// Log and offset of a dead letter, as on a command line.
fn place(letter: &Value) -> (String, String) {
    (letter["log"].as_str().unwrap().to_owned(), letter["offset"].to_string())
}

fn outcomes(text: &str) -> Vec<String> {
    let letters: Value = serde_json::from_str(text).unwrap();
    let outcome = |letter: &Value| letter["outcome"].as_str().unwrap().to_owned();
    letters.as_array().unwrap().iter().map(outcome).collect()
}

#[test]
fn a_mended_plugin_folds_its_dead_letters_and_they_are_counted_once() {
    let scene = Scene::new();
    let (log, offset) = place(&scene.letters()[0]);
    let host = scene.start("mended.toml", &[]).unwrap();
    let retry = |more: &[&str]| {
        let args = ["dead-letters", "retry", "odd", "--url", &host.url, "--format", "json"];
        outcomes(&output(PROGRAM, &[&args, more].concat()))
    };
    assert_eq!(retry(&[&log, &offset]), ["folded"]);
    let again = ["dead-letters", "retry", "odd", &log, &offset, "--url", &host.url];
    assert!(failure(PROGRAM, &again).contains("has no dead letter at offset"));
    assert_eq!(retry(&["--all"]), ["folded"]);
    assert_eq!(retry(&["--all"]), [""; 0]);
    assert_eq!(odd(&host.status())["messages"], GOOD + 2);
    assert!(host.stop());
    assert_eq!((scene.count(), scene.letters()), (GOOD + 2, vec![]));
    // Another start finds nothing left to do.
    assert!(scene.start("mended.toml", &[]).unwrap().stop());
    assert_eq!(scene.count(), GOOD + 2);
}

#[test]
fn a_letter_that_still_cannot_be_folded_stays_with_the_new_reason_and_the_stat_goes_on() {
    let scene = Scene::new();
    let host = scene.start("as-it-was.toml", &[]).unwrap();
    let before = odd(&host.status());
    let args = ["dead-letters", "retry", "odd", "--all", "--url", &host.url];
    assert!(failure(PROGRAM, &args).contains("2 of 2 dead letters stay"));
    let after = odd(&host.status());
    assert_eq!(after["letters"], before["letters"]);
    assert_eq!((&after["state"], &after["messages"]), (&json!("live"), &json!(GOOD)));
    assert!(host.stop());
    assert_eq!(scene.count(), GOOD);
}

#[test]
fn a_dropped_letter_is_gone_and_its_message_never_counted() {
    let scene = Scene::new();
    let letters = scene.letters();
    let (log, offset) = place(&letters[0]);
    let dropped = scene.rest(&["dead-letters", "drop", "odd", &log, &offset]);
    assert_eq!(dropped[0]["outcome"], "dropped");
    assert_eq!(scene.letters(), letters[1..]);

    let host = scene.start("mended.toml", &[]).unwrap();
    let args = ["dead-letters", "drop", "odd", "--all", "--url", &host.url, "--format", "json"];
    assert_eq!(outcomes(&output(PROGRAM, &args)), ["dropped"]);
    assert!(host.stop());
    assert_eq!((scene.count(), scene.letters()), (GOOD, vec![]));
    assert_eq!(odd(&json!({ "stats": scene.rest(&["stats"]) }))["dead_letters"], 2);
}

#[test]
fn what_cannot_be_decided_says_why_and_what_to_do() {
    let scene = Scene::new();
    let data = scene.path("data");
    let said = |args: &[&str]| failure(PROGRAM, &[&["dead-letters"], args].concat());
    let at_rest = said(&["retry", "odd", "--all", "--data", &data]);
    assert!(at_rest.contains("start the host") && at_rest.contains("--url"), "{at_rest}");
    let unnamed = said(&["drop", "odd", "--data", &data]);
    assert!(unnamed.contains("--all"), "{unnamed}");
    let unknown = said(&["drop", "odd", "no-such-log", "5", "--data", &data]);
    assert!(unknown.contains("no log \"no-such-log\""), "{unknown}");

    // Its log is not read any more, so that nobody can say what the message was.
    let (log, offset) = place(&scene.letters()[0]);
    let host = scene.start_on("other.ndjson", "mended.toml", &[]).unwrap();
    let gone = said(&["retry", "odd", &log, &offset, "--url", &host.url]);
    assert!(gone.contains("is gone: its log is no source any more"), "{gone}");
    let all = ["dead-letters", "drop", "odd", "--all", "--url", &host.url, "--format", "json"];
    assert_eq!(outcomes(&output(PROGRAM, &all)), ["dropped", "dropped"]);
}

#[test]
#[cfg(feature = "fault-points")]
fn killed_at_any_step_of_a_retry_the_message_counts_once_or_its_letter_stays() {
    for point in ["retry", "checkpoint"] {
        let scene = Scene::new();
        let mut died = 0;
        for passing in 1.. {
            let fault = format!("{point}:{passing}");
            let Some(mut host) = scene.start("mended.toml", &[("STATMILL_FAULT", &fault)]) else {
                continue;
            };
            let args = ["dead-letters", "retry", "odd", "--all", "--url", &host.url];
            let ended = std::process::Command::new(PROGRAM).args(args).output().unwrap();
            if ended.status.success() {
                host.kill();
            } else {
                host.wait();
                died += 1;
            }
            let letters = scene.letters().len() as u64;
            assert_eq!(scene.count() + letters, GOOD + 2, "{fault}");
            if ended.status.success() {
                assert_eq!(letters, 0);
                break;
            }
        }
        println!("{point:>10} died {died} times");
        assert!(died >= 2, "{point} was not reached");
    }
}
