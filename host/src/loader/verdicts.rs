//! What was found out about libraries, kept by digest beside their private copies.
//!
//! A library that passed its dry run is not tried again by the same host with the same configuration. One
//! that took the host down twice while it was mapped ([`Loading`]) is not mapped into that host again.

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
    /// How many processes in a row did not come back.
    times: u32,
}

/// The first process may have been ended by anybody, at any moment.
const TIMES: u32 = 2;

fn marked(copy: &Path) -> Option<Marked> {
    let marked: Marked = serde_json::from_slice(&std::fs::read(marker(copy)).ok()?).ok()?;
    (marked.host == host()).then_some(marked)
}

impl Loading {
    /// Begins to map `copy`.
    ///
    /// # Errors
    /// The marker cannot be written.
    pub(super) fn begin(copy: &Path) -> std::io::Result<Self> {
        let times = marked(copy).map_or(0, |marked| marked.times) + 1;
        let (marker, at_us) = (marker(copy), crate::clock::now_us());
        let marked = Marked { host: host(), at_us, times };
        // Not synced: what a process leaves when it dies is there for the next one, and a power cut is
        // no plugin's fault.
        std::fs::write(&marker, serde_json::to_vec(&marked)?)?;
        Ok(Self { marker })
    }

    /// Makes a verdict of the marker that earlier processes left of `copy`.
    pub(super) fn settle(copy: &Path, configs: &BTreeMap<String, String>) {
        if let Some(marked) = marked(copy) {
            // Whatever was found out before did not show this.
            let _ = std::fs::remove_file(file(copy));
            if marked.times >= TIMES {
                keep(copy, configs, Verdict::TookHostDown { at_us: marked.at_us });
                let _ = std::fs::remove_file(marker(copy));
            }
        }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn configs(text: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("stat".to_owned(), text.to_owned())])
    }

    #[test]
    fn a_verdict_holds_for_the_configuration_it_was_made_with() {
        let folder = tempfile::TempDir::new().unwrap();
        let copy = folder.path().join("libx-0123.so");
        assert!(find(&copy, &configs("{}")).is_none());
        keep(&copy, &configs("{}"), Verdict::Failed("it died".to_owned()));
        assert!(matches!(find(&copy, &configs("{}")), Some(Verdict::Failed(_))));
        assert!(find(&copy, &configs("other")).is_none());
        std::fs::write(file(&copy), "damaged").unwrap();
        assert!(find(&copy, &configs("{}")).is_none());
    }

    #[test]
    fn a_library_that_was_being_mapped_when_two_processes_ended_is_not_mapped_again() {
        let folder = tempfile::TempDir::new().unwrap();
        let copy = folder.path().join("libx-0123.so");
        drop(Loading::begin(&copy).unwrap());
        Loading::settle(&copy, &configs("{}"));
        assert!(find(&copy, &configs("{}")).is_none(), "it came back from being mapped");
        for _ in 0..TIMES {
            assert!(find(&copy, &configs("{}")).is_none(), "once may be chance");
            std::mem::forget(Loading::begin(&copy).unwrap());
            Loading::settle(&copy, &configs("{}"));
        }
        // Whatever it is configured to do, and at every start.
        for text in ["{}", "other"] {
            Loading::settle(&copy, &configs(text));
            let verdict = find(&copy, &configs(text));
            assert!(matches!(verdict, Some(Verdict::TookHostDown { .. })), "{verdict:?}");
        }
    }
}
