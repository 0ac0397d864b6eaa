//! Segments and sidecars whose check sums are right and whose contents are not.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::File;
use std::path::Path;

use super::block::{HEADER, Header};
use super::index::{Index, Section, Summary};
use super::read::unpack;
use super::scan::scan;
use super::{Effort, Entries, Extras, KeyEntry, Match, block, pack};
use crate::fuzz::{Target, Verdict, run};

const MARK: u64 = 0x1122_3344_5566_7788;
const FIRST: u64 = 40;

#[test]
fn a_segment_of_any_blocks_is_read_as_its_index_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.seg");
    let words: &[&[u8]] = &[b"SMBK", &MARK.to_le_bytes(), &[0; 72], &[1; 45], &[2; 41], &[3; 9]];
    let judge = |input: &[u8]| judge_segment(&path, input);
    let seeds = vec![segment()];
    run(
        &Target {
            name: "segments",
            seeds,
            words,
            change: None,
            mend: &mend_segment,
            judge: &judge,
        },
        &["read"],
    );
}

#[test]
fn a_sidecar_of_any_content_is_read_or_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.seg");
    std::fs::write(&path, segment()).unwrap();
    let index = scan(&File::open(&path).unwrap(), MARK, FIRST, false).unwrap();
    let sidecar = path.with_extension("idx");
    index.write(&sidecar, MARK).unwrap();
    let seeds = vec![std::fs::read(&sidecar).unwrap()];
    let judge = |input: &[u8]| judge_sidecar(&sidecar, index.summary.bytes, input);
    let words: &[&[u8]] = &[b"SMIX", &[0; 12], &[0xff; 8]];
    run(
        &Target {
            name: "sidecars",
            seeds,
            words,
            change: None,
            mend: &mend_sidecar,
            judge: &judge,
        },
        &["read"],
    );
}

/// Three commits, one of them of two blocks, with all that a commit may hold.
fn segment() -> Vec<u8> {
    let mut out = Vec::new();
    let mut first = FIRST;
    for commit in 0..4_u64 {
        let mut entries = Entries::default();
        for record in 0..=commit * 5 {
            let text = format!("record {record} of {commit} {}", "x".repeat(record as usize * 9));
            let time_us = (record as i64 - 3) * 1_000_000;
            let identity = u128::from(record % 3) << 70;
            entries.push(text.as_bytes(), time_us, time_us + 5, identity, u128::from(commit % 2));
        }
        let extras = Extras {
            keys: vec![KeyEntry {
                key: 9,
                body: 8,
                accepted: 7,
                duplicates: 6,
                rejected: 5,
                arrival_us: 4,
            }],
            matched: vec![Match { content: 3, identity: 2, time_us: -1 }; commit as usize],
            cursor: (commit == 3).then(|| b"{\"page\": 3}".to_vec()),
        };
        for packed in pack(&entries, Effort::Usual).unwrap() {
            let header =
                block::stamp(MARK, first, &packed, &extras, commit == 1, &mut out).unwrap();
            first = header.end();
        }
    }
    out
}

/// Makes the check sums of blocks right, wherever some begin.
fn mend_segment(input: &mut [u8]) {
    let sync = Header::sync(MARK);
    let places: Vec<usize> = memchr::memmem::find_iter(input, &sync).collect();
    for at in places {
        let Some(head) = input[at..].first_chunk::<HEADER>() else { continue };
        let Ok(header) = Header::decode(head, MARK) else { continue };
        let end = (at + HEADER).saturating_add(header.payload_len());
        let Some(payload) = input.get(at + HEADER..end) else { continue };
        let mut crc = crc32fast::Hasher::new();
        crc.update(&head[..HEADER - 4]);
        crc.update(payload);
        let sum = crc.finalize().to_le_bytes();
        input[at + HEADER - 4..at + HEADER].copy_from_slice(&sum);
    }
}

