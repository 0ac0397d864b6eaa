//! Rows that were counted elsewhere, taken as a base: kept up to a time T, from which counting goes on here.
//!
//! A statistic serves them only once all its rows are there ([`activate`]); until then another attempt begins anew.

use std::collections::BTreeMap;

use statmill_plugin_api::aggregate;
use statmill_plugin_api::encoding::{BlockWriter, key_window, window_start};
use statmill_plugin_api::manifest::{Aggregator, StatManifest};

use super::StoreError;
use super::database::Database;
use super::models::{common_window_us, stored_models};
use super::record::{Base, StatRecord};
use super::stat::StatStore;

/// Bytes of rows that are committed together.
const BATCH_BYTES: usize = 1 << 20;

/// Why rows cannot be a base.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum BaseError {
    /// The statistic has rows here already.
    #[error("{ident} has rows here already; import into another data folder")]
    Exists { ident: String },
    /// Totals over all time cannot be cut at a time.
    #[error("{ident} cannot be a base: model {model} has no window, and its rows add up")]
    Totals { ident: String, model: String },
    /// The store refused it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A statistic that is being filled.
pub struct BaseRows {
    stat: StatStore,
    record: StatRecord,
    /// Rows of windows from here on are counted here.
    until_us: Option<i64>,
    pending: BTreeMap<(usize, Vec<u8>), Vec<u8>>,
    bytes: usize,
    left_out: u64,
}

impl BaseRows {
    /// Begins a statistic whose rows account for all messages before `complete_us`.
    ///
    /// # Errors
    /// [`BaseError`].
    pub fn begin(
        database: &Database,
        manifest: &StatManifest,
        complete_us: i64,
    ) -> Result<Self, BaseError> {
        let ident = manifest.ident.clone();
        if database.serves(manifest)?.is_some() {
            return Err(BaseError::Exists { ident });
        }
        let until_us = common_window_us(&stored_models(manifest))
            .map(|common_us| window_start(complete_us, common_us));
        let adds_up = manifest.models.iter().find(|model| {
            model.window_s.is_none() && !model.measures.iter().all(|it| chooses(&it.aggregator))
        });
        if let Some(model) = adds_up {
            return Err(BaseError::Totals { ident, model: model.name.clone() });
        }
        let cutoff_us = until_us.unwrap_or(complete_us);
        let record = StatRecord {
            cutoff_us: Some(cutoff_us),
            largest_time_us: Some(cutoff_us.saturating_sub(1)),
            base: Some(Base { complete_until_us: cutoff_us }),
            ..StatRecord::default()
        };
        database.drop_beside(manifest)?;
        let stat = database.open_beside(manifest)?;
        let (pending, bytes, left_out) = (BTreeMap::new(), 0, 0);
        Ok(Self { stat, record, until_us, pending, bytes, left_out })
    }

    /// The time from which on messages are counted here, µs since 1970.
    #[must_use]
    pub fn cutoff_us(&self) -> Option<i64> {
        self.record.cutoff_us
    }

    /// Merges a row into model number `model`; one of a window from the cutoff on is left out.
    ///
    /// # Errors
    /// [`StoreError::BadIncrement`] if it is no row of the model; those of a commit.
    pub fn add(&mut self, model: usize, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        let shape = &self.stat.manifest.models[model];
        let is_late = shape.window_s.is_some()
            && self.until_us.is_some_and(|until_us| key_window(&key) >= until_us);
        if is_late {
            self.left_out += 1;
            return Ok(());
        }
        let size = key.len() + value.len();
        match self.pending.entry((model, key)) {
            std::collections::btree_map::Entry::Vacant(row) => {
                row.insert(value);
            }
            std::collections::btree_map::Entry::Occupied(mut row) => {
                let mut merged = Vec::new();
                let merge = aggregate::merge(&shape.measures, row.get(), &value, &mut merged);
                let damaged = |error| StoreError::damaged(self.stat.ident(), format!("{error}"));
                merge.map_err(damaged)?;
                row.insert(merged);
            }
        }
        self.bytes += size;
        if self.bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.bytes = 0;
        let mut blocks: BTreeMap<usize, BlockWriter> = BTreeMap::new();
        for ((model, key), value) in std::mem::take(&mut self.pending) {
            blocks.entry(model).or_default().push(&key, &value);
        }
        let blocks: Vec<_> =
            blocks.into_iter().map(|(model, block)| (model, block.into_bytes())).collect();
        self.stat.commit(&blocks, self.record.clone()).map(drop)
    }

    /// Writes what is left; answers the statistic, how many rows it has, and how many given were left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn finish(mut self) -> Result<(StatStore, u64, u64), StoreError> {
        self.flush()?;
        let rows = self.stat.snapshot().rows(0);
        Ok((self.stat, rows, self.left_out))
    }
}

/// Does merging the same message again change nothing?
fn chooses(aggregator: &Aggregator) -> bool {
    matches!(
        aggregator,
        Aggregator::Min { .. }
            | Aggregator::Max { .. }
            | Aggregator::First { .. }
            | Aggregator::Last { .. }
    )
}

/// Lets statistics that were filled serve, one after the other.
///
/// # Errors
/// [`StoreError`].
pub fn activate(database: &Database, stats: &[StatStore]) -> Result<(), StoreError> {
    stats.iter().try_for_each(|stat| database.activate(stat))?;
    database.sync()
}
