//! Commits: merge increments into rows, apply one batch, fold what is due.
//!
//! The batch holds the changed rows as a delta, the record, and a share of the folding that is due.
//! It is visible at once and durable after the next [`super::Database::sync`].

use std::sync::Arc;

use super::changes::{self, Current};
use super::fold::{self, Folded, Shape};
use super::garbage::Numbers;
use super::index::Entries;
use super::kv::Batch;
use super::layout::{Cursor, Layout, put_json};
use super::record::StatRecord;
use super::rows::RowSet;
use super::runs::stack;
use super::stat::{StatStore, collapse, count_all, floor_of};
use super::table::{Frozen, Table};
use super::{StoreError, chunks, delta};

/// What a commit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitReport {
    /// Rows changed, roll-ups included.
    pub rows: u64,
    /// Messages below the floor of every model that could hold them.
    pub too_late: u64,
}

impl StatStore {
    /// Merges increments (number of the model in the manifest, block) into rows and commits them
    /// with `record`, all or nothing; visible to readers when it returns.
    ///
    /// The caller has raised `record.floors_us` before, if it wants to; a floor never falls. The
    /// number of the commit and what was too late are set here.
    ///
    /// # Errors
    /// With nothing changed [`StoreError::BadIncrement`], the plugin drained what is no block of its model,
    /// and [`StoreError::TooMuch`]. After any other error the outcome is unknown and the statistic is
    /// [`StoreError::Stopped`] until it is opened again.
    pub fn commit(
        &mut self,
        increments: &[(usize, Vec<u8>)],
        mut record: StatRecord,
    ) -> Result<CommitReport, StoreError> {
        self.check_running()?;
        record.commit = self.record.commit + 1;
        if self.is_large(increments) {
            return self.commit_to_pages(increments, record);
        }
        let mut tables = self.tables.clone();
        self.raise_floors(&mut tables, &mut record);
        let mut changed = self.nothing_changed();
        let merged =
            changes::merge(&self.current(&tables), increments, usize::MAX, &mut |table, rows| {
                changed[table] = rows;
                Ok(())
            });
        let too_late = merged.inspect_err(|error| self.pages.damage.note(error))?;
        record.too_late += too_late;
        self.layout.shards.insert(self.tuning.shard);
        let rows = changed[..self.models.len()].iter().map(|rows| rows.len() as u64).sum();
        self.write(tables, changed, record)?;
        Ok(CommitReport { rows, too_late })
    }

    /// What increments are merged with, should `tables` be the tables.
    pub(super) fn current<'a>(&'a self, tables: &'a [Table]) -> Current<'a> {
        Current {
            ident: self.ident(),
            models: &self.models,
            indexes: &self.indexes,
            tables,
            pages: &self.pages,
            shard: self.tuning.shard,
            limits: self.tuning.stat_limits,
        }
    }

    /// Adds rows as they stand to an import; each call's keys lie above all before.
    pub(crate) fn put_rows(&mut self, model: usize, rows: RowSet) -> Result<(), StoreError> {
        self.check_running()?;
        if rows.is_empty() {
            return Ok(());
        }
        self.layout.shards.extend((0..rows.len()).map(|row| shard_of(rows.key(row))));
        let mut all = self.nothing_changed();
        for (number, index) in self.indexes.iter().enumerate() {
            if index.record.of == model {
                let mut entries = Entries::new(index);
                for row in 0..rows.len() {
                    let change = entries.change(rows.key(row), None, rows.value(row));
                    change.map_err(|error| StoreError::damaged(&self.name, error))?;
                }
                all[self.models.len() + number] = entries.finish();
            }
        }
        all[model] = rows;
        self.write(self.tables.clone(), all, (*self.record).clone())
    }

    /// Ends an import: the record exactly as it was exported.
    pub(crate) fn put_record(&mut self, mut record: StatRecord) -> Result<(), StoreError> {
        self.check_running()?;
        let mut tables = self.tables.clone();
        self.raise_floors(&mut tables, &mut record);
        self.write(tables, self.nothing_changed(), record)
    }

