//! A file of one message per line, read where it lies.
//!
//! An offset is the position of a line's first byte in the (decompressed) file, counted on across the
//! generations the path has had: rotation and truncation begin a new one behind the old. Which they
//! were is kept in a small state file ([`FileLog::open`]), so that offsets mean the same after a
//! restart. Nothing is ever written beside the file itself.
//!
//! Beside the state are kept, and made anew from the file where they are missing: how many messages its
//! parts hold and when they happened (`times.rs`), and with `?dedup=id` which messages were there before
//! (`seen.rs`).

mod content;
mod found;
mod frames;
mod learned;
mod lines;
mod packed;
mod read;
mod rotated;
mod seen;
mod state;
#[cfg(test)]
mod tests;
mod times;
mod watch;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

pub(super) use self::lines::{BOM, is_document};
use self::seen::Seen;
pub use self::state::Loss;
use self::state::State;
use self::times::TimeIndex;
use self::watch::Watch;
use super::horizon::HorizonOptions;
use super::{Log, LogEnd, LogError, LogId, Offset, Records};
use crate::clock::now_us;
use crate::project::{Batch, Limits, Mapping};
use crate::query;

/// Pause between two looks at a file that is waited for.
const POLL: Duration = Duration::from_millis(20);
/// Step in which a long line is read, and room a recycled buffer may have beyond what is wanted.
const STEP: usize = 1 << 20;

/// How a file is read.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// How fields of its messages are found.
    pub mapping: Mapping,
    /// Read it once, as long as it is when it is opened.
    pub once: bool,
    /// What each message may be.
    pub limits: Limits,
    /// Messages are passed over whose identity is within this horizon.
    pub dedup: Option<HorizonOptions>,
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
            limits: Limits::default(),
            dedup: None,
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
    times: Mutex<TimeIndex>,
    /// Locked before `watch`.
    seen: Option<Mutex<Seen>>,
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
            place.clone(),
            state,
            options.once,
            options.rotation_settle,
        );
        watch.begin(options.folded.by_all, options.folded.by_any)?;
        let key = learned::key(&options);
        let seen = options.dedup.map(|horizon| {
            let place = place.with_extension("ids");
            let seen = Seen::open(&place, id, key, watch.start(), horizon);
            seen.map(Mutex::new).map_err(|error| io_error(&name, "cannot keep identities", error))
        });
        let log = Self {
            id,
            times: Mutex::new(TimeIndex::open(&place.with_extension("times"), id, key)),
            seen: seen.transpose()?,
            name,
            options,
            watch: Mutex::new(watch),
            mean: AtomicUsize::new(1024),
        };
        log.check()?;
        Ok(log)
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

    fn io(&self, what: &str, source: io::Error) -> LogError {
        io_error(&self.name, what, source)
    }
}

impl Drop for FileLog {
    /// Saves reading again what was learned; nothing depends on it.
    fn drop(&mut self) {
        self.times.get_mut().flush();
        if let Some(Err(error)) = self.seen.as_mut().map(|seen| seen.get_mut().flush()) {
            tracing::warn!(log = %self.name, %error, "identities cannot be kept, the file is read again");
        }
    }
}

fn io_error(log: &str, what: &str, source: io::Error) -> LogError {
    LogError::Io { log: log.to_owned(), what: what.to_owned(), source }
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
        self.read_all(from, max_bytes, max_records, into)?;
        match &self.seen {
            Some(seen) => self.leave_out(&mut seen.lock(), into),
            None => Ok(()),
        }
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
        // One that `dedup` passes over is there all the same.
        self.read_all(at, 1, 1, &mut records)?;
        // Of a line that is too long only the beginning is read.
        let whole = records.at(at).filter(|text| text.len() <= self.options.limits.max_message);
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
        let last = read::last_record(&run, self.options.limits.max_message);
        last.map_err(|error| self.io("cannot read back", error))
    }

    fn first_at(&self, time_us: i64) -> Offset {
        let start = self.start();
        Offset(self.times.lock().first_at(start.0, time_us))
    }

    fn note(&self, batch: &Batch) {
        self.times.lock().note(batch);
    }

    fn count(&self, range: Range<Offset>) -> Option<u64> {
        self.count_records(range.start.0..range.end.0.max(range.start.0))
    }

    fn lacks_from_us(&self) -> Option<i64> {
        // When what was lost had happened is not known: it was before it was missed.
        (!self.losses().is_empty()).then_some(0)
    }

    fn describe(&self, status: &mut query::LogStatus) {
        status.holes = self
            .losses()
            .into_iter()
            .map(|loss| query::Hole { start: loss.from, end: loss.to, reason: loss.reason })
            .collect();
        // A reader that judges much at once is not waited for.
        if let Some(seen) = self.seen.as_ref().and_then(Mutex::try_lock) {
            let horizon = seen.status();
            status.duplicates = Some(seen.duplicates());
            status.horizon = Some(query::HorizonStatus {
                since: horizon.horizon_since_us.map(query::UtcTime),
                identities: horizon.horizon_ids,
                short: horizon.short,
            });
        }
    }

    fn bytes(&self, range: Range<Offset>) -> u64 {
        self.watch.lock().bytes(range.start.0, range.end.0)
    }

    fn release(&self, below: Offset) {
        self.times.lock().flush();
        if let Some(seen) = &self.seen {
            let closed = self.watch.lock().closed_before(below.0);
            if let Err(error) = seen.lock().sync_before(closed) {
                tracing::warn!(log = %self.name, %error, "the file is held: identities cannot be kept");
                return;
            }
        }
        self.watch.lock().release(below.0);
    }

    fn mapping(&self) -> &Mapping {
        &self.options.mapping
    }
}
