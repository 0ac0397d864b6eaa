#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use statmill_plugin_api::aggregate;
use statmill_plugin_api::aggregate::{Count, Last, MeasureOptions, Stamp3, State, Sum, Text};
use statmill_plugin_api::encoding::{
    BlockWriter, Value, encode_key, key_window, push_window, rekey, window_start,
};
use statmill_plugin_api::manifest::StatManifest;

use super::kv::{Batch, Entries, Store, Tree};
use super::*;
use crate::log::{LogId, Offset};

const HOUR: i64 = 3_600_000_000;

/// Two models: hourly by key with a daily roll-up, and totals by key.
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
             "rollups": [{"window_s": 86400}]},
            {"name": "totals", "dimensions": dimensions, "measures": measures},
        ],
    }))
    .unwrap()
}

/// Folds often and in small steps, with a cache too small to hide anything.
fn restless() -> Tuning {
    Tuning {
        fold_bytes: 20_000,
        fold_bytes_most: 20_000,
        fold_deltas: 6,
        batch_pages: 2,
        cache_bytes: 40_000,
        shard: 0,
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
            aggregate::merge(&manifest().models[0].measures, current, value, &mut merged).unwrap();
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

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Increment>),
    Raise(i64, i64),
    Reopen,
    Hold,
    Look(i64, i64, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let increment = (-50..120_i64, "[a-c\u{0}é]{0,3}", 0..3_u64, any::<i32>());
    let increment =
        increment.prop_map(|(hour, text, count, size)| (hour, text, count, i64::from(size)));
    let step = prop_oneof![
        8 => prop::collection::vec(increment, 0..80).prop_map(Step::Commit),
        1 => (-60..60_i64, -60..60_i64).prop_map(|(hour, day)| Step::Raise(hour, day)),
        1 => Just(Step::Reopen),
        1 => Just(Step::Hold),
        2 => (-60..130_i64, 0..200_i64, 0..400_u64)
            .prop_map(|(from, length, skip)| Step::Look(from, from + length, skip)),
    ];
    prop::collection::vec(step, 1..60)
}

/// Takes the steps on a store and on ordered maps, comparing them all the way.
fn take_steps(steps: &[Step], mut reopen: impl FnMut() -> Database) {
    let mut database = reopen();
    let mut stat = database.open_stat(&manifest()).unwrap();
    let mut expected = Expected::default();
    let mut held: Vec<(Arc<Snapshot>, Expected)> = Vec::new();
    for step in steps {
        match step {
            Step::Commit(increments) => {
                expected.add(increments);
                stat.commit(&blocks(increments), stat.record().clone()).unwrap();
            }
            Step::Raise(hour, day) => {
                let floors = [Some(hour * HOUR), Some(day * HOUR)];
                expected.raise(floors);
                let mut record = stat.record().clone();
                record.floors_us = vec![floors[0], floors[1], None];
                stat.commit(&[], record).unwrap();
            }
            Step::Reopen => {
                assert_held(&held);
                held.clear();
                drop(stat);
                drop(database);
                database = reopen();
                stat = database.open_stat(&manifest()).unwrap();
            }
            Step::Hold => held.push((stat.snapshot(), expected.clone())),
            Step::Look(from, to, skip) => {
                assert_parts(&stat.snapshot(), &expected, *from, *to, *skip);
            }
        }
        assert_eq!(stat.snapshot().rows(0), expected.rows[0].len() as u64);
    }
    assert_same(&stat.snapshot(), &expected);
    assert_held(&held);
}

/// Old snapshots still see what they saw.
fn assert_held(held: &[(Arc<Snapshot>, Expected)]) {
    held.iter().for_each(|(snapshot, expected)| assert_same(snapshot, expected));
}

/// A store in memory that outlives the database over it.
fn keeping(store: &Arc<dyn Store>) -> Database {
    Database::over(store.clone(), restless(), None, None).unwrap()
}

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::default())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn rows_are_those_of_ordered_maps(steps in steps()) {
        let store = memory();
        take_steps(&steps, || keeping(&store));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn rows_on_disk_are_those_of_ordered_maps(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        take_steps(&steps, || {
            let opened = Database::open_tuned(folder.path(), restless()).unwrap();
            assert_eq!(opened.rebuilt, None);
            opened.database
        });
        assert_no_blobs(folder.path());
    }
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

#[test]
fn two_hundred_thousand_rows_are_kept_without_blob_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut noise = noise(7);
    let mut expected = Expected::default();
    let mut database = Database::open(folder.path()).unwrap().database;
    let mut stat = database.open_stat(&manifest()).unwrap();
    for round in 0..10 {
        let increment = |_| (noise(24) as i64, format!("key {:05}", noise(9_000)), 1, 5);
        let increments: Vec<Increment> = (0..30_000).map(increment).collect();
        stat.commit(&blocks(&increments), stat.record().clone()).unwrap();
        expected.add(&increments);
        if round == 6 {
            drop((stat, database));
            database = Database::open(folder.path()).unwrap().database;
            stat = database.open_stat(&manifest()).unwrap();
        }
    }
    assert!(expected.rows.iter().map(BTreeMap::len).sum::<usize>() > 180_000);
    assert_same(&stat.snapshot(), &expected);
    assert_parts(&stat.snapshot(), &expected, 3, 17, 55_555);
    database.sync().unwrap();
    assert_no_blobs(folder.path());
}

