//! The forms of an answer that a query may ask for.

/// The forms in which rows are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// JSON.
    Json,
    /// Comma separated values.
    Csv,
    /// A page to read.
    Html,
    /// One JSON object per line.
    Ndjson,
    /// A picture.
    Svg,
}

impl Format {
    /// Every format, the preferred first.
    pub const ALL: [Self; 5] = [Self::Json, Self::Csv, Self::Html, Self::Ndjson, Self::Svg];

    /// Returns the name, which is also the extension.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Html => "html",
            Self::Ndjson => "ndjson",
            Self::Svg => "svg",
        }
    }

    /// Returns the format of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// How rows are laid out in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shape {
    /// An object per row.
    #[default]
    Objects,
    /// An array per row.
    Arrays,
    /// An object with one array per column.
    Columns,
}

/// How times are written in JSON and CSV.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimeStyle {
    /// Seconds since 1970 with a fraction, as statscache did.
    #[default]
    Unix,
    /// Whole milliseconds since 1970.
    Millis,
    /// RFC 3339, UTC.
    Rfc3339,
}
