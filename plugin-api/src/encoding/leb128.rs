//! Unsigned and zigzag LEB128 numbers, read in their shortest form only.

use super::DecodeError;

/// Most bytes of a `u64`.
const MAX_LEN: usize = 10;

/// Appends `value` as LEB128.
#[inline]
pub fn push_u64(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `value` as LEB128 of its zigzag form (0, −1, 1, −2, …).
#[inline]
pub fn push_i64(value: i64, out: &mut Vec<u8>) {
    push_u64((value << 1 ^ value >> 63) as u64, out);
}

/// Takes a number from the front of `bytes`; `what` names it in errors.
///
/// # Errors
/// [`DecodeError`] if the bytes end early, the number needs more than 64 bits, or it is not in its
/// shortest form.
#[inline]
pub fn take_u64(bytes: &mut &[u8], what: &'static str) -> Result<u64, DecodeError> {
    match **bytes {
        [first, ref rest @ ..] if first < 0x80 => {
            *bytes = rest;
            Ok(u64::from(first))
        }
        _ => take_long(bytes, what),
    }
}

fn take_long(bytes: &mut &[u8], what: &'static str) -> Result<u64, DecodeError> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(MAX_LEN).enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * index as u32;
        if index == MAX_LEN - 1 && byte > 1 {
            return Err(DecodeError::OutOfRange { what });
        }
        value |= bits << shift;
        if byte < 0x80 {
            if byte == 0 && index > 0 {
                return Err(DecodeError::NotCanonical { what });
            }
            *bytes = &bytes[index + 1..];
            return Ok(value);
        }
    }
    Err(DecodeError::Truncated { what })
}

/// As [`take_u64`] for a zigzag number.
///
/// # Errors
/// As [`take_u64`].
#[inline]
pub fn take_i64(bytes: &mut &[u8], what: &'static str) -> Result<i64, DecodeError> {
    let zigzag = take_u64(bytes, what)?;
    Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_shortest_form_is_read() {
        let read = |mut bytes: &[u8]| take_u64(&mut bytes, "a number");
        assert_eq!(read(&[0x80, 0x01]), Ok(128));
        assert_eq!(read(&[0x80, 0x00]), Err(DecodeError::NotCanonical { what: "a number" }));
        assert_eq!(read(&[0x80]), Err(DecodeError::Truncated { what: "a number" }));
        assert_eq!(read(&[]), Err(DecodeError::Truncated { what: "a number" }));
        assert_eq!(read(&[0xff; 11]), Err(DecodeError::OutOfRange { what: "a number" }));
    }

    proptest! {
        #[test]
        fn numbers_round_trip(unsigned: u64, signed: i64, shift in 0..64_u32) {
            let (unsigned, signed) = (unsigned >> shift, signed >> shift);
            let mut bytes = Vec::new();
            push_u64(unsigned, &mut bytes);
            push_i64(signed, &mut bytes);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(take_u64(&mut rest, "a number").unwrap(), unsigned);
            prop_assert_eq!(take_i64(&mut rest, "a number").unwrap(), signed);
            prop_assert!(rest.is_empty());
        }
    }
}
