#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::log::fill::{Fill, FillState};
use crate::log::ingest::{Ingest, IngestLimits};
use crate::log::journal::{Journal, JournalOptions};
use crate::log::seam::SeamIndex;
use crate::log::segment::SegmentOptions;
use crate::log::{Log, Offset, Records};

const S: i64 = 1_000_000;
const SPAN: Range<i64> = 0..1_000 * S;

/// A history in memory that gives `size` rows for each question.
struct Rows {
    rows: Vec<String>,
    size: usize,
    failures: AtomicU32,
    mapping: Mapping,
}

impl Rows {
    fn new<T: Into<String>>(rows: impl IntoIterator<Item = T>, size: usize) -> Self {
        let rows = rows.into_iter().map(Into::into).collect();
        Self { rows, size, failures: AtomicU32::new(0), mapping: Mapping::auto() }
    }
}

impl History for Rows {
    fn url(&self) -> &str {
        "test:rows"
    }

    fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    fn fetch(&self, _: Range<i64>, cursor: &Cursor) -> Result<Page, HistoryError> {
        let failed = self
            .failures
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if failed.is_ok() {
            let reason = "not now".to_owned();
            return Err(HistoryError::Unavailable { url: "test:rows".to_owned(), reason });
        }
        let from = cursor.0.parse().unwrap_or(0).min(self.rows.len());
        let to = (from + self.size).min(self.rows.len());
        let mut page = Page { next: Cursor(to.to_string()), ..Page::default() };
        self.rows[from..to].iter().for_each(|row| page.push(row.as_bytes()));
        page.done = to == self.rows.len();
        Ok(page)
    }
}

pub(super) struct Host {
    pub(super) dir: tempfile::TempDir,
    seam: Arc<SeamIndex>,
    ingest: Ingest,
    pub(super) options: FillOptions,
    pub(super) fill: Arc<Fill>,
}

pub(super) fn host() -> Host {
    let dir = tempfile::tempdir().unwrap();
    let span = SPAN;
    Fill::create(&dir.path().join("fill"), span, "test:rows", Mapping::auto(), ["a".to_owned()])
        .unwrap();
    reopen(dir)
}

pub(super) fn reopen(dir: tempfile::TempDir) -> Host {
    let seam = SeamIndex::new();
    let options =
        JournalOptions { segment: SegmentOptions { roll_bytes: 500 }, ..JournalOptions::default() };
    let journal =
        Journal::open(&dir.path().join("journal"), "http:test", Mapping::auto(), options).unwrap();
    seam.add_journal(&journal);
    let ingest = Ingest::new(journal, IngestLimits::default());
    let fill = Arc::new(Fill::open(&dir.path().join("fill")).unwrap().unwrap());
    seam.add_fill(Arc::clone(&fill));
    Host { dir, seam, ingest, options: FillOptions::default(), fill }
}

impl Host {
    pub(super) fn send(&self, message: &str) -> u64 {
        self.ingest.push([message.as_bytes()]).unwrap().accepted
    }

    pub(super) fn fetch(&self, history: &dyn History) -> Result<FillProgress, FillError> {
        self.fetch_pages(history, u64::MAX)
    }

    /// Fetches as many pages, then stops.
    pub(super) fn fetch_pages(
        &self,
        history: &dyn History,
        pages: u64,
    ) -> Result<FillProgress, FillError> {
        let stop = AtomicBool::new(false);
        let mut last = FillProgress::default();
        let options = FillOptions { pause: Duration::ZERO, ..self.options };
        let progress = |progress: &FillProgress| {
            last = *progress;
            stop.store(progress.pages >= pages, Ordering::Relaxed);
        };
        run_fill(history, &self.fill, &self.seam, options, progress, &stop)?;
        Ok(last)
    }

    pub(super) fn texts(&self) -> Vec<String> {
        let journal: &dyn Log = &**self.ingest.journal();
        let mut texts = [texts(journal), texts(&*self.fill)].concat();
        texts.sort();
        texts
    }
}

fn texts(log: &dyn Log) -> Vec<String> {
    let mut records = Records::default();
    log.read(Offset(0), 1 << 24, 1 << 20, &mut records).unwrap();
    let spans = records.spans.iter();
    spans
        .map(|(start, length)| &records.text[*start as usize..(start + length) as usize])
        .map(|text| String::from_utf8(text.to_vec()).unwrap())
        .collect()
}

