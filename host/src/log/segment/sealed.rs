//! Full segments: files that never change, each with a sidecar that is made anew where it is wrong.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::index::{Index, Summary};
use super::scan::scan;
use super::segments::Loss;
use crate::log::Offset;

/// A full segment.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) path: PathBuf,
    pub(super) summary: Summary,
}

impl Sealed {
    pub(super) fn new(path: PathBuf, summary: Summary) -> Self {
        Self { path, summary }
    }

    /// Opens a full segment by its sidecar, which is made anew where it does not fit.
    pub(super) fn open(path: &Path, mark: u64, first: u64) -> io::Result<Self> {
        let bytes = std::fs::metadata(path)?.len();
        let sidecar = path.with_extension("idx");
        let summary = match Summary::read(&sidecar, mark, first, bytes) {
            Some(summary) => summary,
            None => scan(&File::open(path)?, mark, first, false)?.write(&sidecar, mark)?,
        };
        Ok(Self { path: path.to_owned(), summary })
    }

    /// Reads a part of the sidecar, which is made anew where it is missing or fails its check.
    pub(super) fn load<T>(
        &self,
        mark: u64,
        read: impl Fn(&Summary, &Path) -> io::Result<T>,
    ) -> io::Result<T> {
        let sidecar = self.path.with_extension("idx");
        match read(&self.summary, &sidecar) {
            Ok(part) => Ok(part),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidData
                        | io::ErrorKind::NotFound
                        | io::ErrorKind::UnexpectedEof
                ) =>
            {
                let file = File::open(&self.path)?;
                let index = scan(&file, mark, self.summary.first, false)?;
                let summary = index.write(&sidecar, mark)?;
                read(&summary, &sidecar)
            }
            Err(error) => Err(error),
        }
    }
}

/// Everything between two readable blocks that no block holds.
pub(super) fn losses(sealed: &[Arc<Sealed>], index: &Index, mark: u64) -> io::Result<Vec<Loss>> {
    let mut ranges = Vec::new();
    let mut end = sealed.first().map_or(index.summary.first, |s| s.summary.first);
    for segment in sealed {
        ranges.push((end, segment.summary.first));
        ranges.extend(segment.load(mark, |summary, path| summary.lost(path))?);
        end = segment.summary.end;
    }
    ranges.push((end, index.summary.first));
    ranges.extend(index.lost.iter().copied());
    ranges.retain(|(from, to)| from < to);
    Ok(ranges
        .into_iter()
        .map(|(from, to)| Loss {
            range: Offset(from)..Offset(to),
            reason: format!("records {from} to {} are lost: their blocks are damaged", to - 1),
        })
        .collect())
}

pub(super) fn list(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            let first = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            if let Some(first) = first {
                segments.push((first, path));
            }
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

pub(super) fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.seg"))
}
