//! Keys of rows: window start and dimensions.

use super::cell::{
    push_bool, push_int, push_json, push_null, push_num, push_text, push_time, read_cell, take_cell,
};
use super::{DecodeError, Value};
use crate::manifest::Dimension;

/// Bytes of the window's start, which the keys of models with windows begin with.
pub const WINDOW_LEN: usize = 8;
const SIGN: u64 = 1 << 63;

/// Start of the window of length `window_us` in which `time_us` lies: `epoch + k · window_us`, for
/// times before 1970 too. All in µs.
#[inline]
#[must_use]
pub fn window_start(time_us: i64, window_us: i64) -> i64 {
    time_us.saturating_sub(time_us.rem_euclid(window_us.max(1)))
}

/// Appends the key of a row: its window's start in µs (only of a model that has windows), then its
/// dimensions. Keys of one model compare by `memcmp` as (window, dimensions).
pub fn encode_key(window_us: Option<i64>, dims: &[Value], out: &mut Vec<u8>) {
    if let Some(start_us) = window_us {
        push_window(start_us, out);
    }
    for value in dims {
        push_value(value, out);
    }
}

/// Appends a window's start.
#[inline]
pub fn push_window(start_us: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(start_us as u64 ^ SIGN).to_be_bytes());
}

/// Appends the cell of `value`.
pub fn push_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => push_null(out),
        Value::Bool(value) => push_bool(*value, out),
        Value::Int(value) => push_int(*value, out),
        Value::Num(value) => push_num(*value, out),
        Value::Text(text) => push_text(text, out),
        Value::Time(time_us) => push_time(*time_us, out),
        Value::Json(text) => push_json(text, out),
    }
}

/// Window start (µs) of the key of a model that has windows.
///
/// A key that [`check_key`] would refuse for being too short reads as if zero bytes followed it.
#[inline]
#[must_use]
pub fn key_window(key: &[u8]) -> i64 {
    let mut start = [0; WINDOW_LEN];
    let len = key.len().min(WINDOW_LEN);
    start[..len].copy_from_slice(&key[..len]);
    (u64::from_be_bytes(start) ^ SIGN) as i64
}

/// Appends `key`, of a model that has windows, with its window's start replaced by `window_us`.
pub fn rekey(key: &[u8], window_us: i64, out: &mut Vec<u8>) {
    push_window(window_us, out);
    out.extend_from_slice(key.get(WINDOW_LEN..).unwrap_or_default());
}

/// Is `key` a key of a model with these dimensions? As [`decode_key`], without allocating.
///
/// # Errors
/// As [`decode_key`].
pub fn check_key(windowed: bool, dims: &[Dimension], key: &[u8]) -> Result<(), DecodeError> {
    each_cell(windowed, dims, key, |_, _| Ok(())).map(drop)
}

/// Reads a key: the window's start in µs, if `windowed`, and the dimensions.
///
/// # Errors
/// [`DecodeError`] if `key` is not the one encoding of a key with these dimensions.
pub fn decode_key(
    windowed: bool,
    dims: &[Dimension],
    key: &[u8],
) -> Result<(Option<i64>, Vec<Value>), DecodeError> {
    let mut values = Vec::with_capacity(dims.len());
    let window = each_cell(windowed, dims, key, |dimension, cell| {
        values.push(read_cell(dimension.kind, cell)?);
        Ok(())
    })?;
    Ok((window, values))
}

fn each_cell(
    windowed: bool,
    dims: &[Dimension],
    key: &[u8],
    mut visit: impl FnMut(&Dimension, &[u8]) -> Result<(), DecodeError>,
) -> Result<Option<i64>, DecodeError> {
    let mut rest = key;
    if windowed {
        rest = key.get(WINDOW_LEN..).ok_or(DecodeError::Truncated { what: "a window start" })?;
    }
    for dimension in dims {
        visit(dimension, take_cell(dimension.kind, &mut rest)?)?;
    }
    if !rest.is_empty() {
        return Err(DecodeError::Trailing { what: "a key", extra: rest.len() });
    }
    Ok(windowed.then(|| key_window(key)))
}
