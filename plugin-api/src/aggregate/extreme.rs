//! `min` and `max`: the smallest and the largest value.
//!
//! State: the value's cell ([`crate::encoding`]), null where nothing was added. Cells order as their
//! values do, so a merge compares bytes.

use super::element::Element;
use super::{MeasureOptions, Stamp3, State};
use crate::encoding::{DecodeError, Value, push_null, read_cell, take_cell};
use crate::manifest::{Aggregator, ValueKind};

/// Keeps the smallest value: of numbers, times and texts (`false` before `true`).
#[derive(Clone, Debug)]
pub struct Min<T: Element>(Option<T::Kept>);

/// Keeps the largest value: of numbers, times and texts (`false` before `true`).
#[derive(Clone, Debug)]
pub struct Max<T: Element>(Option<T::Kept>);

impl<T: Element> Default for Min<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Element> Default for Max<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Element> State for Min<T> {
    type Add<'a> = T::Add<'a>;

    fn aggregator(_: &MeasureOptions) -> Aggregator {
        Aggregator::Min { of: T::KIND }
    }

    #[inline]
    fn add(&mut self, _: Stamp3, value: T::Add<'_>, _: &MeasureOptions) {
        offer::<T>(&mut self.0, value, |kept, value| T::compare(value, T::view(kept)).is_lt());
    }

    fn encode(&self, _: &MeasureOptions, out: &mut Vec<u8>) {
        encode::<T>(self.0.as_ref(), out);
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.as_ref().map_or(0, T::heap)
    }
}

impl<T: Element> State for Max<T> {
    type Add<'a> = T::Add<'a>;

    fn aggregator(_: &MeasureOptions) -> Aggregator {
        Aggregator::Max { of: T::KIND }
    }

    #[inline]
    fn add(&mut self, _: Stamp3, value: T::Add<'_>, _: &MeasureOptions) {
        offer::<T>(&mut self.0, value, |kept, value| T::compare(value, T::view(kept)).is_gt());
    }

    fn encode(&self, _: &MeasureOptions, out: &mut Vec<u8>) {
        encode::<T>(self.0.as_ref(), out);
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.as_ref().map_or(0, T::heap)
    }
}

#[inline]
fn offer<T: Element>(
    kept: &mut Option<T::Kept>,
    value: T::Add<'_>,
    better: impl Fn(&T::Kept, T::Add<'_>) -> bool,
) {
    // Asked first, so that a value that would lose anyway costs one comparison.
    if kept.as_ref().is_some_and(|kept| !better(kept, value)) || !T::accepts(value) {
        return;
    }
    match kept {
        Some(kept) => T::replace(kept, value),
        None => *kept = Some(T::keep(value)),
    }
}

fn encode<T: Element>(kept: Option<&T::Kept>, out: &mut Vec<u8>) {
    match kept {
        Some(kept) => T::push(T::view(kept), out),
        None => push_null(out),
    }
}

pub(super) fn check(of: ValueKind, state: &mut &[u8]) -> Result<(), DecodeError> {
    take_cell(of, state).map(drop)
}

pub(super) fn merge_min(
    of: ValueKind,
    a: &mut &[u8],
    b: &mut &[u8],
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let (a, b) = (take_cell(of, a)?, take_cell(of, b)?);
    // Null sorts first, but loses.
    let a_wins = is_null(b) || (!is_null(a) && a < b);
    out.extend_from_slice(if a_wins { a } else { b });
    Ok(())
}

pub(super) fn merge_max(
    of: ValueKind,
    a: &mut &[u8],
    b: &mut &[u8],
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let (a, b) = (take_cell(of, a)?, take_cell(of, b)?);
    out.extend_from_slice(a.max(b));
    Ok(())
}

pub(super) fn values(
    of: ValueKind,
    state: &mut &[u8],
    out: &mut Vec<Value>,
) -> Result<(), DecodeError> {
    out.push(read_cell(of, take_cell(of, state)?)?);
    Ok(())
}

fn is_null(cell: &[u8]) -> bool {
    cell == [0]
}
