//! From the rows that a view shows to a picture of them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use statmill_plugin_api::encoding::Value;

use super::data::{Shown, Sum};
use super::definition::{Dashboard, Kind, Scale, View};
use super::state::State;
use crate::query::TimeStyle;
use crate::render::cell;
use crate::render::svg::{
    Axis, AxisForm, Bars, Category, Chart, Emphasis, Form, Heat, Layer, Lines, Link, Mark, Plot,
    Rest, Series, Size, Sparkline,
};

/// Series of which windows without rows are filled in: those that have a colour, and the first of the rest.
const FILLED: usize = COLOURS + 1;
/// Series with a colour of their own.
const COLOURS: usize = 8;
/// Bars that are drawn.
const MAX_BARS: usize = 20;
/// Units of which a picture knows multiples.
const SCALED: [&str; 7] = ["ms", "s", "us", "µs", "bytes", "%", "percent"];
/// Heights of pictures, px.
const LINE_HEIGHT: u32 = 280;
const BAR_HEIGHT: u32 = 22;
const WEEK_HEIGHT: u32 = 250;
const SPARK_HEIGHT: u32 = 40;

/// Draws what a view shows: `width` px wide, times in `zone`.
#[must_use]
pub fn picture(
    dashboard: &Dashboard,
    view: &View,
    state: &State,
    shown: &Shown,
    zone: &TimeZone,
    width: u32,
) -> Chart {
    let marks = Marks { dashboard, view, state, name: name_of(shown) };
    let (plot, height) = match shown.kind {
        Kind::Bar => bars(view, shown, &marks),
        Kind::Heatmap => (Plot::Heat(week(view, shown, zone)), WEEK_HEIGHT),
        _ => (Plot::Lines(lines(view, shown, &marks)), LINE_HEIGHT),
    };
    let mut chart = Chart::new(view.title.clone(), plot);
    chart.zone = zone.clone();
    chart.size = Size::new(width, height);
    chart.description = format!("Complete until {}.", shown.complete_until);
    chart
}

/// The lines of a view, as they are drawn.
#[must_use]
pub fn series(dashboard: &Dashboard, view: &View, state: &State, shown: &Shown) -> Vec<Series> {
    lines(view, shown, &Marks { dashboard, view, state, name: name_of(shown) }).series
}

/// Draws the course of a value, without axes to read.
#[must_use]
pub fn spark(shown: &Shown, width: u32) -> Chart {
    let course = Sparkline { points: together(shown).points, colour: 0 };
    let mut chart = Chart::new("Course", Plot::Sparkline(course));
    chart.size = Size::new(width, SPARK_HEIGHT);
    chart
}

/// What the values of a view add up to; the newest where they cannot be added up.
#[must_use]
pub fn total(shown: &Shown) -> Value {
    let Some(value) = shown.value else { return Value::Null };
    if !shown.additive {
        return shown.table.rows.last().map_or(Value::Null, |row| row[value].clone());
    }
    let mut sum = Sum::default();
    shown.table.rows.iter().for_each(|row| sum.add(&row[value]));
    sum.value()
}

