//! Joined windows are those that a model of the longer window would have stored, byte for byte.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use statmill_plugin_api::aggregate::{
    Count, Distinct, First, Last, Log, Max, MeasureOptions, Min, Moments, Quantiles, Stamp3, State,
    Sum, Text, Time,
};
use statmill_plugin_api::encoding::{BlockWriter, Value, encode_key, window_start};
use statmill_plugin_api::manifest::{
    Dimension, Measure, ModelManifest, Stamp, StatManifest, ValueKind,
};

use super::Selection;
use crate::query::{Limits, Query};
use crate::store::{Database, Snapshot, StatRecord, Tuning};

const OPTIONS: MeasureOptions = MeasureOptions { keep: 3, ..MeasureOptions::DEFAULT };
const SECOND: i64 = 1_000_000;

/// What one message adds.
#[derive(Clone, Debug)]
struct Addition {
    time_s: i64,
    key: Option<String>,
    int: i64,
    num: f64,
    text: String,
}

fn additions() -> impl Strategy<Value = Vec<Addition>> {
    let num = prop_oneof![
        Just(0.1),
        Just(-0.0),
        Just(1e308),
        Just(-1e308),
        Just(5e-324),
        any::<f64>().prop_filter("finite", |num| num.is_finite())
    ];
    let key = prop::option::of("[ab\u{0}]{0,2}");
    let addition = (-40i64..60, key, any::<i64>(), num, "[xyz]{0,2}")
        .prop_map(|(time_s, key, int, num, text)| Addition { time_s, key, int, num, text });
    prop::collection::vec(addition, 0..60)
}

/// A state of every aggregator, to which messages are added.
#[derive(Default)]
struct States {
    count: Count,
    int_sum: Sum<i64>,
    num_sum: Sum<f64>,
    int_shape: Moments<i64>,
    num_shape: Moments<f64>,
    least: Min<f64>,
    greatest: Max<i64>,
    first: First<Text>,
    last: Last<Text>,
    newest: Max<Time>,
    spread: Quantiles,
    texts: Distinct<Text>,
    log: Log<Text>,
}

impl States {
    fn measures() -> Vec<Measure> {
        fn measure<S: State>(name: &str) -> Measure {
            let aggregator = S::aggregator(&OPTIONS);
            Measure { name: name.to_owned(), aggregator, unit: String::new() }
        }
        vec![
            measure::<Count>("count"),
            measure::<Sum<i64>>("int_sum"),
            measure::<Sum<f64>>("num_sum"),
            measure::<Moments<i64>>("int_shape"),
            measure::<Moments<f64>>("num_shape"),
            measure::<Min<f64>>("least"),
            measure::<Max<i64>>("greatest"),
            measure::<First<Text>>("first"),
            measure::<Last<Text>>("last"),
            measure::<Max<Time>>("newest"),
            measure::<Quantiles>("spread"),
            measure::<Distinct<Text>>("texts"),
            measure::<Log<Text>>("log"),
        ]
    }

    fn add(&mut self, addition: &Addition, offset: u64) {
        let stamp = Stamp3 { time_us: addition.time_s * SECOND, log_key: 7, offset };
        self.count.add(stamp, 1, &OPTIONS);
        self.int_sum.add(stamp, addition.int, &OPTIONS);
        self.num_sum.add(stamp, addition.num, &OPTIONS);
        self.int_shape.add(stamp, addition.int, &OPTIONS);
        self.num_shape.add(stamp, addition.num, &OPTIONS);
        self.least.add(stamp, addition.num, &OPTIONS);
        self.greatest.add(stamp, addition.int, &OPTIONS);
        self.first.add(stamp, &addition.text, &OPTIONS);
        self.last.add(stamp, &addition.text, &OPTIONS);
        self.newest.add(stamp, stamp.time_us, &OPTIONS);
        self.spread.add(stamp, addition.num, &OPTIONS);
        self.texts.add(stamp, &addition.text, &OPTIONS);
        self.log.add(stamp, &addition.text, &OPTIONS);
    }

    fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.count.encode(&OPTIONS, &mut out);
        self.int_sum.encode(&OPTIONS, &mut out);
        self.num_sum.encode(&OPTIONS, &mut out);
        self.int_shape.encode(&OPTIONS, &mut out);
        self.num_shape.encode(&OPTIONS, &mut out);
        self.least.encode(&OPTIONS, &mut out);
        self.greatest.encode(&OPTIONS, &mut out);
        self.first.encode(&OPTIONS, &mut out);
        self.last.encode(&OPTIONS, &mut out);
        self.newest.encode(&OPTIONS, &mut out);
        self.spread.encode(&OPTIONS, &mut out);
        self.texts.encode(&OPTIONS, &mut out);
        self.log.encode(&OPTIONS, &mut out);
        out
    }
}

