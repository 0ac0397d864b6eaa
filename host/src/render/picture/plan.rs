//! Which picture rows make: what is shown, by what it is told apart, and what is refused.

use super::ask::MOST_ROWS;
use super::fields::{Combine, Fields, Measured, Number, Sketch};
use super::kind::Kind;
use super::params::Asked;
use crate::query::{ParamError, Query};
use crate::render::svg::Size;

/// A week is shown by hours.
pub(super) const HOUR_S: u64 = 3_600;

/// Which picture rows make, and which rows.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) kind: Kind,
    pub(super) measured: Measured,
    /// The values are those that were counted, not those of columns.
    pub(super) sketch: Option<Sketch>,
    /// Columns that are shown as one series each, in place of one column by dimensions.
    pub(super) quantiles: Vec<String>,
    /// The other column of a scatter plot.
    pub(super) across: Option<Measured>,
    /// The dimensions by which series are told apart.
    pub(super) by: Vec<String>,
    /// The dimension by which bars are cut.
    pub(super) cut: Option<String>,
    /// Length of the windows, s.
    pub(super) window_s: Option<u64>,
    /// Rows show the end of their window.
    pub(super) shown_by_end: bool,
    pub(super) has_time: bool,
    pub(super) dimensions: usize,
    /// No more bars than this.
    pub(super) most_bars: Option<usize>,
    /// Bars stand in the order of the rows.
    pub(super) as_ordered: bool,
    /// Windows at the bounds of time count with what lies within.
    pub(super) clip: bool,
    /// Of more rows than this a picture is not made as they are.
    pub(super) most_rows: u64,
    pub(super) size: Size,
}

impl Plan {
    /// Plans the picture of rows.
    ///
    /// # Errors
    ///
    /// [`ParamError`] if the rows have not what was asked for.
    pub fn new(fields: &Fields, asked: &Asked, query: &Query) -> Result<Self, ParamError> {
        let chosen = chosen(fields, asked, query)?;
        let measured = chosen.map(|number| number.measured.clone()).unwrap_or(Measured {
            column: None,
            unit: "rows".to_owned(),
            combine: Combine::Sum,
        });
        let sketch = chosen.and_then(|number| sketch(fields, number, asked, query));
        let mut by = by(fields, asked, query, measured.combine)?;
        let is_sketched = sketch.is_some();
        let kind = asked.kind.unwrap_or_else(|| usual(fields, is_sketched, &by));
        let sketch = sketch.filter(|_| matches!(kind, Kind::Histogram | Kind::Box));
        if sketch.is_some() {
            // Whatever they are of, what was counted can be added up.
            by.truncate(1);
        }
        let limit = query.limit.and_then(|limit| usize::try_from(limit).ok());
        let mut plan = Self {
            kind,
            sketch,
            quantiles: Vec::new(),
            across: None,
            by,
            cut: None,
            window_s: fields.window_s,
            shown_by_end: fields.shown_by_end,
            has_time: fields.has_time,
            dimensions: fields.dimensions.len(),
            most_bars: limit,
            as_ordered: false,
            clip: matches!(kind, Kind::Bar | Kind::StackedBar | Kind::Tile | Kind::Week),
            most_rows: MOST_ROWS,
            size: size(kind, asked),
            measured,
        };
        // Rows that are added up have no order, and none may be missing.
        let is_row = !plan.has_time && plan.by.len() == plan.dimensions;
        plan.as_ordered = kind == Kind::Bar && query.sort.is_some() && is_row;
        plan.fit(fields, asked, query, chosen)?;
        plan.check(fields)?;
        Ok(plan)
    }

