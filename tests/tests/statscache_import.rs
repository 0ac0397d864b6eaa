//! The database of a statscache becomes the base of our rows, and counting goes on from there exactly.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::Connection;
use serde_json::Value;
use statmill_tests::{all_rows, assert_same_rows, failure, ndjson, output, plugins, write};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");
const LOG: &str = "release-engineering-event-logs";
/// The messages are ten seconds apart from here on, the start of a minute.
const FIRST: i64 = 1_500_000_000;
const MESSAGES: u64 = 600;
/// So many of them the original has counted.
const COUNTED: u64 = 400;

/// A folder with messages, plugins, and the database of a statscache that has counted the first of them.
struct Scene {
    folder: TempDir,
    plugins: TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self {
            folder: TempDir::new().unwrap(),
            plugins: plugins(&["statmill-volume", "statmill-releng"]),
        };
        write(scene.folder.path(), "messages.ndjson", &ndjson(0..MESSAGES));
        write(scene.folder.path(), "first.ndjson", &ndjson(0..COUNTED));
        scene.run("straight", "messages.ndjson");
        scene.run("first", "first.ndjson");
        let database = Connection::open(scene.path("statscache.db")).unwrap();
        for interval in ["1m", "1h", "1d"] {
            let rows = scene.rows("first", &format!("volume-by-category-{interval}"));
            original_table(
                &database,
                &format!("data_volume_by_category_{interval}"),
                "category",
                &rows,
            );
        }
        // The original kept a row for each time of a message, with its fraction.
        database.execute_batch(&create("data_volume_1m", "")).unwrap();
        for i in 0..COUNTED as i64 {
            let time = shown(FIRST + i * 10) + ".250000";
            let sql = "INSERT INTO data_volume_1m (timestamp, volume) VALUES (?, 1)";
            database.execute(sql, [time]).unwrap();
        }
        scene
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn run(&self, data: &str, messages: &str) {
        let (source, data) = (format!("file:{}", self.path(messages)), self.path(data));
        let run = ["run", "--once", "--source", &source, "--data", &data];
        let _ = output(PROGRAM, &[&run[..], &self.flags()].concat());
    }

    fn flags(&self) -> [&str; 2] {
        ["--plugins", self.plugins.path().to_str().unwrap()]
    }

    /// The arguments of an import into the data folder `data`.
    fn import(&self, data: &str, more: &[&str]) -> Vec<String> {
        let address = format!("sqlite:{}", self.path("statscache.db"));
        let (data, [flag, plugins]) = (self.path(data), self.flags());
        let import = ["import", "statscache", &address, "--data", &data, flag, plugins];
        import.iter().chain(more).map(|&arg| arg.to_owned()).collect()
    }

    fn imported(&self, data: &str, more: &[&str]) {
        let args = self.import(data, more);
        let _ = output(PROGRAM, &args.iter().map(String::as_str).collect::<Vec<_>>());
    }

