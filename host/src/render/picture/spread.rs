//! Where values lie: histograms and box plots.

use statmill_plugin_api::encoding::Value;

use super::buckets::{Counted, evenly, factors, quantile};
use super::chart::Drawing;
use super::fields::Combine;
use super::table::{Group, measured_place, number, total};
use crate::query::TimeStyle;
use crate::render::cell;
use crate::render::svg::{Axis, AxisForm, Boxes, Bucket, Category, Histogram, Mark, Plot, Spread};

/// The most boxes.
const MOST_NAMES: usize = 60;
/// If the largest value is so many times the smallest, their axis rises by factors.
const WIDE: f64 = 50.0;

impl Drawing<'_> {
    pub(super) fn histogram(&self) -> Plot {
        let axis = self.axis();
        if !self.plan.has_time && !self.plan.by.is_empty() {
            return self.counted_by_number();
        }
        let column = measured_place(self.table(), &self.plan.measured);
        // Of stored rows, values of the same window are joined first.
        let mut values: Vec<f64> = match column.filter(|_| !self.plan.has_time) {
            Some(at) => self.table().rows.iter().filter_map(|row| number(&row[at])).collect(),
            None => self.groups().iter().flat_map(|group| group.values.values().copied()).collect(),
        };
        values.sort_by(f64::total_cmp);
        let marked = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)]
            .map(|(name, part)| (name.to_owned(), quantile(&values, part).unwrap_or(f64::NAN)));
        let log = axis.form == AxisForm::Log;
        Plot::Histogram(Histogram {
            buckets: if log { factors(&values) } else { evenly(&values) },
            axis,
            counted: if self.plan.has_time { "windows" } else { "rows" }.to_owned(),
            marked: marked.to_vec(),
        })
    }

    /// Of a model that counts by a number.
    fn counted_by_number(&self) -> Plot {
        let groups = self.groups();
        let of = |group: &Group| {
            let low: f64 = group.keys.first()?.as_ref()?.parse().ok()?;
            Some((low, total(std::slice::from_ref(group), Combine::Sum)?, self.mark(group)))
        };
        let mut counts: Vec<_> = groups.iter().filter_map(of).collect();
        counts.sort_by(|a, b| a.0.total_cmp(&b.0));
        let buckets = counts.into_iter().map(|(low, count, mark)| Bucket {
            low,
            high: low + 1.0,
            count,
            mark,
        });
        let axis = self.axis();
        let x = Axis {
            label: self.plan.by.first().cloned().unwrap_or_default(),
            unit: String::new(),
            form: AxisForm::Auto,
        };
        let counted = if axis.unit.is_empty() { axis.label } else { axis.unit };
        Plot::Histogram(Histogram {
            axis: x,
            counted,
            buckets: buckets.collect(),
            marked: Vec::new(),
        })
    }

    pub(super) fn boxes(&self) -> Plot {
        let ranked = self.ranked();
        let boxes = ranked.iter().take(MOST_NAMES).filter_map(|(group, _)| {
            let mut values: Vec<f64> = group.values.values().copied().collect();
            values.sort_by(f64::total_cmp);
            let [lower, median, upper] = [0.25, 0.5, 0.75].map(|part| quantile(&values, part));
            let (lower, median, upper) = (lower?, median?, upper?);
            // Whiskers reach to the last value within one and a half boxes.
            let reach = 1.5 * (upper - lower);
            let inside = |value: &&f64| (lower - reach..=upper + reach).contains(*value);
            Some(Spread {
                category: self.category(group),
                low: values.iter().find(inside).copied().unwrap_or(lower),
                high: values.iter().rfind(inside).copied().unwrap_or(upper),
                outliers: values.iter().filter(|value| !inside(value)).copied().collect(),
                lower,
                median,
                upper,
            })
        });
        let boxes: Vec<_> = boxes.collect();
        let more = self.beyond() + (ranked.len() - boxes.len());
        Plot::Boxes(Boxes { axis: self.risen(self.axis(), &boxes), boxes, more })
    }

    /// Of a measure that keeps how often values of which size are.
    pub(super) fn counted(&self) -> Plot {
        let counted = Counted::of(self.rows.buckets.iter(), self.per_octave());
        let mut axis = self.counted_axis();
        // Even widths would leave most of what spans decades in the first bucket.
        if self.about.asked.y.is_none() && counted.reach().is_some_and(|reach| reach > WIDE) {
            axis.form = AxisForm::Log;
        }
        let marked = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)]
            .map(|(name, part)| (name.to_owned(), counted.quantile(part).unwrap_or(f64::NAN)));
        let by_factors = axis.form == AxisForm::Log;
        Plot::Histogram(Histogram {
            axis,
            counted: "values".to_owned(),
            buckets: if by_factors { counted.buckets() } else { counted.even() },
            marked: marked.to_vec(),
        })
    }

    /// The same by name: where the values of each lie, those first of which most were counted.
    pub(super) fn counted_boxes(&self) -> Plot {
        let of = |own| (own, Counted::of(std::iter::once(own), self.per_octave()));
        let mut all: Vec<_> = self.rows.buckets.iter().map(of).collect();
        all.sort_by(|a, b| b.1.total().cmp(&a.1.total()).then(a.0.of.cmp(&b.0.of)));
        let boxes = all.iter().take(MOST_NAMES).filter_map(|(own, counted)| {
            let text = cell::text(&own.of, TimeStyle::Rfc3339);
            let category = match (self.plan.by(), &own.of) {
                (None, _) => Category { name: self.axis().label, mark: Mark::default() },
                (Some(_), Value::Null) => {
                    Category { name: "none".to_owned(), ..Category::default() }
                }
                (Some(by), _) => {
                    let mark = (self.about.mark)(by, &text);
                    let name =
                        if text.is_empty() { "(empty)".to_owned() } else { text.into_owned() };
                    Category { name, mark }
                }
            };
            Some(Spread {
                category,
                low: counted.quantile(0.0)?,
                lower: counted.quantile(0.25)?,
                median: counted.quantile(0.5)?,
                upper: counted.quantile(0.75)?,
                high: counted.quantile(1.0)?,
                outliers: Vec::new(),
            })
        });
        let boxes: Vec<_> = boxes.collect();
        let more = all.len() - boxes.len();
        Plot::Boxes(Boxes { axis: self.risen(self.counted_axis(), &boxes), boxes, more })
    }

    /// Even steps would leave most boxes a line at the edge where they are decades apart.
    fn risen(&self, axis: Axis, boxes: &[Spread]) -> Axis {
        let least = boxes.iter().map(|spread| spread.median).min_by(f64::total_cmp);
        let high = boxes.iter().map(|spread| spread.high).max_by(f64::total_cmp);
        let is_wide =
            least.zip(high).is_some_and(|(least, high)| least > 0.0 && high > 2.0 * WIDE * least);
        match self.about.asked.y {
            None if is_wide => Axis { form: AxisForm::Log, ..axis },
            _ => axis,
        }
    }

    fn per_octave(&self) -> u32 {
        self.plan.sketch.as_ref().map_or(1, |sketch| sketch.per_octave)
    }

    /// The axis of the values that were counted.
    fn counted_axis(&self) -> Axis {
        let sketch = self.plan.sketch.as_ref();
        let unit = self.about.asked.unit.clone();
        Axis {
            label: sketch.map(|sketch| sketch.measure.clone()).unwrap_or_default(),
            unit: unit.or(sketch.map(|sketch| sketch.unit.clone())).unwrap_or_default(),
            form: self.about.asked.y.unwrap_or(AxisForm::Auto),
        }
    }
}
