//! Large commits, which go straight into pages.

use super::crash::Recording;
use super::*;

/// Takes sixty increments for a large commit, and five for a small one.
pub(super) fn hasty() -> Tuning {
    Tuning { fold_bytes: 1_500, fold_bytes_most: 1_500, ..restless() }
}

pub(super) fn keeping_hastily(store: &Arc<dyn Store>) -> Database {
    Database::over(store.clone(), hasty(), None, None).unwrap()
}

/// Commits of many and of few rows in turn.
fn rounds(count: u64) -> Vec<Vec<Increment>> {
    let mut noise = noise(11);
    let mut round = |number: u64| {
        let rows = if number % 4 == 3 { 5 } else { 150 };
        let increment = |_| (noise(30) as i64, format!("{:03}", noise(200)), 1, noise(9) as i64);
        (0..rows).map(increment).collect()
    };
    (0..count).map(&mut round).collect()
}

fn commit(stat: &mut StatStore, increments: &[Increment]) {
    stat.commit(&blocks(increments), stat.record().clone()).unwrap();
}

/// After enough commits that change nothing, only pages are stored that a directory names.
fn assert_nothing_left_over(stat: &mut StatStore) {
    for _ in 0..200 {
        commit(stat, &[]);
    }
    let stored = stat.tree.scan(b"g/").filter_map(|entry| stored_page(&entry.unwrap().0));
    assert_eq!(stored.collect::<BTreeSet<_>>(), named_pages(stat));
    assert_eq!(stat.tree.scan(b"f/").count(), 0);
}

#[test]
fn a_large_commit_writes_no_delta() {
    let store = memory();
    let mut stat = keeping_hastily(&store).open_stat(&manifest()).unwrap();
    let mut expected = Expected::default();
    for (number, increments) in rounds(8).iter().enumerate() {
        commit(&mut stat, increments);
        expected.add(increments);
        let deltas = stat.layout.next_delta - stat.layout.folded;
        assert_eq!(deltas, u64::from(number % 4 == 3));
        assert_same(&stat.snapshot(), &expected);
    }
}

#[test]
#[cfg_attr(feature = "torn-commits", should_panic)]
fn a_process_that_ends_within_a_large_commit_leaves_one_whole_commit_and_goes_on_from_it() {
    let recording = Arc::new(Recording::default());
    let rounds = rounds(9);
    let mut states = vec![Expected::default()];
    let mut stat =
        keeping_hastily(&(recording.clone() as Arc<dyn Store>)).open_stat(&manifest()).unwrap();
    for increments in &rounds {
        let mut expected = states.last().unwrap().clone();
        expected.add(increments);
        states.push(expected);
        commit(&mut stat, increments);
    }
    let batches = recording.batches.lock().clone();
    assert!(batches.len() > 3 * rounds.len(), "pages are written ahead in batches of their own");
    for kept in 0..=batches.len() {
        let store = memory();
        for (tree, batch) in &batches[..kept] {
            store.tree(tree).unwrap().apply(batch.clone()).unwrap();
        }
        let mut stat = keeping_hastily(&store).open_stat(&manifest()).unwrap();
        let committed = stat.record().commit as usize;
        assert_same(&stat.snapshot(), &states[committed]);
        rounds[committed..].iter().for_each(|increments| commit(&mut stat, increments));
        assert_same(&stat.snapshot(), &states[rounds.len()]);
        assert_nothing_left_over(&mut stat);
    }
}

#[test]
fn pages_are_overwritten_once_nobody_reads_them() {
    let store = memory();
    let mut stat = keeping_hastily(&store).open_stat(&manifest()).unwrap();
    let mut expected = Expected::default();
    let mut held = None;
    let mut stored = Vec::new();
    for (number, mut increments) in rounds(40).into_iter().enumerate() {
        // Soon all rows are there.
        increments.iter_mut().for_each(|(hour, ..)| *hour %= 3);
        commit(&mut stat, &increments);
        expected.add(&increments);
        stored.push(stat.tree.scan(b"g/").count());
        match number {
            20 => held = Some((stat.snapshot(), expected.clone())),
            30 => {
                let (snapshot, expected) = held.take().unwrap();
                assert_same(&snapshot, &expected);
            }
            _ => {}
        }
    }
    assert_same(&stat.snapshot(), &expected);
    assert!(stored[20] < stored[12] * 3 / 2, "{stored:?}");
    assert!(stored[30] > stored[20] * 2, "what a reader holds stays: {stored:?}");
    assert!(stored[39] <= stored[30], "{stored:?}");
    assert_nothing_left_over(&mut stat);
}

#[test]
fn a_large_commit_of_bad_increments_changes_nothing_and_the_next_one_goes_on() {
    let store = memory();
    let mut stat = keeping_hastily(&store).open_stat(&manifest()).unwrap();
    let (rounds, mut expected) = (rounds(3), Expected::default());
    commit(&mut stat, &rounds[0]);
    expected.add(&rounds[0]);
    let before = stat.tree.scan(b"g/").count();
    let mut bad = blocks(&rounds[1]);
    bad[1].1.pop();
    let error = stat.commit(&bad, stat.record().clone()).unwrap_err();
    assert!(matches!(error, StoreError::BadIncrement { .. }), "{error}");
    assert!(stat.tree.scan(b"g/").count() > before, "some of its pages were written ahead");
    assert_eq!(stat.record().commit, 1);
    assert_same(&stat.snapshot(), &expected);
    assert_same(&keeping_hastily(&store).open_stored("volume").unwrap().snapshot(), &expected);
    for increments in &rounds[1..] {
        commit(&mut stat, increments);
        expected.add(increments);
    }
    assert_same(&stat.snapshot(), &expected);
    assert_nothing_left_over(&mut stat);
}
