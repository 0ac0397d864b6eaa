//! Batches against serde_json, against each other, and against hostile text.
#![allow(clippy::unwrap_used)]

mod differential;
mod documents;
mod fuzz;
mod tables;

use std::sync::Arc;

use serde_json::Value;
use statmill_plugin_api::abi::{span, state};
use statmill_plugin_api::manifest::FieldKind;

use crate::log::{LogId, Offset, Records};
use crate::project::{Batch, Caps, Dictionaries, Limits, Mapping, Projection, Projector};

/// A cell of a batch in readable form.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Missing,
    Null,
    WrongType,
    Invalid,
    Text(String),
    Int(i64),
    Num(u64),
    Bool(bool),
    Raw(Vec<u8>),
}

/// The cell of that kind for a value that serde_json read; none where it is of another type, and for kinds
/// that take more than the value.
fn cell_of(value: &Value, kind: FieldKind) -> Option<Cell> {
    match kind {
        FieldKind::Sym | FieldKind::Str => value.as_str().map(|text| Cell::Text(text.into())),
        FieldKind::Int => value.as_i64().map(Cell::Int),
        FieldKind::Num => value.as_f64().map(|num| Cell::Num(num.to_bits())),
        FieldKind::Bool => value.as_bool().map(Cell::Bool),
        FieldKind::Raw | FieldKind::Doc | FieldKind::Time => None,
    }
}

fn records(texts: &[&[u8]]) -> Records {
    let mut records =
        Records { range: Offset(0)..Offset(texts.len() as u64), ..Records::default() };
    for (number, text) in texts.iter().enumerate() {
        records.spans.push((records.text.len() as u32, text.len() as u32));
        records.offsets.push(number as u64);
        records.text.extend_from_slice(text);
        records.text.push(b'\n');
    }
    records
}

fn wanted(fields: &[(&str, FieldKind)]) -> Vec<(String, FieldKind)> {
    fields.iter().map(|(pointer, kind)| ((*pointer).to_owned(), *kind)).collect()
}

fn projection(fields: &[(&str, FieldKind)]) -> Arc<Projection> {
    Arc::new(Projection::compile(&Mapping::auto(), &wanted(fields)).unwrap())
}

/// The batch of `texts` as the default mapping reads them.
fn project(texts: &[&[u8]], fields: &[(&str, FieldKind)], limits: Limits) -> Batch {
    let projection = projection(fields);
    let dictionaries = Dictionaries::new(projection.columns(), Caps::default());
    let mut projector = Projector::new(projection, limits);
    projector.project(&mut records(texts), LogId(1), 2, false, &dictionaries)
}

fn cell(batch: &Batch, column: usize, row: usize) -> Cell {
    let values = &batch.columns[column];
    match values.states[row] {
        state::MISSING => return Cell::Missing,
        state::NULL => return Cell::Null,
        state::WRONG_TYPE => return Cell::WrongType,
        state::INVALID => return Cell::Invalid,
        _ => {}
    }
    if values.kind == FieldKind::Sym {
        return Cell::Text(batch.generation.text(column, values.codes[row]).to_owned());
    }
    let word = values.words[row];
    match values.kind {
        FieldKind::Int | FieldKind::Time => Cell::Int(word as i64),
        FieldKind::Num => Cell::Num(word),
        FieldKind::Bool => Cell::Bool(word == 1),
        FieldKind::Str => {
            let bytes = span::get(word, &batch.text, &batch.unescaped);
            Cell::Text(std::str::from_utf8(bytes).unwrap().to_owned())
        }
        _ => Cell::Raw(span::get(word, &batch.text, &batch.unescaped).to_vec()),
    }
}

/// The cells of the only row.
fn cells(batch: &Batch) -> Vec<Cell> {
    (0..batch.columns.len()).map(|column| cell(batch, column, 0)).collect()
}
