//! A statscache's database in a real PostgreSQL: read as the one in SQLite is.
#![cfg(feature = "real-servers")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use statmill_tests::archive::Postgres;
use statmill_tests::{failure, output, plugins, write};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");

/// Tables as the original makes them: `user` is a word of SQL, times name no zone.
const TABLES: &str = "
    create table data_volume_by_user_1h (id serial primary key, timestamp timestamp not null,
        volume integer not null, \"user\" text not null);
    insert into data_volume_by_user_1h (timestamp, volume, \"user\") values
        ('2017-07-14 04:00:00', 3, 'jo'), ('2017-07-14 04:00:00', 2, 'jürgen, \"x\"'),
        ('2017-07-14 05:00:00', 9, 'jo'), ('2017-07-14 06:00:00', 1, 'jo');
    create table data_volume_1s (id serial primary key, timestamp timestamp not null, volume integer not null);
    insert into data_volume_1s (timestamp, volume) values
        ('2017-07-14 03:30:00.25', 3), ('2017-07-14 03:30:00.75', 2), ('2017-07-14 05:10:00', 1);
    create table of_others (id integer);";

#[test]
fn tables_in_postgresql_are_a_base_as_those_in_sqlite_are() {
    let (postgres, data) = (Postgres::start(), TempDir::new().unwrap());
    postgres.run("postgres", "create database statscache");
    postgres.run("statscache", TABLES);
    let plugins = plugins(&["statmill-volume"]);
    let (data, plugins) = (data.path().to_str().unwrap(), plugins.path().to_str().unwrap());
    let address = format!("postgres://postgres@127.0.0.1:{}/statscache", postgres.port);
    let import = ["import", "statscache", &address, "--data", data, "--plugins", plugins];
    let _ = output(PROGRAM, &import);
    let show = |ident: &str| {
        let show = ["show", ident, "--data", data, "--order", "asc", "--format", "csv"];
        output(PROGRAM, &show)
    };
    // The hour that was open at the newest message is counted anew.
    assert_eq!(
        show("volume-by-user-1h"),
        "timestamp,user,volume\n1500004800.0,jo,3\n1500004800.0,\"jürgen, \"\"x\"\"\",2\n1500008400.0,jo,9\n"
    );
    assert_eq!(show("volume-1s"), "timestamp,volume\n1500003001.0,5\n");
    // Counting goes on in that hour, and leaves the hours before it alone.
    let messages = [1_500_008_399, 1_500_008_400]
        .map(|time| format!("{{\"topic\":\"t\",\"timestamp\":{time},\"users\":[\"jo\"]}}\n"));
    let folder = TempDir::new().unwrap();
    let file = write(folder.path(), "messages.ndjson", &messages.concat());
    let source = format!("file:{}", file.display());
    let _ = output(
        PROGRAM,
        &["run", "--once", "--source", &source, "--data", data, "--plugins", plugins],
    );
    assert!(show("volume-by-user-1h").ends_with("1500008400.0,jo,9\n1500012000.0,jo,1\n"));
}

#[test]
fn no_password_is_shown_when_the_database_cannot_be_read() {
    let postgres = Postgres::start();
    let data = TempDir::new().unwrap();
    let address = format!("postgres://nobody:s3cret@127.0.0.1:{}/statscache", postgres.port);
    let said = failure(
        PROGRAM,
        &["import", "statscache", &address, "--data", data.path().to_str().unwrap()],
    );
    assert!(said.contains("PostgreSQL") && said.contains("nobody"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
}
