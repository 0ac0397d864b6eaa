//! A file of one message per line, read where it lies.
//!
//! An offset is the position of a line's first byte in the (decompressed) file, counted on across the
//! generations the path has had: rotation and truncation begin a new one behind the old. Which they
//! were is kept in a small state file ([`FileLog::open`]), so that offsets mean the same after a
//! restart. Nothing is ever written beside the file itself.

mod content;
mod found;
mod lines;
mod packed;
mod rotated;
mod state;
#[cfg(test)]
mod tests;
mod watch;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use self::lines::MARGIN;
pub(super) use self::lines::{BOM, is_document};
pub use self::state::Loss;
use self::state::State;
use self::watch::{Run, Watch};
use super::{Log, LogEnd, LogError, LogId, Offset, Records, record_hash};
use crate::clock::now_us;
use crate::project::Mapping;

/// Pause between two looks at a file that is waited for.
const POLL: Duration = Duration::from_millis(20);
/// Smallest read.
const LEAST: usize = 64 << 10;
/// Step in which a long line is read, and room a recycled buffer may have beyond what is wanted.
const STEP: usize = 1 << 20;
/// Times a read is tried while the file changes under it.
const ATTEMPTS: usize = 5;

/// How a file is read.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// How fields of its messages are found.
    pub mapping: Mapping,
    /// Read it once, as long as it is when it is opened.
    pub once: bool,
    /// Largest message, bytes.
    pub max_line: usize,
    /// Folder of the state files.
    pub state_folder: PathBuf,
    /// What is known of the readers of an earlier run.
    pub folded: Folded,
    /// How long a rotated file must have been left alone before the next is begun.
    pub rotation_settle: Duration,
}

/// How far readers had come with a log, by the positions they stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Folded {
    /// The smallest position: what lies below is needed no more.
    pub by_all: Offset,
    /// The largest position: the log is known to reach so far.
    pub by_any: Offset,
}

impl FileOptions {
    /// Options for a growing file with states in `state_folder`.
    #[must_use]
    pub fn new(mapping: Mapping, state_folder: PathBuf) -> Self {
        Self {
            mapping,
            once: false,
            max_line: 16 << 20,
            state_folder,
            folded: Folded::default(),
            rotation_settle: Duration::from_secs(1),
        }
    }
}

/// A file as a log.
#[derive(Debug)]
pub struct FileLog {
    id: LogId,
    name: String,
    options: FileOptions,
    watch: Mutex<Watch>,
    /// Mean length of the lines read last, bytes: how much text `max_records` of them are.
    mean: AtomicUsize,
}

impl FileLog {
    /// Id of the log of the file at `path`, if it was read before.
    ///
    /// # Errors
    /// As [`FileLog::open`].
    pub fn stored_id(path: &Path, state_folder: &Path) -> Result<Option<LogId>, LogError> {
        let name = format!("file:{}", path.display());
        Ok(load(&name, &state::place(state_folder, path))?.map(|state| state.id))
    }

    /// Opens the file at `path`; one that does not exist yet is waited for, unless it is read once.
    ///
    /// # Errors
    /// [`LogError::BadSource`] if it is no regular file, or does not exist and is read once;
    /// [`LogError::Damaged`] if its state is unreadable, or it is compressed and damaged from its start;
    /// [`LogError::Diverged`] if it begins as before but is shorter; [`LogError::Io`].
    pub fn open(path: &Path, options: FileOptions) -> Result<Self, LogError> {
        let name = format!("file:{}", path.display());
        let place = state::place(&options.state_folder, path);
        let state = match load(&name, &place)? {
            Some(state) => state,
            None => State::new(path).map_err(|source| LogError::Io {
                log: name.clone(),
                what: "cannot make a log id".to_owned(),
                source,
            })?,
        };
        let id = state.id;
        let mut watch = Watch::new(
            name.clone(),
            path.to_path_buf(),
            place,
            state,
            options.once,
            options.rotation_settle,
        );
        watch.begin(options.folded.by_all, options.folded.by_any)?;
        Ok(Self { id, name, options, watch: Mutex::new(watch), mean: AtomicUsize::new(1024) })
    }

    /// What could not be read and never will be.
    #[must_use]
    pub fn losses(&self) -> Vec<Loss> {
        self.watch.lock().state.losses.clone()
    }

    /// Last lines that were left because they have no end and are no whole document.
    #[must_use]
    pub fn unterminated(&self) -> u64 {
        self.watch.lock().unterminated
    }

    /// How much text to ask for.
    fn window(&self, max_bytes: usize, max_records: usize) -> usize {
        let mean = self.mean.load(Ordering::Relaxed) + 16;
        let likely = mean.saturating_mul(max_records);
        likely.saturating_add(likely / 8).clamp(LEAST, max_bytes.max(LEAST)).min(max_bytes.max(1))
    }

