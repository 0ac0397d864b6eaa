//! The vector units of x86-64.

use std::arch::x86_64::*;

use crate::project::Reject;
use crate::project::classify::{Classify, Masks, Scalar};
use crate::project::scan::{Scanner, Visit};

/// Every x86-64 has it.
#[derive(Clone, Copy, Debug)]
pub(in crate::project) struct Sse2;

/// Proof that this machine has AVX2, PCLMULQDQ, POPCNT, BMI1 and BMI2.
#[derive(Clone, Copy, Debug)]
pub(in crate::project) struct Avx2(());

/// Proof that this machine has AVX-512 for bytes besides, with VBMI2 (Ice Lake, Zen 4 and later).
#[derive(Clone, Copy, Debug)]
pub(in crate::project) struct Avx512(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("pclmulqdq")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2");
        has_all.then_some(Self(()))
    }
}

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vbmi2");
        Avx2::detect().filter(|_| has_all).map(|_| Self(()))
    }
}

/// A function that is [`Scanner::scan_with`] compiled for the features of a unit.
macro_rules! scan_compiled_for {
    ($name:ident, $unit:ty, $features:literal) => {
        pub(super) fn $name(
            unit: $unit,
            scanner: &mut Scanner,
            text: &[u8],
            max_depth: usize,
            visit: &mut impl Visit,
        ) -> Result<(), Reject> {
            #[target_feature(enable = $features)]
            fn scan(
                unit: $unit,
                scanner: &mut Scanner,
                text: &[u8],
                max_depth: usize,
                visit: &mut impl Visit,
            ) -> Result<(), Reject> {
                scanner.scan_with(unit, text, max_depth, visit)
            }
            // SAFETY: a value of the unit exists only where the features were detected.
            unsafe { scan(unit, scanner, text, max_depth, visit) }
        }
    };
}

scan_compiled_for!(scan_avx2, Avx2, "avx2,pclmulqdq,popcnt,bmi1,bmi2");
scan_compiled_for!(
    scan_avx512,
    Avx512,
    "avx512f,avx512bw,avx512vbmi2,avx2,pclmulqdq,popcnt,bmi1,bmi2"
);

impl Classify for Sse2 {
    #[inline(always)]
    fn masks<const COMMAS: bool>(self, block: &[u8; 64]) -> Masks {
        // SAFETY: every x86-64 has SSE2.
        unsafe { masks_sse2::<COMMAS>(block) }
    }

    #[inline(always)]
    fn prefix_xor(self, bits: u64) -> u64 {
        Scalar.prefix_xor(bits)
    }
}

impl Classify for Avx2 {
    #[inline(always)]
    fn masks<const COMMAS: bool>(self, block: &[u8; 64]) -> Masks {
        // SAFETY: an `Avx2` exists only where the features were detected.
        unsafe { masks_avx2::<COMMAS>(block) }
    }

    #[inline(always)]
    fn prefix_xor(self, bits: u64) -> u64 {
        // SAFETY: as above.
        unsafe { prefix_xor(bits) }
    }
}

impl Classify for Avx512 {
    #[inline(always)]
    fn masks<const COMMAS: bool>(self, block: &[u8; 64]) -> Masks {
        // SAFETY: an `Avx512` exists only where the features were detected.
        unsafe { masks_avx512::<COMMAS>(block) }
    }

    #[inline(always)]
    fn positions(self, bits: u64, start: u32, room: &mut [u32; 64]) {
        // SAFETY: as above.
        unsafe { positions_avx512(bits, start, room) }
    }

    #[inline(always)]
    fn prefix_xor(self, bits: u64) -> u64 {
        // SAFETY: as above; those of `Avx2` are among them.
        unsafe { prefix_xor(bits) }
    }
}

#[inline]
#[target_feature(enable = "sse2")]
fn masks_sse2<const COMMAS: bool>(block: &[u8; 64]) -> Masks {
    let mut all = Masks::default();
    for (number, quarter) in block.as_chunks::<16>().0.iter().enumerate() {
        // SAFETY: the load lies inside the 16 bytes and needs no alignment.
        let bytes = unsafe { _mm_loadu_si128(quarter.as_ptr().cast()) };
        // `[` and `]` differ from `{` and `}` in this bit only.
        let folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
        // Compared as signed, bytes above 127 are below the blank as well.
        let unusual = _mm_movemask_epi8(_mm_cmplt_epi8(bytes, _mm_set1_epi8(b' ' as i8)));
        let brackets = equal_sse2(folded, b'{') | equal_sse2(folded, b'}');
        let shift = 16 * number;
        all.quotes |= equal_sse2(bytes, b'"') << shift;
        all.backslashes |= equal_sse2(bytes, b'\\') << shift;
        all.unusual |= u64::from(unusual as u16) << shift;
        let commas = if COMMAS { equal_sse2(bytes, b',') } else { 0 };
        all.marks |= (brackets | equal_sse2(bytes, b':') | commas) << shift;
    }
    all
}

