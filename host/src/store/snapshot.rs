//! What readers hold: the rows and the record of one commit, unchanged for as long as they like.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::RwLock;
use statmill_plugin_api::manifest::StatManifest;

use super::StoreError;
use super::cut::KeyBounds;
use super::index::Index;
use super::models::StoredModel;
use super::pages::Pages;
use super::ranked::{Indexed, Ranked, RankedRows};
use super::record::StatRecord;
use super::scan::{Merge, Order, Rows};
use super::table::Table;

/// As long as one of a version lives, the pages of that version are kept.
#[derive(Debug)]
pub(crate) struct Pin;

/// The rows and the record of a statistic as of one commit.
pub struct Snapshot {
    pub(crate) manifest: Arc<StatManifest>,
    pub(crate) models: Arc<[StoredModel]>,
    pub(crate) record: Arc<StatRecord>,
    /// Those of the models, then those of the indexes.
    pub(crate) tables: Vec<Table>,
    pub(crate) indexes: Arc<[Index]>,
    pub(crate) pages: Pages,
    /// Shards that ever wrote rows.
    pub(crate) shards: BTreeSet<u16>,
    pub(crate) pin: Arc<Pin>,
}

impl Snapshot {
    /// How far the statistic had come.
    #[must_use]
    pub fn record(&self) -> &StatRecord {
        &self.record
    }

    /// What the plugin said of the statistic when the rows were stored.
    #[must_use]
    pub fn manifest(&self) -> &StatManifest {
        &self.manifest
    }

    /// The tables, in the order of their numbers.
    #[must_use]
    pub fn models(&self) -> &[StoredModel] {
        &self.models
    }

    /// What a reader of the statistic, through this or any other snapshot, found damaged.
    #[must_use]
    pub fn damage(&self) -> Option<&str> {
        self.pages.damage.found()
    }

    /// Rows of more than one shard are stored.
    fn sharded(&self) -> bool {
        self.shards.len() > 1
    }

    /// Number of the commit.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.record.commit
    }

    /// Number of rows of a table; 0 for one that is not there. Rows of several shards count each.
    #[must_use]
    pub fn rows(&self, model: usize) -> u64 {
        self.tables_of_models().get(model).map_or(0, |table| table.rows)
    }

    /// Rows of windows that begin below it do not exist, µs; none = all are kept.
    #[must_use]
    pub fn floor_us(&self, model: usize) -> Option<i64> {
        self.tables_of_models().get(model)?.floor_us
    }

    /// Number of rows within `bounds`: from the directory, with a look into at most two pages.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Backend`].
    pub fn count(&self, model: usize, bounds: &KeyBounds) -> Result<u64, StoreError> {
        let Some(table) = self.tables_of_models().get(model) else { return Ok(0) };
        if self.sharded() {
            // A key may lie in several shards: only reading tells.
            return self
                .scan(model, bounds, Order::Asc, 0)
                .try_fold(0, |rows, row| row.map(|_| rows + 1));
        }
        table.count(&self.pages, &bounds.above(table.floor_us))
    }

    /// Reads the rows within `bounds`, without the first `skip` of them.
    ///
    /// Passing over rows costs no more than reading about one page and what is not yet folded.
    #[must_use]
    pub fn scan(&self, model: usize, bounds: &KeyBounds, order: Order, skip: u64) -> Rows {
        let none = Table::default();
        let table = self.tables_of_models().get(model).unwrap_or(&none);
        let bounds = bounds.above(table.floor_us);
        let by_directory = if self.sharded() { 0 } else { skip };
        let merge = Merge::new(table, &self.pages, bounds, order, by_directory);
        let shards = self.sharded().then(|| self.models.clone());
        Rows::new(merge, shards, model, skip - by_directory, self.pin.clone())
    }

    /// Value of the row with `key`.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Backend`].
    pub fn get(&self, model: usize, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let row = self.scan(model, &KeyBounds::key(key), Order::Asc, 0).next().transpose()?;
        Ok(row.map(|(_, value)| value))
    }

    fn tables_of_models(&self) -> &[Table] {
        // The snapshot of a statistic that is being opened has no tables yet.
        &self.tables[..self.models.len().min(self.tables.len())]
    }

    /// The column by which the rows of a table are also kept in order, if they are.
    #[must_use]
    pub fn index_column(&self, model: usize) -> Option<&str> {
        self.index(model).map(|(_, index)| index.record.column.as_str())
    }

    /// Reads the rows of a table in the order of its indexed column: those of the window that starts
    /// at `window_us`, or all of a table without windows. Rows of equal values ascend by key in
    /// either order. `after` is the row behind which it begins; `None`: there is no index.
    ///
    /// Costs what reading so many rows costs, however many there are.
    #[must_use]
    pub fn by_index(
        &self,
        model: usize,
        window_us: Option<i64>,
        order: Order,
        after: Option<&Ranked>,
    ) -> Option<RankedRows> {
        let (table, index) = self.index(model)?;
        let (table, index) = (table.clone(), index.clone());
        let of = Indexed { table, pages: self.pages.clone(), index, _pin: self.pin.clone() };
        Some(RankedRows::new(of, window_us, order, after))
    }

    /// A table's index and what it is kept in. Not where one row lies in several shards: what is
    /// indexed are its parts.
    fn index(&self, model: usize) -> Option<(&Table, &Index)> {
        let number = self
            .indexes
            .iter()
            .position(|index| index.record.of == model && index.record.built)
            .filter(|_| !self.sharded())?;
        Some((self.tables.get(self.models.len() + number)?, &self.indexes[number]))
    }

    /// All rows of a table with their stored keys, shards and all.
    pub(crate) fn stored(&self, model: usize) -> Result<Merge, StoreError> {
        let table = &self.tables[model];
        let bounds = KeyBounds::default().above(table.floor_us);
        Merge::new(table, &self.pages, bounds, Order::Asc, 0)
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rows: Vec<_> = self.tables_of_models().iter().map(|table| table.rows).collect();
        f.debug_struct("Snapshot")
            .field("ident", &self.manifest.ident)
            .field("version", &self.version())
            .field("rows", &rows)
            .finish_non_exhaustive()
    }
}

/// Gives the newest snapshot of a statistic, on any thread, for as long as it is wanted.
#[derive(Clone, Debug)]
pub struct Reader(pub(crate) Arc<RwLock<Arc<Snapshot>>>);

impl Reader {
    /// Whether both read the rows of one and the same open store.
    #[must_use]
    pub fn reads_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The rows of the newest commit.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.read().clone()
    }
}