    fn io(&self, what: &str, source: io::Error) -> LogError {
        LogError::Io { log: self.name.clone(), what: what.to_owned(), source }
    }

    /// Reads records of one generation into the empty `into`, whose range ends where they begin.
    fn read_run(
        &self,
        run: &Run,
        max_bytes: usize,
        max_records: usize,
        into: &mut Records,
    ) -> io::Result<Outcome> {
        let max_line = self.options.max_line;
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
        if let Some((start, len)) = lines::record(&into.text, at == 0, self.options.max_line) {
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

enum Outcome {
    /// Records were read, or blank lines passed.
    Read,
    /// The file is not what it was.
    Changed,
}

fn load(name: &str, place: &Path) -> Result<Option<State>, LogError> {
    State::load(place).map_err(|error| LogError::Damaged {
        log: name.to_owned(),
        at: Offset(0),
        reason: format!(
            "its state {} cannot be read: {error}; restore it, or remove it to count the file anew as \
             another log",
            place.display()
        ),
    })
}

impl Log for FileLog {
    fn id(&self) -> LogId {
        self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn start(&self) -> Offset {
        Offset(self.watch.lock().start())
    }

    fn end(&self) -> Result<LogEnd, LogError> {
        let mut watch = self.watch.lock();
        let seen_us = now_us();
        watch.look()?;
        Ok(LogEnd { offset: Offset(watch.end()), seen_us, finished: self.options.once })
    }

    fn read(
        &self,
        from: Offset,
        max_bytes: usize,
        max_records: usize,
        into: &mut Records,
    ) -> Result<(), LogError> {
        into.text.clear();
        into.spans.clear();
        into.offsets.clear();
        into.arrivals.clear();
        into.range = from..from;
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
                    into.text.clear();
                    into.spans.clear();
                    into.offsets.clear();
                    into.range = from..from;
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

    fn record(&self, at: Offset) -> Result<Option<Vec<u8>>, LogError> {
        let Some(run) = self.watch.lock().run(at.0)? else { return Ok(None) };
        let mut before = Vec::new();
        if let Some(last) = (at.0 - run.base).checked_sub(1) {
            let read = run.content.read_into(last, 1, &mut before);
            read.map_err(|error| self.io("cannot read", error))?;
            if before != b"\n" {
                return Ok(None);
            }
        }
        let mut records = Records::default();
        self.read(at, 1, 1, &mut records)?;
        // Of a line that is too long only the beginning is read.
        let whole = records.at(at).filter(|text| text.len() <= self.options.max_line);
        Ok(whole.map(<[u8]>::to_vec))
    }

    fn wait(&self, from: Offset, timeout: Duration) {
        let begun = Instant::now();
        loop {
            match self.end() {
                Ok(end) if end.offset <= from && !end.finished => {}
                // Who asks next gets the error.
                Ok(_) | Err(_) => return,
            }
            let left = timeout.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(POLL));
        }
    }

    fn fingerprint(&self, end: Offset) -> Result<Option<u64>, LogError> {
        let run = {
            let watch = self.watch.lock();
            if end.0 > watch.end() {
                let reason = format!("it ends at {}", watch.end());
                return Err(LogError::Diverged { log: self.name.clone(), at: end, reason });
            }
            watch.run_before(end.0)
        };
        let Some(run) = run else { return Ok(None) };
        let last = last_record(&run, self.options.max_line);
        last.map_err(|error| self.io("cannot read back", error))
    }

    fn first_at(&self, _time_us: i64) -> Offset {
        self.start()
    }

    fn count(&self, _range: Range<Offset>) -> Option<u64> {
        None
    }

    fn lacks_from_us(&self) -> Option<i64> {
        // When what was lost had happened is not known: it was before it was missed.
        (!self.losses().is_empty()).then_some(0)
    }

    fn describe(&self, status: &mut crate::query::LogStatus) {
        status.holes = self
            .losses()
            .into_iter()
            .map(|loss| crate::query::Hole { start: loss.from, end: loss.to, reason: loss.reason })
            .collect();
    }

    fn bytes(&self, range: Range<Offset>) -> u64 {
        self.watch.lock().bytes(range.start.0, range.end.0)
    }

    fn release(&self, below: Offset) {
        self.watch.lock().release(below.0);
    }

    fn mapping(&self) -> &Mapping {
        &self.options.mapping
    }
}

/// Hash of the last record of a run, as [`FileLog::read`] hands it over.
fn last_record(run: &Run, max_line: usize) -> io::Result<Option<u64>> {
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
