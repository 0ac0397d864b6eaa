//! `log`: the newest values.
//!
//! State: their number as LEB128, then an entry for each ([`super::entry`]), ascending; equal ones
//! are kept apart. At most as many as the measure keeps. Reads as a JSON array, newest first.

use super::element::Element;
use super::entry::{self, Encoded, Entry};
use super::{MeasureOptions, Stamp3, State, json};
use crate::encoding::{DecodeError, Value, leb128};
use crate::manifest::{Aggregator, ValueKind};

const WHAT: &str = "a log";
/// A log is cut when it holds this many more than it keeps, and as many as it keeps.
const SLACK: usize = 16;

/// Keeps the values of the messages with the greatest (time, log, offset).
#[derive(Clone, Debug)]
pub struct Log<T: Element> {
    entries: Vec<Entry<T>>,
    /// All that sorts below the first entry was cut off.
    cut: bool,
    heap: usize,
}

impl<T: Element> Default for Log<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), cut: false, heap: 0 }
    }
}

impl<T: Element> Log<T> {
    /// Keeps the newest `keep` entries, the oldest of them first in place.
    fn cut(&mut self, keep: usize) {
        let surplus = self.entries.len().saturating_sub(keep);
        if surplus == self.entries.len() {
            self.entries.clear();
        } else if surplus > 0 {
            self.entries
                .select_nth_unstable_by(surplus, |a, b| a.compare(b.stamp, T::view(&b.value)));
            self.entries.drain(..surplus);
            self.cut = true;
        }
        self.heap = self.entries.iter().map(|entry| T::heap(&entry.value)).sum();
    }
}

impl<T: Element> State for Log<T> {
    type Add<'a> = T::Add<'a>;

    fn aggregator(options: &MeasureOptions) -> Aggregator {
        Aggregator::Log { keep: options.keep, of: T::KIND }
    }

    #[inline]
    fn add(&mut self, stamp: Stamp3, value: T::Add<'_>, options: &MeasureOptions) {
        if self.cut && self.entries.first().is_some_and(|e| e.compare(stamp, value).is_gt()) {
            return;
        }
        if !T::accepts(value) {
            return;
        }
        let value = T::keep(value);
        self.heap += T::heap(&value);
        self.entries.push(Entry { stamp, value });
        let keep = options.keep as usize;
        if self.entries.len() >= keep.saturating_mul(2).saturating_add(SLACK) {
            self.cut(keep);
        }
    }

    fn encode(&self, options: &MeasureOptions, out: &mut Vec<u8>) {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_unstable_by(|a, b| a.compare(b.stamp, T::view(&b.value)));
        let surplus = entries.len().saturating_sub(options.keep as usize);
        let newest = &entries[surplus..];
        leb128::push_u64(newest.len() as u64, out);
        for entry in newest {
            entry.encode(out);
        }
    }

    #[inline]
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.entries.capacity() * size_of::<Entry<T>>() + self.heap
    }
}

/// The entries of a state, as they are checked one by one.
struct Entries<'a, 's> {
    of: ValueKind,
    left: u64,
    last: &'a [u8],
    state: &'s mut &'a [u8],
}

impl<'a, 's> Entries<'a, 's> {
    fn take(keep: u32, of: ValueKind, state: &'s mut &'a [u8]) -> Result<Self, DecodeError> {
        let left = leb128::take_u64(state, WHAT)?;
        if left > u64::from(keep) {
            return Err(DecodeError::OutOfRange { what: WHAT });
        }
        Ok(Self { of, left, last: &[], state })
    }

    fn next(&mut self) -> Result<Option<Encoded<'a>>, DecodeError> {
        if self.left == 0 {
            return Ok(None);
        }
        let entry = entry::take(self.of, self.state)?;
        if entry.bytes < self.last {
            return Err(DecodeError::NotCanonical { what: WHAT });
        }
        self.last = entry.bytes;
        self.left -= 1;
        Ok(Some(entry))
    }
}

pub(super) fn check(keep: u32, of: ValueKind, state: &mut &[u8]) -> Result<(), DecodeError> {
    let mut entries = Entries::take(keep, of, state)?;
    while entries.next()?.is_some() {}
    Ok(())
}

pub(super) fn merge(
    keep: u32,
    of: ValueKind,
    a: &mut &[u8],
    b: &mut &[u8],
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let (mut a, mut b) = (Entries::take(keep, of, a)?, Entries::take(keep, of, b)?);
    let both = a.left + b.left;
    let kept = both.min(keep.into());
    let mut surplus = both - kept;
    leb128::push_u64(kept, out);
    let (mut next_a, mut next_b) = (a.next()?, b.next()?);
    loop {
        let entry = match (next_a, next_b) {
            (Some(entry), other) if other.is_none_or(|other| entry.bytes <= other.bytes) => {
                next_a = a.next()?;
                entry
            }
            (_, Some(entry)) => {
                next_b = b.next()?;
                entry
            }
            _ => return Ok(()),
        };
        if surplus > 0 {
            surplus -= 1;
        } else {
            out.extend_from_slice(entry.bytes);
        }
    }
}

pub(super) fn values(
    keep: u32,
    of: ValueKind,
    state: &mut &[u8],
    out: &mut Vec<Value>,
) -> Result<(), DecodeError> {
    let mut entries = Entries::take(keep, of, state)?;
    let mut ascending = Vec::new();
    while let Some(entry) = entries.next()? {
        ascending.push(entry);
    }
    let mut text = String::from("[");
    for (index, entry) in ascending.iter().rev().enumerate() {
        if index > 0 {
            text.push(',');
        }
        json::push(&entry.value(of)?, &mut text);
    }
    text.push(']');
    out.push(Value::Json(text.into()));
    Ok(())
}
