//! Exact sums: whole numbers of any size times a power of two.
//!
//! Every `i64`, every finite `f64`, every sum of them and of their squares is such a number, so
//! nothing is ever rounded and no order of additions matters.
//!
//! Encoding of ±M · 256^e, where M is without zero bytes at both ends: LEB128 of
//! `(number of M's bytes) << 1 | (1 if negative)`; zigzag LEB128 of e; M's bytes, little-endian. 0 is
//! the single byte `00`. M · 256^e lies on the bytes `-272..272` of the number line, enough for 2^64
//! squares of any `f64`.

use num_bigint::{BigInt, Sign};

use crate::encoding::{DecodeError, leb128};

const WHAT: &str = "an exact sum";
/// Where the bytes of a sum may lie: below this power of 256, and not below its negative.
const MAX_BYTE: i64 = 272;
const LIMB_BITS: i32 = u64::BITS as i32;
/// Bytes of a sum that are added to another one at a time: with their sign they fit an `i128`.
const CHUNK: usize = 15;

/// A sum of any size, in two's complement: limbs · 2^(64 · low). For the additions that an `i128`
/// has no room for.
#[derive(Clone, Debug, Default)]
pub(super) struct Exact {
    limbs: Vec<u64>,
    low: i32,
}

impl Exact {
    /// Adds `whole · 2^exponent`.
    pub(super) fn add(&mut self, whole: i128, exponent: i32) {
        let (limb, shift) = (exponent.div_euclid(LIMB_BITS), exponent.rem_euclid(LIMB_BITS));
        let rest = whole >> (LIMB_BITS - shift);
        let words = [(whole as u64) << shift, rest as u64, (rest >> LIMB_BITS) as u64];
        let start = self.make_room(limb, limb + words.len() as i32);
        let sign = (whole >> (i128::BITS - 1)) as u64;
        let mut carry = false;
        for (index, limb) in self.limbs[start..].iter_mut().enumerate() {
            let word = words.get(index).copied().unwrap_or(sign);
            if index >= words.len() && word == if carry { u64::MAX } else { 0 } {
                break;
            }
            (*limb, carry) = limb.carrying_add(word, carry);
        }
        self.keep_headroom();
    }

    /// Adds an encoded sum.
    pub(super) fn add_encoded(&mut self, sum: &Encoded<'_>) {
        for (index, chunk) in sum.digits.chunks(CHUNK).enumerate() {
            let whole = sum.signed(little_endian(chunk));
            self.add(whole, 8 * (sum.exponent as i32 + (index * CHUNK) as i32));
        }
    }

    /// Appends the encoding.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let negative = self.limbs.last().is_some_and(|&top| (top as i64) < 0);
        let mut digits = Vec::with_capacity(self.limbs.len() * 8);
        let mut carry = negative;
        for &limb in &self.limbs {
            let mut word = limb;
            if negative {
                (word, carry) = (!limb).overflowing_add(u64::from(carry));
            }
            digits.extend_from_slice(&word.to_le_bytes());
        }
        push(negative, i64::from(self.low) * 8, &digits, out);
    }

    /// Bytes on the heap.
    pub(super) fn heap(&self) -> usize {
        self.limbs.capacity() * size_of::<u64>()
    }

    /// Makes the limbs of the places `from..to` exist; answers the index of the first.
    fn make_room(&mut self, from: i32, to: i32) -> usize {
        if self.limbs.is_empty() {
            self.low = from;
        }
        if from < self.low {
            let missing = (self.low - from) as usize;
            self.limbs.splice(0..0, std::iter::repeat_n(0, missing));
            self.low = from;
        }
        let len = (to - self.low) as usize;
        if self.limbs.len() < len {
            self.limbs.resize(len, self.sign_limb());
        }
        (from - self.low) as usize
    }

    fn sign_limb(&self) -> u64 {
        self.limbs.last().map_or(0, |&top| (top as i64 >> 63) as u64)
    }

    /// The top limb stays in −2^62..2^62. The word that an addition brings to it is in that range
    /// too, so that with the carry it cannot overflow.
    fn keep_headroom(&mut self) {
        let top = self.limbs.last().map_or(0, |&top| top as i64);
        if !(-1 << 62..1 << 62).contains(&top) {
            self.limbs.push(self.sign_limb());
        }
    }
}

/// A checked encoding of a sum: ±digits · 256^exponent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoded<'a> {
    negative: bool,
    exponent: i64,
    /// Little-endian, no zero at either end; empty for 0.
    digits: &'a [u8],
}

