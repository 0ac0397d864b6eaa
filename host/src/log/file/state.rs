//! What is remembered of a file between runs: its log id, its generations, its losses.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::log::{LogId, Offset};

const VERSION: u32 = 1;
/// Losses kept by name; older ones are in the program's log only.
const LOSSES: usize = 1000;

/// The contents of the state file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    version: u32,
    pub(super) id: LogId,
    /// For people; the file's name is what the state is found by.
    file: String,
    /// Offset from which the next generation counts, if there is none to count from.
    pub(super) next_base: u64,
    pub(super) generations: Vec<Generation>,
    /// All readers are durably past this.
    pub(super) released: u64,
    pub(super) losses: Vec<Loss>,
}

/// One content the path has had, from the time it was first seen until it was replaced.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Generation {
    /// Offset of its first byte.
    pub(super) base: u64,
    /// Bytes that hold its records; while it grows, a lower bound of them.
    pub(super) len: u64,
    /// Nothing more is read of it than `len`.
    pub(super) closed: bool,
    /// Bytes the hash was taken of.
    pub(super) head_len: u64,
    pub(super) head: u64,
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl Generation {
    /// Offset past its last record.
    pub(super) fn end(&self) -> u64 {
        self.base + self.len
    }
}

/// Part of a log that could not be read and never will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Where it begins.
    pub from: Offset,
    /// Where the log goes on; equal to `from` where it is not known how much was lost.
    pub to: Offset,
    /// What happened.
    pub reason: String,
    /// When it was noticed, µs since 1970.
    pub seen_us: i64,
}

impl State {
    /// The state of a file never seen before; it gets a random id.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let mut id = [0; 8];
        io::Read::read_exact(&mut File::open("/dev/urandom")?, &mut id)?;
        Ok(Self {
            version: VERSION,
            id: LogId(u64::from_le_bytes(id)),
            file: path.display().to_string(),
            next_base: 0,
            generations: Vec::new(),
            released: 0,
            losses: Vec::new(),
        })
    }

    /// Reads a state file; `None` if there is none.
    pub(super) fn load(path: &Path) -> io::Result<Option<Self>> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let state: Self = serde_json::from_slice(&text)?;
        if state.version != VERSION {
            let text = format!("version {} is not known here, {VERSION} is", state.version);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let ascending = state.generations.windows(2).all(|pair| pair[0].end() <= pair[1].base);
        let sane = state.generations.iter().all(|it| it.base.checked_add(it.len).is_some());
        if !sane || !ascending {
            let text = "its generations overlap";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(Some(state))
    }

    /// Replaces the state file, durably.
    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let temporary = path.with_extension("json.new");
        let mut file = File::create(&temporary)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    }

    /// Records a loss; false if it is known already.
    pub(super) fn lose(&mut self, loss: Loss) -> bool {
        let same = |it: &Loss| (it.from, it.to, &it.reason) == (loss.from, loss.to, &loss.reason);
        if self.losses.iter().any(same) {
            return false;
        }
        if self.losses.len() == LOSSES {
            self.losses.remove(0);
        }
        self.losses.push(loss);
        true
    }
}

/// Where in `folder` the state of the file at `path` is kept.
pub(super) fn place(folder: &Path, path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let hash = xxhash_rust::xxh3::xxh3_64(absolute.as_os_str().as_encoded_bytes());
    folder.join(format!("{hash:016x}.json"))
}
