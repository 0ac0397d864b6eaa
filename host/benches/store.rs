//! What commits, starts and reads cost: `cargo bench -p statmill --bench store -- [PART] [ROWS] [CHECKPOINTS]`.
//!
//! PART is one of these, or none for all:
//! - `checkpoints`: ten statistics of 10,000 rows, 1,000 of them changed by each checkpoint, CHECKPOINTS
//!   (400) of them back to back; once more with an index;
//! - `large`: one statistic of ROWS rows (1,000,000): filling it, opening it again, reading a page of 100
//!   rows out of its middle; once more with an index;
//! - `restart`: a process fills one statistic of ROWS rows and is killed; then a host starts on the
//!   folder, and answers.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use statmill::Host;
use statmill::store::{Database, KeyBounds, Order, StatStore};
use statmill_plugin_api::aggregate::{Count, MeasureOptions, Moments, Stamp3, State};
use statmill_plugin_api::encoding::{BlockWriter, Value, encode_key};
use statmill_plugin_api::manifest::StatManifest;

const HOUR_US: i64 = 3_600_000_000;
const STATS: usize = 10;
const KEYS: u64 = 10_000;
const DIRTY: usize = 1_000;

fn main() {
    // cargo adds `--bench`.
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let mut numbers = arguments.iter().filter_map(|argument| argument.parse().ok());
    let rows = numbers.next().unwrap_or(1_000_000);
    let commits = numbers.next().unwrap_or(400);
    if let Some(folder) = std::env::var_os(FILL) {
        fill_and_die(folder.as_ref(), rows);
    }
    let parts: [(&str, &dyn Fn()); 3] = [
        ("checkpoints", &|| {
            [None, Some("count")].into_iter().for_each(|index| checkpoints(commits, index))
        }),
        ("large", &|| [None, Some("count")].into_iter().for_each(|index| large(rows, index))),
        ("restart", &|| restart(rows)),
    ];
    let named = |name| arguments.iter().any(|argument| argument == name);
    let all = !parts.iter().any(|(name, _)| named(*name));
    parts.iter().filter(|(name, _)| all || named(*name)).for_each(|(_, part)| part());
}

fn checkpoints(checkpoints: u64, index: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path()).unwrap().database;
    let mut stats: Vec<_> = (0..STATS)
        .map(|number| database.open_stat(&manifest(&format!("stat-{number}"), index)).unwrap())
        .collect();
    let all: Vec<u64> = (0..KEYS).collect();
    stats.iter_mut().for_each(|stat| commit(stat, &block(&all, 1)));
    let mut noise = noise(1);
    let (mut commits, mut syncs, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..checkpoints {
        let blocks: Vec<_> = stats
            .iter()
            .map(|_| {
                let mut keys: Vec<u64> = (0..DIRTY).map(|_| noise(KEYS)).collect();
                keys.sort_unstable();
                keys.dedup();
                block(&keys, round as i64)
            })
            .collect();
        let (start, cpu_start) = (Instant::now(), cpu_time());
        stats.iter_mut().zip(&blocks).for_each(|(stat, block)| commit(stat, block));
        commits.push(start.elapsed());
        cpu.push(cpu_time() - cpu_start);
        let start = Instant::now();
        database.sync().unwrap();
        syncs.push(start.elapsed());
    }
    println!(
        "checkpoint of {STATS} statistics, {DIRTY} of {KEYS} rows changed, {checkpoints} times, \
         index {index:?}"
    );
    report("  commit", commits);
    report("  of it CPU (all threads)", cpu);
    report("  flush and fsync", syncs);
    println!("  disk {} MB", disk_mb(folder.path()));
    drop((stats, database));
    let start = Instant::now();
    let database = Database::open(folder.path()).unwrap().database;
    let opened = start.elapsed();
    let idents = database.idents().unwrap();
    let stats: Vec<_> = idents.iter().map(|ident| database.open_stored(ident).unwrap()).collect();
    println!("  open {opened:.1?}, with {} statistics {:.1?}", stats.len(), start.elapsed());
}

/// The folder that a process started by [`restart`] fills.
const FILL: &str = "STATMILL_BENCH_FILL";
/// Rows of one commit where many are made.
const AT_ONCE: u64 = 50_000;

fn fill(stat: &mut StatStore, rows: u64) {
    for from in (0..rows).step_by(AT_ONCE as usize) {
        let keys: Vec<u64> = (from..rows.min(from + AT_ONCE)).collect();
        commit(stat, &block(&keys, 1));
    }
}

/// Fills a statistic, commits a little more, and ends as at SIGKILL.
fn fill_and_die(folder: &Path, rows: u64) -> ! {
    let database = Database::open(folder).unwrap().database;
    let mut stat = database.open_stat(&manifest("large", None)).unwrap();
    fill(&mut stat, rows);
    let mut noise = noise(2);
    for round in 0..100 {
        let mut keys: Vec<u64> = (0..DIRTY).map(|_| noise(rows)).collect();
        keys.sort_unstable();
        keys.dedup();
        commit(&mut stat, &block(&keys, round));
    }
    database.sync().unwrap();
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort();
}

