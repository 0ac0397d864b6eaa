//! `first` and `last`: the value of the earliest and of the latest message.
//!
//! State: `00` where nothing was added, else an entry ([`super::entry`]). Messages order by event
//! time, then log, then offset; of several values of one message the least is first, the greatest
//! last.

use super::element::Element;
use super::entry::{self, Entry};
use super::{MeasureOptions, Stamp3, State};
use crate::encoding::{DecodeError, Value};
use crate::manifest::{Aggregator, ValueKind};

const NONE: u8 = 0;

/// Keeps the value of the message with the smallest (time, log, offset).
#[derive(Clone, Debug)]
pub struct First<T: Element>(Option<Entry<T>>);

/// Keeps the value of the message with the greatest (time, log, offset).
#[derive(Clone, Debug)]
pub struct Last<T: Element>(Option<Entry<T>>);

impl<T: Element> Default for First<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Element> Default for Last<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Element> State for First<T> {
    type Add<'a> = T::Add<'a>;

    fn aggregator(_: &MeasureOptions) -> Aggregator {
        Aggregator::First { of: T::KIND }
    }

    #[inline]
    fn add(&mut self, stamp: Stamp3, value: T::Add<'_>, _: &MeasureOptions) {
        if self.0.as_ref().is_none_or(|entry| entry.compare(stamp, value).is_gt()) {
            put(&mut self.0, stamp, value);
        }
    }

    fn encode(&self, _: &MeasureOptions, out: &mut Vec<u8>) {
        encode(self.0.as_ref(), out);
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.as_ref().map_or(0, |entry| T::heap(&entry.value))
    }
}

impl<T: Element> State for Last<T> {
    type Add<'a> = T::Add<'a>;

    fn aggregator(_: &MeasureOptions) -> Aggregator {
        Aggregator::Last { of: T::KIND }
    }

    #[inline]
    fn add(&mut self, stamp: Stamp3, value: T::Add<'_>, _: &MeasureOptions) {
        if self.0.as_ref().is_none_or(|entry| entry.compare(stamp, value).is_lt()) {
            put(&mut self.0, stamp, value);
        }
    }

    fn encode(&self, _: &MeasureOptions, out: &mut Vec<u8>) {
        encode(self.0.as_ref(), out);
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.as_ref().map_or(0, |entry| T::heap(&entry.value))
    }
}

#[inline]
fn put<T: Element>(kept: &mut Option<Entry<T>>, stamp: Stamp3, value: T::Add<'_>) {
    if !T::accepts(value) {
        return;
    }
    match kept {
        Some(entry) => {
            entry.stamp = stamp;
            T::replace(&mut entry.value, value);
        }
        None => *kept = Some(Entry { stamp, value: T::keep(value) }),
    }
}

fn encode<T: Element>(kept: Option<&Entry<T>>, out: &mut Vec<u8>) {
    match kept {
        Some(entry) => entry.encode(out),
        None => out.push(NONE),
    }
}

pub(super) fn check(of: ValueKind, state: &mut &[u8]) -> Result<(), DecodeError> {
    take(of, state).map(drop)
}

pub(super) fn merge_first(
    of: ValueKind,
    a: &mut &[u8],
    b: &mut &[u8],
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let (a, b) = (take(of, a)?, take(of, b)?);
    let a_wins = b == [NONE] || (a != [NONE] && a < b);
    out.extend_from_slice(if a_wins { a } else { b });
    Ok(())
}

pub(super) fn merge_last(
    of: ValueKind,
    a: &mut &[u8],
    b: &mut &[u8],
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let (a, b) = (take(of, a)?, take(of, b)?);
    out.extend_from_slice(a.max(b));
    Ok(())
}

pub(super) fn values(
    of: ValueKind,
    state: &mut &[u8],
    out: &mut Vec<Value>,
) -> Result<(), DecodeError> {
    let mut entry = take(of, state)?;
    out.push(if entry == [NONE] { Value::Null } else { entry::take(of, &mut entry)?.value(of)? });
    Ok(())
}

fn take<'a>(of: ValueKind, state: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    if state.first() == Some(&NONE) {
        let (none, rest) = state.split_at(1);
        *state = rest;
        return Ok(none);
    }
    Ok(entry::take(of, state)?.bytes)
}
