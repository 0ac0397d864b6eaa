//! The store on disk: sled 0.34.7. No other module knows that it is sled.
//!
//! sled panics on some damaged files instead of answering an error, so every call that reads is
//! guarded. Its `flush` writes with `sync_file_range`, which promises nothing against power loss:
//! [`Store::sync`] therefore calls `fsync` on its file itself.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::StoreError;
use super::kv::{Batch, Entries, Store, Tree};

/// sled's page cache; the store keeps rows and pages itself, so it is small.
const CACHE_BYTES: u64 = 16 << 20;
/// How often sled's own thread writes what nobody flushed.
const FLUSH_EVERY_MS: u64 = 500;

/// How long a database that was just closed may still hold its file.
const CLOSING_MOST: Duration = Duration::from_secs(5);

/// A sled database in a folder.
pub struct SledStore {
    db: ::sled::Db,
    file: File,
}

struct SledTree(::sled::Tree);

impl SledStore {
    /// Opens or makes the database in `folder`.
    ///
    /// # Errors
    /// [`StoreError::Backend`] if it is damaged, [`StoreError::Locked`] if it is open already,
    /// [`StoreError::Io`].
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        await_closed(folder)?;
        let config = ::sled::Config::new()
            .path(folder)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(Some(FLUSH_EVERY_MS));
        let db = guarded("open", || config.open()).map_err(|error| match error {
            StoreError::Io { source, .. } => {
                StoreError::Io { what: format!("open the database in {folder:?}"), source }
            }
            other => other,
        })?;
        let path = folder.join("db");
        let file = File::open(&path).map_err(StoreError::io(format!("open {path:?}")))?;
        Ok(Self { db, file })
    }
}

impl Store for SledStore {
    fn trees(&self) -> Result<Vec<String>, StoreError> {
        let names = self.db.tree_names().into_iter().filter(|name| *name != b"__sled__default");
        let mut names: Vec<_> = names.map(|name| String::from_utf8_lossy(&name).into()).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn tree(&self, name: &str) -> Result<Arc<dyn Tree>, StoreError> {
        Ok(Arc::new(SledTree(guarded("open a tree of", || self.db.open_tree(name))?)))
    }

    fn drop_tree(&self, name: &str) -> Result<bool, StoreError> {
        guarded("drop a tree of", || self.db.drop_tree(name))
    }

    fn flush(&self) -> Result<(), StoreError> {
        guarded("flush", || self.db.flush()).map(drop)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.flush()?;
        self.file.sync_all().map_err(StoreError::io("sync the database file"))
    }
}

impl Tree for SledTree {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(guarded("read", || self.0.get(key))?.map(|value| value.to_vec()))
    }

    fn scan(&self, prefix: &[u8]) -> Entries<'_> {
        let mut entries = self.0.scan_prefix(prefix);
        Box::new(std::iter::from_fn(move || {
            let entry = guarded("read", || entries.next().transpose()).transpose()?;
            Some(entry.map(|(key, value)| (key.to_vec(), value.to_vec())))
        }))
    }

    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        let mut changes = ::sled::Batch::default();
        for (key, value) in batch.into_changes() {
            match value {
                Some(value) => changes.insert(key, value),
                None => changes.remove(key),
            }
        }
        guarded("commit to", || self.0.apply_batch(changes))
    }
}

/// Waits until nobody has the database open.
///
/// sled's own threads let go of its file some time after the last handle was dropped, and it cannot
/// tell a file that is open elsewhere from a damaged one, which would be set aside.
pub(super) fn await_closed(folder: &Path) -> Result<(), StoreError> {
    let path = folder.join("db");
    if !path.exists() {
        return Ok(());
    }
    let file = File::open(&path).map_err(StoreError::io(format!("open {path:?}")))?;
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(StoreError::io("lock the store")(error)),
            Err(TryLockError::WouldBlock) if started.elapsed() >= CLOSING_MOST => {
                let pid = "(unknown, perhaps this one)".to_owned();
                return Err(StoreError::Locked { folder: folder.to_owned(), pid });
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Whether the system refused, as it does on a full disk: also where sled says so a second time, without
/// the system's number.
fn is_refusal(error: &std::io::Error) -> bool {
    error.raw_os_error().is_some()
        || matches!(
            error.kind(),
            ErrorKind::StorageFull
                | ErrorKind::QuotaExceeded
                | ErrorKind::FileTooLarge
                | ErrorKind::ReadOnlyFilesystem
                | ErrorKind::PermissionDenied
        )
}

/// Runs a call into sled; a panic inside it is an error like any other.
fn guarded<T>(
    what: &'static str,
    call: impl FnOnce() -> Result<T, ::sled::Error>,
) -> Result<T, StoreError> {
    // Unwind safety: after an error the caller drops the database or the statistic and opens it
    // again; nothing reads on in what the panic left behind.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        // The system said no: the bytes may be sound, and nothing must be set aside for it.
        Ok(Err(::sled::Error::Io(error))) if is_refusal(&error) => {
            Err(StoreError::io(format!("{what} the database"))(error))
        }
        Ok(Err(error)) => Err(StoreError::Backend { what, reason: error.to_string() }),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            let reason = format!("panicked: {}", text.unwrap_or("without a message"));
            Err(StoreError::Backend { what, reason })
        }
    }
}
