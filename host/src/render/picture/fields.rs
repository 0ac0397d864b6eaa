//! What rows have that can be drawn, however they came about: stored by a model, or computed.

use statmill_plugin_api::aggregate;
use statmill_plugin_api::manifest::{Aggregator, Measure, ModelManifest, Stamp, ValueKind};

use crate::query::shape::ModelShape;
use crate::query::{Agg, Column};

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

/// A column of numbers, and the measure that it is of.
#[derive(Clone, Debug)]
pub(super) struct Number {
    pub(super) measure: String,
    pub(super) measured: Measured,
}

/// A measure that keeps how often values of which size are.
#[derive(Clone, Debug)]
pub(super) struct Sketch {
    pub(super) measure: String,
    pub(super) unit: String,
    pub(super) per_octave: u32,
}

/// What rows have that can be drawn.
#[derive(Clone, Debug)]
pub struct Fields {
    /// What tells rows of the same time apart.
    pub(super) dimensions: Vec<(String, ValueKind)>,
    /// Columns of numbers; those that a picture takes first come first.
    pub(super) numbers: Vec<Number>,
    pub(super) sketches: Vec<Sketch>,
    pub(super) has_time: bool,
    pub(super) is_computed: bool,
    /// Length of windows, s.
    pub(super) window_s: Option<u64>,
    /// Rows show the end of their window.
    pub(super) shown_by_end: bool,
}

impl Fields {
    /// Those of a model, after `agg` of a query.
    #[must_use]
    pub fn of_model(model: &ModelManifest, agg: Option<Agg>) -> Self {
        let has_time = ModelShape::new(model).has_time();
        // Of a model without windows a time may be the first dimension.
        let of_time = usize::from(has_time && model.window_s.is_none());
        let dimensions = model.dimensions.iter().skip(of_time);
        let sketch = |measure: &Measure| match measure.aggregator {
            Aggregator::Quantiles { per_octave, .. } if agg.is_none() => Some(Sketch {
                measure: measure.name.clone(),
                unit: measure.unit.clone(),
                per_octave,
            }),
            _ => None,
        };
        Self {
            dimensions: dimensions.map(|own| (own.name.clone(), own.kind)).collect(),
            numbers: numbers(model, agg),
            sketches: model.measures.iter().filter_map(sketch).collect(),
            has_time,
            is_computed: false,
            window_s: model.window_s,
            shown_by_end: model.stamp == Stamp::End,
        }
    }

    /// Those of a table that was computed. What its last column of numbers is was computed from
    /// those before it; how its values could be joined is not known.
    #[must_use]
    pub fn of_table(columns: &[Column]) -> Self {
        let of_kinds = |kinds: [ValueKind; 2]| {
            columns.iter().filter(move |column| kinds.contains(&column.kind))
        };
        let number = |column: &Column| Number {
            measure: column.name.clone(),
            measured: Measured {
                column: Some(column.name.clone()),
                unit: column.unit.clone(),
                combine: Combine::Never,
            },
        };
        let names = of_kinds([ValueKind::Text, ValueKind::Bool]);
        Self {
            dimensions: names.map(|column| (column.name.clone(), column.kind)).collect(),
            numbers: of_kinds([ValueKind::Int, ValueKind::Num]).rev().map(number).collect(),
            sketches: Vec::new(),
            is_computed: true,
            has_time: columns.iter().any(|column| column.kind == ValueKind::Time),
            window_s: None,
            shown_by_end: false,
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.dimensions.iter().map(|(name, _)| name.as_str())
    }

    /// The first dimension of whole or other numbers.
    pub(super) fn counted_by(&self) -> Option<&str> {
        let found = self
            .dimensions
            .iter()
            .find(|(_, kind)| matches!(kind, ValueKind::Int | ValueKind::Num));
        found.map(|(name, _)| name.as_str())
    }

    /// The column of numbers of that name, or the first of the measure of that name.
    pub(super) fn number(&self, name: &str) -> Option<&Number> {
        let exact =
            self.numbers.iter().find(|number| number.measured.column.as_deref() == Some(name));
        exact.or_else(|| self.numbers.iter().find(|number| number.measure == name))
    }
}

/// Columns of measures that hold numbers.
fn numbers(model: &ModelManifest, agg: Option<Agg>) -> Vec<Number> {
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
        let mut columns: Vec<Number> = aggregate::columns(measure)
            .into_iter()
            .filter(|column| matches!(column.kind, ValueKind::Int | ValueKind::Num))
            .map(|column| Number {
                measure: measure.name.clone(),
                measured: Measured {
                    combine: combine_by(measure, &column.name),
                    unit: column.unit,
                    column: Some(column.name),
                },
            })
            .collect();
        // Of moments the mean says most.
        let mean = format!("{}_mean", measure.name);
        columns.sort_by_key(|number| {
            matches!(measure.aggregator, Aggregator::Moments { .. })
                && number.measured.column.as_ref() != Some(&mean)
        });
        found.extend(columns);
    }
    found
}
