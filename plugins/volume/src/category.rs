//! Messages by category, the fourth word of the topic.

use std::ops::Range;

use statmill_plugin_api::prelude::*;

/// Messages by category in windows of `SECONDS`. A topic of fewer than four words has no category
/// and is not counted.
#[derive(Models, Default)]
pub struct ByCategory<const SECONDS: u64> {
    #[model(window = interval, stamp = "end", dimensions = ["category"], measures = ["volume"])]
    by_category: Rollup<(Text,), Count>,
    /// Where in a topic its category is.
    categories: Memo<Option<Range<usize>>>,
}

impl<const SECONDS: u64> Stat for ByCategory<SECONDS> {
    const INFO: StatInfo = StatInfo {
        ident: "volume-by-category",
        title: "Volume, by category",
        summary: "Messages in each window, by category.",
        description: "How many messages of each category there were in each window of time. The \
                      category is the fourth word of the topic: `bodhi` in \
                      `org.fedoraproject.prod.bodhi.update.comment`.",
        interval: Some(SECONDS),
        ..StatInfo::DEFAULT
    };

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.messages() {
            let category = self.categories.get(&message, message.topic_sym(), category);
            if let Some(category) = category.clone() {
                self.by_category.at(&message, (&message.topic()[category],)).add(1);
            }
        }
        Ok(())
    }
}

/// Where the fourth word of `topic` is.
fn category(topic: &str) -> Option<Range<usize>> {
    let word = topic.split('.').nth(3)?;
    let start = word.as_ptr() as usize - topic.as_ptr() as usize;
    Some(start..start + word.len())
}

#[cfg(test)]
mod tests {
    use statmill_plugin_api::testing;

    use super::*;

    #[test]
    fn the_fourth_word_of_the_topic_is_the_category() {
        let folded = testing::fold::<ByCategory<86_400>>(&[
            r#"{"topic": "org.fedoraproject.prod.git.receive", "timestamp": 1344350850}"#,
            r#"{"topic": "org.fedoraproject.stg.git.branch", "timestamp": 1344350851}"#,
            r#"{"topic": "org.fedoraproject.prod.bodhi", "timestamp": 1344350852}"#,
            r#"{"topic": "org.fedoraproject.prod.git.receive", "timestamp": 1344470400}"#,
        ]);
        assert_eq!(
            folded.rows("by_category"),
            "timestamp,category,volume\n\
             1344384000.0,bodhi,1\n\
             1344384000.0,git,2\n\
             1344556800.0,git,1\n"
        );
    }

    #[test]
    fn a_topic_of_fewer_words_has_no_category() {
        let folded = testing::fold::<ByCategory<1>>(&[r#"{"topic": "a.b.c", "timestamp": 1}"#]);
        assert_eq!(folded.rows("by_category"), "timestamp,category,volume\n");
    }

    #[test]
    fn an_empty_word_is_a_word() {
        assert_eq!(category("a.b.c."), Some(6..6));
        assert_eq!(category("a.b.c.dd.e"), Some(6..8));
        assert_eq!(category("a.b.c"), None);
    }
}
