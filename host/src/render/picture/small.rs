//! One number, and its course.

use super::chart::Drawing;
use super::table::{ends, groups, points, total};
use crate::render::svg::{Mark, Plot, Sparkline, Tile};

impl Drawing<'_> {
    pub(super) fn course(&self) -> Sparkline {
        let plan = self.plan;
        let all = groups(self.table(), &plan.measured, &[], plan.has_time);
        let ends = ends(&all);
        let points =
            all.first().map(|group| points(group, ends, self.step_us(), plan.measured.combine));
        Sparkline { points: points.unwrap_or_default(), colour: 0 }
    }

    pub(super) fn tile(&self) -> Plot {
        let plan = self.plan;
        let all = groups(self.table(), &plan.measured, &[], plan.has_time);
        let newest = || {
            let group = all.first().filter(|_| plan.has_time)?;
            group.values.values().next_back().copied()
        };
        let whole = total(&all, plan.measured.combine);
        let note = if whole.is_none() && newest().is_some() { "newest window" } else { "" };
        Plot::Tile(Tile {
            label: self.about.title.to_owned(),
            value: whole.or_else(newest),
            unit: self.about.asked.unit.clone().unwrap_or_else(|| plan.measured.unit.clone()),
            note: note.to_owned(),
            course: if plan.has_time { self.course() } else { Sparkline::default() },
            mark: Mark::default(),
        })
    }
}
