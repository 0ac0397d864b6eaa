//! `sum`: the exact sum of ints or nums.
//!
//! State: the sum as [`super::exact`] writes it. Of ints it reads as an int (as a num beyond `i128`),
//! of nums as the nearest `f64`, null beyond its range.

use std::marker::PhantomData;

use super::accumulator::Accumulator;
use super::element::Number;
use super::exact::{self, Encoded};
use super::{MeasureOptions, Stamp3, State, rounding};
use crate::encoding::{DecodeError, Value};
use crate::manifest::{Aggregator, ValueKind};

/// Adds up numbers, exactly.
#[derive(Clone, Debug)]
pub struct Sum<T> {
    sum: Accumulator,
    of: PhantomData<T>,
}

impl<T> Default for Sum<T> {
    fn default() -> Self {
        Self { sum: Accumulator::default(), of: PhantomData }
    }
}

impl<T: Number> State for Sum<T> {
    type Add<'a> = T;

    fn aggregator(_: &MeasureOptions) -> Aggregator {
        Aggregator::Sum { of: T::KIND }
    }

    #[inline]
    fn add(&mut self, _: Stamp3, value: T, _: &MeasureOptions) {
        if T::accepts(value) {
            let (whole, exponent) = value.dyadic();
            self.sum.add(whole.into(), exponent);
        }
    }

    fn encode(&self, _: &MeasureOptions, out: &mut Vec<u8>) {
        self.sum.encode(out);
    }

    #[inline]
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.sum.heap()
    }
}

pub(super) fn check(of: ValueKind, state: &mut &[u8]) -> Result<(), DecodeError> {
    take(of, state).map(drop)
}

pub(super) fn merge(
    of: ValueKind,
    a: &mut &[u8],
    b: &mut &[u8],
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    exact::merge(take(of, a)?, take(of, b)?, out)
}

pub(super) fn values(
    of: ValueKind,
    state: &mut &[u8],
    out: &mut Vec<Value>,
) -> Result<(), DecodeError> {
    out.push(value(of, take(of, state)?));
    Ok(())
}

/// Takes a sum; one of ints must be whole.
pub(super) fn take<'a>(of: ValueKind, state: &mut &'a [u8]) -> Result<Encoded<'a>, DecodeError> {
    let sum = Encoded::take(state)?;
    if of == ValueKind::Int && !sum.is_whole() {
        return Err(DecodeError::OutOfRange { what: "a sum of ints" });
    }
    Ok(sum)
}

/// How a sum reads.
pub(super) fn value(of: ValueKind, sum: Encoded<'_>) -> Value {
    if of == ValueKind::Int
        && let Some(whole) = sum.to_i128()
    {
        return Value::Int(whole);
    }
    let (whole, exponent) = sum.to_bigint();
    rounding::round(&whole, exponent).map_or(Value::Null, Value::Num)
}
