//! The kinds of pictures.

/// The kinds of pictures that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A line per series.
    Line,
    /// The same, tinted down to zero.
    Area,
    /// Areas on top of each other.
    StackedArea,
    /// Columns over time, series on top of each other.
    Column,
    /// A bar per value of a dimension.
    Bar,
    /// The same, cut by a second dimension.
    StackedBar,
    /// A dimension by time, as colours.
    Heatmap,
    /// Hour of the day by day of the week, as colours.
    Week,
    /// How often values of which size are.
    Histogram,
    /// Two measures, a dot per row.
    Scatter,
    /// Where the values of windows lie.
    Box,
    /// A line without axes.
    Sparkline,
    /// One number and its course.
    Tile,
}

impl Kind {
    /// Every kind with its name.
    pub const NAMED: [(&'static str, Self); 13] = [
        ("line", Self::Line),
        ("area", Self::Area),
        ("stacked-area", Self::StackedArea),
        ("column", Self::Column),
        ("bar", Self::Bar),
        ("stacked-bar", Self::StackedBar),
        ("heatmap", Self::Heatmap),
        ("week", Self::Week),
        ("histogram", Self::Histogram),
        ("scatter", Self::Scatter),
        ("box", Self::Box),
        ("sparkline", Self::Sparkline),
        ("tile", Self::Tile),
    ];

    /// Returns the kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    /// Returns the name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// The names of all.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        Self::NAMED.iter().map(|(name, _)| *name).collect()
    }

    /// What a reader who may choose is offered.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Line => "Lines",
            Self::Area => "Areas",
            Self::StackedArea => "Stacked areas",
            Self::Column => "Columns",
            Self::Bar => "Bars",
            Self::StackedBar => "Stacked bars",
            Self::Heatmap => "Heat map",
            Self::Week => "Hours of the week",
            Self::Histogram => "Histogram",
            Self::Scatter => "Scatter plot",
            Self::Box => "Box plot",
            Self::Sparkline => "Course",
            Self::Tile => "Number",
        }
    }
}
