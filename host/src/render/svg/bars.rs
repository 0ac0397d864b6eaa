//! Values of named things as bars from left to right: name, bar, value.

use super::canvas::{Anchor, Area, Canvas, Type, fit_names};
use super::chart::{AxisForm, Bars, Category, Emphasis, Layer, Mark, Rest};
use super::legend::{self, Entry};
use super::number::Unit;
use super::palette::COLOURS;
use super::path::Path;
use super::scale::{Domain, Scale, drawable};

/// The lowest and the highest row, px.
const ROW: (f64, f64) = (15.0, 30.0);

impl Bars {
    /// Returns the height, px, that wastes no room; without heading and legend, and with at most
    /// so many bars.
    #[must_use]
    pub fn height(&self, most: usize) -> u32 {
        let bars = u32::try_from(self.categories.len().clamp(1, most.max(1)));
        bars.unwrap_or(u32::MAX).saturating_mul(22).saturating_add(8)
    }
}

/// A row of the picture.
struct Row {
    name: String,
    mark: Mark,
    /// One value per layer.
    values: Vec<Option<f64>>,
}

impl Row {
    /// The sum of its values, if it has any.
    fn total(&self) -> Option<f64> {
        let values = self.values.iter().flatten();
        values.copied().reduce(|sum, value| (sum + value).clamp(f64::MIN / 4.0, f64::MAX / 4.0))
    }
}

/// Draws the bars into an area.
pub(super) fn draw(canvas: &mut Canvas, mut area: Area, bars: &Bars) {
    let layers = layers(&bars.layers, bars.rest);
    if layers.len() > 1 {
        let entries: Vec<Entry<'_>> = layers
            .iter()
            .map(|layer| Entry {
                name: &layer.name,
                colour: layer.colour.unwrap_or(0),
                mark: &layer.mark,
            })
            .collect();
        legend::draw(canvas, &mut area, &entries, 0);
    }
    let (rows, omitted) = rows(bars, &layers, (area.height() / ROW.0).floor() as usize);
    if rows.is_empty() {
        return canvas.nothing(&area);
    }
    if omitted > 0 {
        area.bottom -= 16.0;
        let text = Type::Tick.fit(&format!("and {omitted} more"), area.width());
        canvas.text(Type::Tick, Anchor::Start, area.left, area.bottom + 12.0, &text);
    }
    let unit = Unit::of(&bars.axis.unit);
    let values: Vec<String> = rows.iter().map(|row| value_text(&unit, row.total())).collect();
    let widest = |texts: &mut dyn Iterator<Item = &str>| {
        texts.map(|text| Type::Name.width(text)).fold(0.0, f64::max)
    };
    let for_values = widest(&mut values.iter().map(String::as_str)).min(area.width() * 0.3);
    let names = rows.iter().map(|row| (name_type(row), row.name.as_str()));
    let names = fit_names(names, area.width() * 0.38);
    let for_names =
        rows.iter().zip(&names).map(|(row, name)| name_type(row).width(name)).fold(0.0, f64::max);
    let left = area.left + for_names + 8.0;
    let right = area.right - for_values - 8.0;
    let form = if bars.axis.form == AxisForm::Log { AxisForm::Log } else { AxisForm::Zero };
    let ends = rows.iter().flat_map(|row| {
        let negative: f64 = row.values.iter().flatten().filter(|value| **value < 0.0).sum();
        let positive: f64 = row.values.iter().flatten().filter(|value| **value > 0.0).sum();
        [negative, positive]
    });
    let scale = tight(Domain::of(ends.clone(), form, |_| 1.0, 4), ends, left, right);
    let height = (area.height() / rows.len() as f64).clamp(1.0, ROW.1);
    let mut foot = Path::default();
    foot.start(scale.base(), area.top);
    foot.line(scale.base(), area.top + height * rows.len() as f64);
    canvas.rule(&foot, true);
    for (place, row) in rows.iter().enumerate() {
        let top = area.top + height * place as f64;
        let text_y = top + height / 2.0 + 4.2;
        canvas.open(&row.mark, &label(row, &layers, &unit));
        canvas.text(name_type(row), Anchor::End, left - 8.0, text_y, &names[place]);
        let band = (top + height * 0.16, top + height * 0.84);
        let end = draw_layers(canvas, row, &layers, &scale, band);
        // A value stands right of its bar, also of one that goes to the left.
        let text = Type::Name.fit(&values[place], area.right - end - 6.0);
        canvas.text(Type::Name, Anchor::Start, end + 6.0, text_y, &text);
        canvas.close(&row.mark);
    }
}

