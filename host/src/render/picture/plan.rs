//! Which picture a model's rows make, and which rows to ask for it.

use statmill_plugin_api::aggregate;
use statmill_plugin_api::manifest::{Aggregator, Measure, ModelManifest, Stamp, ValueKind};

use super::params::{Asked, Kind};
use crate::query::filter::Condition;
use crate::query::shape::ModelShape;
use crate::query::{Agg, Order, ParamError, Query, Sort};
use crate::render::svg::Size;

/// The most rows that a picture is made of.
pub const MOST_ROWS: u64 = 100_000;
/// A week is shown by hours.
const HOUR_S: u64 = 3_600;

/// How the values of several rows become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Combine {
    Sum,
    Least,
    Greatest,
    /// Not at all: nobody knows the median of two medians.
    Never,
}

/// What a picture shows.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// The column; `None` = that there is a row.
    pub(super) column: Option<String>,
    pub(super) unit: String,
    pub(super) combine: Combine,
}

/// Which picture rows make, and which rows.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) kind: Kind,
    pub(super) measured: Measured,
    /// Columns that are shown as one series each, in place of one column by dimensions.
    pub(super) quantiles: Vec<String>,
    /// The other column of a scatter plot.
    pub(super) across: Option<Measured>,
    /// The dimensions by which series are told apart.
    pub(super) by: Vec<String>,
    /// The dimension by which bars are cut.
    pub(super) cut: Option<String>,
    /// Length of the model's windows, s.
    pub(super) window_s: Option<u64>,
    /// Rows show the end of their window.
    pub(super) shown_by_end: bool,
    pub(super) has_time: bool,
    pub(super) dimensions: usize,
    pub(super) size: Size,
}

