#![allow(clippy::unwrap_used)]

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::log::{LogError, Offset, Records};

const SMALL: SegmentOptions = SegmentOptions { roll_bytes: 2000 };

fn open(dir: &Path) -> SegmentLog {
    open_with(dir, SegmentOptions::default())
}

fn open_with(dir: &Path, options: SegmentOptions) -> SegmentLog {
    SegmentLog::open(dir, "test", options, "test").unwrap()
}

/// Records `texts`, each a second apart and with an identity of its own.
fn entries<S: AsRef<str>>(first: u64, texts: impl IntoIterator<Item = S>) -> Entries {
    let mut entries = Entries::default();
    for (number, text) in (first..).zip(texts) {
        let time_us = number as i64 * 1_000_000;
        entries.push(text.as_ref().as_bytes(), time_us, time_us + 1, u128::from(number) + 1, 0);
    }
    entries
}

fn append<S: AsRef<str>>(log: &SegmentLog, texts: impl IntoIterator<Item = S>) {
    log.commit(&entries(log.end_offset().0, texts), &Extras::default()).unwrap();
}

/// All texts that can be read from `from` on, with the holes stepped over.
fn texts_from(log: &SegmentLog, from: Offset, max_records: usize) -> Vec<(u64, String)> {
    let mut records = Records::default();
    let mut texts = Vec::new();
    let mut at = from;
    loop {
        match log.read(at, 1 << 16, max_records, &mut records) {
            Ok(()) => {}
            Err(LogError::Damaged { at: hole, .. }) => {
                let losses = log.losses();
                at = losses.iter().find(|loss| loss.range.contains(&hole)).unwrap().range.end;
                continue;
            }
            Err(error) => panic!("{error}"),
        }
        if records.offsets.is_empty() {
            return texts;
        }
        assert_eq!(records.range.start, at);
        at = records.range.end;
        for (offset, (start, length)) in records.offsets.iter().zip(&records.spans) {
            let text = &records.text[*start as usize..(start + length) as usize];
            texts.push((*offset, String::from_utf8(text.to_vec()).unwrap()));
        }
    }
}

fn texts(log: &SegmentLog) -> Vec<String> {
    texts_from(log, log.start(), 100).into_iter().map(|(_, text)| text).collect()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    paths.sort();
    paths
}

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x55], at).unwrap();
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("message {number} {}", "x".repeat(number % 50))).collect()
}

#[test]
fn a_reopened_log_reads_the_same_records() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_with(dir.path(), SMALL);
    for start in (0..300).step_by(7) {
        append(&log, numbered(start..start + 7));
    }
    let (id, before) = (log.id(), texts_from(&log, Offset(0), 100));
    assert_eq!(before.len(), 301);
    assert!(segments(dir.path()).len() > 3);
    drop(log);
    let log = open_with(dir.path(), SMALL);
    assert_eq!(log.id(), id);
    assert_eq!(texts_from(&log, Offset(0), 3), before);
    assert_eq!(log.count(Offset(10)..Offset(40)), 30);
    append(&log, ["one more"]);
    assert_eq!(texts(&log).len(), 302);
}

#[test]
fn a_torn_commit_vanishes_whole_at_whatever_byte_it_is_torn() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, numbered(0..3));
    let whole = log.stored_bytes();
    // Two blocks, so that a commit may be torn between them too.
    let large = "y".repeat(pack::RAW_TARGET);
    append(&log, [large.as_str(), "last"]);
    let end = log.stored_bytes();
    drop(log);
    let path = segments(dir.path())[0].clone();
    let bytes = std::fs::read(&path).unwrap();
    for cut in whole..end {
        std::fs::write(&path, &bytes[..cut as usize]).unwrap();
        let log = open(dir.path());
        assert_eq!(log.end_offset(), Offset(3), "cut at {cut}");
        assert_eq!(log.stored_bytes(), whole);
        assert!(log.losses().is_empty());
    }
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(open(dir.path()).end_offset(), Offset(5));
}

#[test]
fn a_damaged_last_commit_is_cut_off_and_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, numbered(0..3));
    let whole = log.stored_bytes();
    append(&log, numbered(3..5));
    let end = log.stored_bytes();
    drop(log);
    let path = segments(dir.path())[0].clone();
    for at in whole..end {
        flip(&path, at);
        let log = open(dir.path());
        assert_eq!(texts(&log), numbered(0..3), "flipped {at}");
        append(&log, numbered(3..5));
        assert_eq!(texts(&log), numbered(0..5));
    }
}

