//! Large commits: increments that would be folded at once go straight into pages.
//!
//! A delta of them would be written, read by nobody and removed. Their pages are written in batches ahead
//! of the commit, under numbers that no directory names; the commit's own batch has the directories, the
//! record and the last pages, so all of it is there or nothing. What was written ahead is listed as to be
//! removed until that batch takes it off the list.

use super::StoreError;
use super::changes;
use super::commit::CommitReport;
use super::fold::Folding;
use super::garbage::Numbers;
use super::kv::Batch;
use super::record::StatRecord;
use super::stat::StatStore;

/// Rows that are merged before they are folded.
const ROWS_AT_ONCE: usize = 4_096;

impl StatStore {
    /// Is as much changed at once as else makes a fold?
    pub(super) fn is_large(&self, increments: &[(usize, Vec<u8>)]) -> bool {
        let bytes: usize = increments.iter().map(|(_, block)| block.len()).sum();
        bytes >= self.fold_bytes(&self.tables)
    }

    /// As [`StatStore::commit`].
    pub(super) fn commit_to_pages(
        &mut self,
        increments: &[(usize, Vec<u8>)],
        mut record: StatRecord,
    ) -> Result<CommitReport, StoreError> {
        // Only one layer is merged with, and nothing older is left to be folded over it.
        self.settle()?;
        self.stopped = true;
        let (pages, tree) = (self.pages.clone(), self.tree.clone());
        let (mut tables, mut layout) = (self.tables.clone(), self.layout.clone());
        self.raise_floors(&mut tables, &mut record);
        let (mut ahead, mut last) = (Batch::default(), Batch::default());
        let mut folded = self.drop_below_floors(&mut tables, &mut layout, &mut last)?;
        let shapes = (0..tables.len()).map(|number| self.shape(number));
        let mut foldings: Vec<_> = tables
            .iter()
            .zip(shapes)
            .map(|(table, shape)| Folding::new(table, shape, &pages))
            .collect();
        let mut garbage = std::mem::take(&mut self.garbage);
        let (models, batch_pages) = (self.models.len(), self.tuning.batch_pages);
        let (mut rows, mut fresh, mut parts) = (0, vec![0; tables.len()], 0);
        let current = self.current(&tables);
        let merged = changes::merge(&current, increments, ROWS_AT_ONCE, &mut |table, changed| {
            if table < models {
                rows += changed.len() as u64;
                fresh[table] += changed.fresh_in(0..changed.len());
            }
            let mut start = 0;
            while start < changed.len() {
                let folding = &mut foldings[table];
                let before = folding.folded.parts;
                let numbers = &mut Numbers { next: &mut layout.next_id, garbage: &mut garbage };
                let left = batch_pages.saturating_sub(parts).max(1);
                start = folding.fold(&changed, start..changed.len(), numbers, &mut ahead, left)?;
                parts += folding.folded.parts - before;
                if parts >= batch_pages {
                    let written = foldings.iter_mut().flat_map(|all| all.folded.written.drain());
                    let mut named = Vec::new();
                    for (page, written) in written {
                        pages.keep(page, &written.rows);
                        named.push((page, written.parts));
                    }
                    // Overwritten again in the order of their numbers: neighbours lie together.
                    named.sort_unstable();
                    garbage.collect(&mut ahead);
                    garbage.ahead(&mut ahead, named, &mut layout.next_id);
                    crate::fault::point("page_fold");
                    tree.apply(std::mem::take(&mut ahead))?;
                    parts = 0;
                }
            }
            Ok(())
        });
        self.garbage = garbage;
        let too_late = merged.inspect_err(|error| {
            self.pages.damage.note(error);
            self.garbage.abandon();
            self.layout.next_id = layout.next_id;
            // The plugin's fault alone: no row has changed, and what is in memory is what is stored.
            self.stopped = !error.is_of_increments();
        })?;
        for (number, folding) in foldings.into_iter().enumerate() {
            let (directory, of_table) = folding.finish(&mut last, &mut layout.next_id);
            tables[number].directory = directory.into();
            tables[number].rows += fresh[number];
            folded.extend(of_table);
        }
        self.garbage.named(&mut last);
        ahead.append(last);
        record.too_late += too_late;
        layout.shards.insert(self.tuning.shard);
        let sealed = self.seal(ahead, tables, layout, folded, record);
        sealed.inspect_err(|error| self.pages.damage.note(error))?;
        Ok(CommitReport { rows, too_late })
    }
}
