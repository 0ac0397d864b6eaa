//! Fills: logs made of history, one for each span of time that no journal accounts for.
//!
//! A fill knows its span, where it is fetched from, who reads it, and how far fetching got: the cursor is
//! committed with the records it belongs to, so fetching goes on after a kill without loss or doubling.
//! What a fill holds never changes; it is finished when all of its span is fetched, save the holes it lists.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::history::Cursor;
use super::segment::{
    Entries, Extras, Hold, Loss, Match, SegmentLog, SegmentOptions, read_json, write_json,
};
use super::{Log, LogError, Offset};
use crate::project::Mapping;
use crate::query::{Fault, FillStatus, LogStatus, TimeSpan, UtcTime};

const FILE: &str = "fill.json";
const FORMAT: u32 = 1;

/// What a fill is for and how far it got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillHeader {
    format: u32,
    /// Start of the span, µs since 1970.
    pub from_us: i64,
    /// End of the span (not in it), µs since 1970.
    pub to_us: i64,
    /// Where it is fetched from.
    pub history: String,
    /// How fields of its messages are found.
    pub mapping: Mapping,
    /// The stats that read it.
    pub readers: BTreeSet<String>,
    /// How far fetching got.
    pub state: FillState,
    /// Parts of the span that the history could not give.
    pub holes: Vec<Hole>,
}

/// How far fetching got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum FillState {
    /// There is more to fetch.
    Fetching,
    /// All was fetched, save the holes.
    Complete,
    /// Fetching was given up; it may be begun again.
    Failed {
        /// When, µs since 1970.
        at_us: i64,
        /// Why.
        reason: String,
    },
}

/// A span of event time that the history could not give: a recorded loss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hole {
    /// Its start, µs since 1970.
    pub from_us: i64,
    /// Its end (not in it), µs since 1970.
    pub to_us: i64,
    /// Why.
    pub reason: String,
    /// Where the history can be asked for it again; none = it never will give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Cursor>,
}

impl Hole {
    fn is_open(&self, fetched: &Fetched) -> bool {
        self.again.as_ref().is_none_or(|again| !fetched.closed.contains(again))
    }
}

/// How far fetching got: committed with the records it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// Where it goes on; the beginning for a new fill.
    pub next: Cursor,
    /// Messages left out because a log holds them.
    pub known: u64,
    /// Rows that were no messages.
    pub rejected: u64,
    /// Holes, by where they are asked for, that were given after all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub closed: BTreeSet<Cursor>,
}

/// A log made of history.
#[derive(Debug)]
pub struct Fill {
    dir: PathBuf,
    log: SegmentLog,
    mapping: Mapping,
    header: Mutex<FillHeader>,
    fetched: Mutex<Fetched>,
    /// Why the history did not answer last, and when, while it is asked.
    trouble: Mutex<Option<(i64, String)>>,
}

impl Fill {
    /// Makes a fill in `dir` for the messages of `span_us` from the history at `url`.
    ///
    /// # Errors
    /// [`LogError::Io`] if the folder cannot be written.
    pub fn create(
        dir: &Path,
        span_us: Range<i64>,
        url: &str,
        mapping: Mapping,
        readers: impl IntoIterator<Item = String>,
    ) -> Result<Self, LogError> {
        let header = FillHeader {
            format: FORMAT,
            from_us: span_us.start,
            to_us: span_us.end,
            history: url.to_owned(),
            mapping,
            readers: readers.into_iter().collect(),
            state: FillState::Fetching,
            holes: Vec::new(),
        };
        Self::new(dir, header, true)
    }

    /// Opens the fill in `dir`; `None` if making it was not finished.
    ///
    /// # Errors
    /// [`LogError::Io`] if its files cannot be read; [`LogError::Damaged`] if they do not belong together.
    pub fn open(dir: &Path) -> Result<Option<Self>, LogError> {
        let header: Option<FillHeader> = read_json(&dir.join(FILE)).map_err(|source| {
            let (log, what) = (dir.display().to_string(), format!("read {FILE}"));
            LogError::Io { log, what, source }
        })?;
        match header {
            None => Ok(None),
            Some(header) if header.format != FORMAT => Err(LogError::Damaged {
                log: dir.display().to_string(),
                at: Offset(0),
                reason: format!("{FILE} has format {}, this program knows {FORMAT}", header.format),
            }),
            Some(header) => Self::new(dir, header, false).map(Some),
        }
    }

