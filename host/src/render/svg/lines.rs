//! Values over time or over numbers: lines, areas, stacks and columns.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::axis;
use super::canvas::{Area, Canvas};
use super::chart::{Emphasis, Form, Lines, Mark, Series, XAxis};
use super::legend::{self, Entry};
use super::number::Unit;
use super::path::{self, Path};
use super::scale::{Scale, drawable};
use super::series::{self, Place};
use super::time;

/// Draws the lines into an area.
pub(super) fn draw(canvas: &mut Canvas, mut area: Area, lines: &Lines, zone: &TimeZone) {
    let chosen = series::chosen(&lines.series, lines.rest, &lines.others);
    let stack = matches!(lines.form, Form::Stack | Form::Columns { .. })
        .then(|| Stack::of(&chosen.series, lines.range));
    if legend_says_something(&chosen.series) {
        let entries: Vec<Entry<'_>> = chosen
            .series
            .iter()
            .map(|series| Entry { name: &series.name, colour: colour(series), mark: &series.mark })
            .collect();
        legend::draw(canvas, &mut area, &entries, chosen.omitted);
    }
    let Some(range) = range(lines, &chosen.series) else { return canvas.nothing(&area) };
    // Of a picture too low for labels, all is for the data.
    if area.height() >= 70.0 {
        area.bottom -= axis::horizontal_height(&lines.x);
    }
    let shown = |x: f64| (range.0..=range.1).contains(&x);
    let values: Vec<f64> = match &stack {
        Some(stack) => stack.ends().collect(),
        None => {
            let points = chosen.series.iter().flat_map(|series| &series.points);
            points.filter(|point| shown(point.0)).filter_map(|point| point.1).collect()
        }
    };
    let y = axis::vertical(canvas, &mut area, &lines.y, values.into_iter());
    // Half the width of a line would be outside at the right.
    area.right -= 2.0;
    let x = axis::horizontal(canvas, &area, &lines.x, range, zone);
    canvas.plane(&area, range);
    match (&stack, lines.form) {
        (Some(stack), Form::Columns { width }) => {
            columns(canvas, &Plane { lines, zone, x: &x, y: &y }, stack, &chosen.series, width);
        }
        (Some(stack), _) => layers(canvas, &x, &y, stack, &chosen.series),
        (None, form) => {
            // What is chosen lies on top.
            let (dimmed, bright): (Vec<_>, Vec<_>) =
                chosen.series.iter().partition(|series| series.mark.emphasis == Emphasis::Dimmed);
            for series in dimmed.into_iter().chain(bright) {
                line(canvas, &x, &y, series, range, form == Form::Area);
            }
        }
    }
}

/// Where and how columns are drawn.
struct Plane<'a> {
    lines: &'a Lines,
    zone: &'a TimeZone,
    x: &'a Scale,
    y: &'a Scale,
}

/// One series is named by the title, unless choosing it leads somewhere.
fn legend_says_something(series: &[Series]) -> bool {
    match series {
        [] => false,
        [only] => only.mark.link.is_some() && !only.name.is_empty(),
        _ => true,
    }
}

fn colour(series: &Series) -> usize {
    series.colour.unwrap_or(0)
}

/// The range of the axis; `None` if there is nothing to show.
fn range(lines: &Lines, series: &[Series]) -> Option<(f64, f64)> {
    let places = || {
        let points = series.iter().flat_map(|series| &series.points);
        points
            .filter(|point| point.1.is_some_and(f64::is_finite))
            .filter_map(|point| drawable(point.0))
    };
    let given = lines.range.filter(|(from, to)| from.is_finite() && to.is_finite() && from < to);
    let inside = |x: f64| given.is_none_or(|(from, to)| (from..=to).contains(&x));
    places().find(|x| inside(*x))?;
    if given.is_some() {
        return given;
    }
    let (low, high) =
        (places().fold(f64::INFINITY, f64::min), places().fold(f64::NEG_INFINITY, f64::max));
    let after = match lines.form {
        Form::Columns { width } if width.is_finite() => width.max(0.0),
        _ => 0.0,
    };
    // A column alone stands between two of its width.
    let around = if low == high { 2.0 * after } else { 0.0 };
    let (low, high) = (low - around, high + after + around);
    // A point alone stands in the middle of an hour.
    let room = match (low < high, &lines.x) {
        (true, _) => 0.0,
        (false, XAxis::Time) => 1_800e6,
        (false, XAxis::Number(_)) => low.abs().max(1.0) * 0.5,
    };
    Some((low - room, high + room))
}

