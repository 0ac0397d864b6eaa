//! Values alone, whatever they are of: how many lie where.

use crate::render::svg::{Bucket, Mark};

/// About how many buckets a histogram has.
const BUCKETS: f64 = 30.0;

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
