//! `top_k_approx`: the most frequent texts, approximately (Misra and Gries, cut in batches).
//!
//! State: as LEB128 the error and the number of counters; then, ascending by text, each counter's
//! text as a cell and its count as LEB128. A text was added at least as often as its count says, and
//! at most as often as count and error together; one without a counter at most as often as the error.
//! The error is at most 1/(`keep` + 1) of all additions.
//!
//! The only aggregator that is not canonical: which rare texts survive depends on the order.
//! Reads as a JSON array of `{"value", "count", "error"}`, most frequent first.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use super::{MeasureOptions, Stamp3, State};
use crate::encoding::{DecodeError, Value, leb128, push_text, read_cell, take_cell};
use crate::manifest::{Aggregator, ValueKind};

const WHAT: &str = "top counters";

/// Counts the most frequent texts within a bounded number of counters.
#[derive(Clone, Debug, Default)]
pub struct TopKApprox {
    counts: FxHashMap<Box<str>, u64>,
    error: u64,
    heap: usize,
}

impl State for TopKApprox {
    type Add<'a> = &'a str;

    fn aggregator(options: &MeasureOptions) -> Aggregator {
        Aggregator::TopKApprox { keep: options.keep }
    }

    fn add(&mut self, _: Stamp3, value: &str, options: &MeasureOptions) {
        if let Some(count) = self.counts.get_mut(value) {
            *count = count.saturating_add(1);
            return;
        }
        self.heap += value.len();
        self.counts.insert(value.into(), 1);
        let keep = options.keep as usize;
        // Cutting to half costs a constant for each addition; cutting one by one would cost `keep`.
        if self.counts.len() > keep.saturating_mul(2) {
            self.cut(keep);
        }
    }

    fn encode(&self, options: &MeasureOptions, out: &mut Vec<u8>) {
        let mut cut;
        let state = if self.counts.len() > options.keep as usize {
            cut = self.clone();
            cut.cut(options.keep as usize);
            &cut
        } else {
            self
        };
        let mut sorted: Vec<_> = state.counts.iter().collect();
        sorted.sort_unstable();
        leb128::push_u64(state.error, out);
        leb128::push_u64(sorted.len() as u64, out);
        for (text, &count) in sorted {
            push_text(text, out);
            leb128::push_u64(count, out);
        }
    }

    #[inline]
    fn bytes(&self) -> usize {
        const SLOT: usize = size_of::<(Box<str>, u64)>();
        // A table is at most 7/8 full and has a byte more for each slot.
        size_of::<Self>() + self.counts.capacity() * (SLOT + 1) * 8 / 7 + self.heap
    }
}

impl TopKApprox {
    /// Takes the largest count that is in excess of `keep` counters off all of them.
    fn cut(&mut self, keep: usize) {
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        let by = excess(&mut counts, keep);
        if by == 0 {
            return;
        }
        self.error = self.error.saturating_add(by);
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(by);
            *count > 0
        });
        self.heap = self.counts.keys().map(|text| text.len()).sum();
    }
}

/// The largest of the counts after the `keep` largest; 0 if there is none.
fn excess(counts: &mut [u64], keep: usize) -> u64 {
    if counts.len() <= keep {
        return 0;
    }
    *counts.select_nth_unstable_by(keep, |a, b| b.cmp(a)).1
}

/// A checked state: the error and the counters, their texts as cells.
struct Encoded<'a> {
    error: u64,
    counters: Vec<(&'a [u8], u64)>,
}

impl<'a> Encoded<'a> {
    fn take(keep: u32, state: &mut &'a [u8]) -> Result<Self, DecodeError> {
        let error = leb128::take_u64(state, WHAT)?;
        let len = leb128::take_u64(state, WHAT)?;
        if len > u64::from(keep) {
            return Err(DecodeError::OutOfRange { what: WHAT });
        }
        let mut counters: Vec<(&[u8], u64)> = Vec::new();
        for _ in 0..len {
            let text = take_cell(ValueKind::Text, state)?;
            let count = leb128::take_u64(state, WHAT)?;
            let ascends = counters.last().is_none_or(|&(last, _)| last < text);
            if text == [0] || count == 0 || !ascends {
                return Err(DecodeError::NotCanonical { what: WHAT });
            }
            counters.push((text, count));
        }
        Ok(Self { error, counters })
    }
}

pub(super) fn check(keep: u32, state: &mut &[u8]) -> Result<(), DecodeError> {
    Encoded::take(keep, state).map(drop)
}

pub(super) fn merge(
    keep: u32,
    a: &mut &[u8],
    b: &mut &[u8],
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let (a, b) = (Encoded::take(keep, a)?, Encoded::take(keep, b)?);
    let mut counters = [a.counters, b.counters].concat();
    counters.sort_unstable();
    counters.dedup_by(|next, kept| {
        let equal = next.0 == kept.0;
        if equal {
            kept.1 = kept.1.saturating_add(next.1);
        }
        equal
    });
    let mut counts: Vec<u64> = counters.iter().map(|&(_, count)| count).collect();
    let by = excess(&mut counts, keep as usize);
    counters.retain(|&(_, count)| count > by);
    leb128::push_u64(a.error.saturating_add(b.error).saturating_add(by), out);
    leb128::push_u64(counters.len() as u64, out);
    for (text, count) in counters {
        out.extend_from_slice(text);
        leb128::push_u64(count - by, out);
    }
    Ok(())
}

pub(super) fn values(
    keep: u32,
    state: &mut &[u8],
    out: &mut Vec<Value>,
) -> Result<(), DecodeError> {
    let Encoded { error, mut counters } = Encoded::take(keep, state)?;
    // Stable: equal counts stay in the order of their texts.
    counters.sort_by_key(|&(_, count)| Reverse(count));
    let mut json = String::from("[");
    for (index, (text, count)) in counters.into_iter().enumerate() {
        json.push_str(if index > 0 { ",{\"value\":" } else { "{\"value\":" });
        super::json::push(&read_cell(ValueKind::Text, text)?, &mut json);
        json.push_str(&format!(",\"count\":{count},\"error\":{error}}}"));
    }
    json.push(']');
    out.push(Value::Json(json.into()));
    Ok(())
}
