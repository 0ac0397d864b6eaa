//! An index holds the rows of its table, in the order of their column.

use super::*;
use crate::store::index::push_order;

/// A model's rows as its index must give them, ascending, by window.
fn ranked(rows: &BTreeMap<Vec<u8>, Vec<u8>>, column: usize) -> BTreeMap<i64, Vec<Ranked>> {
    let mut windows: BTreeMap<i64, Vec<Ranked>> = BTreeMap::new();
    for (key, value) in rows {
        let (mut values, mut cell) = (Vec::new(), Vec::new());
        aggregate::row_values(&MEASURES, value, &mut values).unwrap();
        push_order(ValueKind::Int, &values[column], &mut cell);
        windows.entry(key_window(key)).or_default().push(Ranked { cell, key: key.clone() });
    }
    windows.values_mut().for_each(|rows| rows.sort());
    windows
}

fn assert_orders(snapshot: &Snapshot, model: usize, window: Option<i64>, ascending: Vec<Ranked>) {
    let mut descending = ascending.clone();
    // Stable: keys of equal values ascend.
    descending.sort_by(|a, b| b.cell.cmp(&a.cell));
    for (order, expected) in [(Order::Asc, ascending), (Order::Desc, descending)] {
        let read = |after, rows| {
            let ranked = snapshot.by_index(model, window, order, after).unwrap();
            ranked.take(rows).map(Result::unwrap).collect::<Vec<_>>()
        };
        let all = read(None, usize::MAX);
        assert!(all == expected, "model {model}, window {window:?}, {order:?}");
        for at in [0, expected.len() / 2, expected.len().saturating_sub(1)] {
            if let Some(after) = expected.get(at) {
                let behind = &expected[at + 1..];
                let some = behind.len().min(20);
                assert!(read(Some(after), 20) == behind[..some], "behind row {at}, {order:?}");
            }
        }
    }
}

pub(super) fn assert_ordered(snapshot: &Snapshot, expected: &Expected) {
    for model in 0..2 {
        for (window, rows) in ranked(&expected.rows[model], 0) {
            assert_orders(snapshot, model, Some(window), rows);
        }
        let below = expected.floors_us[model].map(|floor| floor - HOUR);
        assert_orders(snapshot, model, Some(below.unwrap_or(i64::MAX)), Vec::new());
    }
    // Keys without windows begin with anything: their windows are all of one table.
    let mut totals: Vec<_> = ranked(&expected.rows[2], 1).into_values().flatten().collect();
    totals.sort();
    assert_orders(snapshot, 2, None, totals);
}

pub(super) fn noisy(rounds: i64) -> (Vec<Vec<Increment>>, Expected) {
    let (mut noise, mut expected) = (noise(21), Expected::default());
    let rounds = (0..rounds).map(|_| {
        let increment = |_| {
            let size = noise(2_000) as i64 - 1_000;
            (noise(3) as i64, format!("{:03}", noise(200)), 1 + noise(3), size)
        };
        let increments: Vec<Increment> = (0..60).map(increment).collect();
        expected.add(&increments);
        increments
    });
    (rounds.collect(), expected)
}

pub(super) fn without_index() -> StatManifest {
    let mut manifest = manifest();
    manifest.models.iter_mut().for_each(|model| model.index = None);
    manifest
}

#[test]
fn an_index_that_is_declared_later_is_made_of_the_rows() {
    let (rounds, expected) = noisy(40);
    let store = memory();
    let mut stat = keeping(&store).open_stat(&without_index()).unwrap();
    for increments in &rounds {
        stat.commit(&blocks(increments), stat.record().clone()).unwrap();
    }
    assert!(stat.snapshot().index_column(0).is_none());
    let commit = stat.record().commit;
    drop(stat);
    let stat = keeping(&store).open_stat(&manifest()).unwrap();
    assert_eq!(stat.snapshot().index_column(2), Some("size"));
    assert_eq!(stat.record().commit, commit, "no row changed");
    assert_same(&stat.snapshot(), &expected);
    drop(stat);
    assert_same(&keeping(&store).open_stored("volume").unwrap().snapshot(), &expected);
}

