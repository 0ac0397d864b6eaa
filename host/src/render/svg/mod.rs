//! Charts as SVG: pure functions from plain data to text.
//!
//! A [`Chart`] says everything a picture shows; what it came from is not known here. It has two
//! forms: [`inline`] for a page, whose style sheet restyles the nodes by their classes, and
//! [`stand_alone`], a file with heading, background and a style of its own that follows the
//! reader's light or dark theme.
//!
//! Colours stand in presentation attributes as well as behind classes, so a viewer without style
//! sheets shows the light theme. Text enters a picture through `canvas` only, and a link is a
//! query (never an address), so no label or value can become markup or script. Pictures hold no
//! number that is not finite, whatever the data hold, and their length is bounded by their size.

mod axis;
mod badge;
mod bars;
mod boxes;
mod canvas;
mod chart;
mod draw;
mod heat;
mod histogram;
mod legend;
mod lines;
mod measure;
mod number;
mod palette;
mod path;
mod scale;
mod scatter;
mod series;
mod small;
#[cfg(test)]
pub(crate) mod tests;
mod time;

pub use badge::{Badge, BadgeColour, badge};
pub use chart::{
    Axis, AxisForm, Bars, Boxes, Bucket, Category, Chart, Columns, Emphasis, Form, Heat, Histogram,
    Layer, Lines, Link, Mark, Others, Plot, Point, Rest, Scatter, Series, Size, Sparkline, Spread,
    Theme, Tile, XAxis,
};
pub use draw::{inline, stand_alone};
pub use number::is_scaled;
pub use palette::STYLE;
