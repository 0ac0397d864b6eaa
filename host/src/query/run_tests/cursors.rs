//! Answers that go on behind a row.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

proptest! {
    /// Whatever the rows and the question, walking by cursors gives what walking by pages gives; and
    /// rows that come in between neither repeat nor hide those that were there.
    #[test]
    fn cursors_give_every_row_once_though_others_come(
        cells in prop::collection::btree_map((0i64..6, "[a-d]"), 0u64..4, 0..40),
        late in prop::collection::btree_map((0i64..6, "[a-d]"), 0u64..4, 0..6),
        windowed: bool, indexed: bool, page_rows in 1u64..7,
        question in prop_oneof![
            Just(""), Just("order=asc"), Just("order=desc"), Just("sort=-volume"), Just("sort=volume"),
            Just("order=asc&volume__gt=1"), Just("volume__gt=1"), Just("sort=-user"), Just("step=2"),
            Just("step=2&sort=-volume"), Just("limit=7"), Just("order=desc&volume__gt=0"),
        ],
    ) {
        let question = if windowed { question } else { question.trim_start_matches("step=2") };
        let question = question.trim_start_matches('&');
        let fill = |rows: &mut MemoryRows, cells: &BTreeMap<(i64, String), u64>| {
            for ((time, user), volume) in cells {
                let mut key = vec![Value::Text(user.as_str().into())];
                if !windowed {
                    key.push(Value::Int((*time).into()));
                }
                rows.add(windowed.then_some(time * SECOND), &key, *volume);
            }
        };
        let dimensions = [("user", ValueKind::Text), ("number", ValueKind::Int)];
        let dimensions = if windowed { &dimensions[..1] } else { &dimensions };
        let mut rows = MemoryRows::new("users", windowed, dimensions);
        fill(&mut rows, &cells);
        let rows = if indexed { rows.indexed() } else { rows };
        let page = |rows: &MemoryRows, rest: &str| {
            let text = format!("{question}&rows_per_page={page_rows}&{rest}");
            let pairs = text.split('&').filter_map(|part| part.split_once('='));
            run(&rows.snapshot(), &params::parse(pairs, 0).unwrap(), &Limits::default()).unwrap()
        };
        let walk = |later: &MemoryRows| {
            let first = page(&rows, "");
            let (mut walked, mut next) = (shown(&first.table), first.next);
            while let Some(cursor) = next.take() {
                let answer = page(later, &format!("cursor={cursor}"));
                walked.extend(shown(&answer.table));
                next = answer.next;
            }
            walked
        };
        let text = format!("{question}&rows_per_page=99");
        let expected = ask(&rows, &text).unwrap();
        prop_assert_eq!(walk(&rows), expected.clone());
        if question.contains("step") || question.contains("limit") {
            return Ok(());
        }
        let mut later = rows.clone();
        let new: BTreeMap<_, _> =
            late.into_iter().filter(|(key, _)| !cells.contains_key(key)).collect();
        fill(&mut later, &new);
        let walked = walk(&later);
        let old: Vec<_> = walked.iter().filter(|row| expected.contains(row)).cloned().collect();
        prop_assert_eq!(old, expected);
        let distinct: BTreeSet<_> = walked.iter().collect();
        prop_assert_eq!(distinct.len(), walked.len());
    }
}

#[test]
fn a_cursor_goes_on_within_other_bounds_and_filters_too() {
    let page = |text: &str| {
        let pairs = text.split('&').filter_map(|part| part.split_once('='));
        run(&users().snapshot(), &params::parse(pairs, 0).unwrap(), &Limits::default())
    };
    // Behind bob at 3.
    let cursor = page("rows_per_page=2").unwrap().next.unwrap();
    let behind = |rest: &str| shown(&page(&format!("cursor={cursor}&{rest}")).unwrap().table);
    assert_eq!(behind(""), ["3/cat/6", "2/ann/3", "1/ann/1", "1/bob/2"]);
    assert_eq!(behind("stop=2"), ["2/ann/3", "1/ann/1", "1/bob/2"]);
    assert_eq!(behind("start=2"), ["3/cat/6", "2/ann/3"]);
    assert_eq!(behind("stop=2&user=ann"), ["2/ann/3", "1/ann/1"]);
    assert_eq!(behind("user=bob"), ["1/bob/2"]);
    let cursor = page("rows_per_page=2&order=asc").unwrap().next.unwrap();
    let behind =
        |rest: &str| shown(&page(&format!("order=asc&cursor={cursor}&{rest}")).unwrap().table);
    assert_eq!(behind("start=2"), ["2/ann/3", "3/ann/4", "3/bob/5", "3/cat/6"]);
    assert_eq!(behind("stop=2"), ["2/ann/3"]);
}

#[test]
fn a_forged_cursor_is_refused_by_name() {
    let dimensions = [("timestamp", ValueKind::Time), ("user", ValueKind::Text)];
    for (windowed, dimensions) in [(true, &dimensions[1..]), (false, &dimensions[..])] {
        let mut rows = MemoryRows::new("users", windowed, dimensions);
        for time in 1..4 {
            let user = Value::Text("ann".into());
            let key = [Value::Time(time * SECOND), user];
            let key = if windowed { &key[1..] } else { &key[..] };
            rows.add(windowed.then_some(time * SECOND), key, 1);
        }
        let snapshot = rows.snapshot();
        let query = params::parse([("rows_per_page", "1")], 0).unwrap();
        let mut cursor = run(&snapshot, &query, &Limits::default()).unwrap().next.unwrap();
        for key in [&b""[..], b"\xff", b"\x01garbage", &[0; 300]] {
            cursor.key = key.to_vec();
            let query = params::parse([("cursor", cursor.to_string().as_str())], 0).unwrap();
            let Err(QueryError::Params(errors)) = run(&snapshot, &query, &Limits::default()) else {
                panic!("{key:?}");
            };
            assert_eq!(errors[0].param, "cursor");
        }
    }
}
