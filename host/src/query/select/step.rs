//! Which windows are joined: from `step` or `points` to the table that is read and the length of the
//! windows that come out.

use statmill_plugin_api::manifest::{ModelManifest, Stamp};

use super::refused;
use crate::query::params::Query;
use crate::query::run::QueryError;
use crate::query::shape::ModelShape;
use crate::store::{Order, Snapshot, StoredModel};

const SECOND_US: i64 = 1_000_000;

/// What is read, and to what length its windows are joined.
pub(super) struct Plan {
    /// Number of the stored table.
    pub(super) model: usize,
    /// Seconds of the windows shown; none = as they are stored.
    pub(super) step_s: Option<u64>,
}

/// Plans the reading of the stored table `named`, which the query names.
pub(super) fn plan(snapshot: &Snapshot, named: usize, query: &Query) -> Result<Plan, QueryError> {
    let models = snapshot.models();
    let unit_s = unit_s(&models[named].model);
    let step_s = match (query.step_s, query.points, unit_s) {
        (None, None, _) => return Ok(Plan { model: named, step_s: None }),
        (Some(step_s), _, Some(unit_s)) if step_s.is_multiple_of(unit_s) => step_s,
        (Some(step_s), _, Some(unit_s)) => {
            let reason = format!("{step_s} s is no multiple of the model's window");
            return Err(refused("step", reason, &[&format!("a whole multiple of {unit_s} s")]));
        }
        (None, Some(points), Some(unit_s)) => smallest(snapshot, named, query, points, unit_s)?,
        (step, _, None) => {
            let param = if step.is_some() { "step" } else { "points" };
            let reason = "rows of this model have no time".to_owned();
            return Err(refused(param, reason, &["models with a time column"]));
        }
    };
    let model = match query.agg {
        // It is about the windows of this model, not about those that stand for many of them.
        Some(_) => named,
        // Longer windows reach over the bounds.
        None if query.clip && (query.start_us, query.stop_us) != (None, None) => named,
        None => cheapest(snapshot, named, step_s),
    };
    let is_stored = models[model].model.window_s == Some(step_s) && query.agg.is_none();
    Ok(Plan { model, step_s: (!is_stored).then_some(step_s) })
}

/// Windows are joined to multiples of this; of rows whose time is a dimension, to whole seconds.
fn unit_s(model: &ModelManifest) -> Option<u64> {
    let shape = ModelShape::new(model);
    shape.has_time().then(|| model.window_s.unwrap_or(1).max(1))
}

/// The table to join windows of: of the model and its roll-ups the one that reaches back farthest,
/// then the one with the longest windows.
fn cheapest(snapshot: &Snapshot, named: usize, step_s: u64) -> usize {
    let models = snapshot.models();
    let Some(least_s) = models[named].model.window_s else { return named };
    let fits = |stored: &StoredModel| {
        let window_s = stored.model.window_s.filter(|window_s| *window_s >= least_s);
        stored.source == models[named].source
            && window_s.is_some_and(|window_s| step_s.is_multiple_of(window_s))
    };
    let floor = |at: usize| snapshot.floor_us(at).unwrap_or(i64::MIN);
    let candidates = models.iter().enumerate().filter(|(_, stored)| fits(stored));
    let best = candidates
        .min_by_key(|(at, stored)| (floor(*at), std::cmp::Reverse(stored.model.window_s)));
    best.map_or(named, |(at, _)| at)
}

