//! Messages per user.

use statmill_plugin_api::prelude::*;

fields! {
    /// Who sent it.
    pub struct Event { username: sym "/username" }
}

/// Messages per user, over all time.
#[derive(Models, Default)]
pub struct Users {
    #[model(dimensions = ["username"], measures = ["count"], index = "count")]
    by_user: Rollup<(Sym,), Count>,
}

impl Stat for Users {
    const INFO: StatInfo = StatInfo {
        ident: "activity-users",
        title: "Activity: users",
        summary: "Messages per user.",
        ..StatInfo::DEFAULT
    };
    const FIELDS: Fields = Event::FIELDS;

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.rows::<Event>() {
            if let Some(user) = message.username() {
                self.by_user.at(&message, (user,)).add(1);
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
    fn a_user_is_one_row_however_the_name_is_escaped() {
        let folded = testing::fold::<Users>(&[
            r#"{"topic": "t", "timestamp": 1, "username": "jürgen"}"#,
            r#"{"topic": "t", "timestamp": 2, "username": "j\u00fcrgen"}"#,
            r#"{"topic": "t", "timestamp": 3, "username": null}"#,
            r#"{"topic": "t", "timestamp": 4, "msg": {"username": "decoy"}}"#,
            r#"{"topic": "t", "timestamp": 5, "username": ["list"]}"#,
        ]);
        assert_eq!(folded.rows("by_user"), "username,count\njürgen,2\n");
    }
}
