//! Private copies of libraries, and what was found out about each, that nobody needs any more.
//!
//! All of them lie in one folder, named by digest, and belong to the host that has the data folder open:
//! nobody else maps them.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Loaded, map};

/// Hexadecimal digits of a digest.
const DIGITS: usize = 64;

impl Loaded {
    /// Removes from the folder of copies what is of libraries that neither stand in the plugins folders nor
    /// are used or mapped. What cannot be removed is only in the way: it is tried again at the next start.
    pub(crate) fn sweep(&self, folder: &Path) {
        let used = self.plugins.iter().map(|plugin| &plugin.digest);
        let kept: BTreeSet<&str> = self.standing.iter().chain(used).map(String::as_str).collect();
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_left = match digest(&name) {
                Some(digest) => !kept.contains(digest) && !map::is_mapped(digest),
                // Of a host that ended while it wrote; this one writes nothing now.
                None => name.starts_with(".tmp"),
            };
            if !is_left {
                continue;
            }
            match std::fs::remove_file(&path) {
                Ok(()) => tracing::debug!("removed {}: nobody needs it", path.display()),
                Err(error) => tracing::warn!("cannot remove {}: {error}", path.display()),
            }
        }
    }
}

/// The digest in the name of a copy, or of what was found out about one.
fn digest(name: &str) -> Option<&str> {
    let stem =
        [".so", ".verdict.json", ".loading"].iter().find_map(|end| name.strip_suffix(end))?;
    let (_, digest) = stem.rsplit_once('-')?;
    let is_digest = digest.len() == DIGITS && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then_some(digest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_of_no_library_that_stands_there_is_removed_and_nothing_else() {
        let folder = tempfile::TempDir::new().unwrap();
        let (old, new) = ("0".repeat(DIGITS), "f".repeat(DIGITS));
        let of = |digest: &str| {
            [".so", ".verdict.json", ".loading"].map(|end| format!("libx-y-{digest}{end}"))
        };
        let kept =
            [of(&new).to_vec(), vec!["notes.so".to_owned(), "libx-0.so".to_owned()]].concat();
        let left = [of(&old).to_vec(), vec![".tmpAbCdEf".to_owned()]].concat();
        for name in kept.iter().chain(&left) {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let loaded = Loaded { standing: [new].into(), ..Loaded::default() };
        loaded.sweep(folder.path());
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let mut found: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let mut kept = kept;
        found.sort();
        kept.sort();
        assert_eq!(found, kept);
        loaded.sweep(&folder.path().join("nowhere"));
    }
}
