//! Messages by user.

use statmill_plugin_api::prelude::*;

use crate::who::{self, Event};

/// Messages by user in windows of `SECONDS`: a message counts once for each of its users, and a
/// message without one is not counted.
#[derive(Models, Default)]
pub struct ByUser<const SECONDS: u64> {
    #[model(window = interval, stamp = "end", dimensions = ["user"], measures = ["volume"])]
    by_user: Rollup<(SymOrText,), Count>,
}

impl<const SECONDS: u64> Stat for ByUser<SECONDS> {
    const INFO: StatInfo = StatInfo {
        ident: "volume-by-user",
        title: "Volume, by user",
        summary: "Messages in each window, by user.",
        description: "How many messages of each user there were in each window of time. Users are \
                      those the history names in `/users`, else `/agent_name`, else `/username`.",
        interval: Some(SECONDS),
        ..StatInfo::DEFAULT
    };
    const FIELDS: Fields = Event::FIELDS;

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.rows::<Event>() {
            who::each_user(&message, |user| self.by_user.at(&message, (user,)).add(1));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use statmill_plugin_api::testing;

    use super::*;

    fn rows(messages: &[&str]) -> String {
        testing::fold::<ByUser<60>>(messages).rows("by_user")
    }

    #[test]
    fn a_message_counts_once_for_each_distinct_user() {
        let rows = rows(&[
            r#"{"topic": "t", "timestamp": 1, "users": ["b", "a", "b"], "username": "apache"}"#,
            r#"{"topic": "t", "timestamp": 2, "users": [], "username": "apache"}"#,
        ]);
        assert_eq!(rows, "timestamp,user,volume\n60.0,a,1\n60.0,b,1\n");
    }

    #[test]
    fn without_a_list_the_agent_counts_and_else_the_sender() {
        let rows = rows(&[
            r#"{"topic": "t", "timestamp": 1, "agent_name": "a", "username": "apache"}"#,
            r#"{"topic": "t", "timestamp": 2, "agent_name": null, "username": "ralph"}"#,
            r#"{"topic": "t", "timestamp": 3, "users": "ralph", "username": "ralph"}"#,
            r#"{"topic": "t", "timestamp": 4}"#,
            r#"{"topic": "t", "timestamp": 5, "username": 7}"#,
        ]);
        assert_eq!(rows, "timestamp,user,volume\n60.0,a,1\n60.0,ralph,2\n");
    }

    #[test]
    fn a_user_is_one_row_wherever_the_name_came_from() {
        let rows = rows(&[
            r#"{"topic": "t", "timestamp": 1, "users": ["ralph"]}"#,
            r#"{"topic": "t", "timestamp": 2, "agent_name": "ralph"}"#,
            r#"{"topic": "t", "timestamp": 3, "username": "ral\u0070h"}"#,
        ]);
        assert_eq!(rows, "timestamp,user,volume\n60.0,ralph,3\n");
    }
}
