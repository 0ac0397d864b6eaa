//! One data folder's store: which statistics it holds, which of their trees counts, and what
//! becomes of it when it is damaged.
//!
//! Each version of a statistic has a tree of its own, `p/<ident>@<model version>.<fold version>`;
//! tree `meta` says which one serves (`tree/<ident>`). A rebuild fills another tree beside it and
//! is swapped in by changing that one entry.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use statmill_plugin_api::manifest::StatManifest;

use super::kv::{Batch, Store, Tree};
use super::lock::FolderLock;
use super::memory::MemoryStore;
use super::pages::PageCache;
use super::sled::SledStore;
use super::stat::StatStore;
use super::tuning::Tuning;
use super::{StoreError, chunks};

const FOLDER: &str = "store";
const META: &str = "meta";
const TREE_PREFIX: &str = "tree/";
/// Version of the store as a whole, entry `format` of tree `meta`.
const FORMAT: u32 = 1;

/// The store of one data folder.
pub struct Database {
    store: Arc<dyn Store>,
    meta: Arc<dyn Tree>,
    cache: Arc<PageCache>,
    tuning: Tuning,
    folder: Option<PathBuf>,
    _lock: Option<FolderLock>,
}

/// A store that was opened, and what it took.
pub struct Opened {
    /// The store.
    pub database: Database,
    /// It could not be opened as it was, was set aside and is empty now.
    pub rebuilt: Option<Aside>,
}

/// Something damaged that was moved out of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Where it is now.
    pub path: PathBuf,
    /// What was wrong.
    pub reason: String,
    /// Records that could be read and are in `path`.
    pub records: u64,
}

impl Database {
    /// Opens the store of the data folder `folder`, making both where there are none.
    ///
    /// A store that cannot be opened is renamed to `store.corrupt-<time>`; an empty one takes its
    /// place, to be filled from the logs.
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
        let mut rebuilt = None;
        let mut database = loop {
            match Self::open_sound(folder, tuning) {
                Ok(database) => break database,
                Err(error @ (StoreError::Backend { .. } | StoreError::Damaged { .. }))
                    if rebuilt.is_none() =>
                {
                    let aside = rename_aside(&folder.join(FOLDER), error.to_string())?;
                    tracing::error!(
                        "the store could not be opened ({}); it was moved to {:?}, and all \
                         statistics are rebuilt from the logs",
                        aside.reason,
                        aside.path
                    );
                    rebuilt = Some(aside);
                }
                Err(error) => return Err(error),
            }
        };
        database._lock = Some(lock);
        Ok(Opened { database, rebuilt })
    }

    /// Opens the store of `folder`, and each statistic once: the database may open though what is in
    /// it cannot be read. A statistic that is damaged by itself is set aside by itself.
    fn open_sound(folder: &Path, tuning: Tuning) -> Result<Self, StoreError> {
        let store = Arc::new(SledStore::open(&folder.join(FOLDER))?);
        let database = Self::over(store, tuning, Some(folder.to_owned()), None)?;
        for ident in database.idents()? {
            match database.open_stored(&ident) {
                Err(StoreError::Damaged { what, .. }) => drop(database.set_aside(&ident, &what)?),
                outcome => drop(outcome?),
            }
        }
        Ok(database)
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
        Ok(Self { store, meta, cache, tuning, folder, _lock: lock })
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
        let entries = self.meta.scan(TREE_PREFIX.as_bytes());
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

    /// Lets `stat` serve from now on.
    ///
    /// # Errors
    /// [`StoreError::Backend`].
    pub fn activate(&self, stat: &StatStore) -> Result<(), StoreError> {
        self.put_meta(&tree_entry(stat.ident()), stat.tree_name().as_bytes())
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

    /// Moves a damaged statistic out of the way: what of its records can be read goes to a file in
    /// `store.corrupt-<time>`, its trees are removed, and it begins anew.
    ///
    /// # Errors
    /// [`StoreError::Backend`], [`StoreError::Io`].
    pub fn set_aside(&self, ident: &str, reason: &str) -> Result<Aside, StoreError> {
        let folder = self.folder.clone().unwrap_or_else(std::env::temp_dir);
        let path = corrupt_path(&folder.join(FOLDER));
        std::fs::create_dir_all(&path).map_err(StoreError::io(format!("make {path:?}")))?;
        let mut records = 0;
        let prefix = format!("p/{ident}@");
        let names = self.store.trees()?.into_iter().filter(|name| name.starts_with(&prefix));
        let names: Vec<_> = names.collect();
        for name in &names {
            let file = path.join(name.replace('/', "_") + ".jsonl");
            let io = || StoreError::io(format!("write {file:?}"));
            let mut out = BufWriter::new(std::fs::File::create(&file).map_err(io())?);
            let tree = self.store.tree(name)?;
            for entry in tree.scan(b"") {
                // The rest cannot be reached; what came before it can be kept.
                let Ok((key, value)) = entry else { break };
                let line = serde_json::json!({
                    "key": chunks::hex(&key),
                    "value": chunks::hex(&value),
                });
                writeln!(out, "{line}").map_err(io())?;
                records += 1;
            }
            out.into_inner().map_err(|error| io()(error.into_error()))?.sync_all().map_err(io())?;
        }
        let mut batch = Batch::default();
        batch.remove(tree_entry(ident).into_bytes());
        self.meta.apply(batch)?;
        for name in &names {
            self.store.drop_tree(name)?;
        }
        let reason = reason.to_owned();
        tracing::error!(
            "statistic {ident} is damaged ({reason}); {records} records were saved to {path:?}, \
             and it is rebuilt from the logs"
        );
        Ok(Aside { path, reason, records })
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
        self.meta.get(key.as_bytes())
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
        self.meta.apply(batch)
    }

    /// Removes an entry that belongs to the host as a whole.
    ///
    /// # Errors
    /// [`StoreError::Backend`].
    pub fn remove_meta(&self, key: &str) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        batch.remove(key.as_bytes().to_vec());
        self.meta.apply(batch)
    }

    /// All entries whose names begin with `prefix`.
    ///
    /// # Errors
    /// [`StoreError::Backend`].
    pub fn scan_meta(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let entries = self.meta.scan(prefix.as_bytes());
        let named = |(key, value): (Vec<u8>, _)| (String::from_utf8_lossy(&key).into(), value);
        entries.map(|entry| entry.map(named)).collect()
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
        let name = self.meta.get(tree_entry(ident).as_bytes())?;
        Ok(name.map(|name| String::from_utf8_lossy(&name).into_owned()))
    }
}

fn tree_entry(ident: &str) -> String {
    format!("{TREE_PREFIX}{ident}")
}

/// Name of the rows of this version of a statistic.
pub(crate) fn tree_name(manifest: &StatManifest) -> String {
    format!("p/{}@{}.{}", manifest.ident, manifest.model_version, manifest.fold_version)
}

fn rename_aside(path: &Path, reason: String) -> Result<Aside, StoreError> {
    let aside = corrupt_path(path);
    std::fs::rename(path, &aside).map_err(StoreError::io(format!("rename {path:?}")))?;
    Ok(Aside { path: aside, reason, records: 0 })
}

/// `store.corrupt-<time>`, with a number behind it where that exists already.
fn corrupt_path(path: &Path) -> PathBuf {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let name = |number: usize| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".corrupt-{now}"));
        if number > 0 {
            name.push(format!("-{number}"));
        }
        PathBuf::from(name)
    };
    (0..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0))
}
