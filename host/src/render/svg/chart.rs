//! What a chart is made of: plain data, one type per kind of picture.

use jiff::tz::TimeZone;

/// A picture, before it is drawn.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What it shows; the heading of the stand-alone form, the accessible name of both.
    pub title: String,
    /// A line below the heading of the stand-alone form; empty = none.
    pub subtitle: String,
    /// What it shows in sentences, up to when it is complete among them; not drawn, but read out.
    pub description: String,
    /// How large it is.
    pub size: Size,
    /// Colours of the stand-alone form.
    pub theme: Theme,
    /// Where its time axis is.
    pub zone: TimeZone,
    /// The picture itself.
    pub plot: Plot,
}

impl Chart {
    /// Returns a chart of medium size, in UTC, that follows the reader's theme.
    #[must_use]
    pub fn new(title: impl Into<String>, plot: Plot) -> Self {
        Self {
            title: title.into(),
            subtitle: String::new(),
            description: String::new(),
            size: Size::default(),
            theme: Theme::Auto,
            zone: TimeZone::UTC,
            plot,
        }
    }
}

/// Width and height, px; never too small to draw in nor too large to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    width: u32,
    height: u32,
}

impl Size {
    /// The narrowest and the widest picture.
    pub const WIDTHS: (u32, u32) = (64, 4_000);
    /// The lowest and the highest picture.
    pub const HEIGHTS: (u32, u32) = (24, 4_000);

    /// Returns the size, or the nearest there is.
    #[must_use]
    pub fn new(width: u32, height: u32) -> Self {
        Self {
            width: width.clamp(Self::WIDTHS.0, Self::WIDTHS.1),
            height: height.clamp(Self::HEIGHTS.0, Self::HEIGHTS.1),
        }
    }

    /// Width, px.
    #[must_use]
    pub fn width(self) -> u32 {
        self.width
    }

    /// Height, px.
    #[must_use]
    pub fn height(self) -> u32 {
        self.height
    }
}

impl Default for Size {
    fn default() -> Self {
        Self::new(720, 320)
    }
}

/// Colours of the stand-alone form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Theme {
    /// As the reader prefers; light where that is not known.
    #[default]
    Auto,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// What choosing a mark leads to: the same page with another query.
///
/// A link is a query and not an address: whatever a value holds, it leads to the page it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Names and values of the whole query, as they are; they are encoded when drawn.
    pub query: Vec<(String, String)>,
    /// The signal that the mark sets.
    pub signal: String,
    /// The value it sets the signal to.
    pub value: String,
}

/// How a mark stands out, as others are chosen or it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Emphasis {
    /// Nothing is chosen.
    #[default]
    Plain,
    /// This is chosen.
    Chosen,
    /// Something else is chosen.
    Dimmed,
}

/// What any part of a picture may be besides what it shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Where choosing it leads.
    pub link: Option<Link>,
    /// How it stands out.
    pub emphasis: Emphasis,
}

/// The kinds of pictures.
#[derive(Clone, Debug)]
pub enum Plot {
    /// Values over time or over numbers.
    Lines(Lines),
    /// Values of named things, one below the other.
    Bars(Bars),
    /// Values by two things, as colours.
    Heat(Heat),
    /// How often values of which size are.
    Histogram(Histogram),
    /// Things by two values each.
    Scatter(Scatter),
    /// Where the values of named things lie.
    Boxes(Boxes),
    /// The course of a value, the size of a word.
    Sparkline(Sparkline),
    /// One number.
    Tile(Tile),
}

/// The axis of measured values.
#[derive(Clone, Debug, Default)]
pub struct Axis {
    /// What is measured (`messages per hour`); empty = not said.
    pub label: String,
    /// Unit of the values: `bytes`, a length of time (`ms`) and `percent` are known, others are
    /// only said.
    pub unit: String,
    /// Where it begins and how it rises.
    pub form: AxisForm,
}

/// Where an axis begins and how it rises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AxisForm {
    /// Evenly, with zero in sight.
    #[default]
    Zero,
    /// Evenly, around the values.
    Auto,
    /// By factors; what is not above zero lies at its foot.
    Log,
}

/// The axis along which values are measured.
#[derive(Clone, Debug, Default)]
pub enum XAxis {
    /// Times, µs since 1970.
    #[default]
    Time,
    /// Numbers.
    Number(Axis),
}

/// Values over time or over numbers.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// How the values are drawn.
    pub form: Form,
    /// What they are measured along.
    pub x: XAxis,
    /// What is measured.
    pub y: Axis,
    /// Range of `x` to show; that of the points where it is `None`.
    pub range: Option<(f64, f64)>,
    /// What is measured, each in ascending order of `x`.
    pub series: Vec<Series>,
    /// What becomes of series beyond the colours there are.
    pub rest: Rest,
    /// Series besides.
    pub others: Others,
}

/// Series that are not known one by one.
#[derive(Clone, Debug, Default)]
pub struct Others {
    /// How many there are.
    pub count: usize,
    /// What they add up to, ascending; empty where that would say nothing.
    pub points: Vec<(f64, Option<f64>)>,
}

/// How values over time are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Form {
    /// A line each.
    #[default]
    Line,
    /// A line each, the area down to zero tinted.
    Area,
    /// Areas on top of each other.
    Stack,
    /// Columns, one per place on the axis, series on top of each other.
    Columns {
        /// Width of a column on the axis, in its unit: the window's length, µs.
        width: f64,
    },
}