impl Plan {
    /// Plans the picture of a model's rows.
    ///
    /// # Errors
    ///
    /// [`ParamError`] if the model has not what was asked for.
    pub fn new(model: &ModelManifest, asked: &Asked, query: &Query) -> Result<Self, ParamError> {
        let shape = ModelShape::new(model);
        let columns = measured(model, query.agg);
        let all: Vec<&str> =
            model.dimensions.iter().map(|dimension| dimension.name.as_str()).collect();
        // Of a model without windows a time may be the first dimension.
        let of_time = usize::from(shape.has_time() && model.window_s.is_none());
        let dimensions = &all[of_time.min(all.len())..];
        let is_fixed = |name: &str| query.conditions.iter().any(|condition| condition.name == name);
        let chosen = match &asked.measure {
            None => columns.first().map(|(_, measured)| measured.clone()),
            Some(name) => {
                let found = columns.iter().find(|(measure, measured)| {
                    measure == name || measured.column.as_ref() == Some(name)
                });
                let allowed = columns.iter().filter_map(|(_, measured)| measured.column.as_deref());
                Some(found.map(|(_, measured)| measured.clone()).ok_or_else(|| {
                    refused("measure", "is no measure with numbers here", allowed)
                })?)
            }
        };
        let rows = Measured { column: None, unit: "rows".to_owned(), combine: Combine::Sum };
        let measured = chosen.unwrap_or(rows);
        if let Some(by) = asked.by.as_deref().filter(|by| !dimensions.contains(by)) {
            return Err(refused(
                "by",
                &format!("{by:?} is no dimension"),
                dimensions.iter().copied(),
            ));
        }
        let first = asked.by.as_deref().or(dimensions.first().copied());
        let by: Vec<String> = match (first, measured.combine) {
            (None, _) => Vec::new(),
            (Some(first), Combine::Never) => {
                let free = dimensions.iter().filter(|name| **name != first && !is_fixed(name));
                std::iter::once(first).chain(free.copied()).map(str::to_owned).collect()
            }
            (Some(first), _) => vec![first.to_owned()],
        };
        let whole = |name: &&&str| {
            let kind = model.dimensions.iter().find(|dimension| dimension.name == **name);
            kind.is_some_and(|dimension| matches!(dimension.kind, ValueKind::Int | ValueKind::Num))
        };
        let kind = asked.kind.unwrap_or(match (shape.has_time(), by.is_empty()) {
            (true, true) => Kind::Area,
            (true, false) => Kind::Line,
            (false, _) if dimensions.iter().any(|name| whole(&name)) => Kind::Histogram,
            (false, false) => Kind::Bar,
            (false, true) => Kind::Tile,
        });
        let mut plan = Self {
            kind,
            quantiles: Vec::new(),
            across: None,
            by,
            cut: None,
            window_s: model.window_s,
            shown_by_end: model.stamp == Stamp::End,
            has_time: shape.has_time(),
            dimensions: dimensions.len(),
            size: size(kind, asked),
            measured,
        };
        match kind {
            Kind::Line if plan.by.iter().all(|name| is_fixed(name)) && asked.measure.is_none() => {
                let family = columns.first().map(|(measure, _)| measure);
                let of_family = columns.iter().filter(|(measure, measured)| {
                    Some(measure) == family && measured.unit == plan.measured.unit
                });
                let names: Vec<_> =
                    of_family.filter_map(|(_, measured)| measured.column.clone()).collect();
                let is_quantiles = model.measures.iter().any(|measure| {
                    Some(&measure.name) == family
                        && matches!(measure.aggregator, Aggregator::Quantiles { .. })
                });
                // A count beside times would share their axis.
                plan.quantiles = if is_quantiles && query.agg.is_none() {
                    names.into_iter().filter(|name| !name.ends_with("_count")).collect()
                } else {
                    Vec::new()
                };
            }
            Kind::Histogram if !shape.has_time() => {
                let number = dimensions.iter().find(whole).map(|name| (*name).to_owned());
                plan.by = number.into_iter().collect();
                if plan.measured.combine != Combine::Sum && !plan.by.is_empty() {
                    return Err(refused("type", "needs a measure that can be added up", NAMES));
                }
            }
            Kind::Scatter => {
                let first = plan.measured.column.clone();
                let mut others = columns.iter().filter(|(_, other)| other.column != first);
                plan.across = others.next().map(|(_, measured)| measured.clone());
                if plan.across.is_none() && !shape.has_time() {
                    return Err(refused("type", "needs a time or a second measure", NAMES));
                }
                plan.by = dimensions.iter().map(|name| (*name).to_owned()).collect();
            }
            Kind::StackedBar => {
                let cut = dimensions.iter().find(|name| !plan.by.iter().any(|by| by == *name));
                plan.cut = Some(
                    cut.ok_or_else(|| refused("type", "needs a second dimension", NAMES))?
                        .to_string(),
                );
            }
            Kind::Bar if plan.by.is_empty() => plan.kind = Kind::Tile,
            Kind::Heatmap if plan.by.is_empty() => plan.kind = Kind::Week,
            _ => {}
        }
        plan.check(dimensions)?;
        Ok(plan)
    }

