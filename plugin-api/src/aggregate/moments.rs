//! `moments`: number, exact sum and exact sum of squares of ints or nums.
//!
//! State: the number as LEB128, then both sums as [`super::exact`] writes them. Mean, variances and
//! deviations are derived when read, exactly, and rounded once. That
//! some numbers have these moments, n · Σx² ≥ (Σx)², is checked but where states are merged: merged
//! states have it if both had it.

use std::marker::PhantomData;

use num_bigint::{BigInt, BigUint};

use super::accumulator::Accumulator;
use super::element::Number;
use super::exact::{self, Encoded};
use super::{MeasureOptions, Stamp3, State, rounding, sum};
use crate::encoding::{DecodeError, Value, leb128};
use crate::manifest::{Aggregator, ValueKind};

const WHAT: &str = "moments";

/// Keeps what mean and deviation of numbers are derived from, exactly.
#[derive(Clone, Debug)]
pub struct Moments<T> {
    count: u64,
    sum: Accumulator,
    squares: Accumulator,
    of: PhantomData<T>,
}

impl<T> Default for Moments<T> {
    fn default() -> Self {
        let (sum, squares) = Default::default();
        Self { count: 0, sum, squares, of: PhantomData }
    }
}

impl<T: Number> State for Moments<T> {
    type Add<'a> = T;

    fn aggregator(_: &MeasureOptions) -> Aggregator {
        Aggregator::Moments { of: T::KIND }
    }

    #[inline]
    fn add(&mut self, _: Stamp3, value: T, _: &MeasureOptions) {
        if T::accepts(value) {
            let (whole, exponent) = value.dyadic();
            let whole = i128::from(whole);
            self.count = self.count.saturating_add(1);
            self.sum.add(whole, exponent);
            self.squares.add(whole * whole, 2 * exponent);
        }
    }

    fn encode(&self, _: &MeasureOptions, out: &mut Vec<u8>) {
        leb128::push_u64(self.count, out);
        self.sum.encode(out);
        self.squares.encode(out);
    }

    #[inline]
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.sum.heap() + self.squares.heap()
    }
}

/// The moments of some numbers, read from a state.
///
/// What is derived is `None` where it is not defined (of too few numbers) or beyond `f64`.
#[derive(Clone, Debug)]
pub struct Summary {
    count: u64,
    /// In units of 2^`exponent`.
    sum: BigInt,
    /// In units of 2^(2 · `exponent`).
    squares: BigUint,
    exponent: i64,
}

impl Summary {
    /// Takes the state of a `moments` measure of `of` from the front of `state`.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not canonical, or no numbers have these moments.
    pub fn take(of: ValueKind, state: &mut &[u8]) -> Result<Self, DecodeError> {
        let (count, sum, squares) = take(of, state)?;
        let (sum, sum_exponent) = sum.to_bigint();
        let (squares, squares_exponent) = squares.to_bigint();
        let exponent = sum_exponent.min(squares_exponent.div_euclid(2));
        let summary = Self {
            count,
            sum: sum << (sum_exponent - exponent) as u64,
            squares: squares.magnitude() << (squares_exponent - 2 * exponent) as u64,
            exponent,
        };
        match summary.spread() {
            Some(_) => Ok(summary),
            None => Err(DecodeError::OutOfRange { what: WHAT }),
        }
    }

    /// How many numbers there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        rounding::ratio(&self.sum, &self.count.into(), self.exponent)
    }

    /// Their variance as a population: mean squared distance from the mean.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        self.variance_with(self.count)
    }

    /// The variance of what they are a sample of: divided by one less than their number.
    #[must_use]
    pub fn sample_variance(&self) -> Option<f64> {
        self.variance_with(self.count.saturating_sub(1))
    }

    /// Square root of [`Summary::variance`].
    #[must_use]
    pub fn deviation(&self) -> Option<f64> {
        self.deviation_with(self.count)
    }

    /// Square root of [`Summary::sample_variance`].
    #[must_use]
    pub fn sample_deviation(&self) -> Option<f64> {
        self.deviation_with(self.count.saturating_sub(1))
    }

    fn variance_with(&self, freedom: u64) -> Option<f64> {
        let spread = BigInt::from(self.spread()?);
        rounding::ratio(&spread, &self.divisor(freedom), 2 * self.exponent)
    }

    fn deviation_with(&self, freedom: u64) -> Option<f64> {
        rounding::root(&self.spread()?, &self.divisor(freedom), 2 * self.exponent)
    }

    /// n · Σx² − (Σx)², which is not negative for any numbers.
    fn spread(&self) -> Option<BigUint> {
        let (all, own) = (&self.squares * self.count, self.sum.magnitude().pow(2));
        (all >= own).then(|| all - own)
    }

    fn divisor(&self, freedom: u64) -> BigUint {
        BigUint::from(self.count) * freedom
    }
}

pub(super) fn check(of: ValueKind, state: &mut &[u8]) -> Result<(), DecodeError> {
    Summary::take(of, state).map(drop)
}

pub(super) fn merge(
    of: ValueKind,
    a: &mut &[u8],
    b: &mut &[u8],
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let (a_count, a_sum, a_squares) = take(of, a)?;
    let (b_count, b_sum, b_squares) = take(of, b)?;
    leb128::push_u64(a_count.saturating_add(b_count), out);
    exact::merge(a_sum, b_sum, out)?;
    exact::merge(a_squares, b_squares, out)
}

pub(super) fn values(
    of: ValueKind,
    state: &mut &[u8],
    out: &mut Vec<Value>,
) -> Result<(), DecodeError> {
    let start = *state;
    let summary = Summary::take(of, state)?;
    let (_, total, _) = take(of, &mut &*start)?;
    let number = |value: Option<f64>| value.map_or(Value::Null, Value::Num);
    out.extend([
        Value::Int(summary.count.into()),
        sum::value(of, total),
        number(summary.mean()),
        number(summary.sample_deviation()),
    ]);
    Ok(())
}

fn take<'a>(
    of: ValueKind,
    state: &mut &'a [u8],
) -> Result<(u64, Encoded<'a>, Encoded<'a>), DecodeError> {
    let count = leb128::take_u64(state, WHAT)?;
    let (sum, squares) = (sum::take(of, state)?, sum::take(of, state)?);
    if squares.is_negative() || (count == 0 && !(sum.is_zero() && squares.is_zero())) {
        return Err(DecodeError::OutOfRange { what: WHAT });
    }
    Ok((count, sum, squares))
}
