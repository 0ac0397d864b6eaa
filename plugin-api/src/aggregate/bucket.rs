//! Log-linear buckets: every octave is cut into the same number of buckets of equal width.
//!
//! A bucket is what floats have in common whose sign, exponent and first bits of the mantissa are
//! equal, so finding it takes no logarithm. Its index orders as its values do: the bits themselves
//! from 0 up, −1 minus the bits for negative values. With p = 2^b buckets per octave, whole numbers
//! below 2p have buckets of their own, and a bucket's bounds differ by at most 1/p of the lower;
//! below 2^-1022 the width stays what it is there.

/// The index of `value`'s bucket among the integer buckets of 16 per octave: values below 16 are
/// their own bucket, and the buckets above count on without a gap. For use as a dimension.
///
/// # Examples
///
/// ```
/// # use statmill_plugin_api::aggregate::{bucket, bucket_low};
/// assert_eq!(bucket(15), 15);
/// assert_eq!(bucket(1000), bucket(1023));
/// assert_eq!(bucket_low(bucket(1000)), 992);
/// ```
#[inline]
#[must_use]
pub fn bucket(value: u64) -> u32 {
    if value < 16 {
        return value as u32;
    }
    let octave = value.ilog2();
    16 * (octave - 3) + (value >> (octave - 4)) as u32 - 16
}

/// The smallest value in the bucket of index `bucket`; `u64::MAX` above the last bucket.
#[inline]
#[must_use]
pub fn bucket_low(bucket: u32) -> u64 {
    if bucket < 16 {
        return bucket.into();
    }
    let octave = bucket / 16 + 3;
    if octave >= u64::BITS {
        return u64::MAX;
    }
    u64::from(16 + bucket % 16) << (octave - 4)
}

/// How finely octaves are cut: into 2^`bits` buckets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    bits: u32,
}

impl Scale {
    /// Most bits a scale has.
    const MAX_BITS: u32 = 10;
    const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;

    /// `per_octave` buckets per octave, rounded down to a power of two, at most 1024.
    #[inline]
    pub(super) fn new(per_octave: u32) -> Self {
        Self { bits: per_octave.max(1).ilog2().min(Self::MAX_BITS) }
    }

    /// Index of the bucket of a finite `value`.
    #[inline]
    pub(super) fn index(self, value: f64) -> i32 {
        let index = (value.abs().to_bits() >> (Self::FRACTION_BITS - self.bits)) as i32;
        if value < 0.0 { -1 - index } else { index }
    }

    /// Is there a bucket of this index?
    pub(super) fn contains(self, index: i64) -> bool {
        let last = i64::from(self.index(f64::MAX));
        (-1 - last..=last).contains(&index)
    }

    /// The bound of a bucket that lies nearer to 0, which is its own.
    pub(super) fn bound(self, index: i32) -> f64 {
        let negative = index < 0;
        let index = if negative { -1 - index } else { index };
        let bound = f64::from_bits((index as u64) << (Self::FRACTION_BITS - self.bits));
        if negative { 0.0 - bound } else { bound }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `bucket` of `bench/peers/_common.py`, bit_length and all.
    fn python_bucket(value: u64) -> u32 {
        if value < 16 {
            return value as u32;
        }
        let e = (64 - value.leading_zeros()) - 1;
        (16 * (e as i64 - 3) + (value >> (e - 4)) as i64 - 16) as u32
    }

    #[test]
    fn buckets_are_those_of_the_published_definition() {
        // bucket and bucket_low of 0, 15, 16, 17, 31, 32, 100, 1000, 4095, 4096, 10^6, 2^40 there.
        let known = [
            (0, 0, 0),
            (15, 15, 15),
            (16, 16, 16),
            (17, 17, 17),
            (31, 31, 31),
            (32, 32, 32),
            (100, 57, 100),
            (1000, 111, 992),
            (4095, 143, 3968),
            (4096, 144, 4096),
            (1_000_000, 270, 983_040),
            (1 << 40, 592, 1 << 40),
        ];
        for (value, index, low) in known {
            assert_eq!((bucket(value), bucket_low(bucket(value))), (index, low), "{value}");
        }
        assert_eq!(bucket(u64::MAX), 975);
        assert_eq!(bucket_low(976), u64::MAX);
        assert_eq!(bucket_low(u32::MAX), u64::MAX);
    }

    #[test]
    fn every_bucket_begins_where_the_one_before_ends() {
        for index in 1..=975 {
            let low = bucket_low(index);
            assert_eq!(bucket(low), index);
            assert_eq!(bucket(low - 1), index - 1);
        }
    }

    proptest! {
        #[test]
        fn whole_numbers_have_the_same_bounds_as_floats(value: u64, shift in 0..64_u32) {
            let value = value >> shift;
            prop_assert_eq!(bucket(value), python_bucket(value));
            let exact = value >> 11 << 11;
            let value = if value < 1 << 53 { value } else { exact };
            let scale = Scale::new(16);
            let bound = scale.bound(scale.index(value as f64));
            prop_assert_eq!(bound, bucket_low(bucket(value)) as f64);
        }

        #[test]
        fn buckets_order_as_values_do(a: f64, b: f64, bits in 0..11_u32) {
            prop_assume!(a.is_finite() && b.is_finite() && a <= b);
            let scale = Scale::new(1 << bits);
            prop_assert!(scale.index(a) <= scale.index(b));
            prop_assert!(scale.contains(scale.index(a).into()));
            prop_assert!(scale.bound(scale.index(a)).abs() <= a.abs());
            // The bucket just below 0 has 0 as its bound.
            let bound = scale.bound(scale.index(b));
            let own = if bound == 0.0 { 0 } else { scale.index(b) };
            prop_assert_eq!(scale.index(bound), own);
        }
    }
}
