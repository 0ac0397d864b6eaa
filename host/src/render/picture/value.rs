//! One number of all rows, exactly: what a page writes out.

use statmill_plugin_api::encoding::Value;

use super::fields::Combine;
use super::plan::Plan;
use super::sum::Sum;
use super::table::{measured_place, place};
use crate::query::Table;

impl Plan {
    /// The places of what names rows and of what is shown of them.
    #[must_use]
    pub fn places(&self, table: &Table) -> (Option<usize>, Option<usize>) {
        (self.by().and_then(|by| place(table, by)), measured_place(table, &self.measured))
    }

    /// What the values of all rows are together: that of the last one where they cannot be joined.
    #[must_use]
    pub fn value_of(&self, table: &Table) -> Value {
        let Some(place) = measured_place(table, &self.measured) else { return Value::Null };
        let values = table.rows.iter().map(|row| &row[place]);
        let mut known = values.filter(|value| !matches!(value, Value::Null));
        let one = match self.measured.combine {
            Combine::Sum => {
                let mut sum = Sum::default();
                known.for_each(|value| sum.add(value));
                return sum.value();
            }
            Combine::Least => known.min(),
            Combine::Greatest => known.max(),
            Combine::Never => known.next_back(),
        };
        one.cloned().unwrap_or(Value::Null)
    }
}
