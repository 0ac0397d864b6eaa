//! Values over time: lines, areas, stacks and columns.

use super::chart::Drawing;
use super::fields::Measured;
use super::kind::Kind;
use super::table::{Group, ends, groups, points};
use crate::render::svg::{Emphasis, Form, Lines, Others, Plot, Series, XAxis};

/// Series with a colour of their own.
const COLOURS: usize = 8;

impl Drawing<'_> {
    pub(super) fn lines(&self) -> Plot {
        let plan = self.plan;
        let mut groups = if plan.quantiles.is_empty() { self.groups() } else { self.quantiles() };
        let ends = ends(&groups);
        let step_us = self.step_us();
        let columns = plan.kind == Kind::Column;
        let width = step_us.unwrap_or(0) as f64;
        let is_named = plan.quantiles.is_empty() && !plan.by.is_empty();
        if is_named {
            let size = |group: &Group| group.values.values().map(|value| value.abs()).sum::<f64>();
            groups.sort_by(|a, b| size(b).total_cmp(&size(a)).then(a.name.cmp(&b.name)));
        }
        let series = groups.iter().enumerate().map(|(rank, group)| {
            let mark = self.mark(group);
            // Windows without rows need be filled in for what is drawn by itself, and once for the rest.
            let is_part = rank > COLOURS && mark.emphasis == Emphasis::Plain && plan.is_additive();
            let ends = ends.filter(|_| !is_part);
            let mut points = match mark.emphasis {
                // Beside what was chosen the others are names that can be chosen, too.
                Emphasis::Dimmed => Vec::new(),
                _ => points(group, ends, step_us, plan.measured.combine),
            };
            if columns {
                points.iter_mut().for_each(|point| point.0 = self.begin_us(point.0));
            }
            // So that a name keeps its colour when it is chosen.
            let colour = match mark.emphasis {
                Emphasis::Chosen => rank % COLOURS,
                _ => rank.min(COLOURS),
            };
            Series { name: group.name.clone(), points, colour: is_named.then_some(colour), mark }
        });
        let range = match (self.about.query.start_us, self.about.query.stop_us) {
            (Some(start), Some(stop)) => Some((start as f64, stop as f64)),
            _ => None,
        };
        Plot::Lines(Lines {
            form: match plan.kind {
                Kind::Area => Form::Area,
                Kind::StackedArea => Form::Stack,
                Kind::Column => Form::Columns { width },
                _ => Form::Line,
            },
            x: XAxis::Time,
            y: self.axis(),
            // Columns begin before the first shown end.
            range: range.filter(|_| !columns),
            series: series.collect(),
            rest: self.rest(),
            others: self.others(columns),
        })
    }

    /// The names whose rows were not kept.
    fn others(&self, columns: bool) -> Others {
        let Some(beyond) = &self.rows.beyond else { return Others::default() };
        let place = |time: f64| if columns { self.begin_us(time) } else { time };
        let points = beyond.values.iter().map(|(time, value)| (place(*time as f64), Some(*value)));
        Others { count: beyond.count, points: points.collect() }
    }

    /// One series per quantile.
    fn quantiles(&self) -> Vec<Group> {
        let of = |column: &String| {
            let measured = Measured { column: Some(column.clone()), ..self.plan.measured.clone() };
            let mut groups = groups(self.table(), &measured, &[], self.plan.has_time);
            let mut group = groups.pop()?;
            group.name = column
                .rsplit_once("_p")
                .map_or(column.clone(), |(_, name)| format!("p{}", name.replace('_', ".")));
            Some(group)
        };
        self.plan.quantiles.iter().filter_map(of).collect()
    }
}
