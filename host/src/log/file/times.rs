//! How many messages the parts of a file hold, and between which times they happened.
//!
//! It is learned from the batches that are made of the file, whoever reads a part first, and kept beside
//! the state in a file of slots, one for each chunk, written in place. All of it follows from the file: what
//! is missing or damaged is learned again when that part is read again. Nothing here decides what is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::log::LogId;
use crate::project::Batch;

const MAGIC: &[u8; 4] = b"SMTX";
const VERSION: u32 = 1;
/// Size of the header, and of a slot.
const SLOT: usize = 64;
/// A chunk is full when it has so many bytes,
const CHUNK: u64 = 1 << 20;
/// or, in a long log, when it is so small a part of what lies before it: the number of chunks grows with the
/// logarithm of the length then.
const PARTS: u64 = 16_384;

/// Bytes after which a chunk that ends at `end` is full.
pub(super) fn full_at(end: u64) -> u64 {
    CHUNK.max(end / PARTS)
}

/// What is known of the parts of a log.
#[derive(Debug)]
pub(super) struct TimeIndex {
    /// By their starts; they do not overlap.
    chunks: BTreeMap<u64, Chunk>,
    /// Starts of the chunks that differ from their slots.
    unwritten: BTreeSet<u64>,
    /// Slots whose chunks are gone.
    free: Vec<u64>,
    slots: u64,
    /// None: it cannot be written, and is forgotten at the end.
    file: Option<File>,
}

/// A run of messages.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    end: u64,
    records: u64,
    /// Of the messages that count; `i64::MAX` and `i64::MIN` if there are none.
    min_us: i64,
    max_us: i64,
    /// Hash of the last record; 0 = not known.
    fingerprint: u64,
    slot: u64,
}

impl TimeIndex {
    /// Opens the index kept at `path` of the log `id`, made with the mapping and limits that `key` stands for.
    pub(super) fn open(path: &Path, id: LogId, key: u64) -> Self {
        match Self::load(path, id, key) {
            Ok(index) => index,
            Err(error) => {
                tracing::warn!("{} cannot be kept: {error}; it is learned anew", path.display());
                Self::empty(None)
            }
        }
    }

    fn empty(file: Option<File>) -> Self {
        Self {
            chunks: BTreeMap::new(),
            unwritten: BTreeSet::new(),
            free: Vec::new(),
            slots: 0,
            file,
        }
    }

    fn load(path: &Path, id: LogId, key: u64) -> io::Result<Self> {
        let options = File::options().read(true).write(true).create(true).truncate(false).clone();
        let file = options.open(path)?;
        let stored = std::fs::read(path)?;
        let header = header(id, key);
        if !stored.starts_with(&header) {
            file.set_len(0)?;
            file.write_all_at(&header, 0)?;
            return Ok(Self::empty(Some(file)));
        }
        let mut index = Self::empty(Some(file));
        for bytes in stored[SLOT..].chunks(SLOT) {
            let slot = index.slots;
            index.slots += 1;
            match decode(bytes, slot).filter(|(start, chunk)| index.uncovered(*start..chunk.end)) {
                Some((start, chunk)) => drop(index.chunks.insert(start, chunk)),
                None => index.free.push(slot),
            }
        }
        Ok(index)
    }

    /// Learns from a batch what was not known of its range.
    pub(super) fn note(&mut self, batch: &Batch) {
        let range = self.unknown_in(batch.range.start.0..batch.range.end.0);
        if range.is_empty() {
            return;
        }
        let first = batch.offsets.partition_point(|&offset| offset < range.start);
        let last = batch.offsets.partition_point(|&offset| offset < range.end);
        let times = &batch.times[first..last];
        let rejects = batch.rejects.iter().filter(|(offset, _)| range.contains(offset)).count();
        let news = Chunk {
            end: range.end,
            records: (times.len() + rejects) as u64,
            min_us: times.iter().copied().min().unwrap_or(i64::MAX),
            max_us: times.iter().copied().max().unwrap_or(i64::MIN),
            fingerprint: if range.end == batch.range.end.0 { batch.fingerprint } else { 0 },
            slot: 0,
        };
        self.add(range.start, news);
    }

    fn add(&mut self, start: u64, news: Chunk) {
        if let Some((&begins, chunk)) = self.chunks.range_mut(..start).next_back()
            && chunk.end == start
            && start - begins < full_at(start)
        {
            *chunk = Chunk {
                end: news.end,
                records: chunk.records + news.records,
                min_us: chunk.min_us.min(news.min_us),
                max_us: chunk.max_us.max(news.max_us),
                fingerprint: news.fingerprint,
                slot: chunk.slot,
            };
            self.unwritten.insert(begins);
        } else {
            let slot = self.free.pop().unwrap_or_else(|| {
                self.slots += 1;
                self.slots - 1
            });
            self.chunks.insert(start, Chunk { slot, ..news });
            self.unwritten.insert(start);
        }
    }

