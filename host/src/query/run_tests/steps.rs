//! Windows joined to longer ones.

use super::*;
use crate::query::{Query, Sort};

/// Hourly counts of two users; `end` of the windows is what rows show.
fn hours() -> MemoryRows {
    let mut rows = MemoryRows::new("users", true, &[("user", ValueKind::Text)]);
    for (time, user, volume) in
        [(1, "ann", 1), (2, "ann", 2), (2, "bob", 7), (3, "ann", 3), (6, "ann", 4), (7, "ann", 5)]
    {
        rows.add(Some(time * SECOND), &[Value::Text(user.into())], volume);
    }
    rows
}

#[test]
fn a_step_joins_windows_and_invents_none() {
    // Windows of one second show their end: those of 1 to 3 lie in the window 0..3.
    assert_eq!(
        ask(&hours(), "step=3&order=asc").unwrap(),
        ["3/ann/6", "3/bob/7", "6/ann/4", "9/ann/5"]
    );
    assert_eq!(ask(&hours(), "step=1m").unwrap(), ["60/ann/15", "60/bob/7"]);
    assert_eq!(ask(&hours(), "step=3&user=bob").unwrap(), ["3/bob/7"]);
    assert_eq!(ask(&hours(), "step=3&volume__gte=6&order=asc").unwrap(), ["3/ann/6", "3/bob/7"]);
    assert_eq!(ask(&hours(), "step=3&sort=-volume&limit=2").unwrap(), ["3/bob/7", "3/ann/6"]);
    assert_eq!(ask(&hours(), "step=1").unwrap(), ask(&hours(), "").unwrap());
}

#[test]
fn bounds_are_those_of_the_joined_windows_so_that_none_is_cut() {
    assert_eq!(ask(&hours(), "step=3&start=4&order=asc").unwrap(), ["6/ann/4", "9/ann/5"]);
    assert_eq!(
        ask(&hours(), "step=3&stop=8&order=asc").unwrap(),
        ["3/ann/6", "3/bob/7", "6/ann/4"]
    );
    assert_eq!(ask(&hours(), "step=3&start=4&stop=5").unwrap(), [""; 0]);
    assert_eq!(ask(&hours(), "step=3&delta=3&stop=6").unwrap(), ["6/ann/4", "3/ann/6", "3/bob/7"]);
}

#[test]
fn agg_is_about_the_values_that_the_joined_windows_show() {
    let ask = |query: &str| ask(&hours(), &format!("step=3&order=asc&user=ann&{query}")).unwrap();
    assert_eq!(ask("agg=merge"), ["3/ann/6", "6/ann/4", "9/ann/5"]);
    assert_eq!(ask("agg=sum"), ["3/ann/6", "6/ann/4", "9/ann/5"]);
    assert_eq!(ask("agg=max"), ["3/ann/3", "6/ann/4", "9/ann/5"]);
    assert_eq!(ask("agg=first&stop=3"), ["3/ann/1"]);
    assert_eq!(ask("agg=last&stop=3"), ["3/ann/3"]);
    assert_eq!(ask("agg=mean&stop=3&columns=volume_mean,volume_count"), ["2.0/3"]);
    assert_eq!(ask("agg=p50&stop=3&columns=volume_p50"), ["2.0"]);
}

#[test]
fn points_take_the_smallest_step_that_leaves_no_more_windows() {
    let windows = |query: &str| {
        let mut times: Vec<_> = ask(&hours(), query)
            .unwrap()
            .iter()
            .map(|row| row.split('/').next().unwrap().to_owned())
            .collect();
        times.dedup();
        times
    };
    // Seven windows of one second hold rows or lie between such.
    assert_eq!(windows("points=7&order=asc"), ["1", "2", "3", "6", "7"]);
    assert_eq!(windows("points=6&order=asc"), ["2", "4", "6", "8"]);
    assert_eq!(windows("points=2&order=asc"), ["4", "8"]);
    assert_eq!(windows("points=1"), ["7"]);
    // Only one window of four seconds ends within the bounds.
    assert_eq!(windows("points=1&start=3&stop=7"), ["4"]);
}

#[test]
fn what_cannot_be_joined_is_refused_by_name() {
    let mut minutes = MemoryRows::new("minutes", true, &[]).windows_of(60);
    minutes.add(Some(60 * SECOND), &[], 1);
    let totals = MemoryRows::new("totals", false, &[("user", ValueKind::Text)]);
    for (rows, query, param) in [
        (&minutes, "step=90s", "step"),
        (&totals, "step=90s", "step"),
        (&totals, "points=5", "points"),
        (&minutes, "step=2h&points=5", "points"),
        (&minutes, "agg=max", "agg"),
        (&minutes, "step=0", "step"),
        (&minutes, "step=1ms", "step"),
        (&minutes, "step=9223372036854774000", "step"),
        (&minutes, "points=0", "points"),
        (&minutes, "step=2h&agg=median", "agg"),
    ] {
        let Err(QueryError::Params(errors)) = ask(rows, query) else { panic!("{query}") };
        assert_eq!(errors[0].param, param, "{query}");
    }
}

