//! Aggregators: states, their merge, and how they read.
//!
//! A row's value is the states of its model's measures, one after the other, each self-delimiting;
//! the header of each submodule says how its state is written (version
//! [`VERSION`](crate::encoding::VERSION)). States are made by a stat's fold ([`State`]), merged by
//! the host without the plugin ([`merge`]) and read as one or more columns ([`columns`], [`values`]).
//!
//! All but [`TopKApprox`] are canonical: equal multisets of additions give equal bytes, whatever the
//! order, the split or the number of merges. Merging two states takes each addition of both to have
//! happened.
//!
//! NaN and the infinities are no values: adding one does nothing, and is not counted. −0 is 0.
//!
//! States read from outside are hostile: a [`DecodeError`] for what is not canonical, never a panic,
//! at a cost bounded by the length of the bytes.

mod accumulator;
pub mod bucket;
pub mod by_time;
mod column;
pub mod count;
pub mod distinct;
mod element;
pub mod entry;
pub mod exact;
pub mod extreme;
pub mod hyperloglog;
mod json;
pub mod log;
pub mod moments;
pub mod quantiles;
mod rounding;
pub mod sum;
#[cfg(test)]
mod tests;
pub mod top_k;
mod valid;

pub use bucket::{bucket, bucket_low};
pub use by_time::{First, Last};
pub use column::{Column, columns};
pub use count::Count;
pub use distinct::Distinct;
pub use element::{Element, Json, Number, Text, Time};
pub use extreme::{Max, Min};
pub use log::Log;
pub use moments::{Moments, Summary};
pub use quantiles::Quantiles;
pub use sum::Sum;
pub use top_k::TopKApprox;
pub use valid::{MeasureError, validate};

use crate::encoding::{DecodeError, Value};
use crate::manifest::{Aggregator, Measure};

/// Folds additions into what one measure of one row gained.
///
/// Nothing added is a state too: a measure is empty where only others of its row were added to.
pub trait State: Default + Send + 'static {
    /// What is added.
    type Add<'a>;

    /// The aggregator of the manifest that these states belong to.
    fn aggregator(options: &MeasureOptions) -> Aggregator;

    /// Adds `value`, from the message at `stamp`.
    fn add(&mut self, stamp: Stamp3, value: Self::Add<'_>, options: &MeasureOptions);

    /// Appends the canonical encoding.
    fn encode(&self, options: &MeasureOptions, out: &mut Vec<u8>);

    /// Approximate size in memory, on the heap and inline; cheap.
    fn bytes(&self) -> usize;
}

/// Which message an addition came from; the order that [`First`], [`Last`] and [`Log`] go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp3 {
    /// Event time, µs since 1970.
    pub time_us: i64,
    /// Orders logs where times are equal.
    pub log_key: u64,
    /// Offset in the log.
    pub offset: u64,
}

/// What an author may choose about a measure; each aggregator takes what it knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeasureOptions {
    /// [`Quantiles`]: buckets per octave, a power of two up to 1024.
    pub per_octave: u32,
    /// [`Quantiles`]: the quantiles shown as columns; none = 0.5, 0.9 and 0.99.
    pub show: &'static [f64],
    /// [`Log`], [`TopKApprox`]: how many values are kept.
    pub keep: u32,
}

impl MeasureOptions {
    /// 16 buckets per octave, default quantiles, 100 values.
    pub const DEFAULT: Self = Self { per_octave: 16, show: &[], keep: 100 };
}

