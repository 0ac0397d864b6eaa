//! Queries against rows in memory.

#![allow(clippy::unwrap_used)]

mod cursors;
mod facets;
mod steps;

use std::time::Duration;

use proptest::prelude::*;
use statmill_plugin_api::encoding::Value;
use statmill_plugin_api::manifest::ValueKind;

use super::memory::MemoryRows;
use super::{Limits, QueryError, Table, params, run};

const SECOND: i64 = 1_000_000;

/// Rows as `time/user/volume`, times in seconds.
fn shown(table: &Table) -> Vec<String> {
    let cell = |value: &Value| match value {
        Value::Time(time_us) => (time_us / SECOND).to_string(),
        other => crate::render::cell::text(other, super::TimeStyle::Unix).into_owned(),
    };
    table.rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join("/")).collect()
}

fn ask(rows: &MemoryRows, query: &str) -> Result<Vec<String>, QueryError> {
    let pairs = query.split('&').filter_map(|part| part.split_once('='));
    let query = params::parse(pairs, 0).map_err(QueryError::Params)?;
    run(&rows.snapshot(), &query, &Limits::default()).map(|answer| shown(&answer.table))
}

fn users() -> MemoryRows {
    let mut rows = MemoryRows::new("users", true, &[("user", ValueKind::Text)]);
    for (time, user, volume) in
        [(1, "ann", 1), (1, "bob", 2), (2, "ann", 3), (3, "ann", 4), (3, "bob", 5), (3, "cat", 6)]
    {
        rows.add(Some(time * SECOND), &[Value::Text(user.into())], volume);
    }
    rows
}

#[test]
fn newest_times_come_first_and_keys_of_one_time_ascend() {
    let expected = ["3/ann/4", "3/bob/5", "3/cat/6", "2/ann/3", "1/ann/1", "1/bob/2"];
    assert_eq!(ask(&users(), "").unwrap(), expected);
    assert_eq!(ask(&users(), "order=desc").unwrap(), expected);
    let ascending = ["1/ann/1", "1/bob/2", "2/ann/3", "3/ann/4", "3/bob/5", "3/cat/6"];
    assert_eq!(ask(&users(), "order=asc").unwrap(), ascending);
}

#[test]
fn bounds_are_inclusive_and_speak_of_the_time_shown() {
    assert_eq!(ask(&users(), "start=2&stop=2").unwrap(), ["2/ann/3"]);
    assert_eq!(ask(&users(), "start=1.5&stop=2.5").unwrap(), ["2/ann/3"]);
    assert_eq!(ask(&users(), "timestamp__gt=1&timestamp__lt=3").unwrap(), ["2/ann/3"]);
    assert!(ask(&users(), "start=4").unwrap().is_empty());
    assert!(ask(&users(), "start=3&stop=2").unwrap().is_empty());
    assert_eq!(ask(&users(), "start=-9223372036854&limit=1").unwrap(), ["3/ann/4"]);
}

#[test]
fn filters_hold_for_keys_and_measures() {
    assert_eq!(ask(&users(), "user=bob").unwrap(), ["3/bob/5", "1/bob/2"]);
    assert_eq!(ask(&users(), "user__not=ann&volume__gte=5").unwrap(), ["3/bob/5", "3/cat/6"]);
    assert_eq!(
        ask(&users(), "user__in=ann,cat&order=asc&limit=3").unwrap(),
        ["1/ann/1", "2/ann/3", "3/ann/4"]
    );
}

#[test]
fn columns_are_shown_as_named() {
    assert_eq!(ask(&users(), "columns=volume,user&limit=1").unwrap(), ["4/ann"]);
    assert!(matches!(ask(&users(), "columns=volume,nobody"), Err(QueryError::Params(_))));
    assert!(matches!(ask(&users(), "columns=user,user,user,user"), Err(QueryError::Params(_))));
}

