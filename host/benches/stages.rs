//! What comes after projecting: fold by aggregator, drain, merge, commit and query, one by one.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

mod common;

use std::hint::black_box;
use std::sync::Arc;

use common::{MESSAGES, batches, cpu_time, messages};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use statmill::log::LogId;
use statmill::project::{self, Caps, Dictionaries, Limits, Mapping, Projection, Projector};
use statmill::query::{self, Query};
use statmill::store::{Database, Tuning};
use statmill_plugin_api::abi::{
    BatchAbi, ColumnAbi, DictionaryAbi, RResult, RSlice, SinkAbi, StatBox,
};
use statmill_plugin_api::export::{Exported, create};
use statmill_plugin_api::manifest::{FieldKind, PluginManifest, StatManifest};
use statmill_plugin_api::prelude::*;

fields! {
    /// What the stats read.
    pub struct Event {
        user: sym "/username",
        elapsed: int "/msg/timing/elapsed_ms",
        queued: num "/msg/timing/queued",
        id: str "/msg_id",
    }
}

/// A stat with one measure by user and hour.
macro_rules! by_user {
    ($($stat:ident $ident:literal: $measure:ty = |$message:ident| $add:expr;)+) => {
        $(
            #[derive(Models, Default)]
            struct $stat {
                #[model(window = "1h", dimensions = ["user"], measures = ["measure"])]
                by_user: Rollup<(Option<Sym>,), $measure>,
            }

            impl Stat for $stat {
                const INFO: StatInfo =
                    StatInfo { ident: $ident, title: $ident, ..StatInfo::DEFAULT };
                const FIELDS: Fields = Event::FIELDS;

                fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
                    for $message in batch.rows::<Event>() {
                        self.by_user.at(&$message, ($message.user(),)).add($add);
                    }
                    Ok(())
                }
            }
        )+
        const STATS: &[(&str, Exported)] = &[$(($ident, Exported::of::<$stat>())),+];
    };
}

by_user! {
    Counts "count": Count = |message| 1;
    Sums "sum-of-ints": Option<Sum<i64>> = |message| message.elapsed();
    FloatSums "sum-of-floats": Option<Sum<f64>> = |message| message.queued();
    Shapes "moments-of-ints": Option<Moments<i64>> = |message| message.elapsed();
    FloatShapes "moments-of-floats": Option<Moments<f64>> = |message| message.queued();
    Least "min": Option<Min<i64>> = |message| message.elapsed();
    Newest "last": Option<Last<Text>> = |message| message.id();
    Spread "quantiles": Option<Quantiles> = |message| message.queued();
    Different "distinct": Option<Distinct<Text>> = |message| message.id();
    Newests "log": Option<Log<Text>> = |message| message.id();
}

/// All messages as batches of one generation.
fn projected() -> Vec<project::Batch> {
    let wanted = Event::FIELDS.0.iter().map(|field| (field.pointer.to_owned(), field.kind));
    let projection = Projection::compile(&Mapping::auto(), &wanted.collect::<Vec<_>>()).unwrap();
    let projection = Arc::new(projection);
    let dictionaries = Dictionaries::new(projection.columns(), Caps::default());
    let mut projector = Projector::new(projection, Limits::default());
    let mut project =
        |records: &mut _| projector.project(records, LogId(1), 2, false, &dictionaries);
    batches(&messages()).iter_mut().map(&mut project).collect()
}

/// A new instance of a stat that is defined here.
fn instance(ident: &str, stat: Exported) -> StatBox {
    match create(&[stat], ident.into(), "".into()) {
        RResult::ROk(instance) => instance.stat,
        RResult::RErr(error) => panic!("{ident}: {error}"),
    }
}

/// Calls a stat as the host's workers do.
fn fold(stat: &mut StatBox, batches: &[project::Batch]) {
    for batch in batches {
        let columns: Vec<_> = (0..batch.columns.len()).map(|place| column(batch, place)).collect();
        let rows: Vec<u32> = (0..batch.len() as u32).collect();
        let abi = BatchAbi {
            log_key: batch.log_key,
            offsets: RSlice::from_slice(&batch.offsets),
            times: RSlice::from_slice(&batch.times),
            topics: RSlice::from_slice(&batch.topics),
            rows: RSlice::from_slice(&rows),
            columns: RSlice::from_slice(&columns),
            topic_names: batch.generation.topics_abi(),
            text: RSlice::from_slice(&batch.text),
            unescaped: RSlice::from_slice(&batch.unescaped),
            reserved: [0; 4],
        };
        stat.fold(&abi).into_result().unwrap();
    }
}

fn column(batch: &project::Batch, place: usize) -> ColumnAbi<'_> {
    let column = &batch.columns[place];
    ColumnAbi {
        kind: column.kind as u8,
        states: RSlice::from_slice(&column.states),
        codes: RSlice::from_slice(&column.codes),
        words: RSlice::from_slice(&column.words),
        dictionary: dictionary(batch, place),
        reserved: [0; 2],
    }
}

fn dictionary(batch: &project::Batch, place: usize) -> DictionaryAbi<'_> {
    match batch.columns[place].kind {
        FieldKind::Sym => batch.generation.abi(place),
        _ => DictionaryAbi::empty(),
    }
}

