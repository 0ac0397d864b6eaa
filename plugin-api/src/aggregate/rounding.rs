//! Fractions of whole numbers of any size, and their roots, rounded once to `f64`.

use num_bigint::{BigInt, BigUint, Sign};

/// Bits that a quotient or root is computed to; what lies below them is one bit, "more than 0".
const BITS: i64 = 64;

/// `whole · 2^exponent`, rounded to nearest, ties to even; `None` beyond the range of `f64`.
pub(super) fn round(whole: &BigInt, exponent: i64) -> Option<f64> {
    signed(whole.sign(), magnitude(whole.magnitude(), exponent, false))
}

/// `numerator / denominator · 2^exponent`, rounded as [`round`] does; `None` too if the denominator
/// is 0.
pub(super) fn ratio(numerator: &BigInt, denominator: &BigUint, exponent: i64) -> Option<f64> {
    let (quotient, exponent, inexact) =
        divide(numerator.magnitude(), denominator, exponent, BITS, 1)?;
    signed(numerator.sign(), magnitude(&quotient, exponent, inexact))
}

/// The square root of `numerator / denominator · 2^exponent`, rounded as [`round`] does; `None` too
/// if the denominator is 0.
pub(super) fn root(numerator: &BigUint, denominator: &BigUint, exponent: i64) -> Option<f64> {
    let (quotient, exponent, inexact) = divide(numerator, denominator, exponent, 2 * BITS, 2)?;
    // The root of the whole part of x is the whole part of the root of x.
    let root = quotient.sqrt();
    let inexact = inexact || &root * &root != quotient;
    magnitude(&root, exponent / 2, inexact)
}

/// The whole part of `numerator / denominator`, scaled by a power of two so that it has at least
/// `bits` bits, its exponent, a multiple of `step`, and whether anything was cut off.
fn divide(
    numerator: &BigUint,
    denominator: &BigUint,
    exponent: i64,
    bits: i64,
    step: i64,
) -> Option<(BigUint, i64, bool)> {
    if denominator.bits() == 0 {
        return None;
    }
    let mut scale = (bits + 1 + denominator.bits() as i64 - numerator.bits() as i64).max(0);
    scale += (exponent - scale).rem_euclid(step);
    let scaled = numerator << scale as u64;
    let quotient = &scaled / denominator;
    let inexact = &quotient * denominator != scaled;
    Some((quotient, exponent - scale, inexact))
}

fn signed(sign: Sign, magnitude: Option<f64>) -> Option<f64> {
    if sign == Sign::Minus { magnitude.map(|value| 0.0 - value) } else { magnitude }
}

/// Rounds `whole · 2^exponent`, plus less than one unit of `whole` if `inexact`; then `whole` must
/// have at least [`BITS`] bits or more.
fn magnitude(whole: &BigUint, exponent: i64, inexact: bool) -> Option<f64> {
    const LEAST_EXPONENT: i64 = -1074;
    const MANTISSA_BITS: i64 = f64::MANTISSA_DIGITS as i64;
    if whole.bits() == 0 {
        return Some(0.0);
    }
    // Of the last bit that the result has.
    let unit = (exponent + whole.bits() as i64 - MANTISSA_BITS).max(LEAST_EXPONENT);
    if unit > f64::MAX_EXP as i64 {
        return None;
    }
    let drop = unit - exponent;
    let mantissa = if drop <= 0 {
        low_u64(&(whole << drop.unsigned_abs()))
    } else {
        let drop = drop as u64;
        let kept = low_u64(&(whole >> drop));
        let half = whole.bit(drop - 1);
        let below_half = inexact || whole.trailing_zeros().is_some_and(|zeros| zeros < drop - 1);
        kept + u64::from(half && (below_half || kept & 1 == 1))
    };
    // A mantissa's top bit counts as one exponent, and a carry out of it as the next.
    let above_least = (unit - LEAST_EXPONENT) as u64;
    let value = f64::from_bits((above_least << (MANTISSA_BITS - 1)) + mantissa);
    value.is_finite().then_some(value)
}

fn low_u64(whole: &BigUint) -> u64 {
    whole.iter_u64_digits().next().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use num_bigint::{BigInt, BigUint};
    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::element::Number;

    #[test]
    fn ties_round_to_even_and_the_rest_to_nearest() {
        let at = |whole: u64, exponent| round(&BigInt::from(whole), exponent);
        assert_eq!(at((1 << 53) + 1, 0), Some(9_007_199_254_740_992.0));
        assert_eq!(at((1 << 53) + 3, 0), Some(9_007_199_254_740_996.0));
        assert_eq!(at(1, -1074), Some(f64::from_bits(1)));
        assert_eq!(at(1, -1075), Some(0.0));
        assert_eq!(at(3, -1075), Some(f64::from_bits(2)));
        assert_eq!(at(1, 1023), Some(2.0_f64.powi(1023)));
        assert_eq!(at(1, 1024), None);
        assert_eq!(at(u64::MAX, 960), None);
    }

    #[test]
    fn a_fraction_just_above_a_tie_rounds_up() {
        // 1 + 2^-53 + 1/3 · 2^-200 lies just above the middle between 1 and the next float.
        let numerator = (BigInt::from(3) << 200) + (BigInt::from(3) << 147) + 1;
        let above = ratio(&numerator, &(BigUint::from(3_u8) << 200), 0);
        assert_eq!(above, Some(1.0 + f64::EPSILON));
    }

    proptest! {
        #[test]
        fn a_float_reads_as_itself(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let (whole, exponent) = value.dyadic();
            prop_assert_eq!(round(&BigInt::from(whole), exponent.into()), Some(value));
        }

        #[test]
        fn ratios_round_as_division_does(a in -1_i64 << 53..1 << 53, b in 1_u64..1 << 53) {
            let expected = a as f64 / b as f64;
            prop_assert_eq!(ratio(&BigInt::from(a), &BigUint::from(b), 0), Some(expected));
        }

        #[test]
        fn roots_round_as_sqrt_does(mantissa in 0_u64..1 << 53, exponent in -1000_i64..900) {
            let expected = (mantissa as f64 * 2.0_f64.powi(exponent as i32)).sqrt();
            let one = BigUint::from(1_u8);
            prop_assert_eq!(root(&BigUint::from(mantissa), &one, exponent), Some(expected));
        }
    }
}