    /// Opens all fills in the folders below `dir`, oldest span first.
    ///
    /// Folders in which making a fill was not finished hold nothing, and are removed.
    ///
    /// # Errors
    /// As [`Fill::open`].
    pub fn open_all(dir: &Path) -> Result<Vec<Self>, LogError> {
        let io = |source| LogError::Io {
            log: dir.display().to_string(),
            what: "list fills".to_owned(),
            source,
        };
        let mut fills = Vec::new();
        let folders = match std::fs::read_dir(dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(fills),
            folders => folders.map_err(io)?,
        };
        for folder in folders {
            let path = folder.map_err(io)?.path();
            match Self::open(&path)? {
                Some(fill) => fills.push(fill),
                None => std::fs::remove_dir_all(&path).map_err(io)?,
            }
        }
        fills.sort_by_key(|fill| (fill.span_us().start, fill.id()));
        Ok(fills)
    }

    fn new(dir: &Path, mut header: FillHeader, create: bool) -> Result<Self, LogError> {
        let name = format!("fill:{}..{}:{}", header.from_us, header.to_us, header.history);
        let log = SegmentLog::open(dir, &name, SegmentOptions::default(), "fill_fetch")?;
        if header.state == FillState::Complete {
            log.finish();
        }
        let fetched = match log.cursor()? {
            None => Fetched::default(),
            Some(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| log.io("read the cursor", error.into()))?,
        };
        header.holes.retain(|hole| hole.is_open(&fetched));
        let fill = Self {
            dir: dir.to_owned(),
            log,
            mapping: header.mapping.clone(),
            header: Mutex::new(header),
            fetched: Mutex::new(fetched),
            trouble: Mutex::default(),
        };
        if create {
            fill.change(|_| ())?;
        }
        Ok(fill)
    }

    /// The span of event time, µs since 1970.
    #[must_use]
    pub fn span_us(&self) -> Range<i64> {
        let header = self.header.lock();
        header.from_us..header.to_us
    }

    /// What the fill is for and how far it got.
    #[must_use]
    pub fn header(&self) -> FillHeader {
        self.header.lock().clone()
    }

    /// How far fetching got.
    #[must_use]
    pub fn state(&self) -> FillState {
        self.header.lock().state.clone()
    }

    /// The span, if all of it was fetched; holes are in it: nothing more can be had.
    #[must_use]
    pub fn accounts_for(&self) -> Option<Range<i64>> {
        let header = self.header.lock();
        (header.state == FillState::Complete).then_some(header.from_us..header.to_us)
    }

    /// How far fetching got.
    #[must_use]
    pub fn fetched(&self) -> Fetched {
        self.fetched.lock().clone()
    }