/// The length of a window in words: `hour`, `5 min`.
#[must_use]
pub fn window_name(window_s: u64) -> String {
    match window_s {
        1 => "second".to_owned(),
        60 => "minute".to_owned(),
        3_600 => "hour".to_owned(),
        86_400 => "day".to_owned(),
        604_800 => "week".to_owned(),
        s if s % 86_400 == 0 => format!("{} days", s / 86_400),
        s if s % 3_600 == 0 => format!("{} h", s / 3_600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// The column that names things, where its values can be chosen.
fn name_of(shown: &Shown) -> Option<String> {
    Some(shown.table.columns[shown.name?].name.clone())
}

/// What choosing a mark of a view does.
struct Marks<'a> {
    dashboard: &'a Dashboard,
    view: &'a View,
    state: &'a State,
    name: Option<String>,
}

impl Marks<'_> {
    fn mark(&self, value: &Value, text: &str) -> Mark {
        let emitted = self.name.as_ref().filter(|name| self.view.emits.contains(name));
        let (Some(name), true) = (emitted, *value != Value::Null) else { return Mark::default() };
        let choice = self.dashboard.choice(self.view, name, text);
        let chosen = self.state.chosen_in(self.dashboard, self.view, name);
        let emphasis = match chosen.contains(&text) {
            _ if chosen.is_empty() => Emphasis::Plain,
            true => Emphasis::Chosen,
            false => Emphasis::Dimmed,
        };
        let link = Link {
            query: self.state.toggled(&choice).pairs(),
            signal: choice.key(),
            value: text.to_owned(),
        };
        Mark { link: Some(link), emphasis }
    }
}

fn axis(view: &View, shown: &Shown) -> Axis {
    let column = shown.value.map(|value| &shown.table.columns[value]);
    let unit = view.unit.clone().or_else(|| column.map(|column| column.unit.clone()));
    let per = match (shown.window_s, shown.kind) {
        (Some(window_s), Kind::Line | Kind::Area) if shown.additive => {
            format!(" per {}", window_name(window_s))
        }
        _ => String::new(),
    };
    let name = || column.map(|column| column.name.clone()).unwrap_or_default();
    // A unit of which values are shown in other words stands beside them; another is what is counted.
    let (what, unit) = match unit.as_deref() {
        None | Some("") => (name(), String::new()),
        Some(unit) if SCALED.contains(&unit) => (name(), unit.to_owned()),
        Some(unit) => (unit.to_owned(), String::new()),
    };
    Axis {
        label: format!("{what}{per}"),
        unit,
        form: match view.y {
            Scale::Zero => AxisForm::Zero,
            Scale::Auto => AxisForm::Auto,
            Scale::Log => AxisForm::Log,
        },
    }
}

fn lines(view: &View, shown: &Shown, marks: &Marks<'_>) -> Lines {
    let form = if shown.kind == Kind::Area { Form::Stack } else { Form::Line };
    let rest = if shown.additive { Rest::Sum } else { Rest::Omit };
    let series = match shown.name {
        Some(name) => by_name(shown, name, marks),
        None => by_value(shown),
    };
    Lines { form, y: axis(view, shown), series, rest, ..Lines::default() }
}

/// One series for each name, the largest first. Where some are chosen, only those have points.
fn by_name(shown: &Shown, name: usize, marks: &Marks<'_>) -> Vec<Series> {
    let (Some(time), Some(value)) = (shown.time, shown.value) else { return Vec::new() };
    let mut names: BTreeMap<&Value, BTreeMap<i64, Sum>> = BTreeMap::new();
    for row in &shown.table.rows {
        if let Value::Time(time_us) = row[time] {
            let windows = names.entry(&row[name]).or_default();
            windows.entry(time_us).or_default().add(&row[value]);
        }
    }
    let size = |windows: &BTreeMap<i64, Sum>| -> f64 {
        windows.values().filter_map(|sum| number(&sum.value())).map(f64::abs).sum()
    };
    let mut names: Vec<_> =
        names.into_iter().map(|(name, windows)| (size(&windows), name, windows)).collect();
    names.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let places = places(shown, time);
    let series = names.into_iter().enumerate().map(|(rank, (_, name, windows))| {
        let text = cell::text(name, TimeStyle::Rfc3339);
        let mark = marks.mark(name, &text);
        let at = |place: &i64| windows.get(place).and_then(|sum| number(&sum.value()));
        let points = match (mark.emphasis, shown.additive && rank < FILLED) {
            (Emphasis::Dimmed, _) => Vec::new(),
            // A window without a row is one in which nothing was counted.
            (_, true) => {
                places.iter().map(|place| (*place as f64, at(place).or(Some(0.0)))).collect()
            }
            (_, false) if shown.additive => {
                windows.keys().map(|place| (*place as f64, at(place))).collect()
            }
            (_, false) => places.iter().map(|place| (*place as f64, at(place))).collect(),
        };
        // Who has no colour of its own is part of the rest, unless it was chosen.
        let colour = match mark.emphasis {
            Emphasis::Chosen => rank % COLOURS,
            _ => rank.min(COLOURS),
        };
        Series { name: text.into_owned(), points, colour: Some(colour), mark }
    });
    series.collect()
}

/// One series for each column of numbers that is of the same sort as the first: quantiles of one thing.
fn by_value(shown: &Shown) -> Vec<Series> {
    let (Some(time), Some(first)) = (shown.time, shown.value) else { return Vec::new() };
    let columns = &shown.table.columns;
    if shown.additive {
        return vec![Series { name: columns[first].name.clone(), ..together(shown) }];
    }
    let is_same = |at: &usize| {
        columns[*at].kind == columns[first].kind && columns[*at].unit == columns[first].unit
    };
    let series = (first..columns.len()).filter(is_same).map(|at| {
        let points = shown.table.rows.iter().filter_map(|row| match row[time] {
            Value::Time(time_us) => Some((time_us as f64, number(&row[at]))),
            _ => None,
        });
        Series { name: columns[at].name.clone(), points: points.collect(), ..Series::default() }
    });
    series.collect()
}

/// All values of each window together.
fn together(shown: &Shown) -> Series {
    let (Some(time), Some(value)) = (shown.time, shown.value) else { return Series::default() };
    let mut windows: BTreeMap<i64, Sum> = BTreeMap::new();
    for row in &shown.table.rows {
        if let Value::Time(time_us) = row[time] {
            windows.entry(time_us).or_default().add(&row[value]);
        }
    }
    let points = places(shown, time).into_iter().map(|place| {
        let sum = windows.get(&place).and_then(|sum| number(&sum.value()));
        (place as f64, sum.or(shown.additive.then_some(0.0)))
    });
    Series { points: points.collect(), ..Series::default() }
}

/// Every window between the first and the last row, µs; those of the rows where they have none.
pub(super) fn places(shown: &Shown, time: usize) -> Vec<i64> {
    let times: BTreeSet<i64> = shown
        .table
        .rows
        .iter()
        .filter_map(|row| if let Value::Time(time_us) = row[time] { Some(time_us) } else { None })
        .collect();
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Vec::new() };
    let step_us =
        shown.window_s.and_then(|window_s| i64::try_from(window_s).ok()?.checked_mul(1_000_000));
    let Some(step_us) = step_us.filter(|step_us| *step_us > 0) else {
        return times.into_iter().collect();
    };
    // However long the time, there are not many more windows than rows can fill.
    let most = times.len().saturating_mul(4).max(2_000);
    if last.saturating_sub(*first) / step_us >= most as i64 {
        return times.into_iter().collect();
    }
    (0..=(last - first) / step_us)
        .map(|at| first + at * step_us)
        .chain(times.iter().copied())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

fn bars(view: &View, shown: &Shown, marks: &Marks<'_>) -> (Plot, u32) {
    let (Some(name), Some(value)) = (shown.name, shown.value) else {
        return (Plot::Bars(Bars::default()), BAR_HEIGHT);
    };
    let rows = &shown.table.rows[..shown.table.rows.len().min(MAX_BARS)];
    let categories = rows.iter().map(|row| {
        let text = cell::text(&row[name], TimeStyle::Rfc3339);
        Category { mark: marks.mark(&row[name], &text), name: text.into_owned() }
    });
    let values = rows.iter().map(|row| number(&row[value])).collect();
    let bars = Bars {
        axis: axis(view, shown),
        categories: categories.collect(),
        layers: vec![Layer { values, ..Layer::default() }],
        rest: Rest::Omit,
        more: shown.table.rows.len() - rows.len(),
    };
    (Plot::Bars(bars), (rows.len() as u32 * BAR_HEIGHT + 40).max(80))
}

/// What each hour of the week adds up to, in the zone that is shown.
fn week(view: &View, shown: &Shown, zone: &TimeZone) -> Heat {
    let mut sums: Vec<Vec<Option<Sum>>> = (0..7).map(|_| (0..24).map(|_| None).collect()).collect();
    if let (Some(time), Some(value)) = (shown.time, shown.value) {
        for row in &shown.table.rows {
            let Value::Time(time_us) = row[time] else { continue };
            // Of a window that shows its end, the hour that it lies in.
            let Ok(start) = Timestamp::from_microsecond(time_us.saturating_sub(shown.after_us))
            else {
                continue;
            };
            let local = start.to_zoned(zone.clone());
            let day = usize::from(local.weekday().to_monday_zero_offset().unsigned_abs());
            let hour = usize::from(local.hour().unsigned_abs());
            sums[day][hour].get_or_insert_default().add(&row[value]);
        }
    }
    let column = shown.value.map(|value| shown.table.columns[value].unit.clone());
    let cells = sums.iter().map(|hours| {
        let value = |sum: &Option<Sum>| sum.as_ref().and_then(|sum| number(&sum.value()));
        hours.iter().map(value).collect()
    });
    Heat::of_week(view.unit.clone().or(column).unwrap_or_default(), cells.collect())
}

pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Num(number) => Some(*number),
        _ => None,
    }
}
