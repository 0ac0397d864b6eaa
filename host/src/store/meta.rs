//! Entries that belong to the host as a whole: tree `meta`.

use std::sync::Arc;

use super::kv::{Batch, Tree};
use super::{Database, StoreError, chunks};

/// Name of the tree.
pub(super) const META: &str = "meta";

impl Database {
    pub(super) fn meta(&self) -> Result<Arc<dyn Tree>, StoreError> {
        self.store.tree(META)
    }

    /// Counts the starts of the host: the first number of the versions of answers.
    ///
    /// # Errors
    /// [`StoreError::Backend`].
    pub fn next_boot(&self) -> Result<u64, StoreError> {
        let boot = self.boot()? + 1;
        self.put_meta("boot", &boot.to_le_bytes())?;
        Ok(boot)
    }

    /// How often a host was started on this store.
    ///
    /// # Errors
    /// [`StoreError::Backend`], [`StoreError::Damaged`].
    pub fn boot(&self) -> Result<u64, StoreError> {
        let Some(stored) = self.get_meta("boot")? else { return Ok(0) };
        let stored = stored.try_into();
        let number = stored.map_err(|_| StoreError::damaged(META, "`boot` is no number"))?;
        Ok(u64::from_le_bytes(number))
    }

    /// Reads an entry that belongs to the host as a whole.
    ///
    /// # Errors
    /// [`StoreError::Backend`].
    pub fn get_meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.meta()?.get(key.as_bytes())
    }

    /// Writes an entry that belongs to the host as a whole.
    ///
    /// # Errors
    /// [`StoreError::Backend`], also if key and value are longer than 4,000 bytes.
    pub fn put_meta(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        if key.len() + value.len() > chunks::STORED_MAX {
            let reason = format!("{key} has {} bytes", value.len());
            return Err(StoreError::Backend { what: "keep a long entry in", reason });
        }
        let mut batch = Batch::default();
        batch.put(key.as_bytes().to_vec(), value.to_vec());
        self.meta()?.apply(batch)
    }

    /// Removes an entry that belongs to the host as a whole.
    ///
    /// # Errors
    /// [`StoreError::Backend`].
    pub fn remove_meta(&self, key: &str) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        batch.remove(key.as_bytes().to_vec());
        self.meta()?.apply(batch)
    }

    /// All entries whose names begin with `prefix`.
    ///
    /// # Errors
    /// [`StoreError::Backend`].
    pub fn scan_meta(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let meta = self.meta()?;
        let entries = meta.scan(prefix.as_bytes());
        let named = |(key, value): (Vec<u8>, _)| (String::from_utf8_lossy(&key).into(), value);
        entries.map(|entry| entry.map(named)).collect()
    }
}
