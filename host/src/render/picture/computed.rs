//! Pictures of tables that were computed: their columns are known only once they are there.

use std::collections::BTreeSet;

use statmill_plugin_api::encoding::Value;
use statmill_plugin_api::manifest::ValueKind;

use super::fields::Fields;
use super::kind::Kind;
use super::params::Asked;
use super::plan::{Plan, refused};
use super::table::{keys, place};
use crate::query::{ParamError, Query, Table};

impl Plan {
    /// Plans the picture of a table that was computed.
    ///
    /// # Errors
    ///
    /// [`ParamError`] if the table has not what was asked for.
    pub fn of_table(table: &Table, asked: &Asked, query: &Query) -> Result<Self, ParamError> {
        let fields = Fields::of_table(&table.columns);
        if fields.numbers.is_empty() {
            let reason = "needs a number, and no computed column is one";
            return Err(refused("type", reason, ["another form than a picture"]));
        }
        let plan = Self::new(&fields, asked, query)?;
        if matches!(plan.kind, Kind::Heatmap | Kind::Week | Kind::Column) {
            let reason = "needs windows, and a computed table has none";
            return Err(refused("type", reason, ["line", "bar", "scatter", "histogram", "box"]));
        }
        if !matches!(plan.kind, Kind::Scatter | Kind::Histogram) && !plan.tells_apart(table) {
            let reason = "shows one value for each name and time, and several rows have the same";
            return Err(refused("type", reason, ["scatter", "histogram"]));
        }
        Ok(plan)
    }

    /// Whether no two rows have the same name and time.
    fn tells_apart(&self, table: &Table) -> bool {
        let names: Vec<_> = self.by.iter().map(|name| place(table, name)).collect();
        let time = table.columns.iter().position(|column| column.kind == ValueKind::Time);
        let mut seen = BTreeSet::new();
        let places = |row: &Vec<Value>| (keys(row, &names), time.map(|time| row[time].clone()));
        table.rows.iter().all(|row| seen.insert(places(row)))
    }
}