/// Draws the layers of a row end to end; returns where the last one ends on the right.
fn draw_layers(
    canvas: &mut Canvas,
    row: &Row,
    layers: &[Layer],
    scale: &Scale,
    (top, bottom): (f64, f64),
) -> f64 {
    let (mut up, mut down) = (0.0_f64, 0.0_f64);
    for (layer, value) in layers.iter().zip(&row.values) {
        let Some(value) = *value else { continue };
        let from = if value < 0.0 { down } else { up };
        let to = (from + value).clamp(f64::MIN / 4.0, f64::MAX / 4.0);
        *(if value < 0.0 { &mut down } else { &mut up }) = to;
        let (a, b) = (scale.at(from), scale.at(to));
        let area = Area { left: a.min(b), top, right: a.max(b), bottom };
        let emphasis = match (row.mark.emphasis, layer.mark.emphasis) {
            (Emphasis::Dimmed, _) | (_, Emphasis::Dimmed) => Emphasis::Dimmed,
            (other, _) => other,
        };
        canvas.open_series(layer.colour.unwrap_or(0));
        canvas.rectangle(area, emphasis);
        canvas.close_group();
    }
    scale.at(up).max(scale.base())
}

/// Lays a domain out with no room beyond the values: bars have no ticks that would need it.
fn tight(domain: Domain, ends: impl Iterator<Item = f64> + Clone, left: f64, right: f64) -> Scale {
    if domain.ticks.first().is_some_and(|first| *first > 0.0) {
        return Scale::new(domain, left, right.max(left));
    }
    let ends = ends.filter_map(drawable);
    let low = ends.clone().fold(0.0, f64::min);
    let high = ends.fold(0.0, f64::max);
    Scale::plain(low, high, left, right.max(left))
}

fn name_type(row: &Row) -> Type {
    if row.mark.emphasis == Emphasis::Chosen { Type::Chosen } else { Type::Name }
}

fn value_text(unit: &Unit, value: Option<f64>) -> String {
    value.map_or_else(|| "\u{2013}".to_owned(), |value| unit.short(value))
}

/// What is read out of a row: its name and all its values.
fn label(row: &Row, layers: &[Layer], unit: &Unit) -> String {
    let total = row.total().map_or_else(|| "no value".to_owned(), |total| unit.exact(total));
    let mut label = format!("{}: {total}", row.name);
    if layers.len() > 1 {
        let parts = layers
            .iter()
            .zip(&row.values)
            .filter_map(|(layer, value)| Some(format!("{} {}", layer.name, unit.exact((*value)?))));
        let parts: Vec<String> = parts.collect();
        label.push_str(&format!(" ({})", parts.join(", ")));
    }
    label
}

/// The layers that are drawn: no more than there are colours.
fn layers(layers: &[Layer], rest: Rest) -> Vec<Layer> {
    let mut drawn: Vec<Layer> = layers.iter().take(COLOURS).cloned().collect();
    for (place, layer) in drawn.iter_mut().enumerate() {
        layer.colour = Some(layer.colour.unwrap_or(place));
    }
    let others = &layers[drawn.len()..];
    if rest == Rest::Sum && !others.is_empty() {
        let count = others.iter().map(|layer| layer.values.len()).max().unwrap_or(0);
        let sums = (0..count).map(|place| sum(others.iter().map(|layer| value(layer, place))));
        drawn.push(Layer {
            name: format!("other ({})", others.len()),
            values: sums.collect(),
            colour: Some(COLOURS),
            mark: Mark::default(),
        });
    }
    drawn
}

/// The rows for which there is room, and how many others are not drawn.
fn rows(bars: &Bars, layers: &[Layer], room: usize) -> (Vec<Row>, usize) {
    let row = |(place, category): (usize, &Category)| Row {
        name: category.name.clone(),
        mark: category.mark.clone(),
        values: layers.iter().map(|layer| value(layer, place)).collect(),
    };
    let mut rows: Vec<Row> = bars.categories.iter().enumerate().map(row).collect();
    if rows.len() <= room.max(1) {
        return (rows, bars.more);
    }
    let others = rows.split_off(room.saturating_sub(1).max(1));
    if bars.rest == Rest::Omit || room < 2 {
        return (rows, others.len().saturating_add(bars.more));
    }
    let dimmed = others.iter().all(|row| row.mark.emphasis == Emphasis::Dimmed);
    let emphasis = if dimmed { Emphasis::Dimmed } else { Emphasis::Plain };
    rows.push(Row {
        name: format!("other ({})", others.len()),
        mark: Mark { link: None, emphasis },
        values: (0..layers.len())
            .map(|layer| sum(others.iter().map(|row| row.values[layer])))
            .collect(),
    });
    (rows, bars.more)
}

fn value(layer: &Layer, place: usize) -> Option<f64> {
    layer.values.get(place).copied().flatten().and_then(drawable)
}

fn sum(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    values.flatten().reduce(|sum, value| (sum + value).clamp(f64::MIN / 4.0, f64::MAX / 4.0))
}
