//! Messages by topic.

use statmill_plugin_api::prelude::*;

/// Messages by topic in windows of `SECONDS`.
#[derive(Models, Default)]
pub struct ByTopic<const SECONDS: u64> {
    #[model(window = interval, stamp = "end", dimensions = ["topic"], measures = ["volume"])]
    by_topic: Rollup<(Sym,), Count>,
}

impl<const SECONDS: u64> Stat for ByTopic<SECONDS> {
    const INFO: StatInfo = StatInfo {
        ident: "volume-by-topic",
        title: "Volume, by topic",
        summary: "Messages in each window, by topic.",
        description: "How many messages of each topic there were in each window of time.",
        interval: Some(SECONDS),
        ..StatInfo::DEFAULT
    };

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.messages() {
            self.by_topic.at(&message, (message.topic_sym(),)).add(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use statmill_plugin_api::testing;

    use super::*;

    #[test]
    fn each_topic_has_its_row_in_each_window() {
        let folded = testing::fold::<ByTopic<5>>(&[
            r#"{"topic": "b", "timestamp": 4.5}"#,
            r#"{"topic": "a", "timestamp": 0}"#,
            r#"{"topic": "a", "timestamp": 4}"#,
            r#"{"topic": "a", "timestamp": 5}"#,
        ]);
        assert_eq!(folded.rows("by_topic"), "timestamp,topic,volume\n5.0,a,2\n5.0,b,1\n10.0,a,1\n");
    }
}