impl Default for MeasureOptions {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Appends the merge of the row values `a` and `b` to `out`: what all of their additions together
/// make. If it fails, `out` is as it was.
///
/// # Errors
/// [`DecodeError`] if one of them is not a canonical value of `measures`.
pub fn merge(
    measures: &[Measure],
    mut a: &[u8],
    mut b: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let start = out.len();
    let merged = measures
        .iter()
        .try_for_each(|measure| merge_states(measure, &mut a, &mut b, out))
        .and_then(|()| at_end(a))
        .and_then(|()| at_end(b));
    if merged.is_err() {
        out.truncate(start);
    }
    merged
}

/// Takes a state of `measure` from the front of each of `a` and `b`, and appends their merge.
fn merge_states(
    measure: &Measure,
    a: &mut &[u8],
    b: &mut &[u8],
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    match measure.aggregator {
        Aggregator::Count => count::merge(a, b, out),
        Aggregator::Sum { of } => sum::merge(of, a, b, out),
        Aggregator::Moments { of } => moments::merge(of, a, b, out),
        Aggregator::Min { of } => extreme::merge_min(of, a, b, out),
        Aggregator::Max { of } => extreme::merge_max(of, a, b, out),
        Aggregator::First { of } => by_time::merge_first(of, a, b, out),
        Aggregator::Last { of } => by_time::merge_last(of, a, b, out),
        Aggregator::Quantiles { per_octave, .. } => quantiles::merge(per_octave, a, b, out),
        Aggregator::Distinct => distinct::merge(a, b, out),
        Aggregator::Log { keep, of } => log::merge(keep, of, a, b, out),
        Aggregator::TopKApprox { keep } => top_k::merge(keep, a, b, out),
    }
}

/// Is `value` a canonical row value of `measures`?
///
/// # Errors
/// [`DecodeError`] if it is not.
pub fn check(measures: &[Measure], mut value: &[u8]) -> Result<(), DecodeError> {
    measures.iter().try_for_each(|measure| check_state(measure, &mut value))?;
    at_end(value)
}

/// Takes one state of `measure` from the front of `state`: how to reach the states behind it.
///
/// # Errors
/// [`DecodeError`] if it is not canonical.
pub fn check_state(measure: &Measure, state: &mut &[u8]) -> Result<(), DecodeError> {
    match measure.aggregator {
        Aggregator::Count => count::check(state),
        Aggregator::Sum { of } => sum::check(of, state),
        Aggregator::Moments { of } => moments::check(of, state),
        Aggregator::Min { of } | Aggregator::Max { of } => extreme::check(of, state),
        Aggregator::First { of } | Aggregator::Last { of } => by_time::check(of, state),
        Aggregator::Quantiles { per_octave, .. } => quantiles::check(per_octave, state),
        Aggregator::Distinct => distinct::check(state),
        Aggregator::Log { keep, of } => log::check(keep, of, state),
        Aggregator::TopKApprox { keep } => top_k::check(keep, state),
    }
}

/// Takes one state of `measure` from the front of `state`, and appends a value for each of the
/// measure's [`columns`].
///
/// # Errors
/// [`DecodeError`] if it is not canonical.
pub fn values(
    measure: &Measure,
    state: &mut &[u8],
    out: &mut Vec<Value>,
) -> Result<(), DecodeError> {
    match measure.aggregator {
        Aggregator::Count => count::values(state, out),
        Aggregator::Sum { of } => sum::values(of, state, out),
        Aggregator::Moments { of } => moments::values(of, state, out),
        Aggregator::Min { of } | Aggregator::Max { of } => extreme::values(of, state, out),
        Aggregator::First { of } | Aggregator::Last { of } => by_time::values(of, state, out),
        Aggregator::Quantiles { per_octave, ref show } => {
            quantiles::values(per_octave, column::quantiles(show), state, out)
        }
        Aggregator::Distinct => distinct::values(state, out),
        Aggregator::Log { keep, of } => log::values(keep, of, state, out),
        Aggregator::TopKApprox { keep } => top_k::values(keep, state, out),
    }
}

/// Appends the values of a whole row, as [`values`] does for each of `measures`.
///
/// # Errors
/// [`DecodeError`] if `value` is not a canonical row value of `measures`.
pub fn row_values(
    measures: &[Measure],
    mut value: &[u8],
    out: &mut Vec<Value>,
) -> Result<(), DecodeError> {
    measures.iter().try_for_each(|measure| values(measure, &mut value, out))?;
    at_end(value)
}

fn at_end(rest: &[u8]) -> Result<(), DecodeError> {
    match rest.len() {
        0 => Ok(()),
        extra => Err(DecodeError::Trailing { what: "a row's value", extra }),
    }
}
