//! Legends: what each colour stands for, in lines above the data.

use super::canvas::{Anchor, Area, Canvas, Type, fit_names};
use super::chart::{Emphasis, Mark};

/// One of the things that a legend names.
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) colour: usize,
    pub(super) mark: &'a Mark,
}

const LINE: f64 = 19.0;
const SQUARE: f64 = 10.0;
const GAP: f64 = 16.0;

/// Draws a legend at the top; `area` becomes what is left. It takes at most three lines, and a third
/// of the height; `more` counts the things that are drawn nowhere.
pub(super) fn draw(canvas: &mut Canvas, area: &mut Area, entries: &[Entry<'_>], more: usize) {
    let lines = ((area.height() / 3.0 / LINE).floor() as usize).min(3);
    if lines == 0 || (entries.is_empty() && more == 0) {
        return;
    }
    // A name alone never takes more than a line, and a few share one where they can.
    let longest = (area.width() - SQUARE - 5.0).min((area.width() / 3.0).max(110.0));
    let kind_of = |entry: &Entry<'_>| match entry.mark.emphasis {
        Emphasis::Chosen => Type::Chosen,
        Emphasis::Plain | Emphasis::Dimmed => Type::Name,
    };
    let texts = fit_names(entries.iter().map(|entry| (kind_of(entry), entry.name)), longest);
    let (mut x, mut line) = (area.left, 0);
    let mut left_out = 0;
    let mut places = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        let (kind, text) = (kind_of(entry), texts[place].as_str());
        let width = SQUARE + 5.0 + kind.width(text);
        if x > area.left && x + width > area.right {
            (x, line) = (area.left, line + 1);
        }
        if line == lines {
            left_out += entries.len() - place;
            break;
        }
        places.push((x, line, kind, text, entry));
        x += width + GAP;
    }
    // What is drawn nowhere is more than what is drawn and has no name here.
    let note = |left_out: usize| match (more, left_out) {
        (0, 0) => String::new(),
        (0, left_out) => format!("and {left_out} more"),
        (more, _) => format!("{} of {} names shown", entries.len(), entries.len() + more),
    };
    let mut said = note(left_out);
    // What was left out must be said, at the cost of an entry if there is no room.
    while !said.is_empty() && line >= lines.saturating_sub(1) && !places.is_empty() {
        let end = if line == lines { area.right + GAP } else { x };
        if end + Type::Tick.width(&said) <= area.right {
            break;
        }
        let Some((start, at, ..)) = places.pop() else { break };
        (x, line) = (start, at);
        left_out += 1;
        said = note(left_out);
    }
    for (x, line, kind, text, entry) in &places {
        let y = area.top + LINE * *line as f64;
        canvas.open_silent(entry.mark, entry.name);
        if *text != entry.name {
            canvas.title(entry.name);
        }
        canvas.open_series(entry.colour);
        let square = Area { left: *x, top: y + 3.0, right: x + SQUARE, bottom: y + 3.0 + SQUARE };
        canvas.rectangle(square, entry.mark.emphasis);
        canvas.close_group();
        canvas.text(*kind, Anchor::Start, x + SQUARE + 5.0, y + 12.0, text);
        canvas.close(entry.mark);
    }
    if !said.is_empty() {
        if x > area.left && x + Type::Tick.width(&said) > area.right && line + 1 < lines {
            (x, line) = (area.left, line + 1);
        }
        let text = Type::Tick.fit(&said, area.right - x);
        let y = area.top + LINE * line.min(lines - 1) as f64 + 12.0;
        canvas.text(Type::Tick, Anchor::Start, x, y, &text);
    }
    area.top += LINE * (line.min(lines - 1) + 1) as f64 + 4.0;
}
