//! The store on disk: sled 0.34.7. No other module knows that it is sled.
//!
//! sled panics on some damaged files instead of answering an error, so every call that reads is
//! guarded. Its `flush` writes with `sync_file_range`, which promises nothing against power loss:
//! [`Store::sync`] therefore calls `fsync` on its file itself. After an error of the system it refuses
//! every write for good: only another database over the same file goes on.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::RwLock;

use super::kv::{Batch, Entries, Store, Tree};
use super::{Refusals, StoreError};

/// sled's page cache; the store keeps rows and pages itself, so it is small.
const CACHE_BYTES: u64 = 16 << 20;
/// How often sled's own thread writes what nobody flushed.
const FLUSH_EVERY_MS: u64 = 500;

/// How long a database that was just closed may still hold its file.
const CLOSING_MOST: Duration = Duration::from_secs(5);

/// What has to fit on the disk before a database that refused a write is closed: what opening it writes,
/// and some of what follows.
const PROBE_BYTES: usize = 1 << 20;
const PROBE: &str = "probe";

/// A sled database in a folder.
pub struct SledStore {
    folder: PathBuf,
    /// None: it was closed and could not be opened again.
    opened: RwLock<Option<Opened>>,
    refusals: Arc<Refusals>,
    /// A sync failed: the system may take for written what is not on the disk.
    is_unsure: AtomicBool,
}

struct Opened {
    db: ::sled::Db,
    file: Arc<File>,
    /// To be closed with it.
    trees: Vec<Weak<Place>>,
}

/// Where a tree is; empty once its database is closed.
type Place = RwLock<Option<::sled::Tree>>;

struct SledTree {
    place: Arc<Place>,
    refusals: Arc<Refusals>,
}

impl SledStore {
    /// Opens or makes the database in `folder`.
    ///
    /// # Errors
    /// [`StoreError::Backend`] if it is damaged, [`StoreError::Locked`] if it is open already,
    /// [`StoreError::Io`].
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            folder: folder.to_owned(),
            opened: RwLock::new(Some(Opened::new(folder)?)),
            refusals: Arc::default(),
            is_unsure: AtomicBool::new(false),
        })
    }

    fn db(&self) -> Result<::sled::Db, StoreError> {
        self.opened.read().as_ref().map(|opened| opened.db.clone()).ok_or(StoreError::Closed)
    }

    fn close(&self) {
        let Some(Opened { db, file, trees }) = self.opened.write().take() else { return };
        // Unwind safety: nothing of it is seen again. Its last words may be refused like those before.
        let closed = catch_unwind(AssertUnwindSafe(|| {
            trees.iter().filter_map(Weak::upgrade).for_each(|place| drop(place.write().take()));
            drop((db, file));
        }));
        if closed.is_err() {
            tracing::warn!("the database that refused a write has not ended well");
        }
    }
}

impl Opened {
    fn new(folder: &Path) -> Result<Self, StoreError> {
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
        Ok(Self { db, file: Arc::new(file), trees: Vec::new() })
    }
}