    /// The first part of `range` that no chunk covers.
    fn unknown_in(&self, range: Range<u64>) -> Range<u64> {
        let mut start = range.start;
        if let Some((_, before)) = self.chunks.range(..=start).next_back() {
            start = start.max(before.end);
        }
        while let Some(chunk) = self.chunks.get(&start).filter(|_| start < range.end) {
            start = chunk.end;
        }
        let next = self.chunks.range(start..).next().map_or(range.end, |(&next, _)| next);
        start..range.end.min(next).max(start)
    }

    fn uncovered(&self, range: Range<u64>) -> bool {
        let before = self.chunks.range(..range.end).next_back();
        before.is_none_or(|(_, chunk)| chunk.end <= range.start)
    }

    /// Start of the first chunk from `start` on whose largest time is `time_us` or later, or of the first
    /// part that is not known.
    pub(super) fn first_at(&self, start: u64, time_us: i64) -> u64 {
        let mut at = start;
        let behind = self.chunks.range(..=start).next_back().map_or(start, |(&begins, _)| begins);
        for (&begins, chunk) in self.chunks.range(behind..) {
            if chunk.end <= at {
                continue;
            }
            if begins > at || chunk.max_us >= time_us {
                break;
            }
            at = chunk.end;
        }
        at
    }

    /// Number of records in the chunks that lie in `range`, and the parts of it that no such chunk covers.
    pub(super) fn count(&self, range: Range<u64>) -> (u64, Vec<Range<u64>>) {
        let (mut records, mut rest, mut at) = (0, Vec::new(), range.start);
        for (&begins, chunk) in self.chunks.range(range.clone()) {
            if chunk.end > range.end {
                break;
            }
            if begins > at {
                rest.push(at..begins);
            }
            records += chunk.records;
            at = chunk.end;
        }
        if at < range.end {
            rest.push(at..range.end);
        }
        (records, rest)
    }

    /// Where the last chunk in `range` ends, and the hash of the record before.
    pub(super) fn last_in(&self, range: Range<u64>) -> Option<(u64, u64)> {
        let mut chunks = self.chunks.range(range.clone()).rev();
        let (_, chunk) = chunks.find(|(_, chunk)| chunk.end <= range.end)?;
        Some((chunk.end, chunk.fingerprint))
    }

    /// Forgets the chunks that touch `range`: it is gone, or not what it was.
    pub(super) fn forget(&mut self, range: Range<u64>) {
        let touched = self.chunks.range(..range.end).rev();
        let touched: Vec<u64> = touched
            .take_while(|(_, chunk)| chunk.end > range.start)
            .map(|(&begins, _)| begins)
            .collect();
        for begins in touched {
            self.unwritten.remove(&begins);
            self.free.extend(self.chunks.remove(&begins).map(|chunk| chunk.slot));
        }
    }

    /// Writes what was learned. A write that fails is the last one.
    pub(super) fn flush(&mut self) {
        let Some(file) = &self.file else { return self.unwritten.clear() };
        for begins in std::mem::take(&mut self.unwritten) {
            let Some(chunk) = self.chunks.get(&begins) else { continue };
            let place = (chunk.slot + 1) * SLOT as u64;
            if let Err(error) = file.write_all_at(&encode(begins, chunk), place) {
                tracing::warn!("the times of a file cannot be kept: {error}");
                self.file = None;
                return;
            }
        }
    }
}

fn header(id: LogId, key: u64) -> [u8; SLOT] {
    let mut header = [0; SLOT];
    header[..4].copy_from_slice(MAGIC);
    header[4..8].copy_from_slice(&VERSION.to_le_bytes());
    header[8..16].copy_from_slice(&id.0.to_le_bytes());
    header[16..24].copy_from_slice(&key.to_le_bytes());
    header
}

fn encode(start: u64, chunk: &Chunk) -> [u8; SLOT] {
    let words = [
        start,
        chunk.end,
        chunk.records,
        chunk.min_us.cast_unsigned(),
        chunk.max_us.cast_unsigned(),
        chunk.fingerprint,
    ];
    let mut slot = [0; SLOT];
    for (at, word) in words.into_iter().enumerate() {
        slot[at * 8..at * 8 + 8].copy_from_slice(&word.to_le_bytes());
    }
    let check = crc32fast::hash(&slot[..SLOT - 4]);
    slot[SLOT - 4..].copy_from_slice(&check.to_le_bytes());
    slot
}

/// The chunk in a slot, if the slot was written whole.
fn decode(bytes: &[u8], slot: u64) -> Option<(u64, Chunk)> {
    let (fields, check) = bytes.split_at_checked(SLOT - 4)?;
    if check != crc32fast::hash(fields).to_le_bytes() {
        return None;
    }
    let word =
        |at: usize| Some(u64::from_le_bytes(fields.get(at * 8..at * 8 + 8)?.try_into().ok()?));
    let chunk = Chunk {
        end: word(1)?,
        records: word(2)?,
        min_us: word(3)?.cast_signed(),
        max_us: word(4)?.cast_signed(),
        fingerprint: word(5)?,
        slot,
    };
    let start = word(0)?;
    (start < chunk.end).then_some((start, chunk))
}