fn named(id: u32) -> String {
    format!(r#"{{"id":"m{id}","topic":"t","time":{}}}"#, id % 1000)
}

fn nameless(kind: u32) -> String {
    format!(r#"{{"topic":"t","time":{},"x":"nameless"}}"#, kind % 1000)
}

#[test]
fn a_fill_holds_what_no_journal_holds() {
    let host = host();
    for id in [3, 4, 5] {
        host.send(&named(id));
    }
    let outside = r#"{"id":"z","topic":"t","time":1000}"#.to_owned();
    let rows: Vec<_> = (0..8).map(named).chain([named(2), outside, "junk".to_owned()]).collect();
    let progress = host.fetch(&Rows::new(rows, 3)).unwrap();
    assert_eq!((progress.fetched, progress.written, progress.known), (11, 5, 4));
    assert_eq!(progress.rejected, 1);
    assert_eq!(texts(&*host.fill), [0, 1, 2, 6, 7].map(named));
    assert_eq!(host.fill.accounts_for(), Some(SPAN));
    assert!(host.fill.end().unwrap().finished);
}

#[test]
fn a_live_message_that_was_fetched_is_not_written_again() {
    let host = host();
    host.fetch(&Rows::new([named(1), nameless(2), nameless(2)], 9)).unwrap();
    let sent = [named(1), nameless(2), nameless(2), nameless(2), named(9)];
    assert_eq!(sent.map(|message| host.send(&message)), [0, 0, 0, 1, 1]);
    let host = reopen(host.dir);
    assert_eq!(host.send(&nameless(2)), 1);
    assert_eq!(host.send(&named(1)), 0);
}

#[test]
fn copies_without_identity_are_matched_one_to_one() {
    for (live, rows) in [(0, 2), (2, 0), (1, 3), (3, 1), (2, 2)] {
        for size in [1, 3] {
            let host = host();
            for _ in 0..live {
                assert_eq!(host.send(&nameless(1)), 1);
            }
            host.fetch(&Rows::new(vec![nameless(1); rows], size)).unwrap();
            assert_eq!(host.texts().len(), rows.max(live), "{live} live, {rows} rows");
        }
    }
}

#[test]
fn a_row_whose_id_the_archive_gave_is_matched_by_content_once() {
    let host = host();
    host.send(r#"{"topic":"t","timestamp":7.25,"msg":{"a":1}}"#);
    let row = |id: &str| {
        format!(
            r#"{{"topic":"t","timestamp":7.0,"msg":{{"a":1}},"msg_id":"{id}","source_name":"x",
            "source_version":"1","users":[],"packages":["p"],"headers":{{}},"i":1}}"#
        )
        .replace('\n', "")
    };
    // The second page repeats the row, as archives asked with overlapping bounds do.
    let progress = host.fetch(&Rows::new([row("a"), row("a"), row("b")], 1)).unwrap();
    assert_eq!((progress.written, progress.known), (1, 2));
    assert_eq!(texts(&*host.fill), [row("b")]);
}

#[test]
fn a_fill_goes_on_at_whatever_page_it_was_stopped() {
    let rows: Vec<_> = (0..7).flat_map(|id| [named(id), nameless(id / 2)]).collect();
    let host = host();
    for id in [2, 3] {
        host.send(&named(id));
        host.send(&nameless(id / 2));
    }
    let whole = host;
    whole.fetch(&Rows::new(rows.clone(), 2)).unwrap();
    let expected = whole.texts();
    for size in 1..=5 {
        let mut host = self::host();
        for id in [2, 3] {
            host.send(&named(id));
            host.send(&nameless(id / 2));
        }
        let history = Rows::new(rows.clone(), size);
        while let Err(error) = host.fetch_pages(&history, 1) {
            assert!(matches!(error, FillError::Stopped), "{error}");
            host = reopen(host.dir);
        }
        assert_eq!(host.texts(), expected, "{size} rows a page");
        let host = reopen(host.dir);
        assert_eq!(host.fill.state(), FillState::Complete);
        assert_eq!(host.fill.fetched().known, 4);
    }
}

#[test]
fn fills_that_overlap_hold_a_message_once() {
    let host = host();
    host.fetch(&Rows::new([named(1), nameless(2), nameless(2)], 2)).unwrap();
    let dir = host.dir.path().join("other");
    let other = Fill::create(&dir, SPAN, "test:rows", Mapping::auto(), ["b".to_owned()]).unwrap();
    let other = Arc::new(other);
    let rows = Rows::new([named(1), nameless(2), nameless(2), nameless(2), named(3)], 1);
    let stop = AtomicBool::new(false);
    run_fill(&rows, &other, &host.seam, FillOptions::default(), |_| (), &stop).unwrap();
    assert_eq!(texts(&*other), [nameless(2), named(3)]);
}

#[test]
fn rows_that_differ_in_identity_alone_are_different_in_every_fill() {
    let row = |id: &str| format!(r#"{{"id":"{id}","topic":"t","time":1}}"#);
    let host = host();
    host.fetch(&Rows::new([row("a")], 1)).unwrap();
    let dir = host.dir.path().join("other");
    let other = Fill::create(&dir, SPAN, "test:rows", Mapping::auto(), []).unwrap();
    let other = Arc::new(other);
    let stop = AtomicBool::new(false);
    let rows = Rows::new([row("a"), row("b")], 2);
    run_fill(&rows, &other, &host.seam, FillOptions::default(), |_| (), &stop).unwrap();
    assert_eq!(texts(&*other), [row("b")]);
}

#[test]
fn an_unanswered_question_is_asked_again_and_never_skipped() {
    let host = host();
    let history = Rows::new((0..5).map(named), 2);
    history.failures.store(4, Ordering::Relaxed);
    assert_eq!(host.fetch(&history).unwrap().written, 5);
}

#[test]
fn a_history_that_never_answers_fails_the_fill_which_can_be_run_again() {
    let host = host();
    let history = Rows::new((0..5).map(named), 2);
    history.failures.store(10, Ordering::Relaxed);
    assert!(matches!(host.fetch(&history), Err(FillError::History(_))));
    let host = reopen(host.dir);
    assert!(matches!(host.fill.state(), FillState::Failed { .. }));
    assert_eq!(host.fill.accounts_for(), None);
    assert_eq!(host.fetch(&history).unwrap().written, 5);
    assert_eq!(host.fill.state(), FillState::Complete);
}

#[test]
fn readers_come_and_go_durably_and_unfinished_folders_are_removed() {
    let host = host();
    host.fill.add_reader("b").unwrap();
    assert!(!host.fill.remove_reader("a").unwrap());
    let folder = host.dir.path().join("fills");
    std::fs::create_dir_all(folder.join("half")).unwrap();
    Fill::create(&folder.join("one"), 5..6, "u", Mapping::plain(), []).unwrap();
    Fill::create(&folder.join("two"), 1..2, "u", Mapping::plain(), []).unwrap();
    let spans: Vec<_> = Fill::open_all(&folder).unwrap().iter().map(Fill::span_us).collect();
    assert_eq!(spans, [1..2, 5..6]);
    Fill::open_all(&folder).unwrap()[0].delete().unwrap();
    assert_eq!(Fill::open_all(&folder).unwrap().len(), 1);
    assert!(!folder.join("half").exists());
    let host = reopen(host.dir);
    assert_eq!(host.fill.header().readers.into_iter().collect::<Vec<_>>(), ["b"]);
    assert!(host.fill.remove_reader("b").unwrap());
}

fn write(path: &Path, text: &[u8]) {
    let file = std::fs::File::create(path).unwrap();
    match path.extension().unwrap().to_str().unwrap() {
        "gz" => flate2::write::GzEncoder::new(file, flate2::Compression::fast())
            .write_all(text)
            .unwrap(),
        "zst" => zstd::stream::copy_encode(text, file, 1).unwrap(),
        _ => std::fs::write(path, text).unwrap(),
    }
}

fn lines(ids: Range<u32>) -> Vec<u8> {
    ids.flat_map(|id| format!("{}\n", named(id)).into_bytes()).collect()
}

#[test]
fn files_of_a_folder_give_the_messages_of_the_span_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("c.jsonl"), &lines(20..25));
    write(&dir.path().join("a.ndjson.gz"), &lines(0..10));
    write(&dir.path().join("b.ndjson.zst"), &[&lines(10..20)[..], b"\n  \njunk\n"].concat());
    write(&dir.path().join("notes.txt"), b"not a message");
    let trimmed = lines(25..26);
    write(&dir.path().join("d.ndjson"), trimmed.trim_ascii());
    let history = FileHistory::new("file:past", dir.path(), Mapping::auto()).unwrap();
    let host = host();
    let progress = host.fetch(&history).unwrap();
    assert_eq!((progress.written, progress.rejected), (26, 1));
    assert_eq!(texts(&*host.fill), (0..26).map(named).collect::<Vec<_>>());

    let pattern = dir.path().join("?.ndjson*".replace('?', "*"));
    let history = FileHistory::new("file:past", &pattern, Mapping::auto()).unwrap();
    let page = history.fetch(5 * S..12 * S, &Cursor::default()).unwrap();
    assert_eq!(page.iter().count(), 5);
    let page = history.fetch(5 * S..12 * S, &page.next).unwrap();
    assert_eq!(page.iter().count(), 2);

    assert!(FileHistory::new("file:none", &dir.path().join("none"), Mapping::auto()).is_err());
    assert!(FileHistory::new("file:none", &dir.path().join("x*"), Mapping::auto()).is_err());
}

