//! Which messages of a file were there before, by identity: `?dedup=id`.
//!
//! Every record is judged once, in the order of the log, by whether its identity is in the
//! [horizon](crate::log::horizon) then; the record time of a file is the largest event time so far, in whole
//! seconds. Verdicts and identities are kept beside the state in frames, so that every later reading, from
//! wherever it begins, finds the same verdicts. They follow from the file: what was not written when the
//! host was killed is judged again alike. Only what a removed file held cannot be, so that is synced before
//! the file is let go.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::frames::{Body, Frame, HEADER, Scan, header};
use super::times::full_at;
use crate::log::horizon::{Horizon, HorizonOptions, HorizonStatus};
use crate::log::identity::identity_hash;
use crate::log::{LogId, Records, record_hash};
use crate::project::{Limits, Mapping, envelope};

/// Bytes of identities behind the horizon that are left lying.
const DEAD: u64 = 64 << 20;
/// Record time is counted in steps of so many µs.
const STEP_US: i64 = 1_000_000;

/// The verdicts on the records of a log up to a place, and the identities that judge the next.
#[derive(Debug)]
pub(super) struct Seen {
    path: PathBuf,
    head: [u8; HEADER],
    file: File,
    len: u64,
    /// Ascending.
    frames: Vec<Frame>,
    /// How many of them are synced.
    synced: usize,
    /// What was judged since the last frame.
    open: Body,
    horizon: Horizon,
    options: HorizonOptions,
    clock_us: i64,
    duplicates: u64,
}

impl Seen {
    /// Opens the verdicts kept at `path` of the log `id`, made with the mapping and limits that `key` stands
    /// for; `start` is the log's start if there are none.
    pub(super) fn open(
        path: &Path,
        id: LogId,
        key: u64,
        start: u64,
        options: HorizonOptions,
    ) -> io::Result<Self> {
        let create = File::options().read(true).write(true).create(true).truncate(false).clone();
        let file = create.open(path)?;
        let head = header(id, key);
        let scan = Scan::of(&file, &head)?;
        if scan.len == 0 {
            file.write_all_at(&head, 0)?;
        }
        let len = scan.len.max(HEADER as u64);
        file.set_len(len)?;
        let end = scan.frames.last().map_or(start, |frame| frame.end);
        let mut seen = Self {
            path: path.to_owned(),
            head,
            file,
            len,
            duplicates: scan.frames.iter().map(|frame| u64::from(frame.duplicates)).sum(),
            frames: scan.frames,
            synced: 0,
            open: Body::starting_at(end),
            horizon: Horizon::new(options),
            options,
            clock_us: i64::MIN,
        };
        seen.recall()?;
        Ok(seen)
    }

    /// Fills the horizon as it was after the last frame.
    fn recall(&mut self) -> io::Result<()> {
        self.horizon = Horizon::new(self.options);
        self.clock_us = self.frames.last().map_or(i64::MIN, |frame| frame.clock_us);
        let since_us = self.clock_us.saturating_sub(self.options.span_us);
        let (mut ids, mut from) = (0, self.frames.len());
        let most = self.options.most_ids();
        while from > 0 {
            // What ends before the frame is older than its end.
            let older =
                self.frames.get(from).is_some_and(|_| self.frames[from - 1].clock_us < since_us);
            if ids > most || (ids >= self.options.ids && older) {
                break;
            }
            from -= 1;
            ids += self.frames[from].ids as usize;
        }
        for at in from..self.frames.len() {
            let frame = self.frames[at];
            let body = frame.body(&self.file)?;
            let mut identities = body.ids.into_iter();
            for (clock_us, count) in body.groups {
                for identity in identities.by_ref().take(count as usize) {
                    self.horizon.insert(identity);
                    self.horizon.seal(frame.start, clock_us, 1);
                    self.horizon.trim();
                }
            }
        }
        Ok(())
    }

    /// Offset up to which all is judged.
    pub(super) fn end(&self) -> u64 {
        self.open.end
    }

    /// Number of records that were there before.
    pub(super) fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// How far back identities are known.
    pub(super) fn status(&self) -> HorizonStatus {
        self.horizon.status()
    }