    /// Takes what the kind needs besides.
    fn fit(
        &mut self,
        fields: &Fields,
        asked: &Asked,
        query: &Query,
        chosen: Option<&Number>,
    ) -> Result<(), ParamError> {
        match self.kind {
            Kind::Line if self.by.iter().all(|name| is_fixed(query, name)) => {
                self.quantiles = quantiles(fields, asked, query, chosen);
            }
            Kind::Histogram if self.sketch.is_some() => self.by.clear(),
            Kind::Histogram if !self.has_time => {
                self.by = fields.counted_by().map(str::to_owned).into_iter().collect();
                if self.measured.combine != Combine::Sum && !self.by.is_empty() {
                    return Err(refused("type", "needs a measure that can be added up", NAMES));
                }
            }
            Kind::Scatter => {
                let others =
                    || fields.numbers.iter().filter(|other| !self.is_measured(&other.measured));
                self.across = match &asked.x {
                    None => others().next().map(|number| number.measured.clone()),
                    Some(name) => Some(
                        fields.number(name).map(|it| it.measured.clone()).ok_or_else(|| {
                            let columns = others().filter_map(|it| it.measured.column.as_deref());
                            refused("x", "is no measure with numbers here", columns)
                        })?,
                    ),
                };
                self.clip = self.across.is_some();
                if self.across.is_none() && !self.has_time {
                    return Err(refused("type", "needs a time or a second measure", NAMES));
                }
                self.by = fields.names().map(str::to_owned).collect();
            }
            Kind::StackedBar => {
                let cut = fields.names().find(|name| !self.by.iter().any(|by| by == name));
                let cut = cut.ok_or_else(|| refused("type", "needs a second dimension", NAMES))?;
                self.cut = Some(cut.to_owned());
            }
            Kind::Bar if self.by.is_empty() => self.kind = Kind::Tile,
            Kind::Heatmap if self.by.is_empty() => self.kind = Kind::Week,
            _ => {}
        }
        Ok(())
    }

    fn is_measured(&self, other: &Measured) -> bool {
        other.column == self.measured.column
    }

    /// Refuses what the rows cannot show.
    fn check(&self, fields: &Fields) -> Result<(), ParamError> {
        use Kind::{Area, Column, Heatmap, Line, Sparkline, StackedArea, StackedBar, Tile, Week};
        let of_time = [Line, Area, StackedArea, Column, Heatmap, Week, Sparkline];
        if of_time.contains(&self.kind) && !self.has_time {
            return Err(refused("type", "needs a model with a time", NAMES));
        }
        if self.kind == Kind::Box && !self.has_time && self.sketch.is_none() {
            let reason = "needs a model with a time, or a measure that keeps quantiles";
            return Err(refused("type", reason, NAMES));
        }
        let joins = [StackedArea, Column, StackedBar, Sparkline, Tile];
        if joins.contains(&self.kind)
            && self.measured.combine == Combine::Never
            && self.by.iter().any(|by| fields.names().any(|name| name == by))
        {
            let reason = "shows values that cannot be added up; filter the rows to one of each time, or \
                          choose another measure";
            return Err(refused("type", reason, ["line", "bar", "heatmap", "box"]));
        }
        let by_hours = self.window_s.is_none_or(|window_s| HOUR_S.is_multiple_of(window_s));
        if self.kind == Week && !by_hours {
            return Err(refused("type", "needs windows of an hour or shorter", NAMES));
        }
        Ok(())
    }

    /// Counts all that lies within the bounds of time, in windows that may be cut by them.
    #[must_use]
    pub fn clipped(self) -> Self {
        Self { clip: true, ..self }
    }

    /// Whether windows that are cut by the bounds of time are counted, too.
    #[must_use]
    pub fn is_clipped(&self) -> bool {
        self.clip
    }

    /// Which picture it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The first dimension that tells series apart.
    #[must_use]
    pub fn by(&self) -> Option<&str> {
        self.by.first().map(String::as_str)
    }

    /// Whether values of several rows are added up.
    #[must_use]
    pub fn is_additive(&self) -> bool {
        self.measured.combine == Combine::Sum
    }
}

/// The column that is shown: the one asked for, else the first of those that the query names.
fn chosen<'a>(
    fields: &'a Fields,
    asked: &Asked,
    query: &Query,
) -> Result<Option<&'a Number>, ParamError> {
    if let Some(name) = &asked.measure {
        let columns = fields.numbers.iter().filter_map(|number| number.measured.column.as_deref());
        let found = fields.number(name);
        return found
            .map(Some)
            .ok_or_else(|| refused("measure", "is no measure with numbers here", columns));
    }
    let named = query.columns.iter().flatten().find_map(|name| {
        fields.numbers.iter().find(|number| number.measured.column.as_ref() == Some(name))
    });
    Ok(named.or(fields.numbers.first()))
}

