//! What the store needs of an embedded database, and nothing more.
//!
//! Trees of byte keys and values, batches that are applied whole or not at all. [`super::SledStore`] is
//! the one that lasts, [`super::MemoryStore`] the one for tests.

use std::sync::Arc;

use super::{Refusals, StoreError};

/// A set of named trees.
///
/// # Contract
///
/// - All methods may be called from any thread.
/// - What [`Tree::apply`] has applied is visible to every later call, and survives the end of the
///   process; it survives the end of the machine only after [`Store::sync`].
pub trait Store: Send + Sync {
    /// Names of all trees, sorted.
    ///
    /// # Errors
    /// [`StoreError::Backend`].
    fn trees(&self) -> Result<Vec<String>, StoreError>;
    /// Opens the tree `name`, making it where there is none.
    ///
    /// # Errors
    /// [`StoreError::Backend`].
    fn tree(&self, name: &str) -> Result<Arc<dyn Tree>, StoreError>;
    /// Removes the tree `name` with all it holds; `false` if there is none.
    ///
    /// # Errors
    /// [`StoreError::Backend`].
    fn drop_tree(&self, name: &str) -> Result<bool, StoreError>;
    /// Hands all that was applied to the operating system.
    ///
    /// # Errors
    /// [`StoreError::Backend`].
    fn flush(&self) -> Result<(), StoreError>;
    /// Makes all that was applied survive power loss: [`Store::flush`], then an fsync.
    ///
    /// # Errors
    /// [`StoreError::Backend`], [`StoreError::Io`].
    fn sync(&self) -> Result<(), StoreError>;
    /// Who is told when the system refuses a write. Nothing is applied from then on.
    fn refusals(&self) -> Arc<Refusals> {
        Arc::default()
    }
    /// Whether something could be written now.
    ///
    /// # Errors
    /// [`StoreError::Io`]: the system refuses.
    fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }
    /// Closes it and opens it again, with what of all that was applied has reached the system. Trees that
    /// were opened before answer [`StoreError::Closed`] from then on; so do all if it cannot be opened.
    ///
    /// # Errors
    /// [`StoreError::Backend`], [`StoreError::Io`], [`StoreError::Locked`].
    fn reopen(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Entries of a tree, ascending by key.
pub type Entries<'a> = Box<dyn Iterator<Item = Result<(Vec<u8>, Vec<u8>), StoreError>> + 'a>;

/// An ordered map of bytes.
pub trait Tree: Send + Sync {
    /// Value of `key`.
    ///
    /// # Errors
    /// [`StoreError::Backend`].
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// All entries whose key begins with `prefix`, ascending.
    fn scan(&self, prefix: &[u8]) -> Entries<'_>;
    /// Applies all of `batch` or, should the process end meanwhile, nothing of it.
    ///
    /// # Errors
    /// [`StoreError::Backend`]; the outcome is then unknown until the store is opened again.
    fn apply(&self, batch: Batch) -> Result<(), StoreError>;
}

/// Changes that belong together; a later change of a key wins over an earlier one.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// Sets `key` to `value`.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.push((key, Some(value)));
    }

    /// Removes `key`.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.changes.push((key, None));
    }

    /// Adds the changes of `other` behind its own.
    pub fn append(&mut self, mut other: Self) {
        self.changes.append(&mut other.changes);
    }

    /// Nothing to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changes in the order they were made; `None` = removed.
    pub fn into_changes(self) -> impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)> {
        self.changes.into_iter()
    }
}
