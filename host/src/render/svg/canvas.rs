//! The elements of a picture as text: the one place where text and numbers enter it.

use std::fmt::{self, Write};

use super::chart::{Emphasis, Mark};
use super::measure;
use super::palette::Palette;
use super::path::Path;
use crate::render::html::{encode, escape};

/// Which end of a text its place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// The kinds of texts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Type {
    /// The heading.
    Title,
    /// The number of a tile, of this size in px.
    Number(f64),
    /// Names.
    Name,
    /// The name of what is chosen.
    Chosen,
    /// What stands at axes.
    Tick,
}

impl Type {
    /// Font size, px.
    pub(super) fn size(self) -> f64 {
        match self {
            Self::Title => 15.0,
            Self::Number(size) => size,
            Self::Name | Self::Chosen => 12.0,
            Self::Tick => 11.0,
        }
    }

    fn is_bold(self) -> bool {
        matches!(self, Self::Title | Self::Number(_) | Self::Chosen)
    }

    /// Returns the width of a text, px.
    pub(super) fn width(self, text: &str) -> f64 {
        measure::width(text, self.size(), self.is_bold())
    }

    /// Returns a text, cut to `room` px.
    pub(super) fn fit(self, text: &str, room: f64) -> String {
        measure::fit(text, self.size(), self.is_bold(), room)
    }
}

/// Returns names that stand beside each other, each cut to `room` px. What all that are too long begin with is
/// cut off first: their ends are what tells them apart.
pub(super) fn fit_names<'a>(
    names: impl Iterator<Item = (Type, &'a str)>,
    room: f64,
) -> Vec<String> {
    let names: Vec<_> = names.map(|(kind, name)| (kind, name, kind.width(name) > room)).collect();
    let long = names.iter().filter(|(_, _, is_long)| *is_long);
    let skipped = measure::alike(long.map(|(_, name, _)| *name));
    let fit = |(kind, name, is_long): &(Type, &str, bool)| match *is_long && skipped > 0 {
        true => kind.fit(&format!("{}{}", measure::ELLIPSIS, &name[skipped..]), room),
        false => kind.fit(name, room),
    };
    names.iter().map(fit).collect()
}

/// A rectangle of the picture, px.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Area {
    pub(super) fn width(&self) -> f64 {
        (self.right - self.left).max(0.0)
    }

    pub(super) fn height(&self) -> f64 {
        (self.bottom - self.top).max(0.0)
    }
}

/// A place or a length, in tenths of a pixel; what is not finite is 0.
pub(super) struct Px(pub(super) f64);

impl fmt::Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = if self.0.is_finite() { (self.0 * 10.0).round() / 10.0 } else { 0.0 };
        // Minus nothing is written as nothing.
        write!(f, "{}", tenths + 0.0)
    }
}

/// A picture that is being written.
pub(super) struct Canvas {
    out: String,
    pub(super) palette: &'static Palette,
    width: f64,
    height: f64,
    /// It will be part of a page, whose script asks where its axes are.
    in_page: bool,
}

impl Canvas {
    pub(super) fn new(palette: &'static Palette, width: f64, height: f64) -> Self {
        Self { out: String::new(), palette, width, height, in_page: false }
    }

    /// The same as part of a page.
    pub(super) fn in_page(self) -> Self {
        Self { in_page: true, ..self }
    }

