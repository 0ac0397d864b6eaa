//! Axes: their ticks, labels and grid, and what they leave of the area for the data.

use jiff::tz::TimeZone;

use super::canvas::{Anchor, Area, Canvas, Type};
use super::chart::{Axis, XAxis};
use super::number::Unit;
use super::path::Path;
use super::scale::{Domain, Scale};
use super::time;

/// Height of a line of ticks, px.
const LINE: f64 = 14.0;

/// Draws the axis of values on the left, with a grid across; `area` becomes what is left.
pub(super) fn vertical(
    canvas: &mut Canvas,
    area: &mut Area,
    axis: &Axis,
    values: impl Iterator<Item = f64>,
) -> Scale {
    let unit = Unit::of(&axis.unit);
    let label = label(axis, &unit);
    if !label.is_empty() && area.height() > 90.0 {
        let text = Type::Tick.fit(&label, area.width());
        canvas.text(Type::Tick, Anchor::Start, area.left, area.top + 10.0, &text);
        area.top += 18.0;
    } else {
        // Half a label stands above the highest tick.
        area.top += 5.0;
    }
    let wanted = (area.height() / 46.0).round().clamp(1.0, 10.0) as usize;
    let domain = Domain::of(values, axis.form, |largest| unit.divisor(largest), wanted);
    let texts: Vec<String> = domain
        .ticks
        .iter()
        .map(|tick| unit.tick(*tick, domain.step(*tick), domain.unit_of(*tick)))
        .collect();
    let widest = texts.iter().map(|text| Type::Tick.width(text)).fold(0.0, f64::max);
    // Labels never take more than the data.
    let labelled = widest + 8.0 <= area.width() * 0.4;
    let start = area.left;
    if labelled {
        area.left += widest + 8.0;
    }
    let scale = Scale::new(domain, area.bottom, area.top);
    let mut grid = Path::default();
    let mut free_below = f64::INFINITY;
    for (tick, text) in scale.domain.ticks.iter().zip(&texts) {
        let y = scale.at(*tick).round() + 0.5;
        grid.start(area.left, y);
        grid.line(area.right, y);
        // Ticks of factors lie closer the larger they are.
        if labelled && y + 12.0 <= free_below {
            canvas.text(Type::Tick, Anchor::End, start + widest, y + 3.5, text);
            free_below = y;
        }
    }
    canvas.rule(&grid, false);
    scale
}

/// Draws the axis along the bottom; `range` is what it shows. The area's bottom is the axis.
pub(super) fn horizontal(
    canvas: &mut Canvas,
    area: &Area,
    axis: &XAxis,
    range: (f64, f64),
    zone: &TimeZone,
) -> Scale {
    match axis {
        XAxis::Time => {
            let scale = Scale::plain(range.0, range.1, area.left, area.right);
            times(canvas, area, &scale, zone);
            scale
        }
        XAxis::Number(axis) => {
            let values = [range.0, range.1].into_iter();
            numbers(canvas, area, axis, values, false)
        }
    }
}

/// Height that [`horizontal`] needs below the area.
pub(super) fn horizontal_height(axis: &XAxis) -> f64 {
    match axis {
        XAxis::Time => 2.0 * LINE + 6.0,
        XAxis::Number(axis) if label(axis, &Unit::of(&axis.unit)).is_empty() => LINE + 6.0,
        XAxis::Number(_) => 2.0 * LINE + 8.0,
    }
}

/// Draws ticks of times along the bottom.
fn times(canvas: &mut Canvas, area: &Area, scale: &Scale, zone: &TimeZone) {
    let (low, high) = (scale.domain.low, scale.domain.high);
    let mut most = (area.width() / 52.0).floor().clamp(1.0, 40.0) as usize;
    // The labels' width is known once the step is.
    let ticks = loop {
        let ticks = time::ticks(low, high, most, zone);
        let widest =
            ticks.iter().map(|tick| Type::Tick.width(&tick.label)).fold(0.0, f64::max) + 14.0;
        let closest = ticks
            .windows(2)
            .map(|pair| scale.at(pair[1].time_us) - scale.at(pair[0].time_us))
            .fold(f64::INFINITY, f64::min);
        if closest >= widest || most == 1 {
            break ticks;
        }
        most -= 1;
    };
    let mut marks = Path::default();
    let mut context_end = f64::NEG_INFINITY;
    for tick in &ticks {
        let x = scale.at(tick.time_us);
        marks.start(x, area.bottom);
        marks.line(x, area.bottom + 4.0);
        let y = area.bottom + 4.0 + 11.0;
        centred(canvas, area, x, y, &tick.label);
        let width = Type::Tick.width(&tick.context);
        if !tick.context.is_empty() {
            let left = kept_inside(area, x, width) - width / 2.0;
            if left > context_end {
                centred(canvas, area, x, y + LINE, &tick.context);
                context_end = left + width + 6.0;
            }
        }
    }
    marks.start(area.left, area.bottom);
    marks.line(area.right, area.bottom);
    canvas.rule(&marks, true);
}

/// Draws ticks of numbers along the bottom, and a grid where `grid` says so.
pub(super) fn numbers(
    canvas: &mut Canvas,
    area: &Area,
    axis: &Axis,
    values: impl Iterator<Item = f64>,
    grid: bool,
) -> Scale {
    let unit = Unit::of(&axis.unit);
    let wanted = (area.width() / 80.0).round().clamp(1.0, 12.0) as usize;
    let domain = Domain::of(values, axis.form, |largest| unit.divisor(largest), wanted);
    let scale = Scale::new(domain, area.left, area.right);
    let mut lines = Path::default();
    let mut taken_until = f64::NEG_INFINITY;
    for tick in &scale.domain.ticks {
        let x = scale.at(*tick);
        let text = unit.tick(*tick, scale.domain.step(*tick), scale.domain.unit_of(*tick));
        let width = Type::Tick.width(&text);
        lines.start(x, if grid { area.top } else { area.bottom });
        lines.line(x, area.bottom + 4.0);
        let middle = kept_inside(area, x, width);
        if middle - width / 2.0 > taken_until {
            centred(canvas, area, x, area.bottom + 15.0, &text);
            taken_until = middle + width / 2.0 + 8.0;
        }
    }
    canvas.rule(&lines, false);
    let mut foot = Path::default();
    foot.start(area.left, area.bottom);
    foot.line(area.right, area.bottom);
    canvas.rule(&foot, true);
    let label = label(axis, &unit);
    let text = Type::Tick.fit(&label, area.width());
    canvas.text(Type::Tick, Anchor::End, area.right, area.bottom + 15.0 + LINE, &text);
    scale
}

/// Writes a text below a place, moved as far as it must be to stay in the picture.
pub(super) fn centred(canvas: &mut Canvas, area: &Area, x: f64, y: f64, text: &str) {
    let width = Type::Tick.width(text);
    if width <= area.width() + 8.0 {
        canvas.text(Type::Tick, Anchor::Middle, kept_inside(area, x, width), y, text);
    }
}

fn kept_inside(area: &Area, x: f64, width: f64) -> f64 {
    // Left of the area are the labels of the values, above these texts.
    let (low, high) = (area.left + width / 2.0 - 8.0, area.right - width / 2.0 + 4.0);
    x.min(high).max(low)
}

/// What is said of an axis: its label, and the unit where the ticks do not say it.
fn label(axis: &Axis, unit: &Unit) -> String {
    match (axis.label.is_empty(), unit.is_written()) {
        (_, true) => axis.label.clone(),
        (true, false) => unit.name().to_owned(),
        (false, false) => format!("{} ({})", axis.label, unit.name()),
    }
}
