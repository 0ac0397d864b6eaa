#![allow(clippy::unwrap_used, reason = "tests")]

mod canonical;
mod hostile;
mod reading;

use proptest::prelude::*;

use super::*;

/// Options under which logs and counters overflow soon.
const OPTIONS: MeasureOptions = MeasureOptions { keep: 5, ..MeasureOptions::DEFAULT };

/// The measure whose states `S` folds.
fn measure<S: State>() -> Measure {
    Measure { name: "m".into(), aggregator: S::aggregator(&OPTIONS), unit: String::new() }
}

/// The state after adding `additions` in their order.
fn folded<S: State>(additions: &[Addition<S>]) -> Vec<u8>
where
    for<'a> S::Add<'a>: Copy,
{
    let mut state = S::default();
    for &(stamp, value) in additions {
        state.add(stamp, value, &OPTIONS);
    }
    let mut bytes = Vec::new();
    state.encode(&OPTIONS, &mut bytes);
    bytes
}

type Addition<'a, S> = (Stamp3, <S as State>::Add<'a>);

/// What a state reads as.
fn read<S: State>(state: &[u8]) -> Vec<Value> {
    let mut out = Vec::new();
    row_values(&[measure::<S>()], state, &mut out).unwrap();
    assert_eq!(out.len(), columns(&measure::<S>()).len());
    out
}

fn merged<S: State>(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    merge(&[measure::<S>()], a, b, &mut out).unwrap();
    out
}

/// Stamps that are often equal in some of their parts.
fn stamps() -> impl Strategy<Value = Stamp3> {
    let times = prop_oneof![0..4_i64, any::<i64>(), Just(i64::MIN), Just(i64::MAX)];
    let keys = prop_oneof![0..3_u64, any::<u64>()];
    (times, keys.clone(), keys).prop_map(|(time_us, log_key, offset)| Stamp3 {
        time_us,
        log_key,
        offset,
    })
}

fn ints() -> impl Strategy<Value = i64> {
    let any_size = (any::<i64>(), 0..64_u32).prop_map(|(value, shift)| value >> shift);
    prop_oneof![4 => any_size, 1 => Just(i64::MIN), 1 => Just(i64::MAX), 1 => Just(0)]
}

/// Floats of any magnitude, subnormal ones and what is no number among them.
fn floats() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => any::<u64>().prop_map(f64::from_bits),
        4 => -1e6..1e6_f64,
        2 => (-400..400_i32).prop_map(|quarters| f64::from(quarters) / 4.0),
        1 => (0..1_u64 << 52).prop_map(f64::from_bits),
        1 => prop::sample::select(vec![
            0.0, -0.0, f64::MAX, f64::MIN, f64::INFINITY, f64::NEG_INFINITY, f64::NAN,
        ]),
    ]
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof!["[ab\0\u{1}]{0,3}", "\\PC{0,20}", (0..40_u32).prop_map(|number| number.to_string())]
}

fn documents() -> impl Strategy<Value = String> {
    let documents =
        ["{}", "[1, null]", "\"text\"", "17", " true", "{\"a\": {\"b\": []}}", "no json"];
    prop::sample::select(documents.to_vec()).prop_map(str::to_owned)
}
