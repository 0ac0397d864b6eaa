//! When a journal was being written: what it accounts for without asking any history.

use std::ops::Range;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use serde::{Deserialize, Serialize};

use super::segment::{created_us, read_json, write_json};

const FILE: &str = "coverage.json";
/// The record on disk may lag behind by so much, µs: after a kill that much is asked for once more.
const LAG_US: i64 = 5_000_000;

/// The first version kept bare pairs for all journals together, in the folder above theirs.
const FORMAT: u32 = 1;

/// Spans of time during which one journal was being written, kept beside it.
///
/// What is on disk is never more than the truth.
#[derive(Debug)]
pub struct Coverage {
    path: PathBuf,
    state: Mutex<State>,
}

/// The contents of the file.
#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    spans: Vec<(i64, i64)>,
}

#[derive(Debug)]
struct State {
    /// Ascending, apart from each other; of earlier runs.
    past: Vec<(i64, i64)>,
    /// Start of this run's span, and how far it is known.
    current: Option<(i64, i64)>,
    written_us: i64,
}

impl Coverage {
    /// Opens the record in a journal's folder. A journal of an earlier version has what the record of all
    /// journals says of the time since it was made.
    ///
    /// # Errors
    /// If it cannot be read, or a newer version wrote it.
    pub fn open(dir: &Path) -> std::io::Result<Self> {
        let path = dir.join(FILE);
        let past = match read_json::<Stored>(&path)? {
            Some(stored) if stored.format == FORMAT => stored.spans,
            Some(stored) => {
                let reason = format!(
                    "{} has format {}, this program knows {FORMAT}",
                    path.display(),
                    stored.format
                );
                return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, reason));
            }
            None => {
                let of_all: Option<Vec<(i64, i64)>> = match dir.parent() {
                    Some(above) => read_json(&above.join(FILE))?,
                    None => None,
                };
                let made_us = created_us(dir)?.unwrap_or(i64::MAX);
                let since_made =
                    |(start_us, end_us): (i64, i64)| (start_us.max(made_us), end_us.max(made_us));
                let spans = of_all.unwrap_or_default().into_iter().map(since_made);
                spans.filter(|(start_us, end_us)| start_us < end_us).collect()
            }
        };
        let state = State { past, current: None, written_us: i64::MIN };
        Ok(Self { path, state: Mutex::new(state) })
    }

    /// Says that the journal accepts all that is sent, and did since the last call without a break.
    ///
    /// The first call begins this run's span. To be called each second or so; few calls write.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn touch(&self, now_us: i64) -> std::io::Result<()> {
        let mut state = self.state.lock();
        let (start_us, end_us) = state.current.unwrap_or((now_us, now_us));
        state.current = Some((start_us, end_us.max(now_us)));
        if now_us.saturating_sub(state.written_us) >= LAG_US {
            self.write(&mut state, now_us)
        } else {
            Ok(())
        }
    }

    /// Ends this run's span: nothing is accepted any more.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn pause(&self, now_us: i64) -> std::io::Result<()> {
        let mut state = self.state.lock();
        if let Some((start_us, end_us)) = state.current.take() {
            push(&mut state.past, (start_us, end_us.max(now_us)));
        }
        self.write(&mut state, now_us)
    }

    /// Up to when the journal was being written; none = it never was.
    #[must_use]
    pub fn end_us(&self) -> Option<i64> {
        let state = self.state.lock();
        state.current.or(state.past.last().copied()).map(|(_, end_us)| end_us)
    }

    /// Whether this run's span has begun and not ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state.lock().current.is_some()
    }

    /// Whether this is the record of the journal in `dir`.
    #[must_use]
    pub fn is_in(&self, dir: &Path) -> bool {
        self.path.parent() == Some(dir)
    }

    /// When the journal was being written; this run's span has no end.
    #[must_use]
    pub fn spans(&self) -> Vec<Range<i64>> {
        let state = self.state.lock();
        let current = state.current.map(|(start_us, _)| start_us..i64::MAX);
        state.past.iter().map(|&(start_us, end_us)| start_us..end_us).chain(current).collect()
    }

    /// The parts of `span_us` (event time) that neither the journal nor `filled` account for. Before
    /// `kept_us` the journal accounts for nothing.
    ///
    /// A message may arrive up to `settle_us` after its time, and its sender's clock may be off by as much
    /// in the other direction: so much at either end of a span of coverage is not counted upon. The span of
    /// this run goes on for as long as the host runs, and so has no end.
    #[must_use]
    pub fn missing(
        &self,
        span_us: Range<i64>,
        settle_us: i64,
        kept_us: i64,
        filled: impl IntoIterator<Item = Range<i64>>,
    ) -> Vec<Range<i64>> {
        let covered = self.spans().into_iter().map(|span| {
            let end_us = if span.end == i64::MAX { span.end } else { span.end - settle_us };
            span.start.saturating_add(settle_us).max(kept_us)..end_us
        });
        minus(vec![span_us], &covered.chain(filled).collect::<Vec<_>>())
    }

    /// Forgets spans that end before `before_us`: no question reaches back so far.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn forget(&self, before_us: i64) -> std::io::Result<()> {
        let mut state = self.state.lock();
        state.past.retain(|(_, end_us)| *end_us >= before_us);
        let written_us = state.written_us;
        self.write(&mut state, written_us)
    }

    fn write(&self, state: &mut State, now_us: i64) -> std::io::Result<()> {
        let mut spans = state.past.clone();
        if let Some(current) = state.current {
            push(&mut spans, current);
        }
        write_json(&self.path, &Stored { format: FORMAT, spans })?;
        state.written_us = now_us;
        Ok(())
    }
}

