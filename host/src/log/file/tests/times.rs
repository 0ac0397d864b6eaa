//! The index of times: it skips nothing that belongs in, and can be lost.

use std::sync::Arc;

use super::*;
use crate::project::{Caps, Dictionaries, Projection, Projector};

fn options(place: &Place) -> FileOptions {
    FileOptions { mapping: Mapping::auto(), ..place.options() }
}

fn reopen(place: &Place, position: Offset) -> FileLog {
    let folded = Folded { by_all: position, by_any: position };
    FileLog::open(&place.path, FileOptions { folded, ..options(place) }).unwrap()
}

/// Reads `log` as a lane does, from `from` to `to`.
fn lane(log: &FileLog, from: Offset, to: Offset) {
    let projection = Arc::new(Projection::compile(&Mapping::auto(), &[]).unwrap());
    let mut projector = Projector::new(projection, Limits::default());
    let dictionaries = Dictionaries::new(&[], Caps::default());
    let (mut at, mut records) = (from, Records::default());
    while at < to {
        log.read(at, 1 << 16, 500, &mut records).unwrap();
        let batch = projector.project(&mut records, log.id(), log.key(), false, &dictionaries);
        at = batch.range.end;
        log.note(&batch);
    }
}

/// Lines of about 180 bytes, one each second, every seventh ten minutes late and every fifth refused.
fn lines(numbers: Range<i64>) -> String {
    let pad = "x".repeat(130);
    numbers
        .map(|number| match number {
            _ if number % 5 == 4 => "{\"topic\":\"t\"}\n".to_owned(),
            _ => format!("{{\"topic\":\"t\",\"time\":{},\"pad\":\"{pad}\"}}\n", time_s(number)),
        })
        .collect()
}

fn time_s(number: i64) -> i64 {
    if number % 7 == 6 { number - 600 } else { number }
}

/// Offset of the first message that is not older.
fn first_young(text: &str, since_s: i64) -> u64 {
    let mut at = 0;
    for (number, line) in text.lines().enumerate() {
        let number = number as i64;
        if number % 5 != 4 && time_s(number) >= since_s {
            break;
        }
        at += line.len() as u64 + 1;
    }
    at
}

#[test]
fn the_first_chunk_young_enough_is_found_and_nothing_young_lies_before_it() {
    let text = lines(0..30_000);
    let place = Place::with(&text);
    let log = reopen(&place, Offset(0));
    assert_eq!(log.first_at(20_000_000_000), Offset(0), "nothing is known of what was not read");
    let end = log.end().unwrap().offset;
    lane(&log, Offset(0), end);
    for since_s in (0..31_000).step_by(700) {
        let found = log.first_at(since_s * 1_000_000);
        let young = first_young(&text, since_s);
        assert!(found.0 <= young, "{since_s} s: a message at {young} is passed over");
        assert!(young - found.0 <= 2 << 20, "{since_s} s: {young} is found at {}", found.0);
    }
    assert_eq!(log.first_at(40_000_000_000), end);
    drop(log);
    assert!(reopen(&place, end).first_at(25_000_000_000).0 > 2 << 20);
}

#[test]
fn records_are_counted_exactly_between_any_two_places() {
    let text = lines(0..30_000);
    let place = Place::with(&text);
    let log = reopen(&place, Offset(0));
    let end = log.end().unwrap().offset;
    assert_eq!(log.count(end..end), Some(0));
    lane(&log, Offset(0), end);
    let starts: Vec<u64> = std::iter::once(0)
        .chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|feed| feed as u64 + 1))
        .collect();
    for (from, to) in [(0, 30_000), (7, 29_999), (12_345, 12_346), (9_000, 25_000), (5, 5)] {
        let range = Offset(starts[from])..Offset(starts[to]);
        assert_eq!(log.count(range), Some((to - from) as u64), "{from}..{to}");
    }
    // What was appended and not read yet is little enough to be counted.
    place.append(&lines(0..10));
    let grown = log.end().unwrap().offset;
    assert_eq!(log.count(end..grown), Some(10));
}

#[test]
fn parts_that_lanes_read_out_of_order_are_known_once() {
    let text = lines(0..12_000);
    let place = Place::with(&text);
    let log = reopen(&place, Offset(0));
    let end = log.end().unwrap().offset;
    let middle = Offset(text[..text.len() / 2].rfind('\n').unwrap() as u64 + 1);
    lane(&log, middle, end);
    assert_eq!(log.first_at(i64::MAX), Offset(0));
    lane(&log, Offset(0), end);
    lane(&log, Offset(0), end);
    assert_eq!(log.first_at(i64::MAX), end);
    assert_eq!(log.count(Offset(0)..end), Some(12_000));
}

#[test]
fn a_damaged_or_foreign_index_is_learned_again() {
    let text = lines(0..20_000);
    let place = Place::with(&text);
    let log = reopen(&place, Offset(0));
    let end = log.end().unwrap().offset;
    lane(&log, Offset(0), end);
    drop(log);
    let entries = fs::read_dir(place.folder.path().join("logs")).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    let index = paths.find(|path| path.extension().is_some_and(|it| it == "times")).unwrap();
    let stored = fs::read(&index).unwrap();
    for at in (0..stored.len()).step_by(5) {
        let mut damaged = stored.clone();
        damaged[at] ^= 1;
        fs::write(&index, &damaged).unwrap();
        let log = reopen(&place, end);
        let found = log.first_at(18_000_000_000).0;
        assert!(found <= first_young(&text, 18_000), "byte {at}");
    }
    fs::write(&index, &stored).unwrap();
    let other = FileOptions { mapping: Mapping::fedmsg(), ..options(&place) };
    let log = FileLog::open(&place.path, other).unwrap();
    assert_eq!(log.first_at(i64::MAX), Offset(0), "times found another way say nothing");
}

#[test]
fn a_content_that_was_overwritten_is_learned_again() {
    let text = lines(0..20_000);
    let place = Place::with(&text);
    let log = reopen(&place, Offset(0));
    let end = log.end().unwrap().offset;
    lane(&log, Offset(0), end);
    drop(log);
    // Same beginning and length: only what was read last tells.
    let mut other = text.into_bytes();
    let tail = other.len() - 1000;
    other[tail..].fill(b'x');
    fs::write(&place.path, &other).unwrap();
    assert_eq!(reopen(&place, Offset(0)).first_at(i64::MAX), Offset(0));
}