/// What was counted of a measure, unless one of its columns is meant.
fn sketch(fields: &Fields, number: &Number, asked: &Asked, query: &Query) -> Option<Sketch> {
    let is_whole = match &asked.measure {
        Some(name) => *name == number.measure,
        None => !query
            .columns
            .iter()
            .flatten()
            .any(|name| number.measured.column.as_ref() == Some(name)),
    };
    let found = fields.sketches.iter().find(|sketch| sketch.measure == number.measure);
    found.filter(|_| is_whole).cloned()
}

/// The dimensions by which series are told apart: of values that cannot be joined, all.
fn by(
    fields: &Fields,
    asked: &Asked,
    query: &Query,
    combine: Combine,
) -> Result<Vec<String>, ParamError> {
    if let Some(by) = asked.by.as_deref().filter(|by| !fields.names().any(|name| name == *by)) {
        let reason = format!("{by:?} is no dimension");
        return Err(refused("by", &reason, fields.names()));
    }
    let named = query.columns.iter().flatten().find(|name| fields.names().any(|own| own == *name));
    let first = asked.by.as_deref().or(named.map(String::as_str)).or(fields.names().next());
    let Some(first) = first else { return Ok(Vec::new()) };
    let others = fields
        .names()
        .filter(|name| combine == Combine::Never && *name != first && !is_fixed(query, name));
    Ok(std::iter::once(first).chain(others).map(str::to_owned).collect())
}

/// Whether all rows have the same value of a dimension.
fn is_fixed(query: &Query, name: &str) -> bool {
    let equals = query.conditions.iter().filter(|condition| {
        condition.name == name || condition.name.strip_suffix("__eq") == Some(name)
    });
    equals.count() == 1
}

/// What suits rows best.
fn usual(fields: &Fields, is_sketched: bool, by: &[String]) -> Kind {
    match (fields.has_time, by.is_empty()) {
        (true, true) => Kind::Area,
        (true, false) => Kind::Line,
        (false, _) if fields.counted_by().is_some() => Kind::Histogram,
        (false, true) if is_sketched => Kind::Histogram,
        (false, false) if is_sketched => Kind::Box,
        (false, false) => Kind::Bar,
        (false, true) if fields.is_computed && fields.numbers.len() > 1 => Kind::Scatter,
        (false, true) if fields.is_computed => Kind::Histogram,
        (false, true) => Kind::Tile,
    }
}

/// The quantiles of a measure that are shown as a line each.
fn quantiles(
    fields: &Fields,
    asked: &Asked,
    query: &Query,
    chosen: Option<&Number>,
) -> Vec<String> {
    let Some(chosen) = chosen.filter(|_| asked.measure.is_none() && query.agg.is_none()) else {
        return Vec::new();
    };
    if !fields.sketches.iter().any(|sketch| sketch.measure == chosen.measure) {
        return Vec::new();
    }
    let family = fields.numbers.iter().filter(|number| number.measure == chosen.measure);
    let columns = family.filter_map(|number| number.measured.column.clone());
    let is_wanted =
        |name: &String| query.columns.as_ref().is_none_or(|columns| columns.contains(name));
    // A count beside times would share their axis.
    columns.filter(|name| !name.ends_with("_count") && is_wanted(name)).collect()
}

/// Names of kinds, for errors.
const NAMES: [&str; 3] = ["another type", "another model (model=)", "none, for what suits it"];

fn size(kind: Kind, asked: &Asked) -> Size {
    let (width, height) = match kind {
        Kind::Sparkline => (160, 32),
        Kind::Tile => (240, 120),
        Kind::Week => (720, 300),
        _ => (720, 320),
    };
    Size::new(asked.width.unwrap_or(width), asked.height.unwrap_or(height))
}

pub(super) fn refused<'a>(
    param: &str,
    reason: &str,
    allowed: impl IntoIterator<Item = &'a str>,
) -> ParamError {
    let allowed: Vec<_> = allowed.into_iter().collect();
    ParamError { param: param.to_owned(), reason: reason.to_owned(), allowed: allowed.join(", ") }
}
