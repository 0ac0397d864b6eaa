//! Values with the message they came from, in the order of `first`, `last` and `log`.
//!
//! Encoding: event time as an int cell, log key as 8 bytes big-endian, offset as an int cell, the
//! value's cell. Bytes order as (time, log key, offset, value). Its first byte is never 0.

use std::cmp::Ordering;

use super::Stamp3;
use super::element::Element;
use crate::encoding::{DecodeError, Value, push_int, read_cell, take_cell, take_int};
use crate::manifest::ValueKind;

const WHAT: &str = "a stamp";

/// A value kept while folding.
#[derive(Clone, Debug)]
pub(super) struct Entry<T: Element> {
    pub(super) stamp: Stamp3,
    pub(super) value: T::Kept,
}

impl<T: Element> Entry<T> {
    /// The order in which this entry stands to `value` at `stamp`. The value decides
    /// last: one message may add several.
    #[inline]
    pub(super) fn compare(&self, stamp: Stamp3, value: T::Add<'_>) -> Ordering {
        self.stamp.cmp(&stamp).then_with(|| T::compare(T::view(&self.value), value))
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        push_int(self.stamp.time_us.into(), out);
        out.extend_from_slice(&self.stamp.log_key.to_be_bytes());
        push_int(self.stamp.offset.into(), out);
        T::push(T::view(&self.value), out);
    }
}

/// A checked entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoded<'a> {
    pub(super) bytes: &'a [u8],
    /// The end of `bytes`: the value's cell.
    cell: &'a [u8],
}

impl Encoded<'_> {
    /// The entry's value, which is of the kind that it was taken with.
    pub(super) fn value(&self, of: ValueKind) -> Result<Value, DecodeError> {
        read_cell(of, self.cell)
    }
}

/// Takes an entry from the front of `bytes`.
pub(super) fn take<'a>(of: ValueKind, bytes: &mut &'a [u8]) -> Result<Encoded<'a>, DecodeError> {
    let start = *bytes;
    if i64::try_from(take_int(bytes)?).is_err() {
        return Err(DecodeError::OutOfRange { what: WHAT });
    }
    *bytes = bytes.get(8..).ok_or(DecodeError::Truncated { what: WHAT })?;
    if u64::try_from(take_int(bytes)?).is_err() {
        return Err(DecodeError::OutOfRange { what: WHAT });
    }
    let cell = take_cell(of, bytes)?;
    if cell == [0] {
        return Err(DecodeError::OutOfRange { what: "a kept value" });
    }
    Ok(Encoded { bytes: &start[..start.len() - bytes.len()], cell })
}
