//! One statistic's rows and record: opening them, and what is in memory of them.
//!
//! A worker owns it and nobody else changes it ([`super::commit`]); readers hold [`Snapshot`]s.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use parking_lot::RwLock;
use statmill_plugin_api::manifest::StatManifest;

use super::cut::KeyBounds;
use super::database::tree_name;
use super::garbage::Garbage;
use super::index::{self, Index};
use super::kv::{Batch, Tree};
use super::layout::{Layout, get_json, is_counted, put_json};
use super::models::{StoredModel, same_rows, stored_models};
use super::pages::{PageCache, Pages};
use super::record::StatRecord;
use super::rows::{Kind, RowSet};
use super::runs::overlay_all;
use super::snapshot::{Reader, Snapshot};
use super::table::{Frozen, Table};
use super::tuning::Tuning;
use super::{StoreError, chunks, delta};

/// One statistic's rows and record.
pub struct StatStore {
    pub(super) tree: Arc<dyn Tree>,
    pub(super) name: Arc<str>,
    pub(super) manifest: Arc<StatManifest>,
    manifest_parts: u32,
    pub(super) models: Arc<[StoredModel]>,
    pub(super) pages: Pages,
    pub(super) tuning: Tuning,
    /// Those of the models, then those of the indexes.
    pub(super) tables: Vec<Table>,
    pub(super) indexes: Arc<[Index]>,
    pub(super) record: Arc<StatRecord>,
    pub(super) record_parts: u32,
    pub(super) layout: Layout,
    pub(super) layout_parts: u32,
    /// Stored deltas, oldest first: sequence, parts.
    pub(super) deltas: VecDeque<(u64, u32)>,
    /// Bytes of the deltas that are neither folded nor frozen.
    pub(super) active_bytes: usize,
    /// Rows that were frozen together.
    pub(super) frozen_rows: usize,
    pub(super) garbage: Garbage,
    pub(super) published: Arc<RwLock<Arc<Snapshot>>>,
    pub(super) stopped: bool,
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
        let for_commits = manifest.is_some();
        let (manifest, manifest_parts) = match (manifest, stored) {
            (None, None) => return Err(StoreError::damaged(name, "it has no manifest")),
            (None, Some(stored)) => stored,
            (Some(manifest), stored) => {
                let (stored, parts) = stored.unzip();
                let parts = put_manifest(&*tree, stored.as_ref(), manifest, parts.unwrap_or(0))?;
                (manifest.clone(), parts)
            }
        };
        let models: Arc<[StoredModel]> = stored_models(&manifest).into();
        let (mut record, record_parts): (StatRecord, u32) =
            get_json(&*tree, name, b"w")?.unwrap_or_default();
        let (mut layout, layout_parts): (Layout, u32) =
            get_json(&*tree, name, b"l")?.unwrap_or_default();
        if layout.frozen_end > layout.next_delta {
            return Err(StoreError::damaged(name, "it has folded deltas that never were"));
        }
        record.floors_us.resize(models.len(), None);
        let (record, manifest) = (Arc::new(record), Arc::new(manifest));
        let pages = Pages::new(tree.clone(), name, cache.clone());
        let mut garbage = Garbage::load(&*tree, name)?;
        // Numbers that a commit gave which never came are not given again while they wait for removal.
        layout.next_id = layout.next_id.max(garbage.free_id());
        if ![layout.next_id, layout.next_delta, record.commit].into_iter().all(is_counted) {
            return Err(StoreError::damaged(name, "it counted further than anything can count"));
        }
        let indexes: Arc<[Index]> = index::resolve(name, &layout.indexes, &models)?.into();
        let nothing = Snapshot {
            manifest: manifest.clone(),
            models: models.clone(),
            record: record.clone(),
            tables: Vec::new(),
            indexes: indexes.clone(),
            pages: pages.clone(),
            shards: BTreeSet::new(),
            pin: garbage.next_pin(),
        };
        let mut stat = Self {
            tree,
            name: name.into(),
            manifest,
            manifest_parts,
            models,
            pages,
            tuning,
            tables: Vec::new(),
            indexes,
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
        // Who opens it only to read changes nothing.
        if for_commits {
            stat.keep_indexes()?;
        }
        Ok(stat)
    }