#[test]
fn an_index_by_another_column_takes_the_place_of_the_old_one() {
    let (rounds, expected) = noisy(40);
    let store = memory();
    let mut other = manifest();
    other.models[1].index = Some("count".into());
    other.models[0].index = None;
    for (round, increments) in rounds.iter().enumerate() {
        let manifest = if round % 3 == 0 { &other } else { &manifest() };
        let mut stat = keeping(&store).open_stat(manifest).unwrap();
        stat.commit(&blocks(increments), stat.record().clone()).unwrap();
    }
    assert_same(&keeping(&store).open_stat(&manifest()).unwrap().snapshot(), &expected);
    let mut stat = keeping(&store).open_stat(&without_index()).unwrap();
    for _ in 0..20 {
        stat.commit(&[], stat.record().clone()).unwrap();
    }
    let tree = store.tree("p/volume@1.0").unwrap();
    let leaves = |table: u8| tree.scan(&[b'x', b'/', 0, table]).count();
    assert!(leaves(0) > 0);
    assert_eq!(leaves(3) + leaves(4) + leaves(5), 0, "nothing is left of the indexes");
    assert_eq!(tree.scan(b"f/").count(), 0);
}

#[test]
fn reading_does_not_make_an_index() {
    let store = memory();
    let mut stat = keeping(&store).open_stat(&without_index()).unwrap();
    stat.commit(&blocks(&noisy(1).0[0]), stat.record().clone()).unwrap();
    let before: Vec<_> =
        store.tree("p/volume@1.0").unwrap().scan(b"").map(Result::unwrap).collect();
    keeping(&store).open_stored("volume").unwrap();
    let after: Vec<_> = store.tree("p/volume@1.0").unwrap().scan(b"").map(Result::unwrap).collect();
    assert_eq!(before, after);
}

#[test]
fn entries_that_are_gone_take_no_room_for_long() {
    let store = memory();
    let mut stat = keeping(&store).open_stat(&manifest()).unwrap();
    let mut expected = Expected::default();
    for round in 0..300 {
        // One hot row among many that come once.
        let increments = [(1, "hot".into(), 1, 1), (1, format!("{round:03}"), 1, 1)];
        expected.add(&increments);
        stat.commit(&blocks(&increments), stat.record().clone()).unwrap();
    }
    for _ in 0..20 {
        stat.commit(&[], stat.record().clone()).unwrap();
    }
    assert_same(&stat.snapshot(), &expected);
    let tree = store.tree("p/volume@1.0").unwrap();
    assert!(tree.scan(b"g/").count() < 30, "{} pages", tree.scan(b"g/").count());
    let layout: serde_json::Value = serde_json::from_slice(&chunks_of(&*tree, b"l")).unwrap();
    let rows = layout["content"]["page_rows"].as_array().unwrap().clone();
    assert_eq!(rows[..3], rows[3..], "as many entries as rows: {rows:?}");
}

fn chunks_of(tree: &dyn Tree, key: &[u8]) -> Vec<u8> {
    crate::store::chunks::get(tree, "test", key).unwrap().unwrap().0
}

#[test]
fn an_import_is_indexed_as_well() {
    let (rounds, expected) = noisy(30);
    let mut stat = keeping(&memory()).open_stat(&manifest()).unwrap();
    for increments in &rounds {
        stat.commit(&blocks(increments), stat.record().clone()).unwrap();
    }
    let mut text = Vec::new();
    let exported = ExportedStat { snapshot: stat.snapshot(), complete_until_us: None };
    export([Ok(exported)], &mut text).unwrap();
    let database = keeping(&memory());
    let options = ImportOptions { known: &|_| true, as_base: None };
    import(&database, &mut text.as_slice(), &options).unwrap();
    assert_same(&database.open_stored("volume").unwrap().snapshot(), &expected);
}

#[test]
fn only_numbers_and_times_are_indexed() {
    let mut model = manifest().models[0].clone();
    assert_eq!(index_refusal(&model), None);
    model.index = Some("key".into());
    let refusal = index_refusal(&model).unwrap();
    assert!(refusal.contains("\"key\"") && refusal.contains("count, size"), "{refusal}");
}

#[test]
fn sums_beyond_the_largest_int_lie_at_the_ends() {
    let order = |value: Value| {
        let mut cell = Vec::new();
        push_order(ValueKind::Int, &value, &mut cell);
        cell
    };
    let values = [
        Value::Null,
        Value::Num(-1e39),
        Value::Int(i128::MIN),
        Value::Int(0),
        Value::Int(i128::MAX),
        Value::Num(1e39),
        Value::Num(1e300),
    ];
    assert!(values.map(order).is_sorted());
}
