//! What is fetched from a history is counted once and leaves little behind, however often the host starts.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use statmill::Host;
use statmill::query::{LogStatus, StatState, StatStatus};
use statmill_plugin_api::encoding::Value;
use statmill_tests::{drop_in, plugins, wait_until};
use tempfile::TempDir;

const STAT: &str = "recent";
const HOUR_US: i64 = 3_600_000_000;

/// Window start and key; count and sum.
type Rows = BTreeMap<(i64, String), (i128, i128)>;

/// A message: its time, µs since 1970, and its number.
type Message = (i64, i64);

fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros().try_into().unwrap()
}

fn ndjson(messages: &[Message]) -> String {
    let line = |&(time, number): &Message| {
        let (seconds, micros, key) = (time / 1_000_000, time % 1_000_000, number % 3);
        format!(
            "{{\"id\":\"{number}\",\"topic\":\"t\",\"time\":{seconds}.{micros:06},\"key\":\"key-{key}\",\"int\":{number}}}\n"
        )
    };
    messages.iter().map(line).collect()
}

fn counted(messages: &[Message]) -> Rows {
    let mut rows = Rows::new();
    for &(time, number) in messages {
        let window = time.div_euclid(HOUR_US) * HOUR_US;
        let row = rows.entry((window, format!("key-{}", number % 3))).or_default();
        *row = (row.0 + 1, row.1 + i128::from(number));
    }
    rows
}

fn rows(host: &Host) -> Rows {
    let table = host.rows(STAT, None).unwrap();
    let row = |row: &Vec<Value>| match &row[..] {
        [Value::Time(window), Value::Text(key), Value::Int(count), Value::Int(sum)] => {
            ((*window, key.to_string()), (*count, *sum))
        }
        other => panic!("an odd row: {other:?}"),
    };
    table.rows.iter().map(row).collect()
}

struct Scene {
    folder: TempDir,
    plugins: TempDir,
    /// All there is, by whatever way it came.
    all: Vec<Message>,
}

impl Scene {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("history.ndjson"), "").unwrap();
        Self { folder, plugins: plugins(&["every-aggregator"]), all: Vec::new() }
    }

    fn start(&self, sources: &[&str]) -> Host {
        let history = format!("file:{}", self.path().join("history.ndjson").display());
        let mut host = Host::builder().data(self.path().join("data")).plugin(self.plugins.path());
        for source in sources {
            host = host.source(source).unwrap();
        }
        host.history(&history).unwrap().start().unwrap()
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// So many new messages of this moment.
    fn happen(&mut self, count: usize) -> Vec<Message> {
        let first = self.all.len() as i64;
        let new: Vec<Message> =
            (first..first + count as i64).map(|number| (now_us(), number)).collect();
        self.all.extend(&new);
        new
    }

    fn archive(&self, messages: &[Message]) {
        let path = self.path().join("history.ndjson");
        let mut file = std::fs::File::options().append(true).open(path).unwrap();
        file.write_all(ndjson(messages).as_bytes()).unwrap();
    }

    fn fills(&self) -> usize {
        std::fs::read_dir(self.path().join("data/fills")).map_or(0, Iterator::count)
    }

    fn wait(&self, host: &Host) {
        let expected = counted(&self.all);
        wait_until(|| {
            host.flush();
            let rows = rows(host);
            if rows == expected && host.catalog().ready() && fetched(host) {
                return Ok(());
            }
            Err(format!("{rows:?} instead of {expected:?}: {:#?}", host.catalog().status()))
        });
    }
}

fn fetched(host: &Host) -> bool {
    let logs: Vec<LogStatus> = host.catalog().status().logs;
    logs.iter().flat_map(|log| &log.fills).all(|fill| fill.finished)
}

fn send(host: &Host, source: &str, messages: &[Message]) -> (u64, u64) {
    let sink = host.ingest(source).unwrap();
    let text = ndjson(messages);
    let accepted = sink.accept(text.as_bytes(), Some("application/x-ndjson"), None, false).unwrap();
    (accepted.accepted, accepted.duplicates)
}

