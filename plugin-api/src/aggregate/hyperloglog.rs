//! HyperLogLog registers, and Ertl's improved estimate from them.
//!
//! 4096 registers. The top 12 bits of a hash choose one, which keeps the greatest rank: 1 + the
//! number of leading zeros of the other 52 bits (53 if all are zero). Encoding: 6 bits for each
//! register, register 0 first, 4 registers in 3 bytes, the first one in the low bits of the first byte.
//!
//! The estimate is algorithm 6 of O. Ertl, "New cardinality estimation algorithms for HyperLogLog
//! sketches", 2017: without bias at any number, so it needs neither tables nor a second estimator.

use crate::encoding::DecodeError;

const WHAT: &str = "distinct registers";
const INDEX_BITS: u32 = 12;
const REGISTERS: usize = 1 << INDEX_BITS;
const RANK_BITS: u32 = u64::BITS - INDEX_BITS;
/// The greatest rank.
const MAX_RANK: u8 = RANK_BITS as u8 + 1;
const ENCODED_LEN: usize = REGISTERS / 4 * 3;

/// The registers, one byte each.
#[derive(Clone, Debug)]
pub(super) struct Registers([u8; REGISTERS]);

impl Default for Registers {
    fn default() -> Self {
        Self([0; REGISTERS])
    }
}

impl Registers {
    /// Adds a value by its hash.
    #[inline]
    pub(super) fn add(&mut self, hash: u64) {
        let register = &mut self.0[(hash >> RANK_BITS) as usize];
        // The bit put below the others stops the count where all of them are zero.
        let rank = (hash << INDEX_BITS | 1 << (INDEX_BITS - 1)).leading_zeros() as u8 + 1;
        *register = rank.max(*register);
    }

    /// Adds all values that went into `other`.
    pub(super) fn merge(&mut self, other: &Self) {
        for (register, &rank) in self.0.iter_mut().zip(&other.0) {
            *register = rank.max(*register);
        }
    }

    /// Appends the encoding.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(ENCODED_LEN);
        for &group in self.0.as_chunks::<4>().0 {
            let word = u32::from_le_bytes(group);
            let packed =
                word & 0x3f | word >> 2 & 0xfc0 | word >> 4 & 0x3_f000 | word >> 6 & 0xfc_0000;
            out.extend_from_slice(&packed.to_le_bytes()[..3]);
        }
    }

    /// Takes encoded registers from the front of `bytes`.
    pub(super) fn take(bytes: &mut &[u8]) -> Result<Box<Self>, DecodeError> {
        let (encoded, rest) =
            bytes.split_at_checked(ENCODED_LEN).ok_or(DecodeError::Truncated { what: WHAT })?;
        let mut registers = Box::new(Self::default());
        let groups = registers.0.as_chunks_mut::<4>().0.iter_mut();
        for (group, &[low, middle, high]) in groups.zip(encoded.as_chunks::<3>().0) {
            let packed = u32::from_le_bytes([low, middle, high, 0]);
            let word = packed & 0x3f
                | (packed & 0xfc0) << 2
                | (packed & 0x3_f000) << 4
                | (packed & 0xfc_0000) << 6;
            *group = word.to_le_bytes();
        }
        // No early exit, so that the loop is vectorised.
        if registers.0.iter().fold(0, |greatest, &rank| rank.max(greatest)) > MAX_RANK {
            return Err(DecodeError::OutOfRange { what: WHAT });
        }
        *bytes = rest;
        Ok(registers)
    }

    /// Estimates how many values were added, to the nearest whole number.
    pub(super) fn estimate(&self) -> u64 {
        let mut histogram = [0_u32; MAX_RANK as usize + 1];
        for &rank in &self.0 {
            histogram[usize::from(rank)] += 1;
        }
        let share = |rank: usize| f64::from(histogram[rank]) / REGISTERS as f64;
        let last = usize::from(MAX_RANK);
        let mut z = tau(1.0 - share(last));
        for rank in (1..last).rev() {
            z = 0.5 * (z + share(rank));
        }
        z += sigma(share(0));
        (REGISTERS as f64 / (2.0 * std::f64::consts::LN_2 * z)).round() as u64
    }
}

/// x + Σ x^(2^k) · 2^(k−1), for k from 1.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// (1 − x − Σ (1 − x^(2^−k))² · 2^−k) / 3, for k from 1.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    #[test]
    fn estimates_are_within_four_standard_errors_at_every_size() {
        let mut registers = Registers::default();
        let mut added = 0_u64;
        for size in [0, 1, 10, 300, 1000, 4096, 10_000, 20_000, 100_000, 1_000_000] {
            while added < size {
                registers.add(xxh3_64(&added.to_le_bytes()));
                added += 1;
            }
            let error = (registers.estimate() as f64 - size as f64).abs();
            assert!(error <= 4.0 * 1.04 / 64.0 * size as f64, "{size}: off by {error}");
        }
    }

    #[test]
    fn ranks_cover_their_range() {
        let mut registers = Registers::default();
        registers.add(0);
        registers.add(u64::MAX);
        assert_eq!(registers.0[0], MAX_RANK);
        assert_eq!(registers.0[REGISTERS - 1], 1);
        assert!(Registers([MAX_RANK; REGISTERS]).estimate() > 1 << 60);
    }
}
