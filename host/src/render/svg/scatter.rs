//! Things by two values each: dots, named where there is room.

use std::collections::HashSet;

use jiff::tz::TimeZone;

use super::axis;
use super::canvas::{Anchor, Area, Canvas, Type};
use super::chart::{Emphasis, Point, Scatter, XAxis};
use super::number::Unit;
use super::path::Path;
use super::scale::drawable;
use super::time;

/// Radius of a dot, px.
const DOT: f64 = 3.5;
/// Half the side of what can be pointed at, px.
const REACH: f64 = 8.0;
/// No more names than this are tried.
const MOST_NAMES: usize = 200;

/// Draws the dots into an area.
pub(super) fn draw(canvas: &mut Canvas, mut area: Area, scatter: &Scatter, zone: &TimeZone) {
    let points: Vec<&Point> =
        scatter.points.iter().filter(|point| point.x.is_finite() && point.y.is_finite()).collect();
    if points.is_empty() {
        return canvas.nothing(&area);
    }
    area.bottom -= axis::horizontal_height(&scatter.x);
    let ys = points.iter().map(|point| point.y);
    let y = axis::vertical(canvas, &mut area, &scatter.y, ys);
    area.right -= DOT;
    let xs = points.iter().filter_map(|point| drawable(point.x));
    let x = match &scatter.x {
        XAxis::Time => {
            let (low, high) = (xs.clone().fold(f64::MAX, f64::min), xs.fold(f64::MIN, f64::max));
            let room = if low < high { 0.0 } else { 1_800e6 };
            axis::horizontal(canvas, &area, &scatter.x, (low - room, high + room), zone)
        }
        XAxis::Number(axis) => axis::numbers(canvas, &area, axis, xs, true),
    };
    let say_x = |value: f64| match &scatter.x {
        XAxis::Time => time::text(value, zone),
        XAxis::Number(axis) => Unit::of(&axis.unit).exact(value),
    };
    let unit = Unit::of(&scatter.y.unit);
    // Of dots on the same pixel one can be seen; what is chosen comes first.
    let mut order = points;
    order.sort_by_key(|point| point.mark.emphasis != Emphasis::Chosen);
    let mut seen = HashSet::new();
    order.retain(|point| seen.insert((x.at(point.x) as i64, y.at(point.y) as i64)));
    let mut taken: Vec<Area> =
        order.iter().map(|point| around(x.at(point.x), y.at(point.y))).collect();
    canvas.open_series(0);
    for (place, point) in order.iter().enumerate() {
        let (px, py) = (x.at(point.x), y.at(point.y));
        let said = format!("{}: {}, {}", point.name, say_x(point.x), unit.exact(point.y));
        canvas.open(&point.mark, said.trim_start_matches(": "));
        if point.mark.link.is_some() {
            // A dot is small for a finger: what is around it leads there, too.
            let mut around = Path::default();
            around.rectangle(px - REACH, py - REACH, px + REACH, py + REACH);
            canvas.fill(&around, 0.0, point.mark.emphasis);
        }
        canvas.dot(px, py, DOT, point.mark.emphasis);
        if place < MOST_NAMES && !point.name.is_empty() {
            name(canvas, &area, &mut taken, point, (px, py));
        }
        canvas.close(&point.mark);
    }
    canvas.close_group();
}

/// Names a dot where neither a dot nor a name is: right, left, above or below of it.
fn name(
    canvas: &mut Canvas,
    area: &Area,
    taken: &mut Vec<Area>,
    point: &Point,
    (x, y): (f64, f64),
) {
    let kind = if point.mark.emphasis == Emphasis::Chosen { Type::Chosen } else { Type::Tick };
    let text = kind.fit(&point.name, (area.width() * 0.3).max(60.0));
    let (width, height) = (kind.width(&text), kind.size());
    let away = DOT + 3.0;
    let places = [
        (x + away, y - height / 2.0),
        (x - away - width, y - height / 2.0),
        (x - width / 2.0, y - away - height),
        (x - width / 2.0, y + away),
    ];
    let place = places.into_iter().map(|(left, top)| Area {
        left,
        top,
        right: left + width,
        bottom: top + height,
    });
    let free = |place: &Area| {
        let inside = place.left >= area.left
            && place.right <= area.right
            && place.top >= area.top
            && place.bottom <= area.bottom;
        inside && !taken.iter().any(|other| overlap(place, other))
    };
    if let Some(place) = place.into_iter().find(free) {
        canvas.text(kind, Anchor::Start, place.left, place.bottom - 2.0, &text);
        taken.push(place);
    }
}

fn around(x: f64, y: f64) -> Area {
    Area { left: x - DOT, top: y - DOT, right: x + DOT, bottom: y + DOT }
}

fn overlap(a: &Area, b: &Area) -> bool {
    a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom
}
