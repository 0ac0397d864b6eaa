//! A stat that takes its time.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use statmill_plugin_api::prelude::*;
use statmill_plugin_api::serde_json::{self, Value as Json};

/// Messages per topic, slowly.
#[derive(Models, Default)]
pub(crate) struct Slow {
    #[model(dimensions = ["topic"], measures = ["count"])]
    by_topic: Rollup<(Sym,), (Count,)>,
    /// As long as this file is there.
    slow_while: Option<PathBuf>,
    /// It computes instead of sleeping.
    burns: bool,
}

/// What it takes for a message.
const SLOW: Duration = Duration::from_millis(2);

impl Stat for Slow {
    const INFO: StatInfo =
        StatInfo { ident: "odd-slow", title: "Messages per topic, slowly", ..StatInfo::DEFAULT };

    fn configure(&mut self, config: &str) -> Result<(), PluginError> {
        let config: Json = serde_json::from_str(config)?;
        self.slow_while = config["slow_while"].as_str().map(PathBuf::from);
        self.burns = config["burns"] == true;
        Ok(())
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.messages() {
            if self.slow_while.as_ref().is_some_and(|file| file.exists()) {
                let until = Instant::now() + SLOW;
                while Instant::now() < until {
                    if !self.burns {
                        std::thread::sleep(SLOW);
                    }
                }
            }
            self.by_topic.at(&message, (message.topic_sym(),)).add((1,));
        }
        Ok(())
    }
}