    /// For each table the rows of a commit that changes none.
    pub(super) fn nothing_changed(&self) -> Vec<RowSet> {
        self.tables.iter().map(|_| RowSet::default()).collect()
    }

    pub(super) fn check_running(&self) -> Result<(), StoreError> {
        if self.stopped {
            return Err(StoreError::Stopped { ident: self.ident().to_owned() });
        }
        Ok(())
    }

    pub(super) fn raise_floors(&self, tables: &mut [Table], record: &mut StatRecord) {
        record.floors_us.resize(self.models.len(), None);
        for (number, table) in tables.iter_mut().enumerate() {
            let model = self.model_of(number);
            record.floors_us[model] = record.floors_us[model].max(table.floor_us);
            table.floor_us = floor_of(&self.models[model], record, model);
        }
    }

    /// Applies one batch: changed rows, record, and what is due of folding.
    pub(super) fn write(
        &mut self,
        tables: Vec<Table>,
        changed: Vec<RowSet>,
        record: StatRecord,
    ) -> Result<(), StoreError> {
        let written = self.write_batch(tables, changed, record);
        written.inspect_err(|error| self.pages.damage.note(error))
    }

    fn write_batch(
        &mut self,
        mut tables: Vec<Table>,
        changed: Vec<RowSet>,
        record: StatRecord,
    ) -> Result<(), StoreError> {
        // Should anything below fail, what is in memory is not what is stored.
        self.stopped = true;
        let mut batch = Batch::default();
        let mut layout = self.layout.clone();
        let mut folded = self.drop_below_floors(&mut tables, &mut layout, &mut batch)?;
        if changed.iter().any(|rows| !rows.is_empty()) {
            let indexes: Vec<_> = self.indexes.iter().map(|index| index.record.id).collect();
            let parts = delta::write(&mut batch, layout.next_delta, &changed, &indexes);
            self.deltas.push_back((layout.next_delta, parts));
            self.active_bytes += parts as usize * chunks::STORED_MAX;
            layout.next_delta += 1;
            for (table, rows) in tables.iter_mut().zip(changed) {
                table.rows += rows.fresh_in(0..rows.len());
                stack(&mut table.runs, rows, table.kind);
            }
        }
        self.freeze_when_due(&mut tables, &mut layout);
        let due = self.rows_due(&tables, &layout);
        folded.extend(self.fold(&mut tables, &mut layout, &mut batch, due)?);
        self.seal(batch, tables, layout, folded, record)?;
        self.catch_up()
    }

    /// Takes the pages below floors that were raised out of the directories.
    pub(super) fn drop_below_floors(
        &self,
        tables: &mut [Table],
        layout: &mut Layout,
        batch: &mut Batch,
    ) -> Result<Folded, StoreError> {
        let mut folded = Folded::default();
        for (model, table) in tables.iter_mut().enumerate() {
            if table.floor_us > self.tables[model].floor_us {
                let shape = self.shape(model);
                folded.extend(fold::drop_below_floor(table, shape, &mut layout.next_id, batch));
                table.rows = count_all(table, &self.pages)?;
            }
        }
        Ok(folded)
    }

