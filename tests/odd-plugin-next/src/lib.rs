//! The next version of the odd stats, so that their rows are rebuilt.
//!
//! Input: nothing but the topic. Models: `by_topic` and `by_hour` as before, with another fold: twice the
//! messages; `by_day` has other measures. The other stats are as they were.

#[path = "../../odd-plugin/src/flood.rs"]
mod flood;
#[path = "../../odd-plugin/src/slow.rs"]
mod slow;

use statmill_plugin_api::prelude::*;

use self::flood::Flood;
use self::slow::Slow;

/// Twice the messages per topic.
#[derive(Models, Default)]
pub struct Odd {
    #[model(dimensions = ["topic"], measures = ["count"])]
    by_topic: Rollup<(Sym,), (Count,)>,
}

impl Stat for Odd {
    const INFO: StatInfo = StatInfo {
        ident: "odd",
        title: "Twice the messages per topic",
        fold_version: 1,
        ..StatInfo::DEFAULT
    };

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.messages() {
            self.by_topic.at(&message, (message.topic_sym(),)).add((2,));
        }
        Ok(())
    }
}

/// Twice the messages per hour and topic.
#[derive(Models, Default)]
pub struct Hourly {
    #[model(window = "1h", dimensions = ["topic"], measures = ["count"], rollups = ["1d"])]
    by_hour: Rollup<(Sym,), (Count,)>,
}

impl Stat for Hourly {
    const INFO: StatInfo = StatInfo {
        ident: "odd-hourly",
        title: "Twice the messages per hour and topic",
        fold_version: 1,
        ..StatInfo::DEFAULT
    };

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.messages() {
            self.by_hour.at(&message, (message.topic_sym(),)).add((2,));
        }
        Ok(())
    }
}

/// Messages per day, and the time of the last.
#[derive(Models, Default)]
pub struct Daily {
    #[model(window = "1d", measures = ["count", "newest"])]
    by_day: Rollup<(), (Count, Max<Time>)>,
}

impl Stat for Daily {
    const INFO: StatInfo = StatInfo {
        ident: "odd-daily",
        title: "Messages per day, and the time of the last",
        model_version: 2,
        ..StatInfo::DEFAULT
    };

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.messages() {
            self.by_day.at(&message, ()).add((1, message.time()));
        }
        Ok(())
    }
}

export_plugin!(Odd, Slow, Flood, Hourly, Daily);
