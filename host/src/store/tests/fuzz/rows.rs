//! Blocks of rows as a plugin may drain them.

use statmill_plugin_api::encoding::{BlockReader, check_key, decode_key};
use statmill_plugin_api::manifest::ModelManifest;

use super::*;
use crate::fuzz::{Target, Verdict, run};

/// Cells of all kinds, states, and what is none.
const WORDS: &[&[u8]] = &[
    b"\0",
    b"\x01\0",
    b"\x01\x01\x01\0",
    b"\x01\x01\x03\0",
    b"\x01\xff\xfe\0",
    b"\x01{\"a\":1}\0",
    b"\x01{\0",
    b"\x80",
    b"\x81\x05",
    b"\x7e\xfb",
    b"\x90\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x88\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x89\0\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x01\xff\xf8\0\0\0\0\0\0",
    b"\x01\xff\xf0\0\0\0\0\0\0",
    b"\x01\x80\0\0\0\0\0\0\0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
];

#[test]
fn what_a_plugin_drains_is_refused_or_is_rows() {
    let manifest = wide_manifest();
    let numbered = (0_u8..).zip(wide_blocks());
    let seeds = numbered.map(|(model, block)| [&[model], &*block].concat()).collect();
    let judge = |input: &[u8]| judge(&manifest, input);
    let target =
        Target { name: "rows", seeds, words: WORDS, change: None, mend: &|_| (), judge: &judge };
    run(&target, &["rows"]);
}

fn judge(manifest: &StatManifest, input: &[u8]) -> Verdict {
    let (number, block) = input.split_first().unwrap_or((&0, &[]));
    let number = usize::from(*number) % manifest.models.len();
    let model = &manifest.models[number];
    let sound = is_sound(model, block)?;
    if let Err(reason) = &sound
        && !input.len().is_multiple_of(4)
    {
        // A commit costs more than all else, and refuses for the same reasons.
        return Ok(reason.clone());
    }

    let database = Database::in_memory(restless()).unwrap();
    let mut stat = database.open_stat(manifest).unwrap();
    let increments = [(number, block.to_vec())];
    for copies in 1..=2 {
        let before = stat.record().clone();
        match (stat.commit(&increments, before.clone()), &sound) {
            (Ok(_), Ok(_)) => {}
            (Err(StoreError::BadIncrement { reason, .. }), Err(_)) => {
                return match stat.record() == &before && stat.commit(&[], before).is_ok() {
                    true => Ok(reason),
                    false => Err("a refused block changed or stopped the statistic".to_owned()),
                };
            }
            (outcome, sound) => {
                return Err(format!("commit {copies} answers {outcome:?}, the rows are {sound:?}"));
            }
        }
    }
    for table in 0..stat.models().len() {
        let stored = stat.models()[table].clone();
        let mut rows = 0;
        for row in stat.snapshot().scan(table, &KeyBounds::default(), Order::Asc, 0) {
            let (key, value) = row.map_err(|error| error.to_string())?;
            check_row(&stored.model, &key, &value).map_err(|error| format!("kept: {error}"))?;
            rows += 1;
        }
        if rows != stat.snapshot().rows(table) || (table == 0 && rows != 0 && number != 0) {
            return Err(format!("table {table} has {rows} rows"));
        }
    }
    Ok("rows".to_owned())
}

/// Whether a block holds rows; fails where two ways to ask that disagree.
fn is_sound(model: &ModelManifest, block: &[u8]) -> Result<Result<u64, String>, String> {
    let mut rows = 0;
    for row in BlockReader::new(block) {
        let Ok((key, value)) = row else { return Ok(row.map(|_| 0).map_err(|it| it.to_string())) };
        if let Err(reason) = check_row(model, key, value) {
            return if reason.starts_with('!') { Err(reason) } else { Ok(Err(reason)) };
        }
        rows += 1;
    }
    Ok(Ok(rows))
}

/// Whether it is a row of the model; a reason that begins with `!` is a contradiction.
fn check_row(model: &ModelManifest, key: &[u8], value: &[u8]) -> Result<(), String> {
    let windowed = model.window_s.is_some();
    let decoded = decode_key(windowed, &model.dimensions, key);
    if check_key(windowed, &model.dimensions, key)
        != decoded.as_ref().map(drop).map_err(Clone::clone)
    {
        return Err("! a key is checked otherwise than it is decoded".to_owned());
    }
    let (window_us, values) = decoded.map_err(|error| error.to_string())?;
    let mut again = Vec::new();
    encode_key(window_us, &values, &mut again);
    if again != key {
        return Err("! a key is not what its values encode as".to_owned());
    }
    let mut cells = Vec::new();
    let read = aggregate::row_values(&model.measures, value, &mut cells);
    if aggregate::check(&model.measures, value).is_ok() != read.is_ok() {
        return Err("! a value is checked otherwise than it is read".to_owned());
    }
    read.map_err(|error| error.to_string())?;
    let mut merged = Vec::new();
    match aggregate::merge(&model.measures, value, value, &mut merged) {
        Ok(()) => aggregate::check(&model.measures, &merged)
            .map_err(|error| format!("! what two sound values merge to is refused: {error}")),
        Err(error) => Err(format!("it does not merge: {error}")),
    }
}