fn line(canvas: &mut Canvas, x: &Scale, y: &Scale, series: &Series, range: (f64, f64), area: bool) {
    let places = series
        .points
        .iter()
        .filter(|point| (range.0..=range.1).contains(&point.0))
        .map(|point| Some((x.at(point.0), y.at(drawable(point.1?)?))));
    let runs = path::thinned(places);
    let (mut stroke, mut fill) = (Path::default(), Path::default());
    canvas.open(&series.mark, &series.name);
    canvas.open_series(colour(series));
    let emphasis = series.mark.emphasis;
    for run in &runs {
        if let [(x, y)] = run[..] {
            canvas.dot(x, y, 2.5, emphasis);
            continue;
        }
        trace(&mut stroke, run);
        if area {
            trace(&mut fill, run);
            fill.line(run[run.len() - 1].0, y.base());
            fill.line(run[0].0, y.base());
            fill.close(run[0].0, run[0].1);
        }
    }
    canvas.fill(&fill, 0.18, emphasis);
    canvas.stroke(&stroke, if emphasis == Emphasis::Chosen { 2.2 } else { 1.6 }, emphasis);
    canvas.close_group();
    canvas.close(&series.mark);
}

fn trace(path: &mut Path, run: &[(f64, f64)]) {
    for (place, (x, y)) in run.iter().enumerate() {
        if place == 0 { path.start(*x, *y) } else { path.line(*x, *y) }
    }
}

/// Series on top of each other, place by place: values above zero upwards, those below downwards.
struct Stack {
    places: Vec<Pile>,
}

/// A place and, of each series, the two ends of its layer; `None` where it has no value.
type Pile = (f64, Vec<Option<(f64, f64)>>);

impl Stack {
    fn of(series: &[Series], range: Option<(f64, f64)>) -> Self {
        let mut values: BTreeMap<Place, Vec<Option<f64>>> = BTreeMap::new();
        for (layer, series) in series.iter().enumerate() {
            for (x, value) in &series.points {
                if !x.is_finite() || range.is_some_and(|range| !(range.0..=range.1).contains(x)) {
                    continue;
                }
                let place = values.entry(Place(*x)).or_insert_with(|| vec![None]);
                place.resize(place.len().max(layer + 1), None);
                place[layer] = value.and_then(drawable);
            }
        }
        let places = values.into_iter().map(|(place, mut values)| {
            values.resize(series.len(), None);
            let (mut up, mut down) = (0.0, 0.0);
            let ends = values.into_iter().map(|value| {
                let value = value?;
                let end: &mut f64 = if value < 0.0 { &mut down } else { &mut up };
                let start = *end;
                *end = (start + value).clamp(f64::MIN / 4.0, f64::MAX / 4.0);
                Some((start, *end))
            });
            (place.0, ends.collect())
        });
        Self { places: places.collect() }
    }

    fn ends(&self) -> impl Iterator<Item = f64> + '_ {
        // A stack stands on zero.
        let layers = self.places.iter().flat_map(|(_, layers)| layers.iter().flatten());
        layers.flat_map(|(start, end)| [*start, *end])
    }

    /// At most two places per pixel: the lowest and the highest of each.
    fn thinned(&self, x: &Scale) -> Vec<&Pile> {
        let height =
            |place: &Pile| place.1.iter().flatten().map(|(start, end)| end - start).sum::<f64>();
        let mut kept = Vec::new();
        for column in self.places.chunk_by(|a, b| x.at(a.0).floor() == x.at(b.0).floor()) {
            let by_height =
                |a: &usize, b: &usize| height(&column[*a]).total_cmp(&height(&column[*b]));
            let lowest = (0..column.len()).min_by(by_height);
            let highest = (0..column.len()).max_by(by_height);
            let mut places: Vec<usize> = lowest.into_iter().chain(highest).collect();
            places.sort_unstable();
            places.dedup();
            kept.extend(places.into_iter().map(|place| &column[place]));
        }
        kept
    }
}

