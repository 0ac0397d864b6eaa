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
        if exponent == self.exponent
            && let Some(sum) = self.small.checked_add(whole)
        {
            self.small = sum;
        } else {
            self.add_aligned(whole, exponent);
        }
    }

    #[inline(never)]
    fn add_aligned(&mut self, whole: i128, exponent: i32) {
        if whole == 0 {
            return;
        }
        if self.small == 0 {
            (self.small, self.exponent) = (whole, exponent);
            return;
        }
        let unit = exponent.min(self.exponent);
        if let Some(small) = raise(self.small, self.exponent - unit)
            && let Some(whole) = raise(whole, exponent - unit)
            && let Some(sum) = small.checked_add(whole)
        {
            (self.small, self.exponent) = (sum, unit);
            return;
        }
        self.spilled.get_or_insert_default().add(self.small, self.exponent);
        (self.small, self.exponent) = (whole, exponent);
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

/// `whole · 2^by`, if it leaves room to add.
fn raise(whole: i128, by: i32) -> Option<i128> {
    let bits = i128::BITS - whole.unsigned_abs().leading_zeros();
    (bits + by as u32 <= ROOM).then(|| whole << by)
}
