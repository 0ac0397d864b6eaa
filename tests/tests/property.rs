//! However a stream reaches the host, the rows are those of one undisturbed reading of one file.
//!
//! Streams are split into appends, generations of a file, requests, logs, runs of the host that are
//! stopped or dropped, checkpoints, threads, dictionaries and shards; messages that came before are sent again. Tables
//! without order (`numbers`) are compared as stored bytes too, the others as values only: the state of a
//! `first` names log and offset, and those are other ones when the split is another.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use statmill::project::Caps;
use statmill::store::{KeyBounds, Order, Tuning};
use statmill::{Host, HostBuilder};
use statmill_tests::{plugins, wait_until};
use tempfile::TempDir;

const STAT: &str = "every-aggregator";
/// Every stored table of the stat, and whether its bytes must be equal too.
const TABLES: [(&str, bool); 5] = [
    ("numbers", true),
    ("numbers@1d", true),
    ("texts", false),
    ("texts@1d", false),
    ("totals", false),
];
/// Half an hour before midnight, so that a stream of some hours crosses windows and a day.
const BASE_S: i64 = 1_499_990_400 - 1_800;

/// A message before it has an id: seconds after [`BASE_S`], and the text of its other members.
#[derive(Clone, Debug)]
struct Draft {
    seconds: i64,
    members: String,
}

