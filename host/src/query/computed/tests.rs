#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use statmill_plugin_api::encoding::Value;
use statmill_plugin_api::manifest::ValueKind;

use super::*;
use crate::query::memory::MemoryRows;
use crate::query::{CompleteUntil, StatState, params};

/// Answers what it is told to, and counts how often it was asked.
struct Echo {
    asked: Arc<AtomicUsize>,
    answer: fn(&str) -> String,
}

impl Compute for Echo {
    fn compute(&self, _: &str, _: &str, rows: String, _: Duration) -> Result<String, ComputeError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok((self.answer)(&rows))
    }

    fn given_up(&self) -> GivenUp {
        GivenUp::default()
    }
}

fn views(answer: fn(&str) -> String) -> (ComputedViews, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    (ComputedViews::new(Box::new(Echo { asked: Arc::clone(&asked), answer })), asked)
}

/// A table of one column that holds the rows as they came.
fn echo(rows: &str) -> String {
    let rows: Vec<serde_json::Value> = serde_json::from_str(rows).unwrap();
    let rows: Vec<_> = rows.into_iter().map(|row| vec![row]).collect();
    json!({"columns": [{"name": "row", "kind": "json"}], "rows": rows}).to_string()
}

fn stat(version: &str) -> StatView {
    let mut rows = MemoryRows::new("users", true, &[("user", ValueKind::Text)])
        .with_view(json!({"name": "share", "title": "Share", "compute": {}}))
        .with_view(json!({"name": "picture", "charts": []}));
    for (second, user, volume) in [(1, "ann", 1), (1, "\"<é", 2), (2, "ann", 3)] {
        rows.add(Some(second * 1_000_000), &[Value::Text(user.into())], volume);
    }
    StatView {
        snapshot: rows.snapshot(),
        version: version.to_owned(),
        complete_until: CompleteUntil::End,
        state: StatState::Live,
    }
}

fn ask(views: &ComputedViews, stat: &StatView, query: &str) -> Result<Answer, ComputeError> {
    let pairs = query.split('&').filter_map(|part| part.split_once('='));
    views.run(stat, "share", &params::parse(pairs, 0).unwrap(), &Limits::default())
}

fn cells(answer: &Answer) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::Json(text) => text.to_string(),
        other => format!("{other:?}"),
    };
    answer.table.rows.iter().map(|row| text(&row[0])).collect()
}

#[test]
fn a_view_gets_the_rows_that_the_query_selects_as_the_api_writes_them() {
    let (views, _) = views(echo);
    let answer = ask(&views, &stat("1.1"), "order=asc&stop=1").unwrap();
    assert_eq!(
        cells(&answer),
        [
            r#"{"timestamp":1.0,"user":"\"<é","volume":2}"#,
            r#"{"timestamp":1.0,"user":"ann","volume":1}"#,
        ]
    );
    assert_eq!(cells(&ask(&views, &stat("1.1"), "sort=-volume&limit=1").unwrap()).len(), 1);
    assert!(ask(&views, &stat("1.1"), "user=nobody").unwrap().table.rows.is_empty());
}

#[test]
fn an_answer_is_computed_once_for_each_version_and_selection() {
    let (views, asked) = views(echo);
    for query in ["", "page=2&rows_per_page=2", "format=csv&time=ms", "order=asc", "order=asc"] {
        ask(&views, &stat("1.1"), query).unwrap();
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    ask(&views, &stat("1.2"), "").unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    // What `now` is changes without a commit.
    ask(&views, &stat("1.2"), "timestamp__lt=now").unwrap();
    ask(&views, &stat("1.2"), "timestamp__lt=now").unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 5);
}

#[test]
fn pages_are_of_the_answer() {
    let (views, _) = views(echo);
    let answer = ask(&views, &stat("1.1"), "rows_per_page=2&page=2").unwrap();
    assert_eq!((answer.table.rows.len(), answer.table.total, answer.page.count), (1, 3, 2));
    let beyond = ask(&views, &stat("1.1"), "rows_per_page=2&page=4");
    assert!(matches!(beyond, Err(ComputeError::Query(QueryError::NoSuchPage { .. }))));
}

#[test]
fn only_what_is_declared_to_be_computed_is() {
    let (views, asked) = views(echo);
    let error = views.run(&stat("1.1"), "picture", &Query::default(), &Limits::default());
    assert!(matches!(error, Err(ComputeError::NoSuchView { known, .. }) if known == ["share"]));
    for query in ["model=rows", "columns=user", "nobody=1", "sort=nobody"] {
        let refused = ask(&views, &stat("1.1"), query);
        assert!(matches!(refused, Err(ComputeError::Query(QueryError::Params(_)))), "{query}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[test]
fn more_rows_than_a_query_may_read_are_not_handed_over() {
    let (views, asked) = views(echo);
    let limits = Limits { max_rows: 2, ..Limits::default() };
    let refused = views.run(&stat("1.1"), "share", &Query::default(), &limits);
    assert!(matches!(refused, Err(ComputeError::TooMuch { what: "rows", limit: 2 })));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[test]
fn what_is_no_table_is_refused_with_what_is_wrong() {
    let columns = r#"{"name": "n", "kind": "int"}, {"name": "t", "kind": "time"}"#;
    let table = |rows: &str| format!(r#"{{"columns": [{columns}], "rows": {rows}}}"#);
    for (text, reason) in [
        ("", "EOF"),
        ("null", "invalid type"),
        ("[]", "invalid length"),
        (r#"{"rows": []}"#, "missing field `columns`"),
        (r#"{"columns": [], "rows": []}"#, "0 columns"),
        (r#"{"columns": [{"name": "a", "kind": "colour"}], "rows": []}"#, "unknown variant"),
        (r#"{"columns": [{"name": "", "kind": "int"}], "rows": []}"#, "column 1"),
        (
            r#"{"columns": [{"name": "a", "kind": "int"}, {"name": "a", "kind": "int"}], "rows": []}"#,
            "column 2",
        ),
        (&table("[[1, 2], [3]]"), "row 2 has 1 cells, not 2"),
        (&table("[{}]"), "invalid type: map"),
        (&table("[[1.5, 1]]"), "the cell of \"n\" is no Int"),
        (&table("[[\"1\", 1]]"), "the cell of \"n\" is no Int"),
        (&table("[[1, 1e300]]"), "the cell of \"t\" is no Time"),
        (&table("[[1, \"now\"]]"), "the cell of \"t\" is no Time"),
        (&table(&format!("[{}]", "[".repeat(200))), "recursion limit"),
        (&table(&format!("[{}[0,0]]", "[0,0],".repeat(50_000))), "50001 rows"),
    ] {
        let refused = answer::table(text).unwrap_err();
        assert!(refused.contains(reason), "{refused} does not say {reason}");
    }
}

#[test]
fn cells_are_of_their_columns_kind_or_null() {
    let kinds = ["text", "int", "num", "bool", "time", "json"];
    let columns: Vec<_> = kinds.iter().map(|kind| json!({"name": kind, "kind": kind})).collect();
    let row = json!(["é", -5, 2, true, 1.5, {"a": [1]}]);
    let nulls = json!([null, null, null, null, null, null]);
    let text = json!({"columns": columns, "rows": [row, nulls]}).to_string();
    let table = answer::table(&text).unwrap();
    let expected = vec![
        Value::Text("é".into()),
        Value::Int(-5),
        Value::Num(2.0),
        Value::Bool(true),
        Value::Time(1_500_000),
        Value::Json(r#"{"a":[1]}"#.into()),
    ];
    assert_eq!(table.rows, [expected, vec![Value::Null; 6]]);
}
