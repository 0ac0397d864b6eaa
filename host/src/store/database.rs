//! One data folder's store: which statistics it holds, which of their trees counts, and what
//! becomes of it when it is damaged.
//!
//! Each version of a statistic has a tree of its own, `p/<ident>@<model version>.<fold version>`;
//! tree `meta` says which one serves (`tree/<ident>`). A rebuild fills another tree beside it and
//! is swapped in by changing that one entry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use statmill_plugin_api::manifest::StatManifest;

use super::aside::{self, Aside};
use super::kv::{Batch, Store};
use super::lock::FolderLock;
use super::memory::MemoryStore;
use super::meta::META;
use super::pages::PageCache;
use super::sled::SledStore;
use super::stat::StatStore;
use super::tuning::Tuning;
use super::{KeyBounds, Order, Refusals, StoreError};

pub(super) const FOLDER: &str = "store";
const TREE_PREFIX: &str = "tree/";
/// Entries of tree `meta`: names of trees that others have replaced.
const REPLACED: &str = "replaced/";
/// Version of the store as a whole, entry `format` of tree `meta`.
const FORMAT: u32 = 1;

/// The store of one data folder.
pub struct Database {
    pub(super) store: Arc<dyn Store>,
    refusals: Arc<Refusals>,
    cache: Arc<PageCache>,
    tuning: Tuning,
    pub(super) folder: Option<PathBuf>,
    _lock: Option<FolderLock>,
}

/// A store that was opened, and what it took.
pub struct Opened {
    /// The store.
    pub database: Database,
    /// Its serving statistics by ident, each opened once: who needs one takes it from here.
    pub stats: BTreeMap<String, StatStore>,
    /// It could not be opened as it was, was set aside and is empty now.
    pub rebuilt: Option<Aside>,
}

impl Database {
    /// Opens the store of the data folder `folder`, making both where there are none.
    ///
    /// A store that cannot be opened is renamed to `store.corrupt-<time>`, what can be read of it is
    /// exported beside it, and an empty one takes its place, to be filled from the logs.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another host has the folder, [`StoreError::Newer`],
    /// [`StoreError::Io`].
    pub fn open(folder: &Path) -> Result<Opened, StoreError> {
        Self::open_tuned(folder, Tuning::default())
    }

