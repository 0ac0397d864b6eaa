//! A stat that hangs is stopped, and one that is slow reads by itself: all others count on, exactly.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use statmill::{Host, StatLimits};
use statmill_tests::{Running, failure, ndjson, output, plugins, start, wait_until, write};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");

/// By the clock it is twenty times as long. Who hangs is left alone.
const DEADLINE: &str = "stat_limits.deadline = \"300ms\"\nworker.takes_hung = false\n";

/// Long enough for a process to begin. Who hangs goes on in one.
const MOVES: &str = "stat_limits.deadline = \"1s\"\n";

/// For what ends, however slow the machine is.
const PATIENT: &str = "stat_limits.deadline = \"10m\"\n";

fn wish(what: &str) -> String {
    format!("{{\"topic\":\"a.b\",\"timestamp\":1500000000,\"do\":\"{what}\"}}\n")
}

fn show(data: &Path, ident: &str) -> u64 {
    let args = ["show", ident, "--data", data.to_str().unwrap(), "--format", "json"];
    let rows: Vec<Value> = serde_json::from_str(&output(PROGRAM, &args)).unwrap();
    let count = |row: &Value| row["count"].as_u64().or(row["volume"].as_u64()).unwrap();
    rows.iter().map(count).sum()
}

/// Starts a host with one worker for all stats and an HTTP source.
fn start_one_worker(folder: &Path, plugins: &Path, config: &str) -> Running {
    let config = write(folder, "statmill.toml", config);
    let data = folder.join("data");
    let [data, plugins, config] = [&data, plugins, &config].map(|path| path.to_str().unwrap());
    let args = ["--source", "http:all", "--data", data, "--plugins", plugins, "--threads", "1"];
    start(PROGRAM, &[&args[..], &["--config", config]].concat(), &[]).unwrap()
}

fn send(host: &Running, text: &str) {
    let url = format!("{}/ingest/all", host.url);
    assert_eq!(ureq::post(url).send(text).unwrap().status(), 202);
}

fn stat(status: &Value, ident: &str) -> Value {
    let mut stats = status["stats"].as_array().unwrap().iter();
    stats.find(|stat| stat["ident"] == ident).unwrap().clone()
}

/// Waits until each of `idents` has folded `messages` messages.
fn wait_for(host: &Running, idents: &[&str], messages: u64) {
    wait_until(|| {
        let status = host.status();
        let all = idents.iter().all(|ident| stat(&status, ident)["messages"] == messages);
        if all { Ok(()) } else { Err(status["stats"].to_string()) }
    });
}

/// Waits until `odd` has so many dead letters and has folded all else that there is.
fn wait_letters(host: &Running, letters: u64) {
    wait_until(|| match stat(&host.status(), "odd") {
        odd if odd["dead_letters"] == letters && odd["lag_messages"] == 0 => Ok(()),
        odd => Err(odd.to_string()),
    });
}

/// Waits until `ident` has counted so many messages.
fn wait_counted(host: &Running, ident: &str, count: u64) {
    wait_until(|| match stat(&host.status(), ident) {
        stat if stat["messages"] == count => Ok(()),
        stat => Err(stat.to_string()),
    });
}

/// Runs the program once with `config` over messages with one that wishes `what`, judges by `check` how it
/// ended, and answers with the data folder and what it said.
fn run_with(
    what: &str,
    config: &str,
    check: impl Fn(&str, &[&str]) -> String,
) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let text = ndjson(0..2000) + &wish(what) + &ndjson(2000..4000);
    let messages = write(folder.path(), "messages.ndjson", &text);
    let (data, plugins) = (folder.path().join("data"), plugins(&["odd-plugin", "statmill-volume"]));
    let config = write(folder.path(), "statmill.toml", config);
    let said = check(
        PROGRAM,
        &[
            "run",
            "--once",
            "--source",
            &format!("file:{}", messages.display()),
            "--data",
            data.to_str().unwrap(),
            "--plugins",
            plugins.path().to_str().unwrap(),
            "--threads",
            "1",
            "--config",
            config.to_str().unwrap(),
        ],
    );
    for ident in ["volume-1d", "odd-slow", "odd-daily"] {
        assert_eq!(show(&data, ident), 4001, "{ident}");
    }
    (folder, said)
}

/// Runs the program once over messages of which one hangs `odd`, and answers what it said.
fn hang_once(what: &str) -> String {
    let (folder, said) = run_with(what, DEADLINE, failure);
    assert!(show(&folder.path().join("data"), "odd") <= 2000);
    said
}

#[test]
fn a_message_that_makes_a_million_rows_is_passed_over_with_the_number() {
    let (folder, said) = run_with("flood", PATIENT, failure);
    let reason = "it holds 1000000 rows between two commits, more than the 500000 that \
                  stat_limits.checkpoint_rows allows";
    assert!(said.contains("odd-flood passed over what its plugin cannot fold: 1 of"), "{said}");
    assert!(said.contains(reason), "{said}");
    assert_eq!(show(&folder.path().join("data"), "odd-flood"), 4000);
}