    /// Goes on under `manifest`, which another load of its plugin gave.
    ///
    /// # Errors
    /// [`StoreError::ModelsChanged`] if the rows were stored with other models;
    /// [`StoreError::Backend`].
    pub fn go_on_under(&mut self, manifest: &StatManifest) -> Result<(), StoreError> {
        let stored = Some(&*self.manifest);
        self.manifest_parts = put_manifest(&*self.tree, stored, manifest, self.manifest_parts)?;
        self.manifest = Arc::new(manifest.clone());
        self.models = stored_models(manifest).into();
        self.publish();
        self.keep_indexes()
    }

    /// Gives it to another owner, with all who read it; what stays here commits nothing any more.
    pub(crate) fn hand_over(&mut self) -> Self {
        let left = Self {
            tree: self.tree.clone(),
            name: self.name.clone(),
            manifest: self.manifest.clone(),
            manifest_parts: self.manifest_parts,
            models: self.models.clone(),
            pages: self.pages.clone(),
            tuning: self.tuning,
            tables: Vec::new(),
            indexes: self.indexes.clone(),
            record: self.record.clone(),
            record_parts: self.record_parts,
            layout: Layout::default(),
            layout_parts: self.layout_parts,
            deltas: VecDeque::new(),
            active_bytes: 0,
            frozen_rows: 0,
            garbage: Garbage::default(),
            published: self.published.clone(),
            stopped: true,
        };
        std::mem::replace(self, left)
    }

    /// Takes the place of `before`, the same rows, whose readers go on reading what they saw.
    pub(crate) fn succeed(&mut self, before: &mut Self) {
        self.garbage.wait_for_readers_of(std::mem::take(&mut before.garbage));
    }

