//! The stat: it counts messages per topic, and does in between what it is configured to.

use statmill_plugin_api::manifest::ModelManifest;
use statmill_plugin_api::model::Model;
use statmill_plugin_api::prelude::*;
use statmill_plugin_api::serde_json::{self, Value as Json, json};

use crate::{deeds, mark};

fields! {
    /// What is read of each message.
    pub struct Event { wish: str "/do" }
}

/// The configuration.
#[derive(Default)]
struct Told {
    evil: String,
    at: String,
    on_message: bool,
}

impl Told {
    fn read(config: &str) -> Result<Self, PluginError> {
        let told: Json = serde_json::from_str(config)?;
        let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        Ok(Self { evil: text("evil"), at: text("at"), on_message: text("on") == "message" })
    }

    /// Does what was asked for, if this is where.
    fn reach(&self, place: &str) -> Result<(), PluginError> {
        if self.at != place {
            return Ok(());
        }
        match deeds::commit(&self.evil) {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }
}

/// What it keeps.
#[derive(Models, Default)]
struct Kept {
    #[model(dimensions = ["topic"], measures = ["count"])]
    by_topic: Rollup<(Sym,), (Count,)>,
    #[model(dimensions = ["number"], measures = ["count"])]
    many: Rollup<(i64,), (Count,)>,
}

/// Messages per topic, unless told otherwise.
#[derive(Default)]
pub(crate) struct Evil {
    kept: Kept,
    told: Told,
    batches: u64,
    /// It has just folded: who asks for the models wants to know what they hold.
    reports: bool,
}

// By hand what is derived else, to be reached while it is drained.
impl Models for Evil {
    const NEEDS_INTERVAL: bool = Kept::NEEDS_INTERVAL;

    fn manifests(interval_s: Option<u64>) -> Result<Vec<ModelManifest>, PluginError> {
        Kept::manifests(interval_s)
    }

    fn prepare(&mut self, interval_s: Option<u64>) -> Result<(), PluginError> {
        self.kept.prepare(interval_s)
    }

    fn models(&mut self) -> Vec<&mut dyn Model> {
        if !std::mem::take(&mut self.reports) {
            // An error has nowhere to go.
            let _ = self.told.reach("drain");
        }
        self.kept.models()
    }
}

impl Drop for Evil {
    fn drop(&mut self) {
        // An error has nowhere to go.
        let _ = self.told.reach("drop");
    }
}

impl Stat for Evil {
    const INFO: StatInfo =
        StatInfo { ident: "evil", title: "Messages per topic, sometimes", ..StatInfo::DEFAULT };
    const FIELDS: Fields = Event::FIELDS;
    const COMPUTES: bool = true;

    fn configure(&mut self, config: &str) -> Result<(), PluginError> {
        self.told = Told::read(config)?;
        self.told.reach("create")
    }

    fn config_schema() -> Json {
        json!({ "type": "object" })
    }

    fn views() -> Vec<Json> {
        if let Some(deed) = mark::before().strip_prefix("views: ") {
            deeds::commit(deed);
        }
        let names = ["panic", "payload", "error", "blocked", "wrong", "huge", "deep", "sound"];
        // First of all: in a dry run there may be no time left for what stands behind those that never end.
        let names = mark::before().strip_prefix("view: ").into_iter().chain(names);
        names.map(|name| json!({ "name": name, "compute": { "model": "by_topic" } })).collect()
    }

    fn compute(view: &str, rows: &Json) -> Result<Json, PluginError> {
        match view {
            "wrong" => Ok(json!({ "columns": [{ "name": "a", "kind": "int" }], "rows": [["x"]] })),
            "huge" => Ok(json!("x".repeat(5 << 20))),
            "deep" => Ok((0..2_000).fold(Json::Null, |below, _| json!([below]))),
            "sound" => Ok(json!({
                "columns": [{ "name": "rows", "kind": "int" }],
                "rows": [[rows.as_array().map(Vec::len)]],
            })),
            deed => Err(deeds::commit(deed).unwrap_or("there is no such view").into()),
        }
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        self.batches += 1;
        for message in batch.rows::<Event>() {
            let is_asked = message.wish() == Some("evil");
            if is_asked || !self.told.on_message {
                self.told.reach("message")?;
                match &*self.told.evil {
                    "a million rows" => {
                        (0..1_000_000)
                            .for_each(|row| self.kept.many.at(&message, (row,)).add((1,)));
                    }
                    // What it counts depends on where batches end.
                    "another count" => self.kept.many.at(&message, (0,)).add((self.batches,)),
                    _ => {}
                }
            }
            self.kept.by_topic.at(&message, (message.topic_sym(),)).add((1,));
        }
        self.reports = true;
        if self.told.on_message { Ok(()) } else { self.told.reach("fold") }
    }
}

/// As [`Evil`], but it wants its earlier rows.
#[derive(Models, Default)]
pub(crate) struct Restoring {
    #[model(dimensions = ["topic"], measures = ["count"])]
    by_topic: Rollup<(Sym,), (Count,)>,
    told: Told,
}

impl Stat for Restoring {
    const INFO: StatInfo =
        StatInfo { ident: "evil", title: "Restored", restore: Some(1_000), ..StatInfo::DEFAULT };

    fn configure(&mut self, config: &str) -> Result<(), PluginError> {
        self.told = Told::read(config)?;
        Ok(())
    }

    fn config_schema() -> Json {
        json!({ "type": "object" })
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.messages() {
            self.by_topic.at(&message, (message.topic_sym(),)).add((1,));
        }
        Ok(())
    }

    fn restore(&mut self, _: &RestoredRow<'_>) -> Result<(), PluginError> {
        self.told.reach("restore")
    }
}
