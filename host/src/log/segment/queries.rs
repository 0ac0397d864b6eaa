//! What a log can be asked without reading its records: sizes, times, hashes, cursor, keys.

use std::ops::{Range, RangeInclusive};

use super::entries::KeyEntry;
use super::index::{NO_TIME, Section, Summary};
use super::segments::SegmentLog;
use super::tables::{Table, touches};
use crate::log::{LogError, Offset};
use crate::query::{Hole, LogStatus};

impl SegmentLog {
    pub(crate) fn count(&self, range: Range<Offset>) -> u64 {
        let clamped = range.start.max(self.start())..range.end.min(self.end_offset());
        let length = |from: Offset, to: Offset| to.0.saturating_sub(from.0);
        let state = self.state.read();
        let lost = state.losses.iter().map(|loss| {
            length(loss.range.start.max(clamped.start), loss.range.end.min(clamped.end))
        });
        length(clamped.start, clamped.end).saturating_sub(lost.sum())
    }

    pub(crate) fn bytes(&self, range: Range<Offset>) -> u64 {
        let state = self.state.read();
        let share = |summary: &Summary| {
            let records = summary.end - summary.first;
            let from = range.start.0.max(summary.first);
            let wanted = range.end.0.min(summary.end).saturating_sub(from);
            let bytes = u128::from(summary.raw_bytes) * u128::from(wanted);
            (bytes / u128::from(records.max(1))) as u64
        };
        state.sealed.iter().map(|segment| share(&segment.summary)).sum::<u64>()
            + share(&state.index.summary)
    }

    /// Adds what can no longer be read.
    pub(crate) fn describe(&self, status: &mut LogStatus) {
        let state = self.state.read();
        status.holes.extend(state.losses.iter().map(|loss| Hole {
            start: loss.range.start,
            end: loss.range.end,
            reason: loss.reason.clone(),
        }));
    }

    /// Smallest event time of the records from `from` on, or an earlier one; `None` without records.
    pub(crate) fn smallest_time_from(&self, from: Offset) -> Option<i64> {
        let (sealed, rest) = {
            let state = self.state.read();
            let blocks = state.index.blocks.iter().filter(|block| block.end() > from.0);
            (state.sealed.clone(), blocks.map(|block| block.min_us).min())
        };
        let unread = sealed.iter().filter(|segment| segment.summary.end > from.0);
        let oldest = unread.map(|segment| {
            let whole = segment.summary.min_us;
            if segment.summary.first >= from.0 {
                return whole;
            }
            // An index that cannot be read makes the answer early, never late.
            self.block_table(segment).map_or(whole, |blocks| {
                let unread = blocks.iter().filter(|block| block.end() > from.0);
                unread.map(|block| block.min_us).min().unwrap_or(whole)
            })
        });
        oldest.chain(rest).min().filter(|time_us| *time_us != NO_TIME.0)
    }

    /// Whether the log may hold messages of a span of event time.
    pub(crate) fn overlaps(&self, span_us: &RangeInclusive<i64>) -> bool {
        let state = self.state.read();
        let all = state.sealed.iter().map(|segment| &segment.summary);
        all.chain([&state.index.summary])
            .any(|summary| touches(summary.min_us, summary.max_us, span_us))
    }

    /// Number of copies of `hash` in segments whose event times touch `span_us`.
    pub(crate) fn copies(
        &self,
        table: Table,
        hash: u128,
        span_us: RangeInclusive<i64>,
    ) -> Result<u32, LogError> {
        let state = self.state.read();
        let mut copies = 0;
        for segment in &state.sealed {
            if touches(segment.summary.min_us, segment.summary.max_us, &span_us) {
                copies += self
                    .tables
                    .sealed(segment, self.meta.mark.0, table, hash)
                    .map_err(|source| self.io("read the index", source))?;
            }
        }
        let summary = &state.index.summary;
        if touches(summary.min_us, summary.max_us, &span_us) {
            copies += self.tables.active(&state.index, table, hash);
        }
        Ok(copies)
    }

    /// Drops what [`SegmentLog::copies`] keeps in memory.
    pub(crate) fn forget_tables(&self) {
        self.tables.forget();
    }

    /// The newest position of fetching that was committed.
    pub(crate) fn cursor(&self) -> Result<Option<Vec<u8>>, LogError> {
        let state = self.state.read();
        if state.index.summary.has_cursor {
            return Ok(Some(state.index.cursor.clone()));
        }
        let Some(segment) = state.sealed.iter().rev().find(|s| s.summary.has_cursor) else {
            return Ok(None);
        };
        segment
            .load(self.meta.mark.0, |summary, path| summary.cursor(path))
            .map(Some)
            .map_err(|source| self.io("read the cursor", source))
    }

    /// First record, number of records and largest arrival of each segment, oldest first.
    pub(crate) fn outline(&self) -> Vec<(u64, u64, i64)> {
        let state = self.state.read();
        let all = state.sealed.iter().map(|segment| &segment.summary);
        all.chain([&state.index.summary])
            .map(|summary| (summary.first, summary.end - summary.first, summary.arrival_us))
            .collect()
    }

    /// Visits the identities of each block (first record, arrival, hashes) of the segments from the one
    /// that begins at `from` on, oldest first, and returns the idempotency keys of them.
    pub(crate) fn visit_identities(
        &self,
        from: u64,
        mut visit: impl FnMut(u64, i64, &mut dyn Iterator<Item = u128>),
    ) -> Result<Vec<KeyEntry>, LogError> {
        let state = self.state.read();
        let mut keys = Vec::new();
        for segment in state.sealed.iter().filter(|segment| segment.summary.first >= from) {
            let (blocks, identities, segment_keys) = segment
                .load(self.meta.mark.0, |summary, path| {
                    let identities = summary.hashes(path, Section::Identities)?;
                    Ok((summary.blocks(path)?, identities, summary.keys(path)?))
                })
                .map_err(|source| self.io("read the index", source))?;
            let mut identities = identities.iter();
            for block in &blocks {
                let mut of_block = identities.by_ref().take(block.count as usize);
                visit(block.first, block.arrival_us, &mut of_block);
            }
            keys.extend(segment_keys);
        }
        let mut identities = state.index.identities.iter();
        for block in &state.index.blocks {
            let mut of_block = identities.by_ref().take(block.count as usize);
            visit(block.first, block.arrival_us, &mut of_block);
        }
        keys.extend(state.index.keys.iter().copied());
        Ok(keys)
    }
}
