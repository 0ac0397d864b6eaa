//! Values alone, whatever they are of: how many lie where.

use std::collections::BTreeMap;

use statmill_plugin_api::aggregate::quantiles::bounds;

use crate::query::Buckets;
use crate::render::svg::{Bucket, Mark};

/// About how many buckets a histogram has.
const BUCKETS: f64 = 30.0;
/// The most buckets that are drawn of what was counted.
const MOST: usize = 60;

/// The value of rank ⌈part · n⌉ of ascending values.
pub(super) fn quantile(values: &[f64], part: f64) -> Option<f64> {
    let rank = (part * values.len() as f64).ceil().max(1.0) as usize;
    values.get(rank - 1).copied()
}

/// Buckets of equal width; of whole numbers, of whole width.
pub(super) fn evenly(values: &[f64]) -> Vec<Bucket> {
    let (Some(first), Some(last)) = (values.first(), values.last()) else { return Vec::new() };
    let whole = values.iter().all(|value| value.fract() == 0.0);
    let rough = (last / BUCKETS - first / BUCKETS).max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(rough.log10().floor());
    let round = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
    let mut width = round.into_iter().find(|width| *width >= rough).unwrap_or(rough);
    if first == last {
        width = 1.0;
    }
    if whole {
        width = width.max(1.0);
    }
    let begin = (first / width).floor();
    bucketed(values, |value| (value / width).floor() - begin, |place| (begin + place) * width)
}

/// Buckets of which each reaches to twice its beginning.
pub(super) fn factors(values: &[f64]) -> Vec<Bucket> {
    let above: Vec<f64> = values.iter().copied().filter(|value| *value > 0.0).collect();
    let Some(first) = above.first() else { return Vec::new() };
    let begin = first.log2().floor();
    bucketed(&above, |value| value.log2().floor() - begin, |place| (begin + place).exp2())
}

fn bucketed(values: &[f64], place: impl Fn(f64) -> f64, low: impl Fn(f64) -> f64) -> Vec<Bucket> {
    let mut buckets: Vec<(f64, f64)> = Vec::new();
    for value in values {
        let at = place(*value);
        match buckets.last_mut() {
            Some(bucket) if bucket.0 == at => bucket.1 += 1.0,
            _ => buckets.push((at, 1.0)),
        }
    }
    let bucket =
        |(at, count)| Bucket { low: low(at), high: low(at + 1.0), count, mark: Mark::default() };
    buckets.into_iter().map(bucket).collect()
}

/// What was counted in buckets, which can be joined to wider ones and never cut.
pub(super) struct Counted {
    per_octave: u32,
    counts: BTreeMap<i32, u64>,
}

impl Counted {
    pub(super) fn of<'a>(all: impl Iterator<Item = &'a Buckets>, per_octave: u32) -> Self {
        let mut counts: BTreeMap<i32, u64> = BTreeMap::new();
        for (bucket, count) in all.flat_map(|own| &own.counts) {
            let known = counts.entry(*bucket).or_default();
            *known = known.saturating_add(*count);
        }
        Self { per_octave, counts }
    }

    pub(super) fn total(&self) -> u128 {
        self.counts.values().map(|count| u128::from(*count)).sum()
    }

    /// The value of rank ⌈part · n⌉, read as the bound of its bucket nearer to 0.
    pub(super) fn quantile(&self, part: f64) -> Option<f64> {
        const MILLION: u128 = 1_000_000;
        let millionths = (part.clamp(0.0, 1.0) * MILLION as f64).round() as u128;
        let rank = (self.total() * millionths).div_ceil(MILLION).max(1);
        let mut below = 0;
        let (bucket, _) = self.counts.iter().find(|(_, count)| {
            below += u128::from(**count);
            below >= rank
        })?;
        let (low, high) = bounds(self.per_octave, *bucket);
        Some(if *bucket < 0 { high } else { low })
    }

    /// How many times the smallest value the largest one is; `None` where some are not above zero.
    pub(super) fn reach(&self) -> Option<f64> {
        let (first, last) = (self.counts.keys().next()?, self.counts.keys().next_back()?);
        let (low, high) = (bounds(self.per_octave, *first).0, bounds(self.per_octave, *last).1);
        (low > 0.0).then_some(high / low)
    }

    /// The buckets, joined to such of about equal width as far as they are narrower.
    pub(super) fn even(&self) -> Vec<Bucket> {
        let all = self.counts.iter().map(|(bucket, count)| {
            let (low, high) = bounds(self.per_octave, *bucket);
            (low.max(f64::MIN), high.min(f64::MAX), *count as f64)
        });
        let all: Vec<_> = all.collect();
        let (Some(first), Some(last)) = (all.first(), all.last()) else { return Vec::new() };
        let width = last.1 / BUCKETS - first.0 / BUCKETS;
        let mut joined: Vec<Bucket> = Vec::new();
        for (low, high, count) in all {
            match joined.last_mut() {
                // Halves, so that differences of huge values are numbers.
                Some(bucket) if high / 2.0 - bucket.low / 2.0 <= width / 2.0 => {
                    bucket.high = high;
                    bucket.count += count;
                }
                _ => joined.push(Bucket { low, high, count, mark: Mark::default() }),
            }
        }
        joined
    }

    /// The buckets, joined by factors until no more are left than can be seen.
    pub(super) fn buckets(&self) -> Vec<Bucket> {
        let (mut per_octave, mut counts) = (self.per_octave, self.counts.clone());
        let span = |counts: &BTreeMap<i32, u64>| {
            let (first, last) = (counts.keys().next()?, counts.keys().next_back()?);
            usize::try_from(last.abs_diff(*first)).ok()
        };
        while span(&counts).is_some_and(|span| span >= MOST) && per_octave > 1 {
            let mut joined: BTreeMap<i32, u64> = BTreeMap::new();
            for (bucket, count) in counts {
                // The bucket of number n is part of that of number n >> 1 of the scale half as fine.
                let known = joined.entry(bucket >> 1).or_default();
                *known = known.saturating_add(count);
            }
            (counts, per_octave) = (joined, per_octave / 2);
        }
        let bucket = |(bucket, count): (i32, u64)| {
            let (low, high) = bounds(per_octave, bucket);
            let (low, high) = (low.max(f64::MIN), high.min(f64::MAX));
            Bucket { low, high, count: count as f64, mark: Mark::default() }
        };
        counts.into_iter().map(bucket).collect()
    }
}
