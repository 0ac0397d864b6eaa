//! Whatever a plugin does, the host lives, every other stat is exact to the last message, and the state of the
//! one that did it says what happened.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use serde_json::Value;
use statmill_tests::{
    Running, all_rows, assert_same_rows, drop_in, evil, failure, ndjson, output, plugins, start,
    wait_until, write,
};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");
const GOOD: [&str; 2] = ["statmill-volume", "every-aggregator"];
/// The message that brings evil about, and how many others there are.
const POISON: &str = "{\"topic\":\"a.b.c.d\",\"timestamp\":1500009000,\"do\":\"evil\"}\n";
const MESSAGES: u64 = 3_000;
/// What comes when the host has been through the rest.
const LATER: u64 = 400;

/// A plugin, and what must be said of it.
struct Case {
    ident: &'static str,
    /// A lie of its manifest; or after `!` what the library does before it is configured, then one of its own.
    before: &'static str,
    /// Its configuration.
    config: &'static str,
    outcome: Outcome,
}

enum Outcome {
    /// It counts everything.
    Exact,
    /// It passed over the one message, with this reason, and counts all others.
    Letter(&'static str),
    /// It is quarantined, with this in the reason.
    Quarantined(&'static str),
    /// It was not admitted, with this in the error.
    Refused(&'static str),
}

use Outcome::{Exact, Letter, Quarantined, Refused};

const fn case(
    ident: &'static str,
    before: &'static str,
    config: &'static str,
    outcome: Outcome,
) -> Case {
    Case { ident, before, config, outcome }
}

/// What is survived in the host's own process.
const IN_PROCESS: &[Case] = &[
    case("evil-none", "", "{}", Exact),
    case("evil-create", "", "{ evil = 'panic', at = 'create' }", Quarantined("panicked: asked to")),
    case("evil-fold", "", "{ evil = 'panic', at = 'fold' }", Quarantined("panicked: asked to")),
    case("evil-drop", "", "{ evil = 'panic', at = 'drop' }", Exact),
    case(
        "evil-payload",
        "",
        "{ evil = 'payload', at = 'fold' }",
        Quarantined("a payload that is not text"),
    ),
    case("evil-error", "", "{ evil = 'error', at = 'fold' }", Quarantined("asked to fail")),
    case(
        "evil-message",
        "",
        "{ evil = 'panic', at = 'message', on = 'message' }",
        Letter("the stat panicked: asked to"),
    ),
    case(
        "evil-message-payload",
        "",
        "{ evil = 'payload', at = 'message', on = 'message' }",
        Letter("the stat panicked: a payload that is not text"),
    ),
    case(
        "evil-message-error",
        "",
        "{ evil = 'error', at = 'message', on = 'message' }",
        Letter("asked to fail"),
    ),
    case("evil-leak", "", "{ evil = 'leak', at = 'fold' }", Exact),
    case("evil-slow", "", "{ evil = 'slow', at = 'fold' }", Exact),
    case("evil-flood", "", "{ evil = 'flood', at = 'message', on = 'message' }", Exact),
    case("evil-thread", "", "{ evil = 'thread', at = 'fold' }", Exact),
    case("evil-thread-panic", "", "{ evil = 'thread panic', at = 'fold' }", Exact),
    case("evil-random", "", "{ evil = 'another count' }", Exact),
    case("evil-config", "", "'no object'", Exact),
    case("evil-not-utf8", "", "{ evil = 'rows not utf-8' }", Quarantined("not UTF-8")),
    case("evil-canonical", "", "{ evil = 'rows not canonical' }", Quarantined("canonical")),
    case("evil-nan", "", "{ evil = 'rows of nan' }", Quarantined("bad increments")),
    case("evil-measures", "", "{ evil = 'rows of other measures' }", Quarantined("bad increments")),
    case("evil-descending", "", "{ evil = 'rows descending' }", Quarantined("does not sort after")),
    case("evil-cut", "", "{ evil = 'rows cut short' }", Quarantined("the bytes end inside")),
    case(
        "evil-claim",
        "",
        "{ evil = 'rows of claimed length' }",
        Quarantined("the bytes end inside"),
    ),
    case("evil-no-model", "", "{ evil = 'rows of no model' }", Quarantined("model")),
    case("evil-huge-row", "", "{ evil = 'a huge row' }", Quarantined("stat_limits.row_bytes")),
    case("evil-endless-rows", "", "{ evil = 'rows without end' }", Quarantined("bytes")),
    case("evil-boast", "", "{ evil = 'a boast' }", Quarantined("stat_limits.checkpoint_rows")),
    case(
        "evil-no-text",
        "",
        "{ evil = 'an error that is no text' }",
        Quarantined("not \u{fffd}\u{fffd} UTF-8"),
    ),
    case(
        "evil-many",
        "",
        "{ evil = 'a million rows', on = 'message' }",
        Letter("stat_limits.checkpoint_rows"),
    ),
    case("evil-views", "!views: panic", "{}", Refused("panicked: asked to")),
    case("lie-json", "!no json", "{}", Refused("EOF while parsing")),
    case("lie-nothing", "!nothing", "{}", Refused("EOF while parsing")),
    case("lie-huge", "!huge", "{}", Refused("bytes")),
    case("lie-deep", "!deep", "{}", Refused("missing field `api`")),
    case("lie-twice", "!twice", "{}", Refused("already provided")),
    case("lie-ident", "ident", "{}", Refused("an ident has")),
    case("lie-no-ident", "no ident", "{}", Refused("an ident has")),
    case("lie-no-models", "no models", "{}", Refused("no model")),
    case("lie-pointer", "pointer", "{}", Refused("must be empty or begin with '/'")),
    case("lie-measure", "measure", "{}", Refused("keep 1 to 10000")),
    case("lie-feature", "!feature", "{}", Refused("time travel")),
    case("lie-less", "one model less", "{}", Exact),
    case("lie-other", "other measure", "{}", Quarantined("bad increments")),
    case("lie-dimension", "other dimension", "{}", Quarantined("bad increments")),
    case("lie-window", "window", "{}", Quarantined("bad increments")),
    case("lie-kind", "field kind", "{}", Quarantined("do not agree on the stat's fields")),
    case("lie-fields", "no fields", "{}", Quarantined("do not agree on the stat's fields")),
];

/// Without traces of panics: to make one costs more than all else.
const ENVIRONMENT: &[(&str, &str)] = &[("RUST_BACKTRACE", "0")];

/// The library of all evil stats that need none of their own.
const TOGETHER: &str = "evil";

struct Scene {
    folder: TempDir,
    plugins: TempDir,
}

impl Scene {
    /// Messages, the good plugins, and those of `cases`.
    fn new<'a>(cases: impl IntoIterator<Item = &'a Case>, general: &str) -> Self {
        let scene = Self { folder: TempDir::new().unwrap(), plugins: plugins(&GOOD) };
        let text = ndjson(0..MESSAGES / 2) + POISON + &ndjson(MESSAGES / 2..MESSAGES);
        write(scene.folder.path(), "messages.ndjson", &text);
        let (mut config, mut together) = (general.to_owned(), Vec::new());
        for Case { ident, before, config: of_stat, .. } in cases {
            let lie = if before.is_empty() { String::new() } else { format!("={before}") };
            match before.starts_with('!') {
                true => {
                    let mut entries = vec![(*ident).to_owned(), (*before).to_owned()];
                    entries.retain(|entry| entry != "!");
                    drop(evil::drop_in(scene.plugins.path(), &file_name(ident), &entries));
                }
                false => together.push(format!("{ident}{lie}")),
            }
            config.push_str(&format!("[stats.{ident}]\nconfig = {of_stat}\n"));
        }
        evil::drop_in(scene.plugins.path(), TOGETHER, &together);
        write(scene.folder.path(), "statmill.toml", &config);
        scene
    }

    fn args(&self, data: &str, plugins: &Path) -> Vec<String> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let source = format!("file:{}", path("messages.ndjson"));
        let plugins = plugins.display().to_string();
        ["--config", &path("statmill.toml"), "--data", &path(data)]
            .into_iter()
            .chain(["--plugins", &plugins, "--source", &source])
            .map(str::to_owned)
            .collect()
    }

    fn start(&self) -> Running {
        let args = self.args("data", self.plugins.path());
        start(PROGRAM, &args.iter().map(String::as_str).collect::<Vec<_>>(), ENVIRONMENT).unwrap()
    }

    /// The rows of the good stats, as a host without any other has them.
    fn expected(&self) -> String {
        let good = plugins(&GOOD);
        let mut args = self.args("good", good.path());
        write(self.folder.path(), "good.toml", "");
        args[1] = self.folder.path().join("good.toml").display().to_string();
        let args = args.iter().map(String::as_str);
        let _ = output(PROGRAM, &["run", "--once"].into_iter().chain(args).collect::<Vec<_>>());
        rows(&self.folder.path().join("good"))
    }
}

fn file_name(ident: &str) -> String {
    ident.replace('-', "_")
}

/// The rows of the good stats of a data folder at rest.
fn rows(data: &Path) -> String {
    let all = all_rows(PROGRAM, data);
    let is_good = |section: &&str| !section.starts_with("evil") && !section.starts_with("lie");
    all.split("== ").filter(is_good).collect::<Vec<_>>().join("== ")
}

fn one(list: &Value, member: &str, is: impl Fn(&str) -> bool) -> Option<Value> {
    let all = list.as_array().unwrap();
    all.iter().find(|it| it[member].as_str().is_some_and(&is)).cloned()
}

/// What is wrong with the status of a case, if anything is.
fn judge(case: &Case, status: &Value, messages: u64) -> Result<(), String> {
    let stat = one(&status["stats"], "ident", |ident| ident == case.ident);
    let name =
        if case.before.starts_with('!') { file_name(case.ident) } else { TOGETHER.to_owned() };
    let file = format!("/lib{name}.so");
    let plugin = one(&status["plugins"], "file", |path| path.ends_with(&file)).unwrap_or_default();
    let error = plugin["error"].as_str().unwrap_or_default();
    let stat = match (&case.outcome, stat) {
        (Refused(reason), _) if error.contains(reason) && !error.is_empty() => return Ok(()),
        (Refused(_), _) | (_, None) => return Err(format!("{}: {plugin:#}", case.ident)),
        (_, Some(stat)) => stat,
    };
    let text = |name: &str| stat[name].as_str().unwrap_or_default();
    let is_so = match case.outcome {
        Exact => text("state") == "live" && stat["messages"] == messages,
        Letter(reason) => {
            let error = stat["last_error"]["text"].as_str().unwrap_or_default();
            let counted = stat["messages"] == messages - 1 && stat["dead_letters"] == 1;
            text("state") == "live" && counted && error.contains(reason)
        }
        Quarantined(reason) => text("state") == "quarantined" && text("reason").contains(reason),
        Refused(_) => true,
    };
    if is_so { Ok(()) } else { Err(format!("{}: {stat:#}", case.ident)) }
}

/// Waits until each case is what it must be and every other stat has counted `messages`.
fn wait_judged(host: &mut Running, cases: &[Case], messages: u64) {
    wait_until(|| {
        assert!(host.alive(), "the host has ended");
        let status = host.status();
        for stat in status["stats"].as_array().unwrap() {
            let ident = stat["ident"].as_str().unwrap();
            let is_good = !cases.iter().any(|case| case.ident == ident) && ident != "recent";
            if is_good && (stat["messages"] != messages || stat["state"] != "live") {
                return Err(format!("{stat:#}"));
            }
        }
        let wrong: Vec<_> =
            cases.iter().filter_map(|case| judge(case, &status, messages).err()).collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    });
}

/// What would end or hang the host while it maps the library, or at the first fold.
const BEFORE_MAPPING: &[Case] = &[
    case("ctor-abort", "!constructor: abort", "{}", Refused("failed its dry run")),
    case("ctor-exit", "!constructor: exit", "{}", Refused("failed its dry run")),
    case("ctor-segfault", "!constructor: segfault", "{}", Refused("failed its dry run")),
    case("ctor-endless", "!constructor: endless", "{}", Refused("failed its dry run")),
    case("ctor-panic", "!constructor: panic", "{}", Refused("failed its dry run")),
    case("describe-panic", "!describe: panic", "{}", Refused("failed its dry run")),
    case("describe-abort", "!describe: abort", "{}", Refused("failed its dry run")),
    case("describe-blocked", "!describe: blocked", "{}", Refused("failed its dry run")),
    case("fold-abort", "!", "{ evil = 'abort', at = 'fold' }", Refused("failed its dry run")),
    case("fold-exit", "!", "{ evil = 'exit', at = 'fold' }", Refused("failed its dry run")),
    case("fold-segfault", "!", "{ evil = 'segfault', at = 'fold' }", Refused("failed its dry run")),
    case(
        "fold-stack",
        "!",
        "{ evil = 'stack overflow', at = 'fold' }",
        Refused("failed its dry run"),
    ),
    case("fold-memory", "!", "{ evil = 'memory', at = 'fold' }", Refused("failed its dry run")),
    case(
        "fold-twice",
        "!",
        "{ evil = 'double panic', at = 'fold' }",
        Refused("failed its dry run"),
    ),
    case("fold-endless", "!", "{ evil = 'endless', at = 'fold' }", Refused("failed its dry run")),
    case("create-abort", "!", "{ evil = 'abort', at = 'create' }", Refused("failed its dry run")),
    case("drop-abort", "!", "{ evil = 'abort', at = 'drop' }", Refused("failed its dry run")),
];

#[test]
fn what_would_take_the_host_down_is_stopped_before_it_is_mapped() {
    let scene = Scene::new(BEFORE_MAPPING, "");
    let mut host = scene.start();
    wait_judged(&mut host, BEFORE_MAPPING, MESSAGES + 1);
    assert!(host.stop());
    let data = scene.folder.path().join("data");
    assert_same_rows(&rows(&data), &scene.expected());
}

#[test]
fn a_library_that_is_overwritten_while_it_is_loaded_goes_on_as_it_was() {
    let none = case("evil-none", "!", "{}", Exact);
    let scene = Scene::new([&none], "");
    let mut host = scene.start();
    let cases = std::slice::from_ref(&none);
    wait_judged(&mut host, cases, MESSAGES + 1);
    let mut length = MESSAGES + 1;
    let library = scene.plugins.path().join("libevil_none.so");
    let whole = std::fs::metadata(&library).unwrap().len();
    for left in [whole, whole / 2, 64, 0] {
        // In place: the same file, other bytes, then fewer of them.
        let mut file = std::fs::File::options().write(true).open(&library).unwrap();
        std::io::Write::write_all(&mut file, &vec![0xcc; left.min(1 << 20) as usize]).unwrap();
        file.set_len(left).unwrap();
        let later = length - 1..length - 1 + LATER;
        let path = scene.folder.path().join("messages.ndjson");
        let mut messages = std::fs::File::options().append(true).open(path).unwrap();
        std::io::Write::write_all(&mut messages, ndjson(later).as_bytes()).unwrap();
        length += LATER;
        wait_until(|| {
            assert!(host.alive(), "the host has ended");
            let status = host.status();
            let behind = status["stats"].as_array().unwrap().iter().find(|stat| {
                let at = stat["messages"] == length || stat["ident"] == "recent";
                !at || stat["state"] != "live"
            });
            behind.map_or(Ok(()), |stat| Err(format!("{stat:#}")))
        });
    }
    assert!(host.stop());
    let data = scene.folder.path().join("data");
    assert_same_rows(&rows(&data), &scene.expected());
}

/// Number of files with flipped bits.
const FLIPPED: u64 = 200;

#[test]
fn a_damaged_library_never_crashes_the_host() {
    let folder = TempDir::new().unwrap();
    let whole = evil::drop_in(folder.path(), "whole", &["evil-whole".to_owned()]);
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::remove_file(whole).unwrap();
    let put = |name: String, bytes: &[u8]| {
        let path = folder.path().join("files").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    for percent in 0..100 {
        put(format!("cut-{percent:02}.so"), &bytes[..bytes.len() * percent / 100]);
    }
    let mut random = 0x5eed_u64;
    let mut noise = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) as usize % below
    };
    for number in 0..FLIPPED {
        let mut flipped = bytes.clone();
        // Half of them in the header and what it points to first, where a flip means most.
        let within = if number % 2 == 0 { 4_096 } else { flipped.len() };
        for _ in 0..5 {
            flipped[noise(within)] ^= 1 << noise(8);
        }
        put(format!("flip-{number:04}.so"), &flipped);
    }
    let files = folder.path().join("files");
    let fifo = files.join("fifo.so");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    std::fs::create_dir(files.join("folder.so")).unwrap();
    std::os::unix::fs::symlink("loop.so", files.join("loop.so")).unwrap();
    std::os::unix::fs::symlink("nowhere.so", files.join("dangling.so")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", files.join("device.so")).unwrap();
    drop_in(&files, "statmill-volume");

    let args = ["plugins", "--plugins", files.to_str().unwrap(), "--format", "json"];
    let reports: Value = serde_json::from_str(&output(PROGRAM, &args)).unwrap();
    let reports = reports.as_array().unwrap();
    assert_eq!(reports.len() as u64, 100 + FLIPPED + 6);
    let left_out = reports.iter().filter(|report| report["error"].is_string()).count();
    println!("{left_out} of {} files were left out", reports.len());
    let volume = reports.iter().find(|it| it["file"].as_str().unwrap().contains("volume")).unwrap();
    assert!(volume["error"].is_null(), "{volume:#}");
    for name in ["fifo", "folder", "loop", "dangling", "device", "cut-00", "cut-50"] {
        let report = reports.iter().find(|it| it["file"].as_str().unwrap().contains(name)).unwrap();
        assert!(report["error"].is_string(), "{report:#}");
    }
}

#[test]
fn a_run_to_the_end_fails_and_names_every_plugin_that_did_not_count_everything() {
    let of = |ident: &str| IN_PROCESS.iter().find(|case| case.ident == ident).unwrap();
    let wanted = ["evil-none", "evil-create", "evil-message", "evil-nan", "lie-json"].map(of);
    let scene = Scene::new(wanted, "");
    let args = scene.args("data", scene.plugins.path());
    let args: Vec<_> = ["run", "--once"].into_iter().chain(args.iter().map(|it| &**it)).collect();
    let said = failure(PROGRAM, &args);
    for case in wanted {
        let is_named = said.lines().any(|line| line.contains("ERROR") && line.contains(case.ident));
        let file = format!("lib{}.so", file_name(case.ident));
        let counts = matches!(case.outcome, Exact);
        assert_ne!(is_named || said.contains(&file), counts, "{}: {said}", case.ident);
    }
    let data = scene.folder.path().join("data");
    assert_same_rows(&rows(&data), &scene.expected());
}

#[test]
fn in_one_process_no_plugin_hurts_the_host_or_another_stat() {
    let scene = Scene::new(IN_PROCESS, "");
    let mut host = scene.start();
    wait_judged(&mut host, IN_PROCESS, MESSAGES + 1);
    // Whoever is quarantined does not come back, and all others go on.
    let mut file = std::fs::File::options()
        .append(true)
        .open(scene.folder.path().join("messages.ndjson"))
        .unwrap();
    std::io::Write::write_all(&mut file, ndjson(MESSAGES..MESSAGES + LATER).as_bytes()).unwrap();
    wait_judged(&mut host, IN_PROCESS, MESSAGES + 1 + LATER);
    assert!(host.stop());
    let data = scene.folder.path().join("data");
    assert_same_rows(&rows(&data), &scene.expected());
}