impl<'a> Encoded<'a> {
    /// Takes a sum from the front of `bytes`.
    pub(super) fn take(bytes: &mut &'a [u8]) -> Result<Self, DecodeError> {
        let head = leb128::take_u64(bytes, WHAT)?;
        let (len, negative) = (head >> 1, head & 1 == 1);
        if len == 0 {
            return match negative {
                true => Err(DecodeError::NotCanonical { what: WHAT }),
                false => Ok(Self { negative, exponent: 0, digits: &[] }),
            };
        }
        let exponent = leb128::take_i64(bytes, WHAT)?;
        let len = i64::try_from(len).unwrap_or(i64::MAX);
        if exponent < -MAX_BYTE || exponent.saturating_add(len) > MAX_BYTE {
            return Err(DecodeError::OutOfRange { what: WHAT });
        }
        let (digits, rest) =
            bytes.split_at_checked(len as usize).ok_or(DecodeError::Truncated { what: WHAT })?;
        if digits.first() == Some(&0) || digits.last() == Some(&0) {
            return Err(DecodeError::NotCanonical { what: WHAT });
        }
        *bytes = rest;
        Ok(Self { negative, exponent, digits })
    }

    pub(super) fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    pub(super) fn is_negative(&self) -> bool {
        self.negative
    }

    pub(super) fn is_whole(&self) -> bool {
        self.exponent >= 0
    }

    /// The sum, if it is whole and fits.
    pub(super) fn to_i128(self) -> Option<i128> {
        if !self.is_whole() || self.top() > 16 {
            return None;
        }
        let magnitude = little_endian(self.digits) << (8 * self.exponent);
        if self.negative {
            0_i128.checked_sub_unsigned(magnitude)
        } else {
            i128::try_from(magnitude).ok()
        }
    }

    /// The sum as `whole · 2^exponent`.
    pub(super) fn to_bigint(self) -> (BigInt, i64) {
        let sign = if self.negative { Sign::Minus } else { Sign::Plus };
        (BigInt::from_bytes_le(sign, self.digits), 8 * self.exponent)
    }

    /// Just past the highest byte.
    fn top(&self) -> i64 {
        self.exponent + self.digits.len() as i64
    }

    fn signed(&self, magnitude: u128) -> i128 {
        let whole = magnitude as i128;
        if self.negative { -whole } else { whole }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        push(self.negative, self.exponent, self.digits, out);
    }
}

/// Appends the encoding of `whole · 2^exponent`.
pub(super) fn encode_small(whole: i128, exponent: i32, out: &mut Vec<u8>) {
    let (byte, shift) = (exponent.div_euclid(8), exponent.rem_euclid(8) as u32);
    let magnitude = whole.unsigned_abs();
    if magnitude.leading_zeros() < shift {
        let mut sum = Exact::default();
        sum.add(whole, exponent);
        return sum.encode(out);
    }
    push(whole < 0, byte.into(), &(magnitude << shift).to_le_bytes(), out);
}

/// Appends the encoding of the sum of `a` and `b`.
pub(super) fn merge(a: Encoded<'_>, b: Encoded<'_>, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    if a.is_zero() || b.is_zero() {
        if a.is_zero() { b } else { a }.encode(out);
        return Ok(());
    }
    let low = a.exponent.min(b.exponent);
    if a.top().max(b.top()) - low <= CHUNK as i64 {
        let place =
            |sum: Encoded<'_>| sum.signed(little_endian(sum.digits) << (8 * (sum.exponent - low)));
        encode_small(place(a) + place(b), 8 * low as i32, out);
        return Ok(());
    }
    let mut sum = Exact::default();
    sum.add_encoded(&a);
    sum.add_encoded(&b);
    let start = out.len();
    sum.encode(out);
    // Only sums that nobody can have added up are as large as this.
    Encoded::take(&mut &out[start..]).map(drop)
}

fn push(negative: bool, exponent: i64, digits: &[u8], out: &mut Vec<u8>) {
    let Some(first) = digits.iter().position(|&digit| digit != 0) else {
        return out.push(0);
    };
    let end = digits.iter().rposition(|&digit| digit != 0).map_or(0, |last| last + 1);
    leb128::push_u64(((end - first) as u64) << 1 | u64::from(negative), out);
    leb128::push_i64(exponent + first as i64, out);
    out.extend_from_slice(&digits[first..end]);
}

/// At most 16 bytes as a number.
fn little_endian(digits: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    bytes[..digits.len()].copy_from_slice(digits);
    u128::from_le_bytes(bytes)
}
