//! One statistic's rows and record: merge, commit, fold.
//!
//! A worker owns it and nobody else changes it; readers hold [`Snapshot`]s. A commit merges the
//! increments into rows, then applies one batch: the changed rows as a delta, the record, and a
//! share of the folding that is due. It is visible at once and durable after the next
//! [`super::Database::sync`].

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::RwLock;
use statmill_plugin_api::manifest::StatManifest;

use super::cut::KeyBounds;
use super::fold::{self, Folded, Shape};
use super::garbage::Garbage;
use super::kv::{Batch, Tree};
use super::layout::{Cursor, Layout, get_json, put_json};
use super::models::{StoredModel, stored_models};
use super::pages::{PageCache, Pages};
use super::record::StatRecord;
use super::rows::{RowSet, overlay, stack};
use super::snapshot::{Reader, Snapshot};
use super::table::{Frozen, Table};
use super::{StoreError, changes, chunks, delta};

/// When and how much is folded; the defaults are measured.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Least bytes of deltas before they are folded.
    pub fold_bytes: usize,
    /// Most bytes of deltas before they are folded, for statistics with many pages.
    pub fold_bytes_most: usize,
    /// Most deltas before they are folded: they are all read at a start.
    pub fold_deltas: u64,
    /// Most pages that one batch writes.
    pub batch_pages: usize,
    /// Bytes of decoded pages kept in memory, for all statistics together.
    pub cache_bytes: usize,
    /// Shard whose rows this host writes.
    pub shard: u16,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            fold_bytes: 1 << 20,
            fold_bytes_most: 8 << 20,
            fold_deltas: 512,
            batch_pages: 256,
            cache_bytes: 32 << 20,
            shard: 0,
        }
    }
}

/// What a commit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitReport {
    /// Rows changed, roll-ups included.
    pub rows: u64,
    /// Messages below the floor of every model that could hold them.
    pub too_late: u64,
}

/// One statistic's rows and record.
pub struct StatStore {
    tree: Arc<dyn Tree>,
    name: Arc<str>,
    manifest: Arc<StatManifest>,
    models: Arc<[StoredModel]>,
    pages: Pages,
    tuning: Tuning,
    tables: Vec<Table>,
    record: Arc<StatRecord>,
    record_parts: u32,
    layout: Layout,
    layout_parts: u32,
    /// Stored deltas, oldest first: sequence, parts.
    deltas: VecDeque<(u64, u32)>,
    /// Bytes of the deltas that are neither folded nor frozen.
    active_bytes: usize,
    /// Rows that were frozen together.
    frozen_rows: usize,
    garbage: Garbage,
    published: Arc<RwLock<Arc<Snapshot>>>,
    stopped: bool,
}

impl StatStore {
    /// Opens the tree `name`; without `manifest` under the one it was stored with.
    pub(crate) fn open(
        tree: Arc<dyn Tree>,
        name: &str,
        manifest: Option<&StatManifest>,
        cache: &Arc<PageCache>,
        tuning: Tuning,
    ) -> Result<Self, StoreError> {
        let stored = get_json::<StatManifest>(&*tree, name, b"m")?;
        let manifest = match (manifest, stored) {
            (None, None) => return Err(StoreError::damaged(name, "it has no manifest")),
            (None, Some((stored, _))) => stored,
            (Some(manifest), stored) => {
                let parts = stored.as_ref().map_or(0, |(_, parts)| *parts);
                let stored = stored.map(|(stored, _)| stored);
                if let Some(stored) = &stored {
                    same_models(stored, manifest)?;
                }
                if stored.as_ref() != Some(manifest) {
                    let mut batch = Batch::default();
                    put_json(&mut batch, b"m", manifest, parts)?;
                    tree.apply(batch)?;
                }
                manifest.clone()
            }
        };
        let models: Arc<[StoredModel]> = stored_models(&manifest).into();
        let (mut record, record_parts): (StatRecord, u32) =
            get_json(&*tree, name, b"w")?.unwrap_or_default();
        let (layout, layout_parts): (Layout, u32) =
            get_json(&*tree, name, b"l")?.unwrap_or_default();
        record.floors_us.resize(models.len(), None);
        let (record, manifest) = (Arc::new(record), Arc::new(manifest));
        let pages = Pages::new(tree.clone(), name, cache.clone());
        let mut garbage = Garbage::load(&*tree, name)?;
        let nothing = Snapshot {
            manifest: manifest.clone(),
            models: models.clone(),
            record: record.clone(),
            tables: Vec::new(),
            pages: pages.clone(),
            sharded: false,
            pin: garbage.next_pin(),
        };
        let mut stat = Self {
            tree,
            name: name.into(),
            manifest,
            models,
            pages,
            tuning,
            tables: Vec::new(),
            record,
            record_parts,
            layout,
            layout_parts,
            deltas: VecDeque::new(),
            active_bytes: 0,
            frozen_rows: 0,
            garbage,
            published: Arc::new(RwLock::new(Arc::new(nothing))),
            stopped: false,
        };
        stat.load()?;
        stat.publish();
        Ok(stat)
    }