    /// Applies the batch of a commit, with its record and what became of pages, and goes on from there.
    pub(super) fn seal(
        &mut self,
        mut batch: Batch,
        tables: Vec<Table>,
        mut layout: Layout,
        folded: Folded,
        record: StatRecord,
    ) -> Result<(), StoreError> {
        self.remove_folded(&mut layout, &mut batch);
        self.garbage.collect(&mut batch);
        self.garbage.free(&mut batch, &folded.freed, &mut layout.next_id);
        // Commits that are torn on purpose shall be found by their rows.
        layout.commit = (!cfg!(feature = "torn-commits")).then_some(record.commit);
        self.put_layout(&mut batch, &tables, &mut layout)?;
        if cfg!(feature = "torn-commits") {
            self.tree.apply(std::mem::take(&mut batch))?;
            // Long enough that some kill lies between the two.
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        self.record_parts = put_json(&mut batch, b"w", &record, self.record_parts)?;
        crate::fault::point("checkpoint");
        self.tree.apply(batch)?;
        crate::fault::point("checkpoint");
        self.accept(tables, layout, folded);
        self.record = Arc::new(record);
        self.publish();
        self.stopped = false;
        Ok(())
    }

    /// Folds on in batches of their own while folding lags behind what commits bring.
    fn catch_up(&mut self) -> Result<(), StoreError> {
        while self.rows_due(&self.tables, &self.layout) > 0 {
            let (tables, layout) = (self.tables.clone(), self.layout.clone());
            let due = self.rows_due(&tables, &layout);
            self.fold_apart(tables, layout, due)?;
        }
        Ok(())
    }

    /// Folds all rows that are not in pages, in batches of their own.
    pub(super) fn settle(&mut self) -> Result<(), StoreError> {
        while self.layout.folded < self.layout.next_delta {
            let (mut tables, mut layout) = (self.tables.clone(), self.layout.clone());
            if layout.folded == layout.frozen_end {
                self.freeze(&mut tables, &mut layout);
            }
            self.fold_apart(tables, layout, usize::MAX)?;
        }
        Ok(())
    }

    /// Folds in a batch that changes no row.
    fn fold_apart(
        &mut self,
        mut tables: Vec<Table>,
        mut layout: Layout,
        due: usize,
    ) -> Result<(), StoreError> {
        self.stopped = true;
        let mut batch = Batch::default();
        let folded = self.fold(&mut tables, &mut layout, &mut batch, due)?;
        self.remove_folded(&mut layout, &mut batch);
        self.garbage.collect(&mut batch);
        self.garbage.free(&mut batch, &folded.freed, &mut layout.next_id);
        self.put_layout(&mut batch, &tables, &mut layout)?;
        self.tree.apply(batch)?;
        self.accept(tables, layout, folded);
        self.publish();
        self.stopped = false;
        Ok(())
    }

    /// Sets recent rows aside for folding once there are enough, and the last fold is through.
    fn freeze_when_due(&mut self, tables: &mut [Table], layout: &mut Layout) {
        let deltas = layout.next_delta - layout.frozen_end;
        let due = self.active_bytes >= self.fold_bytes(tables) || deltas >= self.tuning.fold_deltas;
        if !due || tables.iter().any(|table| table.frozen.left() > 0) {
            return;
        }
        self.freeze(tables, layout);
    }

    /// Sets recent rows aside for folding; the last fold is through.
    fn freeze(&mut self, tables: &mut [Table], layout: &mut Layout) {
        self.frozen_rows = 0;
        for table in tables.iter_mut() {
            let rows = collapse(std::mem::take(&mut table.runs), table.kind);
            self.frozen_rows += rows.len();
            table.frozen = Frozen { rows, start: 0 };
        }
        layout.folded = layout.frozen_end;
        layout.frozen_end = layout.next_delta;
        self.active_bytes = 0;
    }

    // A fold rewrites each page it touches: the more pages there are, the more rows must share one.
    pub(super) fn fold_bytes(&self, tables: &[Table]) -> usize {
        let leaves: usize = tables.iter().map(|table| table.directory.leaves().len()).sum();
        let page_bytes = leaves * 40 * chunks::STORED_MAX;
        (page_bytes / self.tuning.fold_share.max(1))
            .max(self.tuning.fold_bytes)
            .min(self.tuning.fold_bytes_most)
    }

    /// How many frozen rows must be folded now, so that the fold ends before the next one begins.
    fn rows_due(&self, tables: &[Table], layout: &Layout) -> usize {
        let left: usize = tables.iter().map(|table| table.frozen.left()).sum();
        let deltas = layout.next_delta - layout.frozen_end;
        let by_bytes = self.active_bytes as f64 / self.fold_bytes(tables) as f64;
        let by_deltas = deltas as f64 / self.tuning.fold_deltas as f64;
        let wanted = self.frozen_rows as f64 * (by_bytes.max(by_deltas) * 1.25).min(1.0);
        (wanted.ceil() as usize).saturating_sub(self.frozen_rows - left.min(self.frozen_rows))
    }

    /// Folds `due` frozen rows, as far as one batch goes.
    fn fold(
        &mut self,
        tables: &mut [Table],
        layout: &mut Layout,
        batch: &mut Batch,
        mut due: usize,
    ) -> Result<Folded, StoreError> {
        let mut folded = Folded::default();
        for (model, table) in tables.iter_mut().enumerate() {
            let shape = self.shape(model);
            let pages_left = self.tuning.batch_pages.saturating_sub(folded.parts);
            if table.frozen.left() == 0 || due == 0 || pages_left == 0 {
                continue;
            }
            crate::fault::point("page_fold");
            let before = table.frozen.left();
            let (next, garbage) = (&mut layout.next_id, &mut self.garbage);
            let numbers = Numbers { next, garbage };
            folded.extend(fold::step(table, shape, &self.pages, numbers, batch, due, pages_left)?);
            due = due.saturating_sub(before - table.frozen.left());
            if table.frozen.left() > 0 {
                break;
            }
        }
        let unfinished = tables.iter().position(|table| table.frozen.left() > 0);
        layout.cursor = unfinished.map(|model| {
            let frozen = &tables[model].frozen;
            Cursor { model, key: chunks::hex(frozen.rows.key(frozen.start)) }
        });
        if unfinished.is_none() {
            layout.folded = layout.frozen_end;
            tables.iter_mut().for_each(|table| table.frozen = Frozen::default());
        }
        Ok(folded)
    }

    /// Removes some of the deltas whose rows are in pages.
    fn remove_folded(&mut self, layout: &mut Layout, batch: &mut Batch) {
        const PARTS_AT_ONCE: u32 = 64;
        let newest = self.deltas.back().map_or(0, |(_, parts)| *parts);
        let mut parts_left = PARTS_AT_ONCE.max(newest * 2);
        while parts_left > 0
            && let Some((sequence, parts)) =
                self.deltas.pop_front_if(|(sequence, _)| *sequence < layout.folded)
        {
            delta::remove(batch, sequence, parts);
            layout.first_delta = sequence + 1;
            parts_left = parts_left.saturating_sub(parts);
        }
    }

    pub(super) fn put_layout(
        &mut self,
        batch: &mut Batch,
        tables: &[Table],
        layout: &mut Layout,
    ) -> Result<(), StoreError> {
        layout.page_rows = tables.iter().map(|table| table.directory.rows()).collect();
        layout.directories = tables.iter().map(|table| table.directory.sum()).collect();
        self.layout_parts = put_json(batch, b"l", layout, self.layout_parts)?;
        Ok(())
    }

    fn accept(&mut self, tables: Vec<Table>, layout: Layout, folded: Folded) {
        for (page, written) in &folded.written {
            self.pages.keep(*page, &written.rows);
        }
        self.tables = tables;
        self.layout = layout;
    }

    pub(super) fn shape(&self, number: usize) -> Shape {
        let windowed = self.models[self.model_of(number)].model.window_s.is_some();
        Shape { table: number as u16, windowed }
    }
}

impl Folded {
    pub(super) fn extend(&mut self, other: Self) {
        self.freed.extend(other.freed);
        self.written.extend(other.written);
        self.parts += other.parts;
    }
}

fn shard_of(key: &[u8]) -> u16 {
    u16::from_be_bytes([key[key.len() - 2], key[key.len() - 1]])
}
