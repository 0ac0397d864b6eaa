//! A stat that misbehaves on request, one that is slow, one that floods, and two that the next version changes.
//!
//! Input: `/do`; `panic`, `error`, `loop` and `block` do as they say whenever `odd` folds them, and so do `abort`,
//! `exit` and `segfault`, which end the process; `print` is printed and counted, anything else is counted.
//! Configuration of `odd`: `{"mended": true}` counts the first four as well, `{"broken": true}` refuses to
//! begin. `odd-slow` takes its time for each message as long as the file of its configuration is there.
//! Of a message that says `flood` or `fat`, `odd-flood` makes a million rows, or one of two million bytes.
//! Models: `by_topic`, messages per topic; `by_hour`, the same per hour with a roll-up per day; `by_day`,
//! messages per day.
//! Views of `odd`: each goes wrong in the way that it is named after.

mod flood;
mod slow;

use statmill_plugin_api::prelude::*;
use statmill_plugin_api::serde_json::{Value as Json, json};

use self::flood::Flood;
use self::slow::Slow;

fields! {
    /// What is read of each message.
    pub struct Event { wish: str "/do" }
}

/// Messages per topic, unless asked to fail.
#[derive(Models, Default)]
pub struct Odd {
    #[model(dimensions = ["topic"], measures = ["count"])]
    by_topic: Rollup<(Sym,), (Count,)>,
    mended: bool,
}

impl Stat for Odd {
    const INFO: StatInfo =
        StatInfo { ident: "odd", title: "Messages per topic, sometimes", ..StatInfo::DEFAULT };
    const FIELDS: Fields = Event::FIELDS;
    const COMPUTES: bool = true;

    fn configure(&mut self, config: &str) -> Result<(), PluginError> {
        let config: Json =
            statmill_plugin_api::serde_json::from_str(config).map_err(PluginError::new)?;
        assert!(config["broken"] != true, "asked to");
        self.mended = config["mended"] == true;
        Ok(())
    }

    fn views() -> Vec<Json> {
        let names = ["panic", "error", "endless", "wrong", "huge", "sound"];
        names.map(|name| json!({ "name": name, "compute": { "model": "by_topic" } })).to_vec()
    }

    fn compute(view: &str, rows: &Json) -> Result<Json, PluginError> {
        match view {
            "panic" => panic!("asked to"),
            "endless" => loop {
                std::thread::park();
            },
            "wrong" => Ok(json!({ "columns": [{ "name": "a", "kind": "int" }], "rows": [["x"]] })),
            "huge" => Ok(json!("x".repeat(5 << 20))),
            "sound" => Ok(json!({
                "columns": [{ "name": "rows", "kind": "int" }],
                "rows": [[rows.as_array().map(Vec::len)]],
            })),
            _ => Err(PluginError::new("asked to fail")),
        }
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.rows::<Event>() {
            match message.wish() {
                Some("panic") if !self.mended => panic!("asked to"),
                Some("error") if !self.mended => return Err(PluginError::new("asked to fail")),
                Some("loop") if !self.mended => loop {
                    std::hint::spin_loop();
                },
                Some("block") if !self.mended => loop {
                    std::thread::park();
                },
                Some("abort") => std::process::abort(),
                Some("exit") => std::process::exit(0),
                // SAFETY: it is not, that is the point; only a worker process is asked for it.
                Some("segfault") => unsafe { std::ptr::null_mut::<u8>().write_volatile(1) },
                wish => {
                    if wish == Some("print") {
                        println!("printed by a plugin");
                    }
                    self.by_topic.at(&message, (message.topic_sym(),)).add((1,));
                }
            }
        }
        Ok(())
    }
}

/// Messages per hour and topic.
#[derive(Models, Default)]
pub struct Hourly {
    #[model(window = "1h", dimensions = ["topic"], measures = ["count"], rollups = ["1d"])]
    by_hour: Rollup<(Sym,), (Count,)>,
}

impl Stat for Hourly {
    const INFO: StatInfo =
        StatInfo { ident: "odd-hourly", title: "Messages per hour and topic", ..StatInfo::DEFAULT };

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.messages() {
            self.by_hour.at(&message, (message.topic_sym(),)).add((1,));
        }
        Ok(())
    }
}

/// Messages per day.
#[derive(Models, Default)]
pub struct Daily {
    #[model(window = "1d", measures = ["count"])]
    by_day: Rollup<(), (Count,)>,
}

impl Stat for Daily {
    const INFO: StatInfo =
        StatInfo { ident: "odd-daily", title: "Messages per day", ..StatInfo::DEFAULT };

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.messages() {
            self.by_day.at(&message, ()).add((1,));
        }
        Ok(())
    }
}

export_plugin!(Odd, Slow, Flood, Hourly, Daily);