#[test]
fn rows_longer_than_a_page_are_kept_in_parts() {
    let mut manifest = manifest();
    manifest.models.truncate(1);
    manifest.models[0].rollups.clear();
    manifest.models[0].measures = serde_json::from_value(serde_json::json!([
        {"name": "last", "aggregator": "last", "of": "text"},
    ]))
    .unwrap();
    let options = MeasureOptions::default();
    let state = |length: usize, offset: u64| {
        let (mut last, mut out) = (Last::<Text>::default(), Vec::new());
        let text = "x".repeat(length);
        last.add(Stamp3 { time_us: 1, log_key: 1, offset }, &*text, &options);
        last.encode(&options, &mut out);
        out
    };
    let folder = tempfile::tempdir().unwrap();
    let mut expected = BTreeMap::new();
    for round in 0..12_u64 {
        let database = Database::open_tuned(folder.path(), restless()).unwrap().database;
        let mut stat = database.open_stat(&manifest).unwrap();
        let mut rows = BTreeMap::new();
        for number in 0..20_u64 {
            let length = [3, 90_000, 3_960, 400][(number % 4) as usize] + round as usize;
            // A key may be longer than a page, too.
            let text = "k".repeat([1, 2, 6_000][(number % 3) as usize]);
            let key = key(Some((number as i64 - 10) * HOUR), &text);
            rows.insert(key, state(length, round));
        }
        stat.commit(&[(0, block(&rows))], stat.record().clone()).unwrap();
        expected.extend(rows);
        assert!(all(&stat.snapshot(), 0, Order::Asc).into_iter().eq(expected.clone()));
    }
    assert_no_blobs(folder.path());
}

/// A store that remembers every batch applied to it.
#[derive(Default)]
struct Recording {
    inner: MemoryStore,
    batches: Arc<parking_lot::Mutex<Vec<(String, Batch)>>>,
}

struct RecordingTree {
    name: String,
    inner: Arc<dyn Tree>,
    batches: Arc<parking_lot::Mutex<Vec<(String, Batch)>>>,
}

impl Store for Recording {
    fn trees(&self) -> Result<Vec<String>, StoreError> {
        self.inner.trees()
    }
    fn tree(&self, name: &str) -> Result<Arc<dyn Tree>, StoreError> {
        let (inner, batches) = (self.inner.tree(name)?, self.batches.clone());
        Ok(Arc::new(RecordingTree { name: name.to_owned(), inner, batches }))
    }
    fn drop_tree(&self, name: &str) -> Result<bool, StoreError> {
        self.inner.drop_tree(name)
    }
    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }
    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Tree for RecordingTree {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(key)
    }
    fn scan(&self, prefix: &[u8]) -> Entries<'_> {
        self.inner.scan(prefix)
    }
    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        self.batches.lock().push((self.name.clone(), batch.clone()));
        self.inner.apply(batch)
    }
}

