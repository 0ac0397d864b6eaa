//! Where the values of named things lie: a box from quarter to quarter, whiskers to the ends.

use super::axis;
use super::canvas::{Anchor, Area, Canvas, Type, fit_names};
use super::chart::{Boxes, Emphasis, Spread, XAxis};
use super::number::Unit;
use super::path::Path;
use super::scale::{Scale, drawable};

/// The lowest row that can be told from the next, px.
const LOWEST: f64 = 16.0;
/// No more outliers of one thing than this are drawn.
const MOST_OUTLIERS: usize = 200;

/// Draws the boxes into an area.
pub(super) fn draw(canvas: &mut Canvas, mut area: Area, boxes: &Boxes) {
    let numbers =
        |spread: &Spread| [spread.low, spread.lower, spread.median, spread.upper, spread.high];
    let all: Vec<&Spread> = boxes
        .boxes
        .iter()
        .filter(|spread| numbers(spread).iter().all(|value| value.is_finite()))
        .collect();
    if all.is_empty() {
        return canvas.nothing(&area);
    }
    area.bottom -= axis::horizontal_height(&XAxis::Number(boxes.axis.clone()));
    let room = (area.height() / LOWEST).floor().max(1.0) as usize;
    let shown = &all[..all.len().min(room)];
    let total = all.len().saturating_add(boxes.more);
    if shown.len() < total {
        let text = format!("{} of {total} names shown", shown.len());
        area.top += 16.0;
        canvas.text(
            Type::Tick,
            Anchor::Start,
            area.left,
            area.top - 5.0,
            &Type::Tick.fit(&text, area.width()),
        );
    }
    let unit = Unit::of(&boxes.axis.unit);
    let kind = |spread: &Spread| {
        if spread.category.mark.emphasis == Emphasis::Chosen { Type::Chosen } else { Type::Name }
    };
    let names = shown.iter().map(|spread| (kind(spread), spread.category.name.as_str()));
    let names = fit_names(names, area.width() * 0.38);
    let widest =
        shown.iter().zip(&names).map(|(spread, name)| kind(spread).width(name)).fold(0.0, f64::max);
    area.left += widest + 10.0;
    area.right -= 6.0;
    let height = (area.height() / shown.len() as f64).clamp(1.0, 34.0);
    area.bottom = area.top + height * shown.len() as f64;
    let ends = shown.iter().flat_map(|spread| {
        [spread.low, spread.high].into_iter().chain(spread.outliers.iter().copied())
    });
    let scale = axis::numbers(canvas, &area, &boxes.axis, ends, true);
    for (place, spread) in shown.iter().enumerate() {
        let middle = area.top + height * (place as f64 + 0.5);
        let mark = &spread.category.mark;
        canvas.open(mark, &said(spread, &unit));
        canvas.text(kind(spread), Anchor::End, area.left - 10.0, middle + 4.2, &names[place]);
        one(canvas, &scale, spread, middle, (height * 0.32).min(9.0));
        canvas.close(mark);
    }
}

fn one(canvas: &mut Canvas, scale: &Scale, spread: &Spread, middle: f64, half: f64) {
    let emphasis = spread.category.mark.emphasis;
    let [low, lower, median, upper, high] =
        [spread.low, spread.lower, spread.median, spread.upper, spread.high]
            .map(|value| scale.at(value));
    canvas.open_series(0);
    let mut whiskers = Path::default();
    for (from, to) in [(low, lower), (high, upper)] {
        whiskers.start(from, middle - half * 0.5);
        whiskers.line(from, middle + half * 0.5);
        whiskers.start(from, middle);
        whiskers.line(to, middle);
    }
    let (mut outline, mut centre) = (Path::default(), Path::default());
    outline.rectangle(lower, middle - half, upper, middle + half);
    centre.start(median, middle - half);
    centre.line(median, middle + half);
    canvas.fill(&outline, 0.25, emphasis);
    canvas.stroke(&outline, 1.2, emphasis);
    canvas.stroke(&whiskers, 1.2, emphasis);
    canvas.stroke(&centre, 2.6, emphasis);
    let mut last = f64::NAN;
    for value in spread.outliers.iter().filter_map(|value| drawable(*value)).take(MOST_OUTLIERS) {
        let x = scale.at(value);
        if (x - last).abs() < 0.5 {
            continue;
        }
        canvas.dot(x, middle, 2.0, emphasis);
        last = x;
    }
    canvas.close_group();
}

fn said(spread: &Spread, unit: &Unit) -> String {
    let Spread { category, lower, median, upper, .. } = spread;
    let all = || spread.outliers.iter().chain([&spread.low, &spread.high]).copied();
    let (low, high) = (all().fold(f64::MAX, f64::min), all().fold(f64::MIN, f64::max));
    let text = |value: &f64| unit.short(*value);
    format!(
        "{}: median {}, half between {} and {}, all between {} and {}",
        category.name,
        text(median),
        text(lower),
        text(upper),
        text(&low),
        text(&high)
    )
}