fn judge_segment(path: &Path, input: &[u8]) -> Verdict {
    std::fs::write(path, input).unwrap();
    let file = File::open(path).unwrap();
    let mut outcome = "read".to_owned();
    for last in [true, false] {
        let index = scan(&file, MARK, FIRST, last).map_err(|error| format!("scan: {error}"))?;
        let mut end = FIRST;
        for entry in &index.blocks {
            if entry.first < end || entry.position >= index.summary.bytes {
                return Err(format!("a block lies elsewhere: {entry:?} after record {end}"));
            }
            end = entry.end();
            let from = usize::try_from(entry.position).unwrap();
            match unpack(&input[from..], MARK) {
                Ok(block) => {
                    if block.len() != entry.count as usize {
                        return Err("a block has other records than its header says".to_owned());
                    }
                    (0..block.len()).for_each(|row| {
                        let _ = (block.record(row), block.arrival(row));
                    });
                }
                Err(reason) => outcome = reason.to_owned(),
            }
        }
        if end != index.summary.end || index.summary.bytes > input.len() as u64 {
            return Err(format!("the index ends elsewhere: {:?}", index.summary));
        }
        kept_in_sidecar(path, &index, last)?;
        if index.blocks.is_empty() {
            outcome = "no block".to_owned();
        }
    }
    Ok(outcome)
}

/// What is written to a sidecar is read from it.
fn kept_in_sidecar(path: &Path, index: &Index, last: bool) -> Result<(), String> {
    let sidecar = path.with_extension("idx");
    index.write(&sidecar, MARK).unwrap();
    let text = |error: std::io::Error| format!("a sidecar that was just written: {error}");
    let summary = Summary::read(&sidecar, MARK, FIRST, index.summary.bytes);
    let summary = summary.ok_or_else(|| format!("a sidecar is not read back (last: {last})"))?;
    let again = Index {
        blocks: summary.blocks(&sidecar).map_err(text)?,
        identities: summary.hashes(&sidecar, Section::Identities).map_err(text)?,
        contents: summary.hashes(&sidecar, Section::Contents).map_err(text)?,
        keys: summary.keys(&sidecar).map_err(text)?,
        matched: summary.matched(&sidecar).map_err(text)?,
        lost: summary.lost(&sidecar).map_err(text)?,
        cursor: summary.cursor(&sidecar).map_err(text)?,
        summary: index.summary.clone(),
    };
    if again == *index { Ok(()) } else { Err("a sidecar is read as another".to_owned()) }
}

const HEAD: usize = 88 + 7 * 12;

/// Makes the check sums of a sidecar right.
fn mend_sidecar(input: &mut [u8]) {
    if input.len() < HEAD + 4 {
        return;
    }
    let mut start = HEAD + 4;
    for section in 0..7 {
        let at = 88 + section * 12;
        let length = u64::from_le_bytes(*input[at..].first_chunk().unwrap());
        let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
        let Some(bytes) = end.and_then(|end| input.get(start..end)) else { continue };
        let sum = crc32fast::hash(bytes).to_le_bytes();
        start += bytes.len();
        input[at + 8..at + 12].copy_from_slice(&sum);
    }
    let sum = crc32fast::hash(&input[..HEAD]).to_le_bytes();
    input[HEAD..HEAD + 4].copy_from_slice(&sum);
}

fn judge_sidecar(path: &Path, bytes: u64, input: &[u8]) -> Verdict {
    std::fs::write(path, input).unwrap();
    let Some(summary) = Summary::read(path, MARK, FIRST, bytes) else {
        return Ok("made anew".to_owned());
    };
    let read = || {
        summary.blocks(path)?;
        summary.hashes(path, Section::Identities)?.iter().take(1 << 20).for_each(drop);
        summary.hashes(path, Section::Contents)?.iter().take(1 << 20).for_each(drop);
        summary.keys(path)?;
        summary.matched(path)?;
        summary.lost(path)?;
        summary.cursor(path)
    };
    Ok(read().map_or_else(|error| error.to_string(), |_| "read".to_owned()))
}