#[test]
fn a_row_that_is_too_large_stops_its_stat_with_the_number_and_nothing_of_it_is_committed() {
    let (folder, said) = run_with("fat", PATIENT, failure);
    let reason = "bytes in one row, more than the 1048576 that stat_limits.row_bytes allows";
    assert!(said.contains("odd-flood is quarantined"), "{said}");
    assert!(said.contains(reason), "{said}");
    assert!(show(&folder.path().join("data"), "odd-flood") <= 2000);
}

#[test]
fn a_stat_that_loops_is_quarantined_and_those_on_its_thread_count_everything() {
    let said = hang_once("loop");
    // Of CPU time, if it gets any.
    let reason = "odd is quarantined: it hung: one call (fold) took";
    assert!(said.contains(reason), "{said}");
}

#[test]
fn a_stat_that_waits_for_ever_is_quarantined_and_those_on_its_thread_count_everything() {
    let said = hang_once("block");
    let reason = "odd is quarantined: it hung: one call (fold) took 6s and did not end";
    assert!(said.contains(reason), "{said}");
}

#[test]
fn a_host_with_a_thread_given_up_goes_on_says_so_and_ends_when_asked() {
    let folder = TempDir::new().unwrap();
    let (data, plugins) = (folder.path().join("data"), plugins(&["odd-plugin", "statmill-volume"]));
    let host = start_one_worker(folder.path(), plugins.path(), DEADLINE);
    send(&host, &(ndjson(0..500) + &wish("loop")));
    let status = wait_until(|| {
        let status = host.status();
        let is_over = stat(&status, "odd")["state"] == "quarantined";
        if is_over { Ok(status) } else { Err(status.to_string()) }
    });
    assert_eq!(status["host"]["threads"], serde_json::json!({ "given_up": 1, "stuck": 1 }));
    let reason = stat(&status, "odd")["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("stat_limits.deadline"), "{reason}");

    send(&host, &ndjson(500..1000));
    wait_for(&host, &["volume-1d", "odd-daily"], 1001);
    let metrics = ureq::get(format!("{}/metrics", host.url)).call().unwrap();
    let metrics = metrics.into_body().read_to_string().unwrap();
    assert!(metrics.contains("\nstatmill_threads_given_up_total 1\n"), "{metrics}");
    assert!(host.stop());
    assert_eq!(show(&data, "volume-1d"), 1001);
}

#[test]
fn a_stat_that_loops_goes_on_in_a_process_and_counts_all_but_the_message_in_which_it_does() {
    let (folder, said) = run_with("loop", MOVES, failure);
    assert!(said.contains("odd passed over what its plugin cannot fold: 1 of"), "{said}");
    assert!(said.contains("no answer within 1 s of CPU time"), "{said}");
    assert_eq!(show(&folder.path().join("data"), "odd"), 4000);
}

#[test]
fn a_stat_that_loops_counts_on_in_a_process_until_it_is_brought_back() {
    let folder = TempDir::new().unwrap();
    let (data, plugins) = (folder.path().join("data"), plugins(&["odd-plugin", "statmill-volume"]));
    let host = start_one_worker(folder.path(), plugins.path(), MOVES);
    send(&host, &(ndjson(0..5) + &wish("loop") + &ndjson(5..10)));
    wait_for(&host, &["volume-1d", "odd-daily"], 11);
    wait_letters(&host, 1);
    let status = host.status();
    assert_eq!(status["host"]["threads"]["given_up"], 1, "{}", status["host"]);
    let odd = stat(&status, "odd");
    assert!(odd["outside"]["text"].as_str().unwrap().contains("it hung: one call (fold)"), "{odd}");
    assert_eq!(stat(&status, "odd-daily")["outside"], Value::Null);
    assert!(host.stop());
    assert_eq!(show(&data, "odd"), 10);

    // The move outlives the host: here nothing hangs any more.
    let host = start_one_worker(folder.path(), plugins.path(), MOVES);
    let moved = stat(&host.status(), "odd");
    assert_eq!(moved["outside"], odd["outside"]);
    send(&host, &(ndjson(10..15) + &wish("loop") + &ndjson(15..20)));
    wait_letters(&host, 2);
    assert_eq!(host.status()["host"]["threads"]["given_up"], 0);

    let resume = ["plugins", "resume", "odd", "--url", &host.url];
    let _ = output(PROGRAM, &resume);
    assert_eq!(stat(&host.status(), "odd")["outside"], Value::Null);
    send(&host, &ndjson(20..30));
    wait_for(&host, &["volume-1d", "odd-daily"], 32);
    wait_counted(&host, "odd", 30);
    let again = failure(PROGRAM, &resume);
    assert!(again.contains("only what is quarantined, or was moved"), "{again}");
    assert!(host.stop());
    for (ident, count) in [("odd", 30), ("odd-daily", 32), ("volume-1d", 32)] {
        assert_eq!(show(&data, ident), count, "{ident}");
    }
}

#[test]
fn a_stat_that_hangs_where_no_process_can_be_had_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let text = ndjson(0..20) + &wish("block");
    let messages = write(folder.path(), "messages.ndjson", &text);
    let plugins = plugins(&["odd-plugin"]);
    // This program does not serve as one.
    let limits = StatLimits { deadline: Duration::from_millis(300), ..StatLimits::default() };
    let host = Host::builder()
        .data(folder.path().join("data"))
        .plugin(plugins.path())
        .source(&format!("file:{}", messages.display()))
        .unwrap()
        .stat_limits(limits)
        .once()
        .start()
        .unwrap();
    host.wait_finished().unwrap();
    let stats = host.catalog().status().stats;
    let odd = stats.iter().find(|stat| stat.ident == "odd").unwrap();
    assert_eq!(odd.state.to_string(), "quarantined");
    assert!(odd.outside.is_none());
    host.stop();
}

