//! What a view and a dashboard are.

use super::read::Fault;

/// A page of views.
#[derive(Clone, Debug, PartialEq)]
pub struct Dashboard {
    /// Name in addresses.
    pub name: String,
    /// Human name.
    pub title: String,
    /// Group in the menu.
    pub section: String,
    /// One line above the views.
    pub summary: String,
    /// It is what `/` shows.
    pub is_default: bool,
    /// Length of time shown where a view does not say, as a query writes it (`30d`).
    pub span: Option<String>,
    /// The views, in the order of the page.
    pub views: Vec<View>,
    /// Where the definition is.
    pub origin: Origin,
}

/// Where a definition is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This file.
    File(String),
    /// The manifest of this statistic, or its columns.
    Stat(String),
}

impl Origin {
    /// Whether it is a file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Says what is wrong at a place of the definition.
    #[must_use]
    pub(super) fn fault(&self, pointer: &str, reason: impl Into<String>) -> Fault {
        let file = match self {
            Self::File(file) => file.clone(),
            Self::Stat(ident) => format!("manifest of {ident}"),
        };
        Fault { file, pointer: pointer.to_owned(), reason: reason.into() }
    }
}

/// A picture of some rows.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Name in addresses, unique on its dashboard.
    pub name: String,
    /// Human name.
    pub title: String,
    /// The statistic whose rows are shown.
    pub stat: String,
    /// Which rows of it.
    pub source: Source,
    /// The forms it can take; the first is shown unless the reader wants another.
    pub charts: Vec<Chart>,
    /// Parameters of the rows, as in a query.
    pub params: Vec<(String, String)>,
    /// Length of time shown, as a query writes it.
    pub span: Option<String>,
    /// The choices that can be made in it: names of its columns.
    pub emits: Vec<String>,
    /// The choices it follows: names of columns.
    pub listens: Vec<String>,
    /// The only view whose choices it follows.
    pub parent: Option<String>,
    /// The dimensions for which it has a picker.
    pub pickers: Vec<String>,
    /// Unit of the values, instead of the column's own.
    pub unit: Option<String>,
    /// How values become heights.
    pub y: Scale,
    /// How much of the page's width it takes.
    pub width: Width,
    /// It is shown at first; otherwise once its heading is opened.
    pub default_load: bool,
    /// Its place in the definition, for what is found wrong later.
    pub(super) pointer: String,
}

/// Which rows a view shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Those of a model.
    Rows,
    /// Those that the plugin computes under this name.
    Computed(String),
}

/// One form of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// What is drawn.
    pub kind: Kind,
    /// Human name.
    pub title: String,
}

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Values over time, a line for each value of the first dimension.
    Line,
    /// As lines, filled.
    Area,
    /// One value for each name, largest first.
    Bar,
    /// Values over two axes, as colours.
    Heatmap,
    /// One number, and how it came about.
    Tile,
    /// How many rows there are.
    Count,
    /// What became of each name over the time shown, in numbers and as a small line.
    Summary,
    /// The rows.
    Table,
}

impl Kind {
    /// Every kind with its names: ours first, then those that other systems' definitions use.
    const NAMES: [(Self, &'static [&'static str]); 8] = [
        (Self::Line, &["line", "average_thumbnails", "test_chart"]),
        (Self::Area, &["area"]),
        (Self::Bar, &["bar", "side_bars"]),
        (Self::Heatmap, &["heatmap"]),
        (Self::Tile, &["tile"]),
        (Self::Count, &["count"]),
        (Self::Summary, &["summary"]),
        (Self::Table, &["table"]),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(kind, _)| *kind == self).map_or("", |(_, names)| names[0])
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, names)| names.contains(&name)).map(|(kind, _)| *kind)
    }

    /// The names of all.
    pub(super) fn names() -> Vec<&'static str> {
        Self::NAMES.iter().map(|(_, names)| names[0]).collect()
    }

    /// What a reader who may choose is offered.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Line => "Lines",
            Self::Area => "Areas",
            Self::Bar => "Bars",
            Self::Heatmap => "Heat map",
            Self::Tile => "Number",
            Self::Count => "Number of rows",
            Self::Summary => "Summary",
            Self::Table => "Table",
        }
    }
}

/// How values become heights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// From zero.
    #[default]
    Zero,
    /// From the smallest value.
    Auto,
    /// Equal factors are equal heights.
    Log,
}

/// How much of the page's width a view takes where there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// All of it.
    Full,
    /// Half of it.
    Half,
    /// A quarter of it.
    Quarter,
}

impl Width {
    /// Pixels of a picture in it, on a page whose width is not known.
    #[must_use]
    pub fn pixels(self) -> u32 {
        match self {
            Self::Full => 1_120,
            Self::Half => 540,
            Self::Quarter => 250,
        }
    }
}