/// Adds a span that begins after all others began, joined with the last where they touch.
fn push(spans: &mut Vec<(i64, i64)>, (start_us, end_us): (i64, i64)) {
    match spans.last_mut() {
        Some(last) if last.1 >= start_us => {
            last.0 = last.0.min(start_us);
            last.1 = last.1.max(end_us);
        }
        _ => spans.push((start_us, end_us)),
    }
}

/// What remains of `spans` without `parts`: ascending, apart from each other.
#[must_use]
pub fn minus(mut spans: Vec<Range<i64>>, parts: &[Range<i64>]) -> Vec<Range<i64>> {
    spans.retain(|span| span.start < span.end);
    spans.sort_unstable_by_key(|span| span.start);
    let mut parts: Vec<_> = parts.iter().filter(|part| part.start < part.end).collect();
    parts.sort_unstable_by_key(|part| part.start);
    let mut rest: Vec<Range<i64>> = Vec::new();
    for span in spans {
        let mut at = span.start.max(rest.last().map_or(i64::MIN, |last| last.end));
        for part in &parts {
            if part.start > at && at < span.end {
                rest.push(at..part.start.min(span.end));
            }
            at = at.max(part.end);
        }
        if at < span.end {
            rest.push(at..span.end);
        }
    }
    // Spans that overlapped were cut where they touch.
    rest.dedup_by(|next, last| {
        let touch = next.start <= last.end;
        if touch {
            last.end = last.end.max(next.end);
        }
        touch
    });
    rest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]

    use super::*;

    const S: i64 = 1_000_000;

    #[test]
    fn what_neither_an_earlier_run_nor_a_fill_accounts_for_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let coverage = Coverage::open(dir.path()).unwrap();
        for second in 100..=200 {
            coverage.touch(second * S).unwrap();
        }
        coverage.pause(200 * S).unwrap();
        let coverage = Coverage::open(dir.path()).unwrap();
        coverage.touch(300 * S).unwrap();
        let missing = coverage.missing(0..400 * S, 0, i64::MIN, []);
        assert_eq!(missing, [0..100 * S, 200 * S..300 * S]);
        let missing = coverage.missing(0..400 * S, 5 * S, i64::MIN, [0..50 * S, 250 * S..260 * S]);
        assert_eq!(missing, [50 * S..105 * S, 195 * S..250 * S, 260 * S..305 * S]);
        assert!(coverage.missing(120 * S..180 * S, 5 * S, i64::MIN, []).is_empty());
    }

    #[test]
    fn after_a_kill_less_is_covered_than_was_never_more() {
        let dir = tempfile::tempdir().unwrap();
        let coverage = Coverage::open(dir.path()).unwrap();
        for tenth in 0..123 {
            coverage.touch(tenth * S / 10).unwrap();
        }
        let coverage = Coverage::open(dir.path()).unwrap();
        let missing = coverage.missing(0..20 * S, 0, i64::MIN, []);
        assert_eq!(missing.len(), 1);
        assert!((7 * S..=12 * S).contains(&missing[0].start), "{missing:?}");
    }

    #[test]
    fn a_short_run_covers_nothing_once_the_settle_time_is_taken_off() {
        let dir = tempfile::tempdir().unwrap();
        let coverage = Coverage::open(dir.path()).unwrap();
        coverage.touch(10 * S).unwrap();
        coverage.pause(15 * S).unwrap();
        assert_eq!(coverage.missing(0..30 * S, 5 * S, i64::MIN, []), [0..30 * S]);
    }

    #[test]
    fn what_a_journal_no_longer_keeps_is_not_accounted_for_by_it() {
        let dir = tempfile::tempdir().unwrap();
        let coverage = Coverage::open(dir.path()).unwrap();
        coverage.touch(10 * S).unwrap();
        let missing = coverage.missing(0..100 * S, 0, 60 * S, [20 * S..30 * S]);
        assert_eq!(missing, [0..20 * S, 30 * S..60 * S]);
    }

    #[test]
    fn a_record_of_all_journals_counts_for_each_from_when_it_was_made() {
        let above = tempfile::tempdir().unwrap();
        std::fs::write(above.path().join(FILE), "[[100,200],[300,400],[500,600]]").unwrap();
        let dir = above.path().join("journal");
        std::fs::create_dir(&dir).unwrap();
        assert!(Coverage::open(&dir).unwrap().spans().is_empty(), "it is no journal");
        let meta = r#"{"format":1,"id":"01","mark":"02","name":"http:a","created_us":350}"#;
        std::fs::write(dir.join("log.json"), meta).unwrap();
        let coverage = Coverage::open(&dir).unwrap();
        assert_eq!(coverage.spans(), [350..400, 500..600]);
        coverage.pause(600).unwrap();
        std::fs::remove_file(above.path().join(FILE)).unwrap();
        assert_eq!(Coverage::open(&dir).unwrap().spans(), [350..400, 500..600]);
        std::fs::write(dir.join(FILE), r#"{"format":2,"spans":[]}"#).unwrap();
        assert!(Coverage::open(&dir).unwrap_err().to_string().contains("format 2"));
    }

    #[test]
    fn spans_minus_parts_are_ascending_and_apart() {
        assert_eq!(minus(vec![5..9, 0..6, 20..20], &[]), [0..9]);
        assert_eq!(minus(vec![0..10, 20..30], &[2..4, 3..5, 9..22, 40..50]), [0..2, 5..9, 22..30]);
        assert!(minus(vec![3..7], &[0..10]).is_empty());
    }

    #[test]
    fn old_spans_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let coverage = Coverage::open(dir.path()).unwrap();
        coverage.touch(10 * S).unwrap();
        coverage.pause(15 * S).unwrap();
        coverage.forget(15 * S + 1).unwrap();
        let coverage = Coverage::open(dir.path()).unwrap();
        assert_eq!(coverage.missing(0..30 * S, 0, i64::MIN, []), [0..30 * S]);
    }
}