#[test]
fn a_host_that_is_asked_to_end_while_a_stat_hangs_ends() {
    let folder = TempDir::new().unwrap();
    let plugins = plugins(&["odd-plugin", "statmill-volume"]);
    let host = start_one_worker(folder.path(), plugins.path(), DEADLINE);
    send(&host, &ndjson(0..500));
    wait_for(&host, &["volume-1d", "odd"], 500);
    send(&host, &wish("block"));
    assert!(host.stop());

    // Nothing is lost: who has not folded it yet does so now, and the stat hangs again.
    let host = start_one_worker(folder.path(), plugins.path(), DEADLINE);
    wait_for(&host, &["volume-1d", "odd-slow"], 501);
    assert!(host.stop());
}

/// Sends messages to a host one of whose stats is slow until all others have them, and then some more.
fn slow_one_is_left_behind(burns: bool) {
    let folder = TempDir::new().unwrap();
    let (data, plugins) = (folder.path().join("data"), plugins(&["odd-plugin", "statmill-volume"]));
    let gate = write(folder.path(), "slow", "");
    let config =
        format!("[stats.odd-slow]\nconfig = {{ slow_while = {gate:?}, burns = {burns} }}\n");
    let host = start_one_worker(folder.path(), plugins.path(), &config);
    let others = ["volume-1d", "odd", "odd-hourly", "odd-daily"];
    for part in 0..10 {
        send(&host, &ndjson(part * 2000..(part + 1) * 2000));
    }
    wait_for(&host, &others, 20_000);
    let slow = stat(&host.status(), "odd-slow");
    assert_eq!(slow["state"], "lagging", "{slow}");
    assert!(slow["reason"].as_str().unwrap().contains("reads its logs by itself"), "{slow}");
    assert!(slow["messages"].as_u64().unwrap() < 20_000, "{slow}");

    std::fs::remove_file(&gate).unwrap();
    wait_for(&host, &["odd-slow"], 20_000);
    wait_until(|| match stat(&host.status(), "odd-slow") {
        slow if slow["state"] == "live" => Ok(()),
        slow => Err(slow.to_string()),
    });
    send(&host, &ndjson(20_000..22_000));
    wait_for(&host, &["odd-slow", "volume-1d", "odd", "odd-hourly", "odd-daily"], 22_000);
    assert!(host.stop());
    for ident in ["odd-slow", "volume-1d", "odd", "odd-hourly", "odd-daily"] {
        assert_eq!(show(&data, ident), 22_000, "{ident}");
    }
}

#[test]
fn a_stat_that_sleeps_reads_by_itself_and_comes_back_when_it_is_level() {
    slow_one_is_left_behind(false);
}

#[test]
fn a_stat_that_computes_too_long_reads_by_itself_and_comes_back_when_it_is_level() {
    slow_one_is_left_behind(true);
}

#[test]
fn a_slow_stat_that_reads_files_to_their_end_counts_everything() {
    let folder = TempDir::new().unwrap();
    let messages = write(folder.path(), "messages.ndjson", &ndjson(0..30_000));
    let (plugins, gate) = (plugins(&["odd-plugin"]), write(folder.path(), "slow", ""));
    let config = serde_json::json!({ "slow_while": gate }).to_string();
    let host = Host::builder()
        .data(folder.path().join("data"))
        .plugin(plugins.path())
        .source(&format!("file:{}", messages.display()))
        .unwrap()
        .stat_config("odd-slow", &config)
        .stat_limits(StatLimits { deadline: Duration::from_secs(60), ..StatLimits::default() })
        .threads(1)
        .once()
        .start()
        .unwrap();
    let catalog = host.catalog();
    wait_until(|| {
        let stats = catalog.status().stats;
        let of = |ident: &str| stats.iter().find(|stat| stat.ident == ident).unwrap();
        let is_behind = of("odd-slow").state.to_string() == "lagging";
        let done = of("odd").messages == 30_000 && of("odd-daily").messages == 30_000;
        if is_behind && done { Ok(()) } else { Err(format!("{stats:?}")) }
    });
    std::fs::remove_file(&gate).unwrap();
    host.wait_finished().unwrap();
    let counts = |ident: &str| host.catalog().stat(ident).unwrap().snapshot.record().messages;
    assert_eq!(["odd", "odd-slow", "odd-hourly", "odd-daily"].map(counts), [30_000; 4]);
    let rows = host.rows("odd-slow", None).unwrap();
    assert_eq!(rows, host.rows("odd", None).unwrap());
    host.stop();
}