#[test]
#[cfg_attr(feature = "torn-commits", should_panic)]
fn a_process_that_ends_between_any_two_batches_leaves_one_whole_commit() {
    let recording = Arc::new(Recording::default());
    let mut noise = noise(3);
    // State after each commit.
    let mut states = vec![Expected::default()];
    {
        let database = keeping(&(recording.clone() as Arc<dyn Store>));
        let mut stat = database.open_stat(&manifest()).unwrap();
        for _ in 0..40 {
            let increment = |_| (noise(30) as i64, format!("{:03}", noise(100)), 1, 1);
            let increments: Vec<Increment> = (0..60).map(increment).collect();
            let mut expected = states.last().unwrap().clone();
            expected.add(&increments);
            states.push(expected);
            stat.commit(&blocks(&increments), stat.record().clone()).unwrap();
        }
    }
    let batches = recording.batches.lock().clone();
    assert!(batches.len() > 44, "folds have batches of their own");
    for kept in 0..=batches.len() {
        let store = memory();
        for (tree, batch) in &batches[..kept] {
            store.tree(tree).unwrap().apply(batch.clone()).unwrap();
        }
        let stat = keeping(&store).open_stat(&manifest()).unwrap();
        let commit = stat.record().commit;
        assert_same(&stat.snapshot(), &states[commit as usize]);
    }
}

#[test]
fn nothing_is_kept_that_no_row_needs() {
    let store = memory();
    let database = keeping(&store);
    let mut stat = database.open_stat(&manifest()).unwrap();
    let mut noise = noise(5);
    for _ in 0..120 {
        let increment = |_| (noise(10) as i64, format!("{:03}", noise(100)), 1, 1);
        let increments: Vec<Increment> = (0..60).map(increment).collect();
        stat.commit(&blocks(&increments), stat.record().clone()).unwrap();
    }
    for _ in 0..20 {
        stat.commit(&[], stat.record().clone()).unwrap();
    }
    let tree = store.tree("p/volume@1.0").unwrap();
    let count = |prefix: &str| tree.scan(prefix.as_bytes()).count();
    // 1000 hourly, 100 daily, 100 total rows of about 30 bytes.
    assert!(count("g/") < 40, "{} pages", count("g/"));
    assert_eq!(count("f/"), 0);
    assert!(count("d/") < 30, "{} delta parts", count("d/"));
    let mut record = stat.record().clone();
    record.floors_us = vec![Some(1000 * HOUR), Some(1000 * HOUR), None];
    for _ in 0..10 {
        stat.commit(&[], record.clone()).unwrap();
    }
    assert_eq!(stat.snapshot().rows(0), 0);
    assert!(count("g/") < 10, "{} pages below the floor", count("g/"));
}

#[test]
fn rows_that_differ_in_their_shard_are_read_as_one() {
    let store = memory();
    let mut expected = Expected::default();
    let mut noise = noise(9);
    for round in 0..20 {
        let tuning = Tuning { shard: round % 3, ..restless() };
        let database = Database::over(store.clone(), tuning, None, None).unwrap();
        let mut stat = database.open_stat(&manifest()).unwrap();
        let increment = |_| (noise(10) as i64, format!("{:03}", noise(50)), 1, 1);
        let increments: Vec<Increment> = (0..60).map(increment).collect();
        expected.add(&increments);
        stat.commit(&blocks(&increments), stat.record().clone()).unwrap();
    }
    let stat = keeping(&store).open_stat(&manifest()).unwrap();
    assert_parts(&stat.snapshot(), &expected, 2, 7, 33);
    let rows: Vec<_> = expected.rows[2].clone().into_iter().collect();
    assert_eq!(all(&stat.snapshot(), 2, Order::Asc), rows);
}

#[test]
fn bad_increments_are_refused_and_change_nothing() {
    let database = Database::in_memory(Tuning::default()).unwrap();
    let mut stat = database.open_stat(&manifest()).unwrap();
    let row = |key: &[u8], value: &[u8]| block(&BTreeMap::from([(key.to_vec(), value.to_vec())]));
    let good = key(Some(0), "a");
    let bad = [
        (0, vec![0xff; 40]),
        (0, row(b"short", &value(1, 1))),
        (0, row(&key(None, "no window"), &value(1, 1))),
        (0, row(&good, b"\xff\xff\xff")),
        (0, row(&good, &[value(1, 1), vec![0]].concat())),
        (7, row(&good, &value(1, 1))),
    ];
    for increments in bad {
        let refused = stat.commit(&[increments], stat.record().clone());
        assert!(matches!(refused, Err(StoreError::BadIncrement { .. })), "{refused:?}");
    }
    stat.commit(&[(0, row(&good, &value(1, 1)))], stat.record().clone()).unwrap();
    let refused = stat.commit(&[(0, row(&good, b"\xff"))], stat.record().clone());
    assert!(matches!(refused, Err(StoreError::BadIncrement { .. })), "{refused:?}");
    assert_eq!(stat.snapshot().rows(0), 1);
    assert_eq!(stat.record().commit, 1);
}

