//! What 64 bytes are: the only part of the structure scan that differs between machines.

/// One bit for each of 64 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Masks {
    pub(super) quotes: u64,
    pub(super) backslashes: u64,
    /// Controls (below the blank), what is not ASCII (above 127), and backslashes.
    pub(super) specials: u64,
    /// `{ } [ ] :`
    pub(super) marks: u64,
}

/// Classifies 64 bytes at once.
pub(super) trait Classify: Copy {
    fn masks(self, block: &[u8; 64]) -> Masks;

    /// Where there are commas: asked only where elements of an array are wanted.
    fn commas(self, block: &[u8; 64]) -> u64;

    /// Bit `n` of the result is the parity of the bits `0..=n`.
    fn prefix_xor(self, bits: u64) -> u64;
}

/// The classification that needs no vector unit.
#[derive(Clone, Copy)]
pub(super) struct Scalar;

impl Classify for Scalar {
    #[inline(always)]
    fn masks(self, block: &[u8; 64]) -> Masks {
        let mut masks = Masks::default();
        for (at, &byte) in block.iter().enumerate() {
            masks.quotes |= u64::from(byte == b'"') << at;
            masks.backslashes |= u64::from(byte == b'\\') << at;
            masks.specials |= u64::from(!matches!(byte, b' '..=0x7f) || byte == b'\\') << at;
            masks.marks |= u64::from(matches!(byte | 0x20, b'{' | b'}') || byte == b':') << at;
        }
        masks
    }

    #[inline(always)]
    fn commas(self, block: &[u8; 64]) -> u64 {
        block.iter().rev().fold(0, |bits, &byte| bits << 1 | u64::from(byte == b','))
    }

    #[inline(always)]
    fn prefix_xor(self, mut bits: u64) -> u64 {
        for shift in [1, 2, 4, 8, 16, 32] {
            bits ^= bits << shift;
        }
        bits
    }
}
