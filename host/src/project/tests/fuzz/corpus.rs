//! Documents kept in the repository, and those of folders beside it, to be read and to be changed.
//!
//! Files of the corpus have a document a line, percent-encoded where it is not printable ASCII; lines
//! that begin with `#` are for the reader.

use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};

/// A `#` is encoded so that no document looks like a comment.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%').add(b'#');
/// Documents taken from one file beside the repository, and their largest size.
const FROM_ONE_FILE: usize = 400;
const LARGEST: usize = 1 << 15;

/// A document as a line of the corpus.
pub(super) fn line(text: &[u8]) -> String {
    percent_encode(text, ENCODED).to_string()
}

/// The documents in the repository.
pub(super) fn kept() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/project/tests/corpus");
    let files = files(&folder);
    assert!(!files.is_empty(), "no corpus in {}", folder.display());
    let mut documents = Vec::new();
    for file in files {
        let lines = std::fs::read_to_string(&file).unwrap();
        let lines = lines.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        documents.extend(lines.map(|line| percent_decode_str(line).collect::<Vec<u8>>()));
    }
    documents
}

/// The documents of what `STATMILL_FUZZ_SEEDS` names, files or folders, else of `../shared`.
pub(super) fn beside() -> Vec<Vec<u8>> {
    let named = std::env::var_os("STATMILL_FUZZ_SEEDS").unwrap_or_else(|| {
        let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
        std::env::join_paths([shared.join("data"), shared.join("bench")]).unwrap()
    });
    let mut documents = Vec::new();
    for place in std::env::split_paths(&named) {
        let before = documents.len();
        for file in files(&place) {
            documents.extend(documents_of(&file));
        }
        match documents.len() - before {
            0 => eprintln!("NOT USED AS SEEDS: there are no documents in {}", place.display()),
            found => eprintln!("{found} documents of {} are seeds", place.display()),
        }
    }
    documents
}

/// Files at or below `place`, in order of their names.
fn files(place: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(place) else {
        return if place.is_file() { vec![place.to_owned()] } else { Vec::new() };
    };
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries.iter().flat_map(|entry| files(entry)).collect()
}

fn documents_of(file: &Path) -> Vec<Vec<u8>> {
    let extension = file.extension().and_then(|extension| extension.to_str());
    if !matches!(extension, Some("json" | "jsonl" | "ndjson")) {
        return Vec::new();
    }
    let text = std::fs::read(file).unwrap();
    let documents: Vec<&[u8]> = match extension {
        Some("json") => vec![&text],
        _ => text.split(|&byte| byte == b'\n').collect(),
    };
    let step = documents.len().div_ceil(FROM_ONE_FILE).max(1);
    let fits = |text: &&[u8]| !text.is_empty() && text.len() < LARGEST;
    documents.into_iter().step_by(step).filter(fits).map(as_message).collect()
}

/// The document with a topic and a time, if it has none: else no value of it would be looked at.
fn as_message(text: &[u8]) -> Vec<u8> {
    let envelope: &[u8] = br#"{"topic":"t.seed","time":1438992000.25,"#;
    match serde_json::from_slice::<serde_json::Value>(text) {
        Ok(value) if value.get("topic").is_none() => match value.as_object() {
            Some(members) if !members.is_empty() => {
                let open = text.iter().position(|&byte| byte == b'{').unwrap();
                [envelope, &text[open + 1..]].concat()
            }
            _ => [envelope, br#""msg":"#, text, b"}"].concat(),
        },
        _ => text.to_vec(),
    }
}
