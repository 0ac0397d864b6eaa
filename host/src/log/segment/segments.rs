//! A log of segments: opening, committing, rolling, reading and dropping them.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};

use super::block::{Block, Header, Plain};
use super::entries::{Entries, Extras};
use super::index::{BlockEntry, Hashes, Index};
use super::meta::{Meta, sync_dir};
use super::pack::{Effort, Packed, pack};
use super::recent::Recent;
use super::retention::{Hold, Holds, Retention};
use super::scan::scan;
use super::sealed::{Sealed, list, losses, segment_path};
use super::tables::Tables;
use super::writer::{Writer, cut};
use crate::log::{LogEnd, LogError, LogId, Offset};

/// Records of a segment after which it is full, whatever its size: bounds what an index holds.
const MAX_RECORDS: u64 = 1 << 20;
const MAX_BLOCKS: usize = 1 << 16;
/// Unpacked blocks and block tables kept for readers.
const CACHED_BLOCKS: usize = 8 << 20;
const CACHED_TABLES: usize = 8 << 20;

/// How a log of segments is kept.
#[derive(Clone, Copy, Debug)]
pub struct SegmentOptions {
    /// Size on disk at which a segment is full, bytes.
    pub roll_bytes: u64,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self { roll_bytes: 64 << 20 }
    }
}

/// Records that were acknowledged and can no longer be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The records; reading goes on at its end.
    pub range: Range<Offset>,
    /// What happened to them.
    pub reason: String,
}

/// What a commit has written.
#[derive(Debug)]
pub(crate) struct Committed {
    /// The records.
    pub range: Range<Offset>,
    /// What each block holds.
    pub blocks: Vec<CommittedBlock>,
}

/// What a block that was committed holds.
#[derive(Debug)]
pub(crate) struct CommittedBlock {
    /// The first record.
    pub first: u64,
    /// Largest arrival.
    pub arrival_us: i64,
    /// Number of records that have an identity.
    pub identities: usize,
}

/// A log kept as a folder of segments; see the [module](super).
pub struct SegmentLog {
    pub(super) dir: PathBuf,
    pub(super) meta: Meta,
    pub(super) options: SegmentOptions,
    /// Name of the fault point around a commit's fsync.
    pub(super) fault: &'static str,
    pub(super) writer: Mutex<Writer>,
    pub(super) state: RwLock<State>,
    pub(super) published: Mutex<Published>,
    pub(super) moved: Condvar,
    pub(super) blocks: Mutex<Recent<(u64, u64), Arc<Block>>>,
    pub(super) tables_of_blocks: Mutex<Recent<u64, Arc<Vec<BlockEntry>>>>,
    pub(super) tables: Tables,
    pub(super) holds: Arc<Mutex<Holds>>,
}

pub(super) struct State {
    pub(super) sealed: Vec<Arc<Sealed>>,
    pub(super) file: Arc<File>,
    /// The segment being written, as far as it is durable.
    pub(super) index: Index,
    pub(super) losses: Vec<Loss>,
}

#[derive(Clone, Copy)]
pub(super) struct Published {
    pub(super) end: u64,
    pub(super) finished: bool,
}

