//! `count`: how many additions there were.
//!
//! State: the number as LEB128. It stays at `u64::MAX` once there.

use super::{MeasureOptions, Stamp3, State};
use crate::encoding::{DecodeError, Value, leb128};
use crate::manifest::Aggregator;

const WHAT: &str = "a count";

/// Adds up numbers of things; most stats add 1 for each message.
#[derive(Clone, Debug, Default)]
pub struct Count(u64);

impl State for Count {
    type Add<'a> = u64;

    fn aggregator(_: &MeasureOptions) -> Aggregator {
        Aggregator::Count
    }

    #[inline]
    fn add(&mut self, _: Stamp3, value: u64, _: &MeasureOptions) {
        self.0 = self.0.saturating_add(value);
    }

    fn encode(&self, _: &MeasureOptions, out: &mut Vec<u8>) {
        leb128::push_u64(self.0, out);
    }

    #[inline]
    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

pub(super) fn check(state: &mut &[u8]) -> Result<(), DecodeError> {
    leb128::take_u64(state, WHAT).map(drop)
}

pub(super) fn merge(a: &mut &[u8], b: &mut &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let sum = leb128::take_u64(a, WHAT)?.saturating_add(leb128::take_u64(b, WHAT)?);
    leb128::push_u64(sum, out);
    Ok(())
}

pub(super) fn values(state: &mut &[u8], out: &mut Vec<Value>) -> Result<(), DecodeError> {
    out.push(Value::Int(leb128::take_u64(state, WHAT)?.into()));
    Ok(())
}