    /// Refuses what the rows cannot show.
    fn check(&self, dimensions: &[&str]) -> Result<(), ParamError> {
        use Kind::{
            Area, Box, Column, Heatmap, Line, Sparkline, StackedArea, StackedBar, Tile, Week,
        };
        let of_time = [Line, Area, StackedArea, Column, Heatmap, Week, Sparkline, Box];
        if of_time.contains(&self.kind) && !self.has_time {
            return Err(refused("type", "needs a model with a time", NAMES));
        }
        let joins = [StackedArea, Column, StackedBar, Sparkline, Tile];
        if joins.contains(&self.kind)
            && self.measured.combine == Combine::Never
            && self.by.iter().any(|by| dimensions.contains(&by.as_str()))
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

    /// Which picture it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the query for the rows of the picture: the given one, with as few windows as it shows.
    #[must_use]
    pub fn query(&self, query: &Query) -> Query {
        let mut asked = Query {
            sort: None,
            limit: None,
            page: 1,
            cursor: None,
            columns: None,
            rows_per_page: Some(MOST_ROWS),
            order: self.has_time.then_some(Order::Asc),
            ..query.clone()
        };
        let width = u64::from(self.size.width());
        let points = match self.kind {
            Kind::Line | Kind::Area => width.div_ceil(2).clamp(30, 1_000),
            Kind::StackedArea => width.div_ceil(3).clamp(30, 600),
            Kind::Column => width.div_ceil(12).clamp(12, 200),
            Kind::Heatmap => width.div_ceil(6).clamp(12, 300),
            Kind::Sparkline | Kind::Tile => 60,
            Kind::Histogram | Kind::Box => 500,
            Kind::Scatter if self.across.is_none() => 500,
            Kind::Scatter | Kind::Bar | Kind::StackedBar => {
                (asked.step_s, asked.points) = (None, None);
                1
            }
            Kind::Week => {
                asked.step_s = Some(HOUR_S);
                0
            }
        };
        if !self.has_time {
            (asked.step_s, asked.points) = (None, None);
        } else if asked.step_s.is_none() && asked.points.is_none() {
            asked.points = Some(points);
        }
        if asked.step_s.is_some() {
            asked.points = None;
        }
        if let (Kind::Bar, Some(column)) = (self.kind, &self.measured.column) {
            (asked.order, asked.sort) = (None, Some(Sort::parse(&format!("-{column}"))));
        }
        asked
    }

    /// Returns the query for the rows of the largest series, where there are too many: told by `ranked`,
    /// the query for which is that of bars. `None` where series are not rows of one dimension.
    #[must_use]
    pub fn ranking(&self, query: &Query) -> Option<Query> {
        let lines = matches!(self.kind, Kind::Line | Kind::Area | Kind::Heatmap | Kind::Box);
        if !lines || self.dimensions != 1 || self.by.len() != 1 || self.measured.column.is_none() {
            return None;
        }
        let mut ranking = Self { kind: Kind::Bar, ..self.clone() }.query(query);
        ranking.limit = Some(20);
        Some(ranking)
    }

    /// Narrows a query to these values of the dimension of the series; `None` where that cannot be said.
    #[must_use]
    pub fn only(&self, query: &Query, values: &[String]) -> Option<Query> {
        if values.is_empty() || values.iter().any(|value| value.contains(',')) {
            return None;
        }
        let mut query = query.clone();
        let condition = Condition::parse(&format!("{}__in", self.by.first()?), &values.join(","));
        query.conditions.push(condition);
        Some(query)
    }

    /// The name of the dimension that tells series apart, if it is one.
    #[must_use]
    pub fn by(&self) -> Option<&str> {
        self.by.first().map(String::as_str)
    }
}

/// Names of kinds, for errors.
const NAMES: [&str; 3] = ["another type", "another model (model=)", "none, for what suits it"];

/// Columns of measures that hold numbers, with the measures' names; those that a picture takes first
/// come first.
pub(super) fn measured(model: &ModelManifest, agg: Option<Agg>) -> Vec<(String, Measured)> {
    let combine_by = |measure: &Measure, column: &str| match (&measure.aggregator, agg) {
        (_, Some(Agg::Min)) => Combine::Least,
        (_, Some(Agg::Max)) => Combine::Greatest,
        (_, Some(agg)) if agg != Agg::Sum => Combine::Never,
        (Aggregator::Count | Aggregator::Sum { .. }, _) => Combine::Sum,
        (Aggregator::Min { .. }, _) => Combine::Least,
        (Aggregator::Max { .. }, _) => Combine::Greatest,
        (Aggregator::Moments { .. } | Aggregator::Quantiles { .. }, _)
            if column.ends_with("_count") || column.ends_with("_sum") =>
        {
            Combine::Sum
        }
        _ => Combine::Never,
    };
    let mut found = Vec::new();
    for measure in &model.measures {
        let mut columns: Vec<(String, Measured)> = aggregate::columns(measure)
            .into_iter()
            .filter(|column| matches!(column.kind, ValueKind::Int | ValueKind::Num))
            .map(|column| {
                let combine = combine_by(measure, &column.name);
                let measured = Measured { column: Some(column.name), unit: column.unit, combine };
                (measure.name.clone(), measured)
            })
            .collect();
        // Of moments the mean says most.
        let mean = format!("{}_mean", measure.name);
        columns.sort_by_key(|(_, measured)| {
            matches!(measure.aggregator, Aggregator::Moments { .. })
                && measured.column.as_ref() != Some(&mean)
        });
        found.extend(columns);
    }
    found
}

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
