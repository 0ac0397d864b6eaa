//! What becomes of rows when the disk refuses a write, and when it takes writes again.

use super::*;

fn increments(hours: std::ops::Range<i64>) -> Vec<Increment> {
    let keys = |hour| (0..20).map(move |key| (hour, format!("{key:03}"), 1, hour * key));
    hours.flat_map(keys).collect()
}

fn add(stat: &mut StatStore, expected: &mut Expected, hours: std::ops::Range<i64>) {
    let increments = increments(hours);
    expected.add(&increments);
    stat.commit(&blocks(&increments), stat.record().clone()).unwrap();
}

#[test]
fn a_store_that_is_opened_again_goes_on_where_it_was_and_its_old_readers_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open_tuned(folder.path(), restless()).unwrap().database;
    let mut stat = database.open_stat(&manifest()).unwrap();
    let mut expected = Expected::default();
    for hour in 0..20 {
        add(&mut stat, &mut expected, hour..hour + 5);
    }
    database.put_meta("note", b"kept").unwrap();
    database.sync().unwrap();

    database.refusals().note("no room");
    let refused = stat.commit(&blocks(&increments(0..1)), stat.record().clone()).unwrap_err();
    assert!(refused.to_string().contains("no room"), "{refused}");
    assert!(!refused.is_damage());
    assert!(database.put_meta("note", b"lost").is_err() && database.sync().is_err());
    let before = stat.snapshot();
    assert_same(&before, &expected);

    database.probe().unwrap();
    let stats = database.reopen().unwrap();
    assert!(database.refusals().now().is_none());
    assert_eq!(database.get_meta("note").unwrap().as_deref(), Some(&b"kept"[..]));
    let read = before.scan(0, &KeyBounds::default(), Order::Asc, 0).find_map(Result::err);
    assert!(matches!(read, Some(StoreError::Closed)), "{read:?}");
    assert_eq!(before.damage(), None, "what cannot be read any more is not damaged");
    assert!(stat.commit(&[], stat.record().clone()).is_err());

    assert_eq!(stats.len(), 1);
    drop(stats);
    let mut stat = database.open_stat(&manifest()).unwrap();
    assert_same(&stat.snapshot(), &expected);
    add(&mut stat, &mut expected, 3..9);
    assert_same(&stat.snapshot(), &expected);
    assert_no_blobs(folder.path());
}
