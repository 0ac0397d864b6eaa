//! Classification of 64 bytes at once by the vector unit of the machine.
//!
//! Which one it has is asked at run time. Where there is none that is known here, the scalar
//! classification of `classify.rs` serves, to which the others are equal bit for bit.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use crate::project::Reject;
use crate::project::classify::Scalar;
use crate::project::scan::{Scanner, Visit};

/// What classifies. A variant exists only where the machine can do it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Unit {
    #[default]
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Sse2(x86_64::Sse2),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86_64::Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(x86_64::Avx512),
    #[cfg(target_arch = "aarch64")]
    Neon(aarch64::Neon),
}

impl Unit {
    /// All that this machine has, the fastest last.
    pub(super) fn all() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let vectors = [
            Some(Self::Sse2(x86_64::Sse2)),
            x86_64::Avx2::detect().map(Self::Avx2),
            x86_64::Avx512::detect().map(Self::Avx512),
        ];
        #[cfg(target_arch = "aarch64")]
        let vectors = [Some(Self::Neon(aarch64::Neon))];
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let vectors = [None];
        [Self::Scalar].into_iter().chain(vectors.into_iter().flatten()).collect()
    }

    /// The fastest that this machine has.
    pub(super) fn best() -> Self {
        Self::all().pop().unwrap_or_default()
    }

    /// [`Scanner::scan_with`] this unit.
    pub(super) fn scan(
        self,
        scanner: &mut Scanner,
        text: &[u8],
        max_depth: usize,
        visit: &mut impl Visit,
    ) -> Result<(), Reject> {
        match self {
            Self::Scalar => scanner.scan_with(Scalar, text, max_depth, visit),
            #[cfg(target_arch = "x86_64")]
            Self::Sse2(sse2) => scanner.scan_with(sse2, text, max_depth, visit),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => x86_64::scan_avx2(avx2, scanner, text, max_depth, visit),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(avx512) => x86_64::scan_avx512(avx512, scanner, text, max_depth, visit),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(neon) => scanner.scan_with(neon, text, max_depth, visit),
        }
    }
}