#[test]
fn restarts_with_gaps_leave_few_fills_lanes_and_positions_and_exact_rows() {
    let mut scene = Scene::new();
    let mut late = Vec::new();
    for round in 0..25 {
        let gap = scene.happen(3);
        scene.archive(&gap);
        late.extend(gap);
        let host = scene.start(&["http:live"]);
        scene.wait(&host);
        let live = scene.happen(2);
        assert_eq!(send(&host, "live", &live), (2, 0));
        scene.archive(&live);
        scene.wait(&host);
        if round % 2 == 0 {
            host.stop();
        }
    }
    let host = scene.start(&["http:live"]);
    scene.wait(&host);
    let status = host.catalog().status();
    assert!(scene.fills() <= 2, "{} fills", scene.fills());
    assert!(status.logs.len() <= 3, "{} logs", status.logs.len());
    let stat: &StatStatus = status.stats.iter().find(|stat| stat.ident == STAT).unwrap();
    assert!(stat.positions.len() <= 3, "{} positions", stat.positions.len());
    let read: u64 = stat.positions.values().map(|position| position.messages).sum();
    assert_eq!(read + stat.retired_messages, scene.all.len() as u64);
    // Their senders deliver now what the history gave long ago, through fills that are gone.
    assert_eq!(send(&host, "live", &late), (0, late.len() as u64));
    host.stop();

    // Who comes later asks for all of it again.
    drop_in(scene.plugins.path(), "statmill-volume");
    let host = scene.start(&["http:live"]);
    scene.wait(&host);
    let volume = |host: &Host| {
        host.flush();
        let status = host.catalog().status();
        status.stats.iter().find(|stat| stat.ident == "volume-1d").unwrap().messages
    };
    let counted = wait_until(|| match volume(&host) {
        counted if counted < scene.all.len() as u64 => Err(format!("{counted} are counted")),
        counted => Ok(counted),
    });
    assert_eq!(counted, scene.all.len() as u64);
    host.stop();
    let host = scene.start(&["http:live"]);
    scene.wait(&host);
    assert_eq!(volume(&host), scene.all.len() as u64);
    host.stop();
}

#[test]
fn a_new_version_asks_again_for_what_retired_fills_gave_the_old_one() {
    let mut scene = Scene::new();
    scene.plugins = plugins(&["odd-plugin"]);
    let history = scene.happen(40);
    scene.archive(&history);
    let level = |scene: &Scene, host: &Host| {
        wait_until(|| {
            host.flush();
            let stat = host.catalog().status().stats.remove(0);
            if stat.messages >= scene.all.len() as u64 && stat.state == StatState::Live {
                assert_eq!(stat.messages, scene.all.len() as u64);
                return Ok(stat);
            }
            Err(format!("not level: {:#?}", host.catalog().status()))
        })
    };
    for _ in 0..3 {
        let host = scene.start(&["http:live"]);
        level(&scene, &host);
        let live = scene.happen(2);
        send(&host, "live", &live);
        level(&scene, &host);
        host.stop();
    }
    let host = scene.start(&["http:live"]);
    let old = level(&scene, &host);
    assert_eq!((old.retired_messages, scene.fills()), (40, 1));
    host.stop();

    scene.plugins = plugins(&["odd-plugin-next"]);
    for _ in 0..3 {
        let host = scene.start(&["http:live"]);
        let new = level(&scene, &host);
        assert_eq!(new.ident, old.ident);
        host.stop();
    }
}

#[test]
fn a_source_added_later_gets_its_past_from_the_history_and_is_counted_once() {
    let mut scene = Scene::new();
    let host = scene.start(&["http:a"]);
    let first = scene.happen(5);
    assert_eq!(send(&host, "a", &first), (5, 0));
    // Meanwhile others send to a bus we do not listen to yet.
    let unheard = scene.happen(7);
    let second = scene.happen(5);
    assert_eq!(send(&host, "a", &second), (5, 0));
    host.stop();
    scene.archive(&scene.all);

    for _ in 0..3 {
        let host = scene.start(&["http:a", "http:b"]);
        scene.wait(&host);
        let news = scene.happen(2);
        assert_eq!(send(&host, "b", &news), (2, 0));
        scene.archive(&news);
        scene.wait(&host);
        assert_eq!(send(&host, "b", &unheard), (0, 7));
        host.stop();
    }
    // A source under another name is not taken for one whose messages were never counted.
    let host = scene.start(&["http:renamed"]);
    scene.wait(&host);
    host.stop();
    let host = scene.start(&["http:a", "http:b"]);
    scene.wait(&host);
    host.stop();
}
