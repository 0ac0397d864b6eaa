//! Reading records where they lie, whichever generation holds them.

use std::io;
use std::sync::atomic::Ordering;

use super::lines::{self, MARGIN};
use super::watch::Run;
use super::{FileLog, STEP};
use crate::log::{LogError, Offset, Records, record_hash};

/// Smallest read.
const LEAST: usize = 64 << 10;
/// Times a read is tried while the file changes under it.
const ATTEMPTS: usize = 5;

enum Outcome {
    /// Records were read, or blank lines passed.
    Read,
    /// The file is not what it was.
    Changed,
}

impl FileLog {
    /// Reads all records from `from` on, duplicates too.
    pub(super) fn read_all(
        &self,
        from: Offset,
        max_bytes: usize,
        max_records: usize,
        into: &mut Records,
    ) -> Result<(), LogError> {
        into.begin(from);
        let mut changes = 0;
        while into.spans.is_empty() {
            let run = {
                let mut watch = self.watch.lock();
                if into.range.end.0 >= watch.end() {
                    watch.look()?;
                }
                if from.0 > watch.end() {
                    let reason = format!("it ends at {}", watch.end());
                    return Err(LogError::Diverged { log: self.name.clone(), at: from, reason });
                }
                watch.run(into.range.end.0)
            };
            let run = match run {
                Ok(Some(run)) => run,
                Ok(None) => return Ok(()),
                // Blank lines up to a hole: the reader comes back for the hole itself.
                Err(LogError::Expired { .. }) if into.range.end > from => return Ok(()),
                Err(error) => return Err(error),
            };
            into.text.clear();
            let outcome = self.read_run(&run, max_bytes, max_records.max(1), into);
            match outcome.map_err(|error| self.io("cannot read", error))? {
                Outcome::Read => {}
                Outcome::Changed if changes < ATTEMPTS => {
                    changes += 1;
                    into.begin(from);
                    self.watch.lock().look()?;
                }
                Outcome::Changed => {
                    let reason = "the file keeps changing where it was already read".to_owned();
                    return Err(LogError::Diverged { log: self.name.clone(), at: from, reason });
                }
            }
        }
        Ok(())
    }

    /// How much text to ask for.
    fn window(&self, max_bytes: usize, max_records: usize) -> usize {
        let mean = self.mean.load(Ordering::Relaxed) + 16;
        let likely = mean.saturating_mul(max_records);
        likely.saturating_add(likely / 8).clamp(LEAST, max_bytes.max(LEAST)).min(max_bytes.max(1))
    }

    /// Reads records of one generation into the empty `into`, whose range ends where they begin.
    fn read_run(
        &self,
        run: &Run,
        max_bytes: usize,
        max_records: usize,
        into: &mut Records,
    ) -> io::Result<Outcome> {
        let max_line = self.options.limits.max_message;
        let from = into.range.end.0;
        let at = from - run.base;
        let left = run.len - at;
        let mut want = left.min(self.window(max_bytes, max_records) as u64) as usize;
        if into.text.capacity() > 4 * want + STEP {
            into.text = Vec::new();
        }
        loop {
            let missing = want - into.text.len();
            let got =
                run.content.read_into(at + into.text.len() as u64, missing, &mut into.text)?;
            if got < missing || self.changed(run)? {
                return Ok(Outcome::Changed);
            }
            let last = want as u64 == left;
            let taken = lines::cut(into, from, at == 0, last, max_line, max_records);
            if taken > 0 {
                if let lines @ 1.. = into.spans.len() {
                    self.mean.store(taken / lines, Ordering::Relaxed);
                }
                into.text.truncate(taken);
                into.range.end = Offset(from + taken as u64);
                return Ok(Outcome::Read);
            }
            if want > max_line + MARGIN {
                return self.skip_line(run, at, into);
            }
            want = left.min((want + STEP.min(max_line + MARGIN + 1)) as u64) as usize;
        }
    }

    /// Hands over the start of the line at `at`, of which `into.text` has more than may be kept, and
    /// goes on behind it.
    fn skip_line(&self, run: &Run, at: u64, into: &mut Records) -> io::Result<Outcome> {
        if let Some((start, len)) =
            lines::record(&into.text, at == 0, self.options.limits.max_message)
        {
            into.spans.push((start as u32, len as u32));
            into.offsets.push(run.base + at);
        }
        let mut next = at + into.text.len() as u64;
        let mut passed = Vec::with_capacity(STEP);
        while next < run.len {
            passed.clear();
            let want = (run.len - next).min(STEP as u64) as usize;
            let got = run.content.read_into(next, want, &mut passed)?;
            if got < want {
                return Ok(Outcome::Changed);
            }
            if let Some(feed) = memchr::memchr(b'\n', &passed) {
                next += feed as u64 + 1;
                break;
            }
            next += got as u64;
        }
        into.range.end = Offset(run.base + next);
        Ok(if self.changed(run)? { Outcome::Changed } else { Outcome::Read })
    }

    /// Whether the file was cut off or overwritten since it was looked at. Asked after a read, for a
    /// writer may do so, and write anew, between the look and the read.
    fn changed(&self, run: &Run) -> io::Result<bool> {
        let Some((len, hash)) = run.head else { return Ok(false) };
        Ok(run.content.head(len)? != Some(hash))
    }
}

/// Hash of the last record of a run, as [`FileLog::read`] hands it over.
pub(super) fn last_record(run: &Run, max_line: usize) -> io::Result<Option<u64>> {
    let mut end = run.len;
    let mut text = Vec::new();
    while end > 0 {
        let mut line_end = end;
        text.clear();
        run.content.read_into(end - 1, 1, &mut text)?;
        if text.first() == Some(&b'\n') {
            line_end -= 1;
        }
        let start = run.content.feed_before(line_end, 0)?.map_or(0, |feed| feed + 1);
        text.clear();
        let want = (line_end - start).min((max_line + MARGIN + 1) as u64) as usize;
        run.content.read_into(start, want, &mut text)?;
        if let Some((skip, len)) = lines::record(&text, start == 0, max_line) {
            return Ok(Some(record_hash(&text[skip..skip + len])));
        }
        end = start;
    }
    Ok(None)
}