fn restart(rows: u64) {
    let folder = tempfile::tempdir().unwrap();
    let messages = folder.path().join("messages.ndjson");
    std::fs::write(&messages, "").unwrap();
    let data = folder.path().join("data");
    let program = std::env::current_exe().unwrap();
    let mut filling = std::process::Command::new(program);
    filling.arg(rows.to_string()).env(FILL, &data).status().unwrap();
    println!("restart with {rows} rows, after SIGKILL; disk {} MB", disk_mb(&data));
    let source = format!("file:{}", messages.display());
    for time in ["first", "second"] {
        let start = Instant::now();
        drop(Database::open_existing(&data).unwrap());
        println!("  {time} opening of sled alone {:.1?}", start.elapsed());
        // Its threads let go of the file a little later.
        std::thread::sleep(Duration::from_secs(1));
        let start = Instant::now();
        let builder = Host::builder().data(&data).source(&source).unwrap();
        let host = builder.listen("127.0.0.1:0").start().unwrap();
        let served = start.elapsed();
        let snapshot = host.catalog().stat("large").unwrap().snapshot;
        let start = Instant::now();
        assert_eq!(snapshot.rows(0), rows);
        let page = snapshot.scan(0, &KeyBounds::default(), Order::Desc, rows / 2).take(100);
        assert_eq!(page.map(Result::unwrap).count(), 100);
        let page = start.elapsed();
        println!("  {time} start to serving {served:.1?}, a page {page:.1?}, rss {} MB", rss_mb());
        host.stop();
    }
}

fn large(rows: u64, index: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    let manifest = manifest("large", index);
    let start = Instant::now();
    {
        let database = Database::open(folder.path()).unwrap().database;
        let mut stat = database.open_stat(&manifest).unwrap();
        fill(&mut stat, rows);
        let (took, rss) = (start.elapsed(), rss_mb());
        println!("{rows} rows, in order: {took:.1?}, rss {rss} MB, index {index:?}");
        let mut noise = noise(2);
        let mut times = Vec::new();
        for round in 0..100 {
            let mut keys: Vec<u64> = (0..DIRTY).map(|_| noise(rows)).collect();
            keys.sort_unstable();
            keys.dedup();
            let block = block(&keys, round);
            let start = Instant::now();
            commit(&mut stat, &block);
            times.push(start.elapsed());
        }
        report(&format!("  commit of {DIRTY} random rows"), times);
        database.sync().unwrap();
    }
    println!("  disk {} MB, rss {} MB", disk_mb(folder.path()), rss_mb());
    let start = Instant::now();
    let database = Database::open(folder.path()).unwrap().database;
    let opened = start.elapsed();
    let stat = database.open_stored("large").unwrap();
    println!("  open sled {opened:.1?}, with the statistic {:.1?}", start.elapsed());
    let snapshot = stat.snapshot();
    let mut noise = noise(3);
    let mut times = Vec::new();
    for _ in 0..200 {
        let skip = noise(rows - 100);
        let start = Instant::now();
        let page = snapshot.scan(0, &KeyBounds::default(), Order::Desc, skip).take(100);
        assert_eq!(page.map(Result::unwrap).count(), 100);
        times.push(start.elapsed());
    }
    report("  page of 100 rows", times);
    let mut times = Vec::new();
    for _ in 0..200 {
        let window_us = noise(rows / 1_000) as i64 * HOUR_US;
        let start = Instant::now();
        let Some(ranked) = snapshot.by_index(0, Some(window_us), Order::Desc, None) else { break };
        assert_eq!(ranked.take(10).map(Result::unwrap).count(), 10);
        times.push(start.elapsed());
    }
    if !times.is_empty() {
        report("  the 10 largest of a window", times);
    }
    let start = Instant::now();
    let bounds = KeyBounds::windows(Some(7 * HOUR_US), Some(rows as i64 / 2_000 * HOUR_US));
    let count = snapshot.count(0, &bounds).unwrap();
    println!("  count of {count} rows {:.1?}", start.elapsed());
    let start = Instant::now();
    let read = snapshot.scan(0, &KeyBounds::default(), Order::Asc, 0).map(Result::unwrap).count();
    println!("  scan of {read} rows {:.1?}, rss {} MB", start.elapsed(), rss_mb());
}

fn manifest(ident: &str, index: Option<&str>) -> StatManifest {
    serde_json::from_value(serde_json::json!({
        "ident": ident, "title": ident, "model_version": 1,
        "models": [{
            "name": "by_key", "window_s": 3600, "index": index,
            "dimensions": [{"name": "key", "kind": "text"}],
            "measures": [
                {"name": "count", "aggregator": "count"},
                {"name": "size", "aggregator": "moments", "of": "int"},
            ],
        }],
    }))
    .unwrap()
}

fn commit(stat: &mut StatStore, block: &[u8]) {
    let mut record = stat.record().clone();
    record.messages += 1;
    stat.commit(&[(0, block.to_vec())], record).unwrap();
}

/// Increments of the rows number `keys`; a thousand rows share an hour.
fn block(keys: &[u64], size: i64) -> Vec<u8> {
    let (options, mut block) = (MeasureOptions::default(), BlockWriter::new());
    for number in keys {
        let (mut count, mut moments) = (Count::default(), Moments::<i64>::default());
        count.add(Stamp3::default(), 1, &options);
        moments.add(Stamp3::default(), size * 100 + 7, &options);
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let text = Value::Text(format!("org.example.prod.topic.{:04}", number % 1_000).into());
        encode_key(Some((number / 1_000) as i64 * HOUR_US), &[text], &mut key);
        count.encode(&options, &mut value);
        moments.encode(&options, &mut value);
        block.push(&key, &value);
    }
    block.into_bytes()
}

/// Deterministic noise.
fn noise(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |below| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let mean = times.iter().sum::<Duration>() / times.len() as u32;
    println!(
        "{what}: p50 {:.2?}, p99 {:.2?}, max {:.2?}, mean {mean:.2?}",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn rss_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn disk_mb(folder: &std::path::Path) -> u64 {
    std::fs::metadata(folder.join("store/db")).map_or(0, |file| file.len() >> 20)
}
