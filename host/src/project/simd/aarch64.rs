//! The vector unit of aarch64.

use std::arch::aarch64::*;

use crate::project::classify::{Classify, Masks, Scalar};

/// Every aarch64 has it that Linux runs on.
#[derive(Clone, Copy, Debug)]
pub(in crate::project) struct Neon;

impl Classify for Neon {
    #[inline(always)]
    fn masks<const COMMAS: bool>(self, block: &[u8; 64]) -> Masks {
        // SAFETY: every aarch64 that Linux runs on has NEON.
        unsafe { masks::<COMMAS>(block) }
    }

    #[inline(always)]
    fn prefix_xor(self, bits: u64) -> u64 {
        Scalar.prefix_xor(bits)
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn masks<const COMMAS: bool>(block: &[u8; 64]) -> Masks {
    let none = [vdupq_n_u8(0); 4];
    let (mut quotes, mut backslashes, mut unusual, mut marks) = (none, none, none, none);
    for (number, quarter) in block.as_chunks::<16>().0.iter().enumerate() {
        // SAFETY: the load lies inside the 16 bytes and needs no alignment.
        let bytes = unsafe { vld1q_u8(quarter.as_ptr()) };
        // `[` and `]` differ from `{` and `}` in this bit only.
        let folded = vorrq_u8(bytes, vdupq_n_u8(0x20));
        quotes[number] = equal(bytes, b'"');
        backslashes[number] = equal(bytes, b'\\');
        // Compared as signed, bytes above 127 are below the blank as well.
        unusual[number] = vcltq_s8(vreinterpretq_s8_u8(bytes), vdupq_n_s8(b' ' as i8));
        let brackets = vorrq_u8(equal(folded, b'{'), equal(folded, b'}'));
        marks[number] = vorrq_u8(brackets, equal(bytes, b':'));
        if COMMAS {
            marks[number] = vorrq_u8(marks[number], equal(bytes, b','));
        }
    }
    Masks {
        quotes: bits(quotes),
        backslashes: bits(backslashes),
        unusual: bits(unusual),
        marks: bits(marks),
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn equal(bytes: uint8x16_t, byte: u8) -> uint8x16_t {
    vceqq_u8(bytes, vdupq_n_u8(byte))
}

/// One bit for each byte, of which all bits are set or none.
#[inline]
#[target_feature(enable = "neon")]
fn bits([first, second, third, fourth]: [uint8x16_t; 4]) -> u64 {
    const WEIGHTS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
    // SAFETY: the load lies inside the 16 bytes and needs no alignment.
    let weights = unsafe { vld1q_u8(WEIGHTS.as_ptr()) };
    // Neighbours are added three times: eight bytes, each with a bit of its own, become one.
    let low = vpaddq_u8(vandq_u8(first, weights), vandq_u8(second, weights));
    let high = vpaddq_u8(vandq_u8(third, weights), vandq_u8(fourth, weights));
    let halves = vpaddq_u8(low, high);
    vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(halves, halves)))
}