#[test]
fn a_cursor_inside_a_file_is_good_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a.ndjson", "b.ndjson.zst", "c.ndjson.gz"] {
        write(&dir.path().join(name), &lines(0..10_000));
    }
    let open = || FileHistory::new("file:past", dir.path(), Mapping::auto()).unwrap();
    let (mut cursor, mut count, mut pages) = (Cursor::default(), 0, 0);
    loop {
        let page = open().fetch(0..S, &cursor).unwrap();
        let page = if page.is_empty() { page } else { open().fetch(SPAN, &cursor).unwrap() };
        count += page.len();
        pages += 1;
        if page.done {
            break;
        }
        cursor = page.next;
    }
    assert_eq!(count, 30_000);
    assert!(pages > 9, "{pages}");
}

#[test]
fn a_damaged_file_is_a_recorded_hole_and_the_next_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.ndjson.zst");
    write(&path, &lines(0..500));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    write(&dir.path().join("b.ndjson"), &lines(500..510));
    let history = FileHistory::new("file:past", dir.path(), Mapping::auto()).unwrap();
    let host = host();
    assert!(host.fetch(&history).unwrap().written >= 10);
    let host = reopen(host.dir);
    let holes = host.fill.header().holes;
    assert_eq!(holes.len(), 1);
    assert!(holes[0].reason.contains("a.ndjson.zst"), "{}", holes[0].reason);
    assert_eq!(texts(&*host.fill).last(), Some(&named(509)));
}

