//! Single cells as JSON and as plain text.

use std::borrow::Cow;

use statmill_plugin_api::encoding::Value;

use crate::query::TimeStyle;
use crate::query::time::{UtcTime, unix};

/// Appends `text` as a JSON string; only what JSON demands is escaped.
pub fn push_json_text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("writing text to memory cannot fail");
}

/// Appends a cell as JSON.
pub fn push_json(value: &Value, style: TimeStyle, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => push_json_text(text, out),
        Value::Time(time_us) if style == TimeStyle::Rfc3339 => {
            push_json_text(&UtcTime(*time_us).to_string(), out);
        }
        // Line breaks of a JSON text are blanks; as such they would break NDJSON.
        Value::Json(json) => out.extend(json.bytes().map(|byte| match byte {
            b'\n' | b'\r' => b' ',
            byte => byte,
        })),
        Value::Null => out.extend_from_slice(b"null"),
        Value::Num(number) if !number.is_finite() => out.extend_from_slice(b"null"),
        other => out.extend_from_slice(text(other, style).as_bytes()),
    }
}

/// Returns a cell as plain text: null is empty, numbers are exact, floats as short as they can be
/// and still read back the same.
#[must_use]
pub fn text(value: &Value, style: TimeStyle) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::Bool(true) => Cow::Borrowed("true"),
        Value::Bool(false) => Cow::Borrowed("false"),
        Value::Int(number) => Cow::Owned(number.to_string()),
        // `Debug` is the shortest form that reads back, with an exponent where that is shorter.
        Value::Num(number) if number.is_finite() => Cow::Owned(format!("{number:?}")),
        Value::Num(_) => Cow::Borrowed(""),
        Value::Text(text) => Cow::Borrowed(text),
        Value::Json(json) => Cow::Borrowed(json),
        Value::Time(time_us) => Cow::Owned(match style {
            TimeStyle::Unix => unix(*time_us),
            TimeStyle::Millis => time_us.div_euclid(1_000).to_string(),
            TimeStyle::Rfc3339 => UtcTime(*time_us).to_string(),
        }),
    }
}