    /// Reads directories and deltas.
    fn load(&mut self) -> Result<(), StoreError> {
        let directories = super::directory::load(&*self.tree, &self.name, self.models.len())?;
        let layout = &mut self.layout;
        layout.page_rows.resize(self.models.len(), 0);
        for (directory, rows) in directories.into_iter().zip(&layout.page_rows) {
            if directory.rows() != *rows {
                return Err(StoreError::damaged(&self.name, "a directory record is missing"));
            }
            let directory = Arc::new(directory);
            self.tables.push(Table { directory, ..Table::default() });
        }
        let mut frozen: Vec<Vec<Arc<RowSet>>> = vec![Vec::new(); self.models.len()];
        let mut expected = layout.first_delta;
        for delta in delta::scan(&*self.tree, &self.name, self.models.len()) {
            let delta = delta?;
            if delta.sequence != expected {
                break;
            }
            expected += 1;
            self.deltas.push_back((delta.sequence, delta.parts));
            if delta.sequence < layout.folded {
                continue;
            }
            if delta.sequence >= layout.frozen_end {
                self.active_bytes += delta.parts as usize * chunks::STORED_MAX;
            }
            for (model, rows) in delta.rows.into_iter().enumerate() {
                if delta.sequence < layout.frozen_end {
                    stack(&mut frozen[model], rows);
                } else {
                    stack(&mut self.tables[model].runs, rows);
                }
            }
        }
        if expected != layout.next_delta {
            return Err(StoreError::damaged(&self.name, format!("delta {expected} is missing")));
        }
        let cursor = layout.cursor.clone();
        for (model, runs) in frozen.into_iter().enumerate() {
            let rows = collapse(runs);
            let start = match &cursor {
                Some(cursor) if model == cursor.model => {
                    let key = chunks::unhex(&cursor.key);
                    let key = key.ok_or_else(|| StoreError::damaged(&self.name, "fold cursor"))?;
                    rows.seek(0, &key)
                }
                Some(cursor) if model > cursor.model => 0,
                _ => rows.len(),
            };
            self.frozen_rows += rows.len();
            self.tables[model].frozen = Frozen { rows, start };
        }
        for (model, table) in self.tables.iter_mut().enumerate() {
            table.floor_us = floor_of(&self.models[model], &self.record, model);
            table.rows = count_all(table, &self.pages)?;
        }
        Ok(())
    }

    /// The statistic's name.
    #[must_use]
    pub fn ident(&self) -> &str {
        &self.manifest.ident
    }

    /// Name of its tree.
    #[must_use]
    pub(crate) fn tree_name(&self) -> &str {
        &self.name
    }

    /// The tables, in the order of their numbers.
    #[must_use]
    pub fn models(&self) -> &[StoredModel] {
        &self.models
    }

    /// The record of the last commit.
    #[must_use]
    pub fn record(&self) -> &StatRecord {
        &self.record
    }

