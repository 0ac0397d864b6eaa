//! Tables as JSON.

use serde::Serialize;
use statmill_plugin_api::encoding::Value;

use super::cell;
use crate::query::{Column, Shape, Table, TimeStyle};

/// What an envelope says of the rows in it.
#[derive(Clone, Debug, Serialize)]
pub struct Envelope {
    /// The stat.
    pub stat: String,
    /// The model.
    pub model: String,
    /// `<boot>.<commit>` of the rows.
    pub version: String,
    /// Up to when they account for all that reached the host.
    pub complete_until: String,
    /// Seconds of the windows, where stored ones were joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_s: Option<u64>,
    /// Rows on all pages together.
    pub total: u64,
    /// From 1 on.
    pub page: u64,
    /// How many pages there are.
    pub pages: u64,
    /// Address of the next page.
    pub next: Option<String>,
    /// The place behind the last row, for the parameter `cursor`.
    pub cursor: Option<String>,
    /// The columns of the rows.
    pub columns: Vec<Column>,
}

/// Appends the rows as one JSON value.
pub fn rows(table: &Table, shape: Shape, style: TimeStyle, out: &mut Vec<u8>) {
    match shape {
        Shape::Objects => {
            list(&table.rows, out, |row, out| object(&table.columns, row, style, out))
        }
        Shape::Arrays => list(&table.rows, out, |row, out| {
            list(row, out, |value, out| cell::push_json(value, style, out));
        }),
        Shape::Columns => {
            out.push(b'{');
            for (place, column) in table.columns.iter().enumerate() {
                member(place, &column.name, out);
                let cells = table.rows.iter().map(|row| &row[place]);
                list(cells, out, |value, out| cell::push_json(value, style, out));
            }
            out.push(b'}');
        }
    }
}

/// Appends an object that holds what `envelope` says and, as `rows`, the rows.
pub fn enveloped(
    envelope: &Envelope,
    table: &Table,
    shape: Shape,
    style: TimeStyle,
    out: &mut Vec<u8>,
) {
    serde_json::to_writer(&mut *out, envelope).expect("writing to memory cannot fail");
    // The object is left open for the rows, which are written straight from their cells.
    out.pop();
    member(1, "rows", out);
    rows(table, shape, style, out);
    out.push(b'}');
}

/// Appends the rows as NDJSON: one object and a line end each.
pub fn lines(table: &Table, style: TimeStyle, out: &mut Vec<u8>) {
    for row in &table.rows {
        object(&table.columns, row, style, out);
        out.push(b'\n');
    }
}

/// Appends one row as an object.
pub fn object(columns: &[Column], row: &[Value], style: TimeStyle, out: &mut Vec<u8>) {
    out.push(b'{');
    for (place, (column, value)) in columns.iter().zip(row).enumerate() {
        member(place, &column.name, out);
        cell::push_json(value, style, out);
    }
    out.push(b'}');
}

/// Wraps JSON into a script that calls `callback`, a name that was checked.
#[must_use]
pub fn script(callback: &str, json: &[u8]) -> Vec<u8> {
    // The two line ends that JSON allows in a string and older JavaScript does not.
    let json = String::from_utf8_lossy(json).replace('\u{2028}', "\\u2028");
    format!("{callback}({})", json.replace('\u{2029}', "\\u2029")).into_bytes()
}

fn member(place: usize, name: &str, out: &mut Vec<u8>) {
    if place > 0 {
        out.push(b',');
    }
    cell::push_json_text(name, out);
    out.push(b':');
}

fn list<T>(
    items: impl IntoIterator<Item = T>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    out.push(b'[');
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use statmill_plugin_api::manifest::ValueKind;

    use super::*;

    fn table() -> Table {
        let column = |name: &str, kind| Column { name: name.into(), kind, unit: String::new() };
        Table {
            columns: vec![
                column("timestamp", ValueKind::Time),
                column("who", ValueKind::Text),
                column("n", ValueKind::Int),
                column("mean", ValueKind::Num),
                column("last", ValueKind::Json),
            ],
            rows: vec![
                vec![
                    Value::Time(1_500_000_000_750_000),
                    Value::Text("zo\u{eb} \"</script>\"\u{2028}\n".into()),
                    Value::Int(i128::MAX),
                    Value::Num(0.1),
                    Value::Json("{\"a\":\n[1]}".into()),
                ],
                vec![Value::Time(0), Value::Null, Value::Int(-1), Value::Num(1e21), Value::Null],
            ],
            total: 2,
            chosen: false,
        }
    }

    fn text(shape: Shape, style: TimeStyle) -> String {
        let mut out = Vec::new();
        rows(&table(), shape, style, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn objects_keep_exact_numbers_and_raw_unicode() {
        assert_eq!(
            text(Shape::Objects, TimeStyle::Unix),
            "[{\"timestamp\":1500000000.75,\"who\":\"zo\u{eb} \\\"</script>\\\"\u{2028}\\n\",\
             \"n\":170141183460469231731687303715884105727,\"mean\":0.1,\"last\":{\"a\": [1]}},\
             {\"timestamp\":0.0,\"who\":null,\"n\":-1,\"mean\":1e21,\"last\":null}]"
        );
    }

    #[test]
    fn every_shape_and_time_is_json() {
        for shape in [Shape::Objects, Shape::Arrays, Shape::Columns] {
            for style in [TimeStyle::Unix, TimeStyle::Millis, TimeStyle::Rfc3339] {
                let parsed: serde_json::Value = serde_json::from_str(&text(shape, style)).unwrap();
                let first = match shape {
                    Shape::Objects => &parsed[0]["timestamp"],
                    Shape::Arrays => &parsed[0][0],
                    Shape::Columns => &parsed["timestamp"][0],
                };
                let expected = match style {
                    TimeStyle::Unix => serde_json::json!(1_500_000_000.75),
                    TimeStyle::Millis => serde_json::json!(1_500_000_000_750_i64),
                    TimeStyle::Rfc3339 => serde_json::json!("2017-07-14T02:40:00.75Z"),
                };
                assert_eq!(*first, expected);
            }
        }
    }

    #[test]
    fn every_line_of_ndjson_is_one_object() {
        let mut out = Vec::new();
        lines(&table(), TimeStyle::Unix, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 2);
        for line in text.lines() {
            assert!(serde_json::from_str::<serde_json::Value>(line).unwrap().is_object());
        }
    }

    #[test]
    fn scripts_hold_no_line_ends_of_javascript() {
        let body = String::from_utf8(script("cb", "[\"\u{2028}\u{2029}\"]".as_bytes())).unwrap();
        assert_eq!(body, "cb([\"\\u2028\\u2029\"])");
    }
}
