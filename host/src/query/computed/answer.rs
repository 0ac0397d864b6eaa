//! What a plugin answers for a view, checked: a plugin may answer anything.
//!
//! `{"columns": [{"name": …, "kind": …, "unit": …}], "rows": [[cell, …], …]}`. Kinds are those of
//! the manifest; a time is a number of seconds since 1970, any cell may be null.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value as Json;
use statmill_plugin_api::encoding::Value;
use statmill_plugin_api::manifest::ValueKind;

use crate::query::{Column, Table};

const MAX_COLUMNS: usize = 256;
const MAX_ROWS: usize = 50_000;
const MAX_NAME_BYTES: usize = 128;

#[derive(Deserialize)]
struct Answered {
    columns: Vec<Column>,
    rows: Vec<Vec<Json>>,
}

/// Reads an answer; the error says what is wrong with it.
pub(crate) fn table(text: &str) -> Result<Table, String> {
    let answered: Answered = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Answered { columns, rows } = answered;
    if columns.is_empty() || columns.len() > MAX_COLUMNS {
        return Err(format!("it has {} columns, not 1 to {MAX_COLUMNS}", columns.len()));
    }
    let mut names = HashSet::new();
    for (place, column) in columns.iter().enumerate() {
        let is_plain = !column.name.is_empty() && column.name.len() <= MAX_NAME_BYTES;
        if !is_plain || !names.insert(column.name.as_str()) {
            let number = place + 1;
            return Err(format!("the name of column {number} is empty, too long or used twice"));
        }
    }
    if rows.len() > MAX_ROWS {
        return Err(format!("it has {} rows, more than {MAX_ROWS}", rows.len()));
    }
    let cells = |(number, row): (usize, Vec<Json>)| {
        if row.len() != columns.len() {
            let (cells, wanted) = (row.len(), columns.len());
            return Err(format!("row {} has {cells} cells, not {wanted}", number + 1));
        }
        let cells = row.into_iter().zip(&columns).map(|(cell, column)| {
            value(column.kind, cell).ok_or_else(|| {
                let (name, kind) = (&column.name, column.kind);
                format!("row {}: the cell of {name:?} is no {kind:?}", number + 1)
            })
        });
        cells.collect()
    };
    let rows: Vec<Vec<Value>> =
        rows.into_iter().enumerate().map(cells).collect::<Result<_, String>>()?;
    Ok(Table { total: rows.len() as u64, columns, rows, chosen: true })
}

fn value(kind: ValueKind, cell: Json) -> Option<Value> {
    Some(match (kind, cell) {
        (_, Json::Null) => Value::Null,
        (ValueKind::Json, cell) => Value::Json(cell.to_string().into()),
        (ValueKind::Text, Json::String(text)) => Value::Text(text.into()),
        (ValueKind::Bool, Json::Bool(value)) => Value::Bool(value),
        (ValueKind::Int, Json::Number(number)) => Value::Int(number.as_i128()?),
        (ValueKind::Num, Json::Number(number)) => Value::Num(number.as_f64()?),
        (ValueKind::Time, Json::Number(seconds)) => {
            let time_us = (seconds.as_f64()? * 1e6).round();
            // A cast alone would take any number for some time.
            if !(i64::MIN as f64..i64::MAX as f64).contains(&time_us) {
                return None;
            }
            Value::Time(time_us as i64)
        }
        _ => return None,
    })
}