    fn refused(&self, data: &str, more: &[&str]) -> String {
        let args = self.import(data, more);
        failure(PROGRAM, &args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn rows(&self, data: &str, ident: &str) -> Vec<Value> {
        let show = ["show", ident, "--data", &self.path(data), "--format", "json"];
        serde_json::from_str(&output(PROGRAM, &show)).unwrap()
    }

    fn database(&self) -> Connection {
        Connection::open(self.path("statscache.db")).unwrap()
    }
}

/// A time as SQLAlchemy writes it.
fn shown(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds).unwrap().to_zoned(TimeZone::UTC);
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn create(table: &str, columns: &str) -> String {
    format!(
        "CREATE TABLE {table} (id INTEGER NOT NULL PRIMARY KEY, timestamp DATETIME NOT NULL, \
         volume INTEGER NOT NULL{columns})"
    )
}

/// A table as the original makes it, with these rows.
fn original_table(database: &Connection, table: &str, column: &str, rows: &[Value]) {
    database.execute_batch(&create(table, &format!(", {column} TEXT NOT NULL"))).unwrap();
    assert!(!rows.is_empty());
    for row in rows {
        let time = shown(row["timestamp"].as_f64().unwrap() as i64) + ".000000";
        let sql = format!("INSERT INTO {table} (timestamp, volume, {column}) VALUES (?, ?, ?)");
        let volume = row["volume"].as_i64().unwrap();
        database.execute(&sql, (time, volume, row[column].as_str().unwrap())).unwrap();
    }
}

#[test]
fn what_is_counted_after_an_import_goes_on_where_the_original_ended() {
    let scene = Scene::new();
    scene.imported("data", &[]);
    // The windows that were open when the original ended are counted anew, with all messages of their span.
    for interval in ["1m", "1h", "1d"] {
        let ident = format!("volume-by-category-{interval}");
        let (imported, first) = (scene.rows("data", &ident), scene.rows("first", &ident));
        assert!(imported.len() < first.len(), "{ident}: the open window was kept");
        assert!(imported.iter().all(|row| first.contains(row)), "{ident}");
    }
    scene.run("data", "messages.ndjson");
    assert_same_rows(
        &all_rows(PROGRAM, Path::new(&scene.path("data"))),
        &all_rows(PROGRAM, Path::new(&scene.path("straight"))),
    );
}

#[test]
fn the_time_up_to_which_all_was_counted_can_be_told() {
    let scene = Scene::new();
    let until = (FIRST + 1000).to_string();
    scene.imported("data", &["--until", &until]);
    let rows = scene.rows("data", "volume-1m");
    let total: u64 = rows.iter().map(|row| row["volume"].as_u64().unwrap()).sum();
    // Of the hundred messages before the time, those of the sixteen minutes that were over.
    assert_eq!(total, 96);
    scene.run("data", "messages.ndjson");
    assert_eq!(scene.rows("data", "volume-1m"), scene.rows("straight", "volume-1m"));
}

#[test]
fn a_table_that_cannot_be_mapped_is_refused_and_nothing_changed() {
    let scene = Scene::new();
    scene.database().execute_batch(&create("data_popularity", "")).unwrap();
    let said = scene.refused("data", &[]);
    assert!(said.contains("data_popularity: refused") && said.contains("--table"), "{said}");
    assert!(said.contains("data_volume_1m: 400 rows"), "{said}");
    assert_eq!(all_rows(PROGRAM, Path::new(&scene.path("data"))), "");
    scene.imported("data", &["--partial"]);
    assert!(!scene.rows("data", "volume-1m").is_empty());
    let said = scene.refused("data", &["--partial", "--table", "data_popularity=volume-1h"]);
    assert!(said.contains("has rows here already") && said.contains("nothing was"), "{said}");
}

#[test]
fn a_table_of_one_s_own_is_named_with_its_stat() {
    let scene = Scene::new();
    let database = scene.database();
    database.execute_batch(&create("data_mine", "")).unwrap();
    let end = shown(FIRST - FIRST % 3600);
    database.execute("INSERT INTO data_mine (timestamp, volume) VALUES (?, 7)", [end]).unwrap();
    scene.imported("data", &["--table", "data_mine=volume-1h"]);
    let rows = scene.rows("data", "volume-1h");
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (&rows[0]["volume"], rows[0]["timestamp"].as_f64()),
        (&7.into(), Some(1_499_997_600.0))
    );
}

#[test]
fn windows_of_another_time_zone_are_refused_with_what_to_do() {
    let scene = Scene::new();
    let said = scene.refused("data", &["--zone", "America/New_York"]);
    assert!(
        said.contains("data_volume_by_category_1d: refused") && said.contains("--zone"),
        "{said}"
    );
    let said = scene.refused("data", &["--zone", "Mars/Olympus"]);
    assert!(said.contains("Europe/Berlin"), "{said}");
}

#[test]
fn the_log_of_release_engineering_keeps_the_newest_event_wherever_it_came_from() {
    let scene = Scene::new();
    let database = scene.database();
    let create = "CREATE TABLE data_releng_dashboard (id INTEGER NOT NULL PRIMARY KEY, \
        timestamp DATETIME NOT NULL, category TEXT NOT NULL, message TEXT NOT NULL, \
        category_constraint TEXT)";
    database.execute_batch(create).unwrap();
    let old = |constraint: Option<&str>, second: i64| {
        let sql = "INSERT INTO data_releng_dashboard (timestamp, category, message, category_constraint) \
            VALUES (?, 'compose-rawhide_primary', ?, ?)";
        let message = r#"{"name": "Old", "status": "complete"}"#;
        database.execute(sql, (shown(FIRST + second), message, constraint)).unwrap();
    };
    old(Some("rsync"), 5);
    old(Some("mash"), 7);
    // Of updates the original made a row each time, without a constraint.
    old(None, 1);
    old(None, 3);
    let event = |name: &str, second: i64| {
        let topic = format!("org.fedoraproject.prod.compose.rawhide.{name}.start");
        let time = FIRST + second;
        format!("{{\"topic\":\"{topic}\",\"timestamp\":{time},\"msg\":{{}}}}\n")
    };
    let older_and_newer = event("rsync", 4) + &event("mash", 8) + &event("mash", 30_000);
    write(scene.folder.path(), "events.ndjson", &older_and_newer);
    scene.imported("data", &[]);
    scene.run("data", "events.ndjson");
    let rows = scene.rows("data", LOG);
    let found: Vec<_> = rows
        .iter()
        .map(|row| {
            let message: Value = serde_json::from_str(row["message"].as_str().unwrap()).unwrap();
            let seconds = row["timestamp"].as_f64().unwrap() as i64 - FIRST;
            (row["category_constraint"].clone(), seconds, message["name"].clone())
        })
        .collect();
    let expected = [
        (Value::from("mash"), 30_000, Value::from("Mash")),
        ("rsync".into(), 5, "Old".into()),
        (Value::Null, 3, "Old".into()),
    ];
    assert_eq!(found, expected);
}
