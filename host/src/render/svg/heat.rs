//! Values by two things: a grid of cells whose colours are the values.

use jiff::tz::TimeZone;

use super::axis;
use super::canvas::{Anchor, Area, Canvas, Type, fit_names};
use super::chart::{Category, Columns, Emphasis, Heat, Mark, XAxis};
use super::number::Unit;
use super::palette::STEPS;
use super::scale::{Scale, drawable};
use super::time;

/// The lowest row that can be told from the next, px.
const LOWEST: f64 = 9.0;
/// The narrowest column, px.
const NARROWEST: f64 = 2.0;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl Heat {
    /// The hours of a week: `cells` has a row for each day from Monday on, of 24 values.
    #[must_use]
    pub fn of_week(unit: String, cells: Vec<Vec<Option<f64>>>) -> Self {
        let named = |name: String| Category { name, mark: Mark::default() };
        Self {
            unit,
            columns: Columns::Names((0..24).map(|hour| named(hour.to_string())).collect()),
            rows: DAYS.iter().map(|day| named((*day).to_owned())).collect(),
            cells,
            more: 0,
        }
    }
}

/// Draws the heat map into an area.
pub(super) fn draw(canvas: &mut Canvas, mut area: Area, heat: &Heat, zone: &TimeZone) {
    let unit = Unit::of(&heat.unit);
    let values = || heat.cells.iter().flatten().copied().flatten().filter_map(drawable);
    let columns = match &heat.columns {
        Columns::Names(names) => names.len(),
        Columns::Times { count, .. } => *count,
    };
    if values().next().is_none() || columns == 0 || heat.rows.is_empty() {
        return canvas.nothing(&area);
    }
    let (low, high) = (values().fold(0.0, f64::min), values().fold(f64::MIN, f64::max));
    let high = if high > low { high } else { low + 1.0 };
    let part = |value: f64| (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
    area.bottom -= 22.0;
    scale(canvas, &area, &unit, low, high);
    // In the line of the scale, below whatever the axis says.
    let foot = area.bottom + 19.0;
    area.bottom -= match heat.columns {
        Columns::Names(_) => 18.0,
        Columns::Times { .. } => axis::horizontal_height(&XAxis::Time),
    };

    let room = (area.height() / LOWEST).floor().max(1.0) as usize;
    let rows = &heat.rows[..heat.rows.len().min(room)];
    let names = rows.iter().map(|row| (kind(row), row.name.as_str()));
    let names = fit_names(names, area.width() * 0.3);
    let widest =
        rows.iter().zip(&names).map(|(row, name)| kind(row).width(name)).fold(0.0, f64::max);
    let start = area.left;
    area.left += widest + 8.0;
    let all = heat.rows.len().saturating_add(heat.more);
    if rows.len() < all {
        let text = format!("{} of {all} names shown", rows.len());
        let text = Type::Tick.fit(&text, area.width() * 0.4);
        canvas.text(Type::Tick, Anchor::End, area.right, foot, &text);
    }
    let height = (area.height() / rows.len() as f64).min(40.0);
    area.bottom = area.top + height * rows.len() as f64;
    // So many columns are one that each can be seen; it has the largest value of them.
    let joined = (columns as f64 * NARROWEST / area.width().max(1.0)).ceil().max(1.0) as usize;
    let width = area.width() / columns as f64;
    // Letters may stand closer than lines of text do, but not on each other.
    let named_every = (13.0 / height).ceil().max(1.0) as usize;
    for (place, row) in rows.iter().enumerate() {
        let top = area.top + height * place as f64;
        if place % named_every == 0 {
            canvas.open_silent(&row.mark, &row.name);
            if names[place] != row.name {
                canvas.title(&row.name);
            }
            canvas.text(
                kind(row),
                Anchor::End,
                start + widest,
                top + height / 2.0 + 4.2,
                &names[place],
            );
            canvas.close(&row.mark);
        }
        let Some(cells) = heat.cells.get(place) else { continue };
        for (group, cells) in cells[..cells.len().min(columns)].chunks(joined).enumerate() {
            let Some(value) = cells.iter().copied().flatten().filter_map(drawable).reduce(f64::max)
            else {
                continue;
            };
            let first = group * joined;
            let left = area.left + width * first as f64;
            let gap = if width * joined as f64 >= 5.0 && height >= 5.0 { 1.0 } else { 0.0 };
            let right = left + width * cells.len() as f64 - gap;
            let cell = Area { left, top, right, bottom: top + height - gap };
            let (mark, name) = column(&heat.columns, first, zone);
            let mark = if row.mark.link.is_some() { &row.mark } else { mark.unwrap_or(&row.mark) };
            let dimmed =
                [Some(&row.mark), column(&heat.columns, first, zone).0].into_iter().flatten();
            let dimmed = dimmed.into_iter().any(|mark| mark.emphasis == Emphasis::Dimmed);
            let emphasis = if dimmed { Emphasis::Dimmed } else { Emphasis::Plain };
            let most = if cells.len() > 1 { "at most " } else { "" };
            canvas.open(mark, &format!("{}, {name}: {most}{}", row.name, unit.exact(value)));
            canvas.cell(cell, part(value), emphasis);
            canvas.close(mark);
        }
    }
    match &heat.columns {
        Columns::Names(names) => name_columns(canvas, &area, names, width),
        Columns::Times { from, width, count } => {
            let range = (*from, *from + width * *count as f64);
            axis::horizontal(canvas, &area, &XAxis::Time, range, zone);
        }
    }
}

fn kind(row: &Category) -> Type {
    if row.mark.emphasis == Emphasis::Chosen { Type::Chosen } else { Type::Tick }
}

/// Mark and name of a column.
fn column<'a>(columns: &'a Columns, place: usize, zone: &TimeZone) -> (Option<&'a Mark>, String) {
    match columns {
        Columns::Names(names) => (Some(&names[place].mark), names[place].name.clone()),
        Columns::Times { from, width, .. } => (None, time::text(from + width * place as f64, zone)),
    }
}

