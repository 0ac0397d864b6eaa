#![allow(clippy::unwrap_used)]

mod dedup;
mod times;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::log::record_hash;

struct Place {
    folder: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        Self::named("bus.ndjson")
    }

    fn named(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        Self { folder, path }
    }

    fn with(text: impl AsRef<[u8]>) -> Self {
        let place = Self::new();
        fs::write(&place.path, text).unwrap();
        place
    }

    fn options(&self) -> FileOptions {
        let mapping = Mapping {
            name: "auto".to_owned(),
            id: vec![],
            topic: vec![],
            time: vec![],
            producer: None,
        };
        let mut options = FileOptions::new(mapping, self.folder.path().join("logs"));
        options.rotation_settle = Duration::ZERO;
        options
    }

    fn once(&self) -> FileOptions {
        FileOptions { once: true, ..self.options() }
    }

    /// Opens as a host does after a restart in which all stats had folded up to `position`.
    fn reopen(&self, position: Offset) -> Result<FileLog, LogError> {
        let folded = Folded { by_all: position, by_any: position };
        FileLog::open(&self.path, FileOptions { folded, ..self.options() })
    }

    fn open(&self) -> FileLog {
        FileLog::open(&self.path, self.options()).unwrap()
    }

    fn append(&self, text: &str) {
        append(&self.path, text);
    }

    fn rotate(&self, to: &str) {
        fs::rename(&self.path, self.folder.path().join(to)).unwrap();
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// All records from `from` on, in reads of a few bytes, and the offset past them.
fn read_from(log: &FileLog, from: Offset) -> (Vec<String>, Offset) {
    let mut records = Records::default();
    let (mut texts, mut at) = (Vec::new(), from);
    loop {
        log.read(at, 16, 3, &mut records).unwrap();
        assert_eq!(records.range.start, at);
        for (&(start, len), &offset) in records.spans.iter().zip(&records.offsets) {
            assert!(records.range.contains(&Offset(offset)));
            let text = &records.text[start as usize..(start + len) as usize];
            texts.push(String::from_utf8_lossy(text).into_owned());
        }
        if records.spans.is_empty() && log.end().unwrap().offset <= records.range.end {
            return (texts, records.range.end);
        }
        at = records.range.end;
    }
}

fn all(log: &FileLog) -> Vec<String> {
    read_from(log, log.start()).0
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

fn zstandard(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 1).unwrap()
}

fn numbered(count: usize) -> String {
    (0..count).map(|i| format!("{{\"number\":{i}}}\n")).collect()
}

#[test]
fn lines_are_records_and_offsets_are_where_they_begin() {
    let place = Place::with("\u{feff}{\"a\":1}\r\n\n  \r\n{\"b\":2}\n");
    let log = place.open();
    let mut records = Records::default();
    log.read(Offset(0), 1 << 20, 1024, &mut records).unwrap();
    assert_eq!(records.offsets, [0, 17]);
    assert_eq!(records.range, Offset(0)..Offset(25));
    assert_eq!(all(&log), ["{\"a\":1}", "{\"b\":2}"]);
}

#[test]
fn every_start_gives_the_same_records() {
    let place = Place::with(numbered(50));
    let log = place.open();
    let (texts, end) = read_from(&log, Offset(0));
    assert_eq!(texts.len(), 50);
    let mut at = 0;
    for (index, text) in texts.iter().enumerate() {
        assert_eq!(read_from(&log, Offset(at)), (texts[index..].to_vec(), end));
        at += text.len() as u64 + 1;
        assert_eq!(log.fingerprint(Offset(at)).unwrap(), Some(record_hash(text.as_bytes())));
    }
}

#[test]
fn bytes_that_are_no_utf8_are_handed_over_as_they_are() {
    let place = Place::with(b"{\"a\":\"\xff\xfe\"}\n");
    let mut records = Records::default();
    place.open().read(Offset(0), 1024, 10, &mut records).unwrap();
    assert_eq!(&records.text[..records.spans[0].1 as usize], b"{\"a\":\"\xff\xfe\"}");
}

#[test]
fn an_empty_file_is_an_empty_log() {
    let place = Place::with("");
    assert_eq!(all(&place.open()), [""; 0]);
    let log = FileLog::open(&place.path, place.once()).unwrap();
    let end = log.end().unwrap();
    assert!(end.finished && end.offset == Offset(0));
    assert_eq!(log.fingerprint(Offset(0)).unwrap(), None);
}

#[test]
fn a_file_of_blank_lines_only_has_no_records_but_an_end() {
    let place = Place::with("\n \n\r\n\n");
    let (texts, end) = read_from(&place.open(), Offset(0));
    assert_eq!((texts.len(), end), (0, Offset(6)));
}

#[test]
fn a_missing_file_is_waited_for_unless_it_is_read_once() {
    let place = Place::new();
    let error = FileLog::open(&place.path, place.once()).unwrap_err().to_string();
    assert!(error.contains("no such file"), "{error}");
    let log = place.open();
    assert_eq!(all(&log), [""; 0]);
    place.append("{}\n");
    log.wait(Offset(0), Duration::from_secs(10));
    assert_eq!(all(&log), ["{}"]);
}

#[test]
fn a_folder_is_refused_with_the_remedy() {
    let place = Place::new();
    fs::create_dir(&place.path).unwrap();
    let error = FileLog::open(&place.path, place.options()).unwrap_err().to_string();
    assert!(error.contains("a directory") && error.contains("stdin:"), "{error}");
}

#[test]
fn what_is_appended_is_read_and_an_unfinished_line_waits() {
    let place = Place::with("{\"a\":1}\n{\"b\"");
    let log = place.open();
    let (texts, end) = read_from(&log, Offset(0));
    assert_eq!((texts, end), (vec!["{\"a\":1}".to_owned()], Offset(8)));
    place.append(":2}\n");
    log.wait(end, Duration::from_secs(10));
    assert_eq!(read_from(&log, end).0, ["{\"b\":2}"]);
}

#[test]
fn once_takes_a_whole_last_line_and_leaves_half_a_one() {
    let place = Place::with("{\"a\":1}\n{\"b\":2}");
    let log = FileLog::open(&place.path, place.once()).unwrap();
    assert_eq!(all(&log), ["{\"a\":1}", "{\"b\":2}"]);
    assert_eq!(log.end().unwrap().offset, Offset(15));
    assert_eq!(log.unterminated(), 0);

    // The host goes on later, not once, when the line has got its end.
    place.append("\n{\"c\":3}\n");
    let log = place.reopen(Offset(15)).unwrap();
    assert_eq!(read_from(&log, Offset(15)).0, ["{\"c\":3}"]);

    for half in ["{\"b\":", "{\"b\":2} {", "12", "\u{feff}"] {
        let place = Place::with(format!("{{\"a\":1}}\n{half}"));
        let log = FileLog::open(&place.path, place.once()).unwrap();
        assert_eq!(all(&log), ["{\"a\":1}"], "{half}");
        assert_eq!(log.unterminated(), 1);
    }
}

#[test]
fn once_ends_where_the_file_ended_when_it_was_opened() {
    let place = Place::with("{\"a\":1}\n");
    let log = FileLog::open(&place.path, place.once()).unwrap();
    place.append("{\"b\":2}\n");
    assert_eq!(all(&log), ["{\"a\":1}"]);
}

#[test]
fn a_line_over_the_limit_is_cut_and_the_next_one_follows() {
    let long = "x".repeat(40 << 20);
    let text = format!("{{\"a\":1}}\n{long}\n{{\"b\":2}}\n");
    for bytes in [text.as_bytes().to_vec(), gzip(text.as_bytes()), zstandard(text.as_bytes())] {
        let place = Place::with(&bytes);
        let limits = Limits { max_message: 1 << 20, ..Limits::default() };
        let options = FileOptions { limits, ..place.options() };
        let log = FileLog::open(&place.path, options).unwrap();
        let mut records = Records::default();
        let (mut sizes, mut at, mut room) = (Vec::new(), Offset(0), 0);
        while at < log.end().unwrap().offset {
            log.read(at, 4096, 10, &mut records).unwrap();
            sizes.extend(records.spans.iter().map(|span| span.1));
            room = room.max(records.text.capacity());
            at = records.range.end;
            let (start, len) = *records.spans.last().unwrap();
            let last = &records.text[start as usize..(start + len) as usize];
            assert_eq!(log.fingerprint(at).unwrap(), Some(record_hash(last)));
        }
        assert_eq!(sizes, [7, (1 << 20) + 1, 7]);
        assert!(room < 8 << 20, "{room}");
    }
}

#[test]
fn compressed_files_are_logs_of_their_bytes() {
    let text = numbered(30_000);
    let plain = Place::with(&text);
    let expected = read_from(&plain.open(), Offset(0));
    let mut members = gzip(&text.as_bytes()[..1000]);
    members.extend(gzip(&text.as_bytes()[1000..]));
    for (name, bytes) in [
        ("bus.ndjson.gz", gzip(text.as_bytes())),
        ("bus.ndjson.gz", [&members[..], &[0; 300_000]].concat()),
        ("bus.ndjson.gz", members),
        ("bus.ndjson.zst", zstandard(text.as_bytes())),
        // Told by its first bytes, not by its name.
        ("bus.ndjson.1", zstandard(text.as_bytes())),
    ] {
        let place = Place::named(name);
        fs::write(&place.path, bytes).unwrap();
        let log = FileLog::open(&place.path, place.once()).unwrap();
        assert_eq!(log.end().unwrap().offset, expected.1);
        assert_eq!(read_from(&log, Offset(0)), expected);
        let middle = Offset(expected.0[..9999].iter().map(|it| it.len() as u64 + 1).sum());
        assert_eq!(read_from(&log, middle).0, expected.0[9999..]);
        let hash = record_hash(expected.0[9998].as_bytes());
        assert_eq!(log.fingerprint(middle).unwrap(), Some(hash));
    }
}

#[test]
fn compressed_data_that_end_early_are_a_loss_or_waited_for() {
    let text = numbered(50_000);
    let whole = zstandard(text.as_bytes());
    let place = Place::with(&whole[..whole.len() / 2]);
    let log = FileLog::open(&place.path, place.once()).unwrap();
    let some = all(&log).len();
    assert!(some > 0 && some < 50_000, "{some}");
    assert_eq!(log.losses().len(), 1);

    let place = Place::with(&whole[..whole.len() / 2]);
    let log = place.open();
    let (mut texts, end) = read_from(&log, Offset(0));
    fs::write(&place.path, &whole).unwrap();
    texts.extend(read_from(&log, end).0);
    assert_eq!(texts.len(), 50_000);
    assert!(log.losses().is_empty());
}

#[test]
fn a_file_named_as_compressed_that_is_not_is_refused() {
    let place = Place::named("bus.ndjson.gz");
    place.append("{\"a\":1}\n");
    let error = FileLog::open(&place.path, place.options()).unwrap_err();
    assert!(matches!(&error, LogError::Io { source, .. } if source.to_string().contains("gzip")));
}

#[test]
fn a_renamed_file_is_read_to_its_end_before_the_new_one() {
    let place = Place::with("{\"a\":1}\n");
    let log = place.open();
    let (_, end) = read_from(&log, Offset(0));
    place.append("{\"a\":2}\n");
    place.rotate("bus.ndjson.1");
    append(&place.folder.path().join("bus.ndjson.1"), "{\"a\":3}\n");
    place.append("{\"b\":1}\n");
    assert_eq!(read_from(&log, end).0, ["{\"a\":2}", "{\"a\":3}", "{\"b\":1}"]);
    assert!(log.losses().is_empty());
    assert_eq!(all(&log).len(), 4);
}

#[test]
fn a_rotated_file_is_waited_for_until_its_writer_has_left_it() {
    let place = Place::with("{\"a\":1}\n");
    let options = FileOptions { rotation_settle: Duration::from_secs(3600), ..place.options() };
    let log = FileLog::open(&place.path, options).unwrap();
    place.rotate("bus.ndjson.1");
    place.append("{\"b\":1}\n");
    assert_eq!(all(&log), ["{\"a\":1}"]);
    append(&place.folder.path().join("bus.ndjson.1"), "{\"a\":2}\n");
    assert_eq!(all(&log), ["{\"a\":1}", "{\"a\":2}"]);
}

#[test]
fn rotation_while_the_host_is_down_leaves_no_gap() {
    let place = Place::with("{\"a\":1}\n{\"a\":2}\n");
    let log = place.open();
    let id = log.id();
    drop(log);
    let position = Offset(8);
    place.append("{\"a\":3}\n");
    place.rotate("bus.ndjson.2");
    place.append("{\"b\":1}\n");
    place.rotate("bus.ndjson.1");
    place.append("{\"c\":1}\n");
    let log = place.reopen(position).unwrap();
    assert_eq!(log.id(), id);
    let rest = ["{\"a\":2}", "{\"a\":3}", "{\"b\":1}", "{\"c\":1}"];
    assert_eq!(read_from(&log, position).0, rest);
    assert_eq!(log.fingerprint(position).unwrap(), Some(record_hash(b"{\"a\":1}")));

    // Compressed meanwhile, as rotation does later: the same offsets give the same records.
    drop(log);
    for old in ["bus.ndjson.2", "bus.ndjson.1"] {
        let old = place.folder.path().join(old);
        fs::write(old.with_extension("9.gz"), gzip(&fs::read(&old).unwrap())).unwrap();
        fs::rename(old.with_extension("9.gz"), format!("{}.gz", old.display())).unwrap();
        fs::remove_file(old).unwrap();
    }
    let log = place.reopen(position).unwrap();
    assert_eq!(read_from(&log, position).0, rest);
    assert!(log.losses().is_empty());
}

#[test]
fn a_rotated_file_removed_unread_is_a_recorded_loss() {
    let place = Place::with("{\"a\":1}\n{\"a\":2}\n");
    drop(place.open());
    place.rotate("elsewhere");
    fs::remove_file(place.folder.path().join("elsewhere")).unwrap();
    place.append("{\"b\":1}\n");
    let log = place.reopen(Offset(8)).unwrap();
    let losses = log.losses();
    assert_eq!((losses[0].from, losses[0].to), (Offset(8), Offset(16)));
    let error = log.read(Offset(8), 100, 10, &mut Records::default()).unwrap_err();
    assert!(matches!(error, LogError::Expired { oldest: Offset(16), .. }), "{error}");
    assert_eq!(all(&log), ["{\"b\":1}"]);
    drop(log);
    assert_eq!(place.reopen(Offset(16)).unwrap().losses(), losses);
}

#[test]
fn a_rotated_file_removed_after_it_was_read_is_none() {
    let place = Place::with("{\"a\":1}\n");
    drop(place.open());
    fs::remove_file(&place.path).unwrap();
    place.append("{\"b\":1}\n");
    let log = place.reopen(Offset(8)).unwrap();
    assert!(log.losses().is_empty());
    assert_eq!(read_from(&log, Offset(8)).0, ["{\"b\":1}"]);
    assert_eq!(log.fingerprint(Offset(8)).unwrap(), None);
}

#[test]
fn a_file_cut_off_by_its_rotation_goes_on_in_a_new_generation() {
    let place = Place::with("{\"a\":1}\n");
    let log = place.open();
    let (_, end) = read_from(&log, Offset(0));
    place.append("{\"a\":2}\n");
    fs::copy(&place.path, place.folder.path().join("bus.ndjson.1")).unwrap();
    fs::write(&place.path, "{\"b\":1}\n").unwrap();
    assert_eq!(read_from(&log, end).0, ["{\"a\":2}", "{\"b\":1}"]);
    assert!(log.losses().is_empty());

    // Cut off without a copy: what was read is no loss.
    log.release(log.end().unwrap().offset);
    let end = log.end().unwrap().offset;
    File::create(&place.path).unwrap();
    assert_eq!(read_from(&log, end).0, [""; 0]);
    place.append("{\"c\":1}\n");
    assert_eq!(read_from(&log, end).0, ["{\"c\":1}"]);
    assert!(log.losses().is_empty());
}

#[test]
fn a_file_that_begins_as_before_but_is_shorter_has_diverged() {
    let text = numbered(2000);
    let place = Place::with(&text);
    let position = place.open().end().unwrap().offset;
    fs::write(&place.path, &text[..text.len() - 100]).unwrap();
    let error = place.reopen(position).unwrap_err();
    assert!(matches!(error, LogError::Diverged { .. }), "{error}");
}

#[test]
fn a_copy_of_the_file_put_in_its_place_is_the_same_log() {
    let place = Place::with(numbered(10));
    let log = place.open();
    let (_, end) = read_from(&log, Offset(0));
    let copy = place.folder.path().join("copy");
    fs::copy(&place.path, &copy).unwrap();
    append(&copy, "{\"new\":1}\n");
    fs::rename(&copy, &place.path).unwrap();
    assert_eq!(read_from(&log, end).0, ["{\"new\":1}"]);
    assert_eq!(all(&log).len(), 11);
}

#[test]
fn a_position_past_the_end_has_diverged() {
    let place = Place::with("{}\n");
    let error = place.open().fingerprint(Offset(99)).unwrap_err();
    assert!(matches!(error, LogError::Diverged { .. }), "{error}");
}

#[test]
fn an_unreadable_state_is_an_error_and_not_a_new_log() {
    let place = Place::with("{}\n");
    drop(place.open());
    let state = state::place(&place.folder.path().join("logs"), &place.path);
    fs::write(&state, "{").unwrap();
    let error = FileLog::open(&place.path, place.options()).unwrap_err().to_string();
    assert!(error.contains("restore it") && error.contains("logs"), "{error}");
}

#[test]
fn the_id_is_random_and_stays() {
    let (one, two) = (Place::with("{}\n"), Place::with("{}\n"));
    let id = one.open().id();
    assert_eq!(one.open().id(), id);
    assert_eq!(FileLog::stored_id(&one.path, &one.options().state_folder).unwrap(), Some(id));
    assert_ne!(two.open().id(), id);
}

/// Renames `path.1` to `path.2` and so on, then `path` to `path.1`.
fn shift(place: &Place) {
    let old = |number: usize| place.folder.path().join(format!("bus.ndjson.{number}"));
    let count = (1..).find(|number| !old(*number).exists()).unwrap();
    for number in (1..count).rev() {
        fs::rename(old(number), old(number + 1)).unwrap();
    }
}

#[test]
fn any_sequence_of_writes_rotations_and_restarts_gives_each_line_once_and_in_order() {
    for seed in 0..15u64 {
        let place = Place::with("");
        let mut log = place.open();
        let (mut written, mut read) = (Vec::new(), Vec::new());
        let mut position = Offset(0);
        let mut random = seed;
        for _ in 0..40 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040);
            match (random >> 33) % 9 {
                0..4 => {
                    let line = format!("{{\"seed\":{seed},\"line\":{}}}", written.len());
                    place.append(&format!("{line}\n"));
                    written.push(line);
                }
                4 | 5 => {
                    let (texts, end) = read_from(&log, position);
                    read.extend(texts);
                    position = end;
                }
                6 => {
                    shift(&place);
                    place.rotate("bus.ndjson.1");
                    place.append("");
                }
                7 if fs::metadata(&place.path).unwrap().len() > 0 => {
                    // The head must have been seen, else a file cut off is not told from a new one.
                    log.end().unwrap();
                    shift(&place);
                    fs::copy(&place.path, place.folder.path().join("bus.ndjson.1")).unwrap();
                    File::create(&place.path).unwrap();
                }
                _ => {
                    drop(log);
                    log = place.reopen(position).unwrap();
                }
            }
        }
        read.extend(read_from(&log, position).0);
        assert_eq!(read, written, "seed {seed}");
        assert!(log.losses().is_empty(), "seed {seed}: {:?}", log.losses());
        assert_eq!(all(&place.reopen(position).unwrap()), written, "seed {seed}");
    }
}
