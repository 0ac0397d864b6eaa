//! A group commit: what is new of several submissions, and what is answered to each.

use std::io;

use super::{AppendError, Prepared, Receipt};
use crate::log::horizon::Horizon;
use crate::log::seam::{Known, Live};
use crate::log::segment::{Committed, Effort, Entries, Extras, KeyEntry, Match, Packed, pack};
use crate::log::{LogError, Offset};

/// Submissions that become durable together.
pub(super) struct Group<'a> {
    live: Option<Live<'a>>,
    pub(super) extras: Extras,
    /// Ranges count from the group's first record until it is sealed.
    pub(super) verdicts: Vec<Result<Receipt, AppendError>>,
    pieces: Vec<Piece>,
    records: u64,
}

/// New records that lie together.
enum Piece {
    /// Of one submission, packed by the thread that brought it.
    Packed(Vec<Packed>),
    /// Of several submissions, still to be packed.
    Loose(Entries),
}

impl<'a> Group<'a> {
    /// Nothing yet; `live` says what fills know.
    pub(super) fn new(live: Option<Live<'a>>) -> Self {
        let (extras, verdicts, pieces) = (Extras::default(), Vec::new(), Vec::new());
        Self { live, extras, verdicts, pieces, records: 0 }
    }

    /// Takes what is new of a submission into the group.
    pub(super) fn judge(
        &mut self,
        submission: Prepared,
        horizon: &mut Horizon,
    ) -> Result<Result<Receipt, AppendError>, LogError> {
        let Prepared { entries, packed, key, rejected } = submission;
        if let Some(key) = &key
            && let Some(known) = horizon.key(key.key)
        {
            if known.body != key.body {
                return Ok(Err(AppendError::KeyReused));
            }
            return Ok(Ok(Receipt {
                range: Offset(0)..Offset(0),
                accepted: known.accepted,
                duplicates: known.duplicates,
                rejected: known.rejected,
                repeated: true,
            }));
        }
        let new = self.new_rows(&entries, horizon)?;
        let (accepted, duplicates) = (new.len(), entries.len() - new.len());
        // What was packed is the whole submission: as soon as one is left out the others are packed anew.
        if duplicates == 0 && !packed.is_empty() {
            self.pieces.push(Piece::Packed(packed));
        } else {
            self.add_loose(&entries, &new);
        }
        let first = self.records;
        self.records += accepted as u64;
        let receipt = Receipt {
            range: Offset(first)..Offset(self.records),
            accepted: accepted as u32,
            duplicates: duplicates as u32,
            rejected,
            repeated: false,
        };
        if let Some(key) = key {
            let entry = KeyEntry {
                accepted: receipt.accepted,
                duplicates: receipt.duplicates,
                rejected: receipt.rejected,
                ..key
            };
            horizon.insert_key(entry);
            self.extras.keys.push(entry);
        }
        Ok(Ok(receipt))
    }

    /// The rows that nothing holds yet; the horizon knows them from now on.
    fn new_rows(
        &mut self,
        entries: &Entries,
        horizon: &mut Horizon,
    ) -> Result<Vec<usize>, LogError> {
        let mut new = Vec::with_capacity(entries.len());
        for row in 0..entries.len() {
            let (identity, content) = (entries.identities[row], entries.contents[row]);
            let time_us = entries.times[row];
            if identity != 0 && horizon.knows(identity) {
                continue;
            }
            let known = match &mut self.live {
                Some(live) => live.judge(identity, content, time_us)?,
                None => Known::New,
            };
            match known {
                Known::New => {
                    if identity != 0 {
                        horizon.insert(identity);
                    }
                    new.push(row);
                }
                Known::Duplicate => {}
                Known::Copy => self.extras.matched.push(Match { content, identity, time_us }),
            }
        }
        Ok(new)
    }

    /// Adds rows of a submission to those that are packed together.
    fn add_loose(&mut self, entries: &Entries, rows: &[usize]) {
        let mut loose = match self.pieces.pop() {
            Some(Piece::Loose(loose)) => loose,
            other => {
                self.pieces.extend(other);
                Entries::default()
            }
        };
        rows.iter().for_each(|row| loose.push_from(entries, *row));
        self.pieces.push(Piece::Loose(loose));
    }

    /// All that is new, packed, in order.
    pub(super) fn take_blocks(&mut self) -> io::Result<Vec<Packed>> {
        let mut blocks = Vec::new();
        for piece in self.pieces.drain(..) {
            match piece {
                Piece::Packed(packed) => blocks.extend(packed),
                Piece::Loose(entries) => blocks.extend(pack(&entries, Effort::Usual)?),
            }
        }
        Ok(blocks)
    }

    /// Tells horizon and receipts where the records went.
    pub(super) fn seal(&mut self, committed: &Committed, horizon: &mut Horizon) {
        for block in &committed.blocks {
            horizon.seal(block.first, block.arrival_us, block.identities);
        }
        self.extras.keys.iter().for_each(|entry| horizon.seal_key(entry));
        horizon.trim();
        let base = committed.range.start.0;
        for receipt in self.verdicts.iter_mut().flatten() {
            receipt.range.start.0 += base;
            receipt.range.end.0 += base;
        }
    }
}
