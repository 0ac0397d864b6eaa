//! `log.json`: what identifies a log.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::log::LogId;

const FILE: &str = "log.json";
const FORMAT: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Meta {
    pub format: u32,
    pub id: LogId,
    /// Opens every block, so that a sender cannot forge one inside a message; never shown.
    pub mark: LogId,
    pub name: String,
    pub created_us: i64,
}

impl Meta {
    /// Reads the description of the log in `dir`; `None` if there is none.
    pub(super) fn read(dir: &Path) -> io::Result<Option<Self>> {
        let Some(meta) = read_json::<Self>(&dir.join(FILE))? else { return Ok(None) };
        if meta.format != FORMAT {
            let reason = format!("{FILE} has format {}, this program knows {FORMAT}", meta.format);
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(Some(meta))
    }

    pub(super) fn create(dir: &Path, name: &str) -> io::Result<Self> {
        let meta = Self {
            format: FORMAT,
            id: LogId(random()?),
            mark: LogId(random()?),
            name: name.to_owned(),
            created_us: crate::clock::now_us(),
        };
        write_json(&dir.join(FILE), &meta)?;
        Ok(meta)
    }
}

/// When the log in `dir` was made, µs since 1970; `None` if there is none.
pub(crate) fn created_us(dir: &Path) -> io::Result<Option<i64>> {
    Ok(Meta::read(dir)?.map(|meta| meta.created_us))
}

/// Reads a small JSON file; `None` if it is not there.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            let reason = format!("{}: {error}", path.display());
            io::Error::new(io::ErrorKind::InvalidData, reason)
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces a small JSON file, durably and in one step.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec_pretty(value)?)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// Makes names created or removed in a folder durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn random() -> io::Result<u64> {
    use std::io::Read;
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
