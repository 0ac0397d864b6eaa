//! The reading end of a log: from an offset to the records behind it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::block::{self, Block, HEADER, Header};
use super::index::BlockEntry;
use super::sealed::Sealed;
use super::segments::{Loss, SegmentLog};
use crate::log::{LogError, Offset, Records, record_hash};

/// Where a record is found.
enum Place {
    End,
    Lost(String),
    Block { segment: u64, file: Arc<File>, entry: BlockEntry, length: u64 },
}

impl SegmentLog {
    /// Reads on from `from`; see [`crate::log::Log::read`].
    pub(crate) fn read(
        &self,
        from: Offset,
        max_bytes: usize,
        max_records: usize,
        into: &mut Records,
    ) -> Result<(), LogError> {
        into.begin(from);
        let mut at = from.0;
        while into.offsets.is_empty()
            || (into.text.len() < max_bytes && into.offsets.len() < max_records)
        {
            let block = match self.locate(at)? {
                Place::End => break,
                Place::Lost(_) if !into.offsets.is_empty() => break,
                Place::Lost(reason) => {
                    return Err(LogError::Damaged {
                        log: self.name().to_owned(),
                        at: Offset(at),
                        reason,
                    });
                }
                Place::Block { segment, file, entry, length } => {
                    match self.block(segment, &file, &entry, length) {
                        // The records before it are fine; the next read tells.
                        Err(LogError::Damaged { .. }) if !into.offsets.is_empty() => break,
                        block => block?,
                    }
                }
            };
            for row in (at - block.first) as usize..block.len() {
                let text = block.record(row);
                let full =
                    into.text.len() + text.len() > max_bytes || into.offsets.len() >= max_records;
                if full && !into.offsets.is_empty() {
                    into.range.end = Offset(at);
                    return Ok(());
                }
                into.spans.push((into.text.len() as u32, text.len() as u32));
                into.text.extend_from_slice(text);
                into.offsets.push(at);
                into.arrivals.push(block.arrival(row));
                at += 1;
            }
        }
        into.range.end = Offset(at);
        Ok(())
    }