#[test]
fn a_model_without_time_is_ordered_by_key() {
    let mut rows = MemoryRows::new("totals", false, &[("user", ValueKind::Text)]);
    for (user, volume) in [("ann", 1), ("bob", 2), ("cat", 3)] {
        rows.add(None, &[Value::Text(user.into())], volume);
    }
    assert_eq!(ask(&rows, "").unwrap(), ["ann/1", "bob/2", "cat/3"]);
    assert_eq!(ask(&rows, "order=desc&rows_per_page=2").unwrap(), ["cat/3", "bob/2"]);
    assert_eq!(ask(&rows, "order=desc&volume__lte=2&rows_per_page=1").unwrap(), ["bob/2"]);
    assert!(matches!(ask(&rows, "start=1"), Err(QueryError::Params(_))));
}

#[test]
fn filters_that_say_how_keys_begin_read_only_the_rows_that_do() {
    let kinds = [("user", ValueKind::Text), ("topic", ValueKind::Text)];
    let mut rows = MemoryRows::new("totals", false, &kinds);
    for (user, topic, volume) in
        [("ann", "a", 1), ("ann", "b", 2), ("anna", "a", 3), ("b\0b", "a", 4), ("", "a", 5)]
    {
        rows.add(None, &[Value::Text(user.into()), Value::Text(topic.into())], volume);
    }
    let limits = Limits { max_rows: 2, ..Limits::default() };
    let ask = |query: &str| {
        let pairs = query.split('&').filter_map(|part| part.split_once('='));
        let query = params::parse(pairs, 0).map_err(QueryError::Params)?;
        run(&rows.snapshot(), &query, &limits).map(|answer| shown(&answer.table))
    };
    assert_eq!(ask("user=ann").unwrap(), ["ann/a/1", "ann/b/2"]);
    assert_eq!(ask("user=ann&order=desc&rows_per_page=1").unwrap(), ["ann/b/2"]);
    assert_eq!(ask("user=ann&topic=b").unwrap(), ["ann/b/2"]);
    assert_eq!(ask("user=ann&topic=b&volume__gt=2").unwrap(), [""; 0]);
    assert_eq!(ask("user=b\0b").unwrap(), ["b\0b/a/4"]);
    assert_eq!(ask("user=").unwrap(), ["/a/5"]);
    assert_eq!(ask("user=nobody").unwrap(), [""; 0]);
    // These read all rows, of which there are too many.
    for query in ["topic=b", "user__not=ann", "user__in=ann,anna", "user=ann&user=anna"] {
        assert!(matches!(ask(query), Err(QueryError::TooManyRows { rows: 5, .. })), "{query}");
    }
}

#[test]
fn a_column_equal_to_several_values_is_equal_to_one_of_them() {
    let mut rows = MemoryRows::new("totals", false, &[("user", ValueKind::Text)]);
    for (user, volume) in [("ann", 1), ("a,b", 2), ("zoë", 3)] {
        rows.add(None, &[Value::Text(user.into())], volume);
    }
    let ask = |pairs: &[(&str, &str)]| {
        let query = params::parse(pairs.iter().copied(), 0).unwrap();
        shown(&run(&rows.snapshot(), &query, &Limits::default()).unwrap().table)
    };
    assert_eq!(ask(&[("user", "zoë"), ("user__eq", "a,b")]), ["a,b/2", "zoë/3"]);
    assert_eq!(ask(&[("user", "zoë"), ("user", "ann"), ("user__not", "ann")]), ["zoë/3"]);
    assert_eq!(ask(&[("user", "zoë"), ("volume", "1")]), [""; 0]);
}

#[test]
fn a_time_that_is_a_dimension_orders_like_a_window() {
    let dimensions = [("timestamp", ValueKind::Time), ("user", ValueKind::Text)];
    let mut rows = MemoryRows::new("moments", false, &dimensions);
    let time = |seconds: i64| Value::Time(seconds * SECOND);
    rows.add(None, &[time(1), Value::Text("ann".into())], 1);
    rows.add(None, &[time(2), Value::Text("ann".into())], 2);
    rows.add(None, &[time(2), Value::Text("bob".into())], 3);
    rows.add(None, &[Value::Null, Value::Text("ann".into())], 4);
    assert_eq!(ask(&rows, "").unwrap(), ["2/ann/2", "2/bob/3", "1/ann/1", "/ann/4"]);
    assert_eq!(ask(&rows, "stop=1").unwrap(), ["1/ann/1"]);
    assert_eq!(ask(&rows, "volume__lt=4").unwrap(), ["2/ann/2", "2/bob/3", "1/ann/1"]);
}

