//! One fixture and the facts about the store.
#![allow(clippy::unwrap_used, reason = "tests")]

mod bulk;
mod crash;
mod fuzz;
mod indexes;
mod portability;
mod refusal;
mod rows;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use statmill_plugin_api::aggregate;
use statmill_plugin_api::aggregate::{Count, Last, MeasureOptions, Stamp3, State, Sum, Text};
use statmill_plugin_api::encoding::{
    BlockWriter, Value, encode_key, key_window, push_window, rekey, window_start,
};
use statmill_plugin_api::manifest::{Measure, StatManifest, ValueKind};

use super::kv::{Batch, Entries, Store, Tree};
use super::*;
use crate::log::{LogId, Offset};

const HOUR: i64 = 3_600_000_000;

/// Two models: hourly by key with a daily roll-up, and totals by key. The first is indexed by a column
/// that only grows, the second by one that goes up and down.
fn manifest() -> StatManifest {
    let measures = serde_json::json!([
        {"name": "count", "aggregator": "count"},
        {"name": "size", "aggregator": "sum", "of": "int"},
    ]);
    let dimensions = serde_json::json!([{"name": "key", "kind": "text"}]);
    serde_json::from_value(serde_json::json!({
        "ident": "volume", "title": "Volume", "model_version": 1,
        "models": [
            {"name": "by_key", "window_s": 3600, "dimensions": dimensions, "measures": measures,
             "rollups": [{"window_s": 86400}], "index": "count"},
            {"name": "totals", "dimensions": dimensions, "measures": measures, "index": "size"},
        ],
    }))
    .unwrap()
}

static MEASURES: LazyLock<Vec<Measure>> = LazyLock::new(|| manifest().models[0].measures.clone());

/// Folds often and in small steps, with a cache too small to hide anything.
fn restless() -> Tuning {
    Tuning {
        fold_bytes: 20_000,
        fold_bytes_most: 20_000,
        fold_share: 16,
        fold_deltas: 6,
        batch_pages: 2,
        cache_bytes: 40_000,
        shard: 0,
        verify: false,
        ..Tuning::default()
    }
}

fn value(count: u64, size: i64) -> Vec<u8> {
    let (options, mut out) = (MeasureOptions::default(), Vec::new());
    let (mut counted, mut sum) = (Count::default(), Sum::<i64>::default());
    counted.add(Stamp3::default(), count, &options);
    sum.add(Stamp3::default(), size, &options);
    counted.encode(&options, &mut out);
    sum.encode(&options, &mut out);
    out
}

fn key(window_us: Option<i64>, text: &str) -> Vec<u8> {
    let mut key = Vec::new();
    encode_key(window_us, &[Value::Text(text.into())], &mut key);
    key
}

type Increment = (i64, String, u64, i64);

/// The blocks of both models for some messages (hour, key, count, size).
fn blocks(increments: &[Increment]) -> Vec<(usize, Vec<u8>)> {
    let mut models = [BTreeMap::new(), BTreeMap::new()];
    for (hour, text, count, size) in increments {
        for (rows, key) in models.iter_mut().zip([key(Some(hour * HOUR), text), key(None, text)]) {
            merge_into(rows, key, &value(*count, *size));
        }
    }
    let models = models.iter().enumerate();
    models.map(|(model, rows)| (model, block(rows))).collect()
}

