//! Manifests that are none, or not those of the stats that are there.

use statmill_plugin_api::serde_json::{self, Value as Json, json};

use crate::mark;

/// The manifest `honest` of one stat, told once for each of the mark's, as each of them lies.
pub(crate) fn told(honest: &str) -> String {
    let mut manifest: Json = serde_json::from_str(honest).unwrap_or_default();
    let stat = manifest["stats"][0].take();
    let stats = mark::stats().map(|(ident, lie)| changed(stat.clone(), ident, lie));
    manifest["stats"] = stats.collect();
    match mark::before() {
        "no json" => return "{\"api\":".to_owned(),
        "nothing" => return String::new(),
        "deep" => return format!("{{\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)),
        "huge" => manifest["name"] = json!("x".repeat(64 << 20)),
        "twice" => {
            let first = manifest["stats"][0].clone();
            manifest["stats"] = json!([first.clone(), first]);
        }
        "feature" => manifest["requires"] = json!(["time travel"]),
        _ => {}
    }
    manifest.to_string()
}

/// The manifest of one stat.
fn changed(mut stat: Json, ident: &str, lie: &str) -> Json {
    stat["ident"] = json!(ident);
    match lie {
        "ident" => stat["ident"] = json!("../evil"),
        "no ident" => stat["ident"] = json!(""),
        "no models" => stat["models"] = json!([]),
        "pointer" => stat["fields"][0]["pointer"] = json!("do"),
        "measure" => {
            stat["models"][0]["measures"][0]["aggregator"] = json!("log");
            stat["models"][0]["measures"][0]["of"] = json!("text");
            stat["models"][0]["measures"][0]["keep"] = json!(u32::MAX);
        }
        // From here on the manifest is sound, but what is folded and drained is something else.
        "one model less" => {
            let first = stat["models"][0].clone();
            stat["models"] = json!([first]);
        }
        "other measure" => stat["models"][0]["measures"][0]["aggregator"] = json!("distinct"),
        "other dimension" => stat["models"][0]["dimensions"][0]["kind"] = json!("int"),
        "window" => stat["models"][0]["window_s"] = json!(3600),
        "field kind" => stat["fields"][0]["kind"] = json!("int"),
        "no fields" => stat["fields"] = json!([]),
        _ => {}
    }
    stat
}
