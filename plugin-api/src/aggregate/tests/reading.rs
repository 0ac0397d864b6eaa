//! States read as what a straightforward calculation says.

use std::collections::{BTreeMap, BTreeSet};

use num_bigint::BigInt;

use super::*;
use crate::manifest::ValueKind;

/// All of an `f64` is whole in units of 2^-1074, and its square in units of 2^-2148.
fn in_units(value: f64) -> BigInt {
    let (whole, exponent) = value.dyadic();
    BigInt::from(whole) << (exponent + 1074)
}

fn additions<T: Copy>(values: &[T]) -> Vec<(Stamp3, T)> {
    values.iter().map(|&value| (Stamp3::default(), value)).collect()
}

fn num(value: &Value) -> f64 {
    match value {
        Value::Num(value) => *value,
        Value::Int(value) => *value as f64,
        other => panic!("{other:?} is no number"),
    }
}

fn few<T: std::fmt::Debug>(values: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(values, 0..50)
}

proptest! {
    #[test]
    fn int_sums(values in few(ints())) {
        let sum: i128 = values.iter().map(|&value| i128::from(value)).sum();
        let state = folded::<Sum<i64>>(&additions(&values));
        prop_assert_eq!(read::<Sum<i64>>(&state), [Value::Int(sum)]);
    }

    #[test]
    fn num_sums_are_rounded_once(values in few(floats())) {
        let sum: BigInt = values.iter().filter(|value| value.is_finite()).map(|&v| in_units(v)).sum();
        let expected = rounding::round(&sum, -1074).map_or(Value::Null, Value::Num);
        let state = folded::<Sum<f64>>(&additions(&values));
        prop_assert_eq!(read::<Sum<f64>>(&state), [expected]);
    }

    #[test]
    fn moments_of_ints(values in prop::collection::vec(-1_000_000..1_000_000_i64, 2..50)) {
        let n = values.len() as i128;
        let sum: i128 = values.iter().map(|&value| i128::from(value)).sum();
        let spread = n * values.iter().map(|&v| i128::from(v).pow(2)).sum::<i128>() - sum * sum;
        let state = folded::<Moments<i64>>(&additions(&values));
        let summary = Summary::take(ValueKind::Int, &mut state.as_slice()).unwrap();
        // These numerators and denominators are exact in an `f64`, so its division rounds once.
        prop_assert_eq!(summary.count() as i128, n);
        prop_assert_eq!(summary.mean(), Some(sum as f64 / n as f64));
        prop_assume!(spread < 1 << 53);
        prop_assert_eq!(summary.variance(), Some(spread as f64 / (n * n) as f64));
        prop_assert_eq!(summary.sample_variance(), Some(spread as f64 / (n * (n - 1)) as f64));
        let close = |a: Option<f64>, b: f64| (a.unwrap() - b).abs() <= b * f64::EPSILON;
        prop_assert!(close(summary.deviation(), (spread as f64 / (n * n) as f64).sqrt()));
        let sample = (spread as f64 / (n * (n - 1)) as f64).sqrt();
        prop_assert!(close(summary.sample_deviation(), sample));
        prop_assert_eq!(&read::<Moments<i64>>(&state)[..2], [Value::Int(n), Value::Int(sum)]);
    }

    #[test]
    fn moments_of_floats(values in prop::collection::vec(floats(), 1..50)) {
        let numbers: Vec<_> = values.into_iter().filter(|value| value.is_finite()).collect();
        let n = numbers.len() as u64;
        let sum: BigInt = numbers.iter().map(|&value| in_units(value)).sum();
        let squares: BigInt = numbers.iter().map(|&value| in_units(value).pow(2)).sum();
        let spread = squares * n - &sum * &sum;
        let state = folded::<Moments<f64>>(&additions(&numbers));
        let summary = Summary::take(ValueKind::Num, &mut state.as_slice()).unwrap();
        prop_assert_eq!(summary.mean(), rounding::ratio(&sum, &n.into(), -1074));
        prop_assert_eq!(summary.variance(), rounding::ratio(&spread, &(n * n).into(), -2148));
        let deviation = rounding::root(spread.magnitude(), &(n * n).into(), -2148);
        prop_assert_eq!(summary.deviation(), deviation);
    }

    #[test]
    fn quantiles_of_whole_numbers(values in prop::collection::vec(0..100_000_i64, 1..200)) {
        // As `quantiles` of `bench/peers/_common.py`.
        let mut histogram = BTreeMap::new();
        for &value in &values {
            *histogram.entry(bucket(value as u64)).or_insert(0) += 1;
        }
        let nearest = |ten_thousandths: usize| {
            let rank = (ten_thousandths * values.len()).div_ceil(10_000).max(1);
            let mut seen = 0;
            let (&index, _) = histogram.iter().find(|&(_, count)| {
                seen += count;
                seen >= rank
            }).unwrap();
            Value::Num(bucket_low(index) as f64)
        };
        let expected =
            [nearest(5000), nearest(9000), nearest(9900), Value::Int(values.len() as i128)];
        let ints = folded::<Quantiles<i64>>(&additions(&values));
        let floats: Vec<_> = values.iter().map(|&value| value as f64).collect();
        prop_assert_eq!(read::<Quantiles<i64>>(&ints), expected);
        prop_assert_eq!(folded::<Quantiles>(&additions(&floats)), ints);
    }

    #[test]
    fn extremes(values in few(ints())) {
        let value = |value: Option<&i64>| value.map_or(Value::Null, |&v| Value::Int(v.into()));
        let additions = additions(&values);
        let (min, max) = (folded::<Min<i64>>(&additions), folded::<Max<i64>>(&additions));
        prop_assert_eq!(read::<Min<i64>>(&min), [value(values.iter().min())]);
        prop_assert_eq!(read::<Max<i64>>(&max), [value(values.iter().max())]);
    }

    #[test]
    fn first_last_and_log(additions in prop::collection::vec((stamps(), texts()), 0..40)) {
        let mut sorted: Vec<_> =
            additions.iter().map(|(stamp, text)| (*stamp, text.as_str())).collect();
        let (first, last, log) = (
            folded::<First<Text>>(&sorted),
            folded::<Last<Text>>(&sorted),
            folded::<Log<Text>>(&sorted),
        );
        sorted.sort();
        let value =
            |entry: Option<&(Stamp3, &str)>| entry.map_or(Value::Null, |e| Value::Text(e.1.into()));
        prop_assert_eq!(read::<First<Text>>(&first), [value(sorted.first())]);
        prop_assert_eq!(read::<Last<Text>>(&last), [value(sorted.last())]);
        let newest: Vec<_> =
            sorted.iter().rev().take(OPTIONS.keep as usize).map(|entry| entry.1).collect();
        let [Value::Json(json)] = &read::<Log<Text>>(&log)[..] else { panic!("not one value") };
        prop_assert_eq!(serde_json::from_str::<Vec<String>>(json).unwrap(), newest);
    }

    #[test]
    fn few_distinct_texts_are_counted_exactly(values in prop::collection::vec(texts(), 0..256)) {
        let additions: Vec<_> = values.iter().map(|t| (Stamp3::default(), t.as_str())).collect();
        let number = values.iter().collect::<BTreeSet<_>>().len() as i128;
        let state = folded::<Distinct>(&additions);
        prop_assert_eq!(read::<Distinct>(&state), [Value::Int(number)]);
    }

    #[test]
    fn top_k_keeps_its_bounds(texts in prop::collection::vec("[a-f]|[a-z]{2}", 0..300)) {
        let parts: Vec<_> = texts
            .chunks(37)
            .map(|part| {
                let part: Vec<_> = part.iter().map(|t| (Stamp3::default(), t.as_str())).collect();
                folded::<TopKApprox>(&part)
            })
            .collect();
        let state = parts
            .iter()
            .fold(folded::<TopKApprox>(&[]), |sum, part| merged::<TopKApprox>(&sum, part));
        let error = crate::encoding::leb128::take_u64(&mut state.as_slice(), "the error").unwrap();
        prop_assert!(error <= texts.len() as u64 / (u64::from(OPTIONS.keep) + 1));
        let [Value::Json(json)] = &read::<TopKApprox>(&state)[..] else { panic!("not one value") };
        let rows: Vec<serde_json::Value> = serde_json::from_str(json).unwrap();
        prop_assert!(rows.len() <= OPTIONS.keep as usize);
        let counted: BTreeMap<_, _> = rows
            .iter()
            .map(|row| (row["value"].as_str().unwrap(), row["count"].as_u64().unwrap()))
            .collect();
        for text in &texts {
            let number = texts.iter().filter(|other| *other == text).count() as u64;
            let least = counted.get(text.as_str()).copied().unwrap_or(0);
            prop_assert!((least..=least + error).contains(&number), "{} {}", text, number);
        }
    }
}

