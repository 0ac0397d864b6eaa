//! `?dedup=id`: the verdicts are a function of what the file holds.

use super::*;
use crate::log::horizon::HorizonOptions;

/// Three seconds, or five identities.
const HORIZON: HorizonOptions = HorizonOptions { ids: 5, span_us: 3_000_000, max_bytes: 1 << 20 };

fn options(place: &Place) -> FileOptions {
    FileOptions { mapping: Mapping::auto(), dedup: Some(HORIZON), ..place.options() }
}

fn open(place: &Place) -> FileLog {
    FileLog::open(&place.path, options(place)).unwrap()
}

fn reopen(place: &Place, position: Offset) -> FileLog {
    let folded = Folded { by_all: position, by_any: position };
    FileLog::open(&place.path, FileOptions { folded, ..options(place) }).unwrap()
}

fn message(id: u64, time_s: u64) -> String {
    format!(r#"{{"id":"{id}","topic":"t","time":{time_s}}}"#)
}

/// What a direct count finds new: by hand, without anything of ours.
#[derive(Default)]
struct Direct {
    taken: Vec<(u64, u64)>,
    clock_s: u64,
}

impl Direct {
    fn is_new(&mut self, id: u64, time_s: u64) -> bool {
        let count = self.taken.len();
        let near = |at: usize| count - at <= HORIZON.ids || self.taken[at].1 + 3 >= self.clock_s;
        if (0..count).any(|at| self.taken[at].0 == id && near(at)) {
            return false;
        }
        self.clock_s = self.clock_s.max(time_s);
        self.taken.push((id, self.clock_s));
        true
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
        (self.0 >> 33) % end
    }
}

fn sidecar(place: &Place) -> PathBuf {
    let entries = fs::read_dir(place.folder.path().join("logs")).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    paths.find(|path| path.extension().is_some_and(|it| it == "ids")).unwrap()
}

#[test]
fn any_split_into_appends_restarts_and_positions_leaves_out_what_a_direct_count_does() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let place = Place::with("");
        let (mut direct, mut expected) = (Direct::default(), Vec::new());
        let (mut read, mut positions) = (Vec::new(), vec![(Offset(0), 0)]);
        let mut log = open(&place);
        let mut time_s = 1000;
        for _ in 0..120 {
            let (position, _) = *positions.last().unwrap();
            match random.below(10) {
                0..5 => {
                    for _ in 0..random.below(6) {
                        time_s += random.below(2);
                        let (id, back) = (random.below(12), random.below(3));
                        let text = match random.below(8) {
                            // Neither counts, and neither makes the next a duplicate.
                            0 => format!(r#"{{"id":"{id}","time":{time_s}}}"#),
                            1 => format!(r#"{{"topic":"t","time":{time_s}}}"#),
                            _ => message(id, time_s - back),
                        };
                        place.append(&format!("{text}\n"));
                        let judged = text.contains("topic") && text.contains("id");
                        if !judged || direct.is_new(id, time_s - back) {
                            expected.push(text);
                        }
                    }
                }
                5 | 6 => {
                    let (texts, end) = read_from(&log, position);
                    read.extend(texts);
                    positions.push((end, read.len()));
                }
                // Another lane, somewhere behind.
                7 => {
                    let at = random.below(positions.len() as u64) as usize;
                    let (from, before) = positions[at];
                    let (texts, _) = read_from(&log, from);
                    assert_eq!(texts[..read.len() - before], read[before..], "seed {seed}");
                }
                8 => {
                    drop(log);
                    log = reopen(&place, position);
                }
                _ => {
                    // As at SIGKILL; at times with half a frame, or none.
                    std::mem::forget(log);
                    match random.below(4) {
                        0 => fs::remove_file(sidecar(&place)).unwrap(),
                        1 => {
                            let file = File::options().write(true).open(sidecar(&place)).unwrap();
                            let len = file.metadata().unwrap().len();
                            file.set_len(random.below(len + 1)).unwrap();
                        }
                        _ => {}
                    }
                    log = reopen(&place, position);
                }
            }
        }
        read.extend(read_from(&log, positions.last().unwrap().0).0);
        assert_eq!(read, expected, "seed {seed}");
        assert_eq!(all(&log), expected, "seed {seed}");
    }
}

#[test]
fn identities_of_a_rotated_file_that_was_removed_are_still_known() {
    let place = Place::with(message(1, 10) + "\n" + &message(2, 10) + "\n");
    let log = open(&place);
    let (texts, end) = read_from(&log, Offset(0));
    assert_eq!(texts.len(), 2);
    place.rotate("bus.ndjson.1");
    place.append(&(message(3, 11) + "\n"));
    let (texts, end) = read_from(&log, end);
    assert_eq!(texts, [message(3, 11)]);
    log.release(end);
    // As at SIGKILL.
    std::mem::forget(log);
    fs::remove_file(place.folder.path().join("bus.ndjson.1")).unwrap();
    place.append(&[message(1, 11), message(4, 11), message(2, 12)].map(|it| it + "\n").concat());
    let log = reopen(&place, end);
    assert_eq!(read_from(&log, end).0, [message(4, 11)]);
    let mut status = query::LogStatus::default();
    log.describe(&mut status);
    assert_eq!(status.duplicates, Some(2));
    let horizon = status.horizon.unwrap();
    assert_eq!((horizon.identities, horizon.short), (4, false));
    assert_eq!(horizon.since, Some(query::UtcTime(10_000_000)));
}

#[test]
fn fingerprints_do_not_depend_on_verdicts() {
    let place = Place::with(message(1, 10) + "\n" + &message(1, 10) + "\n");
    let plain = FileOptions { dedup: None, ..options(&place) };
    let (texts, end) = read_from(&FileLog::open(&place.path, plain).unwrap(), Offset(0));
    assert_eq!(texts.len(), 2);
    let log = reopen(&place, end);
    let mut records = Records::default();
    log.read(Offset(0), 1 << 20, 10, &mut records).unwrap();
    assert_eq!((records.offsets.as_slice(), records.range.end), ([0].as_slice(), end));
    let (start, len) = records.last.unwrap();
    let last = &records.text[start as usize..(start + len) as usize];
    assert_eq!(log.fingerprint(end).unwrap(), Some(record_hash(last)));
}

#[test]
fn what_was_overwritten_is_judged_again() {
    let place = Place::with([message(1, 10), message(2, 10)].map(|it| it + "\n").concat());
    let log = open(&place);
    assert_eq!(all(&log).len(), 2);
    drop(log);
    fs::write(&place.path, [message(1, 10), message(1, 10)].map(|it| it + "\n").concat()).unwrap();
    // The head differs, so it is another content, behind what was judged.
    assert_eq!(all(&open(&place)).len(), 0);
    fs::remove_file(sidecar(&place)).unwrap();
    assert_eq!(all(&open(&place)).len(), 1);
}

#[test]
fn identities_behind_the_horizon_leave_the_file_and_the_verdicts_stay() {
    let place = Place::with("");
    let mut text = String::new();
    for number in 0..4_000 {
        // Long lines: a frame is a MiB.
        let pad = " ".repeat(500);
        text.push_str(&format!("{}{pad}\n", message(number / 2, number / 2)));
    }
    place.append(&text);
    let log = open(&place);
    let texts = all(&log);
    assert_eq!(texts.len(), 2_000);
    let seen = log.seen.as_ref().unwrap();
    let before = fs::metadata(sidecar(&place)).unwrap().len();
    seen.lock().compact_above(0).unwrap();
    assert!(fs::metadata(sidecar(&place)).unwrap().len() + 15_000 < before);
    assert_eq!(all(&log), texts);
    drop(log);
    place.append(&(message(1_999, 2_000) + "\n" + &message(3, 2_000) + "\n"));
    assert_eq!(all(&open(&place))[2_000..], [message(3, 2_000)]);
}
