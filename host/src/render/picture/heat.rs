//! Values by two things, as colours: names by time, hours by days of the week.

use jiff::Timestamp;

use super::chart::Drawing;
use super::fields::Combine;
use super::table::{Group, ends, groups, points};
use crate::render::svg::{Columns, Heat, Plot};

/// The most rows.
const MOST_NAMES: usize = 60;

impl Drawing<'_> {
    pub(super) fn heatmap(&self) -> Plot {
        let ranked = self.ranked();
        let all: Vec<Group> = ranked.into_iter().map(|(group, _)| group).collect();
        let (Some((first, last)), Some(step_us)) = (ends(&all), self.step_us()) else {
            return Plot::Heat(Heat::default());
        };
        let count = ((last - first) / step_us + 1).clamp(1, 20_000);
        let cells = all.iter().take(MOST_NAMES * 2).map(|group| {
            let values =
                points(group, Some((first, last)), Some(step_us), self.plan.measured.combine);
            values.into_iter().map(|(_, value)| value).collect()
        });
        Plot::Heat(Heat {
            unit: self.axis().unit,
            columns: Columns::Times {
                from: self.begin_us(first as f64),
                width: step_us as f64,
                count: usize::try_from(count).unwrap_or(1),
            },
            cells: cells.collect(),
            rows: all.iter().map(|group| self.category(group)).collect(),
            more: self.beyond(),
        })
    }

    pub(super) fn week(&self) -> Plot {
        let zone = self.zone();
        let all = groups(self.table(), &self.plan.measured, &[], true);
        let mut cells: Vec<Vec<(f64, u32)>> = vec![vec![(0.0, 0); 24]; 7];
        for (shown_us, value) in all.iter().flat_map(|group| &group.values) {
            let begin = self.begin_us(*shown_us as f64) as i64;
            let Ok(time) = Timestamp::from_microsecond(begin) else { continue };
            let time = zone.to_datetime(time);
            let day = time.weekday().to_monday_zero_offset();
            let cell = &mut cells[usize::try_from(day).unwrap_or(0)]
                [usize::try_from(time.hour()).unwrap_or(0)];
            *cell = (cell.0 + value, cell.1 + 1);
        }
        // What cannot be added up is shown by the mean of its hours.
        let sums = self.plan.measured.combine == Combine::Sum;
        let cell = |(sum, count): &(f64, u32)| {
            (*count > 0).then(|| if sums { *sum } else { sum / f64::from(*count) })
        };
        let cells = cells.iter().map(|row| row.iter().map(cell).collect()).collect();
        Plot::Heat(Heat::of_week(self.axis().unit, cells))
    }
}
