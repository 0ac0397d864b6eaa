//! What a view and a dashboard are.

use super::read::Fault;
use crate::render::picture::Kind as Picture;
use crate::render::svg::AxisForm;

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
    pub y: AxisForm,
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
    /// What is shown.
    pub kind: Kind,
    /// Human name.
    pub title: String,
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The picture that suits the columns; the rows, where there is none.
    Suited,
    /// This picture.
    Picture(Picture),
    /// How many rows there are.
    Count,
    /// What became of each name over the time shown, in numbers and as a small line.
    Summary,
    /// The rows.
    Table,
}

impl Kind {
    /// Every other kind than a picture with its name.
    const OTHERS: [(&'static str, Self); 4] = [
        ("auto", Self::Suited),
        ("count", Self::Count),
        ("summary", Self::Summary),
        ("table", Self::Table),
    ];
    /// Names that other systems' definitions use.
    const FOREIGN: [(&'static str, Self); 3] = [
        ("average_thumbnails", Self::Picture(Picture::Line)),
        ("test_chart", Self::Picture(Picture::Line)),
        ("side_bars", Self::Picture(Picture::Bar)),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        if let Self::Picture(picture) = self {
            return picture.name();
        }
        Self::OTHERS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let others = Self::OTHERS.iter().chain(&Self::FOREIGN).find(|(known, _)| *known == name);
        others.map(|(_, kind)| *kind).or_else(|| Picture::named(name).map(Self::Picture))
    }

    /// The names of all.
    pub(super) fn names() -> Vec<&'static str> {
        Picture::names().into_iter().chain(Self::OTHERS.iter().map(|(name, _)| *name)).collect()
    }

    /// What a reader who may choose is offered.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Suited => "Picture",
            Self::Picture(picture) => picture.title(),
            Self::Count => "Number of rows",
            Self::Summary => "Summary",
            Self::Table => "Table",
        }
    }
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
