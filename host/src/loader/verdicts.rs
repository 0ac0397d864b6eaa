//! What was found out about libraries, kept by digest beside their private copies.
//!
//! A library that passed its dry run is not tried again by the same host with the same configuration. One
//! that took the host down while it was mapped ([`Loading`]) is not mapped into that host again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::dry_run::DryRun;

/// What is known of a library.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// Its dry run passed.
    Passed(DryRun),
    /// It killed the child.
    Failed(String),
    /// The host ended while it was mapped, at this time.
    TookHostDown { at_us: i64 },
}

/// A verdict with all that it holds for.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    host: String,
    configs: u64,
    verdict: Verdict,
}

/// The verdict on the library whose private copy is `copy`, if one was kept that holds.
pub(super) fn find(copy: &Path, configs: &BTreeMap<String, String>) -> Option<Verdict> {
    let kept: Kept = serde_json::from_slice(&std::fs::read(file(copy)).ok()?).ok()?;
    let holds = match kept.verdict {
        // Whatever it is configured to do.
        Verdict::TookHostDown { .. } => kept.host == host(),
        _ => kept.host == host() && kept.configs == hash(configs),
    };
    holds.then_some(kept.verdict)
}

/// Keeps a verdict. What cannot be written is found out again at the next start.
pub(super) fn keep(copy: &Path, configs: &BTreeMap<String, String>, verdict: Verdict) {
    let kept = Kept { host: host(), configs: hash(configs), verdict };
    let outcome = serde_json::to_vec(&kept)
        .map_err(std::io::Error::from)
        .and_then(|text| replace(&file(copy), &text));
    if let Err(error) = outcome {
        tracing::warn!("cannot keep what was found out about {}: {error}", copy.display());
    }
}

/// Where the verdict on a private copy is kept.
pub(super) fn file(copy: &Path) -> PathBuf {
    copy.with_extension("verdict.json")
}

fn hash(configs: &BTreeMap<String, String>) -> u64 {
    xxh3_64(&serde_json::to_vec(configs).unwrap_or_default())
}

/// This very program: another build of the same version may fail where this one does not.
fn host() -> String {
    use std::os::unix::fs::MetadataExt;
    let built = std::fs::metadata("/proc/self/exe")
        .map_or_else(|_| String::new(), |exe| format!("{}-{}", exe.len(), exe.mtime()));
    format!("{} {built}", env!("CARGO_PKG_VERSION"))
}

/// Writes a file so that it is there as a whole or not at all, also after a power cut.
fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(content)?;
    new.as_file().sync_all()?;
    new.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

/// Says that a library is being mapped into this process, until dropped: whoever finds what it wrote knows
/// that the process ended meanwhile.
pub(super) struct Loading {
    marker: PathBuf,
}

/// What a marker holds.
#[derive(Serialize, Deserialize)]
struct Marked {
    host: String,
    at_us: i64,
}

impl Loading {
    /// Begins to map `copy`.
    ///
    /// # Errors
    /// The marker cannot be written.
    pub(super) fn begin(copy: &Path) -> std::io::Result<Self> {
        let marker = marker(copy);
        let marked = Marked { host: host(), at_us: crate::clock::now_us() };
        // Not synced: what a process leaves when it dies is there for the next one, and a power cut is
        // no plugin's fault.
        std::fs::write(&marker, serde_json::to_vec(&marked)?)?;
        Ok(Self { marker })
    }

    /// Makes a marker that an earlier process left of `copy` a verdict.
    pub(super) fn settle(copy: &Path, configs: &BTreeMap<String, String>) {
        let marker = marker(copy);
        let Ok(text) = std::fs::read(&marker) else { return };
        if let Ok(marked) = serde_json::from_slice::<Marked>(&text)
            && marked.host == host()
        {
            keep(copy, configs, Verdict::TookHostDown { at_us: marked.at_us });
        }
        let _ = std::fs::remove_file(marker);
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        // A marker that stays would blame the library for what it did not do.
        if let Err(error) = std::fs::remove_file(&self.marker) {
            tracing::error!("cannot remove {}: {error}; remove it", self.marker.display());
        }
    }
}

fn marker(copy: &Path) -> PathBuf {
    copy.with_extension("loading")
}
