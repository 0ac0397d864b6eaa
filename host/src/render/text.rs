//! Tables as text for a terminal.

use comfy_table::{Cell, CellAlignment, ContentArrangement, presets};
use statmill_plugin_api::encoding::Value;
use statmill_plugin_api::manifest::ValueKind;

use super::cell;
use crate::query::{Table, TimeStyle};

/// Returns the rows, under a line of names if `header`: times in UTC, numbers to the right.
#[must_use]
pub fn table(table: &Table, header: bool) -> String {
    let names = || table.columns.iter().map(|column| escape_controls(&column.name)).collect();
    let header = header.then(names);
    let right: Vec<bool> = table
        .columns
        .iter()
        .map(|column| matches!(column.kind, ValueKind::Int | ValueKind::Num))
        .collect();
    let rows = table.rows.iter().map(|row| row.iter().map(printable).collect());
    lines(header, &right, rows)
}

/// Returns lines, under a header if there is one; where `right` holds, cells stand to the right.
#[must_use]
pub fn lines(
    header: Option<Vec<String>>,
    right: &[bool],
    rows: impl Iterator<Item = Vec<String>>,
) -> String {
    let mut text = comfy_table::Table::new();
    text.load_style(presets::NOTHING);
    text.set_content_arrangement(ContentArrangement::Disabled);
    let aligned = |cells: Vec<String>| {
        cells.into_iter().enumerate().map(|(place, text)| {
            let right = right.get(place).copied().unwrap_or(false);
            Cell::new(text).set_alignment(if right {
                CellAlignment::Right
            } else {
                CellAlignment::Left
            })
        })
    };
    if let Some(header) = header {
        text.set_header(aligned(header));
    }
    for row in rows {
        text.add_row(aligned(row));
    }
    if text.row_count() == 0 && text.header().is_none() {
        return String::new();
    }
    let mut lines: Vec<String> = text.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.push(String::new());
    lines.join("\n")
}

/// Control characters could move the cursor or change colours: they are shown escaped.
fn printable(value: &Value) -> String {
    let text = cell::text(value, TimeStyle::Rfc3339);
    escape_controls(&text)
}

/// Returns `text` with every control character written as Rust does.
#[must_use]
pub fn escape_controls(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}
