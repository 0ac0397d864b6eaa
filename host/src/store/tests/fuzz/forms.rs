//! Bodies of records: rows of pages, leaves of directories, deltas, and the JSON beside them.

use statmill_plugin_api::encoding::leb128;

use super::*;
use crate::fuzz::{Random, Target, Verdict, change_json, run};
use crate::store::kv::Batch;
use crate::store::layout::{Layout, get_json};
use crate::store::rows::{RowSet, RowWriter, get_number, read_rows};
use crate::store::{chunks, delta, directory};

#[test]
fn whatever_a_record_holds_is_read_back_as_it_is_written_or_refused() {
    let words: &[&[u8]] =
        &[b"\0\0", b"null", b"\"", b"{}", b"[]", b"-1", b"1e999", b"\"format\":9"];
    let target = Target {
        name: "records",
        seeds: seeds(),
        words,
        change: Some(&change),
        mend: &|_| (),
        judge: &judge,
    };
    run(&target, &["page", "leaf", "delta", "layout", "record"]);
}

/// Changes the JSON of those that are JSON.
fn change(random: &mut Random, text: &mut Vec<u8>, donor: &[u8]) {
    let Some((form, body)) = text.split_first() else { return };
    let (form, mut body) = (*form, body.to_vec());
    change_json(random, &mut body, donor.get(1..).unwrap_or_default());
    *text = [&[form], &*body].concat();
}

fn judge(input: &[u8]) -> Verdict {
    let Some((form, body)) = input.split_first() else { return Ok("nothing".to_owned()) };
    match form % 5 {
        0 => page(body),
        1 => leaf(body),
        2 => delta(body),
        3 => json::<Layout>("layout", body),
        _ => json::<StatRecord>("record", body),
    }
}

/// A number of rows and the rows.
fn page(mut body: &[u8]) -> Verdict {
    let input = &mut body;
    let rows = get_number(input).and_then(|count| read_rows(input, count));
    let Some(rows) = rows.filter(|_| input.is_empty()) else { return Ok("no page".to_owned()) };
    let written = written(&rows);
    let again = read_rows(&mut &written[..], rows.len() as u64);
    if again.is_none_or(|again| as_text(&again) != as_text(&rows)) {
        return Err("a page is not read back".to_owned());
    }
    let is_ascending = (1..rows.len()).all(|row| rows.key(row - 1) < rows.key(row));
    if is_ascending { Ok("page".to_owned()) } else { Err("keys of a page descend".to_owned()) }
}

fn written(rows: &RowSet) -> Vec<u8> {
    let mut writer = RowWriter::default();
    for row in 0..rows.len() {
        writer.push(rows.key(row), rows.value(row), rows.is_fresh(row));
    }
    writer.bytes
}

fn as_text(rows: &RowSet) -> String {
    let row = |row| format!("{:?} {:?} {}", rows.key(row), rows.value(row), rows.is_fresh(row));
    (0..rows.len()).map(row).collect::<Vec<_>>().join("\n")
}

/// The record of a leaf, as it is read from a tree and written to one again.
fn leaf(body: &[u8]) -> Verdict {
    let read = |body: &[u8]| {
        let tree = memory().tree("t").unwrap();
        let mut batch = Batch::default();
        chunks::put(&mut batch, b"x/\0\0\0\0\0\0\0\0\0\x01", body);
        tree.apply(batch).unwrap();
        directory::load(&*tree, "t", 1)
    };
    let directories = match read(body) {
        Ok(directories) => directories,
        Err(error) => return Ok(error.to_string()),
    };
    let entries = |directory: &directory::Directory| {
        let leaves = directory.leaves().iter();
        format!("{:?}", leaves.flat_map(|leaf| &leaf.entries).collect::<Vec<_>>())
    };
    let tree = memory().tree("t").unwrap();
    let (mut batch, mut ids) = (Batch::default(), 2);
    for leaf in directories[0].leaves() {
        directory::write(&mut batch, 0, leaf, &mut ids);
    }
    tree.apply(batch).unwrap();
    let again = directory::load(&*tree, "t", 1).map_err(|error| format!("read back: {error}"))?;
    match entries(&again[0]) == entries(&directories[0]) {
        true => Ok("leaf".to_owned()),
        false => Err("a leaf is not read back".to_owned()),
    }
}

/// A delta of two tables.
fn delta(body: &[u8]) -> Verdict {
    let tree = memory().tree("t").unwrap();
    let mut batch = Batch::default();
    chunks::put(&mut batch, b"d/\0\0\0\0\0\0\0\x05", body);
    tree.apply(batch).unwrap();
    match delta::scan(&*tree, "t", 2, 0).next() {
        Some(Ok(delta)) if delta.sequence == 5 => Ok("delta".to_owned()),
        Some(Err(error)) => Ok(error.to_string()),
        _ => Err("a delta is not the one that was stored".to_owned()),
    }
}

fn json<T>(name: &str, body: &[u8]) -> Verdict
where
    T: serde::Serialize + serde::de::DeserializeOwned,
{
    let tree = memory().tree("t").unwrap();
    let mut batch = Batch::default();
    chunks::put(&mut batch, b"w", body);
    tree.apply(batch).unwrap();
    let content = match get_json::<T>(&*tree, "t", b"w") {
        Ok(content) => content.ok_or("a record is gone")?.0,
        Err(error) => return Ok(error.to_string()),
    };
    let text = serde_json::to_string(&content).map_err(|error| error.to_string())?;
    let again: T = serde_json::from_str(&text).map_err(|error| format!("read back: {error}"))?;
    let same = serde_json::to_string(&again).is_ok_and(|again| again == text);
    if same { Ok(name.to_owned()) } else { Err(format!("a {name} is not read back")) }
}

/// Every form, out of the tree of a statistic that has folded.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let store = super::tree::grown();
    let tree = store.tree(super::tree::TREE).unwrap();
    let mut put = |form: u8, body: &[u8]| seeds.push([&[form], body].concat());
    let bodies = |prefix: &[u8]| {
        let records = chunks::scan(&*tree, "t", prefix).map(|record| record.unwrap().body);
        records.collect::<Vec<_>>()
    };
    let stat = keeping(&store).open_stored("volume").unwrap();
    for leaf in stat.tables[0].directory.leaves() {
        for entry in leaf.entries.iter().take(3) {
            let mut body = Vec::new();
            leb128::push_u64(entry.rows.into(), &mut body);
            body.extend_from_slice(&written(&stat.pages.read(entry).unwrap()));
            put(0, &body);
        }
    }
    bodies(b"x/").iter().for_each(|body| put(1, body));
    let mut batch = Batch::default();
    let (mut first, last) = (crate::store::rows::RowSetBuilder::default(), RowSet::default());
    for (number, key) in [b"a\0\0", b"b\0\0"].iter().enumerate() {
        first.push(*key, b"value", number == 0);
    }
    delta::write(&mut batch, 5, &[first.finish(), last], &[]);
    let deltas = memory().tree("t").unwrap();
    deltas.apply(batch).unwrap();
    put(2, &chunks::get(&*deltas, "t", b"d/\0\0\0\0\0\0\0\x05").unwrap().unwrap().0);
    put(3, &chunks::get(&*tree, "t", b"l").unwrap().unwrap().0);
    put(4, &chunks::get(&*tree, "t", b"w").unwrap().unwrap().0);
    seeds
}