#[test]
fn a_changed_record_is_damage() {
    let store = memory();
    {
        let database = keeping(&store);
        let mut stat = database.open_stat(&manifest()).unwrap();
        for round in 0..30 {
            let increments: Vec<Increment> =
                (0..60).map(|number| (number, format!("{round}"), 1, 1)).collect();
            stat.commit(&blocks(&increments), stat.record().clone()).unwrap();
        }
    }
    let tree = store.tree("p/volume@1.0").unwrap();
    let entries: Vec<_> = tree.scan(b"").map(Result::unwrap).collect();
    for (key, value) in entries {
        let mut changed = value.clone();
        *changed.last_mut().unwrap() ^= 1;
        for instead in [Some(changed), None] {
            // Without its first part a whole record of these is not there.
            if instead.is_none() && (key.starts_with(b"w") || key.starts_with(b"f/")) {
                continue;
            }
            let mut batch = Batch::default();
            match instead {
                Some(changed) => batch.put(key.clone(), changed),
                None => batch.remove(key.clone()),
            }
            tree.apply(batch).unwrap();
            let opened = keeping(&store).open_stored("volume");
            let read = opened.and_then(|stat| {
                let snapshot = stat.snapshot();
                (0..3).try_for_each(|model| {
                    let bounds = KeyBounds::default();
                    snapshot.scan(model, &bounds, Order::Asc, 0).try_for_each(|row| row.map(drop))
                })
            });
            let read = read.map(drop);
            assert!(matches!(read, Err(StoreError::Damaged { .. })), "{key:?}: {read:?}");
        }
        let mut batch = Batch::default();
        batch.put(key, value);
        tree.apply(batch).unwrap();
    }
}

#[test]
fn a_second_host_on_a_folder_is_refused_with_the_process_that_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path()).unwrap().database;
    let refused = Database::open(folder.path()).map(drop).unwrap_err().to_string();
    assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
    let refused = Database::open_existing(folder.path()).map(drop);
    assert!(matches!(refused, Err(StoreError::Locked { .. })));
    drop(database);
    Database::open_existing(folder.path()).unwrap();
}

#[test]
fn a_folder_without_a_store_is_not_made_one_by_looking() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Database::open_existing(folder.path()).map(drop);
    assert!(matches!(missing, Err(StoreError::Missing { .. })));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_store_that_cannot_be_opened_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    {
        let database = Database::open(folder.path()).unwrap().database;
        let mut stat = database.open_stat(&manifest()).unwrap();
        stat.commit(&blocks(&[(1, "a".into(), 1, 1)]), stat.record().clone()).unwrap();
        database.sync().unwrap();
    }
    std::fs::write(folder.path().join("store/conf"), b"no configuration at all").unwrap();
    let opened = Database::open(folder.path()).unwrap();
    let aside = opened.rebuilt.unwrap();
    assert!(aside.path.join("db").is_file());
    assert!(aside.path.file_name().unwrap().to_string_lossy().starts_with("store.corrupt-"));
    assert_eq!(opened.database.idents().unwrap(), Vec::<String>::new());
    opened.database.open_stat(&manifest()).unwrap();
}

#[test]
fn a_damaged_statistic_is_saved_and_begins_anew_beside_sound_ones() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path()).unwrap().database;
    let mut other = manifest();
    other.ident = "other".into();
    for manifest in [&manifest(), &other] {
        let mut stat = database.open_stat(manifest).unwrap();
        stat.commit(&blocks(&[(1, "a".into(), 1, 1)]), stat.record().clone()).unwrap();
    }
    let aside = database.set_aside("volume", "a test says so").unwrap();
    assert_eq!(aside.records, 4, "manifest, layout, record, delta");
    assert_eq!(database.idents().unwrap(), ["other"]);
    assert_eq!(database.open_stat(&manifest()).unwrap().record().commit, 0);
    assert_eq!(database.open_stored("other").unwrap().record().commit, 1);
}

