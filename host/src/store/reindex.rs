//! Making indexes: of a statistic whose models declare others than those that are stored.
//!
//! That is a statistic stored before its models had any, or whose plugin declares another column.
//! Rows are read once and their entries committed some at a time; until all are there the index is
//! not used, and a process that ends meanwhile makes it anew.

use super::directory;
use super::index::{self, Entries, IndexRecord};
use super::kv::Batch;
use super::layout::Layout;
use super::stat::StatStore;
use super::table::Frozen;
use super::{StoreError, directory::next_id};

/// Rows whose entries are committed together.
const ROWS_AT_ONCE: usize = 16_384;

impl StatStore {
    /// Sees to it that there are the indexes that the models declare, and no others.
    pub(super) fn keep_indexes(&mut self) -> Result<(), StoreError> {
        let wanted = index::wanted(&self.models);
        let records = self.indexes.iter().map(|index| &index.record);
        let kept = records.map(|kept| kept.built.then_some((kept.of, kept.column.as_str())));
        if kept.eq(wanted.iter().copied().map(Some)) {
            return Ok(());
        }
        let wanted: Vec<_> =
            wanted.into_iter().map(|(of, column)| (of, column.to_owned())).collect();
        let is_empty = self.tables.iter().all(|table| table.rows == 0);
        if !is_empty {
            let names: Vec<_> = wanted.iter().map(|(_, column)| column.as_str()).collect();
            tracing::info!(stat = self.ident(), "its rows are indexed by {}", names.join(", "));
        }
        self.begin_indexes(&wanted)?;
        for number in 0..self.indexes.len() {
            self.build(number)?;
        }
        self.finish_indexes()
    }

    /// Drops all indexes and begins empty ones.
    fn begin_indexes(&mut self, wanted: &[(usize, String)]) -> Result<(), StoreError> {
        self.stopped = true;
        let models = self.models.len();
        let (mut batch, mut layout) = (Batch::default(), self.layout.clone());
        let mut freed = Vec::new();
        for (number, table) in self.tables.iter().enumerate().skip(models) {
            freed.extend(directory::remove(&mut batch, number as u16, &table.directory));
        }
        self.garbage.free(&mut batch, &freed, &mut layout.next_id);
        self.tables.truncate(models);
        self.frozen_rows = self.tables.iter().map(|table| table.frozen.rows.len()).sum();
        if layout.cursor.as_ref().is_some_and(|cursor| cursor.model >= models) {
            // Of that fold only entries of the indexes were left.
            layout.cursor = None;
            layout.folded = layout.frozen_end;
            self.tables.iter_mut().for_each(|table| table.frozen = Frozen::default());
            self.frozen_rows = 0;
        }
        layout.indexes.clear();
        for (of, column) in wanted {
            let (of, column, id) = (*of, column.clone(), next_id(&mut layout.next_id));
            layout.indexes.push(IndexRecord { id, of, column, built: false });
        }
        self.indexes = index::resolve(&self.name, &layout.indexes, &self.models)?.into();
        for index in &*self.indexes {
            let floor_us = self.tables[index.record.of].floor_us;
            self.tables.push(super::table::Table::index(floor_us));
        }
        self.apply_layout(batch, layout)
    }

    /// Commits the entries of all rows of the table that index `number` is of.
    fn build(&mut self, number: usize) -> Result<(), StoreError> {
        let indexes = self.indexes.clone();
        let snapshot = self.snapshot();
        let mut rows = snapshot.stored(indexes[number].record.of)?;
        loop {
            let mut entries = Entries::new(&indexes[number]);
            let mut read = 0;
            while read < ROWS_AT_ONCE
                && let Some((key, value)) = rows.next_stored()?
            {
                let change = entries.change(key, None, value);
                change.map_err(|error| StoreError::damaged(&self.name, error))?;
                read += 1;
            }
            if read == 0 {
                return Ok(());
            }
            let mut changed = self.nothing_changed();
            changed[self.models.len() + number] = entries.finish();
            self.write(self.tables.clone(), changed, (*self.record).clone())?;
        }
    }

    /// Lets the indexes be used.
    fn finish_indexes(&mut self) -> Result<(), StoreError> {
        self.stopped = true;
        let mut layout = self.layout.clone();
        layout.indexes.iter_mut().for_each(|index| index.built = true);
        self.indexes = index::resolve(&self.name, &layout.indexes, &self.models)?.into();
        self.apply_layout(Batch::default(), layout)
    }

    /// Commits `layout` with `batch` and goes on under it.
    fn apply_layout(&mut self, mut batch: Batch, mut layout: Layout) -> Result<(), StoreError> {
        let tables = self.tables.clone();
        self.put_layout(&mut batch, &tables, &mut layout)?;
        self.tree.apply(batch)?;
        self.layout = layout;
        self.publish();
        self.stopped = false;
        Ok(())
    }
}
