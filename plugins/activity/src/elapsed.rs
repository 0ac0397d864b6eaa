//! How long things took, per topic.

use statmill_plugin_api::aggregate;
use statmill_plugin_api::prelude::*;

fields! {
    /// How long it took.
    pub struct Event { elapsed_ms: int "/msg/timing/elapsed_ms" }
}

/// How long things took, per topic: as a log-linear histogram and as quantiles.
#[derive(Models, Default)]
pub struct Elapsed {
    #[model(dimensions = ["topic", "bucket"], measures = ["count"])]
    histogram: Rollup<(Sym, i64), Count>,
    #[model(
        dimensions = ["topic"],
        measures = ["elapsed_ms"(unit = "ms", per_octave = 16, show = [0.5, 0.99])]
    )]
    quantiles: Rollup<(Sym,), Quantiles<i64>>,
}

impl Stat for Elapsed {
    const INFO: StatInfo = StatInfo {
        ident: "activity-elapsed",
        title: "Activity: elapsed time",
        summary: "How long things took, per topic.",
        ..StatInfo::DEFAULT
    };
    const FIELDS: Fields = Event::FIELDS;

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.rows::<Event>() {
            let Some(elapsed_ms) = message.elapsed_ms() else { continue };
            let topic = message.topic_sym();
            self.histogram.at(&message, (topic, bucket(elapsed_ms))).add(1);
            self.quantiles.at(&message, (topic,)).add(elapsed_ms);
        }
        Ok(())
    }
}

/// Number of a value's bucket: each value below 16, then 16 buckets per octave.
fn bucket(value: i64) -> i64 {
    match u64::try_from(value) {
        Ok(value) => aggregate::bucket(value).into(),
        // Clocks that ran backwards: a bucket each, as below 16.
        Err(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use statmill_plugin_api::testing;

    use super::*;

    #[test]
    fn buckets_are_sixteen_to_an_octave() {
        let expected =
            [(-3, -3), (0, 0), (15, 15), (16, 16), (31, 31), (32, 32), (33, 32), (1000, 111)];
        for (value, number) in expected {
            assert_eq!(bucket(value), number, "{value}");
        }
    }

    #[test]
    fn elapsed_times_are_a_histogram_and_quantiles_per_topic() {
        let folded = testing::fold::<Elapsed>(&[
            r#"{"topic": "t", "timestamp": 1, "msg": {"timing": {"elapsed_ms": 33}}}"#,
            r#"{"topic": "t", "timestamp": 2, "msg": {"timing": {"elapsed_ms": 32}}}"#,
            r#"{"topic": "t", "timestamp": 3, "msg": {"timing": {"elapsed_ms": 7}}}"#,
            r#"{"topic": "t", "timestamp": 4, "msg": {"timing": {"elapsed_ms": 1.5}}}"#,
            r#"{"topic": "t", "timestamp": 5, "msg": {"timing": {}}}"#,
            r#"{"topic": "t", "timestamp": 6}"#,
        ]);
        assert_eq!(folded.rows("histogram"), "topic,bucket,count\nt,7,1\nt,32,2\n");
        assert_eq!(
            folded.rows("quantiles"),
            "topic,elapsed_ms_p50,elapsed_ms_p99,elapsed_ms_count\nt,32,32,3\n"
        );
    }
}
