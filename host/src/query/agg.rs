//! What becomes of the numbers of windows that are joined, where it is not what one longer window
//! would hold: an aggregator over the values that the stored windows show.
//!
//! The rows of the joined windows are rows of a model of their own, whose measures are made here of
//! the columns of the stored one. What cannot be aggregated (the sum of texts) has no column there.

use statmill_plugin_api::aggregate::{
    self, Element, First, Last, Max, MeasureOptions, Min, Moments, Number, Quantiles, Stamp3,
    State, Sum, Text, Time,
};
use statmill_plugin_api::encoding::Value;
use statmill_plugin_api::manifest::{Aggregator, Measure, ModelManifest, ValueKind};

/// Buckets per octave of quantiles over windows: they are right within 1/1024.
const PER_OCTAVE: u32 = 1_024;
const OPTIONS: MeasureOptions =
    MeasureOptions { per_octave: PER_OCTAVE, ..MeasureOptions::DEFAULT };

/// An aggregator over the values of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Agg {
    /// Their sum.
    Sum,
    /// How many there are, their sum, mean and deviation.
    Mean,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// That of the first window that has one.
    First,
    /// That of the last window that has one.
    Last,
    /// A quantile, in millionths.
    Quantile(u32),
}

impl Agg {
    pub(super) const ALLOWED: &'static str = "`merge`, `sum`, `mean`, `min`, `max`, `first`, `last`, or a percentile such as `p50` or `p99.9`";
    pub(super) const PATTERN: &'static str =
        r"^(merge|sum|mean|min|max|first|last|p(100|[0-9]{1,2}(\.[0-9]{1,4})?))$";

    /// Reads its name; `Some(None)` is the merge of the stored rows themselves, which needs none.
    pub(super) fn parse(text: &str) -> Option<Option<Self>> {
        Some(Some(match text {
            "merge" => return Some(None),
            "sum" => Self::Sum,
            "mean" => Self::Mean,
            "min" => Self::Min,
            "max" => Self::Max,
            "first" => Self::First,
            "last" => Self::Last,
            _ => Self::Quantile(millionths(text.strip_prefix('p')?)?),
        }))
    }

    /// The aggregator for values of a kind; `None` if there is none.
    fn over(self, of: ValueKind) -> Option<Aggregator> {
        let is_number = matches!(of, ValueKind::Int | ValueKind::Num);
        Some(match self {
            Self::Sum if is_number => Aggregator::Sum { of },
            Self::Mean if is_number => Aggregator::Moments { of },
            Self::Quantile(millionths) if is_number => {
                let show = vec![f64::from(millionths) / 1e6];
                Aggregator::Quantiles { per_octave: PER_OCTAVE, show }
            }
            _ if of == ValueKind::Json => return None,
            Self::Min => Aggregator::Min { of },
            Self::Max => Aggregator::Max { of },
            Self::First => Aggregator::First { of },
            Self::Last => Aggregator::Last { of },
            _ => return None,
        })
    }
}

