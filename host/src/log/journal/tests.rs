#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Barrier;
use std::time::Duration;

use super::*;
use crate::log::Records;

fn open_with(dir: &Path, options: JournalOptions) -> Arc<Journal> {
    Journal::open(dir, "http:test", Mapping::auto(), options).unwrap()
}

fn open(dir: &Path) -> Arc<Journal> {
    open_with(dir, JournalOptions::default())
}

fn entries(identities: impl IntoIterator<Item = u128>, arrival_us: i64) -> Entries {
    let mut entries = Entries::default();
    for identity in identities {
        entries.push(format!("{identity}").as_bytes(), arrival_us, arrival_us, identity, 0);
    }
    entries
}

fn submit(
    journal: &Journal,
    identities: impl IntoIterator<Item = u128>,
    arrival_us: i64,
) -> Receipt {
    let entries = entries(identities, arrival_us);
    journal.append(Submission { entries, ..Submission::default() }).unwrap()
}

fn key(key: u128, body: u64) -> Option<KeyEntry> {
    Some(KeyEntry { key, body, accepted: 0, duplicates: 0, rejected: 0, arrival_us: 0 })
}

#[test]
fn an_identity_is_written_once_and_messages_without_one_always() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let receipt = submit(&journal, [1, 2, 1, 0, 0], 10);
    assert_eq!((receipt.accepted, receipt.duplicates), (4, 1));
    assert_eq!(receipt.range, Offset(0)..Offset(4));
    let receipt = submit(&journal, [2, 3, 0], 11);
    assert_eq!((receipt.accepted, receipt.duplicates), (2, 1));
    assert_eq!(receipt.range, Offset(4)..Offset(6));
    assert_eq!(journal.end().unwrap().offset, Offset(6));
}

#[test]
fn the_horizon_after_a_reopen_is_the_horizon_before() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions {
        segment: SegmentOptions { roll_bytes: 400 },
        horizon: HorizonOptions { ids: 10, span_us: 5, max_bytes: 1 << 20 },
        ..JournalOptions::default()
    };
    let journal = open_with(dir.path(), options);
    for round in 0..30_u128 {
        submit(&journal, round * 3..round * 3 + 3, round as i64);
    }
    let status = journal.horizon();
    // Six arrivals (24 to 29) lie within the span: more than ten identities.
    assert_eq!((status.horizon_ids, status.horizon_since_us), (18, Some(24)));
    drop(journal);
    let journal = open_with(dir.path(), options);
    assert_eq!(journal.horizon(), status);
    assert_eq!(submit(&journal, [71], 29).accepted, 1);
    assert_eq!(submit(&journal, [72, 89], 29).duplicates, 2);
}

#[test]
fn a_horizon_is_bounded_by_memory_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let horizon = HorizonOptions { max_bytes: 64 * 5, ..HorizonOptions::default() };
    let options = JournalOptions { horizon, ..JournalOptions::default() };
    let journal = open_with(dir.path(), options);
    submit(&journal, 1..9, 1);
    assert_eq!((journal.horizon().horizon_ids, journal.horizon().short), (5, true));
    assert_eq!(submit(&journal, [3], 2).accepted, 1);
    assert_eq!(submit(&journal, [8], 2).duplicates, 1);
}

#[test]
fn a_repeated_key_writes_nothing_and_answers_the_same_counts_also_after_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    submit(&journal, [1], 1);
    let first = Submission { entries: entries([1, 2, 0], 2), key: key(7, 70), rejected: 4 };
    let first = journal.append(first).unwrap();
    assert_eq!((first.accepted, first.duplicates, first.rejected), (2, 1, 4));
    for journal in [journal, open(dir.path())] {
        let again = Submission { entries: entries([1, 2, 0], 3), key: key(7, 70), rejected: 4 };
        let again = journal.append(again).unwrap();
        assert!(again.repeated);
        assert_eq!((again.accepted, again.duplicates, again.rejected), (2, 1, 4));
        assert_eq!(journal.end().unwrap().offset, Offset(3));
        let other = Submission { entries: entries([9], 3), key: key(7, 71), rejected: 0 };
        assert!(matches!(journal.append(other), Err(AppendError::KeyReused)));
    }
}

