//! What was learned of a file and is kept beside its state: whether it still holds, and its use.

use std::ops::Range;

use super::seen::Seen;
use super::{FileLog, FileOptions, STEP};
use crate::log::{Log, LogError, Offset, Records};

/// Bytes that are judged at most before a reader hears of it.
const JUDGED: u64 = 64 << 20;
/// Bytes whose lines are counted where the index does not know.
const COUNTED: u64 = 4 << 20;

/// Stands for what times and identities of a file depend on beside its content.
pub(super) fn key(options: &FileOptions) -> u64 {
    let rests_on = format!("{:?} {:?}", options.mapping, options.limits);
    xxhash_rust::xxh3::xxh3_64(rests_on.as_bytes())
}

impl FileLog {
    /// Forgets what is kept of contents that are gone or are not what they were.
    pub(super) fn check(&self) -> Result<(), LogError> {
        let (start, end, generations) = {
            let watch = self.watch.lock();
            (watch.start(), watch.end(), watch.spans())
        };
        let mut times = self.times.lock();
        times.forget(0..start);
        times.forget(end..u64::MAX);
        let agrees = |last: Option<(u64, u64)>| match last {
            Some((end, hash)) if hash != 0 => {
                self.fingerprint(Offset(end)).is_ok_and(|found| found.is_none_or(|it| it == hash))
            }
            _ => true,
        };
        let odd = generations.iter().filter(|span| !agrees(times.last_in((*span).clone())));
        for span in odd.cloned().collect::<Vec<_>>() {
            times.forget(span);
        }
        let Some(seen) = &self.seen else { return Ok(()) };
        let mut seen = seen.lock();
        let odd = generations.iter().find(|span| !agrees(seen.last_in((*span).clone())));
        let wrong_from = odd.map_or(u64::MAX, |span| span.start).min(end);
        if seen.end() > wrong_from {
            tracing::warn!(log = %self.name, from = wrong_from, "duplicates are looked for again");
            seen.forget_from(wrong_from)
                .map_err(|error| self.io("cannot keep identities", error))?;
        }
        Ok(())
    }

    /// Leaves out of `into`, just read, what was there before. What lies before it is judged first; where
    /// that is much, `into` is left empty, and the next read goes on with it.
    pub(super) fn leave_out(&self, seen: &mut Seen, into: &mut Records) -> Result<(), LogError> {
        let fail = |error| self.io("cannot keep identities", error);
        let from = into.range.start;
        let most = seen.end().saturating_add(JUDGED);
        let mut before = Records::default();
        while seen.end() < from.0 {
            match self.read_all(Offset(seen.end()), STEP, usize::MAX, &mut before) {
                Ok(()) => {}
                Err(LogError::Expired { oldest, .. }) => {
                    seen.skip_to(oldest.0.min(from.0)).map_err(fail)?;
                    continue;
                }
                Err(error) => return Err(error),
            }
            // The file may be away for a moment.
            if before.range.is_empty() || seen.end() > most {
                into.begin(from);
                return Ok(());
            }
            seen.leave_out(&mut before, &self.options.mapping, &self.options.limits)
                .map_err(fail)?;
        }
        seen.leave_out(into, &self.options.mapping, &self.options.limits).map_err(fail)
    }

    /// Number of records in `range`: as the index knows, and where it does not, counted if they are few.
    pub(super) fn count_records(&self, range: Range<u64>) -> Option<u64> {
        let (known, rest) = self.times.lock().count(range);
        if rest.iter().map(|part| part.end - part.start).sum::<u64>() > COUNTED {
            return None;
        }
        rest.into_iter().try_fold(known, |sum, part| Some(sum + self.count_lines(part)?))
    }

    /// Number of records in `range`, counted in the file.
    fn count_lines(&self, range: Range<u64>) -> Option<u64> {
        let run = self.watch.lock().run(range.start).ok()??;
        if !run.content.is_plain() {
            return None;
        }
        let mut records = Records::default();
        let (mut at, mut count) = (range.start, 0);
        while at < range.end {
            self.read_all(Offset(at), STEP, usize::MAX, &mut records).ok()?;
            if records.range.is_empty() {
                return None;
            }
            count += records.offsets.partition_point(|&offset| offset < range.end) as u64;
            at = records.range.end.0;
        }
        let Some(seen) = &self.seen else { return Some(count) };
        Some(count - seen.try_lock()?.duplicates_in(range).ok()?.len() as u64)
    }
}
