//! Messages per topic: as a plugin of any API version would write it.

use statmill_plugin_api::prelude::*;

/// Messages per topic.
#[derive(Models, Default)]
pub struct Volume {
    #[model(dimensions = ["topic"], measures = ["count"])]
    by_topic: Rollup<(Sym,), Count>,
}

impl Stat for Volume {
    const INFO: StatInfo =
        StatInfo { ident: "volume", title: "Messages per topic", ..StatInfo::DEFAULT };

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.messages() {
            self.by_topic.at(&message, (message.topic_sym(),)).add(1);
        }
        Ok(())
    }
}

export_plugin!(Volume);