/// What becomes of the series, or the categories, for which there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rest {
    /// They are added up as `other`: right for counts and sums.
    #[default]
    Sum,
    /// They are left out, and it is said how many: a sum of means says nothing.
    Omit,
}

/// A line, or a layer of a stack.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// What the legend says.
    pub name: String,
    /// Places on the axis and values; `None` (and what is not finite) interrupts the line.
    pub points: Vec<(f64, Option<f64>)>,
    /// Its place in the palette, so that a series alone keeps its colour; by its order if `None`.
    pub colour: Option<usize>,
    /// Link and emphasis of line and legend entry.
    pub mark: Mark,
}

/// Values of named things, one below the other.
#[derive(Clone, Debug, Default)]
pub struct Bars {
    /// What is measured.
    pub axis: Axis,
    /// The named things, from the top.
    pub categories: Vec<Category>,
    /// What is measured of each, drawn end to end; one layer makes plain bars.
    pub layers: Vec<Layer>,
    /// What becomes of categories for which there is no room.
    pub rest: Rest,
    /// How many things there are besides the categories.
    pub more: usize,
}

/// One of the things that bars stand for.
#[derive(Clone, Debug, Default)]
pub struct Category {
    /// What stands beside its bar.
    pub name: String,
    /// Link and emphasis.
    pub mark: Mark,
}

/// What is measured of every category.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    /// What the legend says; not used if there is one layer.
    pub name: String,
    /// One value per category, in their order; missing ones are `None`.
    pub values: Vec<Option<f64>>,
    /// Its place in the palette; by its order if `None`.
    pub colour: Option<usize>,
    /// Link and emphasis of the legend entry.
    pub mark: Mark,
}

/// Values by two things, as colours.
#[derive(Clone, Debug, Default)]
pub struct Heat {
    /// Unit of the values.
    pub unit: String,
    /// What the columns are.
    pub columns: Columns,
    /// What the rows are, from the top.
    pub rows: Vec<Category>,
    /// One list per row, one value per column; missing ones are `None`.
    pub cells: Vec<Vec<Option<f64>>>,
    /// How many rows there are besides.
    pub more: usize,
}

/// What the columns of a heat map are.
#[derive(Clone, Debug)]
pub enum Columns {
    /// Named things.
    Names(Vec<Category>),
    /// Windows that follow each other.
    Times {
        /// Where the first begins, µs since 1970.
        from: f64,
        /// The length of each, µs.
        width: f64,
        /// How many there are.
        count: usize,
    },
}

impl Default for Columns {
    fn default() -> Self {
        Self::Names(Vec::new())
    }
}

/// How often values of which size are.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// What was measured.
    pub axis: Axis,
    /// What was counted (`messages`); empty = not said.
    pub counted: String,
    /// Ranges of values, ascending, and how many values each holds.
    pub buckets: Vec<Bucket>,
    /// Values to be marked, such as quantiles, with their names.
    pub marked: Vec<(String, f64)>,
}

/// A range of values of a histogram.
#[derive(Clone, Debug, Default)]
pub struct Bucket {
    /// Its smallest value.
    pub low: f64,
    /// The value it ends before.
    pub high: f64,
    /// How many values it holds.
    pub count: f64,
    /// Link and emphasis.
    pub mark: Mark,
}

/// Things by two values each.
#[derive(Clone, Debug, Default)]
pub struct Scatter {
    /// What the points are right of.
    pub x: XAxis,
    /// What the points are above.
    pub y: Axis,
    /// The things.
    pub points: Vec<Point>,
}

/// One of the things of a scatter plot.
#[derive(Clone, Debug, Default)]
pub struct Point {
    /// Its name, written where there is room.
    pub name: String,
    /// Its place from left to right.
    pub x: f64,
    /// Its place from bottom to top.
    pub y: f64,
    /// Link and emphasis.
    pub mark: Mark,
}

/// Where the values of named things lie.
#[derive(Clone, Debug, Default)]
pub struct Boxes {
    /// What was measured.
    pub axis: Axis,
    /// The named things, from the top.
    pub boxes: Vec<Spread>,
    /// How many there are besides.
    pub more: usize,
}

/// Where the values of one thing lie.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    /// The thing.
    pub category: Category,
    /// The smallest value.
    pub low: f64,
    /// A quarter of the values lie below it.
    pub lower: f64,
    /// Half of the values lie below it.
    pub median: f64,
    /// Three quarters of the values lie below it.
    pub upper: f64,
    /// The largest value.
    pub high: f64,
    /// Values to be drawn one by one.
    pub outliers: Vec<f64>,
}

/// The course of a value, the size of a word.
#[derive(Clone, Debug, Default)]
pub struct Sparkline {
    /// Places and values; `None` interrupts the line.
    pub points: Vec<(f64, Option<f64>)>,
    /// Its place in the palette.
    pub colour: usize,
}

/// One number.
#[derive(Clone, Debug, Default)]
pub struct Tile {
    /// What it is.
    pub label: String,
    /// The number; `None` = not known.
    pub value: Option<f64>,
    /// Its unit.
    pub unit: String,
    /// A line below it, such as what it is compared with.
    pub note: String,
    /// Its course, drawn below; empty = none.
    pub course: Sparkline,
    /// Link and emphasis.
    pub mark: Mark,
}
