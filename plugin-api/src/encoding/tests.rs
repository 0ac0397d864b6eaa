#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::manifest::{Dimension, ValueKind};

fn values(kind: ValueKind) -> BoxedStrategy<Value> {
    let value = match kind {
        ValueKind::Text => prop_oneof!["[ab\0\u{1}\u{2}]{0,4}", "\\PC{0,8}"]
            .prop_map(|text| Value::Text(text.into()))
            .boxed(),
        ValueKind::Int => prop_oneof![
            (any::<i128>(), 0..128_u32).prop_map(|(value, shift)| Value::Int(value >> shift)),
            prop::sample::select(vec![i128::MIN, i128::MAX, 0, -1, 255, 256, -256, -257])
                .prop_map(Value::Int),
        ]
        .boxed(),
        ValueKind::Num => {
            prop_oneof![any::<f64>(), any::<u64>().prop_map(f64::from_bits), Just(-0.0)]
                .prop_filter("finite", |value| value.is_finite())
                .prop_map(Value::Num)
                .boxed()
        }
        ValueKind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        ValueKind::Time => {
            (any::<i64>(), 0..64_u32).prop_map(|(time, shift)| Value::Time(time >> shift)).boxed()
        }
        ValueKind::Json => prop::sample::select(vec!["{}", "[1, 2]", "null", "\"\\u0000\""])
            .prop_map(|text| Value::Json(text.into()))
            .boxed(),
    };
    prop_oneof![1 => Just(Value::Null), 6 => value].boxed()
}

fn kinds() -> impl Strategy<Value = Vec<ValueKind>> {
    let kind = prop::sample::select(vec![
        ValueKind::Text,
        ValueKind::Int,
        ValueKind::Num,
        ValueKind::Bool,
        ValueKind::Time,
        ValueKind::Json,
    ]);
    prop::collection::vec(kind, 0..4)
}

type Row = (Option<i64>, Vec<Value>);

/// Two rows of one model; the second often begins as the first.
fn two_rows() -> impl Strategy<Value = (Vec<Dimension>, Row, Row)> {
    (kinds(), any::<bool>()).prop_flat_map(|(kinds, windowed)| {
        let dims: Vec<_> = kinds.iter().map(|&kind| Dimension { name: "d".into(), kind }).collect();
        let row = kinds.into_iter().map(values).collect::<Vec<_>>();
        let window = prop_oneof![-2..2_i64, any::<i64>()];
        let rows = (window.clone(), row.clone(), window, row, 0..5_usize);
        (Just(dims), rows).prop_map(move |(dims, (window_a, a, window_b, mut b, shared))| {
            let shared = shared.min(a.len());
            b[..shared].clone_from_slice(&a[..shared]);
            let window_b = if shared > 0 { window_a } else { window_b };
            (dims, (windowed.then_some(window_a), a), (windowed.then_some(window_b), b))
        })
    })
}

fn key(row: &Row) -> Vec<u8> {
    let mut key = Vec::new();
    encode_key(row.0, &row.1, &mut key);
    key
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn keys_order_as_their_values((dims, a, b) in two_rows()) {
        let (key_a, key_b) = (key(&a), key(&b));
        prop_assert_eq!(key_a.cmp(&key_b), a.cmp(&b));
        // One longer key must not hide in another: what follows a key in a store would decide.
        prop_assert!(key_a == key_b || !key_b.starts_with(&key_a) || key_a.is_empty());
        check_key(a.0.is_some(), &dims, &key_a).unwrap();
        prop_assert_eq!(decode_key(a.0.is_some(), &dims, &key_a).unwrap(), a);
    }

    #[test]
    fn a_rekeyed_row_has_its_dimensions_in_another_window(
        (_, (_, dims), _) in two_rows(), before: i64, window: i64,
    ) {
        let mut rekeyed = Vec::new();
        rekey(&key(&(Some(before), dims.clone())), window, &mut rekeyed);
        prop_assert_eq!(key_window(&rekeyed), window);
        prop_assert_eq!(rekeyed, key(&(Some(window), dims)));
    }

    #[test]
    fn hostile_keys_are_refused_or_canonical(
        kinds in kinds(),
        windowed: bool,
        bytes in prop::collection::vec(prop_oneof![0..3_u8, 0x7c..0x84_u8, any::<u8>()], 0..30),
    ) {
        let dims: Vec<_> =
            kinds.into_iter().map(|kind| Dimension { name: "d".into(), kind }).collect();
        let decoded = decode_key(windowed, &dims, &bytes);
        prop_assert_eq!(check_key(windowed, &dims, &bytes).is_ok(), decoded.is_ok());
        if let Ok(row) = decoded {
            prop_assert_eq!(key(&row), bytes.clone());
        }
        let _ = key_window(&bytes);
        rekey(&bytes, 0, &mut Vec::new());
    }

    #[test]
    fn blocks_round_trip(
        rows in prop::collection::btree_map(any::<Vec<u8>>(), any::<Vec<u8>>(), 0..20),
    ) {
        let mut writer = BlockWriter::new();
        for (key, value) in &rows {
            writer.push(key, value);
        }
        prop_assert_eq!(writer.rows(), rows.len() as u64);
        let block = writer.into_bytes();
        let read: Vec<_> = BlockReader::new(&block).map(Result::unwrap).collect();
        let rows: Vec<_> = rows.iter().map(|(k, v)| (k.as_slice(), v.as_slice())).collect();
        prop_assert_eq!(read, rows);
    }

    #[test]
    fn hostile_blocks_end(bytes in prop::collection::vec(prop_oneof![0..9_u8, any::<u8>()], 0..60)) {
        let rows: Vec<_> = BlockReader::new(&bytes).collect();
        prop_assert!(rows.iter().rev().skip(1).all(Result::is_ok));
    }

    #[test]
    fn windows_hold_their_times(time: i64, window in 1..i64::MAX) {
        let start = window_start(time, window);
        prop_assert!(start <= time);
        if start > i64::MIN {
            prop_assert_eq!(start.rem_euclid(window), 0);
            prop_assert!(i128::from(time) < i128::from(start) + i128::from(window));
        }
    }
}

#[test]
fn windows_begin_at_the_epoch_and_multiples() {
    assert_eq!(window_start(3_599_999_999, 3_600_000_000), 0);
    assert_eq!(window_start(3_600_000_000, 3_600_000_000), 3_600_000_000);
    assert_eq!(window_start(-1, 3_600_000_000), -3_600_000_000);
}

#[test]
fn what_is_no_number_is_null_in_a_key() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut cell = Vec::new();
        push_num(value, &mut cell);
        assert_eq!(cell, [0]);
    }
}

#[test]
fn rows_out_of_order_are_refused() {
    let block = [1, b'b', 0, 1, b'a', 0];
    let rows: Vec<_> = BlockReader::new(&block).collect();
    assert_eq!(rows, [Ok((&b"b"[..], &b""[..])), Err(DecodeError::Unordered { row: 1 })]);
    let twice = [0, 0, 0, 0];
    assert_eq!(BlockReader::new(&twice).last(), Some(Err(DecodeError::Unordered { row: 1 })));
}