#[test]
fn a_filter_over_too_many_rows_is_refused_before_reading() {
    let query = params::parse([("user", "ann")], 0).unwrap();
    let limits = Limits { max_rows: 5, ..Limits::default() };
    let error = run(&users().snapshot(), &query, &limits).unwrap_err();
    assert!(matches!(error, QueryError::TooManyRows { rows: 6, max_rows: 5, .. }));
    let narrowed = params::parse([("user", "ann"), ("start", "2")], 0).unwrap();
    assert!(run(&users().snapshot(), &narrowed, &limits).is_ok());
}

#[test]
fn sorting_has_the_largest_or_smallest_first_and_keys_of_equal_values_ascend() {
    let mut rows = users();
    rows.add(Some(SECOND), &[Value::Text("cat".into())], 2);
    for rows in [rows.clone(), rows.indexed()] {
        assert_eq!(ask(&rows, "sort=-volume&limit=2").unwrap(), ["3/cat/6", "3/bob/5"]);
        let smallest = ["1/ann/1", "1/bob/2", "1/cat/2", "2/ann/3"];
        assert_eq!(ask(&rows, "sort=volume&limit=4").unwrap(), smallest);
        assert_eq!(ask(&rows, "sort=-volume&stop=1").unwrap(), ["1/bob/2", "1/cat/2", "1/ann/1"]);
        assert_eq!(ask(&rows, "sort=-user&user__not=cat&limit=1").unwrap(), ["1/bob/2"]);
        assert!(matches!(ask(&rows, "sort=nobody"), Err(QueryError::Params(_))));
    }
}

#[test]
fn an_index_answers_for_more_rows_than_may_be_read_and_is_what_a_refusal_advises() {
    let limits = Limits { max_rows: 2, ..Limits::default() };
    let snapshot = users().indexed().snapshot();
    let run = |pairs: &[(&str, &str)]| {
        run(&snapshot, &params::parse(pairs.iter().copied(), 0).unwrap(), &limits)
    };
    let answer = run(&[("sort", "-volume"), ("start", "3"), ("limit", "1")]).unwrap();
    assert_eq!(shown(&answer.table), ["3/cat/6"]);
    for refused in [vec![("sort", "-volume")], vec![("user", "ann")], vec![("sort", "user")]] {
        let refused = run(&refused).unwrap_err().to_string();
        assert!(refused.contains("sort=-volume of a single window"), "{refused}");
    }
}

#[test]
fn a_query_that_takes_too_long_ends() {
    let mut rows = MemoryRows::new("many", true, &[]);
    for time in 0..1_000 {
        rows.add(Some(time * SECOND), &[], 1);
    }
    let limits = Limits { max_time: Duration::ZERO, ..Limits::default() };
    let query = params::parse([("volume", "2")], 0).unwrap();
    assert!(matches!(run(&rows.snapshot(), &query, &limits), Err(QueryError::TooSlow { .. })));
}

#[test]
fn only_the_page_right_after_a_full_last_one_is_empty() {
    assert!(ask(&users(), "rows_per_page=3&page=3").unwrap().is_empty());
    let beyond = ask(&users(), "rows_per_page=3&page=4").unwrap_err();
    assert!(matches!(beyond, QueryError::NoSuchPage { page: 4, pages: 2 }));
    let far = ask(&users(), "page=18446744073709551615");
    assert!(matches!(far, Err(QueryError::NoSuchPage { .. })));
}

