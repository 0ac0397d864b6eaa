//! Copies of the evil plugin, each with stats of its own.

use std::path::{Path, PathBuf};

/// As in `tests/evil/src/mark.rs`.
const MARK: &[u8] = b"EVIL[evil;    ";
const START: usize = 5;
const END: usize = 2047;

/// Puts a copy of the evil plugin into a plugins folder as `lib<name>.so`.
///
/// `entries` are idents of stats, each with `=` and a lie of its manifest behind it if it has one, and after
/// `!` what the library does before anything is configured (`!constructor: abort`, `!no json`).
pub fn drop_in(folder: &Path, name: &str, entries: &[String]) -> PathBuf {
    let library = statmill::loader::library_beside_program("evil-plugin").unwrap();
    let mut bytes = std::fs::read(library).unwrap();
    let begins = |(at, window): (usize, &[u8])| (window == MARK).then_some(at);
    let places: Vec<usize> = bytes.windows(MARK.len()).enumerate().filter_map(begins).collect();
    assert_eq!(places.len(), 1, "the library has one mark");
    let text: String = entries.iter().map(|entry| format!("{entry};")).collect();
    let mark = &mut bytes[places[0] + START..places[0] + END];
    assert!(text.len() <= mark.len(), "the mark has no room for {text:?}");
    mark.fill(b' ');
    mark[..text.len()].copy_from_slice(text.as_bytes());
    let path = folder.join(format!("lib{name}.so"));
    std::fs::write(&path, bytes).unwrap();
    path
}
