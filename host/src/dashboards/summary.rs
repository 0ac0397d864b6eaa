//! What became of each name over the time shown, in numbers.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use statmill_plugin_api::encoding::Value;

use super::data::Shown;
use crate::query::Table;
use crate::render::picture::Sum;
use crate::render::svg::{Chart, Plot, Size, Sparkline};

/// What became of one name.
#[derive(Clone, Debug)]
pub struct Line {
    /// The name.
    pub name: Value,
    /// All its values together.
    pub total: Value,
    /// What there is in a window, on average over all windows shown.
    pub mean: f64,
    /// The most there is in a window.
    pub peak: Value,
    /// Its part of everything, from 0 to 1.
    pub share: f64,
    points: Vec<(f64, Option<f64>)>,
}

impl Line {
    /// Its course over time.
    #[must_use]
    pub fn course(&self, name: &str) -> Chart {
        let course = Sparkline { points: self.points.clone(), colour: 0 };
        let mut chart = Chart::new(format!("Course of {name}"), Plot::Sparkline(course));
        chart.size = Size::new(140, 24);
        chart
    }
}

/// One line for each name, the largest first.
#[must_use]
pub fn summary(shown: &Shown) -> Vec<Line> {
    let Some(drawn) = &shown.picture else { return Vec::new() };
    let table = &drawn.rows.answer.table;
    let (Some(name), Some(value)) = drawn.plan.places(table) else { return Vec::new() };
    let time = 0;
    let places = places(table, shown.window_s);
    let mut all = Sum::default();
    let mut names: BTreeMap<&Value, (Sum, BTreeMap<i64, Sum>)> = BTreeMap::new();
    for row in &table.rows {
        let Value::Time(time_us) = row[time] else { continue };
        all.add(&row[value]);
        let (sum, windows) = names.entry(&row[name]).or_default();
        sum.add(&row[value]);
        windows.entry(time_us).or_default().add(&row[value]);
    }
    let all = number(&all.value()).unwrap_or(0.0);
    let mut lines: Vec<Line> = names
        .into_iter()
        .map(|(name, (sum, windows))| {
            let total = sum.value();
            let amount = number(&total).unwrap_or(0.0);
            let values: BTreeMap<i64, Value> =
                windows.into_iter().map(|(time_us, sum)| (time_us, sum.value())).collect();
            let peak = values
                .values()
                .max_by(|a, b| number(a).partial_cmp(&number(b)).unwrap_or(Ordering::Equal));
            let peak = peak.cloned().unwrap_or(Value::Null);
            let points = places.iter().map(|place| {
                (*place as f64, Some(values.get(place).and_then(number).unwrap_or(0.0)))
            });
            Line {
                name: name.clone(),
                mean: amount / (places.len().max(1) as f64),
                peak,
                share: if all > 0.0 { amount / all } else { 0.0 },
                points: points.collect(),
                total,
            }
        })
        .collect();
    lines.sort_by(|a, b| b.share.total_cmp(&a.share));
    lines
}

/// Every window between the first and the last row, µs; those of the rows where they have none.
fn places(table: &Table, window_s: Option<u64>) -> Vec<i64> {
    let time =
        |row: &Vec<Value>| if let Value::Time(time_us) = row[0] { Some(time_us) } else { None };
    let times: BTreeSet<i64> = table.rows.iter().filter_map(time).collect();
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Vec::new() };
    let step_us =
        window_s.and_then(|window_s| i64::try_from(window_s).ok()?.checked_mul(1_000_000));
    let Some(step_us) = step_us.filter(|step_us| *step_us > 0) else {
        return times.into_iter().collect();
    };
    // However long the time, there are not many more windows than rows can fill.
    let most = times.len().saturating_mul(4).max(2_000);
    if last.saturating_sub(*first) / step_us >= most as i64 {
        return times.into_iter().collect();
    }
    let even = (0..=(last - first) / step_us).map(|at| first + at * step_us);
    even.chain(times.iter().copied()).collect::<BTreeSet<_>>().into_iter().collect()
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Num(number) => Some(*number),
        _ => None,
    }
}