#[test]
fn a_rebuild_serves_only_after_the_swap() {
    let database = Database::in_memory(Tuning::default()).unwrap();
    let mut old = database.open_stat(&manifest()).unwrap();
    old.commit(&blocks(&[(1, "old".into(), 1, 1)]), old.record().clone()).unwrap();
    let next = StatManifest { fold_version: 1, ..manifest() };
    let mut new = database.open_beside(&next).unwrap();
    new.commit(&blocks(&[(1, "new".into(), 1, 1), (1, "x".into(), 1, 1)]), new.record().clone())
        .unwrap();
    assert_eq!(database.serves(&next).unwrap(), Some(false));
    assert_eq!(database.open_stored("volume").unwrap().snapshot().rows(0), 1);
    database.activate(&new).unwrap();
    database.drop_inactive("volume").unwrap();
    assert_eq!(database.serves(&next).unwrap(), Some(true));
    assert_eq!(database.open_stored("volume").unwrap().snapshot().rows(0), 2);
}

#[test]
fn changed_models_need_another_version() {
    let database = Database::in_memory(Tuning::default()).unwrap();
    database.open_stat(&manifest()).unwrap();
    let mut changed = manifest();
    changed.models[1].dimensions[0].name = "other".into();
    let refused = database.open_stat(&changed).map(drop);
    assert!(matches!(refused, Err(StoreError::ModelsChanged { model, .. }) if model == "totals"));
    let mut longer = manifest();
    longer.models[0].retention_s = Some(60);
    longer.title = "Another".into();
    database.open_stat(&longer).unwrap();
    let stored = database.open_stored("volume").unwrap();
    assert_eq!(*stored.snapshot().manifest(), longer);
}

#[test]
fn roll_ups_are_named_by_their_window() {
    let names: Vec<_> = stored_models(&manifest()).into_iter().map(|model| model.name).collect();
    assert_eq!(names, ["by_key", "by_key@1d", "totals"]);
}

/// A statistic with rows, positions and floors, in `database`.
fn filled(database: &Database) -> StatStore {
    let mut stat = database.open_stat(&manifest()).unwrap();
    let mut noise = noise(11);
    for round in 0..30_u64 {
        let increment = |_| (noise(60) as i64, format!("\"{}\u{1}é", noise(50)), 1, -3);
        let increments: Vec<Increment> = (0..60).map(increment).collect();
        let mut record = stat.record().clone();
        let position = Position { end: Offset(u64::MAX - round), ..Position::default() };
        record.positions.insert(LogId(u64::MAX - 5), position);
        record.largest_time_us = Some(60 * HOUR);
        record.messages += 60;
        record.floors_us = vec![Some(HOUR), None, None];
        stat.commit(&blocks(&increments), record).unwrap();
    }
    stat
}

fn exported(stat: &StatStore) -> Vec<u8> {
    let (snapshot, mut out) = (stat.snapshot(), Vec::new());
    let complete_until_us = Some(40 * HOUR);
    export(&[ExportedStat { snapshot, complete_until_us }], &mut out).unwrap();
    out
}

fn known(_: LogId) -> bool {
    true
}

const PLAIN: ImportOptions<'_> = ImportOptions { known: &known, as_base: None };

#[test]
fn an_export_is_imported_and_exported_to_the_same_bytes() {
    let text = exported(&filled(&keeping(&memory())));
    let store = memory();
    let database = keeping(&store);
    let imported = import(&database, &mut text.as_slice(), &PLAIN).unwrap();
    assert_eq!(imported.stats, ["volume"]);
    let stat = keeping(&store).open_stored("volume").unwrap();
    assert_eq!(exported(&stat), text);
    let again = import(&database, &mut text.as_slice(), &PLAIN);
    assert!(matches!(again, Err(ImportError::Exists { line: 2, .. })), "{again:?}");
}

