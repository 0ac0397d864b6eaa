//! Small pictures: the course of a value without axes, and one number.

use super::canvas::{Anchor, Area, Canvas, Type};
use super::chart::{Emphasis, Sparkline, Tile};
use super::number::Unit;
use super::path::{self, Path};
use super::scale::{Scale, drawable};

/// Draws the course of a value: a line over a tinted area, its last value as a dot.
pub(super) fn sparkline(canvas: &mut Canvas, mut area: Area, sparkline: &Sparkline) {
    let drawn = || {
        let points = sparkline.points.iter().filter(|point| point.0.is_finite());
        points.filter_map(|point| Some((drawable(point.0)?, drawable(point.1?)?)))
    };
    let Some(last) = drawn().next_back() else { return };
    // The dot must not be cut.
    area.right -= 3.0;
    area.top += 3.0;
    area.bottom -= 1.0;
    let fold = |pick: fn(&(f64, f64)) -> f64| {
        drawn()
            .map(|point| pick(&point))
            .fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)))
    };
    let ((from, to), (low, high)) = (fold(|point| point.0), fold(|point| point.1));
    // Counts stand on zero; what lies far from it is shown by itself.
    let low = if low >= 0.0 && low < high * 0.75 { 0.0 } else { low };
    let x = Scale::plain(from, to, area.left, area.right);
    let y = Scale::plain(low, high, area.bottom, area.top);
    let places = sparkline.points.iter().filter(|point| point.0.is_finite()).map(|point| {
        let value = drawable(point.1?)?;
        Some((x.at(drawable(point.0)?), y.at(value)))
    });
    let (mut stroke, mut fill) = (Path::default(), Path::default());
    for run in path::thinned(places) {
        for (place, (x, y)) in run.iter().enumerate() {
            let step = if place == 0 { Path::start } else { Path::line };
            step(&mut stroke, *x, *y);
            step(&mut fill, *x, *y);
        }
        let (first, last) = (run[0], run[run.len() - 1]);
        fill.line(last.0, area.bottom);
        fill.line(first.0, area.bottom);
        fill.close(first.0, first.1);
    }
    canvas.open_series(sparkline.colour);
    canvas.fill(&fill, 0.15, Emphasis::Plain);
    canvas.stroke(&stroke, 1.4, Emphasis::Plain);
    canvas.dot(x.at(last.0), y.at(last.1), 2.4, Emphasis::Plain);
    canvas.close_group();
}

/// Draws a number, as large as there is room for.
pub(super) fn tile(canvas: &mut Canvas, mut area: Area, tile: &Tile) {
    let unit = Unit::of(&tile.unit);
    let value = tile.value.and_then(drawable);
    let short = value.map_or_else(|| "\u{2013}".to_owned(), |value| unit.short(value));
    let exact = value.map_or_else(|| "no value".to_owned(), |value| unit.exact(value));
    canvas.open(&tile.mark, &format!("{}: {exact}", tile.label));
    let label = Type::Tick.fit(&tile.label, area.width());
    canvas.text(Type::Tick, Anchor::Start, area.left, area.top + 11.0, &label);
    area.top += 16.0;
    if !tile.note.is_empty() && area.height() >= 40.0 {
        let note = Type::Tick.fit(&tile.note, area.width());
        canvas.text(Type::Tick, Anchor::Start, area.left, area.bottom - 3.0, &note);
        area.bottom -= 17.0;
    }
    let beside = if unit.is_written() { "" } else { unit.name() };
    let wanted = if tile.course.points.is_empty() { area.height() } else { area.height() * 0.55 };
    let wide = Type::Number(1.0).width(&short).max(0.1);
    let size = wanted.min(area.width() / wide).clamp(8.0, 40.0).floor();
    let kind = Type::Number(size);
    let text = kind.fit(&short, area.width());
    let end = area.left + kind.width(&text) + 6.0;
    let beside = Type::Tick.fit(beside, area.right - end);
    let place = (area.left, area.top + size * 0.92);
    canvas.text_and(kind, Anchor::Start, place, &text, &beside);
    area.top += size * 1.15;
    if area.height() >= 8.0 {
        sparkline(canvas, area, &tile.course);
    }
    canvas.close(&tile.mark);
}
