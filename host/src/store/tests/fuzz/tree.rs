//! The whole tree of a statistic, its check sums right and its records not.

use super::*;
use crate::fuzz::{Random, Target, Verdict, change_bytes, change_json, run};

pub(super) const TREE: &str = "p/volume@1.0";
/// Bytes before the content of a part of a record: format and check sum.
const SUMMED: usize = 5;

#[test]
fn a_tree_of_any_records_is_read_or_is_damaged() {
    let seeds = vec![packed(&grown())];
    let words: &[&[u8]] = &[b"null", b"\"", b"{}", b"18446744073709551615", b"-1", b"\x01\0\0\0"];
    let target =
        Target { name: "trees", seeds, words, change: Some(&change), mend: &mend, judge: &judge };
    run(&target, &["read"]);
}

/// A store with one statistic: rows in pages, deltas and lists of freed pages.
pub(super) fn grown() -> Arc<dyn Store> {
    let store = memory();
    let mut stat = keeping(&store).open_stat(&manifest()).unwrap();
    for commit in 0..9_i64 {
        let increments: Vec<_> = (0..12)
            .map(|row| (row % 5 + commit / 3, format!("key-{}", row % 7), 1, row * 100))
            .collect();
        let mut record = stat.record().clone();
        record.messages += 12;
        record.largest_time_us = Some(commit * HOUR);
        stat.commit(&blocks(&increments), record).unwrap();
    }
    drop(stat);
    store
}

/// Entries one after the other: lengths of key and value (`u16`, `u32`), key, value.
fn packed(store: &Arc<dyn Store>) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in store.tree(TREE).unwrap().scan(b"") {
        let (key, value) = entry.unwrap();
        out.extend_from_slice(&(key.len() as u16).to_le_bytes());
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
        out.extend_from_slice(&key);
        out.extend_from_slice(&value);
    }
    out
}

/// Where keys and values lie, as far as there are some.
fn entries(input: &[u8]) -> Vec<(std::ops::Range<usize>, std::ops::Range<usize>)> {
    let (mut entries, mut at) = (Vec::new(), 0);
    while let Some(lengths) = input.get(at..at + 6) {
        let key = usize::from(u16::from_le_bytes([lengths[0], lengths[1]]));
        let value = u32::from_le_bytes([lengths[2], lengths[3], lengths[4], lengths[5]]) as usize;
        let (start, middle) = (at + 6, at + 6 + key);
        if middle.saturating_add(value) > input.len() {
            break;
        }
        entries.push((start..middle, middle..middle + value));
        at = middle + value;
    }
    entries
}

/// Bytes before the content of a part of a record.
const HEADER: usize = SUMMED + 4;
/// What stands around JSON in a record: its version.
const WRAPPED: &[u8] = b"{\"format\":";

/// Changes one entry: what a record says, the key it is under, or whether it is there.
fn change(random: &mut Random, text: &mut Vec<u8>, donor: &[u8]) {
    let entries = entries(text);
    let Some((key, value)) = entries.get(random.below(entries.len())).cloned() else { return };
    let (mut new_key, mut new) = (text[key.clone()].to_vec(), text[value.clone()].to_vec());
    match random.below(12) {
        0 => {
            text.drain(key.start - 6..value.end);
            return;
        }
        1 => change_bytes(random, &mut new_key, &[], &[]),
        2 => change_bytes(random, &mut new, &[], donor),
        _ if new.len() > HEADER => {
            let mut body = new.split_off(HEADER);
            match body.starts_with(WRAPPED) {
                true => change_json(random, &mut body, &[]),
                false => change_bytes(random, &mut body, &[b"\0", b"\x01", b"\xff\x7f"], donor),
            }
            new.append(&mut body);
        }
        _ => {}
    }
    if new_key.len() > 1_000 || new.len() > 100_000 {
        return;
    }
    let mut entry = Vec::new();
    entry.extend_from_slice(&(new_key.len() as u16).to_le_bytes());
    entry.extend_from_slice(&(new.len() as u32).to_le_bytes());
    entry.extend_from_slice(&new_key);
    entry.extend_from_slice(&new);
    drop(text.splice(key.start - 6..value.end, entry));
}

fn mend(input: &mut [u8]) {
    for (key, value) in entries(input) {
        if value.len() > SUMMED {
            let mut hasher = crc32fast::Hasher::new();
            hasher.update(&input[key]);
            hasher.update(&input[value.start + SUMMED..value.end]);
            let sum = hasher.finalize().to_le_bytes();
            input[value.start + 1..value.start + SUMMED].copy_from_slice(&sum);
        }
    }
}

fn judge(input: &[u8]) -> Verdict {
    let store = memory();
    let tree = store.tree(TREE).unwrap();
    let mut batch = Batch::default();
    for (key, value) in entries(input) {
        batch.put(input[key].to_vec(), input[value].to_vec());
    }
    tree.apply(batch).unwrap();
    let mut active = Batch::default();
    active.put(b"tree/volume".to_vec(), TREE.as_bytes().to_vec());
    store.tree("meta").unwrap().apply(active).unwrap();
    match used(&keeping(&store)) {
        Ok(()) => Ok("read".to_owned()),
        Err(error @ (StoreError::Damaged { .. } | StoreError::Newer { .. })) => {
            Ok(error.to_string())
        }
        // Another manifest lies in the tree; it is one all the same.
        Err(error @ StoreError::ModelsChanged { .. }) => Ok(error.to_string()),
        Err(StoreError::BadIncrement { reason, .. }) => Ok(reason),
        Err(error) => Err(format!("not told as damage: {error}")),
    }
}

/// All that a host does with a statistic.
fn used(database: &Database) -> Result<(), StoreError> {
    let stored = database.open_stored("volume")?;
    let snapshot = stored.snapshot();
    for table in 0..stored.models().len() {
        let rows = |order| snapshot.scan(table, &KeyBounds::default(), order, 0);
        let ascending = rows(Order::Asc).collect::<Result<Vec<_>, _>>()?;
        let descending = rows(Order::Desc).collect::<Result<Vec<_>, _>>()?;
        let _ = (ascending, descending);
        let bounds = KeyBounds::windows(Some(HOUR), Some(3 * HOUR));
        snapshot.count(table, &bounds)?;
        snapshot.scan(table, &bounds, Order::Asc, 2).try_for_each(|row| row.map(drop))?;
        if let Some(ranked) = snapshot.by_index(table, Some(HOUR), Order::Desc, None) {
            ranked.take(5).try_for_each(|row| row.map(drop))?;
        }
    }
    drop(stored);
    let mut stat = database.open_stat(&manifest())?;
    for commit in 0..3 {
        let record = stat.record().clone();
        stat.commit(&blocks(&[(commit, "key-3".to_owned(), 1, 5)]), record)?;
    }
    Ok(())
}
