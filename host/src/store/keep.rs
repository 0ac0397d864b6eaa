//! Taking over rows of an earlier version: those of windows that a rebuild cannot count again.

use statmill_plugin_api::aggregate;
use statmill_plugin_api::encoding::key_window;

use super::StoreError;
use super::cut::KeyBounds;
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
        let (mut read, mut rows) = (0, RowSet::default());
        if let Some(model) = self.models.get(table)
            && let Some(from) = old.models().iter().position(|stored| same_rows(stored, model))
        {
            let bounds = KeyBounds::windows(None, Some(kept.before_us - 1));
            let bounds = bounds.above(old.tables[from].floor_us);
            let mut stored = Merge::new(&old.tables[from], &old.pages, bounds, Order::Asc, skip)?;
            (read, rows) = self.merge_kept(table, &mut stored)?;
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
        let mut changed: Vec<RowSet> = Vec::new();
        changed.resize_with(self.models.len(), RowSet::default);
        self.layout.shards.extend(old.shards.iter());
        if let Some(of_table) = changed.get_mut(table) {
            *of_table = rows;
        }
        self.write(self.tables.clone(), changed, record)?;
        Ok(more)
    }

    /// Merges the next rows of `stored` with those of a table; answers how many were read, 0 = none are
    /// left.
    fn merge_kept(&self, table: usize, stored: &mut Merge) -> Result<(u64, RowSet), StoreError> {
        let measures = &self.models[table].model.measures;
        let floor_us = self.tables[table].floor_us;
        let mut lookup = Lookup::new(&self.tables[table], &self.pages);
        let mut rows = RowSetBuilder::default();
        let (mut read, mut bytes) = (0, 0);
        while read < STEP_ROWS && bytes < STEP_BYTES {
            let Some((key, value)) = stored.next_stored()? else { break };
            read += 1;
            bytes += key.len() + value.len();
            if floor_us.is_some_and(|floor_us| key_window(bare(key)) < floor_us) {
                continue;
            }
            match lookup.find(hash(key), key)? {
                None => rows.push(key, value, true),
                Some(newer) => {
                    let mut merged = Vec::new();
                    aggregate::merge(measures, value, newer, &mut merged)
                        .map_err(|error| StoreError::damaged(&self.name, error))?;
                    rows.push(key, &merged, false);
                }
            }
        }
        Ok((read as u64, rows.finish()))
    }
}
