//! What became of each name over the time shown, in numbers.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use statmill_plugin_api::encoding::Value;

use super::data::{Shown, Sum};
use super::picture::{number, places};
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
    let (Some(time), Some(name), Some(value)) = (shown.time, shown.name, shown.value) else {
        return Vec::new();
    };
    let places = places(shown, time);
    let mut all = Sum::default();
    let mut names: BTreeMap<&Value, (Sum, BTreeMap<i64, Sum>)> = BTreeMap::new();
    for row in &shown.table.rows {
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
