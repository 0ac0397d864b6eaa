//! What a query reads: the committed rows of one stat, ordered by key.

use std::ops::Bound;

use statmill_plugin_api::manifest::{ModelManifest, StatManifest};

pub use crate::store::Order;
use crate::store::{self, Snapshot};

/// Rows of one stat as of one commit.
///
/// # Contract
///
/// - Nothing in it changes; equal calls give equal answers.
/// - Rows ascend by key (`memcmp`), keys are unique, keys and values are in the row encoding.
pub trait RowSource: Send + Sync {
    /// What the stat says of itself.
    fn manifest(&self) -> &StatManifest;
    /// Names and definitions of the stored models, roll-ups included; the stat's first comes first.
    fn models(&self) -> Vec<(&str, &ModelManifest)>;
    /// Number of rows of a model; costs nothing.
    fn rows(&self, model: usize) -> u64;
    /// Number of rows with keys inside `bounds`; reads the pages at their edges only.
    ///
    /// # Errors
    /// The store failed.
    fn count(&self, model: usize, bounds: &KeyBounds) -> Result<u64, ReadError>;
    /// The rows inside `bounds`, without the first `skip`, which are passed over without reading.
    fn scan<'a>(
        &'a self,
        model: usize,
        bounds: &KeyBounds,
        order: Order,
        skip: u64,
    ) -> Box<dyn Iterator<Item = Result<Row, ReadError>> + 'a>;
}

/// A row's key and value, encoded.
pub type Row = (Vec<u8>, Vec<u8>);

/// The store failed while rows were read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read rows: {0}")]
pub struct ReadError(pub String);

/// A half-open range of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyBounds {
    /// The first key inside.
    pub from: Vec<u8>,
    /// The first key outside; none = no end.
    pub to: Option<Vec<u8>>,
}

impl RowSource for Snapshot {
    fn manifest(&self) -> &StatManifest {
        Self::manifest(self)
    }

    fn models(&self) -> Vec<(&str, &ModelManifest)> {
        Self::models(self).iter().map(|stored| (stored.name.as_str(), &stored.model)).collect()
    }

    fn rows(&self, model: usize) -> u64 {
        Self::rows(self, model)
    }

    fn count(&self, model: usize, bounds: &KeyBounds) -> Result<u64, ReadError> {
        Self::count(self, model, &bounds.stored()).map_err(|error| ReadError(error.to_string()))
    }

    fn scan<'a>(
        &'a self,
        model: usize,
        bounds: &KeyBounds,
        order: Order,
        skip: u64,
    ) -> Box<dyn Iterator<Item = Result<Row, ReadError>> + 'a> {
        let rows = Self::scan(self, model, &bounds.stored(), order, skip);
        Box::new(rows.map(|row| row.map_err(|error| ReadError(error.to_string()))))
    }
}

impl KeyBounds {
    /// The same bounds in the store's more general form.
    fn stored(&self) -> store::KeyBounds {
        store::KeyBounds {
            start: Bound::Included(self.from.clone()),
            end: self.to.clone().map_or(Bound::Unbounded, Bound::Excluded),
        }
    }
}
