//! What becomes of damage: it is moved out of the way, what can be read of it is written beside it, and
//! what it had counted is remembered until its statistics are made anew.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use statmill_plugin_api::manifest::StatManifest;

use super::database::{Database, FOLDER, tree_entry, tree_name};
use super::export::{ExportedStat, export};
use super::kv::{Batch, Tree};
use super::layout::{get_json, put_json};
use super::record::StatRecord;
use super::sled::{SledStore, await_closed};
use super::tuning::Tuning;
use super::{StoreError, chunks};

/// Most bytes that are written of what is readable, and the longest a start waits for that.
const SAVED_MOST: u64 = 1 << 30;
const SAVING_MOST: Duration = Duration::from_secs(60);
/// A database file above this size is not copied to be read once more.
const COPIED_MOST: u64 = 8 << 30;

/// Entries of tree `meta`: statistics found damaged that are not set aside yet, and why.
const DAMAGED: &str = "damaged/";
/// Tree of what is remembered of set-aside statistics: `r/<ident>`, `r/` for a whole store.
const RENEWED: &str = "renewed";

/// Something damaged that was moved out of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Where it is now.
    pub path: PathBuf,
    /// What was wrong.
    pub reason: String,
    /// Where what could be read of it is, as JSON lines.
    pub readable: PathBuf,
    /// Rows, or records of a single statistic, that could be read.
    pub records: u64,
}

/// What is known of a statistic that was set aside, until it is made anew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Renewed {
    /// What was wrong.
    pub reason: String,
    /// Its position record, where that could be read.
    pub record: Option<StatRecord>,
}

impl Database {
    /// Notes that a reader found `ident` damaged: the next start sets it aside.
    ///
    /// # Errors
    /// [`StoreError::Backend`].
    pub fn mark_damaged(&self, ident: &str, reason: &str) -> Result<(), StoreError> {
        let reason: String = reason.chars().take(500).collect();
        self.put_meta(&format!("{DAMAGED}{ident}"), reason.as_bytes())
    }

    pub(super) fn marked_damaged(&self) -> Result<Vec<(String, String)>, StoreError> {
        let marked = self.scan_meta(DAMAGED)?.into_iter();
        let ident = |key: String| key.trim_start_matches(DAMAGED).to_owned();
        Ok(marked
            .map(|(key, reason)| (ident(key), String::from_utf8_lossy(&reason).into()))
            .collect())
    }

    /// Moves a damaged statistic out of the way: what of its records can be read goes to files in
    /// `store.corrupt-<time>`, its trees are removed, and it begins anew. How far it had come is
    /// remembered ([`Database::renewed`]).
    ///
    /// # Errors
    /// [`StoreError::Backend`], [`StoreError::Io`].
    pub fn set_aside(&self, ident: &str, reason: &str) -> Result<Aside, StoreError> {
        // First, so that a process which ends half way through goes on at its next start.
        self.mark_damaged(ident, reason)?;
        let prefix = format!("p/{ident}@");
        let names = self.store.trees()?.into_iter().filter(|name| name.starts_with(&prefix));
        let names: Vec<String> = names.collect();
        let serving = self.meta()?.get(tree_entry(ident).as_bytes())?;
        let serving = serving.map(|name| String::from_utf8_lossy(&name).into_owned());
        let record = match serving.filter(|name| names.contains(name)) {
            Some(name) => readable_record(&*self.store.tree(&name)?, &name),
            None => None,
        };
        if record.is_some() || self.renewed(ident)?.is_none() {
            self.remember(&[(ident.to_owned(), Renewed { reason: reason.to_owned(), record })])?;
        }
        let aside = self.save_and_drop(&names, reason)?;
        let mut batch = Batch::default();
        batch.remove(tree_entry(ident).into_bytes());
        batch.remove(format!("{DAMAGED}{ident}").into_bytes());
        self.meta()?.apply(batch)?;
        tracing::error!(
            "statistic {ident} is damaged ({reason}); {} records were saved to {:?}, and it is \
             rebuilt from the logs",
            aside.records,
            aside.readable
        );
        Ok(aside)
    }

    /// Moves the rows of a version that does not serve yet out of the way; those that serve stay.
    ///
    /// # Errors
    /// [`StoreError::Backend`], [`StoreError::Io`].
    pub fn set_aside_beside(
        &self,
        manifest: &StatManifest,
        reason: &str,
    ) -> Result<Aside, StoreError> {
        let aside = self.save_and_drop(&[tree_name(manifest)], reason)?;
        tracing::error!(
            "the new rows of statistic {} are damaged ({reason}); {} records were saved to {:?}, \
             and the rebuild begins anew",
            manifest.ident,
            aside.records,
            aside.readable
        );
        Ok(aside)
    }