impl SegmentLog {
    /// Opens the log in `dir`, or makes one there with the given name.
    ///
    /// What was written after the last whole commit is cut off: it was never acknowledged.
    ///
    /// # Errors
    /// [`LogError::Io`] if the folder cannot be read or written; [`LogError::Damaged`] if segments are
    /// there without the file that names the log, or overlap.
    pub(crate) fn open(
        dir: &Path,
        name: &str,
        options: SegmentOptions,
        fault: &'static str,
    ) -> Result<Self, LogError> {
        let io = |what: &str| {
            let (log, what) = (name.to_owned(), format!("{what} {}", dir.display()));
            move |source| LogError::Io { log, what, source }
        };
        std::fs::create_dir_all(dir).map_err(io("create"))?;
        let paths = list(dir).map_err(io("list"))?;
        let meta = match Meta::read(dir).map_err(io("read log.json in"))? {
            Some(meta) => meta,
            None if paths.is_empty() => Meta::create(dir, name).map_err(io("write log.json in"))?,
            None => {
                return Err(LogError::Damaged {
                    log: name.to_owned(),
                    at: Offset(paths[0].0),
                    reason: format!(
                        "{} has segments but no log.json; restore it, or move the folder away",
                        dir.display()
                    ),
                });
            }
        };
        let mark = meta.mark.0;
        let mut sealed = Vec::new();
        let (last, full) = match paths.split_last() {
            Some(((first, path), full)) => ((*first, path.clone()), full),
            None => ((0, segment_path(dir, 0)), &[][..]),
        };
        for (first, path) in full {
            sealed.push(Arc::new(Sealed::open(path, mark, *first).map_err(io("index"))?));
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&last.1)
            .map_err(io("open the last segment in"))?;
        let index = scan(&file, mark, last.0, true).map_err(io("scan the last segment in"))?;
        cut(&file, index.summary.bytes, name).map_err(io("cut the torn end of"))?;
        sync_dir(dir).map_err(io("sync"))?;

        let losses = losses(&sealed, &index, mark).map_err(io("read the index of"))?;
        let mut expected = 0;
        for (first, end) in sealed
            .iter()
            .map(|segment| (segment.summary.first, segment.summary.end))
            .chain([(index.summary.first, index.summary.end)])
        {
            if first < expected {
                return Err(LogError::Damaged {
                    log: name.to_owned(),
                    at: Offset(first),
                    reason: "two segments hold the same records".to_owned(),
                });
            }
            expected = end;
        }
        let file = Arc::new(file);
        let writer = Writer {
            file: Arc::clone(&file),
            position: index.summary.bytes,
            mark,
            buffer: Vec::new(),
            is_torn: false,
        };
        let end = index.summary.end;
        Ok(Self {
            dir: dir.to_owned(),
            meta,
            options,
            fault,
            writer: Mutex::new(writer),
            state: RwLock::new(State { sealed, file, index, losses }),
            published: Mutex::new(Published { end, finished: false }),
            moved: Condvar::new(),
            blocks: Mutex::new(Recent::new(CACHED_BLOCKS)),
            tables_of_blocks: Mutex::new(Recent::new(CACHED_TABLES)),
            tables: Tables::new(),
            holds: Arc::default(),
        })
    }

    /// Appends records and extras in one atomic step; returns when they are durable and readable.
    ///
    /// # Errors
    /// [`LogError::Io`] if the medium refuses; nothing was appended then.
    pub(crate) fn commit(&self, entries: &Entries, extras: &Extras) -> Result<Committed, LogError> {
        let blocks = pack(entries, Effort::Usual).map_err(|source| self.io("pack", source))?;
        self.commit_packed(blocks, extras)
    }

    /// As [`SegmentLog::commit`], of records that were packed before.
    ///
    /// # Errors
    /// [`LogError::Io`] if the medium refuses; nothing was appended then.
    pub(crate) fn commit_packed(
        &self,
        mut blocks: Vec<Packed>,
        extras: &Extras,
    ) -> Result<Committed, LogError> {
        let mut writer = self.writer.lock();
        let writer = &mut *writer;
        writer.mend().map_err(|source| self.io("write", source))?;
        if blocks.is_empty() && extras.is_empty() {
            let end = self.end_offset();
            return Ok(Committed { range: end..end, blocks: Vec::new() });
        }
        if blocks.is_empty() {
            blocks.push(Packed::empty());
        }
        let full = {
            let state = self.state.read();
            let summary = &state.index.summary;
            // Never without a record: the next segment would have the same name.
            let records = summary.end - summary.first;
            records >= MAX_RECORDS
                || (records > 0
                    && (summary.bytes >= self.options.roll_bytes
                        || state.index.blocks.len() >= MAX_BLOCKS))
        };
        if full {
            self.roll(writer).map_err(|source| self.io("begin a new segment", source))?;
        }
        let first = self.end_offset();
        let headers =
            writer.stamp(first.0, &blocks, extras).map_err(|source| self.io("pack", source))?;
        crate::fault::point(self.fault);
        if let Err(source) = writer.write() {
            return Err(self.io("write", source));
        }
        crate::fault::point(self.fault);
        let committed = headers
            .iter()
            .zip(&blocks)
            .map(|(header, packed)| CommittedBlock {
                first: header.first,
                arrival_us: header.arrival_us,
                identities: packed.identities.iter().filter(|identity| **identity != 0).count(),
            })
            .collect();
        let end = self.publish(writer, headers.into_iter().zip(blocks), extras);
        Ok(Committed { range: first..end, blocks: committed })
    }

    fn publish(
        &self,
        writer: &mut Writer,
        blocks: impl ExactSizeIterator<Item = (Header, Packed)>,
        extras: &Extras,
    ) -> Offset {
        let mut state = self.state.write();
        let last = blocks.len() - 1;
        for (at, (header, packed)) in blocks.enumerate() {
            let plain = Plain {
                identities: Hashes::of(packed.identities),
                contents: Hashes::of(packed.contents),
                extras: if at == last { extras.clone() } else { Extras::default() },
            };
            state.index.push(writer.position, &header, plain);
            writer.position = state.index.summary.bytes;
        }
        let end = state.index.summary.end;
        drop(state);
        self.published.lock().end = end;
        self.moved.notify_all();
        Offset(end)
    }