#[test]
fn a_damaged_block_is_a_loss_and_reading_goes_on_behind_it() {
    for sealed in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let options = SegmentOptions {
            roll_bytes: if sealed { 600 } else { SegmentOptions::default().roll_bytes },
        };
        let log = open_with(dir.path(), options);
        append(&log, numbered(0..4));
        let from = log.stored_bytes();
        append(&log, numbered(4..8));
        let to = log.stored_bytes();
        append(&log, numbered(8..12));
        append(&log, numbered(12..80));
        append(&log, numbered(80..81));
        assert_eq!(segments(dir.path()).len() > 1, sealed);
        drop(log);
        let path = segments(dir.path())[0].clone();
        for at in [from, from + 20, from + 60, (from + to) / 2, to - 1] {
            flip(&path, at);
            let _ = std::fs::remove_file(path.with_extension("idx"));
            let log = open_with(dir.path(), options);
            let losses = log.losses();
            assert_eq!(losses.len(), 1, "flipped {at}");
            assert_eq!(losses[0].range, Offset(4)..Offset(8));
            assert_eq!(texts(&log), [numbered(0..4), numbered(8..81)].concat());
            assert_eq!(log.count(Offset(0)..Offset(81)), 77);
            assert_eq!(log.fingerprint(Offset(8)).unwrap(), None);
            flip(&path, at);
        }
        let _ = std::fs::remove_file(path.with_extension("idx"));
        assert_eq!(texts(&open_with(dir.path(), options)), numbered(0..81));
    }
}

#[test]
fn damage_under_a_good_sidecar_is_found_when_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_with(dir.path(), SegmentOptions { roll_bytes: 1 });
    append(&log, numbered(0..4));
    append(&log, numbered(4..8));
    flip(&segments(dir.path())[0], 80);
    let mut records = Records::default();
    let error = log.read(Offset(1), 1000, 10, &mut records).unwrap_err();
    assert!(matches!(error, LogError::Damaged { at: Offset(0), .. }), "{error}");
    assert_eq!(texts_from(&log, Offset(4), 10).len(), 4);
    assert_eq!(log.losses()[0].range, Offset(0)..Offset(4));
}

#[test]
fn a_missing_or_damaged_sidecar_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_with(dir.path(), SMALL);
    for start in (0..200).step_by(5) {
        append(&log, numbered(start..start + 5));
    }
    let before = (texts(&log), log.first_at(77_000_000));
    drop(log);
    let sidecar = segments(dir.path())[0].with_extension("idx");
    let good = std::fs::read(&sidecar).unwrap();
    for at in 0..good.len() as u64 {
        flip(&sidecar, at);
        let log = open_with(dir.path(), SMALL);
        let identity = log.copies(Table::Identities, 1, 0..=0).unwrap();
        assert_eq!((identity, log.first_at(3_000_000)), (1, Offset(0)), "flipped {at}");
        flip(&sidecar, at);
    }
    std::fs::remove_file(&sidecar).unwrap();
    let log = open_with(dir.path(), SMALL);
    assert_eq!((texts(&log), log.first_at(77_000_000)), before);
    assert_eq!(std::fs::read(&sidecar).unwrap(), good);
}

#[test]
fn a_missing_segment_is_a_loss() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_with(dir.path(), SegmentOptions { roll_bytes: 1 });
    for start in [0, 3, 6] {
        append(&log, numbered(start..start + 3));
    }
    drop(log);
    std::fs::remove_file(&segments(dir.path())[1]).unwrap();
    let log = open(dir.path());
    assert_eq!(log.losses()[0].range, Offset(3)..Offset(6));
    assert_eq!(texts(&log), [numbered(0..3), numbered(6..9)].concat());
}

#[test]
fn segments_without_the_file_that_names_the_log_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    append(&open(dir.path()), ["a"]);
    std::fs::remove_file(dir.path().join("log.json")).unwrap();
    let error =
        SegmentLog::open(dir.path(), "test", SegmentOptions::default(), "test").unwrap_err();
    assert!(error.to_string().contains("log.json"), "{error}");
}

#[test]
fn a_block_inside_a_message_is_no_block() {
    let dir = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let forger = open(other.path());
    append(&forger, ["forged"]);
    let forged = std::fs::read(&segments(other.path())[0]).unwrap();

    let log = open(dir.path());
    let mut entries = Entries::default();
    entries.push(&forged, 0, 0, 0, 0);
    log.commit(&entries, &Extras::default()).unwrap();
    append(&log, ["after"]);
    drop(log);
    flip(&segments(dir.path())[0], 20);
    let log = open(dir.path());
    assert_eq!(texts_from(&log, Offset(0), 9), [(1, "after".to_owned())]);
}

#[test]
fn the_first_chunk_young_enough_is_found_by_its_largest_time() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_with(dir.path(), SegmentOptions { roll_bytes: 700 });
    for times in [[5, 1], [3, 9], [2, 4], [8, 12]] {
        let mut entries = Entries::default();
        for time_us in times {
            entries.push(&[b'z'; 200], time_us, time_us, 0, 0);
        }
        log.commit(&entries, &Extras::default()).unwrap();
    }
    let found: Vec<_> = [0, 5, 6, 9, 10, 12, 13].map(|time_us| log.first_at(time_us).0).to_vec();
    assert_eq!(found, [0, 0, 2, 2, 6, 6, 8]);
    let smallest: Vec<_> =
        [0, 1, 2, 4, 5, 6, 8].map(|from| log.smallest_time_from(Offset(from))).to_vec();
    assert_eq!(
        smallest,
        [Some(1), Some(1), Some(2), Some(2), Some(2), Some(8), None],
        "to the block"
    );
}

