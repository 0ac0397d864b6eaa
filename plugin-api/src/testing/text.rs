//! Rows as CSV, the way the API prints them.

use std::collections::BTreeMap;

use crate::aggregate;
use crate::encoding::{self, DecodeError, Value};
use crate::manifest::{ModelManifest, Stamp};

const SECOND_US: i64 = 1_000_000;

pub(super) fn csv(
    model: &ModelManifest,
    rows: &BTreeMap<Vec<u8>, Vec<u8>>,
) -> Result<String, DecodeError> {
    let mut header: Vec<String> = Vec::new();
    if model.window_s.is_some() {
        header.push(if model.stamp == Stamp::End { "timestamp" } else { "time" }.to_owned());
    }
    header.extend(model.dimensions.iter().map(|dimension| dimension.name.clone()));
    for measure in &model.measures {
        header.extend(aggregate::columns(measure).into_iter().map(|column| column.name));
    }
    let mut text = header.join(",") + "\n";
    for (key, value) in rows {
        let (window, mut cells) =
            encoding::decode_key(model.window_s.is_some(), &model.dimensions, key)?;
        aggregate::row_values(&model.measures, value, &mut cells)?;
        let mut fields: Vec<String> = cells.iter().map(cell).collect();
        if let (Some(start_us), Some(window_s)) = (window, model.window_s) {
            let end_us = if model.stamp == Stamp::End { window_s as i64 * SECOND_US } else { 0 };
            fields.insert(0, seconds(start_us + end_us));
        }
        text += &(fields.join(",") + "\n");
    }
    Ok(text)
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Num(value) => value.to_string(),
        Value::Time(time_us) => seconds(*time_us),
        Value::Text(text) | Value::Json(text) => {
            if text.contains(['"', ',', '\n', '\r']) {
                format!("\"{}\"", text.replace('"', "\"\""))
            } else {
                text.to_string()
            }
        }
    }
}

/// Unix seconds with at least one decimal: `1500000000.0`.
fn seconds(time_us: i64) -> String {
    let sign = if time_us < 0 { "-" } else { "" };
    let whole = time_us.unsigned_abs() / SECOND_US as u64;
    let fraction = format!("{:06}", time_us.unsigned_abs() % SECOND_US as u64);
    let fraction = fraction.trim_end_matches('0');
    format!("{sign}{whole}.{}", if fraction.is_empty() { "0" } else { fraction })
}