fn layers(canvas: &mut Canvas, x: &Scale, y: &Scale, stack: &Stack, series: &[Series]) {
    let places = stack.thinned(x);
    for (layer, series) in series.iter().enumerate() {
        let mut path = Path::default();
        // Where a layer has no value it has no height, and none where nothing has one.
        let ends: Vec<Option<(f64, f64, f64)>> = places
            .iter()
            .map(|(place, layers)| {
                let below = layers[..layer].iter().flatten().map(|ends| ends.1).next_back();
                let empty = layers.iter().any(Option::is_some).then(|| below.unwrap_or(0.0));
                let (start, end) = layers[layer].or(empty.map(|level| (level, level)))?;
                Some((x.at(*place), y.at(start), y.at(end)))
            })
            .collect();
        for run in ends.split(Option::is_none) {
            let run: Vec<_> = run.iter().flatten().collect();
            let Some((x, _, top)) = run.first() else { continue };
            if run.len() == 1 {
                path.rectangle(x - 1.0, *top, x + 1.0, run[0].1);
                continue;
            }
            path.start(*x, *top);
            run[1..].iter().for_each(|(x, _, end)| path.line(*x, *end));
            run.iter().rev().for_each(|(x, start, _)| path.line(*x, *start));
            path.close(*x, *top);
        }
        canvas.open(&series.mark, &series.name);
        canvas.open_series(colour(series));
        canvas.fill(&path, 0.85, series.mark.emphasis);
        canvas.close_group();
        canvas.close(&series.mark);
    }
}

fn columns(canvas: &mut Canvas, plane: &Plane<'_>, stack: &Stack, series: &[Series], width: f64) {
    let Plane { lines, zone, x, y } = plane;
    let unit = Unit::of(&lines.y.unit);
    let places = stack.thinned(x);
    // What can be pointed at says what it is; narrow columns are one shape.
    let apart = x.at(x.domain.low + width.max(0.0)) - x.at(x.domain.low) >= 3.0;
    for (layer, series) in series.iter().enumerate() {
        let emphasis = series.mark.emphasis;
        let name =
            if series.name.is_empty() { String::new() } else { format!("{} \u{b7} ", series.name) };
        canvas.open_series(colour(series));
        let mut together = Path::default();
        for (place, layers) in &places {
            let Some((start, end)) = layers[layer] else { continue };
            let (left, right) =
                (x.at(*place), x.at(*place + width.max(0.0)).max(x.at(*place) + 1.0));
            let gap = if right - left >= 4.0 { 1.0 } else { 0.0 };
            let (top, bottom) = (y.at(end).min(y.at(start)), y.at(end).max(y.at(start)));
            let right = (right - gap).min(x.at(x.domain.high) + 1.0);
            if bottom - top < 0.05 {
                continue;
            }
            if !apart {
                together.rectangle(left, top, right, bottom);
                continue;
            }
            let when = match &lines.x {
                XAxis::Time => time::text(*place, zone),
                XAxis::Number(axis) => Unit::of(&axis.unit).exact(*place),
            };
            canvas.open(&series.mark, &format!("{name}{when}: {}", unit.exact(end - start)));
            canvas.rectangle(Area { left, top, right, bottom }, emphasis);
            canvas.close(&series.mark);
        }
        if !together.is_empty() {
            let mark = Mark { link: series.mark.link.clone(), emphasis };
            canvas.open(&mark, &series.name);
            canvas.fill(&together, 1.0, emphasis);
            canvas.close(&mark);
        }
        canvas.close_group();
    }
}
