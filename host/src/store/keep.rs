//! Taking over rows of an earlier version: those of windows that a rebuild cannot count again.

use statmill_plugin_api::aggregate;
use statmill_plugin_api::encoding::key_window;

use super::StoreError;
use super::cut::KeyBounds;
use super::index::Entries;
use super::models::same_rows;
use super::record::Taken;
use super::rows::{RowSet, RowSetBuilder, bare, hash};
use super::scan::{Merge, Order};
use super::snapshot::Snapshot;
use super::stat::StatStore;
use super::table::Lookup;

/// Most rows, and about the bytes of them, that one step takes over.
const STEP_ROWS: usize = 4_096;
const STEP_BYTES: usize = 1 << 20;

impl StatStore {
    /// Takes over some of the rows of `old` that the record says are kept; answers whether there are
    /// more.
    ///
    /// What this statistic folded of their windows since then is merged with them. Rows, and how many
    /// were taken, are one commit: after a crash it goes on where it was.
    ///
    /// # Errors
    /// As [`StatStore::commit`].
    pub fn take_over(&mut self, old: &Snapshot) -> Result<bool, StoreError> {
        let step = self.take_step(old);
        step.inspect_err(|error| self.pages.damage.note(error))
    }

    fn take_step(&mut self, old: &Snapshot) -> Result<bool, StoreError> {
        self.check_running()?;
        let mut record = (*self.record).clone();
        let kept = record.kept.as_mut();
        let Some((kept, Taken { table, rows: skip })) = kept.and_then(|kept| {
            let taken = kept.taken?;
            Some((kept, taken))
        }) else {
            return Ok(false);
        };
        let (mut read, mut changed) = (0, self.nothing_changed());
        if let Some(model) = self.models.get(table)
            && let Some(from) = old.models().iter().position(|stored| same_rows(stored, model))
        {
            let bounds = KeyBounds::windows(None, Some(kept.before_us - 1));
            let bounds = bounds.above(old.tables[from].floor_us);
            let mut stored = Merge::new(&old.tables[from], &old.pages, bounds, Order::Asc, skip)?;
            read = self.merge_kept(table, &mut stored, &mut changed)?;
        }
        let more = read > 0 || table + 1 < self.models.len();
        kept.taken = more.then_some(match read {
            0 => Taken { table: table + 1, rows: 0 },
            _ => Taken { table, rows: skip + read },
        });
        if !more {
            kept.held.clear();
            let before_us = kept.before_us;
            let lost = old.record().skipped.iter();
            let lost = lost.filter(|span| span.from_us.is_none_or(|from_us| from_us < before_us));
            record.skipped.extend(lost.cloned());
            record.largest_time_us = record.largest_time_us.max(old.record().largest_time_us);
        }
        record.commit += 1;
        self.layout.shards.extend(old.shards.iter());
        self.write(self.tables.clone(), changed, record)?;
        Ok(more)
    }

    /// Merges the next rows of `stored` with those of a table and its indexes; answers how many were
    /// read, 0 = none are left.
    fn merge_kept(
        &self,
        table: usize,
        stored: &mut Merge,
        changed: &mut [RowSet],
    ) -> Result<u64, StoreError> {
        let damaged = |error| StoreError::damaged(&self.name, error);
        let measures = &self.models[table].model.measures;
        let floor_us = self.tables[table].floor_us;
        let mut lookup = Lookup::new(&self.tables[table], &self.pages);
        let mut rows = RowSetBuilder::default();
        let mut entries: Vec<_> = self
            .indexes
            .iter()
            .enumerate()
            .filter(|(_, index)| index.record.of == table)
            .map(|(number, index)| (self.models.len() + number, Entries::new(index)))
            .collect();
        let (mut read, mut bytes) = (0, 0);
        while read < STEP_ROWS && bytes < STEP_BYTES {
            let Some((key, value)) = stored.next_stored()? else { break };
            read += 1;
            bytes += key.len() + value.len();
            if floor_us.is_some_and(|floor_us| key_window(bare(key)) < floor_us) {
                continue;
            }
            let newer = lookup.find(hash(key), key)?;
            let mut merged = value.to_vec();
            if let Some(newer) = newer {
                merged.clear();
                aggregate::merge(measures, value, newer, &mut merged).map_err(damaged)?;
            }
            for (_, entries) in &mut entries {
                entries.change(key, newer, &merged).map_err(damaged)?;
            }
            rows.push(key, &merged, newer.is_none());
        }
        changed[table] = rows.finish();
        for (number, entries) in entries {
            changed[number] = entries.finish();
        }
        Ok(read as u64)
    }
}
