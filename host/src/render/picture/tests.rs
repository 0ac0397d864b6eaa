//! What pictures show is what a direct count of the same rows gives.

#![allow(clippy::unwrap_used, reason = "tests")]

mod golden;
mod rows;

use std::collections::{BTreeMap, BTreeSet};

use self::rows::{Values, model, snapshot};
use super::*;
use crate::query::{CompleteUntil, Limits, ParamError, Query, QueryError, Table, params};
use crate::render::svg::{AxisForm, Bars, Chart, Lines, Mark, Plot, stand_alone};
use crate::store::Snapshot;

const HOUR_US: i64 = 3_600_000_000;

fn plan(snapshot: &Snapshot, text: &str) -> Result<(Plan, Asked, Query), ParamError> {
    let pairs = text.split('&').filter_map(|part| part.split_once('='));
    let mut query = params::parse(pairs, 0).unwrap();
    let models = snapshot.models();
    let asked = Asked::of(models, &mut query).unwrap();
    let fields = Fields::of_model(model_of(snapshot, &query), query.agg);
    // Enough for what is usual, and not so many that tests take long.
    let plan = Plan { most_rows: 8_000, ..Plan::new(&fields, &asked, &query)? };
    Ok((plan, asked, query))
}

fn model_of<'a>(
    snapshot: &'a Snapshot,
    query: &Query,
) -> &'a statmill_plugin_api::manifest::ModelManifest {
    super::model(snapshot.models(), query).unwrap()
}

fn chart(snapshot: &Snapshot, text: &str) -> Result<Chart, QueryError> {
    let (plan, asked, query) = plan(snapshot, text).unwrap();
    let rows = plan.read(snapshot, &query, &[], &Limits::none())?;
    Ok(drawn(&plan, &asked, &query, &rows))
}

fn drawn(plan: &Plan, asked: &Asked, query: &Query, rows: &Rows) -> Chart {
    let mark = |_: &str, _: &str| Mark::default();
    let complete_until = CompleteUntil::End;
    let about = About { title: "Title", summary: "", complete_until, asked, query, mark: &mark };
    let chart = plan.chart(&about, rows);
    roxmltree::Document::parse(&stand_alone(&chart)).unwrap();
    chart
}

fn lines(chart: &Chart) -> &Lines {
    match &chart.plot {
        Plot::Lines(lines) => lines,
        other => panic!("{other:?}"),
    }
}

fn bars(chart: &Chart) -> &Bars {
    match &chart.plot {
        Plot::Bars(bars) => bars,
        other => panic!("{other:?}"),
    }
}

/// Names and hours of a model with more rows than a picture is made of.
const NAMES: i64 = 120;
const HOURS: i64 = 100;

/// What was counted of a name in an hour; a few names are large, and all differ.
fn count_of(name: i64, hour: i64) -> u64 {
    let size = if name % 17 == 5 { 1_000 + name } else { name % 11 };
    (size + hour * (name % 3)) as u64
}

fn many(values: Values) -> std::sync::Arc<Snapshot> {
    let mut rows = Vec::new();
    for name in 0..NAMES {
        for hour in 0..HOURS {
            let key = vec![rows::text(&format!("n{name:04}"))];
            rows.push((Some(hour * HOUR_US), key, vec![count_of(name, hour) as i64]));
        }
    }
    snapshot(&model(Some(3_600), &["name"], values), &rows)
}

