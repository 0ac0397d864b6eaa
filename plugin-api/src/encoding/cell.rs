//! Cells: single values, written so that bytes sort as the values do.

use memchr::memchr;

use super::{DecodeError, Value};
use crate::manifest::ValueKind;

const NULL: u8 = 0;
/// First byte of a text, a num and `false`.
const SOME: u8 = 1;
const TRUE: u8 = 2;
/// Ends a text; inside of one, this byte and [`ESCAPE`] are written as two.
const END: u8 = 0;
const ESCAPE: u8 = 1;
/// First byte of 0; that of a positive int is larger by its length, that of −1 smaller by one.
const ZERO: u8 = 0x80;
const MINUS_ONE: u8 = 0x7f;

/// Appends the cell of no value.
#[inline]
pub fn push_null(out: &mut Vec<u8>) {
    out.push(NULL);
}

/// Appends the cell of a `bool`.
#[inline]
pub fn push_bool(value: bool, out: &mut Vec<u8>) {
    out.push(if value { TRUE } else { SOME });
}

/// Appends the cell of a whole number.
#[inline]
pub fn push_int(value: i128, out: &mut Vec<u8>) {
    let magnitude = if value < 0 { !value } else { value };
    let len = 16 - magnitude.leading_zeros() as usize / 8;
    out.push(if value < 0 { MINUS_ONE - len as u8 } else { ZERO + len as u8 });
    out.extend_from_slice(&value.to_be_bytes()[16 - len..]);
}

/// Appends the cell of a time in µs since 1970.
#[inline]
pub fn push_time(time_us: i64, out: &mut Vec<u8>) {
    push_int(time_us.into(), out);
}

/// Appends the cell of a number; of null if it is not finite, for there is no such value.
#[inline]
pub fn push_num(value: f64, out: &mut Vec<u8>) {
    if !value.is_finite() {
        return push_null(out);
    }
    // Adding 0 turns −0 into 0.
    let bits = (value + 0.0).to_bits();
    out.push(SOME);
    out.extend_from_slice(&flip(bits).to_be_bytes());
}

/// Orders the bits of floats as the floats: the sign bit of positive ones, all of negative ones.
fn flip(bits: u64) -> u64 {
    bits ^ ((bits as i64 >> 63) as u64 | 1 << 63)
}

fn unflip(bits: u64) -> u64 {
    bits ^ ((!bits as i64 >> 63) as u64 | 1 << 63)
}

/// Appends the cell of a text.
#[inline]
pub fn push_text(text: &str, out: &mut Vec<u8>) {
    out.push(SOME);
    // No early exit, so that the loop is vectorised.
    if text.bytes().fold(false, |found, byte| found | (byte <= ESCAPE)) {
        for byte in text.bytes() {
            match byte {
                END => out.extend_from_slice(&[ESCAPE, 1]),
                ESCAPE => out.extend_from_slice(&[ESCAPE, 2]),
                _ => out.push(byte),
            }
        }
    } else {
        out.extend_from_slice(text.as_bytes());
    }
    out.push(END);
}

/// Appends the cell of a JSON value, `text` as it stands.
#[inline]
pub fn push_json(text: &str, out: &mut Vec<u8>) {
    push_text(text, out);
}

/// Takes one well-formed cell of `kind` from the front of `bytes`.
pub(crate) fn take_cell<'a>(
    kind: ValueKind,
    bytes: &mut &'a [u8],
) -> Result<&'a [u8], DecodeError> {
    let start = *bytes;
    let Some((&first, rest)) = start.split_first() else {
        return Err(DecodeError::Truncated { what: "a value" });
    };
    if first == NULL {
        *bytes = rest;
        return Ok(&start[..1]);
    }
    match kind {
        ValueKind::Text => {
            take_escaped(first, bytes)?;
        }
        ValueKind::Json => {
            // Raw control characters have no place in JSON, so one without escapes is as it stands.
            if !is_json(take_escaped(first, bytes)?) {
                return Err(DecodeError::NotJson);
            }
        }
        ValueKind::Int => {
            take_int(bytes)?;
        }
        ValueKind::Time => {
            if i64::try_from(take_int(bytes)?).is_err() {
                return Err(DecodeError::OutOfRange { what: "a time" });
            }
        }
        ValueKind::Num => {
            take_num(bytes)?;
        }
        ValueKind::Bool => {
            if first > TRUE {
                return Err(DecodeError::NotCanonical { what: "a bool" });
            }
            *bytes = rest;
        }
    }
    Ok(&start[..start.len() - bytes.len()])
}

