//! The picture of what a view shows: what its marks lead to, and how large it is.

use jiff::tz::TimeZone;

use super::data::Shown;
use super::definition::{Dashboard, View};
use super::state::State;
use crate::render::picture::About;
use crate::render::svg::{Chart, Emphasis, Link, Mark, Plot, Series, Size, Sparkline};

/// Bars, boxes and rows for which there is room.
const MOST_NAMES: usize = 20;
/// Heights of pictures, px.
const HEIGHT: u32 = 280;
const WEEK_HEIGHT: u32 = 250;
const SPARK_HEIGHT: u32 = 40;

/// Draws what a view shows: `width` px wide, times in `zone`; `None` if that is no picture.
#[must_use]
pub fn picture(
    dashboard: &Dashboard,
    view: &View,
    state: &State,
    shown: &Shown,
    zone: &TimeZone,
    width: u32,
) -> Option<Chart> {
    let drawn = shown.picture.as_ref()?;
    let mark = |name: &str, value: &str| mark(dashboard, view, state, name, value);
    let about = About {
        title: &view.title,
        summary: "",
        complete_until: shown.complete_until,
        asked: &drawn.asked,
        query: &drawn.query,
        mark: &mark,
    };
    let mut chart = drawn.plan.chart(&about, &drawn.rows);
    let room = |count: usize, each: u32, around: u32| {
        u32::try_from(count.clamp(1, MOST_NAMES)).unwrap_or(1) * each + around
    };
    let height = match &chart.plot {
        Plot::Bars(bars) => room(bars.categories.len(), 22, 40).max(80),
        Plot::Boxes(boxes) => room(boxes.boxes.len(), 28, 56),
        Plot::Heat(heat) if heat.rows.len() == 7 => WEEK_HEIGHT,
        Plot::Heat(heat) => room(heat.rows.len(), 16, 80),
        Plot::Sparkline(_) => SPARK_HEIGHT,
        _ => HEIGHT,
    };
    chart.zone = zone.clone();
    chart.size = Size::new(width, height);
    Some(chart)
}

/// The lines of a view, as they are drawn.
#[must_use]
pub fn series(dashboard: &Dashboard, view: &View, state: &State, shown: &Shown) -> Vec<Series> {
    let chart = picture(dashboard, view, state, shown, &TimeZone::UTC, 0);
    match chart.map(|chart| chart.plot) {
        Some(Plot::Lines(lines)) => lines.series,
        _ => Vec::new(),
    }
}

/// Draws the course of a number, without axes to read; `None` if it has none.
#[must_use]
pub fn spark(chart: &Chart, width: u32) -> Option<Chart> {
    let Plot::Tile(tile) = &chart.plot else { return None };
    if tile.course.points.len() < 2 {
        return None;
    }
    let course = Sparkline { points: tile.course.points.clone(), colour: 0 };
    let mut chart = Chart::new("Course", Plot::Sparkline(course));
    chart.size = Size::new(width, SPARK_HEIGHT);
    Some(chart)
}

/// What choosing a value does, and how it stands out as others are chosen.
fn mark(dashboard: &Dashboard, view: &View, state: &State, name: &str, value: &str) -> Mark {
    if !view.emits.iter().any(|emitted| emitted == name) {
        return Mark::default();
    }
    let choice = dashboard.choice(view, name, value);
    let chosen = state.chosen_in(dashboard, view, name);
    let emphasis = match chosen.contains(&value) {
        _ if chosen.is_empty() => Emphasis::Plain,
        true => Emphasis::Chosen,
        false => Emphasis::Dimmed,
    };
    let link = Link {
        query: state.toggled(&choice).pairs(),
        signal: choice.key(),
        value: value.to_owned(),
    };
    Mark { link: Some(link), emphasis }
}
