//! Values as JSON text.

use crate::encoding::Value;

/// Appends `value`; a time as seconds since 1970.
pub(super) fn push(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Num(value) => push_num(*value, out),
        Value::Text(text) => push_text(text, out),
        Value::Time(time_us) => push_num(*time_us as f64 / 1e6, out),
        Value::Json(text) => out.push_str(text),
    }
}

/// Appends a JSON string.
pub(super) fn push_text(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn push_num(value: f64, out: &mut String) {
    // The shortest text that reads as the same number; null for what is no number in JSON.
    out.push_str(&serde_json::Value::from(value).to_string());
}
