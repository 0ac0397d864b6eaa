//! When a journal was being written: what it accounts for without asking any history.

use std::ops::Range;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use super::segment::{read_json, write_json};

const FILE: &str = "coverage.json";
/// The record on disk may lag behind by so much, µs: after a kill that much is asked for once more.
const LAG_US: i64 = 5_000_000;

/// Spans of time during which the host was up and journaling, kept beside the journal.
///
/// What is on disk is never more than the truth.
#[derive(Debug)]
pub struct Coverage {
    path: PathBuf,
    state: Mutex<State>,
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
    /// Opens the record in a journal's folder.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(dir: &Path) -> std::io::Result<Self> {
        let path = dir.join(FILE);
        let past: Vec<(i64, i64)> = read_json(&path)?.unwrap_or_default();
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

    /// The parts of `from_us..to_us` (event time) that neither the journal nor `filled` account for.
    ///
    /// A message may arrive up to `settle_us` after its time, and its sender's clock may be off by as much
    /// in the other direction: so much at either end of a span of coverage is not counted upon. The span of
    /// this run goes on for as long as the host runs, and so has no end.
    #[must_use]
    pub fn missing(
        &self,
        from_us: i64,
        to_us: i64,
        settle_us: i64,
        filled: impl IntoIterator<Item = Range<i64>>,
    ) -> Vec<Range<i64>> {
        let state = self.state.lock();
        let past = state.past.iter().map(|(start_us, end_us)| {
            start_us.saturating_add(settle_us)..end_us.saturating_sub(settle_us)
        });
        let current =
            state.current.map(|(start_us, _)| start_us.saturating_add(settle_us)..i64::MAX);
        subtract(from_us..to_us, past.chain(current).chain(filled))
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
        write_json(&self.path, &spans)?;
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

/// What remains of `span` without `parts`, ascending.
fn subtract(span: Range<i64>, parts: impl IntoIterator<Item = Range<i64>>) -> Vec<Range<i64>> {
    let mut parts: Vec<_> = parts.into_iter().filter(|part| part.start < part.end).collect();
    parts.sort_unstable_by_key(|part| part.start);
    let mut rest = Vec::new();
    let mut at = span.start;
    for part in parts {
        if part.start > at && at < span.end {
            rest.push(at..part.start.min(span.end));
        }
        at = at.max(part.end);
    }
    if at < span.end {
        rest.push(at..span.end);
    }
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
        let missing = coverage.missing(0, 400 * S, 0, []);
        assert_eq!(missing, [0..100 * S, 200 * S..300 * S]);
        let missing = coverage.missing(0, 400 * S, 5 * S, [0..50 * S, 250 * S..260 * S]);
        assert_eq!(missing, [50 * S..105 * S, 195 * S..250 * S, 260 * S..305 * S]);
        assert!(coverage.missing(120 * S, 180 * S, 5 * S, []).is_empty());
    }

    #[test]
    fn after_a_kill_less_is_covered_than_was_never_more() {
        let dir = tempfile::tempdir().unwrap();
        let coverage = Coverage::open(dir.path()).unwrap();
        for tenth in 0..123 {
            coverage.touch(tenth * S / 10).unwrap();
        }
        let coverage = Coverage::open(dir.path()).unwrap();
        let missing = coverage.missing(0, 20 * S, 0, []);
        assert_eq!(missing.len(), 1);
        assert!((7 * S..=12 * S).contains(&missing[0].start), "{missing:?}");
    }

    #[test]
    fn a_short_run_covers_nothing_once_the_settle_time_is_taken_off() {
        let dir = tempfile::tempdir().unwrap();
        let coverage = Coverage::open(dir.path()).unwrap();
        coverage.touch(10 * S).unwrap();
        coverage.pause(15 * S).unwrap();
        assert_eq!(coverage.missing(0, 30 * S, 5 * S, []), [0..30 * S]);
    }

    #[test]
    fn old_spans_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let coverage = Coverage::open(dir.path()).unwrap();
        coverage.touch(10 * S).unwrap();
        coverage.pause(15 * S).unwrap();
        coverage.forget(15 * S + 1).unwrap();
        let coverage = Coverage::open(dir.path()).unwrap();
        assert_eq!(coverage.missing(0, 30 * S, 0, []), [0..30 * S]);
    }
}