/// The rows that a model of this window makes of the messages; `timed` = the time is a dimension.
fn folded<'a>(
    additions: impl IntoIterator<Item = (usize, &'a Addition)>,
    window_s: i64,
    timed: bool,
) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut states: BTreeMap<Vec<u8>, States> = BTreeMap::new();
    for (offset, addition) in additions {
        let start = window_start(addition.time_s * SECOND, window_s * SECOND);
        let text = addition.key.as_deref().map_or(Value::Null, |key| Value::Text(key.into()));
        let mut key = Vec::new();
        if timed {
            encode_key(None, &[Value::Time(start), text], &mut key);
        } else {
            encode_key(Some(start), &[text], &mut key);
        }
        states.entry(key).or_default().add(addition, offset as u64);
    }
    states.into_iter().map(|(key, states)| (key, states.encoded())).collect()
}

fn stored(additions: &[Addition], commits: usize, timed: bool, stamp: Stamp) -> Arc<Snapshot> {
    let dimension = |name: &str, kind| Dimension { name: name.to_owned(), kind };
    let key = dimension("key", ValueKind::Text);
    let model = ModelManifest {
        name: "rows".to_owned(),
        window_s: (!timed).then_some(2),
        stamp,
        dimensions: match timed {
            true => vec![dimension("timestamp", ValueKind::Time), key],
            false => vec![key],
        },
        measures: States::measures(),
        retention_s: None,
        rollups: Vec::new(),
        index: None,
    };
    let manifest = StatManifest { models: vec![model], ..crate::query::memory::manifest("every") };
    let database = Database::in_memory(Tuning::default()).unwrap();
    let mut stat = database.open_stat(&manifest).unwrap();
    for part in 0..commits {
        let mine = additions.iter().enumerate().filter(|(at, _)| at % commits == part);
        let mut block = BlockWriter::new();
        for (key, value) in folded(mine, if timed { 1 } else { 2 }, timed) {
            block.push(&key, &value);
        }
        stat.commit(&[(0, block.into_bytes())], StatRecord::default()).unwrap();
    }
    stat.snapshot()
}

proptest! {
    #[test]
    fn joined_windows_are_what_a_model_of_that_window_would_have_stored(
        additions in additions(), commits in 1usize..4, times in 1u64..40, timed: bool,
    ) {
        let snapshot = stored(&additions, commits, timed, Stamp::Start);
        let step_s = times * if timed { 1 } else { 2 };
        let query = Query { step_s: Some(step_s), ..Query::default() };
        let selection = Selection::new(&snapshot, &query, &Limits::default()).unwrap();
        let rows = selection.scan.all().map(Result::unwrap).collect::<Vec<_>>();
        let expected = folded(additions.iter().enumerate(), step_s as i64, timed);
        prop_assert_eq!(selection.total(), expected.len() as u64);
        prop_assert_eq!(rows, expected.into_iter().collect::<Vec<_>>());
    }

    /// Bounds, pages and filters of joined windows mean what they mean of stored ones.
    #[test]
    fn questions_about_joined_windows_are_answered_as_of_stored_ones(
        additions in additions(), times in 1u64..9, ends: bool, start in -60i64..60,
        length in 0i64..80, rest in prop_oneof![
            Just("order=asc"), Just("order=desc"), Just("sort=-greatest"), Just("sort=key"),
            Just("key=a"), Just("count__gt=1"), Just("order=desc&count__gt=1&key__in=a,b"),
        ],
        page_rows in 1u64..5,
    ) {
        let stamp = if ends { Stamp::End } else { Stamp::Start };
        let fine = stored(&additions, 1, false, stamp);
        let coarse = {
            let mut manifest = fine.manifest().clone();
            manifest.models[0].window_s = Some(2 * times);
            let mut block = BlockWriter::new();
            for (key, value) in folded(additions.iter().enumerate(), 2 * times as i64, false) {
                block.push(&key, &value);
            }
            let database = Database::in_memory(Tuning::default()).unwrap();
            let mut stat = database.open_stat(&manifest).unwrap();
            stat.commit(&[(0, block.into_bytes())], StatRecord::default()).unwrap();
            stat.snapshot()
        };
        let bounds = format!("start={start}&stop={}&{rest}&rows_per_page={page_rows}", start + length);
        let ask = |snapshot: &Snapshot, text: &str| {
            let pairs = text.split('&').filter_map(|part| part.split_once('='));
            let query = crate::query::params::parse(pairs, 0).unwrap();
            crate::query::run(snapshot, &query, &Limits::default()).unwrap()
        };
        for page in 1.. {
            let expected = ask(&coarse, &format!("{bounds}&page={page}"));
            let joined = ask(&fine, &format!("{bounds}&page={page}&step={}s", 2 * times));
            prop_assert_eq!(&joined.table, &expected.table);
            prop_assert_eq!(joined.page, expected.page);
            if page >= expected.page.count {
                break;
            }
        }
    }
}
