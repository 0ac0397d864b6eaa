//! Messages by user.

use statmill_mentions::Users;
use statmill_mentions::users::Event;
use statmill_plugin_api::prelude::*;

/// Messages by user in windows of `SECONDS`: a message counts once for each of its users, and a
/// message without one is not counted.
#[derive(Models, Default)]
pub struct ByUser<const SECONDS: u64> {
    #[model(window = interval, stamp = "end", dimensions = ["user"], measures = ["volume"])]
    by_user: Rollup<(SymOrText,), Count>,
    users: Users,
}

impl<const SECONDS: u64> Stat for ByUser<SECONDS> {
    const INFO: StatInfo = StatInfo {
        ident: "volume-by-user",
        title: "Volume, by user",
        summary: "Messages in each window, by user.",
        description: "How many messages of each user there were in each window of time. Users are \
                      those that the history or the headers name, else those that the body names \
                      where messages of its topic do.",
        fold_version: 1,
        interval: Some(SECONDS),
        ..StatInfo::DEFAULT
    };
    const FIELDS: Fields = Event::FIELDS;

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.rows::<Event>() {
            self.users.each(&message, |user| self.by_user.at(&message, (user,)).add(1));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use statmill_plugin_api::testing;

    use super::*;

    #[test]
    fn a_message_counts_once_for_each_of_its_users_wherever_their_names_stand() {
        let folded = testing::fold::<ByUser<60>>(&[
            r#"{"topic": "t", "timestamp": 1, "users": ["ralph", "b"]}"#,
            r#"{"topic": "t", "timestamp": 2, "headers": {"fedora_messaging_user_ralph": true}}"#,
            r#"{"topic": "a.b.prod.c", "timestamp": 3, "msg": {"agent": "ral\u0070h"}}"#,
            r#"{"topic": "a.b.prod.c", "timestamp": 4, "users": [], "msg": {"agent": "ralph"}}"#,
            r#"{"topic": "t", "timestamp": 60, "username": "apache"}"#,
        ]);
        assert_eq!(folded.rows("by_user"), "timestamp,user,volume\n60.0,b,1\n60.0,ralph,3\n");
    }
}