#[test]
fn of_too_many_names_the_rest_is_what_a_direct_count_of_it_gives() {
    let snapshot = many(Values::Count);
    let chart = chart(&snapshot, "type=line").unwrap();
    let lines = lines(&chart);
    assert_eq!(lines.series.len(), 20);
    let shown: BTreeSet<&str> = lines.series.iter().map(|series| series.name.as_str()).collect();
    assert_eq!(lines.others.count, NAMES as usize - 20);
    let mut rest: BTreeMap<i64, f64> = BTreeMap::new();
    for name in 0..NAMES {
        for hour in 0..HOURS {
            if !shown.contains(format!("n{name:04}").as_str()) {
                *rest.entry(hour * HOUR_US).or_default() += count_of(name, hour) as f64;
            }
        }
    }
    let wanted: Vec<_> = rest.into_iter().map(|(time, sum)| (time as f64, Some(sum))).collect();
    assert_eq!(lines.others.points, wanted);
    // The twenty are the largest, and what is drawn is everything that was counted.
    let size = |name: i64| (0..HOURS).map(|hour| count_of(name, hour)).sum::<u64>();
    let mut order: Vec<i64> = (0..NAMES).collect();
    order.sort_by_key(|name| std::cmp::Reverse(size(*name)));
    assert_eq!(lines.series[0].name, format!("n{:04}", order[0]));
    let points = lines.series.iter().map(|series| &series.points).chain([&lines.others.points]);
    let sum: f64 = points.flatten().filter_map(|point| point.1).sum();
    assert_eq!(sum, (0..NAMES).map(size).sum::<u64>() as f64);
    let svg = stand_alone(&chart);
    assert!(svg.contains(&format!("other ({})", NAMES - 8)), "{svg}");
}

#[test]
fn values_that_cannot_be_added_up_have_no_rest_and_it_is_said_how_many_are_shown() {
    let snapshot = many(Values::Moments);
    let chart = chart(&snapshot, "type=line&measure=value_mean").unwrap();
    let lines = lines(&chart);
    assert_eq!((lines.series.len(), lines.others.count), (20, NAMES as usize - 20));
    assert!(lines.others.points.is_empty());
    let svg = stand_alone(&chart);
    assert!(svg.contains(&format!("8 of {NAMES} names shown")), "{svg}");
    assert!(!svg.contains("other"), "{svg}");
    // Each mean is that of its own name.
    let number: i64 = lines.series[0].name[1..].parse().unwrap();
    assert_eq!(lines.series[0].points[3], (3.0 * HOUR_US as f64, Some(count_of(number, 3) as f64)));
}

#[test]
fn what_is_chosen_is_kept_however_small_it_is() {
    let snapshot = many(Values::Count);
    let (plan, _, query) = plan(&snapshot, "type=line").unwrap();
    let rows = plan.read(&snapshot, &query, &["n0000"], &Limits::none()).unwrap();
    let kept = rows.answer.table.rows.iter().any(|row| row[1] == rows::text("n0000"));
    assert!(kept && rows.is_narrowed());
}

