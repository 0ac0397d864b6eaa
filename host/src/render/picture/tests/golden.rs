//! Pictures of odd tables, from rows to the file.

use std::sync::Arc;

use super::rows::{Row, Values, model, snapshot, text};
use super::{HOUR_US, chart, computed, drawn, many};
use crate::query::{Answer, Page, Query};
use crate::render::picture::{Asked, Kind, Plan, Rows};
use crate::render::svg::tests::golden;
use crate::store::Snapshot;

/// Names as people have them, and as nobody should.
const NAMES: [&str; 6] = [
    "git",
    "\u{441}\u{431}\u{43e}\u{440}\u{43a}\u{430} \u{43f}\u{430}\u{43a}\u{435}\u{442}\u{43e}\u{432}",
    "\u{62a}\u{635}\u{645}\u{64a}\u{645} \u{202e}abc",
    "\u{69cb}\u{7bc9}",
    "",
    "a very long name that nobody would give to anything, and that somebody gave all the same",
];

/// Quantiles of values that are spread by factors, by name.
fn sketches(names: &[&str], value: impl Fn(i64, i64) -> i64) -> Arc<Snapshot> {
    let row = |(at, name): (usize, &&str)| -> Row {
        (None, vec![text(name)], (0..400).map(|place| value(at as i64, place)).collect())
    };
    let rows: Vec<Row> = names.iter().enumerate().map(row).collect();
    snapshot(&model(None, &["name"], Values::Quantiles), &rows)
}

fn of_table(json: &str, kind: Option<Kind>) -> crate::render::svg::Chart {
    let table = computed(json);
    let asked = Asked { kind, ..Asked::default() };
    let plan = Plan::of_table(&table, &asked, &Query::default()).unwrap();
    let page = Page { number: 1, count: 1, rows_per_page: 1 };
    let answer = Answer { model: String::new(), step_s: None, table, page, next: None };
    drawn(&plan, &asked, &Query::default(), &Rows::all(answer))
}

#[test]
fn what_was_counted_is_drawn_whatever_it_is() {
    let wide = |at: i64, place: i64| (1 << (at + 3)) + place * place * (at + 1) / 3;
    let of = |snapshot: &Arc<Snapshot>, query: &str| chart(snapshot, query).unwrap();
    let usual = sketches(&NAMES, wide);
    golden("counted-histogram", &of(&usual, "type=histogram"));
    golden("counted-histogram-even", &of(&usual, "type=histogram&y=auto"));
    golden("counted-box", &of(&usual, ""));
    golden("counted-box-log", &of(&usual, "y=log"));
    let empty = sketches(&[], wide);
    golden("counted-histogram-empty", &of(&empty, "type=histogram"));
    golden("counted-box-empty", &of(&empty, ""));
    let one = sketches(&["one"], |_, _| 42);
    golden("counted-histogram-one-value", &of(&one, "type=histogram"));
    golden("counted-box-one-value", &of(&one, ""));
    let below = sketches(&["below", "around"], |at, place| place * 3 - 1_500 + at * 1_000);
    golden("counted-histogram-negative", &of(&below, "type=histogram"));
    golden("counted-box-negative", &of(&below, ""));
    let huge = sketches(&["huge"], |_, place| if place % 7 == 0 { i64::MAX } else { place });
    golden("counted-histogram-huge", &of(&huge, "type=histogram"));
    golden("counted-box-huge", &of(&huge, ""));
}

#[test]
fn what_was_computed_is_drawn_whatever_it_is() {
    const USERS: &str = r#"{"name":"user","kind":"text"},{"name":"share","kind":"num","unit":"%"}"#;
    const DOTS: &str = r#"{"name":"suite","kind":"text"},{"name":"before","kind":"num","unit":"ms"},
        {"name":"after","kind":"num","unit":"ms"}"#;
    let rows = |columns: &str, rows: &str| format!(r#"{{"columns":[{columns}],"rows":[{rows}]}}"#);
    let named = |value: fn(usize) -> String| {
        let row =
            |(at, name): (usize, &&str)| format!("[{},{}]", serde_json::json!(name), value(at));
        NAMES.iter().enumerate().map(row).collect::<Vec<_>>().join(",")
    };
    let shares = named(|at| (40.5 / (at + 1) as f64).to_string());
    golden("computed-bar", &of_table(&rows(USERS, &shares), None));
    golden("computed-bar-empty", &of_table(&rows(USERS, ""), None));
    let odd = [(0, "null"), (1, "-3.5"), (2, "1e300"), (3, "0"), (4, "-1e299"), (5, "1e-300")];
    let odd = odd.map(|(at, value)| format!("[{},{value}]", serde_json::json!(NAMES[at])));
    golden("computed-bar-odd", &of_table(&rows(USERS, &odd.join(",")), None));
    let dots = named(|at| format!("{},{}", 10 * at + 3, 25 * (at % 4) + at));
    golden("computed-scatter", &of_table(&rows(DOTS, &dots), Some(Kind::Scatter)));
    let one = r#"["only",5,7],["unknown",null,3]"#;
    golden("computed-scatter-one", &of_table(&rows(DOTS, one), Some(Kind::Scatter)));
    let crowd: Vec<_> = (0..200)
        .map(|at| format!(r#"["suite {at}",{},{}]"#, at * 37 % 101, at * 53 % 97))
        .collect();
    golden("computed-scatter-crowd", &of_table(&rows(DOTS, &crowd.join(",")), Some(Kind::Scatter)));
    const COURSE: &str = r#"{"name":"t","kind":"time"},{"name":"user","kind":"text"},
        {"name":"score","kind":"num"}"#;
    let course: Vec<_> = (0..90)
        .map(|at| {
            let value =
                if at % 17 == 4 { "null".to_owned() } else { (at % 13 * 7 - 20).to_string() };
            format!(
                "[{},{},{value}]",
                1_500_000_000 + at / 3 * 3_600,
                serde_json::json!(NAMES[at as usize % 3])
            )
        })
        .collect();
    golden("computed-line", &of_table(&rows(COURSE, &course.join(",")), None));
    let numbers: Vec<_> = (0..300).map(|at| format!("[{}]", (at * at) % 97 - 40)).collect();
    let number = r#"{"name":"p","kind":"num"}"#;
    golden("computed-histogram", &of_table(&rows(number, &numbers.join(",")), None));
}

#[test]
fn the_rest_of_too_many_names_is_drawn_or_told() {
    let counts = many(Values::Count);
    for kind in ["line", "stacked-area", "column", "heatmap", "box"] {
        golden(&format!("narrowed-{kind}"), &chart(&counts, &format!("type={kind}")).unwrap());
    }
    let means = many(Values::Moments);
    golden("narrowed-means", &chart(&means, "type=line&measure=value_mean").unwrap());
    let few: Vec<Row> =
        (0..9).map(|hour| (Some(hour * HOUR_US), vec![text("a")], vec![hour])).collect();
    let few = snapshot(&model(Some(3_600), &["name"], Values::Count), &few);
    golden("narrowed-not", &chart(&few, "type=line").unwrap());
}
