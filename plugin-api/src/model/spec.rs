//! A model as `#[model(...)]` describes it: constants that `#[derive(Models)]` writes.

use crate::aggregate::{self, MeasureOptions};
use crate::manifest::{Dimension, Measure, ModelManifest, Rollup as RollupManifest, Stamp};
use crate::model::{Dimensions, Measures};
use crate::stat::PluginError;

/// What the attribute says of a model.
#[derive(Clone, Copy, Debug)]
pub struct ModelSpec {
    /// Name of the struct's field.
    pub name: &'static str,
    /// Length of the window.
    pub window: Window,
    /// How the window column is shown.
    pub stamp: Stamp,
    /// Names of the dimensions.
    pub dimensions: &'static [&'static str],
    /// The measures.
    pub measures: &'static [MeasureSpec],
    /// Age in seconds after which windows are dropped.
    pub retention_s: Option<u64>,
    /// Coarser copies: window and retention in seconds.
    pub rollups: &'static [(u64, Option<u64>)],
    /// The measure rows are also kept sorted by.
    pub index: Option<&'static str>,
}

/// Length of a model's window.
#[derive(Clone, Copy, Debug)]
pub enum Window {
    /// One row for each key, over all time.
    None,
    /// Seconds.
    Seconds(u64),
    /// The stat's interval.
    Interval,
}

/// What the attribute says of a measure.
#[derive(Clone, Copy, Debug)]
pub struct MeasureSpec {
    /// Column name.
    pub name: &'static str,
    /// Unit; empty = none.
    pub unit: &'static str,
    /// What its aggregator is told.
    pub options: MeasureOptions,
}

impl ModelSpec {
    /// Seconds of the window; none = no window.
    pub(super) fn window_s(&self, interval_s: Option<u64>) -> Result<Option<u64>, PluginError> {
        match self.window {
            Window::None => Ok(None),
            Window::Seconds(seconds) => Ok(Some(seconds)),
            Window::Interval => match interval_s {
                Some(seconds) if seconds > 0 => Ok(Some(seconds)),
                _ => Err(self.error("`window = interval` needs `interval: Some(seconds)` in INFO")),
            },
        }
    }

    /// The options of measures of type `M`.
    pub(super) fn options<M: Measures>(&self) -> M::Options {
        let mut options = M::Options::default();
        for (options, measure) in options.as_mut().iter_mut().zip(self.measures) {
            *options = measure.options;
        }
        options
    }

    /// The manifest of a model with dimensions `D` and measures `M`.
    pub(super) fn manifest<D: Dimensions, M: Measures>(
        &self,
        interval_s: Option<u64>,
    ) -> Result<ModelManifest, PluginError> {
        let window_s = self.window_s(interval_s)?;
        let fits = |rollup: u64| window_s.is_some_and(|s| rollup > s && rollup.is_multiple_of(s));
        if !self.rollups.iter().all(|(rollup, _)| fits(*rollup)) {
            return Err(self.error("the window of a roll-up must be a multiple of the model's"));
        }
        let dimensions = self.dimensions.iter().zip(D::KINDS);
        let measures: Vec<Measure> =
            (self.measures.iter().zip(M::aggregators(&self.options::<M>())))
                .map(|(spec, aggregator)| Measure {
                    name: spec.name.to_owned(),
                    aggregator,
                    unit: spec.unit.to_owned(),
                })
                .collect();
        measures.iter().try_for_each(aggregate::validate)?;
        Ok(ModelManifest {
            name: self.name.to_owned(),
            window_s,
            stamp: self.stamp,
            dimensions: dimensions
                .map(|(&name, &kind)| Dimension { name: name.to_owned(), kind })
                .collect(),
            measures,
            retention_s: self.retention_s,
            rollups: (self.rollups.iter())
                .map(|&(window_s, retention_s)| RollupManifest { window_s, retention_s })
                .collect(),
            index: self.index.map(str::to_owned),
        })
    }

    fn error(&self, reason: &'static str) -> PluginError {
        PluginError::Interval { model: self.name, reason }
    }
}