    /// Appends markup that holds nothing from outside.
    pub(super) fn raw(&mut self, markup: fmt::Arguments<'_>) {
        let _ = self.out.write_fmt(markup);
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    /// Writes a text, if all of it is in sight: who calls it has measured it.
    pub(super) fn text(&mut self, kind: Type, anchor: Anchor, x: f64, y: f64, text: &str) {
        self.text_and(kind, anchor, (x, y), text, "");
    }

    /// Writes a text and, right behind it, a small one.
    pub(super) fn text_and(
        &mut self,
        kind: Type,
        anchor: Anchor,
        (x, y): (f64, f64),
        text: &str,
        small: &str,
    ) {
        let long =
            kind.width(text) + if small.is_empty() { 0.0 } else { 5.0 + Type::Tick.width(small) };
        let left = match anchor {
            Anchor::Start => x,
            Anchor::Middle => x - long / 2.0,
            Anchor::End => x - long,
        };
        // What would be cut by the edge of a small picture is left out of it.
        let in_sight = left >= 0.0 && left + long <= self.width;
        let in_sight = in_sight && y >= kind.size() * 0.72 && y <= self.height;
        if text.is_empty() || !in_sight {
            return;
        }
        let palette = self.palette;
        let (class, fill) = match kind {
            Type::Tick => ("m", palette.muted),
            _ => ("t", palette.text),
        };
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let size = match kind {
            Type::Name | Type::Chosen => String::new(),
            _ => format!(" font-size=\"{}\"", Px(kind.size())),
        };
        let weight = if kind.is_bold() { " font-weight=\"600\"" } else { "" };
        let _ = write!(
            self.out,
            "<text class=\"{class}\" x=\"{}\" y=\"{}\" fill=\"{fill}\"{anchor}{size}{weight}>{}",
            Px(x),
            Px(y),
            clean(&measure::shown(text))
        );
        if !small.is_empty() {
            let _ = write!(
                self.out,
                "<tspan class=\"m\" dx=\"5\" fill=\"{}\" font-size=\"{}\" font-weight=\"400\">{}</tspan>",
                palette.muted,
                Px(Type::Tick.size()),
                clean(&measure::shown(small))
            );
        }
        self.out.push_str("</text>");
    }

    /// Writes a `<title>`: what is said of the element it is the first child of.
    pub(super) fn title(&mut self, text: &str) {
        let _ = write!(self.out, "<title>{}</title>", clean(text));
    }

    /// Writes a `<desc>`.
    pub(super) fn description(&mut self, text: &str) {
        if !text.is_empty() {
            let _ = write!(self.out, "<desc>{}</desc>", clean(text));
        }
    }

    /// Opens a mark: a link if it has one, else a group, with what is said of it.
    pub(super) fn open(&mut self, mark: &Mark, label: &str) {
        self.open_silent(mark, label);
        self.title(label);
    }

    /// Opens a mark whose text says already what it is.
    pub(super) fn open_silent(&mut self, mark: &Mark, label: &str) {
        let class = match mark.emphasis {
            Emphasis::Plain => "",
            Emphasis::Chosen => " class=\"chosen\"",
            Emphasis::Dimmed => " class=\"dim\"",
        };
        let Some(link) = &mark.link else {
            let _ = write!(self.out, "<g{class}>");
            return;
        };
        let query: Vec<String> = link
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        let current = match mark.emphasis {
            Emphasis::Chosen => " aria-current=\"true\"",
            Emphasis::Plain | Emphasis::Dimmed => "",
        };
        let _ = write!(
            self.out,
            "<a{class} href=\"?{}\" data-sig=\"{}\" data-val=\"{}\" aria-label=\"{}\"{current}>",
            escape(&query.join("&")),
            clean(&link.signal),
            clean(&link.value),
            clean(label)
        );
    }

    /// Closes a mark.
    pub(super) fn close(&mut self, mark: &Mark) {
        self.out.push_str(if mark.link.is_some() { "</a>" } else { "</g>" });
    }

    /// Opens a group in the colour of a series.
    pub(super) fn open_series(&mut self, colour: usize) {
        let (class, colour) = self.palette.series(colour);
        let _ = write!(self.out, "<g class=\"{class}\" color=\"{colour}\">");
    }

    pub(super) fn close_group(&mut self) {
        self.out.push_str("</g>");
    }

    /// Draws a line in the colour of its group.
    pub(super) fn stroke(&mut self, path: &Path, width: f64, emphasis: Emphasis) {
        if path.is_empty() {
            return;
        }
        let dim = if emphasis == Emphasis::Dimmed { " stroke-opacity=\".3\"" } else { "" };
        let _ = write!(
            self.out,
            "<path d=\"{}\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"{}\" \
             stroke-linejoin=\"round\" stroke-linecap=\"round\"{dim}/>",
            path.data(),
            Px(width)
        );
    }

    /// Fills a shape in the colour of its group.
    pub(super) fn fill(&mut self, path: &Path, opacity: f64, emphasis: Emphasis) {
        if path.is_empty() {
            return;
        }
        let opacity = if emphasis == Emphasis::Dimmed { opacity * 0.35 } else { opacity };
        let _ = write!(self.out, "<path d=\"{}\" fill=\"currentColor\"", path.data());
        if opacity < 1.0 {
            let _ = write!(self.out, " fill-opacity=\"{:.2}\"", opacity);
        }
        self.out.push_str("/>");
    }

    /// Fills a rectangle in the colour of its group.
    pub(super) fn rectangle(&mut self, area: Area, emphasis: Emphasis) {
        let dim = if emphasis == Emphasis::Dimmed { " fill-opacity=\".35\"" } else { "" };
        let _ = write!(
            self.out,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"currentColor\"{dim}/>",
            Px(area.left),
            Px(area.top),
            Px(area.width()),
            Px(area.height())
        );
    }

    /// Fills a rectangle in the colour of a part, from 0 to 1, of the scale.
    pub(super) fn cell(&mut self, area: Area, part: f64, emphasis: Emphasis) {
        let (class, colour) = self.palette.scale(part);
        let _ = write!(self.out, "<g class=\"{class}\" color=\"{colour}\">");
        self.rectangle(area, emphasis);
        self.close_group();
    }

    /// Draws a dashed line in the colour of texts.
    pub(super) fn dashes(&mut self, path: &Path) {
        let _ = write!(
            self.out,
            "<path class=\"d\" d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-dasharray=\"3 3\"/>",
            path.data(),
            self.palette.muted
        );
    }

    /// Fills a dot in the colour of its group.
    pub(super) fn dot(&mut self, x: f64, y: f64, radius: f64, emphasis: Emphasis) {
        let dim = if emphasis == Emphasis::Dimmed { " fill-opacity=\".3\"" } else { "" };
        let _ = write!(
            self.out,
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"currentColor\"{dim}/>",
            Px(x),
            Px(y),
            Px(radius)
        );
    }

    /// Draws thin lines: those of a grid, or of an axis.
    pub(super) fn rule(&mut self, path: &Path, axis: bool) {
        if path.is_empty() {
            return;
        }
        let (class, colour) =
            if axis { ("x", self.palette.axis) } else { ("g", self.palette.grid) };
        let _ = write!(
            self.out,
            "<path class=\"{class}\" d=\"{}\" fill=\"none\" stroke=\"{colour}\"/>",
            path.data()
        );
    }

    /// Says which part of the picture stands for which range of its axis: what a page needs to tell the value
    /// under a pointer.
    pub(super) fn plane(&mut self, area: &Area, range: (f64, f64)) {
        if !self.in_page {
            return;
        }
        let _ = write!(
            self.out,
            "<rect class=\"plane\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" \
             data-from=\"{}\" data-to=\"{}\"/>",
            Px(area.left),
            Px(area.top),
            Px(area.width()),
            Px(area.height()),
            range.0,
            range.1
        );
    }

    /// Says that there is nothing to draw.
    pub(super) fn nothing(&mut self, area: &Area) {
        let text = Type::Name.fit("No data in this range", area.width());
        let (x, y) = ((area.left + area.right) / 2.0, (area.top + area.bottom) / 2.0 + 4.0);
        self.text(Type::Name, Anchor::Middle, x, y, &text);
    }
}

/// Returns text as it may stand in XML, also inside quotes: escaped, and without the characters
/// that XML has no form for.
pub(super) fn clean(text: &str) -> String {
    let is_allowed = |character: char| {
        !matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}'
            | '\u{fffe}' | '\u{ffff}')
    };
    if text.chars().all(is_allowed) {
        return escape(text);
    }
    let replaced: String = text
        .chars()
        .map(
            |character| if is_allowed(character) { character } else { char::REPLACEMENT_CHARACTER },
        )
        .collect();
    escape(&replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_begin_alike_are_told_apart_by_their_ends() {
        let names = ["org.project.prod.build.start", "org.project.prod.git", "short"];
        let fitted = |room| fit_names(names.iter().map(|name| (Type::Name, *name)), room);
        assert_eq!(fitted(300.0), names);
        assert_eq!(fitted(90.0), ["…build.start", "…git", "short"]);
        assert!(fitted(60.0)[0].starts_with("…build") && fitted(60.0)[0].ends_with('…'));
    }
}
