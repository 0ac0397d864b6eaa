//! Rows in memory, for tests.

use std::collections::BTreeMap;
use std::ops::Bound;

use statmill_plugin_api::aggregate::{Count, MeasureOptions, Stamp3, State};
use statmill_plugin_api::encoding::{Value, encode_key};
use statmill_plugin_api::manifest::{
    Aggregator, Dimension, Measure, ModelManifest, Stamp, StatManifest, ValueKind,
};

use super::source::{KeyBounds, Order, ReadError, Row, RowSource};

/// One model of counts.
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
        let manifest = StatManifest {
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
            models: vec![model],
            views: Vec::new(),
            config: serde_json::Value::Null,
            restore: false,
            max_rows: None,
        };
        Self { manifest, rows: BTreeMap::new() }
    }

    /// Adds a row; `time_us` is the window's end as it is shown.
    pub(crate) fn add(&mut self, time_us: Option<i64>, dimensions: &[Value], volume: u64) {
        let mut key = Vec::new();
        encode_key(time_us.map(|time_us| time_us - 1_000_000), dimensions, &mut key);
        let mut count = Count::default();
        count.add(Stamp3::default(), volume, &MeasureOptions::DEFAULT);
        let mut value = Vec::new();
        count.encode(&MeasureOptions::DEFAULT, &mut value);
        self.rows.insert(key, value);
    }
}

impl RowSource for MemoryRows {
    fn manifest(&self) -> &StatManifest {
        &self.manifest
    }

    fn models(&self) -> Vec<(&str, &ModelManifest)> {
        self.manifest.models.iter().map(|model| (model.name.as_str(), model)).collect()
    }

    fn rows(&self, _: usize) -> u64 {
        self.rows.len() as u64
    }

    fn count(&self, model: usize, bounds: &KeyBounds) -> Result<u64, ReadError> {
        Ok(self.scan(model, bounds, Order::Asc, 0).count() as u64)
    }

    fn scan<'a>(
        &'a self,
        _: usize,
        bounds: &KeyBounds,
        order: Order,
        skip: u64,
    ) -> Box<dyn Iterator<Item = Result<Row, ReadError>> + 'a> {
        let to = bounds.to.clone().map_or(Bound::Unbounded, Bound::Excluded);
        if matches!(&to, Bound::Excluded(to) if *to <= bounds.from) {
            return Box::new(std::iter::empty());
        }
        let rows = self.rows.range((Bound::Included(bounds.from.clone()), to));
        let rows = rows.map(|(key, value)| Ok((key.clone(), value.clone())));
        match order {
            Order::Asc => Box::new(rows.skip(skip as usize)),
            Order::Desc => Box::new(rows.rev().skip(skip as usize)),
        }
    }
}
