//! Messages per package, of Bodhi's topics.

use statmill_plugin_api::prelude::*;

const BODHI: &str = "org.fedoraproject.prod.bodhi.";

fields! {
    /// Which package it is about.
    pub struct Event { package: sym "/msg/package/name" }
}

/// Messages per package, of the topics that begin with `org.fedoraproject.prod.bodhi.`.
#[derive(Models, Default)]
pub struct Packages {
    #[model(dimensions = ["package"], measures = ["count"], index = "count")]
    by_package: Rollup<(Sym,), Count>,
    /// Whether a topic begins so.
    is_bodhi: Memo<bool>,
}

impl Stat for Packages {
    const INFO: StatInfo = StatInfo {
        ident: "activity-packages",
        title: "Activity: packages",
        summary: "Messages of Bodhi per package.",
        ..StatInfo::DEFAULT
    };
    const FIELDS: Fields = Event::FIELDS;
    const TOPICS: &'static [&'static str] = &["org.fedoraproject.prod.bodhi.#"];

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.rows::<Event>() {
            let Some(package) = message.package() else { continue };
            // The pattern matches the bare `org.fedoraproject.prod.bodhi` too.
            let topic = message.topic_sym();
            if *self.is_bodhi.get(&message, topic, |topic| topic.starts_with(BODHI)) {
                self.by_package.at(&message, (package,)).add(1);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use statmill_plugin_api::testing;

    use super::*;

    #[test]
    fn only_topics_below_bodhi_count() {
        let message = |topic: &str| {
            format!(
                r#"{{"topic": "{topic}", "timestamp": 1, "msg": {{"package": {{"name": "k"}}}}}}"#
            )
        };
        let messages = [
            "org.fedoraproject.prod.bodhi.update.comment",
            "org.fedoraproject.prod.bodhi.updates",
            "org.fedoraproject.prod.bodhi",
            "org.fedoraproject.prod.bodhi2.update",
            "org.fedoraproject.stg.bodhi.update",
        ]
        .map(message);
        let folded = testing::fold::<Packages>(&messages.each_ref().map(String::as_str));
        assert_eq!(folded.rows("by_package"), "package,count\nk,2\n");
    }

    #[test]
    fn a_message_without_a_package_name_does_not_count() {
        let folded = testing::fold::<Packages>(&[
            r#"{"topic": "org.fedoraproject.prod.bodhi.x", "time": 1, "msg": {"package": null}}"#,
            r#"{"topic": "org.fedoraproject.prod.bodhi.x", "time": 1, "msg": {"package": "k"}}"#,
            r#"{"topic": "org.fedoraproject.prod.bodhi.x", "time": 1, "msg": {}}"#,
        ]);
        assert_eq!(folded.rows("by_package"), "package,count\n");
    }
}
