//! Badges: a label and a number, the size of a line of text.

use super::canvas::{Canvas, Px, Type, clean};
use super::measure;
use super::number::Unit;
use super::palette::LIGHT;

/// A badge, before it is drawn.
#[derive(Clone, Debug, Default)]
pub struct Badge {
    /// What the number is.
    pub label: String,
    /// The number; `None` = not known.
    pub value: Option<f64>,
    /// Its unit.
    pub unit: String,
    /// What lies behind the number.
    pub colour: BadgeColour,
    /// What it shows in sentences; not drawn, but read out.
    pub description: String,
}

/// What lies behind the number of a badge; white text can be read on all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BadgeColour {
    /// The usual one.
    #[default]
    Blue,
    /// Good.
    Green,
    /// To be looked at.
    Amber,
    /// Bad.
    Red,
    /// Without meaning.
    Grey,
}

impl BadgeColour {
    /// All colours with their names.
    pub const NAMED: [(&'static str, Self); 5] = [
        ("blue", Self::Blue),
        ("green", Self::Green),
        ("amber", Self::Amber),
        ("red", Self::Red),
        ("grey", Self::Grey),
    ];

    fn hex(self) -> &'static str {
        match self {
            Self::Blue => "#0b62a8",
            Self::Green => "#1a7a3f",
            Self::Amber => "#8a5a00",
            Self::Red => "#b3261e",
            Self::Grey => "#5b6570",
        }
    }
}

/// Height of a badge, px.
const HEIGHT: f64 = 20.0;
/// The longest label and the longest number, px.
const LONGEST: f64 = 240.0;

/// Returns a badge as a file.
#[must_use]
pub fn badge(badge: &Badge) -> String {
    let unit = Unit::of(&badge.unit);
    let value = badge.value.filter(|value| value.is_finite());
    let mut short = value.map_or_else(|| "no data".to_owned(), |value| unit.short(value));
    if value.is_some() && !unit.is_written() {
        short = format!("{short} {}", unit.name());
    }
    let exact = value.map_or_else(|| "no data".to_owned(), |value| unit.exact(value));
    let size = Type::Tick.size();
    let label = measure::fit(&badge.label, size, false, LONGEST);
    let short = measure::fit(&short, size, true, LONGEST);
    let split = measure::width(&label, size, false) + if label.is_empty() { 0.0 } else { 12.0 };
    let width = (split + measure::width(&short, size, true) + 12.0).ceil();
    let mut canvas = Canvas::new(&LIGHT, width, HEIGHT);
    let name = clean(&format!("{}: {exact}", badge.label));
    canvas.raw(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"badge\" width=\"{width}\" \
         height=\"{HEIGHT}\" viewBox=\"0 0 {width} {HEIGHT}\" role=\"img\" aria-label=\"{name}\" \
         font-family=\"{}\" font-size=\"{size}\"><title>{name}</title>",
        super::draw::FONTS
    ));
    canvas.description(&badge.description);
    canvas.raw(format_args!(
        "<rect width=\"{width}\" height=\"{HEIGHT}\" rx=\"3\" fill=\"#3d454d\"/>\
         <path d=\"M{0} 0h{1}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{1}z\" fill=\"{2}\"/>",
        Px(split),
        Px(width - split - 3.0),
        badge.colour.hex()
    ));
    let text = |canvas: &mut Canvas, x: f64, weight: &str, text: &str| {
        canvas.raw(format_args!(
            "<text x=\"{}\" y=\"14\" fill=\"#ffffff\"{weight}>{}</text>",
            Px(x),
            clean(text)
        ));
    };
    text(&mut canvas, 6.0, "", &label);
    text(&mut canvas, split + 6.0, " font-weight=\"600\"", &short);
    canvas.raw(format_args!("</svg>\n"));
    canvas.finish()
}
