//! Rows of any model in a store in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use statmill_plugin_api::aggregate::{Count, MeasureOptions, Moments, Quantiles, Stamp3, State};
use statmill_plugin_api::encoding::{BlockWriter, Value, encode_key};
use statmill_plugin_api::manifest::{
    Aggregator, Dimension, Measure, ModelManifest, Stamp, StatManifest, ValueKind,
};

use crate::query::memory::manifest;
use crate::store::{Database, Snapshot, StatRecord, Tuning};

/// What a model keeps of numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Values {
    Count,
    Moments,
    Quantiles,
}

/// A row: its window's start, its dimensions, the numbers that were added to it.
pub(super) type Row = (Option<i64>, Vec<Value>, Vec<i64>);

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// A model of one measure, `value`.
pub(super) fn model(window_s: Option<u64>, dimensions: &[&str], values: Values) -> ModelManifest {
    let dimension = |name: &&str| Dimension { name: (*name).to_owned(), kind: ValueKind::Text };
    let aggregator = match values {
        Values::Count => Aggregator::Count,
        Values::Moments => Aggregator::Moments { of: ValueKind::Int },
        Values::Quantiles => Aggregator::Quantiles { per_octave: 16, show: Vec::new() },
    };
    ModelManifest {
        name: "rows".to_owned(),
        window_s,
        stamp: Stamp::Start,
        dimensions: dimensions.iter().map(dimension).collect(),
        measures: vec![Measure { name: "value".to_owned(), aggregator, unit: String::new() }],
        retention_s: None,
        rollups: Vec::new(),
        index: None,
    }
}

pub(super) fn snapshot(model: &ModelManifest, rows: &[Row]) -> Arc<Snapshot> {
    let manifest = StatManifest { models: vec![model.clone()], ..manifest("rows") };
    let mut encoded = BTreeMap::new();
    for (time_us, dimensions, numbers) in rows {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        encode_key(*time_us, dimensions, &mut key);
        match model.measures[0].aggregator {
            Aggregator::Count => {
                let mut count = Count::default();
                let number = numbers.iter().sum::<i64>() as u64;
                count.add(Stamp3::default(), number, &MeasureOptions::DEFAULT);
                count.encode(&MeasureOptions::DEFAULT, &mut value);
            }
            Aggregator::Moments { .. } => state::<Moments<i64>>(numbers, &mut value),
            _ => state::<Quantiles<i64>>(numbers, &mut value),
        }
        encoded.insert(key, value);
    }
    let database = Database::in_memory(Tuning::default()).unwrap();
    let mut stat = database.open_stat(&manifest).unwrap();
    let mut encoded = encoded.into_iter().peekable();
    while encoded.peek().is_some() {
        let mut block = BlockWriter::new();
        encoded.by_ref().take(20_000).for_each(|(key, value)| block.push(&key, &value));
        stat.commit(&[(0, block.into_bytes())], StatRecord::default()).unwrap();
    }
    stat.snapshot()
}

fn state<S: for<'a> State<Add<'a> = i64>>(numbers: &[i64], out: &mut Vec<u8>) {
    let mut state = S::default();
    for number in numbers {
        state.add(Stamp3::default(), *number, &MeasureOptions::DEFAULT);
    }
    state.encode(&MeasureOptions::DEFAULT, out);
}
