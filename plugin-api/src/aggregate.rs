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

mod count;

pub use count::Count;

use crate::manifest::Aggregator;

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
