//! The columns that measures read as.

use crate::manifest::{Aggregator, Measure, ValueKind};

/// The quantiles that are shown where a measure names none.
const DEFAULT_QUANTILES: &[f64] = &[0.5, 0.9, 0.99];

/// A column of a model's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name, unique in the model if its measures are well named.
    pub name: String,
    /// Type of its values; an int sum beyond `i128` reads as a num all the same.
    pub kind: ValueKind,
    /// Unit of the values; empty = none.
    pub unit: String,
    /// A value may be null.
    pub nullable: bool,
}

/// The columns that `measure` reads as, in the order in which [`values`](super::values) reads them.
///
/// Most read as one of the measure's name. `moments` reads as `_count`, `_sum`, `_mean` and `_stddev`
/// (of a sample: null of fewer than two numbers); `quantiles` as one for each quantile shown (`_p50`,
/// `_p99_9`) and `_count`.
#[must_use]
pub fn columns(measure: &Measure) -> Vec<Column> {
    let column = |suffix: &str, kind, unit: &str, nullable| Column {
        name: format!("{}{suffix}", measure.name),
        kind,
        unit: unit.to_owned(),
        nullable,
    };
    let unit = measure.unit.as_str();
    match &measure.aggregator {
        Aggregator::Count | Aggregator::Distinct => {
            vec![column("", ValueKind::Int, unit, false)]
        }
        Aggregator::Sum { of } => vec![column("", *of, unit, *of == ValueKind::Num)],
        Aggregator::Moments { of } => vec![
            column("_count", ValueKind::Int, "", false),
            column("_sum", *of, unit, *of == ValueKind::Num),
            column("_mean", ValueKind::Num, unit, true),
            column("_stddev", ValueKind::Num, unit, true),
        ],
        Aggregator::Min { of }
        | Aggregator::Max { of }
        | Aggregator::First { of }
        | Aggregator::Last { of } => vec![column("", *of, unit, true)],
        Aggregator::Quantiles { show, .. } => quantiles(show)
            .iter()
            .map(|quantile| column(&suffix(*quantile), ValueKind::Num, unit, true))
            .chain([column("_count", ValueKind::Int, "", false)])
            .collect(),
        Aggregator::Log { .. } | Aggregator::TopKApprox { .. } => {
            vec![column("", ValueKind::Json, unit, false)]
        }
    }
}

/// The quantiles that a measure with these shows.
pub(super) fn quantiles(show: &[f64]) -> &[f64] {
    if show.is_empty() { DEFAULT_QUANTILES } else { show }
}

/// `_p50` of 0.5, `_p99_9` of 0.999: per cent, in the millionths that quantiles are read in.
fn suffix(quantile: f64) -> String {
    let millionths = (quantile.clamp(0.0, 1.0) * 1e6).round() as u32;
    let (whole, fraction) = (millionths / 10_000, millionths % 10_000);
    if fraction == 0 {
        return format!("_p{whole}");
    }
    format!("_p{whole}_{fraction:04}").trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_named_in_per_cent() {
        let names = [0.0, 0.05, 0.5, 0.99, 0.999, 0.99999, 1.0].map(suffix);
        assert_eq!(names, ["_p0", "_p5", "_p50", "_p99", "_p99_9", "_p99_999", "_p100"]);
    }
}