/// The value of a cell that [`take_cell`] took.
pub(crate) fn read_cell(kind: ValueKind, mut cell: &[u8]) -> Result<Value, DecodeError> {
    let bytes = &mut cell;
    Ok(match (bytes.first(), kind) {
        (None | Some(&NULL), _) => Value::Null,
        (Some(&first), ValueKind::Bool) => Value::Bool(first == TRUE),
        (_, ValueKind::Int) => Value::Int(take_int(bytes)?),
        (_, ValueKind::Time) => i64::try_from(take_int(bytes)?)
            .map(Value::Time)
            .map_err(|_| DecodeError::OutOfRange { what: "a time" })?,
        (_, ValueKind::Num) => Value::Num(take_num(bytes)?),
        (_, ValueKind::Text) => Value::Text(unescape(bytes)?),
        (_, ValueKind::Json) => Value::Json(unescape(bytes)?),
    })
}

/// Takes an int that is not null.
#[inline]
pub(crate) fn take_int(bytes: &mut &[u8]) -> Result<i128, DecodeError> {
    const WHAT: &str = "an int";
    let Some((&first, rest)) = bytes.split_first() else {
        return Err(DecodeError::Truncated { what: WHAT });
    };
    let negative = first < ZERO;
    let len = usize::from(if negative { MINUS_ONE - first } else { first - ZERO });
    if len > 16 {
        return Err(DecodeError::OutOfRange { what: WHAT });
    }
    let Some((digits, rest)) = rest.split_at_checked(len) else {
        return Err(DecodeError::Truncated { what: WHAT });
    };
    let sign: u8 = if negative { 0xff } else { 0 };
    let mut value = [sign; 16];
    value[16 - len..].copy_from_slice(digits);
    let value = i128::from_be_bytes(value);
    if (value < 0) != negative {
        return Err(DecodeError::OutOfRange { what: WHAT });
    }
    if digits.first() == Some(&sign) {
        return Err(DecodeError::NotCanonical { what: WHAT });
    }
    *bytes = rest;
    Ok(value)
}

fn take_num(bytes: &mut &[u8]) -> Result<f64, DecodeError> {
    const WHAT: &str = "a num";
    let Some((&[first, ref ordered @ ..], rest)) = bytes.split_first_chunk::<9>() else {
        return Err(DecodeError::Truncated { what: WHAT });
    };
    let value = f64::from_bits(unflip(u64::from_be_bytes(*ordered)));
    if first != SOME || value.to_bits() == (-0.0_f64).to_bits() {
        return Err(DecodeError::NotCanonical { what: WHAT });
    }
    if !value.is_finite() {
        return Err(DecodeError::OutOfRange { what: WHAT });
    }
    *bytes = rest;
    Ok(value)
}

/// Is `text` one JSON value?
pub(crate) fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn take_escaped<'a>(first: u8, bytes: &mut &'a [u8]) -> Result<&'a str, DecodeError> {
    const WHAT: &str = "a text";
    if first != SOME {
        return Err(DecodeError::NotCanonical { what: WHAT });
    }
    let Some(len) = memchr(END, &bytes[1..]) else {
        return Err(DecodeError::Truncated { what: WHAT });
    };
    let (escaped, rest) = (&bytes[1..=len], &bytes[len + 2..]);
    // Escapes put ASCII in the place of ASCII, so the escaped text is UTF-8 when the text is.
    let text = std::str::from_utf8(escaped).map_err(|_| DecodeError::NotUtf8)?;
    let mut after = escaped;
    while let Some(at) = memchr(ESCAPE, after) {
        if !matches!(after.get(at + 1), Some(1 | 2)) {
            return Err(DecodeError::NotCanonical { what: WHAT });
        }
        after = &after[at + 2..];
    }
    *bytes = rest;
    Ok(text)
}

fn unescape(cell: &[u8]) -> Result<Box<str>, DecodeError> {
    let escaped = cell.get(1..cell.len().saturating_sub(1)).unwrap_or_default();
    let mut text = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = memchr(ESCAPE, rest) {
        text.extend_from_slice(&rest[..at]);
        text.push(rest.get(at + 1).map_or(0, |code| code.wrapping_sub(1)));
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    text.extend_from_slice(rest);
    String::from_utf8(text).map(String::into_boxed_str).map_err(|_| DecodeError::NotUtf8)
}
