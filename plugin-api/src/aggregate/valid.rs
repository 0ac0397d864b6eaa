//! Which measures make sense.

use crate::manifest::{Aggregator, Measure, ValueKind};

/// The most values that a `log` or `top_k_approx` may keep: a state is read into memory whole.
const MOST_KEPT: u32 = 10_000;
const MOST_PER_OCTAVE: u32 = 1024;

/// Why a measure makes no sense. The plugin must be built with another one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum MeasureError {
    /// Only ints and nums can be added up.
    #[error("measure {measure:?} adds up {of:?} values; use Int or Num")]
    NotNumbers { measure: String, of: ValueKind },
    /// Buckets per octave are a power of two, at most 1024.
    #[error(
        "measure {measure:?} has {per_octave} buckets per octave; use a power of two up to 1024"
    )]
    PerOctave { measure: String, per_octave: u32 },
    /// A quantile is a number from 0 to 1.
    #[error("measure {measure:?} shows quantile {quantile}; use numbers from 0 to 1")]
    Quantile { measure: String, quantile: f64 },
    /// At least one value is kept, and at most 10,000.
    #[error("measure {measure:?} keeps {keep} values; keep 1 to 10000")]
    Keep { measure: String, keep: u32 },
}

/// Does `measure` make sense? States of one that does not are read and merged without harm, but
/// mean nothing.
///
/// # Errors
/// [`MeasureError`] tells what is wrong with it.
pub fn validate(measure: &Measure) -> Result<(), MeasureError> {
    let name = || measure.name.clone();
    match measure.aggregator {
        Aggregator::Sum { of } | Aggregator::Moments { of }
            if !matches!(of, ValueKind::Int | ValueKind::Num) =>
        {
            Err(MeasureError::NotNumbers { measure: name(), of })
        }
        Aggregator::Quantiles { per_octave, .. }
            if !per_octave.is_power_of_two() || per_octave > MOST_PER_OCTAVE =>
        {
            Err(MeasureError::PerOctave { measure: name(), per_octave })
        }
        Aggregator::Quantiles { ref show, .. } => {
            match show.iter().find(|quantile| !(0.0..=1.0).contains(*quantile)) {
                Some(&quantile) => Err(MeasureError::Quantile { measure: name(), quantile }),
                None => Ok(()),
            }
        }
        Aggregator::Log { keep, .. } | Aggregator::TopKApprox { keep }
            if !(1..=MOST_KEPT).contains(&keep) =>
        {
            Err(MeasureError::Keep { measure: name(), keep })
        }
        _ => Ok(()),
    }
}
