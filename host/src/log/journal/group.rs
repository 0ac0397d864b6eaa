//! A group commit: what is new of several submissions, and what is answered to each.

use super::{AppendError, Receipt, Submission};
use crate::log::horizon::Horizon;
use crate::log::seam::{Known, Live};
use crate::log::segment::{Committed, Entries, Extras, KeyEntry, Match};
use crate::log::{LogError, Offset};

/// Submissions that become durable together.
#[derive(Default)]
pub(super) struct Group<'a> {
    pub(super) live: Option<Live<'a>>,
    pub(super) entries: Entries,
    pub(super) extras: Extras,
    /// Ranges count from the group's first record until it is sealed.
    pub(super) verdicts: Vec<Result<Receipt, AppendError>>,
}

impl Group<'_> {
    /// Takes what is new of a submission into the group.
    pub(super) fn judge(
        &mut self,
        submission: &Submission,
        horizon: &mut Horizon,
    ) -> Result<Result<Receipt, AppendError>, LogError> {
        if let Some(key) = &submission.key
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
        let first = self.entries.len();
        for row in 0..submission.entries.len() {
            let entries = &submission.entries;
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
                    self.entries.push_from(entries, row);
                }
                Known::Duplicate => {}
                Known::Copy => self.extras.matched.push(Match { content, identity, time_us }),
            }
        }
        let accepted = self.entries.len() - first;
        let receipt = Receipt {
            range: Offset(first as u64)..Offset(self.entries.len() as u64),
            accepted: accepted as u32,
            duplicates: (submission.entries.len() - accepted) as u32,
            rejected: submission.rejected,
            repeated: false,
        };
        if let Some(key) = submission.key {
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

    /// Tells horizon and receipts where the records went.
    pub(super) fn seal(&mut self, committed: &Committed, horizon: &mut Horizon) {
        let mut row = 0;
        for (first, records, arrival_us) in &committed.blocks {
            let identities = &self.entries.identities[row..row + *records as usize];
            let ids = identities.iter().filter(|identity| **identity != 0).count();
            horizon.seal(*first, *arrival_us, ids);
            row += *records as usize;
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