#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    Fetch(u64),
    Reopen,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]
    /// Each event is in the history, or sent live, or both; ids and contents repeat.
    #[test]
    fn however_live_and_fetched_messages_interleave_each_is_kept_once(
        events in prop::collection::vec((any::<bool>(), 0..4_u32, 0..3_u8), 1..14),
        order in prop::collection::vec(
            prop_oneof![
                6 => (0..14_usize).prop_map(Step::Send),
                3 => (1..3_u64).prop_map(Step::Fetch),
                1 => Just(Step::Reopen),
            ],
            1..30,
        ),
        size in 1..4_usize,
    ) {
        let text = |at: usize| {
            let (has_id, kind, _) = events[at];
            if has_id { named(at as u32) } else { nameless(kind) }
        };
        let all = || 0..events.len();
        let history = Rows::new(all().filter(|at| events[*at].2 != 1).map(text), size);
        let mut unsent: Vec<_> = all().filter(|at| events[*at].2 != 0).collect();
        let mut sent: Vec<usize> = Vec::new();
        let mut host = host();
        for step in order {
            match step {
                Step::Send(at) if !unsent.is_empty() => {
                    let at = unsent.remove(at % unsent.len());
                    host.send(&text(at));
                    sent.push(at);
                }
                // A sender that repeats itself.
                Step::Send(at) => {
                    if let Some(at) = sent.get(at).filter(|at| events[**at].0) {
                        host.send(&text(*at));
                    }
                }
                Step::Fetch(pages) => drop(host.fetch_pages(&history, pages)),
                Step::Reopen => host = reopen(host.dir),
            }
        }
        for at in unsent {
            host.send(&text(at));
        }
        host.fetch(&history).unwrap();

        let count = |texts: &[String], text: &str| texts.iter().filter(|t| *t == text).count();
        let live: Vec<_> = all().filter(|at| events[*at].2 != 0).map(text).collect();
        let mut expected = Vec::new();
        let mut kinds: Vec<_> = all().map(text).collect();
        kinds.sort();
        kinds.dedup();
        for kind in kinds {
            let copies = count(&live, &kind).max(count(&history.rows, &kind));
            expected.extend(std::iter::repeat_n(kind, copies));
        }
        expected.sort();
        prop_assert_eq!(host.texts(), expected);
    }
}