    /// Closes the segment being written and begins the next one.
    fn roll(&self, writer: &mut Writer) -> io::Result<()> {
        let (first, summary) = {
            let state = self.state.read();
            let path = segment_path(&self.dir, state.index.summary.first);
            let summary = state.index.write(&path.with_extension("idx"), self.meta.mark.0)?;
            (state.index.summary.end, Sealed::new(path, summary))
        };
        crate::fault::point("journal_roll");
        let path = segment_path(&self.dir, first);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        sync_dir(&self.dir)?;
        crate::fault::point("journal_roll");
        let file = Arc::new(file);
        writer.file = Arc::clone(&file);
        writer.position = 0;
        let mut state = self.state.write();
        state.file = file;
        state.index = Index::new(first);
        state.sealed.push(Arc::new(summary));
        Ok(())
    }

    /// Drops the oldest full segments that nobody needs; see [`Retention`].
    ///
    /// # Errors
    /// [`LogError::Io`] if a file cannot be removed.
    pub(crate) fn release(
        &self,
        below: Offset,
        retention: &Retention,
        now_us: i64,
    ) -> Result<(), LogError> {
        let below = self.holds.lock().oldest().map_or(below, |held| held.min(below));
        loop {
            let oldest = {
                let mut state = self.state.write();
                let total: u64 =
                    state.sealed.iter().map(|segment| segment.summary.bytes).sum::<u64>()
                        + state.index.summary.bytes;
                let Some(oldest) = state.sealed.first() else { return Ok(()) };
                let needed = oldest.summary.end > below.0;
                if !retention.drops(oldest.summary.arrival_us, now_us, total, needed) {
                    return Ok(());
                }
                if needed {
                    tracing::warn!(
                        log = self.name(),
                        "records up to {} are dropped unread: the disk limit is reached",
                        oldest.summary.end
                    );
                }
                let oldest = state.sealed.remove(0);
                state.losses.retain(|loss| loss.range.start.0 >= oldest.summary.end);
                oldest
            };
            for path in [oldest.path.clone(), oldest.path.with_extension("idx")] {
                match std::fs::remove_file(&path) {
                    Err(source) if source.kind() != io::ErrorKind::NotFound => {
                        return Err(self.io("remove an old segment", source));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Keeps the records from `from` on while the guard lives.
    pub(crate) fn hold(&self, from: Offset) -> Hold {
        Hold::new(&self.holds, from)
    }

    /// Says that nothing will ever be appended.
    pub(crate) fn finish(&self) {
        self.published.lock().finished = true;
        self.moved.notify_all();
    }

    pub(crate) fn id(&self) -> LogId {
        self.meta.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.meta.name
    }

    pub(crate) fn created_us(&self) -> i64 {
        self.meta.created_us
    }

    pub(crate) fn start(&self) -> Offset {
        let state = self.state.read();
        Offset(state.sealed.first().map_or(state.index.summary.first, |s| s.summary.first))
    }

    pub(crate) fn end_offset(&self) -> Offset {
        Offset(self.published.lock().end)
    }

    pub(crate) fn end(&self) -> LogEnd {
        let published = *self.published.lock();
        LogEnd {
            offset: Offset(published.end),
            seen_us: crate::clock::now_us(),
            finished: published.finished,
        }
    }

    pub(crate) fn wait(&self, from: Offset, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let mut published = self.published.lock();
        while published.end <= from.0 && !published.finished {
            if self.moved.wait_until(&mut published, deadline).timed_out() {
                return;
            }
        }
    }

    /// What was acknowledged and can no longer be read, ascending.
    pub(crate) fn losses(&self) -> Vec<Loss> {
        self.state.read().losses.clone()
    }

    /// Bytes on disk.
    pub(crate) fn stored_bytes(&self) -> u64 {
        let state = self.state.read();
        state.sealed.iter().map(|segment| segment.summary.bytes).sum::<u64>()
            + state.index.summary.bytes
    }

    pub(crate) fn io(&self, what: &str, source: io::Error) -> LogError {
        LogError::Io { log: self.name().to_owned(), what: what.to_owned(), source }
    }
}

impl std::fmt::Debug for SegmentLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentLog").field("dir", &self.dir).field("id", &self.meta.id).finish()
    }
}