#[test]
fn released_segments_go_by_age_and_size_but_not_while_held() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_with(dir.path(), SegmentOptions { roll_bytes: 1 });
    for start in 0..10 {
        append(&log, numbered(start..start + 1));
    }
    let age = Retention { age_us: Some(5_000_000), ..Retention::FOREVER };
    log.release(Offset(10), &Retention::FOREVER, 9_000_000).unwrap();
    assert_eq!(log.start(), Offset(0));
    let hold = log.hold(Offset(2));
    log.release(Offset(10), &age, 9_000_000).unwrap();
    assert_eq!(log.start(), Offset(2));
    drop(hold);
    log.release(Offset(3), &age, 9_000_000).unwrap();
    assert_eq!(log.start(), Offset(3));
    log.release(Offset(10), &age, 9_000_000).unwrap();
    assert_eq!(log.start(), Offset(4));
    let error = log.read(Offset(3), 10, 10, &mut Records::default()).unwrap_err();
    assert!(matches!(error, LogError::Expired { oldest: Offset(4), .. }), "{error}");

    let limit = Retention { disk_limit: Some(250), ..Retention::FOREVER };
    log.release(Offset(0), &limit, 9_000_000).unwrap();
    assert!(log.stored_bytes() <= 250);
    drop(log);
    let log = open(dir.path());
    assert_eq!(texts(&log), numbered(log.start().0 as usize..10));
}

#[test]
fn a_read_gives_one_record_however_small_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, ["a".repeat(5000), "b".to_owned()]);
    let mut records = Records::default();
    log.read(Offset(0), 10, 10, &mut records).unwrap();
    assert_eq!((records.offsets.as_slice(), records.range.end), (&[0][..], Offset(1)));
    assert_eq!(records.arrivals, [1]);
    log.read(Offset(2), 10, 10, &mut records).unwrap();
    assert_eq!((records.offsets.len(), records.range.clone()), (0, Offset(2)..Offset(2)));
}

#[test]
fn extras_survive_without_any_record() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_with(dir.path(), SegmentOptions { roll_bytes: 1 });
    append(&log, ["a"]);
    let key = KeyEntry { key: 7, body: 8, accepted: 1, duplicates: 2, rejected: 3, arrival_us: 4 };
    let matched = Match { content: 9, identity: 10, time_us: 11 };
    let extras =
        Extras { keys: vec![key], matched: vec![matched], cursor: Some(b"page 2".to_vec()) };
    log.commit(&Entries::default(), &extras).unwrap();
    append(&log, ["b"]);
    drop(log);
    let log = open(dir.path());
    assert_eq!(log.cursor().unwrap().unwrap(), b"page 2");
    assert_eq!(log.copies(Table::Matched, 9, 0..=20).unwrap(), 1);
    assert_eq!(log.copies(Table::MatchedIdentities, 10, 0..=20).unwrap(), 1);
    assert_eq!(log.visit_identities(0, |_, _, _| ()).unwrap(), [key]);
    assert_eq!(texts(&log), ["a", "b"]);
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<u16>),
    Reopen,
    Tear(u16),
    Read(u16, u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(0..2000_u16, 1..6).prop_map(Step::Append),
        1 => Just(Step::Reopen),
        1 => any::<u16>().prop_map(Step::Tear),
        2 => (any::<u16>(), 1..20_u8).prop_map(|(from, records)| Step::Read(from, records)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn any_history_of_a_log_equals_a_list(steps in prop::collection::vec(step(), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        let options = SegmentOptions { roll_bytes: 3000 };
        let mut log = open_with(dir.path(), options);
        let mut model: Vec<String> = Vec::new();
        for step in steps {
            match step {
                Step::Append(lengths) => {
                    let texts: Vec<_> = lengths
                        .iter()
                        .map(|length| format!("{length}:{}", "v".repeat(usize::from(*length))))
                        .collect();
                    append(&log, &texts);
                    model.extend(texts);
                }
                Step::Reopen => {
                    drop(log);
                    log = open_with(dir.path(), options);
                }
                // Bytes of a commit that never was acknowledged.
                Step::Tear(length) => {
                    drop(log);
                    let path = segments(dir.path()).pop().unwrap();
                    let mut bytes = std::fs::read(&path).unwrap();
                    let torn = bytes[..usize::from(length).min(bytes.len() / 2)].to_vec();
                    bytes.extend(torn.iter().take(60));
                    std::fs::write(&path, bytes).unwrap();
                    log = open_with(dir.path(), options);
                }
                Step::Read(from, records) => {
                    let from = usize::from(from) % (model.len() + 1);
                    let read = texts_from(&log, Offset(from as u64), usize::from(records));
                    let read: Vec<_> = read.into_iter().map(|(_, text)| text).collect();
                    prop_assert_eq!(&read, &model[from..]);
                }
            }
            prop_assert_eq!(log.end_offset(), Offset(model.len() as u64));
        }
        prop_assert_eq!(texts(&log), model);
    }
}
