//! The chart that a table makes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::buckets::{evenly, factors, quantile};
use super::params::{Asked, Kind};
use super::plan::{Combine, Measured, Plan};
use super::table::{Group, ends, groups, points, total};
use crate::query::{Answer, CompleteUntil, Query};
use crate::render::svg::{
    Axis, AxisForm, Bars, Boxes, Bucket, Category, Chart, Columns, Form, Heat, Histogram, Layer,
    Lines, Mark, Plot, Point, Rest, Scatter, Series, Sparkline, Spread, Tile, XAxis,
};

/// The most rows of a heat map, boxes and layers.
const MOST_NAMES: usize = 60;
/// The most bars that are cut into layers.
const MOST_BARS: usize = 200;

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
    /// Returns the chart of the rows that answer [`Plan::query`].
    #[must_use]
    pub fn chart(&self, about: &About<'_>, answer: &Answer) -> Chart {
        let step_s = answer.step_s.or(self.window_s);
        let drawing = Drawing { plan: self, about, answer, step_s };
        let plot = match self.kind {
            Kind::Line | Kind::Area | Kind::StackedArea | Kind::Column => drawing.lines(),
            Kind::Bar => drawing.bars(),
            Kind::StackedBar => drawing.stacked_bars(),
            Kind::Heatmap => drawing.heatmap(),
            Kind::Week => drawing.week(),
            Kind::Histogram => drawing.histogram(),
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

struct Drawing<'a> {
    plan: &'a Plan,
    about: &'a About<'a>,
    answer: &'a Answer,
    step_s: Option<u64>,
}

impl Drawing<'_> {
    fn zone(&self) -> TimeZone {
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
        let rows = self.answer.table.total;
        let until = completeness(self.about.complete_until);
        format!("{text} {measure}{by}, of {rows} rows. {until}.").trim_start().to_owned()
    }

    fn groups(&self) -> Vec<Group> {
        groups(&self.answer.table, &self.plan.measured, &self.plan.by, self.plan.has_time)
    }

    fn rest(&self) -> Rest {
        if self.plan.measured.combine == Combine::Sum { Rest::Sum } else { Rest::Omit }
    }

    /// The axis of what is measured; sums grow with the windows they are of.
    fn axis(&self) -> Axis {
        let Measured { column, unit, combine } = &self.plan.measured;
        let name = column.as_deref().unwrap_or("rows");
        let over_time = !matches!(self.plan.kind, Kind::Bar | Kind::StackedBar | Kind::Week);
        let label = match self.step_s.filter(|_| over_time && *combine == Combine::Sum) {
            Some(step_s) if self.plan.has_time => format!("{name} per {}", span(step_s)),
            _ => name.to_owned(),
        };
        let unit = if *unit == name { String::new() } else { unit.clone() };
        Axis { label, unit, form: self.about.asked.y.unwrap_or_default() }
    }

    /// Link and emphasis of a group: those of its first dimension.
    fn mark(&self, group: &Group) -> Mark {
        match (self.plan.by.first(), group.keys.first()) {
            (Some(by), Some(Some(value))) => (self.about.mark)(by, value),
            _ => Mark::default(),
        }
    }

    fn step_us(&self) -> Option<i64> {
        i64::try_from(self.step_s?).ok()?.checked_mul(1_000_000)
    }

    /// The begin of the window of a shown time.
    fn begin_us(&self, shown_us: f64) -> f64 {
        if self.plan.shown_by_end && self.plan.window_s.is_some() {
            shown_us - self.step_us().unwrap_or(0) as f64
        } else {
            shown_us
        }
    }

    fn lines(&self) -> Plot {
        let plan = self.plan;
        let groups = if plan.quantiles.is_empty() { self.groups() } else { self.quantiles() };
        let ends = ends(&groups);
        let step_us = self.step_us();
        let columns = plan.kind == Kind::Column;
        let width = step_us.unwrap_or(0) as f64;
        let series = groups.iter().map(|group| {
            let mut points = points(group, ends, step_us, plan.measured.combine);
            if columns {
                points.iter_mut().for_each(|point| point.0 = self.begin_us(point.0));
            }
            Series { name: group.name.clone(), points, colour: None, mark: self.mark(group) }
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
        })
    }

    /// One series per quantile.
    fn quantiles(&self) -> Vec<Group> {
        let of = |column: &String| {
            let measured = Measured { column: Some(column.clone()), ..self.plan.measured.clone() };
            let mut groups = groups(&self.answer.table, &measured, &[], self.plan.has_time);
            let mut group = groups.pop()?;
            group.name = column
                .rsplit_once("_p")
                .map_or(column.clone(), |(_, name)| format!("p{}", name.replace('_', ".")));
            Some(group)
        };
        self.plan.quantiles.iter().filter_map(of).collect()
    }

    /// Groups with their totals, the largest first.
    fn ranked(&self) -> Vec<(Group, Option<f64>)> {
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

    fn category(&self, group: &Group) -> Category {
        Category { name: group.name.clone(), mark: self.mark(group) }
    }

    /// Rows that match but were not read.
    fn unread(&self) -> usize {
        let unread = self.answer.table.total.saturating_sub(self.answer.table.rows.len() as u64);
        usize::try_from(unread).unwrap_or(usize::MAX)
    }

    fn bars(&self) -> Plot {
        let ranked = self.ranked();
        let unread = self.unread();
        Plot::Bars(Bars {
            axis: self.axis(),
            categories: ranked.iter().map(|(group, _)| self.category(group)).collect(),
            layers: vec![Layer {
                values: ranked.iter().map(|(_, value)| *value).collect(),
                ..Layer::default()
            }],
            rest: if unread > 0 { Rest::Omit } else { self.rest() },
            more: unread,
        })
    }

    fn stacked_bars(&self) -> Plot {
        let plan = self.plan;
        let Some(cut) = &plan.cut else { return self.bars() };
        let all = self.ranked();
        let by: Vec<String> = plan.by.iter().take(1).cloned().chain([cut.clone()]).collect();
        let pairs = groups(&self.answer.table, &plan.measured, &by, plan.has_time);
        let mut sizes: BTreeMap<&Option<String>, f64> = BTreeMap::new();
        let mut cells: BTreeMap<[&Option<String>; 2], f64> = BTreeMap::new();
        for pair in &pairs {
            let Some(value) = total(std::slice::from_ref(pair), plan.measured.combine) else {
                continue;
            };
            *sizes.entry(&pair.keys[1]).or_default() += value;
            cells.insert([&pair.keys[0], &pair.keys[1]], value);
        }
        let mut layers: Vec<_> = sizes.into_iter().collect();
        layers.sort_by(|a, b| b.1.total_cmp(&a.1));
        let ranked = &all[..all.len().min(MOST_BARS)];
        let values = |layer: &Option<String>| {
            let of = |(group, _): &(Group, _)| cells.get(&[&group.keys[0], layer]).copied();
            ranked.iter().map(of).collect()
        };
        Plot::Bars(Bars {
            axis: self.axis(),
            categories: ranked.iter().map(|(group, _)| self.category(group)).collect(),
            layers: layers
                .iter()
                .take(MOST_NAMES)
                .map(|(name, _)| Layer {
                    name: (*name).clone().unwrap_or_else(|| "none".to_owned()),
                    values: values(name),
                    colour: None,
                    mark: name
                        .as_ref()
                        .map_or(Mark::default(), |name| (self.about.mark)(cut, name)),
                })
                .collect(),
            rest: self.rest(),
            more: self.unread().saturating_add(all.len() - ranked.len()),
        })
    }

    fn heatmap(&self) -> Plot {
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
        })
    }

    fn week(&self) -> Plot {
        let zone = self.zone();
        let all = groups(&self.answer.table, &self.plan.measured, &[], true);
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

    fn histogram(&self) -> Plot {
        let axis = self.axis();
        if !self.plan.has_time && !self.plan.by.is_empty() {
            return self.counted();
        }
        let mut values: Vec<f64> =
            self.groups().iter().flat_map(|group| group.values.values().copied()).collect();
        values.sort_by(f64::total_cmp);
        let marked = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)]
            .map(|(name, part)| (name.to_owned(), quantile(&values, part).unwrap_or(f64::NAN)));
        let log = axis.form == AxisForm::Log;
        Plot::Histogram(Histogram {
            buckets: if log { factors(&values) } else { evenly(&values) },
            axis,
            counted: "windows".to_owned(),
            marked: marked.to_vec(),
        })
    }

    /// Of a model that counts by a number.
    fn counted(&self) -> Plot {
        let groups = self.groups();
        let of = |group: &Group| {
            let low: f64 = group.keys.first()?.as_ref()?.parse().ok()?;
            Some((low, total(std::slice::from_ref(group), Combine::Sum)?, self.mark(group)))
        };
        let mut counts: Vec<_> = groups.iter().filter_map(of).collect();
        counts.sort_by(|a, b| a.0.total_cmp(&b.0));
        let buckets = counts.into_iter().map(|(low, count, mark)| Bucket {
            low,
            high: low + 1.0,
            count,
            mark,
        });
        let axis = self.axis();
        let x = Axis {
            label: self.plan.by.first().cloned().unwrap_or_default(),
            unit: String::new(),
            form: AxisForm::Auto,
        };
        let counted = if axis.unit.is_empty() { axis.label } else { axis.unit };
        Plot::Histogram(Histogram {
            axis: x,
            counted,
            buckets: buckets.collect(),
            marked: Vec::new(),
        })
    }

    fn scatter(&self) -> Plot {
        let across = self.plan.across.as_ref();
        let ups = self.groups();
        let rights = across
            .map(|across| groups(&self.answer.table, across, &self.plan.by, self.plan.has_time));
        let mut dots = Vec::new();
        for group in &ups {
            let right =
                rights.as_ref().and_then(|all| all.iter().find(|other| other.keys == group.keys));
            for (time, y) in &group.values {
                let x = match (&rights, right) {
                    (None, _) => *time as f64,
                    (Some(_), Some(right)) => match right.values.get(time) {
                        Some(x) => *x,
                        None => continue,
                    },
                    (Some(_), None) => continue,
                };
                dots.push(Point { name: group.name.clone(), x, y: *y, mark: self.mark(group) });
            }
        }
        let x = across.map(|across| {
            XAxis::Number(Axis {
                label: across.column.clone().unwrap_or_default(),
                unit: across.unit.clone(),
                form: AxisForm::Auto,
            })
        });
        Plot::Scatter(Scatter { x: x.unwrap_or_default(), y: self.axis(), points: dots })
    }

    fn boxes(&self) -> Plot {
        let ranked = self.ranked();
        let boxes = ranked.iter().take(MOST_NAMES).filter_map(|(group, _)| {
            let mut values: Vec<f64> = group.values.values().copied().collect();
            values.sort_by(f64::total_cmp);
            let [lower, median, upper] = [0.25, 0.5, 0.75].map(|part| quantile(&values, part));
            let (lower, median, upper) = (lower?, median?, upper?);
            // Whiskers reach to the last value within one and a half boxes.
            let reach = 1.5 * (upper - lower);
            let inside = |value: &&f64| (lower - reach..=upper + reach).contains(*value);
            Some(Spread {
                category: self.category(group),
                low: values.iter().find(inside).copied().unwrap_or(lower),
                high: values.iter().rfind(inside).copied().unwrap_or(upper),
                outliers: values.iter().filter(|value| !inside(value)).copied().collect(),
                lower,
                median,
                upper,
            })
        });
        Plot::Boxes(Boxes { axis: self.axis(), boxes: boxes.collect() })
    }

    fn course(&self) -> Sparkline {
        let plan = self.plan;
        let all = groups(&self.answer.table, &plan.measured, &[], plan.has_time);
        let ends = ends(&all);
        let points =
            all.first().map(|group| points(group, ends, self.step_us(), plan.measured.combine));
        Sparkline { points: points.unwrap_or_default(), colour: 0 }
    }

    fn tile(&self) -> Plot {
        let plan = self.plan;
        let all = groups(&self.answer.table, &plan.measured, &[], plan.has_time);
        let newest = || all.first().and_then(|group| group.values.values().next_back().copied());
        let whole = total(&all, plan.measured.combine);
        let note = if whole.is_none() && newest().is_some() { "newest window" } else { "" };
        Plot::Tile(Tile {
            label: self.about.title.to_owned(),
            value: whole.or_else(newest),
            unit: plan.measured.unit.clone(),
            note: note.to_owned(),
            course: if plan.has_time { self.course() } else { Sparkline::default() },
            mark: Mark::default(),
        })
    }
}

/// A length of time as people say it.
fn span(seconds: u64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let unit =
        units.into_iter().find(|(length, _)| seconds.is_multiple_of(*length) && seconds >= *length);
    match unit {
        Some((length, name)) if seconds == length => name.to_owned(),
        Some((length, name)) => format!("{} {name}s", seconds / length),
        None => format!("{seconds} seconds"),
    }
}