#[inline]
#[target_feature(enable = "sse2")]
fn equal_sse2(bytes: __m128i, byte: u8) -> u64 {
    let found = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte as i8));
    u64::from(_mm_movemask_epi8(found) as u16)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn masks_avx512<const COMMAS: bool>(block: &[u8; 64]) -> Masks {
    // SAFETY: the load lies inside the 64 bytes and needs no alignment.
    let bytes = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
    // As for SSE2.
    let folded = _mm512_or_si512(bytes, _mm512_set1_epi8(0x20));
    let comma = if COMMAS { b',' } else { b':' };
    Masks {
        quotes: _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(b'"' as i8)),
        backslashes: _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(b'\\' as i8)),
        unusual: _mm512_cmplt_epi8_mask(bytes, _mm512_set1_epi8(b' ' as i8)),
        marks: _mm512_cmpeq_epi8_mask(folded, _mm512_set1_epi8(b'{' as i8))
            | _mm512_cmpeq_epi8_mask(folded, _mm512_set1_epi8(b'}' as i8))
            | _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(b':' as i8))
            | _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(comma as i8)),
    }
}

/// The numbers of the bytes whose bits are set, moved together and then widened, 16 at a time.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
fn positions_avx512(bits: u64, start: u32, room: &mut [u32; 64]) {
    const NUMBERS: [u8; 64] = {
        let mut numbers = [0; 64];
        let mut at = 0;
        while at < 64 {
            numbers[at] = at as u8;
            at += 1;
        }
        numbers
    };
    // SAFETY: the load lies inside the 64 bytes and needs no alignment.
    let numbers = unsafe { _mm512_loadu_si512(NUMBERS.as_ptr().cast()) };
    let found = _mm512_maskz_compress_epi8(bits, numbers);
    let start = _mm512_set1_epi32(start.cast_signed());
    let quarters = [
        _mm512_castsi512_si128(found),
        _mm512_extracti32x4_epi32::<1>(found),
        _mm512_extracti32x4_epi32::<2>(found),
        _mm512_extracti32x4_epi32::<3>(found),
    ];
    let mut left = bits.count_ones();
    for (quarter, room) in quarters.into_iter().zip(room.as_chunks_mut::<16>().0) {
        let positions = _mm512_add_epi32(_mm512_cvtepu8_epi32(quarter), start);
        // SAFETY: the store lies inside the 16 words and needs no alignment.
        unsafe { _mm512_storeu_si512(room.as_mut_ptr().cast(), positions) };
        left = left.saturating_sub(16);
        if left == 0 {
            break;
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn masks_avx2<const COMMAS: bool>(block: &[u8; 64]) -> Masks {
    // SAFETY: both loads lie inside the 64 bytes and need no alignment.
    let (low, high) = unsafe {
        let start = block.as_ptr();
        (_mm256_loadu_si256(start.cast()), _mm256_loadu_si256(start.add(32).cast()))
    };
    let (low, high) = (half::<COMMAS>(low), half::<COMMAS>(high));
    Masks {
        quotes: low.quotes | high.quotes << 32,
        backslashes: low.backslashes | high.backslashes << 32,
        // Needed only after a branch, up to which it would be taken apart: see `Classify::masks`.
        unusual: std::hint::black_box(low.unusual | high.unusual << 32),
        marks: low.marks | high.marks << 32,
    }
}

// Plain functions, not closures: what is handed to code without the feature is not inlined there.
#[inline]
#[target_feature(enable = "avx2")]
fn half<const COMMAS: bool>(bytes: __m256i) -> Masks {
    // As for SSE2.
    let folded = _mm256_or_si256(bytes, _mm256_set1_epi8(0x20));
    let brackets = _mm256_or_si256(equal(folded, b'{'), equal(folded, b'}'));
    let unusual = _mm256_cmpgt_epi8(_mm256_set1_epi8(b' ' as i8), bytes);
    let colons = equal(bytes, b':');
    let separators = if COMMAS { _mm256_or_si256(colons, equal(bytes, b',')) } else { colons };
    Masks {
        quotes: bits(equal(bytes, b'"')),
        backslashes: bits(equal(bytes, b'\\')),
        unusual: bits(unusual),
        marks: bits(_mm256_or_si256(brackets, separators)),
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
