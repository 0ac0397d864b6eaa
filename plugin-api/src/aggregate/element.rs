//! The types of values that measures take.

use std::cmp::Ordering;
use std::fmt::Debug;

use xxhash_rust::xxh3::xxh3_64;

use crate::encoding::{is_json, push_bool, push_int, push_json, push_num, push_text, push_time};
use crate::manifest::ValueKind;

/// UTF-8 text, added as `&str`.
#[derive(Clone, Copy, Debug)]
pub struct Text;

/// JSON text of any value, added as `&str`; text that is not one JSON value is no value.
#[derive(Clone, Copy, Debug)]
pub struct Json;

/// A time, added as µs since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Time;

/// A type of values: `i64`, `f64`, `bool`, [`Time`], [`Text`] or [`Json`].
pub trait Element: Send + 'static + sealed::Sealed {
    /// The type in the manifest.
    const KIND: ValueKind;
    /// What is added.
    type Add<'a>: Copy;
    /// What is kept of it.
    type Kept: Clone + Debug + Send;

    /// Is `value` one at all? All below is about values that are; −0 is the same as 0 there.
    fn accepts(value: Self::Add<'_>) -> bool {
        let _ = value;
        true
    }
    /// Keeps `value`.
    fn keep(value: Self::Add<'_>) -> Self::Kept;
    /// Keeps `value` in the place of `kept`.
    fn replace(kept: &mut Self::Kept, value: Self::Add<'_>) {
        *kept = Self::keep(value);
    }
    /// The value kept.
    fn view(kept: &Self::Kept) -> Self::Add<'_>;
    /// The order of values, which is that of their cells.
    fn compare(a: Self::Add<'_>, b: Self::Add<'_>) -> Ordering;
    /// Appends the value's cell ([`crate::encoding`]).
    fn push(value: Self::Add<'_>, out: &mut Vec<u8>);
    /// xxh3-64 of the value: of a text's UTF-8, of an int's, a time's or a num's 8 bytes in
    /// little-endian, of a bool's one byte 0 or 1.
    fn hash(value: Self::Add<'_>) -> u64;
    /// Bytes that `kept` holds on the heap.
    fn heap(kept: &Self::Kept) -> usize {
        let _ = kept;
        0
    }
}

/// A type of numbers: `i64` or `f64`.
pub trait Number: Element + for<'a> Element<Add<'a> = Self> + Copy {
    /// The value as a whole number times a power of two, the whole number odd where the power
    /// is not 0.
    #[doc(hidden)]
    fn dyadic(self) -> (i64, i32);
    /// The value, rounded towards zero.
    #[doc(hidden)]
    fn truncate(self) -> f64;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for i64 {}
    impl Sealed for f64 {}
    impl Sealed for bool {}
    impl Sealed for super::Time {}
    impl Sealed for super::Text {}
    impl Sealed for super::Json {}
}

impl Element for i64 {
    const KIND: ValueKind = ValueKind::Int;
    type Add<'a> = i64;
    type Kept = i64;

    fn keep(value: i64) -> i64 {
        value
    }
    fn view(kept: &i64) -> i64 {
        *kept
    }
    fn compare(a: i64, b: i64) -> Ordering {
        a.cmp(&b)
    }
    fn push(value: i64, out: &mut Vec<u8>) {
        push_int(value.into(), out);
    }
    fn hash(value: i64) -> u64 {
        xxh3_64(&value.to_le_bytes())
    }
}

impl Number for i64 {
    #[inline]
    fn dyadic(self) -> (i64, i32) {
        (self, 0)
    }

    #[inline]
    fn truncate(self) -> f64 {
        let magnitude = self.unsigned_abs();
        // The bits that a mantissa has no room for would round, possibly up.
        let excess = (u64::BITS - f64::MANTISSA_DIGITS).saturating_sub(magnitude.leading_zeros());
        let whole = (magnitude >> excess << excess) as f64;
        if self < 0 { -whole } else { whole }
    }
}

impl Element for f64 {
    const KIND: ValueKind = ValueKind::Num;
    type Add<'a> = f64;
    type Kept = f64;

    // Adding 0 turns −0 into 0.
    #[inline]
    fn accepts(value: f64) -> bool {
        value.is_finite()
    }
    fn keep(value: f64) -> f64 {
        value + 0.0
    }
    fn view(kept: &f64) -> f64 {
        *kept
    }
    fn compare(a: f64, b: f64) -> Ordering {
        (a + 0.0).total_cmp(&(b + 0.0))
    }
    fn push(value: f64, out: &mut Vec<u8>) {
        push_num(value, out);
    }
    fn hash(value: f64) -> u64 {
        xxh3_64(&(value + 0.0).to_bits().to_le_bytes())
    }
}

impl Number for f64 {
    #[inline]
    fn dyadic(self) -> (i64, i32) {
        const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
        const FRACTION: u64 = (1 << FRACTION_BITS) - 1;
        const LEAST_EXPONENT: i32 = -1074;
        let bits = self.to_bits();
        let biased = (bits >> FRACTION_BITS & 0x7ff) as i32;
        let (mantissa, exponent) = match biased {
            0 => (bits & FRACTION, LEAST_EXPONENT),
            _ => (bits & FRACTION | 1 << FRACTION_BITS, LEAST_EXPONENT + biased - 1),
        };
        if mantissa == 0 {
            return (0, 0);
        }
        let zeros = mantissa.trailing_zeros();
        let odd = (mantissa >> zeros) as i64;
        (if self < 0.0 { -odd } else { odd }, exponent + zeros as i32)
    }

    #[inline]
    fn truncate(self) -> f64 {
        self
    }
}

impl Element for bool {
    const KIND: ValueKind = ValueKind::Bool;
    type Add<'a> = bool;
    type Kept = bool;

    fn keep(value: bool) -> bool {
        value
    }
    fn view(kept: &bool) -> bool {
        *kept
    }
    fn compare(a: bool, b: bool) -> Ordering {
        a.cmp(&b)
    }
    fn push(value: bool, out: &mut Vec<u8>) {
        push_bool(value, out);
    }
    fn hash(value: bool) -> u64 {
        xxh3_64(&[value.into()])
    }
}

impl Element for Time {
    const KIND: ValueKind = ValueKind::Time;
    type Add<'a> = i64;
    type Kept = i64;

    fn keep(value: i64) -> i64 {
        value
    }
    fn view(kept: &i64) -> i64 {
        *kept
    }
    fn compare(a: i64, b: i64) -> Ordering {
        a.cmp(&b)
    }
    fn push(value: i64, out: &mut Vec<u8>) {
        push_time(value, out);
    }
    fn hash(value: i64) -> u64 {
        xxh3_64(&value.to_le_bytes())
    }
}

impl Element for Text {
    const KIND: ValueKind = ValueKind::Text;
    type Add<'a> = &'a str;
    type Kept = String;

    fn keep(value: &str) -> String {
        value.to_owned()
    }
    fn replace(kept: &mut String, value: &str) {
        kept.clear();
        kept.push_str(value);
    }
    fn view(kept: &String) -> &str {
        kept
    }
    fn compare(a: &str, b: &str) -> Ordering {
        a.cmp(b)
    }
    fn push(value: &str, out: &mut Vec<u8>) {
        push_text(value, out);
    }
    fn hash(value: &str) -> u64 {
        xxh3_64(value.as_bytes())
    }
    fn heap(kept: &String) -> usize {
        kept.capacity()
    }
}

impl Element for Json {
    const KIND: ValueKind = ValueKind::Json;
    type Add<'a> = &'a str;
    type Kept = String;

    fn accepts(value: &str) -> bool {
        is_json(value)
    }
    fn keep(value: &str) -> String {
        value.to_owned()
    }
    fn replace(kept: &mut String, value: &str) {
        Text::replace(kept, value);
    }
    fn view(kept: &String) -> &str {
        kept
    }
    fn compare(a: &str, b: &str) -> Ordering {
        a.cmp(b)
    }
    fn push(value: &str, out: &mut Vec<u8>) {
        push_json(value, out);
    }
    fn hash(value: &str) -> u64 {
        xxh3_64(value.as_bytes())
    }
    fn heap(kept: &String) -> usize {
        kept.capacity()
    }
}