    /// Reads directories and deltas.
    fn load(&mut self) -> Result<(), StoreError> {
        let models = self.models.len();
        let tables = models + self.indexes.len();
        let directories = super::directory::load(&*self.tree, &self.name, tables)?;
        let layout = &mut self.layout;
        layout.page_rows.resize(tables, 0);
        let mut sums = Vec::new();
        for (directory, rows) in directories.into_iter().zip(&layout.page_rows) {
            if directory.rows() != *rows {
                return Err(StoreError::damaged(&self.name, "a directory record is missing"));
            }
            sums.push(directory.sum());
            let directory = Arc::new(directory);
            let kind = if self.tables.len() < models { Kind::Rows } else { Kind::Index };
            self.tables.push(Table { kind, directory, ..Table::default() });
        }
        if !layout.directories.is_empty() && layout.directories != sums {
            return Err(StoreError::damaged(&self.name, "a directory record is an old one"));
        }
        if layout.commit.is_some_and(|commit| commit != self.record.commit) {
            return Err(StoreError::damaged(&self.name, "record and layout are of two commits"));
        }
        let mut frozen: Vec<Vec<RowSet>> = Vec::new();
        frozen.resize_with(tables, Vec::new);
        let mut recent: Vec<Vec<RowSet>> = Vec::new();
        recent.resize_with(tables, Vec::new);
        let mut expected = layout.first_delta;
        for delta in delta::scan(&*self.tree, &self.name, models, layout.folded) {
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
            let layer = if delta.sequence < layout.frozen_end { &mut frozen } else { &mut recent };
            let sorted = delta.indexes.into_iter().filter_map(|(id, rows)| {
                let index = self.indexes.iter().position(|index| index.record.id == id)?;
                Some((models + index, rows))
            });
            for (number, rows) in delta.rows.into_iter().enumerate().chain(sorted) {
                layer[number].push(rows);
            }
        }
        if expected != layout.next_delta {
            return Err(StoreError::damaged(&self.name, format!("delta {expected} is missing")));
        }
        let cursor = layout.cursor.clone();
        for (table, sets) in self.tables.iter_mut().zip(recent) {
            let run = overlay_all(&sets, table.kind);
            table.runs.extend((!run.is_empty()).then(|| Arc::new(run)));
        }
        for (model, sets) in frozen.into_iter().enumerate() {
            let rows = Arc::new(overlay_all(&sets, self.tables[model].kind));
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
        for number in 0..tables {
            let model = self.model_of(number);
            let table = &mut self.tables[number];
            table.floor_us = floor_of(&self.models[model], &self.record, model);
            table.rows = count_all(table, &self.pages)?;
        }
        Ok(())
    }

    /// Number of the model whose rows the table `number` holds.
    pub(super) fn model_of(&self, number: usize) -> usize {
        match number.checked_sub(self.models.len()) {
            None => number,
            Some(index) => self.indexes[index].record.of,
        }
    }

    /// The statistic's name.
    #[must_use]
    pub fn ident(&self) -> &str {
        &self.manifest.ident
    }

    /// Holds it the rows of this version of the statistic?
    #[must_use]
    pub fn is_of(&self, manifest: &StatManifest) -> bool {
        *self.name == tree_name(manifest)
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
    pub fn handle(&self) -> Reader {
        Reader(self.published.clone())
    }

    pub(super) fn publish(&mut self) {
        let snapshot = Snapshot {
            manifest: self.manifest.clone(),
            models: self.models.clone(),
            record: self.record.clone(),
            tables: self.tables.clone(),
            indexes: self.indexes.clone(),
            pages: self.pages.clone(),
            shards: self.layout.shards.clone(),
            pin: self.garbage.next_pin(),
        };
        *self.published.write() = Arc::new(snapshot);
    }
}

pub(super) fn floor_of(stored: &StoredModel, record: &StatRecord, model: usize) -> Option<i64> {
    let floor_us = record.floors_us.get(model).copied().flatten();
    floor_us.filter(|_| stored.model.window_s.is_some())
}

pub(super) fn count_all(table: &Table, pages: &Pages) -> Result<u64, StoreError> {
    if table.kind == Kind::Index {
        return Ok(0);
    }
    table.count(pages, &KeyBounds::default().above(table.floor_us))
}

pub(super) fn collapse(mut runs: Vec<Arc<RowSet>>, kind: Kind) -> Arc<RowSet> {
    match runs.len() {
        0 => Arc::default(),
        1 => runs.remove(0),
        _ => Arc::new(overlay_all(&runs, kind)),
    }
}

/// Stores `manifest` where one of `parts` parts was, if it is another; returns the number of its parts.
fn put_manifest(
    tree: &dyn Tree,
    stored: Option<&StatManifest>,
    manifest: &StatManifest,
    parts: u32,
) -> Result<u32, StoreError> {
    if let Some(stored) = stored {
        same_models(stored, manifest)?;
    }
    if stored == Some(manifest) {
        return Ok(parts);
    }
    let mut batch = Batch::default();
    let parts = put_json(&mut batch, b"m", manifest, parts)?;
    tree.apply(batch)?;
    Ok(parts)
}

/// Rows can be read by another manifest only if their keys and values mean the same.
fn same_models(stored: &StatManifest, now: &StatManifest) -> Result<(), StoreError> {
    let (old, new) = (stored_models(stored), stored_models(now));
    let differs = old.iter().zip(&new).find(|(old, new)| !same_rows(old, new)).map(|(_, new)| new);
    let extra = || (old.len() != new.len()).then(|| new.last().or(old.last())).flatten();
    match differs.or_else(extra) {
        None => Ok(()),
        Some(model) => {
            let (ident, model) = (now.ident.clone(), model.name.clone());
            Err(StoreError::ModelsChanged { ident, model })
        }
    }
}