#[test]
fn nothing_reads_as_nothing() {
    assert_eq!(read::<Count>(&folded::<Count>(&[])), [Value::Int(0)]);
    assert_eq!(read::<Sum<i64>>(&folded::<Sum<i64>>(&[])), [Value::Int(0)]);
    let moments = read::<Moments<i64>>(&folded::<Moments<i64>>(&[]));
    assert_eq!(moments, [Value::Int(0), Value::Int(0), Value::Null, Value::Null]);
    let quantiles = read::<Quantiles>(&folded::<Quantiles>(&[]));
    assert_eq!(quantiles, [Value::Null, Value::Null, Value::Null, Value::Int(0)]);
    assert_eq!(read::<Last<Text>>(&folded::<Last<Text>>(&[])), [Value::Null]);
    assert_eq!(read::<Log<i64>>(&folded::<Log<i64>>(&[])), [Value::Json("[]".into())]);
    assert_eq!(read::<Distinct>(&folded::<Distinct>(&[])), [Value::Int(0)]);
}

#[test]
fn what_is_no_number_is_not_counted() {
    let values = additions(&[f64::NAN, 1.0, f64::INFINITY, -0.0, f64::NEG_INFINITY]);
    assert_eq!(folded::<Moments<f64>>(&values), folded::<Moments<f64>>(&additions(&[1.0, 0.0])));
    assert_eq!(folded::<Min<f64>>(&values), folded::<Min<f64>>(&additions(&[0.0])));
    assert_eq!(folded::<Max<f64>>(&values), folded::<Max<f64>>(&additions(&[1.0])));
    assert_eq!(folded::<Quantiles>(&values), folded::<Quantiles>(&additions(&[0.0, 1.0])));
}