#[test]
fn bars_of_a_range_are_sums_of_exactly_that_range() {
    let rows: Vec<_> = (0..500)
        .map(|hour| (Some(hour * HOUR_US), vec![rows::text("a")], vec![hour % 13]))
        .collect();
    let snapshot = snapshot(&model(Some(3_600), &["name"], Values::Count), &rows);
    for (from, to) in [(0, 499), (17, 17), (100, 391), (3, 4)] {
        let range = format!("start={}&stop={}", from * 3_600, to * 3_600);
        let sum: i64 = (from..=to).map(|hour| hour % 13).sum();
        let bar = chart(&snapshot, &format!("type=bar&{range}")).unwrap();
        assert_eq!(bars(&bar).layers[0].values, [Some(sum as f64)], "{range}");
        let tile = chart(&snapshot, &format!("type=tile&{range}")).unwrap();
        match tile.plot {
            Plot::Tile(tile) => assert_eq!(tile.value, Some(sum as f64), "{range}"),
            other => panic!("{other:?}"),
        }
        let week = chart(&snapshot, &format!("type=week&{range}")).unwrap();
        match week.plot {
            Plot::Heat(heat) => {
                let all: f64 = heat.cells.iter().flatten().flatten().sum();
                assert_eq!(all, sum as f64, "{range}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn bars_of_one_of_two_dimensions_are_whole_however_many_rows_there_are() {
    let mut rows = Vec::new();
    for user in 0..9_000_i64 {
        let key = vec![rows::text(&format!("p{}", user % 4)), rows::text(&format!("u{user}"))];
        rows.push((None, key, vec![1 + user % 5]));
    }
    let snapshot = snapshot(&model(None, &["project", "user"], Values::Count), &rows);
    let chart = chart(&snapshot, "type=bar").unwrap();
    let sum = |project: i64| -> i64 {
        (0..9_000).filter(|user| user % 4 == project).map(|user| 1 + user % 5).sum()
    };
    let mut wanted: Vec<_> = (0..4).map(|project| Some(sum(project) as f64)).collect();
    wanted.sort_by(|a, b| b.partial_cmp(a).unwrap());
    assert_eq!(bars(&chart).layers[0].values, wanted);
    assert_eq!(bars(&chart).more, 0);
}

#[test]
fn a_limit_of_bars_leaves_out_the_others_and_says_how_many() {
    let rows: Vec<_> =
        (0..30).map(|at| (None, vec![rows::text(&format!("n{at}"))], vec![at])).collect();
    let snapshot = snapshot(&model(None, &["name"], Values::Count), &rows);
    let chart = chart(&snapshot, "type=bar&limit=7").unwrap();
    assert_eq!((bars(&chart).categories.len(), bars(&chart).more), (7, 23));
    assert!(stand_alone(&chart).contains("and 23 more"));
    let ordered = self::chart(&snapshot, "type=bar&sort=value&limit=3").unwrap();
    assert_eq!(bars(&ordered).categories[0].name, "n0");
}

/// Values that quantiles were kept of, by name.
fn kept(name: &str) -> Vec<i64> {
    let spread = if name == "a" { 7 } else { 900 };
    (0..2_000).map(|at| 10 + (at * at * 31) % spread).collect()
}

fn sketched(window_s: Option<u64>) -> std::sync::Arc<Snapshot> {
    let mut rows = Vec::new();
    for name in ["a", "b"] {
        for (at, part) in kept(name).chunks(250).enumerate() {
            let key = vec![rows::text(name), rows::text(&format!("part {at}"))];
            let time = window_s.map(|_| at as i64 * HOUR_US);
            rows.push((time, key, part.to_vec()));
        }
    }
    snapshot(&model(window_s, &["name", "part"], Values::Quantiles), &rows)
}

#[test]
fn a_histogram_of_quantiles_counts_every_value_once_with_its_marks_at_their_ranks() {
    for snapshot in [sketched(None), sketched(Some(3_600))] {
        let chart = chart(&snapshot, "type=histogram&name=b").unwrap();
        let Plot::Histogram(histogram) = &chart.plot else { panic!("{chart:?}") };
        let mut values = kept("b");
        values.sort_unstable();
        assert!(histogram.buckets.len() <= 60);
        for bucket in &histogram.buckets {
            let inside = values.iter().map(|value| *value as f64);
            let inside = inside.filter(|value| (bucket.low..bucket.high).contains(value)).count();
            assert_eq!(bucket.count, inside as f64, "{bucket:?}");
        }
        assert_eq!(histogram.buckets.iter().map(|bucket| bucket.count).sum::<f64>(), 2_000.0);
        for ((_, marked), part) in histogram.marked.iter().zip([0.5, 0.9, 0.99]) {
            let rank = (part * 2_000.0_f64).ceil() as usize;
            let truth = values[rank - 1] as f64;
            assert!(*marked <= truth && *marked >= truth * (1.0 - 1.0 / 16.0), "{marked} {truth}");
        }
    }
}

#[test]
fn a_box_of_quantiles_is_made_of_all_that_was_counted_of_a_name() {
    let chart = chart(&sketched(None), "").unwrap();
    let Plot::Boxes(boxes) = &chart.plot else { panic!("{chart:?}") };
    let names: Vec<_> = boxes.boxes.iter().map(|own| own.category.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    for spread in &boxes.boxes {
        let mut values = kept(&spread.category.name);
        values.sort_unstable();
        for (shown, rank) in
            [(spread.low, 1), (spread.lower, 500), (spread.median, 1_000), (spread.high, 2_000)]
        {
            let truth = values[rank - 1] as f64;
            assert!(shown <= truth && shown >= truth * (1.0 - 1.0 / 16.0), "{shown} {truth}");
        }
    }
}

#[test]
fn boxes_that_lie_decades_apart_stand_on_an_axis_that_rises_by_factors() {
    let hours = (0..8).flat_map(|hour| {
        let of = |name, value| (Some(hour * HOUR_US), vec![rows::text(name)], vec![value]);
        [of("quick", 3 + hour), of("slow", 4_000 + hour)]
    });
    let rows: Vec<_> = hours.collect();
    let snapshot = snapshot(&model(Some(3_600), &["name"], Values::Moments), &rows);
    for (asked, form) in
        [("", AxisForm::Log), ("&y=zero", AxisForm::Zero), ("&name=slow", AxisForm::Zero)]
    {
        let chart = chart(&snapshot, &format!("type=box&measure=value_sum{asked}")).unwrap();
        let Plot::Boxes(boxes) = &chart.plot else { panic!("{chart:?}") };
        assert_eq!(boxes.axis.form, form, "{asked}");
    }
}

#[test]
fn pictures_follow_from_what_the_columns_are() {
    let empty =
        |window_s, dimensions: &[&str], values| snapshot(&model(window_s, dimensions, values), &[]);
    for (window_s, dimensions, values, wanted) in [
        (None, &[][..], Values::Quantiles, Kind::Histogram),
        (None, &["name"][..], Values::Quantiles, Kind::Box),
        (None, &["name"][..], Values::Count, Kind::Bar),
        (None, &[][..], Values::Count, Kind::Tile),
        (Some(3_600), &[][..], Values::Quantiles, Kind::Area),
        (Some(3_600), &["name"][..], Values::Moments, Kind::Line),
    ] {
        let snapshot = empty(window_s, dimensions, values);
        assert_eq!(plan(&snapshot, "").unwrap().0.kind(), wanted, "{dimensions:?} {values:?}");
    }
}

#[test]
fn the_measure_right_of_dots_is_chosen_by_name() {
    let rows = [(None, vec![rows::text("a")], vec![3, 5])];
    let snapshot = snapshot(&model(None, &["name"], Values::Moments), &rows);
    let chart = chart(&snapshot, "type=scatter&measure=value_mean&x=value_sum").unwrap();
    let Plot::Scatter(scatter) = &chart.plot else { panic!("{chart:?}") };
    assert_eq!((scatter.points[0].x, scatter.points[0].y), (8.0, 4.0));
    assert_eq!(plan(&snapshot, "type=scatter&x=nothing").unwrap_err().param, "x");
}

fn computed(json: &str) -> Table {
    crate::query::computed::table_of(json).unwrap()
}

#[test]
fn what_is_computed_is_drawn_as_its_columns_suggest() {
    let (asked, query) = (Asked::default(), Query::default());
    for (columns, row, wanted) in [
        (r#"{"name":"user","kind":"text"},{"name":"n","kind":"int"}"#, r#""a",1"#, Kind::Bar),
        (r#"{"name":"t","kind":"time"},{"name":"n","kind":"num"}"#, "5,1", Kind::Area),
        (
            r#"{"name":"t","kind":"time"},{"name":"user","kind":"text"},{"name":"n","kind":"num"}"#,
            r#"5,"a",1"#,
            Kind::Line,
        ),
        (r#"{"name":"x","kind":"num"},{"name":"y","kind":"num"}"#, "1,2", Kind::Scatter),
        (r#"{"name":"x","kind":"num"}"#, "1", Kind::Histogram),
    ] {
        let table = computed(&format!(r#"{{"columns":[{columns}],"rows":[[{row}]]}}"#));
        let plan = Plan::of_table(&table, &asked, &query).unwrap();
        assert_eq!(plan.kind(), wanted, "{columns}");
    }
    let none = computed(r#"{"columns":[{"name":"user","kind":"text"}],"rows":[["a"]]}"#);
    assert_eq!(Plan::of_table(&none, &asked, &query).unwrap_err().param, "type");
    let twice = r#"{"columns":[{"name":"user","kind":"text"},{"name":"n","kind":"int"}],
        "rows":[["a",1],["a",2]]}"#;
    let error = Plan::of_table(&computed(twice), &asked, &query).unwrap_err();
    assert!(error.reason.contains("several rows have the same"), "{error}");
}
