//! `quantiles`: a log-linear histogram.
//!
//! State: for each bucket that is not empty, ascending, the gap and its count as LEB128; then the
//! byte `00`. The gap of the first bucket is 1 + the zigzag form of its index, that of others the
//! difference to the index before. [`mod@super::bucket`] says which bucket a value is in. Ints are cut
//! to the 53 bits of a float's mantissa, towards 0.
//!
//! Quantile q of n values is the value of rank ⌈q · n⌉, the least being of rank 1, read as the bound
//! of its bucket nearer to 0; q is taken in millionths. So it is at most 1/`per_octave` of itself
//! nearer to 0 than the true one.

use std::marker::PhantomData;

use rustc_hash::FxHashMap;

use super::bucket::Scale;
use super::element::Number;
use super::{MeasureOptions, Stamp3, State};
use crate::encoding::{DecodeError, Value, leb128};
use crate::manifest::Aggregator;

const WHAT: &str = "a histogram";
/// So many buckets are searched fast enough, and take little room.
const FEW: usize = 32;
/// Most buckets in a row that are counted by their place.
const MOST_IN_A_ROW: usize = 1024;
const MILLION: u128 = 1_000_000;

/// Keeps a histogram of numbers, from which quantiles are read.
#[derive(Clone, Debug)]
pub struct Quantiles<T = f64> {
    buckets: Buckets,
    of: PhantomData<T>,
}

#[derive(Clone, Debug)]
enum Buckets {
    /// Index and count, ascending.
    Few(Vec<(i32, u64)>),
    Many(Box<Many>),
}

/// A row of adjacent buckets, which common values fall into, and those outside of it.
#[derive(Clone, Debug, Default)]
struct Many {
    /// Index of the first of `row`.
    first: i32,
    row: Vec<u64>,
    others: FxHashMap<i32, u64>,
}

impl<T> Default for Quantiles<T> {
    fn default() -> Self {
        Self { buckets: Buckets::Few(Vec::new()), of: PhantomData }
    }
}

impl Buckets {
    #[inline]
    fn add(&mut self, index: i32) {
        match self {
            Self::Few(buckets) => match buckets.binary_search_by_key(&index, |bucket| bucket.0) {
                Ok(at) => buckets[at].1 = buckets[at].1.saturating_add(1),
                Err(at) if buckets.len() < FEW => buckets.insert(at, (index, 1)),
                Err(_) => {
                    let mut many = Box::new(Many::default());
                    buckets.iter().for_each(|&(index, count)| many.add(index, count));
                    many.add(index, 1);
                    *self = Self::Many(many);
                }
            },
            Self::Many(many) => many.add(index, 1),
        }
    }

    /// Index and count, ascending.
    fn sorted(&self) -> Vec<(i32, u64)> {
        match self {
            Self::Few(buckets) => buckets.clone(),
            Self::Many(many) => {
                let row =
                    (many.first..).zip(many.row.iter().copied()).filter(|bucket| bucket.1 > 0);
                let others = many.others.iter().map(|(&index, &count)| (index, count));
                let mut buckets: Vec<_> = row.chain(others).collect();
                // A bucket is in both if the row came to reach it later.
                buckets.sort_unstable();
                buckets.dedup_by(|next, kept| {
                    let equal = next.0 == kept.0;
                    if equal {
                        kept.1 = kept.1.saturating_add(next.1);
                    }
                    equal
                });
                buckets
            }
        }
    }

    fn heap(&self) -> usize {
        const SLOT: usize = size_of::<(i32, u64)>();
        match self {
            Self::Few(buckets) => buckets.capacity() * SLOT,
            // A table is at most 7/8 full and has a byte more for each slot.
            Self::Many(many) => {
                let others = many.others.capacity() * (SLOT + 1) * 8 / 7;
                size_of::<Many>() + many.row.capacity() * size_of::<u64>() + others
            }
        }
    }
}

impl Many {
    #[inline]
    fn add(&mut self, index: i32, count: u64) {
        let place = i64::from(index) - i64::from(self.first);
        let here = match self.row.get_mut(place as usize) {
            Some(here) => here,
            None => self.reach(index),
        };
        *here = here.saturating_add(count);
    }

    /// The bucket of this index, which is outside of the row; makes the row longer if it may be.
    #[inline(never)]
    fn reach(&mut self, index: i32) -> &mut u64 {
        if self.row.is_empty() {
            self.first = index;
        }
        let last = self.first + self.row.len() as i32 - 1;
        let (first, last) = (self.first.min(index), last.max(index));
        let len = (i64::from(last) - i64::from(first) + 1) as usize;
        if len > MOST_IN_A_ROW {
            return self.others.entry(index).or_insert(0);
        }
        let before = (self.first - first) as usize;
        self.row.splice(0..0, std::iter::repeat_n(0, before));
        self.row.resize(len, 0);
        self.first = first;
        &mut self.row[(index - first) as usize]
    }
}

impl<T: Number> State for Quantiles<T> {
    type Add<'a> = T;

    fn aggregator(options: &MeasureOptions) -> Aggregator {
        Aggregator::Quantiles { per_octave: options.per_octave, show: options.show.to_vec() }
    }

    #[inline]
    fn add(&mut self, _: Stamp3, value: T, options: &MeasureOptions) {
        if T::accepts(value) {
            self.buckets.add(Scale::new(options.per_octave).index(value.truncate()));
        }
    }

    fn encode(&self, _: &MeasureOptions, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out);
        for (index, count) in self.buckets.sorted() {
            writer.push(index, count);
        }
        writer.finish();
    }

    #[inline]
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.buckets.heap()
    }
}

