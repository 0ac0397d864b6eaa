//! Rows are those that ordered maps would hold.

use std::ops::Range;

use super::*;
use crate::limits::StatLimits;

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Increment>),
    Raise(i64, i64),
    Reopen,
    /// As after a commit whose outcome is unknown: readers go on.
    Succeed,
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
        1 => Just(Step::Succeed),
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
            Step::Succeed => {
                let mut again = database.open_stat(&manifest()).unwrap();
                again.succeed(&mut stat);
                stat = again;
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn rows_are_those_of_ordered_maps(steps in steps()) {
        let store = memory();
        take_steps(&steps, || keeping(&store));
        let store = memory();
        take_steps(&steps, || bulk::keeping_hastily(&store));
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
fn increments_beyond_a_limit_are_refused_with_the_number_and_change_nothing() {
    let stat_limits =
        StatLimits { checkpoint_rows: 3, row_bytes: 100, model_rows: 4, ..StatLimits::default() };
    // Through deltas, and straight into pages.
    for fold_bytes in [1 << 20, 1] {
        let tuning =
            Tuning { stat_limits, fold_bytes, fold_bytes_most: fold_bytes, ..Tuning::default() };
        let mut stat = Database::in_memory(tuning).unwrap().open_stat(&manifest()).unwrap();
        let rows = |range: Range<u64>| {
            let row = |i| (key(Some(0), &format!("k{i}")), value(1, 1));
            (0, block(&range.map(row).collect()))
        };
        let long = key(Some(0), &"x".repeat(200));
        let mut refused = |increments: (usize, Vec<u8>)| {
            let record = stat.record().clone();
            stat.commit(&[increments], record).map_err(|error| error.to_string())
        };
        assert!(refused(rows(0..3)).is_ok());
        for (increments, reason) in [
            (rows(0..4), "4 rows between two commits, more than the 3"),
            (rows(3..5), "5 rows, more than the 4 that stat_limits.model_rows allows"),
            ((0, block(&BTreeMap::from([(long, value(1, 1))]))), "bytes in one row, more than"),
        ] {
            let said = refused(increments).unwrap_err();
            assert!(said.contains(reason), "{said}");
        }
        // What is there may change as before.
        assert!(refused(rows(2..4)).is_ok());
        assert!(refused(rows(0..3)).is_ok());
        assert_eq!(stat.snapshot().rows(0), 4);
        assert_eq!(stat.record().commit, 3);
    }
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