/// The smallest step that leaves at most `points` windows.
fn smallest(
    snapshot: &Snapshot,
    named: usize,
    query: &Query,
    points: u64,
    unit_s: u64,
) -> Result<u64, QueryError> {
    let model = &snapshot.models()[named].model;
    let unit_us = i64::try_from(unit_s).unwrap_or(i64::MAX).saturating_mul(SECOND_US);
    let shape = ModelShape::new(model);
    let all = shape.range(i64::MIN, i64::MAX);
    let edge = |order| match snapshot.scan(named, &all, order, 0).next() {
        Some(row) => Ok::<_, QueryError>(shape.key_time(&row?.0)?),
        None => Ok(None),
    };
    let (Some(first), Some(last)) = (edge(Order::Asc)?, edge(Order::Desc)?) else {
        return Ok(unit_s);
    };
    let (mut first, mut last) = (first.div_euclid(unit_us), last.div_euclid(unit_us));
    if query.clip {
        // The rows are cut to the bounds first, which then leave out no window.
        let place = |shown: i64| shown.saturating_sub(shape.shown_after_us()).div_euclid(unit_us);
        first = query.start_us.map_or(first, |start| first.max(place(start)));
        last = query.stop_us.map_or(last, |stop| last.min(place(stop)));
    }
    let bound = |time_us: Option<i64>| time_us.filter(|_| !query.clip);
    let places = Places {
        first,
        last,
        // Rounded so that only those within the bounds count.
        start: bound(query.start_us).map(|start| start.saturating_sub(1).div_euclid(unit_us)),
        stop: bound(query.stop_us).map(|stop| stop.div_euclid(unit_us)),
        shown_by_end: model.window_s.is_some() && model.stamp == Stamp::End,
    };
    // Rows on both sides of 1970 make two windows at least, of which the reader makes a whole.
    let longest = first.unsigned_abs().max(last.unsigned_abs()).saturating_add(1);
    let times = places.step(points).and_then(|times| u64::try_from(times).ok());
    let times = times.or_else(|| query.clip.then_some(longest));
    times.and_then(|times| times.checked_mul(unit_s)).ok_or_else(|| {
        let reason = format!("no step leaves only {points}: the rows lie on both sides of 1970");
        refused("points", reason, &["2 or more"])
    })
}

/// Where rows and bounds lie, in units of the model's window.
struct Places {
    first: i64,
    last: i64,
    /// The last place before `start`.
    start: Option<i64>,
    stop: Option<i64>,
    /// A window shows its end, which is where the next one begins.
    shown_by_end: bool,
}

impl Places {
    /// How many windows of `times` units may hold rows and are shown.
    fn windows(&self, times: i64) -> u64 {
        let shift = i64::from(self.shown_by_end);
        let start = self.start.map(|start| start.div_euclid(times) + 1 - shift);
        let stop = self.stop.map(|stop| stop.div_euclid(times) - shift);
        let first = self.first.div_euclid(times).max(start.unwrap_or(i64::MIN));
        let last = self.last.div_euclid(times).min(stop.unwrap_or(i64::MAX));
        if first > last { 0 } else { last.abs_diff(first).saturating_add(1) }
    }

    /// The least number of units with which there are at most `points` windows.
    ///
    /// It need not be tried at each number: windows only change where one of the places falls into
    /// another window, and that is seldom when they are long.
    fn step(&self, points: u64) -> Option<i64> {
        // With fewer there would be more windows, however they lie.
        let least = self.windows(1) / points.saturating_add(3);
        let mut times = i64::try_from(least).ok()?.max(1);
        while self.windows(times) > points {
            let places = [Some(self.first), Some(self.last), self.start, self.stop];
            let next = places.into_iter().flatten().filter_map(|place| change(place, times)).min();
            times = next?;
        }
        Some(times)
    }
}

/// The next number of units after `times` that puts `place` into another window.
fn change(place: i64, times: i64) -> Option<i64> {
    let window = place.div_euclid(times);
    match window {
        0 | -1 => None,
        1.. => Some(place / window + 1),
        // It lies in the window before as soon as that one reaches down to it.
        _ => Some((-place).div_euclid(-(window + 1)) + i64::from(-place % -(window + 1) != 0)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_step_is_the_smallest_of_all(
            first in -200i64..200, length in 0i64..400, points in 1u64..30,
            start in prop::option::of(-250i64..250), span in prop::option::of(0i64..300),
            shown_by_end: bool,
        ) {
            let stop = span.map(|span| start.unwrap_or(0) + span);
            let places = Places { first, last: first + length, start, stop, shown_by_end };
            let tried = (1..2_000).find(|times| places.windows(*times) <= points);
            prop_assert_eq!(places.step(points), tried);
        }
    }

    #[test]
    fn a_second_of_many_years_is_found_at_once() {
        let places = Places {
            first: 1,
            last: 9_223_372_036_854,
            start: None,
            stop: None,
            shown_by_end: false,
        };
        assert_eq!(places.step(1), Some(9_223_372_036_855));
        assert!(places.step(7).is_some());
    }
}
