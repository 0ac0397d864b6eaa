//! Where the content that a path once had lies now.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::content::{Content, Stamp};
use super::state::Generation;

/// Entries of a folder looked at.
const ENTRIES: usize = 20_000;

/// A file beside the path that may hold what the path held before.
#[derive(Debug)]
pub(super) struct Sibling {
    path: PathBuf,
    stamp: Stamp,
    /// Its name is the path's with what rotation appends.
    rotated: bool,
    /// The number in that name: the higher, the older.
    number: Option<u32>,
}

/// The regular files in the folder of `path` other than itself, in order of their last writes.
pub(super) fn siblings(path: &Path) -> io::Result<Vec<Sibling>> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)?.take(ENTRIES) {
        let entry = entry?;
        let other = entry.file_name();
        let other = other.to_string_lossy();
        // A file may go between the listing and the question.
        let Ok(metadata) = entry.metadata() else { continue };
        if other == name || !metadata.is_file() {
            continue;
        }
        let suffix = other.strip_prefix(&name).filter(|suffix| is_rotation_suffix(suffix));
        found.push(Sibling {
            path: folder.join(entry.file_name()),
            stamp: Stamp::of(&metadata),
            rotated: suffix.is_some(),
            number: suffix.and_then(|it| bare(it).strip_prefix('.')?.parse().ok()),
        });
    }
    found.sort_by_key(|sibling| sibling.stamp.modified_ns);
    Ok(found)
}

/// `.1`, `-20260101`, `.old`, each perhaps with `.gz` or `.zst`.
fn is_rotation_suffix(suffix: &str) -> bool {
    let Some(suffix) = bare(suffix).strip_prefix(['.', '-']) else { return false };
    suffix == "old"
        || suffix.starts_with(|first: char| first.is_ascii_digit())
            && suffix.chars().all(|it| it.is_ascii_digit() || "-_.:TZ".contains(it))
}

fn bare(suffix: &str) -> &str {
    suffix.strip_suffix(".gz").or(suffix.strip_suffix(".zst")).unwrap_or(suffix)
}

/// Finds the file that holds `generation`, of which at least `len` bytes are known: by its inode, else
/// by its first bytes.
pub(super) fn find(siblings: &[Sibling], generation: &Generation, len: u64) -> Option<Content> {
    let same_inode = |sibling: &&Sibling| {
        (sibling.stamp.device, sibling.stamp.inode) == (generation.device, generation.inode)
    };
    let moved = siblings.iter().filter(same_inode);
    let copied = siblings.iter().filter(|sibling| sibling.rotated && generation.head_len > 0);
    moved.chain(copied).find_map(|sibling| {
        let content = Content::open(&sibling.path).ok()?;
        holds(&content, generation, len).ok()?.then_some(content)
    })
}

/// Whether `content` begins like `generation` and has at least `len` bytes.
pub(super) fn holds(content: &Content, generation: &Generation, len: u64) -> io::Result<bool> {
    if !begins_like(content, generation)? {
        return Ok(false);
    }
    Ok(len == 0 || content.read_into(len - 1, 1, &mut Vec::with_capacity(1))? == 1)
}

/// Whether the first bytes of `content` are those of `generation`.
pub(super) fn begins_like(content: &Content, generation: &Generation) -> io::Result<bool> {
    Ok(content.head(generation.head_len)? == Some(generation.head))
}

/// What rotation left after it left the file `before`: contents that lay at the path and were never
/// seen there, oldest first.
pub(super) fn rotated_after(siblings: &[Sibling], before: &Stamp) -> Vec<Content> {
    let Some(before) = siblings.iter().find(|sibling| sibling.stamp.same_file(before)) else {
        return Vec::new();
    };
    let mut later: Vec<&Sibling> = siblings
        .iter()
        .filter(|sibling| sibling.rotated)
        .filter(|sibling| match (sibling.number, before.number) {
            (Some(number), Some(then)) => number < then,
            // Names with dates do not tell more than the time of the last write.
            _ => sibling.stamp.modified_ns > before.stamp.modified_ns,
        })
        .collect();
    if before.number.is_some() {
        later.sort_by_key(|sibling| std::cmp::Reverse(sibling.number));
    }
    later.iter().filter_map(|sibling| Content::open(&sibling.path).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_rotation_makes_are_told_from_others() {
        for suffix in [".1", ".12.gz", "-20260101", "-2026-01-01T00:00:00Z.zst", ".old", ".1.zst"] {
            assert!(is_rotation_suffix(suffix), "{suffix}");
        }
        for suffix in ["", "x", ".gz", ".tmp", ".1.swp", "-copy", ".bak"] {
            assert!(!is_rotation_suffix(suffix), "{suffix}");
        }
    }
}
