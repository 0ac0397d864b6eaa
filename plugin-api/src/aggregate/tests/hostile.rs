//! Bytes from outside are refused or read; they never panic.

use super::*;
use crate::manifest::ValueKind;

fn aggregators() -> impl Strategy<Value = Aggregator> {
    let kinds = prop::sample::select(vec![
        ValueKind::Text,
        ValueKind::Int,
        ValueKind::Num,
        ValueKind::Bool,
        ValueKind::Time,
        ValueKind::Json,
    ]);
    prop_oneof![
        Just(Aggregator::Count),
        kinds.clone().prop_map(|of| Aggregator::Sum { of }),
        kinds.clone().prop_map(|of| Aggregator::Moments { of }),
        kinds.clone().prop_map(|of| Aggregator::Min { of }),
        kinds.clone().prop_map(|of| Aggregator::Max { of }),
        kinds.clone().prop_map(|of| Aggregator::First { of }),
        kinds.clone().prop_map(|of| Aggregator::Last { of }),
        (any::<u32>(), prop::collection::vec(any::<f64>(), 0..3))
            .prop_map(|(per_octave, show)| Aggregator::Quantiles { per_octave, show }),
        Just(Aggregator::Distinct),
        (any::<u32>(), kinds).prop_map(|(keep, of)| Aggregator::Log { keep, of }),
        any::<u32>().prop_map(|keep| Aggregator::TopKApprox { keep }),
    ]
}

/// Small numbers are likelier to lead deep into a state.
fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![0..4_u8, 0x7c..0x84_u8, any::<u8>()];
    prop::collection::vec(byte, 0..40)
}

/// Bytes that are checked must read and merge to such bytes; others are refused or merged.
fn assert_harmless(measures: &[Measure], a: &[u8], b: &[u8]) {
    let (mut out, mut row) = (Vec::new(), Vec::new());
    let checked = check(measures, a);
    assert_eq!(row_values(measures, a, &mut row).is_ok(), checked.is_ok(), "{a:?}");
    if merge(measures, a, b, &mut out).is_err() {
        assert!(out.is_empty());
    } else if checked.is_ok() && check(measures, b).is_ok() {
        check(measures, &out).unwrap();
    }
}

/// A state of many digits, entries or buckets, to be damaged.
fn valid_states() -> Vec<(Measure, Vec<u8>)> {
    fn one<S: State>(additions: &[Addition<S>]) -> (Measure, Vec<u8>)
    where
        for<'a> S::Add<'a>: Copy,
    {
        (measure::<S>(), folded::<S>(additions))
    }
    let nums = [1e300, -0.1, 5e-324].map(|value| (Stamp3::default(), value));
    let stamp = |offset| Stamp3 { time_us: -5, log_key: 7, offset };
    let texts = [(stamp(1), "a\0b"), (stamp(300), "é"), (stamp(9), "")];
    let ints: Vec<_> = (0..300).map(|value| (stamp(0), value)).collect();
    vec![
        one::<Sum<f64>>(&nums),
        one::<Moments<f64>>(&nums),
        one::<Quantiles>(&nums),
        one::<Min<f64>>(&nums),
        one::<Last<Text>>(&texts),
        one::<Log<Text>>(&texts),
        one::<Log<Json>>(&[(stamp(1), "{\"a\": 1}"), (stamp(2), "[]")]),
        one::<TopKApprox>(&texts),
        one::<Distinct>(&texts),
        one::<Distinct<i64>>(&ints),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes(
        aggregators in prop::collection::vec(aggregators(), 0..3),
        a in hostile_bytes(),
        b in hostile_bytes(),
    ) {
        let measures: Vec<_> = aggregators
            .into_iter()
            .map(|aggregator| Measure { name: "m".into(), aggregator, unit: String::new() })
            .collect();
        assert_harmless(&measures, &a, &b);
        assert_harmless(&measures, &a, &a);
    }

    #[test]
    fn damaged_states(which: prop::sample::Index, at: prop::sample::Index, byte: u8, cut: bool) {
        let (measure, state) = which.get(&valid_states()).clone();
        let mut damaged = state.clone();
        let at = at.index(state.len());
        damaged[at] = byte;
        if cut {
            damaged.truncate(at);
        }
        assert_harmless(std::slice::from_ref(&measure), &damaged, &state);
        assert_harmless(std::slice::from_ref(&measure), &state, &damaged);
    }
}

#[test]
fn every_beginning_of_a_state_is_refused() {
    for (measure, state) in valid_states() {
        let measures = [measure];
        check(&measures, &state).unwrap();
        for len in 0..state.len() {
            assert!(check(&measures, &state[..len]).is_err(), "{measures:?} {len}");
        }
        assert!(check(&measures, &[&state, &[0][..]].concat()).is_err());
    }
}

#[test]
fn other_ways_to_write_a_state_are_refused() {
    let refused = |aggregator: Aggregator, state: &[u8]| {
        let measure = Measure { name: "m".into(), aggregator, unit: String::new() };
        assert!(check(&[measure], state).is_err(), "{state:?}");
    };
    let of = ValueKind::Int;
    refused(Aggregator::Sum { of }, &[1]); // −0
    refused(Aggregator::Sum { of }, &[4, 0, 1, 0]); // a zero byte at the top
    refused(Aggregator::Sum { of }, &[4, 0, 0, 1]); // and at the bottom
    refused(Aggregator::Sum { of }, &[2, 1, 1]); // 1/256 is no int
    refused(Aggregator::Moments { of }, &[0, 2, 0, 1, 2, 0, 1]); // of no numbers
    refused(Aggregator::Moments { of }, &[1, 2, 0, 2, 2, 0, 1]); // (Σx)² > n · Σx²
    refused(Aggregator::Quantiles { per_octave: 16, show: vec![] }, &[1, 0, 0]); // an empty bucket
    refused(Aggregator::Log { keep: 1, of }, &[2]);
    refused(Aggregator::Last { of: ValueKind::Text }, &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0]); // null
    refused(Aggregator::TopKApprox { keep: 3 }, &[0, 1, 1, b'a', 0, 0]); // never added
    let mut hashes = vec![2];
    hashes.extend([1; 16]);
    refused(Aggregator::Distinct, &hashes); // twice the same
}
