//! What plugins and disks hand to the store: rows, the forms of records, and a whole tree.
//!
//! Rows are hostile input. Records of a store are not, for their check sums keep out what a disk does to them;
//! here these are made right again, so that nothing but the reader itself stands between them and the host.

mod forms;
mod rows;
mod tree;

use statmill_plugin_api::aggregate::{
    Distinct, First, Json, Last, Log, Max, Min, Moments, Quantiles, Time, TopKApprox,
};

use super::*;

/// Every aggregator and every kind of dimension.
fn wide_manifest() -> StatManifest {
    let dimension = |name: &str, kind: &str| serde_json::json!({"name": name, "kind": kind});
    serde_json::from_value(serde_json::json!({
        "ident": "wide", "title": "Wide", "model_version": 1,
        "models": [
            {"name": "numbers", "window_s": 3600, "index": "count", "rollups": [{"window_s": 86400}],
             "dimensions": [dimension("key", "text"), dimension("name", "text")],
             "measures": [
                {"name": "count", "aggregator": "count"},
                {"name": "int", "aggregator": "sum", "of": "int"},
                {"name": "num", "aggregator": "sum", "of": "num"},
                {"name": "shape", "aggregator": "moments", "of": "num"},
                {"name": "spread", "aggregator": "quantiles"}]},
            {"name": "texts", "window_s": 3600, "rollups": [{"window_s": 86400}],
             "dimensions": [dimension("key", "json"), dimension("flag", "bool")],
             "measures": [
                {"name": "first", "aggregator": "first", "of": "text"},
                {"name": "last", "aggregator": "last", "of": "json"},
                {"name": "least", "aggregator": "min", "of": "num"},
                {"name": "newest", "aggregator": "max", "of": "time"},
                {"name": "texts", "aggregator": "distinct"},
                {"name": "log", "aggregator": "log", "keep": 3, "of": "text"},
                {"name": "top", "aggregator": "top_k_approx", "keep": 3}]},
            {"name": "totals", "index": "max_int",
             "dimensions": [dimension("int", "int"), dimension("num", "num"), dimension("at", "time")],
             "measures": [{"name": "count", "aggregator": "count"},
                {"name": "max_int", "aggregator": "max", "of": "int"}]},
        ],
    }))
    .unwrap()
}

/// Appends the state of some additions.
fn state<S: State>(options: &MeasureOptions, additions: Vec<S::Add<'_>>, out: &mut Vec<u8>) {
    let mut state = S::default();
    for (offset, add) in (0..).zip(additions) {
        state.add(Stamp3 { time_us: offset as i64 % 3, log_key: 7, offset }, add, options);
    }
    state.encode(options, out);
}

/// A block of each model, with some rows.
fn wide_blocks() -> [Vec<u8>; 3] {
    let options = MeasureOptions { keep: 3, ..MeasureOptions::default() };
    let mut models: [BTreeMap<Vec<u8>, Vec<u8>>; 3] = Default::default();
    let mut put = |model: usize, window: Option<i64>, dims: &[Value], value: Vec<u8>| {
        let mut key = Vec::new();
        encode_key(window, dims, &mut key);
        models[model].insert(key, value);
    };
    for row in 0..5_i64 {
        let window = Some((row - 2) * HOUR);
        let texts: Vec<String> = (0..row).map(|text| format!("t\0{}é", text % 3)).collect();
        let texts = || texts.iter().map(String::as_str).collect::<Vec<_>>();
        let nums: Vec<f64> =
            (0..row).map(|num| num as f64 * 0.1 - 1e200 * (row % 2) as f64).collect();
        let mut value = Vec::new();
        state::<Count>(&options, vec![1, row as u64], &mut value);
        state::<Sum<i64>>(&options, vec![row, -300, i64::MAX], &mut value);
        state::<Sum<f64>>(&options, nums.clone(), &mut value);
        state::<Moments<f64>>(&options, nums.clone(), &mut value);
        state::<Quantiles>(&options, nums.clone(), &mut value);
        let name = if row == 0 { Value::Null } else { Value::Text("a\u{1}".into()) };
        put(0, window, &[Value::Text("key".into()), name], value);
        let mut value = Vec::new();
        state::<First<Text>>(&options, texts(), &mut value);
        state::<Last<Json>>(&options, vec!["{\"a\": [1]}"; row as usize], &mut value);
        state::<Min<f64>>(&options, nums, &mut value);
        state::<Max<Time>>(&options, vec![HOUR * row; row as usize], &mut value);
        let many: Vec<String> =
            (0..if row == 4 { 300 } else { row }).map(|text| text.to_string()).collect();
        state::<Distinct<Text>>(&options, many.iter().map(String::as_str).collect(), &mut value);
        state::<Log<Text>>(&options, texts(), &mut value);
        state::<TopKApprox>(&options, texts(), &mut value);
        put(1, window, &[Value::Json("[1, 2]".into()), Value::Bool(row % 2 == 0)], value);
        let mut value = Vec::new();
        state::<Count>(&options, vec![7], &mut value);
        state::<Max<i64>>(&options, vec![row * 1000 - 1], &mut value);
        let dims = [Value::Int(i128::MIN >> (row * 9)), Value::Num(-0.5), Value::Time(-1)];
        put(2, None, &dims, value);
    }
    models.map(|rows| block(&rows))
}