    /// Adds a stat to the readers, durably.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn add_reader(&self, ident: &str) -> Result<(), LogError> {
        self.change(|header| {
            header.readers.insert(ident.to_owned());
        })
    }

    /// Removes a stat from the readers, durably; true if nobody reads the fill any more.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn remove_reader(&self, ident: &str) -> Result<bool, LogError> {
        self.change(|header| {
            header.readers.remove(ident);
            header.readers.is_empty()
        })
    }

    /// Removes the fill's files: nobody reads it any more, and it is out of the seam.
    ///
    /// # Errors
    /// [`LogError::Io`]; what is left is removed by [`Fill::open_all`].
    pub fn delete(&self) -> Result<(), LogError> {
        // First: a folder without it is one whose making was not finished.
        std::fs::remove_file(self.dir.join(FILE))
            .and_then(|()| std::fs::remove_dir_all(&self.dir))
            .map_err(|source| self.log.io("remove the fill", source))
    }

    /// What was acknowledged and can no longer be read.
    #[must_use]
    pub fn losses(&self) -> Vec<Loss> {
        self.log.losses()
    }

    /// Size on disk, bytes.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.log.stored_bytes()
    }

    /// Keeps the records from `from` on while the guard lives.
    #[must_use]
    pub fn hold(&self, from: Offset) -> Hold {
        self.log.hold(from)
    }

    /// Appends rows, the matches made for them and how far fetching got with them, in one step.
    pub(super) fn commit(
        &self,
        entries: &Entries,
        matched: Vec<Match>,
        fetched: Fetched,
    ) -> Result<(), LogError> {
        let cursor = serde_json::to_vec(&fetched)
            .map_err(|error| self.log.io("write the cursor", error.into()))?;
        let extras = Extras { keys: Vec::new(), matched, cursor: Some(cursor) };
        self.log.commit(entries, &extras)?;
        *self.fetched.lock() = fetched;
        Ok(())
    }

    pub(super) fn add_hole(&self, hole: Hole) -> Result<(), LogError> {
        self.change(|header| {
            // A kill between this and the next commit asks for the same hole again.
            let span = |it: &Hole| (it.from_us, it.to_us, it.again.clone());
            let known = |it: &Hole| *it == hole || (it.again.is_some() && span(it) == span(&hole));
            match header.holes.iter().position(known) {
                Some(at) => header.holes[at] = hole,
                None => header.holes.push(hole),
            }
        })
    }

    /// Forgets the holes that were given after all; which they are was committed with what they held.
    pub(super) fn close_holes(&self) -> Result<(), LogError> {
        let fetched = self.fetched();
        self.change(|header| header.holes.retain(|hole| hole.is_open(&fetched)))
    }

    /// Gives up what is still to be fetched: from now on the fill accounts for nothing, and keeps what it has.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn give_up(&self) -> Result<(), LogError> {
        self.change(|header| {
            header.to_us = header.from_us;
            header.holes.clear();
        })?;
        self.set_state(FillState::Complete)
    }

    /// Notes why the history does not answer; `None` = it does.
    pub(super) fn note_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock() = trouble.map(|reason| (crate::clock::now_us(), reason));
    }

    pub(super) fn set_state(&self, state: FillState) -> Result<(), LogError> {
        let finished = state == FillState::Complete;
        self.change(|header| header.state = state)?;
        if finished {
            self.log.finish();
        }
        Ok(())
    }

    pub(crate) fn segments(&self) -> &SegmentLog {
        &self.log
    }

    /// Changes the header and makes that durable.
    fn change<T>(&self, change: impl FnOnce(&mut FillHeader) -> T) -> Result<T, LogError> {
        let mut header = self.header.lock();
        let mut next = header.clone();
        let answer = change(&mut next);
        write_json(&self.dir.join(FILE), &next)
            .map_err(|source| self.log.io("write fill.json", source))?;
        *header = next;
        Ok(answer)
    }
}

impl Log for Fill {
    super::segment::reads_segments!(log);

    fn lacks_from_us(&self) -> Option<i64> {
        let header = self.header.lock();
        let holes = header.holes.iter().map(|hole| hole.from_us);
        let unfetched = (header.state != FillState::Complete).then_some(header.from_us);
        holes.chain(unfetched).min()
    }

    fn describe(&self, status: &mut LogStatus) {
        let (header, fetched) = (self.header(), self.fetched());
        let trouble = self.trouble.lock().clone();
        status.losses.extend(header.holes.iter().map(|hole| TimeSpan {
            log: None,
            from: Some(UtcTime(hole.from_us)),
            to: Some(UtcTime(hole.to_us)),
            reason: hole.reason.clone(),
        }));
        status.fills.push(FillStatus {
            id: Some(self.id()),
            history: header.history,
            from: UtcTime(header.from_us),
            to: UtcTime(header.to_us),
            stats: header.readers.into_iter().collect(),
            messages: self.log.end_offset().0,
            duplicates: fetched.known,
            finished: header.state == FillState::Complete,
            last_error: match header.state {
                FillState::Failed { at_us, reason } => {
                    Some(Fault { at: UtcTime(at_us), text: reason })
                }
                _ => trouble.map(|(at_us, text)| Fault { at: UtcTime(at_us), text }),
            },
            ..FillStatus::default()
        });
        self.log.describe(status);
    }

    fn mapping(&self) -> &Mapping {
        &self.mapping
    }
}