/// The increments of a stat as blocks of rows.
fn drain(stat: &mut StatBox, batch: &project::Batch) -> Vec<(usize, Vec<u8>)> {
    let columns = (0..batch.columns.len()).map(|place| dictionary(batch, place));
    let dictionaries: Vec<_> =
        std::iter::once(batch.generation.topics_abi()).chain(columns).collect();
    let mut blocks = Vec::new();
    let mut take = |model: u32, block: &[u8]| {
        blocks.push((model as usize, block.to_vec()));
        true
    };
    let mut take: &mut dyn FnMut(u32, &[u8]) -> bool = &mut take;
    let sink = SinkAbi::of(&mut take);
    stat.drain(RSlice::from_slice(&dictionaries), sink).into_result().unwrap();
    blocks
}

fn manifest(stat: Exported) -> StatManifest {
    let described = statmill_plugin_api::export::describe("bench", "1.0.0", &[stat]);
    let described = described.into_result().unwrap();
    serde_json::from_str::<PluginManifest>(&described).unwrap().stats.remove(0)
}

/// Some thousand rows already there: what is measured is adding to them.
fn folds(criterion: &mut Criterion) {
    let batches = projected();
    let mut group = criterion.benchmark_group("fold");
    group.sample_size(20).throughput(Throughput::Elements(MESSAGES as u64));
    for &(ident, stat) in STATS {
        let mut instance = instance(ident, stat);
        group.bench_function(ident, |bencher| {
            bencher.iter_custom(cpu_time(|| fold(&mut instance, &batches)));
        });
    }
    group.finish();
}

fn drains(criterion: &mut Criterion) {
    let batches = projected();
    let mut group = criterion.benchmark_group("fold and drain");
    group.sample_size(20).throughput(Throughput::Elements(MESSAGES as u64));
    for &(ident, stat) in STATS {
        let mut instance = instance(ident, stat);
        group.bench_function(ident, |bencher| {
            bencher.iter_custom(cpu_time(|| {
                fold(&mut instance, &batches);
                black_box(drain(&mut instance, &batches[0]));
            }));
        });
    }
    group.finish();
}

/// Two rows of each aggregator become one.
fn merges(criterion: &mut Criterion) {
    let batches = projected();
    let mut group = criterion.benchmark_group("merge");
    group.sample_size(20);
    for &(ident, stat) in STATS {
        let measures = manifest(stat).models.remove(0).measures;
        let mut instance = instance(ident, stat);
        fold(&mut instance, &batches);
        let blocks = drain(&mut instance, &batches[0]);
        let rows: Vec<_> = blocks
            .iter()
            .flat_map(|(_, block)| statmill_plugin_api::encoding::BlockReader::new(block))
            .map(|row| row.unwrap().1.to_vec())
            .collect();
        group.throughput(Throughput::Elements(rows.len() as u64));
        let mut merged = Vec::new();
        group.bench_function(ident, |bencher| {
            bencher.iter_custom(cpu_time(|| {
                for row in &rows {
                    merged.clear();
                    statmill_plugin_api::aggregate::merge(&measures, row, row, &mut merged)
                        .unwrap();
                    black_box(&merged);
                }
            }));
        });
    }
    group.finish();
}

/// One checkpoint of ten stats whose rows (about a thousand each) all changed, and a page of 100 rows.
fn commit_and_query(criterion: &mut Criterion) {
    const STATS_AT_ONCE: usize = 10;
    const ROWS: usize = 1_000;
    let batches = projected();
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open_tuned(folder.path(), Tuning::default()).unwrap().database;
    let (ident, stat) = STATS[3];
    let mut instance = instance(ident, stat);
    fold(&mut instance, &batches);
    let block = first_rows(&drain(&mut instance, &batches[0])[0].1, ROWS);
    let mut stats: Vec<_> = (0..STATS_AT_ONCE)
        .map(|number| {
            let manifest = StatManifest { ident: format!("stat-{number}"), ..manifest(stat) };
            database.open_stat(&manifest).unwrap()
        })
        .collect();
    let mut group = criterion.benchmark_group("store");
    group.sample_size(20);
    // Wall time: what sled writes meanwhile is part of it.
    group.bench_function("checkpoint of 10 stats, 1000 rows each", |bencher| {
        bencher.iter(|| {
            for stat in &mut stats {
                let mut record = stat.record().clone();
                record.messages += ROWS as u64;
                stat.commit(&[(0, block.clone())], record).unwrap();
            }
        });
    });
    let snapshot = stats[0].snapshot();
    let query = Query { page: 3, rows_per_page: Some(100), ..Query::default() };
    group.bench_function("page of 100 rows", |bencher| {
        bencher.iter_custom(cpu_time(|| {
            let answer = query::run(&snapshot, &query, &query::Limits::default()).unwrap();
            assert_eq!(black_box(answer).table.rows.len(), 100);
        }));
    });
    group.finish();
}

/// The first rows of a block.
fn first_rows(block: &[u8], rows: usize) -> Vec<u8> {
    let mut first = statmill_plugin_api::encoding::BlockWriter::new();
    for row in statmill_plugin_api::encoding::BlockReader::new(block).take(rows) {
        let (key, value) = row.unwrap();
        first.push(key, value);
    }
    first.into_bytes()
}

criterion_group!(benches, folds, drains, merges, commit_and_query);
criterion_main!(benches);