#[test]
fn joining_more_windows_than_may_be_read_is_refused_before_reading() {
    let query = params::parse([("step", "1h")], 0).unwrap();
    let limits = Limits { max_rows: 5, ..Limits::default() };
    let error = run(&users().snapshot(), &query, &limits).unwrap_err();
    assert!(matches!(error, QueryError::TooManyRows { rows: 6, max_rows: 5, .. }));
    let limits = Limits { max_time: Duration::ZERO, ..Limits::default() };
    let mut many = MemoryRows::new("many", true, &[]);
    for time in 0..1_000 {
        many.add(Some(time * SECOND), &[], 1);
    }
    let error = run(&many.snapshot(), &query, &limits).unwrap_err();
    assert!(matches!(error, QueryError::TooSlow { .. }));
}

#[test]
fn windows_that_lost_rows_to_retention_are_not_there_unless_a_roll_up_has_them() {
    let mut rows = MemoryRows::new("users", true, &[]);
    for time in 1..=40 {
        rows.add(Some(time * SECOND), &[], 1);
    }
    let ask = |rows: &MemoryRows, text: &str| {
        let query = params::parse(text.split('&').filter_map(|part| part.split_once('=')), 0);
        // Of what lies below 15 s only the roll-ups know, if there are any.
        let snapshot = rows.snapshot_above(15 * SECOND);
        run(&snapshot, &query.unwrap(), &Limits::default())
            .map(|answer| shown(&answer.table))
            .unwrap()
    };
    assert_eq!(ask(&rows, "step=10&order=asc"), ["30/10", "40/10"]);
    assert_eq!(ask(&rows, "step=10&order=asc&start=10"), ["30/10", "40/10"]);
    assert_eq!(ask(&rows, "step=20&points=&order=asc"), ["40/20"]);
    let rows = rows.rolled_up_to(5);
    assert_eq!(ask(&rows, "step=10&order=asc"), ["10/10", "20/10", "30/10", "40/10"]);
    assert_eq!(ask(&rows, "step=5&limit=1"), ["40/5"]);
    // Not a multiple of the roll-up's: made of what the model itself still has.
    assert_eq!(ask(&rows, "step=4&order=asc&limit=1"), ["20/4"]);
}

/// All rows between two times make one row of each dimension, exactly, wherever windows begin.
#[test]
fn clipped_windows_hold_what_lies_within_the_bounds_and_nothing_else() {
    for stamp in ["start", "end"] {
        let mut rows = MemoryRows::new("hours", true, &[("user", ValueKind::Text)]);
        if stamp == "start" {
            rows = rows.shown_by_start();
        }
        for second in 100..200 {
            let shown_us = (second + i64::from(stamp == "end")) * 1_000_000;
            rows.add(Some(shown_us), &[Value::Text("ann".into())], 1 + second as u64 % 7);
        }
        let snapshot = rows.snapshot();
        for (start, stop) in [(150, 170), (101, 199), (99, 1_000), (128, 128), (190, 191)] {
            for points in [1, 3, 60] {
                let range = Query {
                    start_us: Some(start * 1_000_000),
                    stop_us: Some(stop * 1_000_000),
                    ..Query::default()
                };
                let query = Query { points: Some(points), clip: true, ..range.clone() };
                let limits = Limits { max_rows_per_page: 1_000, ..Limits::default() };
                let sum = |query: &Query| -> i128 {
                    let query = Query { rows_per_page: Some(1_000), ..query.clone() };
                    let table = run(&snapshot, &query, &limits).unwrap().table;
                    assert!(query.points.is_none_or(|points| table.rows.len() as u64 <= points));
                    let cell = |row: &Vec<Value>| match row[2] {
                        Value::Int(volume) => volume,
                        _ => panic!("{row:?}"),
                    };
                    table.rows.iter().map(cell).sum()
                };
                assert_eq!(sum(&query), sum(&range), "{stamp} {start} {stop} {points}");
                let sorted = Query { sort: Some(Sort::parse("-volume")), ..query };
                assert_eq!(sum(&sorted), sum(&range), "{stamp} {start} {stop} {points} sorted");
            }
        }
    }
}