#[test]
fn sums_beyond_the_range_of_floats_are_null() {
    let state = folded::<Moments<f64>>(&additions(&[f64::MAX, f64::MAX]));
    let expected = [Value::Int(2), Value::Null, Value::Num(f64::MAX), Value::Num(0.0)];
    assert_eq!(read::<Moments<f64>>(&state), expected);
}

#[test]
fn sums_of_ints_beyond_i128_read_as_nums() {
    let mut sum = exact::Exact::default();
    sum.add(i128::MAX, 0);
    sum.add(1, 0);
    let mut state = Vec::new();
    sum.encode(&mut state);
    assert_eq!(read::<Sum<i64>>(&state), [Value::Num(2.0_f64.powi(127))]);
}

#[test]
fn ints_never_round_up_into_the_next_bucket() {
    for value in [(1_i64 << 60) - 1, i64::MAX, (1 << 54) - 1] {
        let low = bucket_low(bucket(value as u64)) as f64;
        for (value, low) in [(value, low), (-value, -low)] {
            let state = folded::<Quantiles<i64>>(&additions(&[value]));
            assert_eq!(num(&read::<Quantiles<i64>>(&state)[0]), low);
        }
    }
}

#[test]
fn negative_quantiles_are_read_from_the_bound_nearer_to_zero() {
    let state = folded::<Quantiles>(&additions(&[-3.0, -1000.0, -1023.0, 0.25]));
    let values: Vec<_> = read::<Quantiles>(&state).iter().map(num).collect();
    assert_eq!(values, [-992.0, 0.25, 0.25, 4.0]);
}

#[test]
fn estimates_of_many_distinct_texts_are_close() {
    let texts: Vec<_> = (0..20_000).map(|number| format!("user{number}")).collect();
    let additions: Vec<_> = texts.iter().map(|t| (Stamp3::default(), t.as_str())).collect();
    let estimate = num(&read::<Distinct>(&folded::<Distinct>(&additions))[0]);
    assert!((estimate / 20_000.0 - 1.0).abs() < 0.05, "{estimate}");
}

#[test]
fn a_measure_that_makes_no_sense_is_named() {
    let measure = |aggregator| Measure { name: "m".into(), aggregator, unit: String::new() };
    let of = ValueKind::Text;
    assert!(validate(&measure(Aggregator::Sum { of })).is_err());
    assert!(validate(&measure(Aggregator::Log { keep: 0, of })).is_err());
    assert!(validate(&measure(Aggregator::Log { keep: 10, of })).is_ok());
    let quantiles = |per_octave, show| Aggregator::Quantiles { per_octave, show };
    assert!(validate(&measure(quantiles(16, vec![0.5, 1.0]))).is_ok());
    assert!(validate(&measure(quantiles(15, vec![]))).is_err());
    assert!(validate(&measure(quantiles(16, vec![f64::NAN]))).is_err());
}
