//! `distinct`: how many different values there were.
//!
//! State, of at most 256 different hashes: their number as LEB128 and the hashes, 8 bytes big-endian,
//! ascending. Of more: 257 as LEB128, then the registers as [`super::hyperloglog`] writes them. A value's
//! hash is [`Element::hash`]. Both forms depend on the set of hashes alone.
//!
//! Exact up to 256 values; above, the standard error is 1.6 %.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::marker::PhantomData;

use super::element::{Element, Text};
use super::hyperloglog::Registers;
use super::{MeasureOptions, Stamp3, State};
use crate::encoding::{DecodeError, Value, leb128};
use crate::manifest::Aggregator;

const WHAT: &str = "a set of hashes";
const MOST_HASHES: usize = 256;
const HASH_LEN: usize = size_of::<u64>();

/// Counts different values.
#[derive(Clone, Debug)]
pub struct Distinct<T = Text> {
    hashes: Hashes,
    of: PhantomData<T>,
}

#[derive(Clone, Debug)]
enum Hashes {
    Few(HashSet<u64, BuildHasherDefault<AsItIs>>),
    Many(Box<Registers>),
}

impl<T> Default for Distinct<T> {
    fn default() -> Self {
        Self { hashes: Hashes::Few(HashSet::default()), of: PhantomData }
    }
}

impl<T: Element> State for Distinct<T> {
    type Add<'a> = T::Add<'a>;

    fn aggregator(_: &MeasureOptions) -> Aggregator {
        Aggregator::Distinct
    }

    #[inline]
    fn add(&mut self, _: Stamp3, value: T::Add<'_>, _: &MeasureOptions) {
        if !T::accepts(value) {
            return;
        }
        let hash = T::hash(value);
        match &mut self.hashes {
            Hashes::Few(hashes) => {
                hashes.insert(hash);
                if hashes.len() > MOST_HASHES {
                    let mut registers = Box::new(Registers::default());
                    hashes.iter().for_each(|&hash| registers.add(hash));
                    self.hashes = Hashes::Many(registers);
                }
            }
            Hashes::Many(registers) => registers.add(hash),
        }
    }

    fn encode(&self, _: &MeasureOptions, out: &mut Vec<u8>) {
        match &self.hashes {
            Hashes::Few(hashes) => {
                let mut sorted: Vec<_> = hashes.iter().copied().collect();
                sorted.sort_unstable();
                encode_hashes(&sorted, out);
            }
            Hashes::Many(registers) => encode_registers(registers, out),
        }
    }

    #[inline]
    fn bytes(&self) -> usize {
        let heap = match &self.hashes {
            // A table is at most 7/8 full and has a byte more for each slot.
            Hashes::Few(hashes) => hashes.capacity() * (HASH_LEN + 1) * 8 / 7,
            Hashes::Many(_) => size_of::<Registers>(),
        };
        size_of::<Self>() + heap
    }
}

/// The hasher of what is a hash already.
#[derive(Clone, Copy, Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only `write_u64` is called, for the keys are `u64`.
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

fn encode_hashes(sorted: &[u64], out: &mut Vec<u8>) {
    leb128::push_u64(sorted.len() as u64, out);
    for hash in sorted {
        out.extend_from_slice(&hash.to_be_bytes());
    }
}

fn encode_registers(registers: &Registers, out: &mut Vec<u8>) {
    leb128::push_u64(MOST_HASHES as u64 + 1, out);
    registers.encode(out);
}

/// A checked state.
enum Encoded<'a> {
    Few(&'a [[u8; HASH_LEN]]),
    Many(Box<Registers>),
}

impl<'a> Encoded<'a> {
    fn take(state: &mut &'a [u8]) -> Result<Self, DecodeError> {
        let len = leb128::take_u64(state, WHAT)?;
        if len == MOST_HASHES as u64 + 1 {
            return Registers::take(state).map(Self::Many);
        }
        if len > MOST_HASHES as u64 {
            return Err(DecodeError::OutOfRange { what: WHAT });
        }
        let (hashes, rest) = state
            .split_at_checked(len as usize * HASH_LEN)
            .ok_or(DecodeError::Truncated { what: WHAT })?;
        let (hashes, _) = hashes.as_chunks();
        if !hashes.is_sorted_by(|a, b| a < b) {
            return Err(DecodeError::NotCanonical { what: WHAT });
        }
        *state = rest;
        Ok(Self::Few(hashes))
    }

    fn into_registers(self) -> Box<Registers> {
        match self {
            Self::Few(hashes) => {
                let mut registers = Box::new(Registers::default());
                hashes.iter().for_each(|&hash| registers.add(u64::from_be_bytes(hash)));
                registers
            }
            Self::Many(registers) => registers,
        }
    }
}

pub(super) fn check(state: &mut &[u8]) -> Result<(), DecodeError> {
    Encoded::take(state).map(drop)
}

pub(super) fn merge(a: &mut &[u8], b: &mut &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let (a, b) = (Encoded::take(a)?, Encoded::take(b)?);
    if let (Encoded::Few(a), Encoded::Few(b)) = (&a, &b) {
        let mut union: Vec<_> = a.iter().chain(*b).map(|&hash| u64::from_be_bytes(hash)).collect();
        union.sort_unstable();
        union.dedup();
        if union.len() <= MOST_HASHES {
            encode_hashes(&union, out);
            return Ok(());
        }
    }
    let mut registers = a.into_registers();
    registers.merge(&b.into_registers());
    encode_registers(&registers, out);
    Ok(())
}

pub(super) fn values(state: &mut &[u8], out: &mut Vec<Value>) -> Result<(), DecodeError> {
    let number = match Encoded::take(state)? {
        Encoded::Few(hashes) => hashes.len() as i128,
        Encoded::Many(registers) => registers.estimate().into(),
    };
    out.push(Value::Int(number));
    Ok(())
}