    fn save_and_drop(&self, names: &[String], reason: &str) -> Result<Aside, StoreError> {
        let folder = self.folder.clone().unwrap_or_else(std::env::temp_dir);
        let path = corrupt_path(&folder.join(FOLDER));
        std::fs::create_dir_all(&path).map_err(StoreError::io(format!("make {path:?}")))?;
        let mut records = 0;
        let mut room = Room::new();
        for name in names {
            records += save_records(&*self.store.tree(name)?, name, &path, &mut room)?;
        }
        for name in names {
            self.store.drop_tree(name)?;
        }
        Ok(Aside { readable: path.clone(), path, reason: reason.to_owned(), records })
    }

    /// What is known of the set-aside rows of a statistic that has not been made anew yet.
    ///
    /// # Errors
    /// [`StoreError::Backend`], [`StoreError::Damaged`].
    pub fn renewed(&self, ident: &str) -> Result<Option<Renewed>, StoreError> {
        let tree = self.store.tree(RENEWED)?;
        let own = get_json(&*tree, RENEWED, &renewed_key(ident))?;
        let whole = || get_json(&*tree, RENEWED, &renewed_key(""));
        Ok(own.map_or_else(whole, |own| Ok(Some(own)))?.map(|(renewed, _)| renewed))
    }

    /// Forgets it: the statistic is made anew, and what is lost is recorded. The empty name stands for
    /// all that are not known by name.
    ///
    /// # Errors
    /// [`StoreError::Backend`].
    pub fn forget_renewed(&self, ident: &str) -> Result<(), StoreError> {
        let tree = self.store.tree(RENEWED)?;
        let key = renewed_key(ident);
        let Some((_, parts)) = chunks::get(&*tree, RENEWED, &key)? else { return Ok(()) };
        let mut batch = Batch::default();
        chunks::remove(&mut batch, &key, parts);
        tree.apply(batch)
    }

    pub(super) fn remember(&self, renewed: &[(String, Renewed)]) -> Result<(), StoreError> {
        let tree = self.store.tree(RENEWED)?;
        for (ident, renewed) in renewed {
            self.forget_renewed(ident)?;
            let mut batch = Batch::default();
            put_json(&mut batch, &renewed_key(ident), renewed, 0)?;
            tree.apply(batch)?;
        }
        Ok(())
    }
}

fn renewed_key(ident: &str) -> Vec<u8> {
    format!("r/{ident}").into_bytes()
}

fn readable_record(tree: &dyn Tree, name: &str) -> Option<StatRecord> {
    get_json(tree, name, b"w").ok().flatten().map(|(record, _)| record)
}

/// Renames a store that cannot be opened, and exports what can be read of a copy of it. Answers with
/// what is to be remembered of its statistics, and of those that are not known by name.
pub(super) fn set_store_aside(
    path: &Path,
    reason: String,
) -> Result<(Aside, Vec<(String, Renewed)>), StoreError> {
    // Threads of a database that was just closed write into its folder by name.
    await_closed(path)?;
    let aside = corrupt_path(path);
    std::fs::rename(path, &aside).map_err(StoreError::io(format!("rename {path:?}")))?;
    let readable = with_suffix(&aside, ".readable");
    let known = |record| Renewed { reason: reason.clone(), record };
    let mut renewed = vec![(String::new(), known(None))];
    let exported = export_copy(&aside, &readable);
    let exported_in_words = match &exported {
        Ok(Exported { stats, .. }) if stats.is_empty() => "nothing of it can be read".to_owned(),
        Ok(Exported { stats, whole, rows }) => format!(
            "what can be read of it ({rows} rows of {whole} statistics, and loose records of {}) was \
             exported to {readable:?}",
            stats.len() - whole
        ),
        Err(error) => format!("nothing of it can be exported ({error})"),
    };
    tracing::error!(
        "the store could not be opened ({reason}); it was moved to {aside:?}, {exported_in_words}, and \
         all statistics are rebuilt from the logs"
    );
    // Stays where there is something in it.
    let _ = std::fs::remove_dir(&readable);
    let Exported { stats, rows, .. } = exported.unwrap_or_default();
    renewed.extend(stats.into_iter().map(|(ident, record)| (ident, known(record))));
    Ok((Aside { path: aside, reason, readable, records: rows }, renewed))
}

/// What could be read of a store that cannot be opened as it is.
#[derive(Default)]
struct Exported {
    /// Statistics that were found, and how far they had come.
    stats: Vec<(String, Option<StatRecord>)>,
    /// How many of them were exported whole, with so many rows.
    whole: usize,
    rows: u64,
}