    /// As [`Database::open`], with other limits.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub fn open_tuned(folder: &Path, tuning: Tuning) -> Result<Opened, StoreError> {
        std::fs::create_dir_all(folder).map_err(StoreError::io(format!("make {folder:?}")))?;
        let lock = FolderLock::take(folder)?;
        let (mut sound, mut rebuilt) = (Self::open_sound(folder, tuning), None);
        if let Err(error) = &sound
            && error.is_damage()
        {
            let (aside, renewed) = aside::set_store_aside(&folder.join(FOLDER), error.to_string())?;
            sound = Self::open_sound(folder, tuning);
            if let Ok((database, _)) = &sound {
                database.remember(&renewed)?;
            }
            rebuilt = Some(aside);
        }
        let (mut database, stats) = sound?;
        database._lock = Some(lock);
        Ok(Opened { database, stats, rebuilt })
    }

    /// Opens the store of `folder`, and each statistic once: the database may open though what is in
    /// it cannot be read. A statistic that is damaged by itself is set aside by itself, also one of
    /// which a page was found damaged since its last opening.
    fn open_sound(
        folder: &Path,
        tuning: Tuning,
    ) -> Result<(Self, BTreeMap<String, StatStore>), StoreError> {
        let store = Arc::new(SledStore::open(&folder.join(FOLDER))?);
        let database = Self::over(store, tuning, Some(folder.to_owned()), None)?;
        let stats = database.open_all()?;
        Ok((database, stats))
    }

    fn open_all(&self) -> Result<BTreeMap<String, StatStore>, StoreError> {
        for (ident, reason) in self.marked_damaged()? {
            self.set_aside(&ident, &reason)?;
        }
        self.drop_replaced()?;
        let mut stats = BTreeMap::new();
        for ident in self.idents()? {
            let opened = self.open_stored(&ident).and_then(|stat| {
                if self.tuning.verify {
                    read_all(&stat)?;
                }
                Ok(stat)
            });
            match opened {
                Err(error) if error.is_damage() => {
                    drop(self.set_aside(&ident, &error.to_string())?);
                }
                outcome => drop(stats.insert(ident, outcome?)),
            }
        }
        Ok(stats)
    }

    /// Opens the store of a data folder that no host works on; makes nothing, sets nothing aside.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none, [`StoreError::Locked`], [`StoreError::Backend`].
    pub fn open_existing(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(FOLDER);
        if !path.join("db").is_file() {
            return Err(StoreError::Missing { folder: folder.to_owned() });
        }
        let lock = FolderLock::take(folder)?;
        let store = Arc::new(SledStore::open(&path)?);
        Self::over(store, Tuning::default(), Some(folder.to_owned()), Some(lock))
    }

    /// A store that ends with the process.
    ///
    /// # Errors
    /// None that a memory store knows.
    pub fn in_memory(tuning: Tuning) -> Result<Self, StoreError> {
        Self::over(Arc::new(MemoryStore::default()), tuning, None, None)
    }

    /// A database over any store; `folder` takes what has to be set aside.
    pub(crate) fn over(
        store: Arc<dyn Store>,
        tuning: Tuning,
        folder: Option<PathBuf>,
        lock: Option<FolderLock>,
    ) -> Result<Self, StoreError> {
        let meta = store.tree(META)?;
        match meta.get(b"format")?.as_deref().map(<[u8; 4]>::try_from) {
            None => {
                let mut batch = Batch::default();
                batch.put(b"format".to_vec(), FORMAT.to_le_bytes().to_vec());
                meta.apply(batch)?;
            }
            Some(Ok(found)) if u32::from_le_bytes(found) == FORMAT => {}
            Some(Ok(found)) => {
                let (what, found) = ("the store".to_owned(), u32::from_le_bytes(found));
                return Err(StoreError::Newer { what, found, known: FORMAT });
            }
            Some(Err(_)) => return Err(StoreError::damaged(META, "its format is no number")),
        }
        let cache = Arc::new(PageCache::new(tuning.cache_bytes));
        Ok(Self { refusals: store.refusals(), store, cache, tuning, folder, _lock: lock })
    }

    /// Who is told when its disk refuses a write.
    #[must_use]
    pub fn refusals(&self) -> &Arc<Refusals> {
        &self.refusals
    }

    /// Whether something could be written now.
    ///
    /// # Errors
    /// [`StoreError::Io`]: the system refuses.
    pub fn probe(&self) -> Result<(), StoreError> {
        self.store.probe()
    }

    /// Opens the store again, after its disk refused a write, and in it all serving statistics, as at a
    /// start: commits that had not reached the disk are gone. What was read before can be read no more.
    ///
    /// # Errors
    /// [`StoreError`]; it can be tried again.
    pub fn reopen(&self) -> Result<BTreeMap<String, StatStore>, StoreError> {
        self.store.reopen()?;
        self.open_all()
    }

    /// Makes all that was committed survive power loss.
    ///
    /// # Errors
    /// [`StoreError::Backend`], [`StoreError::Io`].
    pub fn sync(&self) -> Result<(), StoreError> {
        self.store.sync()
    }

    /// Names of the statistics that have a serving tree, sorted.
    ///
    /// # Errors
    /// [`StoreError::Backend`].
    pub fn idents(&self) -> Result<Vec<String>, StoreError> {
        let meta = self.meta()?;
        let entries = meta.scan(TREE_PREFIX.as_bytes());
        let ident = |key: &[u8]| String::from_utf8_lossy(&key[TREE_PREFIX.len()..]).into_owned();
        entries.map(|entry| entry.map(|(key, _)| ident(&key))).collect()
    }

    /// Opens the tree of this version of a statistic, making it where there is none. It serves at
    /// once if no version did before, else only after [`Database::activate`].
    ///
    /// # Errors
    /// [`StoreError::ModelsChanged`] if its rows were stored with other models under the same
    /// versions, [`StoreError::Damaged`], [`StoreError::Backend`].
    pub fn open_stat(&self, manifest: &StatManifest) -> Result<StatStore, StoreError> {
        let stat = self.open_beside(manifest)?;
        if self.active(&manifest.ident)?.is_none() {
            self.activate(&stat)?;
        }
        Ok(stat)
    }

    /// As [`Database::open_stat`], but it does not serve before [`Database::activate`].
    ///
    /// # Errors
    /// As [`Database::open_stat`].
    pub fn open_beside(&self, manifest: &StatManifest) -> Result<StatStore, StoreError> {
        let name = tree_name(manifest);
        StatStore::open(self.store.tree(&name)?, &name, Some(manifest), &self.cache, self.tuning)
    }

    /// Opens the serving tree of a statistic under the manifest it was stored with: no plugin is
    /// needed.
    ///
    /// # Errors
    /// [`StoreError::Unknown`], [`StoreError::Damaged`], [`StoreError::Backend`].
    pub fn open_stored(&self, ident: &str) -> Result<StatStore, StoreError> {
        let name = self.active(ident)?;
        let name = name.ok_or_else(|| StoreError::Unknown { ident: ident.to_owned() })?;
        StatStore::open(self.store.tree(&name)?, &name, None, &self.cache, self.tuning)
    }

    /// Does the serving tree hold this version of the statistic? `None`: none serves.
    ///
    /// # Errors
    /// [`StoreError::Backend`].
    pub fn serves(&self, manifest: &StatManifest) -> Result<Option<bool>, StoreError> {
        Ok(self.active(&manifest.ident)?.map(|name| name == tree_name(manifest)))
    }

    /// Are there rows of the statistic that do not serve: of a rebuild that is not level yet?
    ///
    /// # Errors
    /// [`StoreError::Backend`].
    pub fn is_rebuilding(&self, ident: &str) -> Result<bool, StoreError> {
        let active = self.active(ident)?;
        let prefix = format!("p/{ident}@");
        let mut trees = self.store.trees()?.into_iter();
        Ok(trees.any(|name| name.starts_with(&prefix) && Some(&name) != active.as_ref()))
    }

    /// Lets `stat` serve from now on. The rows that served before may still be read; the next start
    /// drops them.
    ///
    /// # Errors
    /// [`StoreError::Backend`].
    pub fn activate(&self, stat: &StatStore) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        let before = self.active(stat.ident())?.filter(|name| name != stat.tree_name());
        if let Some(name) = before {
            batch.put(format!("{REPLACED}{name}").into_bytes(), Vec::new());
        }
        let entry = tree_entry(stat.ident()).into_bytes();
        batch.put(entry, stat.tree_name().as_bytes().to_vec());
        self.meta()?.apply(batch)
    }

    /// Removes the trees that others have replaced: should their version come back, it is made anew.
    ///
    /// # Errors
    /// [`StoreError::Backend`].
    pub(crate) fn drop_replaced(&self) -> Result<(), StoreError> {
        for (entry, _) in self.scan_meta(REPLACED)? {
            self.store.drop_tree(&entry[REPLACED.len()..])?;
            self.remove_meta(&entry)?;
        }
        Ok(())
    }

    /// Removes the trees of a statistic that do not serve: those of earlier versions, and what an
    /// abandoned rebuild left.
    ///
    /// # Errors
    /// [`StoreError::Backend`].
    pub fn drop_inactive(&self, ident: &str) -> Result<(), StoreError> {
        let active = self.active(ident)?;
        let prefix = format!("p/{ident}@");
        for name in self.store.trees()? {
            if name.starts_with(&prefix) && Some(&name) != active.as_ref() {
                self.store.drop_tree(&name)?;
            }
        }
        Ok(())
    }

    /// Removes the tree of this version of a statistic if it does not serve.
    pub(crate) fn drop_beside(&self, manifest: &StatManifest) -> Result<(), StoreError> {
        if self.serves(manifest)? != Some(true) {
            self.store.drop_tree(&tree_name(manifest))?;
        }
        Ok(())
    }

    /// Name of the rows that serve for a statistic; another version of it has another.
    pub(crate) fn active(&self, ident: &str) -> Result<Option<String>, StoreError> {
        let name = self.meta()?.get(tree_entry(ident).as_bytes())?;
        Ok(name.map(|name| String::from_utf8_lossy(&name).into_owned()))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.refusals.end();
    }
}

/// Reads every row: what is damaged is an error.
fn read_all(stat: &StatStore) -> Result<(), StoreError> {
    let snapshot = stat.snapshot();
    for model in 0..snapshot.models().len() {
        let mut rows = snapshot.scan(model, &KeyBounds::default(), Order::Asc, 0);
        rows.try_for_each(|row| row.map(drop))?;
    }
    Ok(())
}

pub(super) fn tree_entry(ident: &str) -> String {
    format!("{TREE_PREFIX}{ident}")
}

/// Name of the rows of this version of a statistic.
pub(crate) fn tree_name(manifest: &StatManifest) -> String {
    format!("p/{}@{}.{}", manifest.ident, manifest.model_version, manifest.fold_version)
}