fn block(rows: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<u8> {
    let mut block = BlockWriter::new();
    rows.iter().for_each(|(key, value)| block.push(key, value));
    block.into_bytes()
}

fn merge_into(rows: &mut BTreeMap<Vec<u8>, Vec<u8>>, key: Vec<u8>, value: &[u8]) {
    let merged = match rows.get(&key) {
        None => value.to_vec(),
        Some(current) => {
            let mut merged = Vec::new();
            aggregate::merge(&MEASURES, current, value, &mut merged).unwrap();
            merged
        }
    };
    rows.insert(key, merged);
}

type Rows3 = [BTreeMap<Vec<u8>, Vec<u8>>; 3];

/// What the tables must hold: hourly, daily, totals.
#[derive(Clone, Default)]
struct Expected {
    rows: Rows3,
    floors_us: [Option<i64>; 3],
    too_late: u64,
}

impl Expected {
    fn add(&mut self, increments: &[Increment]) {
        for (hour, text, count, size) in increments {
            let value = value(*count, *size);
            let mut held = false;
            for (level, window_us) in [HOUR, 24 * HOUR].into_iter().enumerate() {
                let window_us = window_start(hour * HOUR, window_us);
                if self.floors_us[level].is_none_or(|floor| window_us >= floor) {
                    held = true;
                    merge_into(&mut self.rows[level], key(Some(window_us), text), &value);
                }
            }
            merge_into(&mut self.rows[2], key(None, text), &value);
            if !held {
                self.too_late += count;
            }
        }
    }

    fn raise(&mut self, floors_us: [Option<i64>; 2]) {
        for (level, floor) in floors_us.into_iter().enumerate() {
            self.floors_us[level] = self.floors_us[level].max(floor);
            let floor = self.floors_us[level].unwrap_or(i64::MIN);
            self.rows[level].retain(|key, _| key_window(key) >= floor);
        }
    }
}

fn all(snapshot: &Snapshot, model: usize, order: Order) -> Vec<(Vec<u8>, Vec<u8>)> {
    snapshot.scan(model, &KeyBounds::default(), order, 0).map(Result::unwrap).collect()
}

fn assert_same(snapshot: &Snapshot, expected: &Expected) {
    for model in 0..3 {
        let rows: Vec<_> = expected.rows[model].clone().into_iter().collect();
        assert_eq!(snapshot.rows(model), rows.len() as u64, "rows of model {model}");
        assert!(all(snapshot, model, Order::Asc) == rows, "model {model} ascending");
        let mut reverse = all(snapshot, model, Order::Desc);
        reverse.reverse();
        assert!(reverse == rows, "model {model} descending");
    }
    indexes::assert_ordered(snapshot, expected);
    assert_eq!(snapshot.record().too_late, expected.too_late);
}

/// Every way to ask for a part of a table.
fn assert_parts(snapshot: &Snapshot, expected: &Expected, from: i64, to: i64, skip: u64) {
    let bounds = KeyBounds::windows(Some(from * HOUR), Some(to * HOUR));
    for model in 0..2 {
        let inside = |key: &[u8]| (from * HOUR..=to * HOUR).contains(&key_window(key));
        let rows = expected.rows[model].iter().filter(|(key, _)| inside(key));
        let rows: Vec<_> = rows.map(|(key, value)| (key.clone(), value.clone())).collect();
        assert_eq!(snapshot.count(model, &bounds).unwrap(), rows.len() as u64);
        let skip = skip.min(rows.len() as u64 + 1);
        let read = |order| snapshot.scan(model, &bounds, order, skip).map(Result::unwrap);
        let skipped: Vec<_> = rows.iter().skip(skip as usize).cloned().collect();
        assert!(read(Order::Asc).eq(skipped), "skip {skip} ascending");
        let skipped: Vec<_> = rows.iter().rev().skip(skip as usize).cloned().collect();
        assert!(read(Order::Desc).eq(skipped), "skip {skip} descending");
        if let Some((key, value)) = rows.first() {
            assert_eq!(snapshot.get(model, key).unwrap().as_ref(), Some(value));
        }
    }
    let nowhere = key(Some(0), "\u{10ffff} nowhere");
    assert_eq!(snapshot.get(0, &nowhere).unwrap(), None);
}

/// A store in memory that outlives the database over it.
fn keeping(store: &Arc<dyn Store>) -> Database {
    Database::over(store.clone(), restless(), None, None).unwrap()
}

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::default())
}

/// Numbers of the pages that the directories name.
fn named_pages(stat: &StatStore) -> BTreeSet<u64> {
    let leaves = stat.tables.iter().flat_map(|table| table.directory.leaves());
    leaves.flat_map(|leaf| &leaf.entries).map(|entry| entry.page).collect()
}

/// Number of the page that is stored under `key`, if one is.
fn stored_page(key: &[u8]) -> Option<u64> {
    let number = key.strip_prefix(b"g/")?.first_chunk()?;
    Some(u64::from_be_bytes(*number))
}

fn assert_no_blobs(folder: &Path) {
    let blobs = std::fs::read_dir(folder.join("store/blobs")).unwrap();
    assert_eq!(blobs.count(), 0, "sled made blob files");
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
