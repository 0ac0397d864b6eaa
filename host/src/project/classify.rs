//! What 64 bytes are: the only part of the structure scan that differs between machines.

/// One bit for each of 64 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Masks {
    pub(super) quotes: u64,
    pub(super) backslashes: u64,
    /// Controls (below the blank) and what is not ASCII (above 127).
    pub(super) unusual: u64,
    /// `{ } [ ] :` and, if asked for, `,`.
    pub(super) marks: u64,
}

/// Classifies 64 bytes at once.
pub(super) trait Classify: Copy {
    // The marks are joined in here: vectors that live on after a branch, the compiler takes apart byte by byte.
    fn masks<const COMMAS: bool>(self, block: &[u8; 64]) -> Masks;

    /// Writes the position of each bit of `bits` plus `start` to the front of `room`, ascending; what comes
    /// after them is void.
    #[inline(always)]
    fn positions(self, mut bits: u64, start: u32, room: &mut [u32; 64]) {
        for position in room {
            if bits == 0 {
                break;
            }
            *position = start + bits.trailing_zeros();
            bits &= bits - 1;
        }
    }

    /// Bit `n` of the result is the parity of the bits `0..=n`.
    fn prefix_xor(self, bits: u64) -> u64;
}

/// The classification that needs no vector unit.
#[derive(Clone, Copy)]
pub(super) struct Scalar;

impl Classify for Scalar {
    #[inline(always)]
    fn masks<const COMMAS: bool>(self, block: &[u8; 64]) -> Masks {
        let mut masks = Masks::default();
        for (at, &byte) in block.iter().enumerate() {
            masks.quotes |= u64::from(byte == b'"') << at;
            masks.backslashes |= u64::from(byte == b'\\') << at;
            masks.unusual |= u64::from(!matches!(byte, b' '..=0x7f)) << at;
            let is_mark = matches!(byte | 0x20, b'{' | b'}') || byte == b':';
            masks.marks |= u64::from(is_mark || (COMMAS && byte == b',')) << at;
        }
        masks
    }

    #[inline(always)]
    fn prefix_xor(self, mut bits: u64) -> u64 {
        for shift in [1, 2, 4, 8, 16, 32] {
            bits ^= bits << shift;
        }
        bits
    }
}
