//! The next version of the stat `odd`: the same model, another fold, so that its rows are rebuilt.
//!
//! Input: nothing but the topic. Model: `by_topic`, twice the messages per topic.

use statmill_plugin_api::prelude::*;

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

export_plugin!(Odd);
