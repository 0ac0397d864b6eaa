//! Classification of 64 bytes at once with AVX2 and carry-less multiplication.
//!
//! Whether the machine has both is asked at run time; elsewhere (other x86-64, aarch64) the scalar
//! classification of `classify.rs` serves, to which this one is equal bit for bit.

use crate::project::Reject;
use crate::project::classify::{Classify, Masks};
use crate::project::scan::{Bounds, Index};

/// Proof that this machine has AVX2, PCLMULQDQ, POPCNT, BMI1 and BMI2.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2(());

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::*;

    use super::*;

    impl Avx2 {
        pub(in crate::project) fn detect() -> Option<Self> {
            let has_all = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("pclmulqdq")
                && is_x86_feature_detected!("popcnt")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2");
            has_all.then_some(Self(()))
        }
    }

    /// [`Index::scan_with`], compiled for the features of [`Avx2`].
    pub(in crate::project) fn scan(
        avx2: Avx2,
        index: &mut Index,
        text: &[u8],
        bounds: Bounds,
    ) -> Result<(), Reject> {
        // SAFETY: an `Avx2` exists only where the features were detected.
        unsafe { compiled(avx2, index, text, bounds) }
    }

    #[target_feature(enable = "avx2,pclmulqdq,popcnt,bmi1,bmi2")]
    fn compiled(avx2: Avx2, index: &mut Index, text: &[u8], bounds: Bounds) -> Result<(), Reject> {
        index.scan_with(avx2, text, bounds)
    }

    impl Classify for Avx2 {
        #[inline(always)]
        fn masks(self, block: &[u8; 64]) -> Masks {
            // SAFETY: an `Avx2` exists only where the features were detected.
            unsafe { masks(block) }
        }

        #[inline(always)]
        fn prefix_xor(self, bits: u64) -> u64 {
            // SAFETY: as above.
            unsafe { prefix_xor(bits) }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn masks(block: &[u8; 64]) -> Masks {
        // SAFETY: both loads lie inside the 64 bytes and need no alignment.
        let (low, high) = unsafe {
            let start = block.as_ptr();
            (_mm256_loadu_si256(start.cast()), _mm256_loadu_si256(start.add(32).cast()))
        };
        let (low, high) = (half(low), half(high));
        Masks {
            quotes: low.quotes | high.quotes << 32,
            backslashes: low.backslashes | high.backslashes << 32,
            unusual: low.unusual | high.unusual << 32,
            brackets: low.brackets | high.brackets << 32,
            colons: low.colons | high.colons << 32,
        }
    }

    // Plain functions, not closures: what is handed to code without the feature is not inlined there.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn half(bytes: __m256i) -> Masks {
        // `[` and `]` differ from `{` and `}` in this bit only.
        let folded = _mm256_or_si256(bytes, _mm256_set1_epi8(0x20));
        let brackets = _mm256_or_si256(equal(folded, b'{'), equal(folded, b'}'));
        // Compared as signed, bytes above 127 are below the blank as well.
        let unusual = _mm256_cmpgt_epi8(_mm256_set1_epi8(b' ' as i8), bytes);
        Masks {
            quotes: bits(equal(bytes, b'"')),
            backslashes: bits(equal(bytes, b'\\')),
            unusual: bits(unusual),
            brackets: bits(brackets),
            colons: bits(equal(bytes, b':')),
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn equal(bytes: __m256i, byte: u8) -> __m256i {
        _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte as i8))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn bits(mask: __m256i) -> u64 {
        u64::from(_mm256_movemask_epi8(mask) as u32)
    }

    #[inline]
    #[target_feature(enable = "pclmulqdq")]
    fn prefix_xor(bits: u64) -> u64 {
        // A product with all ones in carry-less arithmetic is the sum of all shifts.
        let product = _mm_clmulepi64_si128::<0>(_mm_set_epi64x(0, bits as i64), _mm_set1_epi8(-1));
        _mm_cvtsi128_si64(product) as u64
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::scan;

#[cfg(not(target_arch = "x86_64"))]
impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        None
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Classify for Avx2 {
    fn masks(self, block: &[u8; 64]) -> Masks {
        crate::project::classify::Scalar.masks(block)
    }

    fn prefix_xor(self, bits: u64) -> u64 {
        crate::project::classify::Scalar.prefix_xor(bits)
    }
}

/// Never reached: there is no [`Avx2`] here.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn scan(
    avx2: Avx2,
    index: &mut Index,
    text: &[u8],
    bounds: Bounds,
) -> Result<(), Reject> {
    index.scan_with(avx2, text, bounds)
}