    pub(crate) fn fingerprint(&self, end: Offset) -> Result<Option<u64>, LogError> {
        if end <= self.start() || end > self.end_offset() {
            return Ok(None);
        }
        let at = end.0 - 1;
        match self.locate(at) {
            Ok(Place::Block { segment, file, entry, length }) => {
                match self.block(segment, &file, &entry, length) {
                    Ok(block) => Ok(Some(record_hash(block.record((at - block.first) as usize)))),
                    Err(LogError::Damaged { .. }) => Ok(None),
                    Err(error) => Err(error),
                }
            }
            Ok(_) | Err(LogError::Expired { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The end of the loss that holds `at`.
    pub(crate) fn after_damage(&self, at: Offset) -> Option<Offset> {
        let state = self.state.read();
        state.losses.iter().find(|loss| loss.range.contains(&at)).map(|loss| loss.range.end)
    }

    pub(crate) fn first_at(&self, time_us: i64) -> Offset {
        let sealed = self.state.read().sealed.clone();
        for segment in sealed.iter().filter(|segment| segment.summary.max_us >= time_us) {
            // An index that cannot be read makes the answer early, never late.
            let Ok(blocks) = self.block_table(segment) else {
                return Offset(segment.summary.first);
            };
            if let Some(block) = blocks.iter().find(|block| block.max_us >= time_us) {
                return Offset(block.first);
            }
        }
        let state = self.state.read();
        let block = state.index.blocks.iter().find(|block| block.max_us >= time_us);
        Offset(block.map_or(state.index.summary.end, |block| block.first))
    }

    fn locate(&self, at: u64) -> Result<Place, LogError> {
        let state = self.state.read();
        let oldest = state.sealed.first().map_or(state.index.summary.first, |s| s.summary.first);
        if at < oldest {
            return Err(LogError::Expired {
                log: self.name().to_owned(),
                asked: Offset(at),
                oldest: Offset(oldest),
            });
        }
        if at >= state.index.summary.end {
            return Ok(Place::End);
        }
        if let Some(loss) =
            state.losses.iter().find(|loss| (loss.range.start.0..loss.range.end.0).contains(&at))
        {
            return Ok(Place::Lost(loss.reason.clone()));
        }
        let which = state.sealed.partition_point(|segment| segment.summary.end <= at);
        let Some(segment) = state.sealed.get(which).cloned() else {
            let summary = &state.index.summary;
            let (entry, length) = find(&state.index.blocks, summary.bytes, at)
                .ok_or_else(|| self.damaged(at, "no block holds it"))?;
            let file = Arc::clone(&state.file);
            return Ok(Place::Block { segment: summary.first, file, entry, length });
        };
        drop(state);
        let blocks = self.block_table(&segment)?;
        let (entry, length) = find(&blocks, segment.summary.bytes, at)
            .ok_or_else(|| self.damaged(at, "no block holds it"))?;
        let file = match File::open(&segment.path) {
            Ok(file) => Arc::new(file),
            // Dropped since we looked.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(LogError::Expired {
                    log: self.name().to_owned(),
                    asked: Offset(at),
                    oldest: self.start(),
                });
            }
            Err(error) => return Err(self.io("open a segment", error)),
        };
        Ok(Place::Block { segment: segment.summary.first, file, entry, length })
    }

    pub(super) fn block_table(&self, segment: &Sealed) -> Result<Arc<Vec<BlockEntry>>, LogError> {
        let first = segment.summary.first;
        if let Some(blocks) = self.tables_of_blocks.lock().get(&first) {
            return Ok(blocks);
        }
        let blocks = segment
            .load(self.meta.mark.0, |summary, path| summary.blocks(path))
            .map_err(|source| self.io("read the index", source))?;
        let blocks = Arc::new(blocks);
        let cost = blocks.len() * size_of::<BlockEntry>();
        self.tables_of_blocks.lock().put(first, Arc::clone(&blocks), cost);
        Ok(blocks)
    }

    /// Reads, checks and unpacks a block.
    fn block(
        &self,
        segment: u64,
        file: &File,
        entry: &BlockEntry,
        length: u64,
    ) -> Result<Arc<Block>, LogError> {
        let key = (segment, entry.position);
        if let Some(block) = self.blocks.lock().get(&key) {
            return Ok(block);
        }
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, entry.position)
            .map_err(|source| self.io("read a segment", source))?;
        match unpack(&bytes, self.meta.mark.0) {
            Ok(block) => {
                let block = Arc::new(block);
                self.blocks.lock().put(key, Arc::clone(&block), block.bytes());
                Ok(block)
            }
            Err(reason) => {
                self.lose(entry, reason);
                Err(self.damaged(entry.first, reason))
            }
        }
    }

    fn lose(&self, entry: &BlockEntry, reason: &str) {
        let loss = Loss {
            range: Offset(entry.first)..Offset(entry.end()),
            reason: format!("records {} to {} are lost: {reason}", entry.first, entry.end() - 1),
        };
        let mut state = self.state.write();
        if !state.losses.contains(&loss) {
            state.losses.push(loss);
            state.losses.sort_by_key(|loss| loss.range.start);
        }
    }

    fn damaged(&self, at: u64, reason: &str) -> LogError {
        let reason = reason.to_owned();
        LogError::Damaged { log: self.name().to_owned(), at: Offset(at), reason }
    }
}

pub(super) fn unpack(bytes: &[u8], mark: u64) -> Result<Block, &'static str> {
    let (head, rest) = bytes.split_first_chunk::<HEADER>().ok_or("the block is cut short")?;
    let header = Header::decode(head, mark)?;
    let payload = rest.get(..header.payload_len()).ok_or("the block is cut short")?;
    if !block::check(head, payload) {
        return Err("the block fails its check sum");
    }
    Block::decode(&header, &payload[header.plain_len as usize..])
}

/// The block that holds record `at`, and how far it may reach in the file.
fn find(blocks: &[BlockEntry], bytes: u64, at: u64) -> Option<(BlockEntry, u64)> {
    let which = blocks.partition_point(|block| block.end() <= at);
    let entry = *blocks.get(which).filter(|block| block.first <= at)?;
    let next = blocks.get(which + 1).map_or(bytes, |next| next.position);
    Some((entry, next - entry.position))
}
