//! A store that forgets: for tests, and for hosts that keep nothing.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::Mutex;

use super::StoreError;
use super::kv::{Batch, Entries, Store, Tree};

/// Trees as ordered maps in memory.
#[derive(Default)]
pub struct MemoryStore {
    trees: Mutex<BTreeMap<String, Arc<MemoryTree>>>,
}

#[derive(Default)]
struct MemoryTree {
    entries: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Store for MemoryStore {
    fn trees(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.trees.lock().keys().cloned().collect())
    }

    fn tree(&self, name: &str) -> Result<Arc<dyn Tree>, StoreError> {
        Ok(self.trees.lock().entry(name.to_owned()).or_default().clone())
    }

    fn drop_tree(&self, name: &str) -> Result<bool, StoreError> {
        Ok(self.trees.lock().remove(name).is_some())
    }

    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Tree for MemoryTree {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.entries.lock().get(key).cloned())
    }

    // One lock for each entry: a scan must not stop commits.
    fn scan(&self, prefix: &[u8]) -> Entries<'_> {
        let prefix = prefix.to_vec();
        let mut from = Bound::Included(prefix.clone());
        Box::new(std::iter::from_fn(move || {
            let entries = self.entries.lock();
            let (key, value) = entries.range((from.clone(), Bound::Unbounded)).next()?;
            if !key.starts_with(&prefix) {
                return None;
            }
            from = Bound::Excluded(key.clone());
            Some(Ok((key.clone(), value.clone())))
        }))
    }

    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        let mut entries = self.entries.lock();
        for (key, value) in batch.into_changes() {
            match value {
                Some(value) => entries.insert(key, value),
                None => entries.remove(&key),
            };
        }
        Ok(())
    }
}
