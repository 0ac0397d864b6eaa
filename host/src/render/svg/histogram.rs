//! How often values of which size are, with quantiles marked.

use super::axis;
use super::canvas::{Anchor, Area, Canvas, Type};
use super::chart::{Axis, AxisForm, Bucket, Histogram, XAxis};
use super::number::Unit;
use super::path::Path;
use super::scale::{Scale, drawable};

/// Draws the histogram into an area.
pub(super) fn draw(canvas: &mut Canvas, mut area: Area, histogram: &Histogram) {
    let buckets: Vec<&Bucket> = histogram
        .buckets
        .iter()
        .filter(|bucket| {
            bucket.low.is_finite() && bucket.high.is_finite() && bucket.low <= bucket.high
        })
        .filter(|bucket| bucket.count.is_finite() && bucket.count > 0.0)
        .collect();
    if buckets.is_empty() {
        return canvas.nothing(&area);
    }
    let unit = Unit::of(&histogram.axis.unit);
    let marked: Vec<(&str, f64)> = histogram
        .marked
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), drawable(*value)?)))
        .collect();
    // Above the data, two lines of labels.
    let labels = area.top + 11.0;
    if !marked.is_empty() && area.height() > 110.0 {
        area.top += 28.0;
    }
    area.bottom -= axis::horizontal_height(&XAxis::Number(histogram.axis.clone()));
    // Buckets of unequal width on an even axis would show large where there is little.
    let even = histogram.axis.form != AxisForm::Log;
    let widths = || buckets.iter().map(|bucket| bucket.high - bucket.low);
    let narrowest = widths().filter(|width| *width > 0.0).fold(f64::INFINITY, f64::min);
    let widest = widths().fold(0.0, f64::max);
    let by_width = even && narrowest.is_finite() && widest > narrowest * 1.01;
    let height = |bucket: &Bucket| {
        let width = (bucket.high - bucket.low).max(narrowest);
        if by_width { bucket.count * (narrowest / width) } else { bucket.count }
    };
    let label = match (by_width, histogram.counted.as_str()) {
        (false, counted) => counted.to_owned(),
        (true, "") => format!("per {}", unit.short(narrowest)),
        (true, counted) => format!("{counted} per {}", unit.short(narrowest)),
    };
    let counts = Axis { label, unit: String::new(), form: AxisForm::Zero };
    let y = axis::vertical(canvas, &mut area, &counts, buckets.iter().map(|bucket| height(bucket)));
    area.right -= 2.0;
    let axis =
        Axis { form: if even { AxisForm::Auto } else { AxisForm::Log }, ..histogram.axis.clone() };
    let ends = buckets.iter().flat_map(|bucket| [bucket.low, bucket.high]);
    let x = axis::numbers(canvas, &area, &axis, ends, false);
    let counted = Unit::of(&histogram.counted);
    canvas.open_series(0);
    for bucket in buckets {
        let (left, right) = (x.at(bucket.low), x.at(bucket.high));
        let gap = if right - left >= 4.0 { 1.0 } else { 0.0 };
        let right = (right - gap).max(left + 0.5);
        let range = format!("{} to {}", unit.short(bucket.low), unit.short(bucket.high));
        canvas.open(&bucket.mark, &format!("{range}: {}", counted.exact(bucket.count)));
        let top = y.at(height(bucket));
        canvas.rectangle(Area { left, top, right, bottom: area.bottom }, bucket.mark.emphasis);
        canvas.close(&bucket.mark);
    }
    canvas.close_group();
    marks(canvas, &area, &x, &unit, &marked, labels);
}

/// Draws the marked values, their labels in two lines so that neighbours do not collide.
fn marks(
    canvas: &mut Canvas,
    area: &Area,
    x: &Scale,
    unit: &Unit,
    marked: &[(&str, f64)],
    labels: f64,
) {
    let mut ascending = marked.to_vec();
    ascending.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut free_from = [f64::NEG_INFINITY; 2];
    let mut placed: Vec<(usize, f64, f64, String)> = Vec::new();
    for (at, (name, value)) in ascending.iter().enumerate() {
        let place = x.at(*value);
        let text = Type::Tick.fit(&format!("{name} {}", unit.short(*value)), area.width() * 0.5);
        let width = Type::Tick.width(&text);
        // Right of its line, or left of it where the picture ends.
        let left =
            if place + 3.0 + width <= area.right { place + 3.0 } else { place - 3.0 - width };
        let line = free_from.iter().position(|free| left >= *free);
        if let Some(line) = line.filter(|_| area.top > labels && left >= area.left) {
            let y = labels + line as f64 * 14.0;
            free_from[line] = left + width + 6.0;
            placed.push((at, left, y, text));
        }
    }
    for (at, (name, value)) in ascending.iter().enumerate() {
        let place = x.at(*value);
        let own = placed.iter().find(|label| label.0 == at);
        let crosses = |(other, left, y, text): &(usize, f64, f64, String)| {
            let (from, to) = (left - 1.0, left + Type::Tick.width(text) + 1.0);
            *other != at && own.is_some_and(|own| *y > own.2) && (from..=to).contains(&place)
        };
        // Up to its label, unless another one is in the way.
        let top = own.filter(|_| !placed.iter().any(crosses)).map(|own| own.2 - 9.0);
        let mut path = Path::default();
        path.start(place, top.unwrap_or(area.top));
        path.line(place, area.bottom);
        canvas.raw(format_args!("<g>"));
        canvas.title(&format!("{name}: {}", unit.exact(*value)));
        canvas.dashes(&path);
        if let Some((_, left, y, text)) = own {
            canvas.text(Type::Tick, Anchor::Start, *left, *y, text);
        }
        canvas.close_group();
    }
}
