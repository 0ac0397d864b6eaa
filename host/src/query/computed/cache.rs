//! Answers of views, kept until they are pushed out: a key names the version of the rows.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::query::{Query, Table};

/// Bytes of answers, as the plugins wrote them, that are kept at most.
const MAX_BYTES: usize = 8 << 20;

/// Which answer it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) ident: String,
    pub(super) view: String,
    pub(super) version: String,
    /// The part that selects rows.
    pub(super) query: Query,
}

/// The newest answers; the older half goes when there are too many.
#[derive(Default)]
pub(super) struct Cache {
    young: FxHashMap<Key, (Arc<Table>, usize)>,
    old: FxHashMap<Key, (Arc<Table>, usize)>,
    young_bytes: usize,
}

impl Cache {
    pub(super) fn get(&mut self, key: &Key) -> Option<Arc<Table>> {
        if let Some((table, _)) = self.young.get(key) {
            return Some(Arc::clone(table));
        }
        let (key, (table, bytes)) = self.old.remove_entry(key)?;
        self.put(key, &table, bytes);
        Some(table)
    }

    pub(super) fn put(&mut self, key: Key, table: &Arc<Table>, bytes: usize) {
        const ENTRY: usize = 1_024;
        let bytes = bytes + ENTRY;
        if bytes > MAX_BYTES / 2 {
            return;
        }
        if self.young_bytes + bytes > MAX_BYTES / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        if self.young.insert(key, (Arc::clone(table), bytes)).is_none() {
            self.young_bytes += bytes;
        }
    }
}
