//! Rows in memory, for tests.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use statmill_plugin_api::aggregate::{Count, MeasureOptions, Stamp3, State};
use statmill_plugin_api::encoding::{BlockWriter, Value, encode_key};
use statmill_plugin_api::manifest::{
    Aggregator, Dimension, Measure, ModelManifest, Rollup, Stamp, StatManifest, ValueKind,
};

use crate::store::{Database, Snapshot, StatRecord, Tuning};

/// A stat without models.
pub(crate) fn manifest(ident: &str) -> StatManifest {
    StatManifest {
        ident: ident.to_owned(),
        title: format!("Title of {ident}"),
        summary: String::new(),
        description: String::new(),
        model_version: 1,
        fold_version: 0,
        topics: Vec::new(),
        fields: Vec::new(),
        interval_s: None,
        backlog_delta_s: None,
        models: Vec::new(),
        views: Vec::new(),
        config: serde_json::Value::Null,
        restore: false,
        max_rows: None,
        layout: serde_json::Value::Null,
    }
}

/// One model of counts.
#[derive(Clone)]
pub(crate) struct MemoryRows {
    manifest: StatManifest,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl MemoryRows {
    /// A stat whose only model counts `volume`, per window of one second (shown by its end) if
    /// `windowed`, and per `dimensions`.
    pub(crate) fn new(ident: &str, windowed: bool, dimensions: &[(&str, ValueKind)]) -> Self {
        let dimension =
            |&(name, kind): &(&str, ValueKind)| Dimension { name: name.to_owned(), kind };
        let measure = Measure {
            name: "volume".to_owned(),
            aggregator: Aggregator::Count,
            unit: "messages".to_owned(),
        };
        let model = ModelManifest {
            name: "rows".to_owned(),
            window_s: windowed.then_some(1),
            stamp: Stamp::End,
            dimensions: dimensions.iter().map(dimension).collect(),
            measures: vec![measure],
            retention_s: None,
            rollups: Vec::new(),
            index: None,
        };
        let manifest = StatManifest { models: vec![model], ..manifest(ident) };
        Self { manifest, rows: BTreeMap::new() }
    }

    /// Has windows of so many seconds.
    pub(crate) fn windows_of(mut self, seconds: u64) -> Self {
        self.manifest.models[0].window_s = Some(seconds);
        self
    }

    /// Shows the starts of windows.
    pub(crate) fn shown_by_start(mut self) -> Self {
        self.manifest.models[0].stamp = Stamp::Start;
        self
    }

    /// Has a roll-up to windows of so many seconds.
    pub(crate) fn rolled_up_to(mut self, window_s: u64) -> Self {
        self.manifest.models[0].rollups.push(Rollup { window_s, retention_s: None });
        self
    }

    /// Has the rows indexed by `volume`.
    pub(crate) fn indexed(mut self) -> Self {
        self.manifest.models[0].index = Some("volume".to_owned());
        self
    }

    /// Has one view definition more.
    pub(crate) fn with_view(mut self, view: serde_json::Value) -> Self {
        self.manifest.views.push(view);
        self
    }

    /// Has a layout.
    pub(crate) fn with_layout(mut self, layout: serde_json::Value) -> Self {
        self.manifest.layout = layout;
        self
    }

    /// Adds a row; `time_us` is the time that is shown.
    pub(crate) fn add(&mut self, time_us: Option<i64>, dimensions: &[Value], volume: u64) {
        let mut key = Vec::new();
        let model = &self.manifest.models[0];
        let shown_after_s = model.window_s.filter(|_| model.stamp == Stamp::End).unwrap_or(0);
        let window_us = shown_after_s as i64 * 1_000_000;
        encode_key(time_us.map(|time_us| time_us - window_us), dimensions, &mut key);
        let mut count = Count::default();
        count.add(Stamp3::default(), volume, &MeasureOptions::DEFAULT);
        let mut value = Vec::new();
        count.encode(&MeasureOptions::DEFAULT, &mut value);
        self.rows.insert(key, value);
    }

    /// The rows as a store in memory gives them.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.committed(None)
    }

    /// The same, and then those of windows that begin before `floor_us` are dropped.
    pub(crate) fn snapshot_above(&self, floor_us: i64) -> Arc<Snapshot> {
        self.committed(Some(floor_us))
    }

    fn committed(&self, floor_us: Option<i64>) -> Arc<Snapshot> {
        let mut block = BlockWriter::new();
        for (key, value) in &self.rows {
            block.push(key, value);
        }
        let database = Database::in_memory(Tuning::default()).unwrap();
        let mut stat = database.open_stat(&self.manifest).unwrap();
        stat.commit(&[(0, block.into_bytes())], StatRecord::default()).unwrap();
        if let Some(floor_us) = floor_us {
            let record = StatRecord { floors_us: vec![Some(floor_us)], ..StatRecord::default() };
            stat.commit(&[], record).unwrap();
        }
        stat.snapshot()
    }
}
