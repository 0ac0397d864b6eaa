//! A sum while it is folded.

use super::exact::{self, Exact};

/// Most bits of an addition and of its place above the sum's unit: one bit for its sign, one to add.
const ROOM: u32 = i128::BITS - 2;

/// An exact sum: small · 2^exponent, plus what did not fit `small`.
///
/// Integers, and floats of similar magnitude, stay in `small` for as long as anyone will add them.
#[derive(Clone, Debug, Default)]
pub(super) struct Accumulator {
    small: i128,
    /// Of the unit of `small`: 0, or the least that `small` has seen.
    exponent: i32,
    spilled: Option<Box<Exact>>,
}

impl Accumulator {
    /// Adds `whole · 2^exponent`.
    #[inline]
    pub(super) fn add(&mut self, whole: i128, exponent: i32) {
        if let Some(raised) = raise(whole, exponent, self.exponent)
            && let Some(sum) = self.small.checked_add(raised)
        {
            self.small = sum;
        } else {
            self.add_beyond(whole, exponent);
        }
    }

    /// Adds what does not fit as things are: in a smaller unit, or by making room.
    #[inline(never)]
    fn add_beyond(&mut self, whole: i128, exponent: i32) {
        if self.small == 0 {
            (self.small, self.exponent) = (whole, exponent);
        } else if let Some(small) = raise(self.small, self.exponent, exponent)
            && let Some(sum) = small.checked_add(whole)
        {
            (self.small, self.exponent) = (sum, exponent);
        } else {
            self.spilled.get_or_insert_default().add(self.small, self.exponent);
            (self.small, self.exponent) = (whole, exponent);
        }
    }

    /// Appends the encoding of [`exact`].
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match &self.spilled {
            None => exact::encode_small(self.small, self.exponent, out),
            Some(spilled) => {
                let mut sum = Exact::clone(spilled);
                sum.add(self.small, self.exponent);
                sum.encode(out);
            }
        }
    }

    /// Bytes on the heap.
    #[inline]
    pub(super) fn heap(&self) -> usize {
        self.spilled.as_ref().map_or(0, |spilled| size_of::<Exact>() + spilled.heap())
    }
}

/// `whole · 2^exponent` in units of 2^`unit`, if that leaves room to add to it.
#[inline]
fn raise(whole: i128, exponent: i32, unit: i32) -> Option<i128> {
    // A negative difference becomes a large one.
    let by = exponent.wrapping_sub(unit) as u32;
    let bits = i128::BITS - whole.unsigned_abs().leading_zeros();
    (by == 0 || (by < ROOM && bits + by <= ROOM)).then(|| whole << by)
}