/// Opens a copy of the database file alone, for the files beside it may be what is damaged, and writes
/// each statistic to a file of its own: as an export if all of it is readable, else its records.
fn export_copy(aside: &Path, readable: &Path) -> Result<Exported, StoreError> {
    let io = |what: &str| StoreError::io(format!("{what} below {readable:?}"));
    let (file, copy) = (aside.join("db"), readable.join("copy"));
    std::fs::create_dir_all(&copy).map_err(io("make a folder"))?;
    let size = std::fs::metadata(&file).map_err(io("find the file db"))?.len();
    if size > COPIED_MOST {
        let reason = format!("it has {size} bytes, more than {COPIED_MOST}");
        return Err(StoreError::Backend { what: "copy", reason });
    }
    std::fs::copy(&file, copy.join("db")).map_err(io("copy the file db"))?;
    let exported = SledStore::open(&copy).and_then(|store| {
        let store = Arc::new(store);
        let database = Database::over(store, Tuning::default(), None, None)?;
        export_stats(&database, readable)
    });
    await_closed(&copy)?;
    std::fs::remove_dir_all(&copy).map_err(io("remove the copy"))?;
    exported
}

fn export_stats(database: &Database, readable: &Path) -> Result<Exported, StoreError> {
    let mut exported = Exported::default();
    let mut room = Room::new();
    for ident in database.idents()? {
        let path = readable.join(format!("{}.jsonl", file_name(&ident)));
        let rows = database.open_stored(&ident).and_then(|stat| {
            let record = stat.record().clone();
            let stat = ExportedStat { snapshot: stat.snapshot(), complete_until_us: None };
            Ok((record, export([Ok(stat)], &mut room.file(&path)?)?.rows))
        });
        let record = match rows {
            Ok((record, rows)) => {
                exported.whole += 1;
                exported.rows += rows;
                Some(record)
            }
            Err(_) => {
                // Half an export would be refused by an import; its records are for people.
                let _ = std::fs::remove_file(&path);
                loose_records(database, &ident, readable, &mut room)
            }
        };
        exported.stats.push((ident, record));
    }
    Ok(exported)
}

/// Writes the records of a statistic that cannot be opened; answers how far it had come.
fn loose_records(
    database: &Database,
    ident: &str,
    folder: &Path,
    room: &mut Room,
) -> Option<StatRecord> {
    let name = database.meta().ok()?.get(tree_entry(ident).as_bytes()).ok()??;
    let name = String::from_utf8_lossy(&name).into_owned();
    let tree = database.store.tree(&name).ok()?;
    if let Err(error) = save_records(&*tree, &name, folder, room) {
        tracing::error!("records of {ident} cannot be written: {error}");
    }
    readable_record(&*tree, &name)
}

/// Writes the records of a tree that can be read to a file in `folder`, as far as there is room.
fn save_records(
    tree: &dyn Tree,
    name: &str,
    folder: &Path,
    room: &mut Room,
) -> Result<u64, StoreError> {
    let file = folder.join(file_name(name) + ".records.jsonl");
    let mut out = room.file(&file)?;
    let mut records = 0;
    // After an error the rest cannot be reached; what came before it can be kept.
    for (key, value) in tree.scan(b"").map_while(Result::ok) {
        let line = serde_json::json!({ "key": chunks::hex(&key), "value": chunks::hex(&value) });
        match writeln!(out, "{line}") {
            Err(error) if error.kind() == std::io::ErrorKind::QuotaExceeded => {
                tracing::error!("not all records of {name} are saved: {error}");
                break;
            }
            written => written.map_err(StoreError::io(format!("write {file:?}")))?,
        }
        records += 1;
    }
    out.flush().map_err(StoreError::io(format!("write {file:?}")))?;
    Ok(records)
}

/// What may still be written of what is readable.
struct Room {
    bytes: u64,
    until: Instant,
}

/// A file that takes no more than there is room for.
struct RoomFile<'a> {
    room: &'a mut Room,
    file: BufWriter<std::fs::File>,
}

impl Room {
    fn new() -> Self {
        Self { bytes: SAVED_MOST, until: Instant::now() + SAVING_MOST }
    }

    fn file(&mut self, path: &Path) -> Result<RoomFile<'_>, StoreError> {
        let file = std::fs::File::create(path).map_err(StoreError::io(format!("make {path:?}")))?;
        Ok(RoomFile { room: self, file: BufWriter::new(file) })
    }
}

impl Write for RoomFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let left = self.room.bytes.checked_sub(bytes.len() as u64);
        let Some(left) = left.filter(|_| Instant::now() < self.room.until) else {
            let text = "more than a start saves of damaged rows";
            return Err(std::io::Error::new(std::io::ErrorKind::QuotaExceeded, text));
        };
        self.room.bytes = left;
        self.file.write_all(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()
    }
}

fn file_name(name: &str) -> String {
    name.replace('/', "_")
}

/// `store.corrupt-<time>`, with a number behind it where that exists already.
fn corrupt_path(path: &Path) -> PathBuf {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let name = |number: usize| match number {
        0 => with_suffix(path, &format!(".corrupt-{now}")),
        _ => with_suffix(path, &format!(".corrupt-{now}-{number}")),
    };
    (0..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