impl Store for SledStore {
    fn trees(&self) -> Result<Vec<String>, StoreError> {
        let names = self.db()?.tree_names().into_iter().filter(|name| *name != b"__sled__default");
        let mut names: Vec<_> = names.map(|name| String::from_utf8_lossy(&name).into()).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn tree(&self, name: &str) -> Result<Arc<dyn Tree>, StoreError> {
        let mut opened = self.opened.write();
        let opened = opened.as_mut().ok_or(StoreError::Closed)?;
        let tree = guarded("open a tree of", || opened.db.open_tree(name));
        let place = Arc::new(RwLock::new(Some(self.refusals.written(tree)?)));
        opened.trees.retain(|place| place.strong_count() > 0);
        opened.trees.push(Arc::downgrade(&place));
        Ok(Arc::new(SledTree { place, refusals: Arc::clone(&self.refusals) }))
    }

    fn drop_tree(&self, name: &str) -> Result<bool, StoreError> {
        self.refusals.check()?;
        let db = self.db()?;
        self.refusals.written(guarded("drop a tree of", || db.drop_tree(name)))
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.refusals.check()?;
        let db = self.db()?;
        self.refusals.written(guarded("flush", || db.flush()).map(drop))
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.flush()?;
        let file = self.opened.read().as_ref().map(|opened| Arc::clone(&opened.file));
        let synced = file.ok_or(StoreError::Closed)?.sync_all();
        if synced.is_err() {
            self.is_unsure.store(true, Ordering::Release);
        }
        self.refusals.written(synced.map_err(StoreError::io("sync the database file")))
    }

    fn refusals(&self) -> Arc<Refusals> {
        Arc::clone(&self.refusals)
    }

    fn probe(&self) -> Result<(), StoreError> {
        let path = self.folder.join(PROBE);
        let written = File::create(&path).and_then(|mut file| {
            // Not zeros: some file systems keep those for nothing.
            file.write_all(&vec![0x5a; PROBE_BYTES])?;
            file.sync_all()
        });
        let removed = std::fs::remove_file(&path);
        written.and(removed).map_err(StoreError::io(format!("write {path:?}")))
    }

    fn reopen(&self) -> Result<(), StoreError> {
        self.close();
        await_closed(&self.folder)?;
        if self.is_unsure.load(Ordering::Acquire) {
            let path = self.folder.join("db");
            write_again(&path).map_err(StoreError::io(format!("write {path:?} again")))?;
            self.is_unsure.store(false, Ordering::Release);
        }
        *self.opened.write() = Some(Opened::new(&self.folder)?);
        self.refusals.clear();
        Ok(())
    }
}

impl SledTree {
    /// Not locked while it is used: who waits for its end would lock out who reads meanwhile.
    fn tree(&self) -> Result<::sled::Tree, StoreError> {
        self.place.read().clone().ok_or(StoreError::Closed)
    }
}

impl Tree for SledTree {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let tree = self.tree()?;
        let value = self.refusals.read(guarded("read", || tree.get(key)))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn scan(&self, prefix: &[u8]) -> Entries<'_> {
        let mut entries = match self.tree() {
            Ok(tree) => tree.scan_prefix(prefix),
            Err(error) => return Box::new(std::iter::once(Err(error))),
        };
        Box::new(std::iter::from_fn(move || {
            let entry = guarded("read", || entries.next().transpose());
            let entry = self.refusals.read(entry).transpose()?;
            Some(entry.map(|(key, value)| (key.to_vec(), value.to_vec())))
        }))
    }

    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        self.refusals.check()?;
        let tree = self.tree()?;
        let mut changes = ::sled::Batch::default();
        for (key, value) in batch.into_changes() {
            match value {
                Some(value) => changes.insert(key, value),
                None => changes.remove(key),
            }
        }
        self.refusals.written(guarded("commit to", || tree.apply_batch(changes)))
    }
}

/// Writes all of a file as it is: what a failed sync left behind is taken for written by the system, and
/// would never come to the disk.
fn write_again(path: &Path) -> std::io::Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let mut part = vec![0; 1 << 20];
    let mut at = 0;
    while at < length {
        let bytes = part.len().min(usize::try_from(length - at).unwrap_or(part.len()));
        file.read_exact_at(&mut part[..bytes], at)?;
        file.write_all_at(&part[..bytes], at)?;
        at += bytes as u64;
    }
    file.sync_all()
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

/// What the system said, as on a full disk; of sled's own errors nothing. What sled says a second time has the
/// system's number only in its words.
fn said_by_system(error: std::io::Error) -> Result<std::io::Error, std::io::Error> {
    if error.raw_os_error().is_some() {
        return Ok(error);
    }
    let words = error.to_string();
    let number = words.split_once("Os { code: ").and_then(|(_, rest)| rest.split_once(','));
    match number.and_then(|(number, _)| number.parse().ok()) {
        Some(number) => Ok(std::io::Error::from_raw_os_error(number)),
        None => Err(error),
    }
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
        Ok(Err(::sled::Error::Io(error))) => Err(match said_by_system(error) {
            // The bytes may be sound, and nothing must be set aside for it.
            Ok(error) => StoreError::io(format!("{what} the database"))(error),
            Err(error) => StoreError::Backend { what, reason: error.to_string() },
        }),
        Ok(Err(error)) => Err(StoreError::Backend { what, reason: error.to_string() }),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            let reason = format!("panicked: {}", text.unwrap_or("without a message"));
            Err(StoreError::Backend { what, reason })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_error_of_the_system_is_known_however_often_it_was_passed_on() {
        const EIO: i32 = 5;
        let first = std::io::Error::from_raw_os_error(EIO);
        let second = ::sled::Error::Io(first).clone();
        for error in [second.clone(), second.clone().clone()] {
            let error = guarded::<()>("read", || Err(error)).unwrap_err();
            let StoreError::Io { source, .. } = &error else { panic!("{error}") };
            assert_eq!(source.raw_os_error(), Some(EIO));
        }
        let own = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "it is cut off");
        let own = guarded::<()>("read", || Err(::sled::Error::Io(own))).unwrap_err();
        assert!(own.is_damage());
    }

    #[test]
    fn what_is_written_again_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (path, bytes) = (folder.path().join("db"), vec![7; (2 << 20) + 5]);
        std::fs::write(&path, &bytes).unwrap();
        write_again(&path).unwrap();
        assert!(std::fs::read(&path).unwrap() == bytes);
    }
}