proptest! {
    /// Whatever the rows, the order, the filter and the page size: pages put together are the
    /// whole, each row once.
    #[test]
    fn pages_together_are_the_whole(
        cells in proptest::collection::btree_map((0i64..6, "[a-d]"), 0u64..4, 0..40),
        page_rows in 1u64..9,
        order in prop_oneof![Just("asc"), Just("desc")],
        filter in prop_oneof![Just(""), Just("volume__gt=1&"), Just("user=b&")],
        limit in prop_oneof![Just(String::new()), (0u64..50).prop_map(|n| format!("limit={n}&"))],
    ) {
        let mut rows = MemoryRows::new("users", true, &[("user", ValueKind::Text)]);
        let mut expected = Vec::new();
        for ((time, user), volume) in &cells {
            rows.add(Some(time * SECOND), &[Value::Text(user.as_str().into())], *volume);
            let admitted = match filter {
                "" => true,
                "user=b&" => user == "b",
                _ => *volume > 1,
            };
            if admitted {
                expected.push((*time, format!("{time}/{user}/{volume}")));
            }
        }
        if order == "desc" {
            // Stable: rows of one time keep their order.
            expected.sort_by_key(|(time, _)| -time);
        }
        let most = limit.trim_start_matches("limit=").trim_end_matches('&').parse().unwrap_or(50);
        let expected: Vec<_> = expected.into_iter().map(|(_, row)| row).take(most).collect();

        let mut walked = Vec::new();
        for page in 1.. {
            let query =
                format!("{filter}{limit}order={order}&rows_per_page={page_rows}&page={page}");
            let rows = ask(&rows, &query).unwrap();
            if rows.is_empty() {
                break;
            }
            let full = rows.len() as u64 == page_rows;
            walked.extend(rows);
            if !full {
                break;
            }
        }
        prop_assert_eq!(walked, expected);
    }

    /// Whatever the rows and the query: an index answers what reading all rows answers, and the
    /// answer is the rows in that order.
    #[test]
    fn an_index_answers_what_a_scan_does(
        cells in proptest::collection::btree_map((0i64..3, "[a-d]{1,2}"), 0u64..5, 0..40),
        windowed: bool,
        sort in prop_oneof![Just("-volume"), Just("volume"), Just("-user"), Just("user")],
        filter in prop_oneof![4 => Just(""), 1 => Just("&volume__gt=1"), 1 => Just("&user__contains=b")],
        time in prop_oneof![Just(""), Just("&start=1"), Just("&start=1&stop=1"), Just("&stop=0")],
        limit in prop_oneof![Just(String::new()), (0u64..30).prop_map(|n| format!("&limit={n}"))],
        page_rows in 1u64..9,
    ) {
        let mut rows = MemoryRows::new("users", windowed, &[("user", ValueKind::Text)]);
        for ((second, user), volume) in &cells {
            let time = windowed.then_some(second * SECOND);
            rows.add(time, &[Value::Text(user.as_str().into())], *volume);
        }
        let time = if windowed { time } else { "" };
        let (scanned, indexed) = (rows.clone(), rows.indexed());
        let mut expected = ask(&scanned, &format!("order=asc&rows_per_page=99{time}{filter}")).unwrap();
        let value = |row: &String| {
            let cells: Vec<_> = row.rsplit('/').collect();
            if sort.ends_with("user") { (0, cells[1].to_owned()) } else { (cells[0].parse().unwrap_or(0), String::new()) }
        };
        // Stable: rows of equal values keep the order of their keys.
        expected.sort_by(|a, b| if sort.starts_with('-') { value(b).cmp(&value(a)) } else { value(a).cmp(&value(b)) });
        let most = limit.trim_start_matches("&limit=").parse().unwrap_or(usize::MAX);
        expected.truncate(most);
        for rows in [scanned, indexed] {
            let mut walked = Vec::new();
            for page in 1.. {
                let query = format!("sort={sort}{time}{filter}{limit}&rows_per_page={page_rows}&page={page}");
                let rows = ask(&rows, &query).unwrap();
                let full = rows.len() as u64 == page_rows;
                walked.extend(rows);
                if !full {
                    break;
                }
            }
            prop_assert_eq!(&walked, &expected);
        }
    }
}