#[test]
fn a_broken_export_changes_nothing_and_its_line_is_named() {
    let text = String::from_utf8(exported(&filled(&keeping(&memory())))).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let with = |number: usize, line: &str| {
        let mut lines = lines.clone();
        lines[number - 1] = line;
        lines.join("\n") + "\n"
    };
    let swapped = with(10, lines[10]);
    let broken = [
        (1, String::new()),
        (1, with(1, "{\"statmill_export\":2}")),
        (1, text.replacen("statmill_export", "something", 1)),
        (5, with(5, "{\"stat\":\"volume\"")),
        (5, with(5, "{\"stat\":\"volume\",\"model\":\"by_key\",\"key\":\"00\",\"value\":\"00\"}")),
        (5, with(5, "{\"stat\":\"volume\",\"model\":\"none\",\"key\":\"00\",\"value\":\"00\"}")),
        (11, swapped),
        (lines.len() as u64, text[..text.len() - 10].to_owned()),
        (lines.len() as u64, lines[..lines.len() - 1].join("\n") + "\n"),
    ];
    for (line, text) in broken {
        let store = memory();
        let database = keeping(&store);
        let error = import(&database, &mut text.as_bytes(), &PLAIN).unwrap_err();
        assert!(error.to_string().starts_with(&format!("line {line}: ")), "{error}, not {line}");
        assert_eq!(store.trees().unwrap(), ["meta"]);
        assert!(database.idents().unwrap().is_empty());
    }
}

#[test]
fn rows_of_unknown_logs_are_a_base_up_to_a_window_start() {
    let mut manifest = manifest();
    manifest.models.truncate(1);
    let source = keeping(&memory());
    let mut stat = source.open_stat(&manifest).unwrap();
    let mut record = stat.record().clone();
    record.positions.insert(LogId(3), Position::default());
    record.largest_time_us = Some(60 * HOUR + 1);
    let increments: Vec<Increment> = (0..=60).map(|hour| (hour, "a".into(), 1, 1)).collect();
    stat.commit(&blocks(&increments)[..1], record).unwrap();
    let text = exported(&stat);
    let unknown = |_| false;
    let database = keeping(&memory());
    let refused =
        import(&database, &mut text.as_slice(), &ImportOptions { known: &unknown, as_base: None });
    assert!(matches!(refused, Err(ImportError::UnknownLogs { line: 2, .. })), "{refused:?}");
    let options = ImportOptions { known: &unknown, as_base: Some(AsBase::default()) };
    import(&database, &mut text.as_slice(), &options).unwrap();
    let stat = database.open_stored("volume").unwrap();
    // Complete until hour 40, that is the second day's start at hour 24.
    assert_eq!(stat.snapshot().rows(0), 24);
    assert_eq!(stat.snapshot().rows(1), 1);
    assert_eq!(stat.record().cutoff_us, Some(24 * HOUR));
    assert_eq!(stat.record().base, Some(Base { complete_until_us: 24 * HOUR }));
    assert!(stat.record().positions.is_empty());
}

#[test]
fn totals_are_a_base_only_where_nothing_reaches_past_the_time() {
    let text = exported(&filled(&keeping(&memory())));
    let unknown = |_| false;
    let until = |hours: Option<i64>| ImportOptions {
        known: &unknown,
        as_base: Some(AsBase { complete_until_us: hours.map(|hours| hours * HOUR) }),
    };
    let database = keeping(&memory());
    let refused = import(&database, &mut text.as_slice(), &until(None));
    assert!(matches!(refused, Err(ImportError::Totals { .. })), "{refused:?}");
    let imported = import(&database, &mut text.as_slice(), &until(Some(61))).unwrap();
    assert_eq!(imported.left_out, 0);
    assert_eq!(database.open_stored("volume").unwrap().record().cutoff_us, Some(61 * HOUR));
}

#[test]
fn bounds_of_a_prefix_hold_all_that_begins_with_it() {
    let mut prefix = Vec::new();
    push_window(HOUR, &mut prefix);
    let mut inside = Vec::new();
    rekey(&key(Some(0), "a"), HOUR, &mut inside);
    let bounds = KeyBounds::prefix(&prefix);
    assert_eq!(bounds, KeyBounds { start: bounds.start.clone(), ..KeyBounds::prefix(&prefix) });
    let database = Database::in_memory(Tuning::default()).unwrap();
    let mut stat = database.open_stat(&manifest()).unwrap();
    let increments = [(0, "a".into(), 1, 1), (1, "a".into(), 1, 1), (2, "a".into(), 1, 1)];
    stat.commit(&blocks(&increments), stat.record().clone()).unwrap();
    let rows: Vec<_> =
        stat.snapshot().scan(0, &bounds, Order::Asc, 0).map(|row| row.unwrap().0).collect();
    assert_eq!(rows, [inside]);
    assert_eq!(KeyBounds::prefix(&[0xff, 0xff]).end, std::ops::Bound::Unbounded);
}