#[test]
fn threads_share_commits_and_none_loses_a_record() {
    const THREADS: u128 = 8;
    const EACH: u128 = 40;
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let barrier = Barrier::new(THREADS as usize);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (journal, barrier) = (&journal, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for number in 0..EACH {
                    // Each message is sent by two threads.
                    let identity = 1 + (thread / 2) * EACH + number;
                    let receipt = submit(journal, [identity], 1);
                    assert_eq!(receipt.accepted + receipt.duplicates, 1);
                    assert!(journal.end().unwrap().offset >= receipt.range.end);
                }
            });
        }
    });
    let expected = u64::try_from(THREADS / 2 * EACH).unwrap();
    assert_eq!(journal.end().unwrap().offset, Offset(expected));
    drop(journal);
    let journal = open(dir.path());
    let mut records = Records::default();
    journal.read(Offset(0), 1 << 20, 10_000, &mut records).unwrap();
    let mut texts: Vec<_> = records
        .spans
        .iter()
        .map(|(start, length)| &records.text[*start as usize..(start + length) as usize])
        .collect();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len() as u64, expected);
}

#[test]
fn a_group_of_large_and_small_submissions_keeps_order_and_ranges_and_what_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let submission = |identities: &[u128], length: usize| {
        let mut entries = Entries::default();
        for identity in identities {
            let text = format!("{identity}{}", " ".repeat(length));
            entries.push(text.as_bytes(), 1, 1, *identity, 0);
        }
        let submission = Submission { entries, ..Submission::default() };
        journal.prepare(submission, Effort::Hurried).unwrap()
    };
    // The second and the fourth are packed when they come; of the fourth one message is known then.
    let group = vec![
        submission(&[1, 2], 1),
        submission(&[3, 4], PACKED_ALONE),
        submission(&[5], 1),
        submission(&[6, 4, 7], PACKED_ALONE),
        submission(&[8], 1),
    ];
    let packed = group.iter().map(|submission| submission.packed.len());
    assert_eq!(packed.collect::<Vec<_>>(), [0, 1, 0, 1, 0]);
    let receipts = journal.commit(group).into_iter().map(Result::unwrap);
    let ranges: Vec<_> = receipts.map(|it| (it.range.start.0, it.range.end.0)).collect();
    assert_eq!(ranges, [(0, 2), (2, 4), (4, 5), (5, 7), (7, 8)]);
    let status = journal.horizon();
    drop(journal);

    let journal = open(dir.path());
    assert_eq!(journal.horizon(), status);
    let texts = (0..8).map(|offset| journal.record(Offset(offset)).unwrap().unwrap());
    let texts: Vec<_> = texts.map(|text| text.trim_ascii().to_vec()).collect();
    assert_eq!(texts, [b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8"]);
    assert_eq!(submit(&journal, 1..=8, 2).duplicates, 8);
}

#[test]
fn a_failed_write_is_answered_and_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let options =
        JournalOptions { segment: SegmentOptions { roll_bytes: 1 }, ..JournalOptions::default() };
    let journal = open_with(dir.path(), options);
    submit(&journal, [1], 1);
    // The next segment's name is taken by a folder.
    let blocked = dir.path().join(format!("{:020}.seg", 1));
    std::fs::create_dir(&blocked).unwrap();
    let refused = Submission { entries: entries([2], 2), key: key(5, 50), rejected: 0 };
    assert!(matches!(journal.append(refused), Err(AppendError::Log(_))));
    assert_eq!(journal.end().unwrap().offset, Offset(1));
    std::fs::remove_dir(&blocked).unwrap();
    let again = Submission { entries: entries([2], 2), key: key(5, 50), rejected: 0 };
    let again = journal.append(again).unwrap();
    assert_eq!((again.accepted, again.repeated), (1, false));
}

#[test]
fn a_waiting_reader_wakes_when_a_record_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            journal.wait(Offset(0), Duration::from_secs(60));
            journal.end().unwrap().offset
        });
        submit(&journal, [1], 1);
        assert_eq!(reader.join().unwrap(), Offset(1));
    });
}

#[test]
fn dropping_segments_shortens_the_horizon_as_a_reopen_would() {
    let dir = tempfile::tempdir().unwrap();
    let retention = Retention { max_bytes: Some(300), ..Retention::FOREVER };
    let options = JournalOptions {
        segment: SegmentOptions { roll_bytes: 1 },
        retention,
        ..JournalOptions::default()
    };
    let journal = open_with(dir.path(), options);
    for identity in 1..9 {
        submit(&journal, [identity], 1);
    }
    journal.release(Offset(8));
    let start = journal.start();
    assert!(start > Offset(0));
    let status = journal.horizon();
    assert_eq!(status.horizon_ids, 8 - start.0);
    drop(journal);
    assert_eq!(open_with(dir.path(), options).horizon(), status);
}
