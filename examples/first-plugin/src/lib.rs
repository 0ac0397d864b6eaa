//! How busy each hour is, and how long things take in it.
//!
//! Input: every message; `/msg/timing/elapsed_ms` is read.
//! Model: `by_hour`, one row per hour and topic.
//! Rows: `time` (start of the hour), `topic`, `count` (messages), `took_p50`, `took_p99` (ms),
//! `took_count` (messages that say how long they took).

use statmill_plugin_api::prelude::*;

fields! {
    /// What is read of each message, besides its topic and time.
    pub struct Event { took_ms: int "/msg/timing/elapsed_ms" }
}

/// How busy each hour is, and how long things take in it.
#[derive(Models, Default)]
pub struct BusyHours {
    #[model(
        window = "1h",
        dimensions = ["topic"],
        measures = ["count", "took"(unit = "ms", show = [0.5, 0.99])]
    )]
    by_hour: Rollup<(Sym,), (Count, Option<Quantiles<i64>>)>,
}

impl Stat for BusyHours {
    const INFO: StatInfo =
        StatInfo { ident: "busy-hours", title: "Busy hours", ..StatInfo::DEFAULT };
    const FIELDS: Fields = Event::FIELDS;

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.rows::<Event>() {
            self.by_hour.at(&message, (message.topic_sym(),)).add((1, message.took_ms()));
        }
        Ok(())
    }
}

export_plugin!(BusyHours);

#[cfg(test)]
mod tests {
    use statmill_plugin_api::testing;

    use super::*;

    #[test]
    fn messages_count_in_the_hour_they_are_from() {
        let folded = testing::fold::<BusyHours>(&[
            r#"{"topic": "a.b", "timestamp": 3600, "msg": {"timing": {"elapsed_ms": 7}}}"#,
            r#"{"topic": "a.b", "timestamp": 7199.9}"#,
            r#"{"topic": "a.c", "timestamp": 7200, "msg": {"timing": null}}"#,
        ]);
        assert_eq!(
            folded.rows("by_hour"),
            "time,topic,count,took_p50,took_p99,took_count\n\
             3600.0,a.b,2,7,7,1\n\
             7200.0,a.c,1,,,0\n"
        );
    }
}