    /// Goes on at `offset`: what lies before it is gone.
    pub(super) fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        self.write_open()?;
        self.open = Body::starting_at(offset.max(self.open.end));
        Ok(())
    }

    /// Leaves the records out that were there before. `records` begins where all before it is judged.
    pub(super) fn leave_out(
        &mut self,
        records: &mut Records,
        mapping: &Mapping,
        limits: &Limits,
    ) -> io::Result<()> {
        let mut known = self.duplicates_in(records.range.start.0..records.range.end.0)?;
        let judged = records.offsets.partition_point(|&offset| offset < self.open.end);
        for row in judged..records.offsets.len() {
            if self.judge(text(records, row), mapping, limits) {
                self.duplicates += 1;
                self.open.duplicates.push(records.offsets[row]);
                known.push(records.offsets[row]);
            }
        }
        let last = records.spans.last().copied();
        if records.range.end.0 > self.open.end {
            if let Some(row) = records.spans.len().checked_sub(1) {
                self.open.fingerprint = record_hash(text(records, row));
            }
            self.open.end = records.range.end.0;
            if self.open.end - self.open.start >= full_at(self.open.end) {
                self.write_open()?;
                self.compact_above(DEAD)?;
            }
        }
        if !known.is_empty() {
            let is_known = |offset: &u64| known.binary_search(offset).is_ok();
            let kept = records.offsets.iter().zip(&records.spans);
            let kept = kept.filter(|(offset, _)| !is_known(offset));
            let (offsets, spans) = kept.map(|(offset, span)| (*offset, *span)).unzip();
            (records.offsets, records.spans) = (offsets, spans);
        }
        // Fingerprints are of what lies in the file, whatever the verdict.
        records.last = last;
        Ok(())
    }

    /// Whether a record was there before; if not it is from now on.
    fn judge(&mut self, text: &[u8], mapping: &Mapping, limits: &Limits) -> bool {
        // What no stat counts makes nothing a duplicate.
        let Ok(message) = envelope(text, mapping, limits) else { return false };
        let (identity, Some(time_us)) = (identity_hash(&message), message.time_us) else {
            return false;
        };
        if identity == 0 {
            return false;
        }
        if self.horizon.knows(identity) {
            return true;
        }
        self.clock_us = self.clock_us.max(time_us.div_euclid(STEP_US).saturating_mul(STEP_US));
        self.horizon.insert(identity);
        self.horizon.seal(self.open.start, self.clock_us, 1);
        self.horizon.trim();
        self.open.push(identity, self.clock_us);
        false
    }

    /// Offsets of the known duplicates in `range`, ascending.
    pub(super) fn duplicates_in(&self, range: Range<u64>) -> io::Result<Vec<u64>> {
        let mut found = Vec::new();
        let from = self.frames.partition_point(|frame| frame.end <= range.start);
        let touched = self.frames[from..].iter().take_while(|frame| frame.start < range.end);
        for frame in touched.filter(|frame| frame.duplicates > 0) {
            found.extend(frame.duplicates(&self.file)?);
        }
        found.extend(&self.open.duplicates);
        found.retain(|offset| range.contains(offset));
        Ok(found)
    }

    /// Where the last frame in `range` ends, and the hash of the record before.
    pub(super) fn last_in(&self, range: Range<u64>) -> Option<(u64, u64)> {
        let ends = self.frames.partition_point(|frame| frame.end <= range.end);
        let last = self.frames[..ends].last().filter(|frame| frame.end > range.start)?;
        Some((last.end, last.fingerprint))
    }

    /// Forgets the verdicts from `offset` on: what lies there is not what was judged.
    pub(super) fn forget_from(&mut self, offset: u64) -> io::Result<()> {
        let kept = self.frames.partition_point(|frame| frame.end <= offset);
        self.frames.truncate(kept);
        self.synced = self.synced.min(kept);
        self.len = self.frames.last().map_or(HEADER as u64, Frame::stored_end);
        self.file.set_len(self.len)?;
        self.duplicates = self.frames.iter().map(|frame| u64::from(frame.duplicates)).sum();
        self.open = Body::starting_at(self.frames.last().map_or(offset, |frame| frame.end));
        self.recall()
    }

    /// Writes what was judged.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.open.end > self.open.start { self.write_open() } else { Ok(()) }
    }

    /// Makes the verdicts before `offset` durable: what they are about may go.
    pub(super) fn sync_before(&mut self, offset: u64) -> io::Result<()> {
        if self.open.start < offset {
            self.flush()?;
        }
        if self.frames.get(self.synced).is_some_and(|frame| frame.start < offset) {
            self.file.sync_data()?;
            self.synced = self.frames.len();
        }
        Ok(())
    }

    fn write_open(&mut self) -> io::Result<()> {
        if self.open.end == self.open.start {
            return Ok(());
        }
        let (frame, bytes) = self.open.encode(self.len, self.clock_us);
        self.file.write_all_at(&bytes, self.len)?;
        self.len += bytes.len() as u64;
        self.frames.push(frame);
        self.open = Body::starting_at(self.open.end);
        Ok(())
    }

    /// Drops the identities behind the horizon from the file, if they take more than `least` bytes and most
    /// of it.
    pub(super) fn compact_above(&mut self, least: u64) -> io::Result<()> {
        let known = self.horizon.status().horizon_ids;
        let mut needed = known.saturating_sub(self.open.ids.len() as u64);
        let mut alive = self.frames.len();
        while needed > 0 && alive > 0 {
            alive -= 1;
            needed = needed.saturating_sub(u64::from(self.frames[alive].ids));
        }
        let bytes = |frames: &[Frame]| frames.iter().map(Frame::identity_bytes).sum::<u64>();
        let (dead, living) = self.frames.split_at(alive);
        if bytes(dead) <= least.max(2 * bytes(living)) {
            return Ok(());
        }
        let temporary = self.path.with_extension("ids.new");
        let file = File::options().read(true).write(true).create(true).truncate(true).clone();
        let file = file.open(&temporary)?;
        file.write_all_at(&self.head, 0)?;
        let (mut frames, mut len) = (Vec::with_capacity(self.frames.len()), HEADER as u64);
        for (at, frame) in self.frames.iter().enumerate() {
            let mut body = frame.body(&self.file)?;
            if at < alive {
                body.groups.clear();
                body.ids.clear();
            }
            let (frame, bytes) = body.encode(len, frame.clock_us);
            file.write_all_at(&bytes, len)?;
            len += bytes.len() as u64;
            frames.push(frame);
        }
        file.sync_all()?;
        std::fs::rename(&temporary, &self.path)?;
        (self.file, self.frames, self.len) = (file, frames, len);
        self.synced = 0;
        Ok(())
    }
}

fn text(records: &Records, row: usize) -> &[u8] {
    let (start, len) = records.spans[row];
    &records.text[start as usize..(start + len) as usize]
}