fn member(name: &'static str, values: &'static [&'static str]) -> impl Strategy<Value = String> {
    // Missing, null and of a wrong type are what streams are like too.
    prop_oneof![
        1 => Just(String::new()),
        1 => Just(format!(r#","{name}":null"#)),
        1 => Just(format!(r#","{name}":[{{}}]"#)),
        9 => prop::sample::select(values).prop_map(move |value| format!(r#","{name}":{value}"#)),
    ]
}

fn draft() -> impl Strategy<Value = Draft> {
    const INTS: &[&str] = &[
        "0",
        "1",
        "-1",
        "7",
        "42",
        "9223372036854775807",
        "-9223372036854775808",
        "1e3",
        "12.5",
        "9223372036854775808",
    ];
    const NUMS: &[&str] = &[
        "0",
        "-0.0",
        "0.1",
        "0.2",
        "-0.30000000000000004",
        "1e308",
        "-1e308",
        "5e-324",
        "1e-300",
        "1.7976931348623157e308",
        "123456.789",
        "1e999",
    ];
    const TEXTS: &[&str] = &[r#""""#, r#""a""#, r#""ä""#, r#""\u0000""#, r#""z\n""#, r#""😀""#];
    const NAMES: &[&str] = &[r#""""#, r#""n""#, r#""n\u0000""#, r#""m""#];
    let seconds = prop_oneof![0i64..20, 0i64..20_000, Just(1_800), Just(-4_000_000_000)];
    let members = (
        member("key", &[r#""k""#, r#""l""#, r#""ö""#, r#""""#]),
        member("name", NAMES),
        member("int", INTS),
        member("num", NUMS),
        member("text", TEXTS),
        member("raw", &["1", r#"{"a":[1,2]}"#, r#""x""#, "true"]),
    );
    (seconds, members).prop_map(|(seconds, (key, name, int, num, text, raw))| Draft {
        seconds,
        members: key + &name + &int + &num + &text + &raw,
    })
}

/// The messages as lines. Where `distinct`, no two have the same time: between logs nothing else orders.
fn lines(drafts: &[Draft], distinct: bool) -> Vec<String> {
    let line = |(i, draft): (usize, &Draft)| {
        let micros = if distinct { i } else { 0 };
        let time = BASE_S + draft.seconds;
        // Of a negative number of seconds the fraction counts downwards, and is as distinct.
        format!(
            "{{\"msg_id\":\"id-{i}\",\"topic\":\"t.{}\",\"timestamp\":{time}.{micros:06}{}}}\n",
            i % 3,
            draft.members,
        )
    };
    drafts.iter().enumerate().map(line).collect()
}

/// How one run of the host treats its part of the stream.
#[derive(Clone, Debug)]
struct Step {
    /// Share of the remaining messages that come in this run, of 8.
    eighths: usize,
    /// Messages in one request or append.
    batch: usize,
    /// Which earlier messages are sent again with each request.
    again: usize,
    /// A commit is forced after each request.
    flush: bool,
    /// The host is stopped, else dropped with whatever it has not committed.
    stop: bool,
    /// The file is replaced before this run.
    rotate: bool,
    /// Workers, and threads that project.
    threads: usize,
    /// Entries after which the dictionaries begin anew.
    dictionary: usize,
    checkpoint_ms: u64,
    /// Shard that the run writes its rows to: they are merged when they are read.
    shard: u16,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (
        (1usize..8, 1usize..40, 0usize..4, 0u16..3),
        any::<[bool; 3]>(),
        prop::sample::select(&[1usize, 4][..]),
        prop::sample::select(&[4usize, 1 << 20][..]),
        prop::sample::select(&[5u64, 1000][..]),
    )
        .prop_map(
            |((eighths, batch, again, shard), bools, threads, dictionary, checkpoint_ms)| {
                let [flush, stop, rotate] = bools;
                let step = Step { eighths, batch, again, flush, stop, rotate, shard, ..STRAIGHT };
                Step { threads, dictionary, checkpoint_ms, ..step }
            },
        );
    prop::collection::vec(step, 1..4)
}

/// One undisturbed reading of everything.
const STRAIGHT: Step = Step {
    eighths: 8,
    batch: 0,
    again: 0,
    flush: false,
    stop: true,
    rotate: false,
    threads: 1,
    dictionary: 1 << 20,
    checkpoint_ms: 1000,
    shard: 0,
};

struct Scene {
    folder: TempDir,
    plugins: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), plugins: plugins(&["every-aggregator"]) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn host(&self, data: &str, step: &Step) -> HostBuilder {
        Host::builder()
            .data(self.path(data))
            .plugin(self.plugins.path())
            .threads(step.threads)
            .ingest_threads(step.threads)
            .dictionaries(Caps { entries: step.dictionary, ..Caps::default() })
            .checkpoint(Duration::from_millis(step.checkpoint_ms))
            .store(Tuning { shard: step.shard, fold_deltas: 4, ..Tuning::default() })
    }

    /// Rows after one undisturbed reading of all lines as one file.
    fn straight(&self, lines: &[String]) -> String {
        let file = self.path("straight.ndjson");
        std::fs::write(&file, lines.concat()).unwrap();
        read_once(self.host("straight", &STRAIGHT), &file)
    }
}

fn source(file: &Path) -> String {
    format!("file:{}", file.display())
}

fn read_once(host: HostBuilder, file: &Path) -> String {
    let host = host.source(&source(file)).unwrap().once().start().unwrap();
    host.wait_finished().unwrap();
    let rows = rows(&host);
    host.stop();
    rows
}

/// All rows of all tables as text.
fn rows(host: &Host) -> String {
    let mut text = String::new();
    let snapshot = host.catalog().stat(STAT).unwrap().snapshot;
    for (name, bytes) in TABLES {
        let table = host.rows(STAT, Some(name)).unwrap();
        writeln!(text, "== {name}").unwrap();
        for row in &table.rows {
            writeln!(text, "{row:?}").unwrap();
        }
        if bytes {
            let model = snapshot.models().iter().position(|model| model.name == name).unwrap();
            for row in snapshot.scan(model, &KeyBounds::default(), Order::Asc, 0) {
                writeln!(text, "{:?}", row.unwrap()).unwrap();
            }
        }
    }
    text
}

/// Waits until the stats have folded `messages` of their logs.
fn wait_level(host: &Host, messages: usize) {
    wait_until(|| {
        host.flush();
        let snapshot = host.catalog().stat(STAT).unwrap().snapshot;
        let record = snapshot.record();
        let kept: u64 = record.positions.values().map(|at| at.messages).sum();
        let folded = kept + record.retired.messages;
        assert!(folded <= messages as u64, "{folded} of {messages} messages are folded");
        if folded == messages as u64 {
            return Ok(());
        }
        Err(format!("{folded} of {messages}: {:#?}", host.catalog().status()))
    });
}

/// Cuts what is left in parts, one a step; the last gets the rest.
fn parts<'a>(
    lines: &'a [String],
    steps: &'a [Step],
) -> impl Iterator<Item = (&'a Step, &'a [String])> {
    let mut rest = lines;
    steps.iter().enumerate().map(move |(i, step)| {
        let take = if i + 1 == steps.len() {
            rest.len()
        } else {
            (rest.len() * step.eighths / 8).clamp(rest.len().min(1), rest.len())
        };
        let (part, after) = rest.split_at(take);
        rest = after;
        (step, part)
    })
}

fn end(host: Host, step: &Step) {
    if step.stop { host.stop() } else { drop(host) }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 12, max_shrink_iters: 40, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn appends_generations_and_restarts_of_a_file_do_not_show_in_the_rows(
        drafts in prop::collection::vec(draft(), 50..300),
        steps in steps(),
    ) {
        let scene = Scene::new();
        let lines = lines(&drafts, false);
        let file = scene.path("growing.ndjson");
        let mut sent = 0;
        for (i, (step, part)) in parts(&lines, &steps).enumerate() {
            if step.rotate && i > 0 {
                // What was not folded must be, before the file that holds it goes.
                read_once(scene.host("split", step), &file);
                std::fs::remove_file(&file).unwrap();
            }
            let host = scene.host("split", step).source(&source(&file)).unwrap().start().unwrap();
            for batch in part.chunks(step.batch) {
                append(&file, &batch.concat());
                if step.flush {
                    host.flush();
                }
            }
            sent += part.len();
            if step.flush {
                wait_level(&host, sent);
            }
            end(host, step);
        }
        let rows = read_once(scene.host("split", steps.last().unwrap()), &file);
        prop_assert_eq!(rows, scene.straight(&lines));
    }

    #[test]
    fn requests_duplicates_logs_and_restarts_do_not_show_in_the_rows(
        drafts in prop::collection::vec(draft(), 50..300),
        steps in steps(),
        logs in 1usize..=4,
    ) {
        let scene = Scene::new();
        let lines = lines(&drafts, logs > 1);
        let start = |step: &Step| {
            let host = (0..logs).fold(scene.host("split", step), |host, log| {
                host.source(&format!("http:log{log}")).unwrap()
            });
            host.start().unwrap()
        };
        let mut sent: Vec<Vec<&String>> = vec![Vec::new(); logs];
        for (step, part) in parts(&lines, &steps) {
            let host = start(step);
            for (i, batch) in part.chunks(step.batch).enumerate() {
                let log = i % logs;
                let sink = host.ingest(&format!("log{log}")).unwrap();
                let again: Vec<&String> =
                    sent[log].iter().copied().step_by(7).take(step.again).collect();
                let body = again.iter().copied().chain(batch).cloned().collect::<String>();
                let taken = sink.accept(body.as_bytes(), Some("application/x-ndjson"), None, false);
                let taken = taken.unwrap();
                prop_assert_eq!(taken.accepted, batch.len() as u64);
                prop_assert_eq!(taken.duplicates, again.len() as u64);
                sent[log].extend(batch);
                if step.flush {
                    host.flush();
                }
            }
            end(host, step);
        }
        let host = start(steps.last().unwrap());
        wait_level(&host, lines.len());
        let rows = rows(&host);
        host.stop();
        prop_assert_eq!(rows, scene.straight(&lines));
    }

    #[test]
    fn what_history_and_live_both_hold_does_not_show_in_the_rows(
        mut drafts in prop::collection::vec(draft(), 50..300),
        steps in steps(),
        shares in (0usize..=8, 0usize..=8),
    ) {
        let scene = Scene::new();
        // A history is asked from 1970 on.
        drafts.iter_mut().for_each(|draft| draft.seconds = draft.seconds.max(0));
        let lines = lines(&drafts, true);
        let (live_from, history_to) = (shares.0.min(shares.1), shares.0.max(shares.1));
        let share = |eighths: usize| lines.len() * eighths / 8;
        let history = scene.path("history.ndjson");
        std::fs::write(&history, lines[..share(history_to)].concat()).unwrap();
        let start = |step: &Step| {
            let host = scene.host("split", step).source("http:live").unwrap();
            host.history(&source(&history)).unwrap().start().unwrap()
        };
        for (step, part) in parts(&lines[share(live_from)..], &steps) {
            let host = start(step);
            let sink = host.ingest("live").unwrap();
            for batch in part.chunks(step.batch) {
                let body = batch.concat();
                let taken = sink.accept(body.as_bytes(), Some("application/x-ndjson"), None, false);
                let taken = taken.unwrap();
                prop_assert_eq!(taken.accepted + taken.duplicates, batch.len() as u64);
                if step.flush {
                    host.flush();
                }
            }
            end(host, step);
        }
        let host = start(steps.last().unwrap());
        wait_level(&host, lines.len());
        let rows = rows(&host);
        host.stop();
        prop_assert_eq!(rows, scene.straight(&lines));
    }
}

/// Long enough for several batches to be read at a time.
#[test]
fn neither_threads_nor_small_dictionaries_show_in_the_rows_of_a_long_stream() {
    let scene = Scene::new();
    let draft = |i: i64| {
        let text = ["a", "ä", "z\\n", "😀"][i as usize % 4];
        let members = format!(
            r#","key":"k{}","name":"n{}","int":{},"num":{}.5e-3,"text":"{text}","raw":[{i}]"#,
            i % 7,
            i * i % 311,
            i * 7919 % 1000,
            i % 977,
        );
        Draft { seconds: i * 13 % 20_000, members }
    };
    let lines = lines(&(0..12_000).map(draft).collect::<Vec<_>>(), false);
    let straight = scene.straight(&lines);
    for (threads, dictionary) in [(4, 1 << 20), (1, 4), (4, 4)] {
        let name = format!("{threads}-{dictionary}");
        let step = Step { threads, dictionary, ..STRAIGHT };
        let rows = read_once(scene.host(&name, &step), &scene.path("straight.ndjson"));
        assert!(rows == straight, "other rows with {step:?}");
    }
}

fn append(file: &Path, text: &str) {
    use std::io::Write;
    let mut file = std::fs::File::options().create(true).append(true).open(file).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
