//! The one form in which rows leave a query: named, typed columns and their cells.

use serde::{Deserialize, Serialize};
use statmill_plugin_api::encoding::Value;
use statmill_plugin_api::manifest::ValueKind;

/// A column of a [`Table`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Name in every format.
    pub name: String,
    /// Type of its cells; any cell may be null besides.
    pub kind: ValueKind,
    /// Unit of the values (`ms`, `bytes`); empty = none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
}

/// Rows of a model, in the order asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The columns: time, dimensions, measures, unless the query chose others.
    pub columns: Vec<Column>,
    /// One cell per column.
    pub rows: Vec<Vec<Value>>,
    /// Rows the query matches, of which `rows` may be one page.
    pub total: u64,
    /// The query named the columns: every format keeps their order.
    pub chosen: bool,
}

impl Table {
    /// Returns the columns in the order of CSV: the time column or the event's `timestamp` first, then by
    /// name, as statscache wrote them. Columns the query named stay as they were named.
    #[must_use]
    pub fn csv_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.columns.len()).collect();
        if !self.chosen {
            order.sort_by_key(|&at| {
                let column = &self.columns[at];
                let is_time =
                    column.kind == ValueKind::Time && (at == 0 || column.name == "timestamp");
                (!is_time, column.name.as_str())
            });
        }
        order
    }
}