/// Millionths of a percentile: `99.9` is 999,000.
fn millionths(percent: &str) -> Option<u32> {
    let (whole, fraction) = percent.split_once('.').unwrap_or((percent, "0"));
    let digits = |text: &str, most: usize| {
        !text.is_empty() && text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !digits(whole, 3) || !digits(fraction, 4) {
        return None;
    }
    let millionths =
        whole.parse::<u32>().ok()? * 10_000 + format!("{fraction:0<4}").parse::<u32>().ok()?;
    (millionths <= 1_000_000).then_some(millionths)
}

/// The measures of the joined rows, and from which columns of a stored row they are made.
#[derive(Debug)]
pub(super) struct Reduction {
    measures: Vec<Measure>,
    /// For each measure the place among the stored measures' columns.
    columns: Vec<usize>,
}

impl Reduction {
    /// `None` if the model has no column for `agg`.
    pub(super) fn new(model: &ModelManifest, agg: Agg) -> Option<Self> {
        let (mut measures, mut columns) = (Vec::new(), Vec::new());
        for (place, column) in model.measures.iter().flat_map(aggregate::columns).enumerate() {
            if let Some(aggregator) = agg.over(column.kind) {
                measures.push(Measure { name: column.name, aggregator, unit: column.unit });
                columns.push(place);
            }
        }
        (!measures.is_empty()).then_some(Self { measures, columns })
    }

    pub(super) fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// Appends the row value that one stored row makes: `cells` are its measures' columns, `at_us` is
    /// when its window begins. The error is the name of a column whose number is too large.
    pub(super) fn push(
        &self,
        cells: &[Value],
        at_us: i64,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let stamp = Stamp3 { time_us: at_us, ..Stamp3::default() };
        for (measure, &place) in self.measures.iter().zip(&self.columns) {
            let state = match column_kind(&measure.aggregator) {
                ValueKind::Int => number::<i64>(measure, int(&cells[place]), stamp, out),
                ValueKind::Num => number::<f64>(measure, num(&cells[place]), stamp, out),
                ValueKind::Bool => any::<bool>(measure, bool(&cells[place]), stamp, out),
                ValueKind::Time => any::<Time>(measure, time(&cells[place]), stamp, out),
                ValueKind::Text | ValueKind::Json => {
                    any::<Text>(measure, text(&cells[place]), stamp, out)
                }
            };
            state.ok_or_else(|| measure.name.clone())?;
        }
        Ok(())
    }
}

/// Quantiles do not say of what they are; floats have the same as the ints they are rounded from.
fn column_kind(aggregator: &Aggregator) -> ValueKind {
    match aggregator {
        Aggregator::Sum { of }
        | Aggregator::Moments { of }
        | Aggregator::Min { of }
        | Aggregator::Max { of }
        | Aggregator::First { of }
        | Aggregator::Last { of } => *of,
        _ => ValueKind::Num,
    }
}

/// A cell as what an aggregator takes: `Err` if it cannot be one, `Ok(None)` for null.
type Taken<T> = Result<Option<T>, ()>;

fn int(cell: &Value) -> Taken<i64> {
    match cell {
        Value::Int(number) => i64::try_from(*number).map(Some).map_err(drop),
        Value::Null => Ok(None),
        // A sum of ints beyond 128 bits.
        _ => Err(()),
    }
}

fn num(cell: &Value) -> Taken<f64> {
    Ok(match cell {
        Value::Int(number) => Some(*number as f64),
        Value::Num(number) => Some(*number),
        _ => None,
    })
}

fn bool(cell: &Value) -> Taken<bool> {
    Ok(if let Value::Bool(value) = cell { Some(*value) } else { None })
}

fn time(cell: &Value) -> Taken<i64> {
    Ok(if let Value::Time(time_us) = cell { Some(*time_us) } else { None })
}

fn text(cell: &Value) -> Taken<&str> {
    Ok(if let Value::Text(text) = cell { Some(text) } else { None })
}

fn number<T: Number>(
    measure: &Measure,
    value: Taken<T>,
    stamp: Stamp3,
    out: &mut Vec<u8>,
) -> Option<()> {
    match measure.aggregator {
        Aggregator::Sum { .. } => state::<Sum<T>>(value, stamp, out),
        Aggregator::Moments { .. } => state::<Moments<T>>(value, stamp, out),
        Aggregator::Quantiles { .. } => state::<Quantiles<T>>(value, stamp, out),
        _ => any::<T>(measure, value, stamp, out),
    }
}

fn any<T: Element>(
    measure: &Measure,
    value: Taken<T::Add<'_>>,
    stamp: Stamp3,
    out: &mut Vec<u8>,
) -> Option<()> {
    match measure.aggregator {
        Aggregator::Min { .. } => state::<Min<T>>(value, stamp, out),
        Aggregator::Max { .. } => state::<Max<T>>(value, stamp, out),
        Aggregator::First { .. } => state::<First<T>>(value, stamp, out),
        Aggregator::Last { .. } => state::<Last<T>>(value, stamp, out),
        _ => None,
    }
}

fn state<S: State>(value: Taken<S::Add<'_>>, stamp: Stamp3, out: &mut Vec<u8>) -> Option<()> {
    let mut state = S::default();
    if let Some(value) = value.ok()? {
        state.add(stamp, value, &OPTIONS);
    }
    state.encode(&OPTIONS, out);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_read_to_the_millionth() {
        for (text, expected) in
            [("p0", 0), ("p50", 500_000), ("p99.9", 999_000), ("p100", 1_000_000)]
        {
            assert_eq!(Agg::parse(text), Some(Some(Agg::Quantile(expected))), "{text}");
        }
        for text in ["", "p", "p-1", "p101", "p100.0001", "p1.23456", "p1.", "50", "median", "pé"]
        {
            assert_eq!(Agg::parse(text), None, "{text}");
        }
    }
}