/// Names as many columns as there is room for, evenly.
fn name_columns(canvas: &mut Canvas, area: &Area, names: &[Category], width: f64) {
    let texts = fit_names(names.iter().map(|name| (kind(name), name.name.as_str())), 90.0);
    let widest =
        names.iter().zip(&texts).map(|(name, text)| kind(name).width(text)).fold(0.0, f64::max);
    let every = ((widest + 6.0) / width.max(0.01)).ceil().max(1.0) as usize;
    // Hours are read in threes and sixes.
    let every = [1, 2, 3, 6, 12].into_iter().find(|round| *round >= every).unwrap_or(every);
    for (place, (name, text)) in names.iter().zip(&texts).enumerate().step_by(every) {
        let x = area.left + width * (place as f64 + 0.5);
        canvas.open_silent(&name.mark, &name.name);
        let half = kind(name).width(text) / 2.0;
        let x = x.min(area.right - half).max(area.left + half - 8.0);
        if half * 2.0 <= area.width() {
            canvas.text(kind(name), Anchor::Middle, x, area.bottom + 14.0, text);
        }
        canvas.close(&name.mark);
    }
}

/// Says which colour is how much, below the area.
fn scale(canvas: &mut Canvas, area: &Area, unit: &Unit, low: f64, high: f64) {
    let (from, to) = (unit.short(low), format!("{} {}", unit.short(high), said(unit)));
    let (from, to) = (from.trim(), to.trim());
    let bar = (area.width() * 0.3).min(120.0);
    let before = Type::Tick.width(from) + 6.0;
    let left = area.left + before;
    let line = Scale::plain(0.0, STEPS as f64, left, left + bar);
    let y = area.bottom + 11.0;
    canvas.text(Type::Tick, Anchor::Start, area.left, y + 8.0, from);
    for step in 0..STEPS {
        let cell = Area {
            left: line.at(step as f64),
            top: y,
            right: line.at(step as f64 + 1.0),
            bottom: y + 9.0,
        };
        canvas.cell(cell, (step as f64 + 0.5) / STEPS as f64, Emphasis::Plain);
    }
    let text = Type::Tick.fit(to, area.right - left - bar - 6.0);
    canvas.text(Type::Tick, Anchor::Start, left + bar + 6.0, y + 8.0, &text);
}

fn said(unit: &Unit) -> &str {
    if unit.is_written() { "" } else { unit.name() }
}
