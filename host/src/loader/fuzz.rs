//! Manifests that plugins lie with.

#![allow(clippy::unwrap_used, reason = "tests")]

use statmill_plugin_api::manifest::PluginManifest;

use super::manifest::check;
use crate::fuzz::{Target, Verdict, change_json, run};
use crate::project::{Mapping, Projection, TopicFilter};
use crate::query::shape::ModelShape;
use crate::store::{Database, StatRecord, Tuning, common_window_us, stored_models};

const WORDS: &[&[u8]] = &[
    b"null",
    b"\"\"",
    b"[]",
    b"{}",
    b"0",
    b"-1",
    b"1e999",
    b"18446744073709551615",
    b"9223372036854775807",
    b"4294967295",
    b"86400",
    b"true",
    b"\"index\":\"count\",",
    b"\"window_s\":60,",
    b"\"retention_s\":18446744073709551615,",
    b"\"restore\":true,\"max_rows\":18446744073709551615,",
    b"\"rollups\":[{\"window_s\":120}],",
    b"\"kind\":\"json\"",
    b"\"kind\":\"bool\"",
    b"\"kind\":\"doc\"",
    b"\"of\":\"text\"",
    b"\"of\":\"num\"",
    b"\"aggregator\":\"sum\"",
    b"\"aggregator\":\"quantiles\",\"per_octave\":3",
    b"\"aggregator\":\"log\",\"keep\":4294967295",
    b"\"aggregator\":\"top_k_approx\",\"keep\":0",
    b"\"aggregator\":\"distinct\"",
    b"\"stamp\":\"end\"",
    b"\"pointer\":\"\"",
    b"\"pointer\":\"/~\"",
    b"\\u0000",
    b"\\ud800",
    b"../",
    b"#",
    b"*",
    b"@1d",
];

#[test]
fn whatever_a_plugin_says_of_itself_is_refused_or_can_be_served() {
    let seeds = vec![
        br#"{"api":"1.0.0","name":"p","version":"1","stats":[{"ident":"a-1d","title":"A","model_version":1,"topics":["a.*.b.#"],"fields":[{"name":"k","pointer":"/k/0","kind":"sym"},{"name":"d","pointer":"","kind":"doc"}],"interval_s":86400,"backlog_delta_s":3600,"models":[{"name":"m","window_s":3600,"stamp":"end","dimensions":[{"name":"k","kind":"text"}],"measures":[{"name":"count","aggregator":"count"},{"name":"s","aggregator":"moments","of":"int","unit":"ms"}],"retention_s":7200,"rollups":[{"window_s":86400,"retention_s":90000}],"index":"count"}],"views":[{"name":"v","compute":{"model":"m"}}],"layout":{"a":1},"config":{"type":"object"}}]}"#.to_vec(),
        br#"{"api":"1.0.0","name":"p","version":"1","requires":[],"stats":[{"ident":"b","title":"B","model_version":2,"fold_version":3,"models":[{"name":"m","dimensions":[{"name":"i","kind":"int"},{"name":"t","kind":"time"}],"measures":[{"name":"q","aggregator":"quantiles","per_octave":16,"show":[0.5,0.9]},{"name":"l","aggregator":"log","keep":5,"of":"json"},{"name":"d","aggregator":"distinct"},{"name":"f","aggregator":"first","of":"text"},{"name":"m","aggregator":"max","of":"num"},{"name":"k","aggregator":"top_k_approx","keep":3}]}],"restore":true,"max_rows":10},{"ident":"c","title":"C","model_version":1,"models":[{"name":"m","measures":[{"name":"count","aggregator":"count"}]}]}]}"#.to_vec(),
    ];
    let target = Target {
        name: "manifests",
        seeds,
        words: WORDS,
        change: Some(&change_json),
        mend: &|_| (),
        judge: &judge,
    };
    run(&target, &["served"]);
}

fn judge(input: &[u8]) -> Verdict {
    let manifest: PluginManifest = match serde_json::from_slice(input) {
        Ok(manifest) => manifest,
        Err(error) => return Ok(error.to_string()),
    };
    let text = serde_json::to_vec(&manifest).map_err(|error| error.to_string())?;
    let again: PluginManifest = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    if again != manifest {
        return Err("a manifest is not read back as it was written".to_owned());
    }
    let mut outcome = "no stat".to_owned();
    for stat in &manifest.stats {
        if let Err(reason) = check(stat) {
            outcome = reason;
            continue;
        }
        // What an admitted stat goes through on its way to the first answer.
        let _ = TopicFilter::new(&stat.topics).matches("a.prod.b.c");
        let wanted: Vec<_> =
            stat.fields.iter().map(|field| (field.pointer.clone(), field.kind)).collect();
        if let Err(error) = Projection::compile(&Mapping::auto(), &wanted) {
            return Err(format!("admitted, but its fields cannot be read: {error}"));
        }
        let models = stored_models(stat);
        let _ = common_window_us(&models);
        for stored in &models {
            let shape = ModelShape::new(&stored.model);
            let names: std::collections::BTreeSet<_> =
                shape.columns().iter().map(|column| &column.name).collect();
            if names.len() != shape.columns().len() {
                return Err("admitted, but two columns have one name".to_owned());
            }
        }
        let database = Database::in_memory(Tuning::default()).unwrap();
        let mut rows =
            database.open_stat(stat).map_err(|error| format!("admitted, but {error}"))?;
        rows.commit(&[], StatRecord::default())
            .map_err(|error| format!("admitted, but {error}"))?;
        outcome = "served".to_owned();
    }
    Ok(outcome)
}
