//! Messages per minute, and per topic and hour.

use statmill_plugin_api::prelude::*;

/// Messages per minute, and per topic and hour.
#[derive(Models, Default)]
pub struct Volume {
    #[model(window = "1m", measures = ["count"])]
    per_minute: Rollup<(), Count>,
    #[model(window = "1h", dimensions = ["topic"], measures = ["count"])]
    topic_hour: Rollup<(Sym,), Count>,
}

impl Stat for Volume {
    const INFO: StatInfo = StatInfo {
        ident: "activity-volume",
        title: "Activity: volume",
        summary: "Messages per minute, and per topic and hour.",
        ..StatInfo::DEFAULT
    };

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.messages() {
            self.per_minute.at(&message, ()).add(1);
            self.topic_hour.at(&message, (message.topic_sym(),)).add(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use statmill_plugin_api::testing;

    use super::*;

    #[test]
    fn every_message_counts_in_its_minute_and_in_its_topics_hour() {
        let folded = testing::fold::<Volume>(&[
            r#"{"topic": "b", "timestamp": 3599.999999}"#,
            r#"{"topic": "a", "timestamp": 3600}"#,
            r#"{"topic": "a", "timestamp": 3661}"#,
        ]);
        assert_eq!(folded.rows("per_minute"), "time,count\n3540.0,1\n3600.0,1\n3660.0,1\n");
        assert_eq!(folded.rows("topic_hour"), "time,topic,count\n0.0,b,1\n3600.0,a,2\n");
    }
}