    /// The rows of the last commit, immutable and cheap.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.read().clone()
    }

    /// A handle that always gives the newest snapshot.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader(self.published.clone())
    }

    /// Merges increments (number of the model in the manifest, block) into rows and commits them
    /// with `record`, all or nothing; visible to readers when it returns.
    ///
    /// The caller has raised `record.floors_us` before, if it wants to; a floor never falls. The
    /// number of the commit and what was too late are set here.
    ///
    /// # Errors
    /// [`StoreError::BadIncrement`], with nothing changed: the plugin drained what is no block of
    /// its model. After any other error the outcome is unknown and the statistic is
    /// [`StoreError::Stopped`] until it is opened again.
    pub fn commit(
        &mut self,
        increments: &[(usize, Vec<u8>)],
        mut record: StatRecord,
    ) -> Result<CommitReport, StoreError> {
        self.check_running()?;
        record.commit = self.record.commit + 1;
        let mut tables = self.tables.clone();
        self.raise_floors(&mut tables, &mut record);
        let merged = changes::merge(
            self.ident(),
            &self.models,
            &tables,
            &self.pages,
            self.tuning.shard,
            increments,
        )?;
        record.too_late += merged.too_late;
        self.layout.shards.insert(self.tuning.shard);
        let rows = merged.rows.iter().map(|rows| rows.len() as u64).sum();
        self.write(tables, merged.rows, record)?;
        Ok(CommitReport { rows, too_late: merged.too_late })
    }

    /// Adds rows as they stand to an import; each call's keys lie above all before.
    pub(crate) fn put_rows(&mut self, model: usize, rows: RowSet) -> Result<(), StoreError> {
        self.check_running()?;
        if rows.is_empty() {
            return Ok(());
        }
        self.layout.shards.extend((0..rows.len()).map(|row| shard_of(rows.key(row))));
        let mut all: Vec<RowSet> = Vec::new();
        all.resize_with(self.models.len(), RowSet::default);
        all[model] = rows;
        self.write(self.tables.clone(), all, (*self.record).clone())
    }

    /// Ends an import: the record exactly as it was exported.
    pub(crate) fn put_record(&mut self, mut record: StatRecord) -> Result<(), StoreError> {
        self.check_running()?;
        let mut tables = self.tables.clone();
        self.raise_floors(&mut tables, &mut record);
        let mut none: Vec<RowSet> = Vec::new();
        none.resize_with(self.models.len(), RowSet::default);
        self.write(tables, none, record)
    }

    fn check_running(&self) -> Result<(), StoreError> {
        if self.stopped {
            return Err(StoreError::Stopped { ident: self.ident().to_owned() });
        }
        Ok(())
    }

    fn raise_floors(&self, tables: &mut [Table], record: &mut StatRecord) {
        record.floors_us.resize(self.models.len(), None);
        for (model, table) in tables.iter_mut().enumerate() {
            record.floors_us[model] = record.floors_us[model].max(table.floor_us);
            table.floor_us = floor_of(&self.models[model], record, model);
        }
    }

    /// Applies one batch: changed rows, record, and what is due of folding.
    fn write(
        &mut self,
        mut tables: Vec<Table>,
        changed: Vec<RowSet>,
        record: StatRecord,
    ) -> Result<(), StoreError> {
        // Should anything below fail, what is in memory is not what is stored.
        self.stopped = true;
        let mut batch = Batch::default();
        let mut layout = self.layout.clone();
        let mut folded = Folded::default();
        for (model, table) in tables.iter_mut().enumerate() {
            if table.floor_us > self.tables[model].floor_us {
                let shape = self.shape(model);
                let dropped = fold::drop_below_floor(table, shape, &mut layout.next_id, &mut batch);
                folded.freed.extend(dropped.freed);
                table.rows = count_all(table, &self.pages)?;
            }
        }
        if changed.iter().any(|rows| !rows.is_empty()) {
            let parts = delta::write(&mut batch, layout.next_delta, &changed);
            self.deltas.push_back((layout.next_delta, parts));
            self.active_bytes += parts as usize * chunks::STORED_MAX;
            layout.next_delta += 1;
            for (table, rows) in tables.iter_mut().zip(changed) {
                table.rows += rows.fresh_in(0..rows.len());
                stack(&mut table.runs, rows);
            }
        }
        self.freeze_when_due(&mut tables, &mut layout);
        folded.extend(self.fold(&mut tables, &mut layout, &mut batch)?);
        self.remove_folded(&mut layout, &mut batch);
        self.garbage.collect(&mut batch, folded.written.len());
        self.garbage.free(&mut batch, &folded.freed, &mut layout.next_id);
        self.put_layout(&mut batch, &tables, &mut layout)?;
        if cfg!(feature = "torn-commits") {
            self.tree.apply(std::mem::take(&mut batch))?;
            crate::fault::point("torn");
        }
        self.record_parts = put_json(&mut batch, b"w", &record, self.record_parts)?;
        crate::fault::point("checkpoint");
        self.tree.apply(batch)?;
        crate::fault::point("checkpoint");
        self.accept(tables, layout, folded);
        self.record = Arc::new(record);
        self.publish();
        self.stopped = false;
        self.catch_up()
    }

    /// Folds on in batches of their own while folding lags behind what commits bring.
    fn catch_up(&mut self) -> Result<(), StoreError> {
        while self.rows_due(&self.tables, &self.layout) > 0 {
            self.stopped = true;
            let (mut tables, mut layout) = (self.tables.clone(), self.layout.clone());
            let mut batch = Batch::default();
            let folded = self.fold(&mut tables, &mut layout, &mut batch)?;
            self.remove_folded(&mut layout, &mut batch);
            self.garbage.collect(&mut batch, folded.written.len());
            self.garbage.free(&mut batch, &folded.freed, &mut layout.next_id);
            self.put_layout(&mut batch, &tables, &mut layout)?;
            self.tree.apply(batch)?;
            self.accept(tables, layout, folded);
            self.publish();
            self.stopped = false;
        }
        Ok(())
    }

    /// Sets recent rows aside for folding once there are enough, and the last fold is through.
    fn freeze_when_due(&mut self, tables: &mut [Table], layout: &mut Layout) {
        let deltas = layout.next_delta - layout.frozen_end;
        let due = self.active_bytes >= self.fold_bytes(tables) || deltas >= self.tuning.fold_deltas;
        if !due || tables.iter().any(|table| table.frozen.left() > 0) {
            return;
        }
        self.frozen_rows = 0;
        for table in tables.iter_mut() {
            let rows = collapse(std::mem::take(&mut table.runs));
            self.frozen_rows += rows.len();
            table.frozen = Frozen { rows, start: 0 };
        }
        layout.folded = layout.frozen_end;
        layout.frozen_end = layout.next_delta;
        self.active_bytes = 0;
    }

    // A fold rewrites each page it touches: the more pages there are, the more rows must share one.
    fn fold_bytes(&self, tables: &[Table]) -> usize {
        let leaves: usize = tables.iter().map(|table| table.directory.leaves().len()).sum();
        let page_bytes = leaves * 40 * chunks::STORED_MAX;
        (page_bytes / 16).max(self.tuning.fold_bytes).min(self.tuning.fold_bytes_most)
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

    /// Folds what is due, as far as one batch goes.
    fn fold(
        &mut self,
        tables: &mut [Table],
        layout: &mut Layout,
        batch: &mut Batch,
    ) -> Result<Folded, StoreError> {
        let mut folded = Folded::default();
        let mut due = self.rows_due(tables, layout);
        for (model, table) in tables.iter_mut().enumerate() {
            let shape = self.shape(model);
            let pages_left = self.tuning.batch_pages.saturating_sub(folded.parts);
            if table.frozen.left() == 0 || due == 0 || pages_left == 0 {
                continue;
            }
            crate::fault::point("page_fold");
            let before = table.frozen.left();
            let ids = &mut layout.next_id;
            folded.extend(fold::step(table, shape, &self.pages, ids, batch, due, pages_left)?);
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

    fn put_layout(
        &mut self,
        batch: &mut Batch,
        tables: &[Table],
        layout: &mut Layout,
    ) -> Result<(), StoreError> {
        layout.page_rows = tables.iter().map(|table| table.directory.rows()).collect();
        self.layout_parts = put_json(batch, b"l", layout, self.layout_parts)?;
        Ok(())
    }

    fn accept(&mut self, tables: Vec<Table>, layout: Layout, folded: Folded) {
        folded.written.iter().for_each(|(page, rows)| self.pages.keep(*page, rows));
        self.tables = tables;
        self.layout = layout;
    }

    fn publish(&mut self) {
        let snapshot = Snapshot {
            manifest: self.manifest.clone(),
            models: self.models.clone(),
            record: self.record.clone(),
            tables: self.tables.clone(),
            pages: self.pages.clone(),
            sharded: self.layout.shards.len() > 1,
            pin: self.garbage.next_pin(),
        };
        *self.published.write() = Arc::new(snapshot);
    }

    fn shape(&self, model: usize) -> Shape {
        let windowed = self.models[model].model.window_s.is_some();
        Shape { model: model as u16, windowed }
    }
}

impl Folded {
    fn extend(&mut self, other: Self) {
        self.freed.extend(other.freed);
        self.written.extend(other.written);
        self.parts += other.parts;
    }
}

fn shard_of(key: &[u8]) -> u16 {
    u16::from_be_bytes([key[key.len() - 2], key[key.len() - 1]])
}

fn floor_of(stored: &StoredModel, record: &StatRecord, model: usize) -> Option<i64> {
    let floor_us = record.floors_us.get(model).copied().flatten();
    floor_us.filter(|_| stored.model.window_s.is_some())
}

fn count_all(table: &Table, pages: &Pages) -> Result<u64, StoreError> {
    table.count(pages, &KeyBounds::default().above(table.floor_us))
}

fn collapse(runs: Vec<Arc<RowSet>>) -> Arc<RowSet> {
    // Newest first: the runs are short at that end.
    let mut runs = runs.into_iter().rev();
    let newest = runs.next().unwrap_or_default();
    runs.fold(newest, |newer, older| Arc::new(overlay(&older, &newer)))
}

/// Rows can be read by another manifest only if their keys and values mean the same.
fn same_models(stored: &StatManifest, now: &StatManifest) -> Result<(), StoreError> {
    let (old, new) = (stored_models(stored), stored_models(now));
    let same = |old: &StoredModel, new: &StoredModel| {
        old.name == new.name
            && old.model.window_s == new.model.window_s
            && old.model.dimensions == new.model.dimensions
            && old.model.measures == new.model.measures
    };
    let differs = old.iter().zip(&new).find(|(old, new)| !same(old, new)).map(|(_, new)| new);
    let extra = || (old.len() != new.len()).then(|| new.last().or(old.last())).flatten();
    match differs.or_else(extra) {
        None => Ok(()),
        Some(model) => {
            let (ident, model) = (now.ident.clone(), model.name.clone());
            Err(StoreError::ModelsChanged { ident, model })
        }
    }
}
