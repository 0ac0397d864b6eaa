//! The chart that a table makes.

use jiff::tz::TimeZone;

use super::fields::{Combine, Measured};
use super::kind::Kind;
use super::params::Asked;
use super::plan::Plan;
use super::read::Rows;
use super::table::{Group, groups, total};
use crate::query::{CompleteUntil, Query, Table};
use crate::render::svg::{Axis, Category, Chart, Mark, Plot, Rest, is_scaled};

/// What a picture says besides its rows.
pub struct About<'a> {
    /// Heading.
    pub title: &'a str,
    /// What the stat is, in a line.
    pub summary: &'a str,
    /// Up to when the rows account for all that reached the host.
    pub complete_until: CompleteUntil,
    /// What was asked of the picture.
    pub asked: &'a Asked,
    /// The question whose answer is drawn.
    pub query: &'a Query,
    /// Link and emphasis of a value of a dimension.
    pub mark: &'a dyn Fn(&str, &str) -> Mark,
}

impl Plan {
    /// Returns the chart of the rows that were read.
    #[must_use]
    pub fn chart(&self, about: &About<'_>, rows: &Rows) -> Chart {
        let step_s = rows.answer.step_s.or(self.window_s);
        let drawing = Drawing { plan: self, about, rows, step_s };
        let plot = match self.kind {
            Kind::Line | Kind::Area | Kind::StackedArea | Kind::Column => drawing.lines(),
            Kind::Bar => drawing.bars(),
            Kind::StackedBar => drawing.stacked_bars(),
            Kind::Heatmap => drawing.heatmap(),
            Kind::Week => drawing.week(),
            Kind::Histogram if self.sketch.is_some() => drawing.counted(),
            Kind::Histogram => drawing.histogram(),
            Kind::Box if self.sketch.is_some() => drawing.counted_boxes(),
            Kind::Scatter => drawing.scatter(),
            Kind::Box => drawing.boxes(),
            Kind::Sparkline => Plot::Sparkline(drawing.course()),
            Kind::Tile => drawing.tile(),
        };
        let mut chart = Chart::new(about.title, plot);
        chart.size = self.size;
        chart.theme = about.asked.theme;
        chart.zone = drawing.zone();
        chart.subtitle = completeness(about.complete_until);
        chart.description = drawing.description();
        chart
    }
}

/// Returns up to when a picture is complete, in a line.
#[must_use]
pub fn completeness(until: CompleteUntil) -> String {
    match until {
        CompleteUntil::Unknown => "It is not known yet up to when this is complete".to_owned(),
        CompleteUntil::End => "Complete: everything there was has been read".to_owned(),
        CompleteUntil::At(_) => format!("Complete until {until}"),
    }
}

/// A plan, and all that it makes a chart of.
pub(super) struct Drawing<'a> {
    pub(super) plan: &'a Plan,
    pub(super) about: &'a About<'a>,
    pub(super) rows: &'a Rows,
    /// Length of the windows, s.
    pub(super) step_s: Option<u64>,
}

impl Drawing<'_> {
    pub(super) fn zone(&self) -> TimeZone {
        let name = self.about.asked.tz.as_deref();
        name.and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC)
    }

    fn description(&self) -> String {
        let mut text = self.about.summary.trim().to_owned();
        if !text.is_empty() && !text.ends_with(['.', '!', '?']) {
            text.push('.');
        }
        let by = match &self.plan.by[..] {
            [] => String::new(),
            by => format!(" by {}", by.join(" and ")),
        };
        let measure = self.axis().label;
        let rows = self.table().total;
        let until = completeness(self.about.complete_until);
        format!("{text} {measure}{by}, of {rows} rows. {until}.").trim_start().to_owned()
    }

    pub(super) fn table(&self) -> &Table {
        &self.rows.answer.table
    }

    /// How many names there are besides those that have rows.
    pub(super) fn beyond(&self) -> usize {
        self.rows.beyond.as_ref().map_or(0, |beyond| beyond.count)
    }

    pub(super) fn groups(&self) -> Vec<Group> {
        groups(self.table(), &self.plan.measured, &self.plan.by, self.plan.has_time)
    }

    pub(super) fn rest(&self) -> Rest {
        if self.plan.measured.combine == Combine::Sum { Rest::Sum } else { Rest::Omit }
    }

    /// The axis of what is measured; sums grow with the windows they are of.
    pub(super) fn axis(&self) -> Axis {
        let Measured { column, unit, combine } = &self.plan.measured;
        let asked = self.about.asked;
        let column = column.as_deref().unwrap_or("rows");
        // A unit of which values are shown in other words stands beside them; another is what is counted.
        let (name, unit) = match asked.unit.as_deref().filter(|unit| !unit.is_empty()) {
            Some(own) if is_scaled(own) => (column, own),
            Some(own) => (own, ""),
            None => (column, unit.as_str()),
        };
        let over_time = !matches!(self.plan.kind, Kind::Bar | Kind::StackedBar | Kind::Week);
        let label = match self.step_s.filter(|_| over_time && *combine == Combine::Sum) {
            Some(step_s) if self.plan.has_time => format!("{name} per {}", span(step_s)),
            _ => name.to_owned(),
        };
        let unit = if unit == name { String::new() } else { unit.to_owned() };
        Axis { label, unit, form: asked.y.unwrap_or_default() }
    }

    /// Link and emphasis of a group: those of its first dimension.
    pub(super) fn mark(&self, group: &Group) -> Mark {
        match (self.plan.by.first(), group.keys.first()) {
            (Some(by), Some(Some(value))) => (self.about.mark)(by, value),
            _ => Mark::default(),
        }
    }

    pub(super) fn step_us(&self) -> Option<i64> {
        i64::try_from(self.step_s?).ok()?.checked_mul(1_000_000)
    }

    /// The begin of the window of a shown time.
    pub(super) fn begin_us(&self, shown_us: f64) -> f64 {
        if self.plan.shown_by_end && self.plan.window_s.is_some() {
            shown_us - self.step_us().unwrap_or(0) as f64
        } else {
            shown_us
        }
    }

    /// Groups with their totals, the largest first.
    pub(super) fn ranked(&self) -> Vec<(Group, Option<f64>)> {
        let mut ranked: Vec<_> = self
            .groups()
            .into_iter()
            .map(|group| {
                let value = total(std::slice::from_ref(&group), self.plan.measured.combine);
                (group, value)
            })
            .collect();
        let size = |value: &Option<f64>| value.unwrap_or(f64::NEG_INFINITY);
        ranked.sort_by(|a, b| size(&b.1).total_cmp(&size(&a.1)).then(a.0.name.cmp(&b.0.name)));
        ranked
    }

    pub(super) fn category(&self, group: &Group) -> Category {
        Category { name: group.name.clone(), mark: self.mark(group) }
    }
}

/// A length of time as people say it: `hour`, `5 minutes`.
#[must_use]
pub fn span(seconds: u64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let unit =
        units.into_iter().find(|(length, _)| seconds.is_multiple_of(*length) && seconds >= *length);
    match unit {
        Some((length, name)) if seconds == length => name.to_owned(),
        Some((length, name)) => format!("{} {name}s", seconds / length),
        None => format!("{seconds} seconds"),
    }
}