/// Writes the buckets of a state, ascending.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    last: Option<i32>,
}

impl<'a> Writer<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, last: None }
    }

    fn push(&mut self, index: i32, count: u64) {
        let gap = match self.last {
            None => 1 + u64::from((index << 1 ^ index >> 31) as u32),
            Some(last) => i64::from(index).abs_diff(last.into()),
        };
        self.last = Some(index);
        leb128::push_u64(gap, self.out);
        leb128::push_u64(count, self.out);
    }

    fn finish(self) {
        self.out.push(0);
    }
}

/// Reads the buckets of a state.
struct Reader<'a, 's> {
    scale: Scale,
    last: Option<i32>,
    state: &'s mut &'a [u8],
}

impl<'a, 's> Reader<'a, 's> {
    fn new(per_octave: u32, state: &'s mut &'a [u8]) -> Self {
        Self { scale: Scale::new(per_octave), last: None, state }
    }

    fn next(&mut self) -> Result<Option<(i32, u64)>, DecodeError> {
        let gap = leb128::take_u64(self.state, WHAT)?;
        let Some(from_first) = gap.checked_sub(1) else { return Ok(None) };
        let index = match self.last {
            None => (from_first >> 1) as i64 ^ -((from_first & 1) as i64),
            Some(last) => i64::from(last).saturating_add_unsigned(gap),
        };
        if !self.scale.contains(index) {
            return Err(DecodeError::OutOfRange { what: WHAT });
        }
        let count = leb128::take_u64(self.state, WHAT)?;
        if count == 0 {
            return Err(DecodeError::NotCanonical { what: WHAT });
        }
        let index = index as i32;
        self.last = Some(index);
        Ok(Some((index, count)))
    }
}

/// Takes a state of a `quantiles` measure with so many buckets per octave from the front of `state`:
/// number and count of each bucket that is not empty, ascending. [`bounds`] says what is in a bucket.
///
/// # Errors
/// [`DecodeError`] if it is not canonical.
pub fn buckets(per_octave: u32, state: &mut &[u8]) -> Result<Vec<(i32, u64)>, DecodeError> {
    let mut reader = Reader::new(per_octave, state);
    let mut found = Vec::new();
    while let Some(bucket) = reader.next()? {
        found.push(bucket);
    }
    Ok(found)
}

/// The values in the bucket of a number lie between these two, the one nearer to 0 included.
///
/// # Examples
///
/// ```
/// # use statmill_plugin_api::aggregate::{MeasureOptions, Quantiles, Stamp3, State, quantiles};
/// let mut kept = Quantiles::<i64>::default();
/// kept.add(Stamp3::default(), 1000, &MeasureOptions::DEFAULT);
/// let mut state = Vec::new();
/// kept.encode(&MeasureOptions::DEFAULT, &mut state);
/// let buckets = quantiles::buckets(16, &mut state.as_slice()).unwrap();
/// assert_eq!(buckets.len(), 1);
/// assert_eq!(quantiles::bounds(16, buckets[0].0), (992.0, 1024.0));
/// ```
#[must_use]
pub fn bounds(per_octave: u32, bucket: i32) -> (f64, f64) {
    let scale = Scale::new(per_octave);
    match bucket {
        0.. => (scale.bound(bucket), scale.bound(bucket.saturating_add(1))),
        _ => (scale.bound(bucket.saturating_sub(1)), scale.bound(bucket)),
    }
}

pub(super) fn check(per_octave: u32, state: &mut &[u8]) -> Result<(), DecodeError> {
    let mut buckets = Reader::new(per_octave, state);
    while buckets.next()?.is_some() {}
    Ok(())
}

pub(super) fn merge(
    per_octave: u32,
    a: &mut &[u8],
    b: &mut &[u8],
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let (mut a, mut b) = (Reader::new(per_octave, a), Reader::new(per_octave, b));
    let (mut next_a, mut next_b) = (a.next()?, b.next()?);
    let mut writer = Writer::new(out);
    loop {
        let least = match (next_a, next_b) {
            (None, None) => break,
            (Some((index, _)), None) | (None, Some((index, _))) => index,
            (Some((in_a, _)), Some((in_b, _))) => in_a.min(in_b),
        };
        let mut total: u64 = 0;
        if let Some((_, count)) = next_a.filter(|bucket| bucket.0 == least) {
            total = count;
            next_a = a.next()?;
        }
        if let Some((_, count)) = next_b.filter(|bucket| bucket.0 == least) {
            total = total.saturating_add(count);
            next_b = b.next()?;
        }
        writer.push(least, total);
    }
    writer.finish();
    Ok(())
}

/// One value for each quantile of `show`, null where the histogram is empty; then the number of
/// values.
pub(super) fn values(
    per_octave: u32,
    show: &[f64],
    state: &mut &[u8],
    out: &mut Vec<Value>,
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(per_octave, state);
    let mut buckets = Vec::new();
    let mut total: u128 = 0;
    while let Some((index, count)) = reader.next()? {
        total += u128::from(count);
        buckets.push((index, total));
    }
    for quantile in show {
        let millionths = (quantile.clamp(0.0, 1.0) * MILLION as f64).round() as u128;
        let rank = (total * millionths).div_ceil(MILLION).max(1);
        let at = buckets.partition_point(|&(_, up_to)| up_to < rank);
        let bound = buckets.get(at).map(|&(index, _)| reader.scale.bound(index));
        out.push(bound.map_or(Value::Null, Value::Num));
    }
    out.push(Value::Int(total as i128));
    Ok(())
}
