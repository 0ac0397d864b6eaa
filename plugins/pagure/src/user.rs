//! Contributions by user.

use statmill_mentions::Users;
use statmill_mentions::users::Event;
use statmill_plugin_api::prelude::*;

use crate::{DAY, TOPICS};

/// Contributions by user in each day.
#[derive(Models, Default)]
pub struct ByUser {
    #[model(window = interval, stamp = "end", dimensions = ["user"], measures = ["volume"])]
    by_user: Rollup<(SymOrText,), Count>,
    users: Users,
}

impl Stat for ByUser {
    const INFO: StatInfo = StatInfo {
        ident: "number-of-contribution-per-user-to-pagure.io",
        title: "Number of contribution per user to pagure.io",
        summary: "Contributions to pagure.io in each day, by user.",
        description: "How many messages of each user there were from pagure.io in each day. A \
                      message counts once for each of its users.",
        interval: Some(DAY),
        ..StatInfo::DEFAULT
    };
    const FIELDS: Fields = Event::FIELDS;
    const TOPICS: &'static [&'static str] = TOPICS;

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
    fn who_pushed_is_the_agent_or_the_author_s_address() {
        let folded = testing::fold::<ByUser>(&[
            r#"{"topic": "io.pagure.prod.pagure.git.receive", "timestamp": 1, "msg": {"agent": "jo"}}"#,
            r#"{"topic": "io.pagure.prod.pagure.git.receive", "timestamp": 2,
                "msg": {"commit": {"email": "jo@fedoraproject.org"}}}"#,
            r#"{"topic": "io.pagure.prod.pagure.git.receive", "timestamp": 3,
                "msg": {"commit": {"email": "kim@example.org"}}}"#,
        ]);
        assert_eq!(
            folded.rows("by_user"),
            "timestamp,user,volume\n86400.0,jo,2\n86400.0,kim@example.org,1\n"
        );
    }
}
