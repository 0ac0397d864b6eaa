//! Things by two values each.

use statmill_plugin_api::manifest::ValueKind;

use super::chart::Drawing;
use super::table::{keys, measured_place, name, number, place};
use crate::render::svg::{Axis, AxisForm, Mark, Plot, Point, Scatter, XAxis};

impl Drawing<'_> {
    /// A dot for each row.
    pub(super) fn scatter(&self) -> Plot {
        let (plan, table) = (self.plan, self.table());
        let across = plan.across.as_ref();
        let up = measured_place(table, &plan.measured);
        let right = match across {
            Some(across) => measured_place(table, across),
            None => table.columns.iter().position(|column| column.kind == ValueKind::Time),
        };
        let by: Vec<_> = plan.by.iter().map(|name| place(table, name)).collect();
        let dots = table.rows.iter().filter_map(|row| {
            let (x, y) = (number(&row[right?])?, up.map_or(Some(1.0), |up| number(&row[up]))?);
            let keys = keys(row, &by);
            let mark = match (plan.by.first(), keys.first()) {
                (Some(by), Some(Some(value))) => (self.about.mark)(by, value),
                _ => Mark::default(),
            };
            Some(Point { name: name(&keys), x, y, mark })
        });
        let x = across.map(|across| {
            XAxis::Number(Axis {
                label: across.column.clone().unwrap_or_default(),
                unit: across.unit.clone(),
                form: AxisForm::Auto,
            })
        });
        Plot::Scatter(Scatter { x: x.unwrap_or_default(), y: self.axis(), points: dots.collect() })
    }
}
