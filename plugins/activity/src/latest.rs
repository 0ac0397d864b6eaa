//! The newest message per topic and user.

use statmill_plugin_api::prelude::*;

fields! {
    /// Who sent it, and its id.
    pub struct Event { username: sym "/username", msg_id: str "/msg_id" }
}

/// The newest message per topic and user: its time and its id.
#[derive(Models, Default)]
pub struct Latest {
    #[model(dimensions = ["topic", "username"], measures = ["timestamp", "msg_id"])]
    latest: Rollup<(Sym, Sym), (Max<Time>, Last<Text>)>,
}

impl Stat for Latest {
    const INFO: StatInfo = StatInfo {
        ident: "activity-latest",
        title: "Activity: latest",
        summary: "The newest message per topic and user.",
        ..StatInfo::DEFAULT
    };
    const FIELDS: Fields = Event::FIELDS;

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.rows::<Event>() {
            // Without an id the time and the id of the row would be of different messages.
            if let (Some(user), Some(id)) = (message.username(), message.msg_id()) {
                self.latest.at(&message, (message.topic_sym(), user)).add((message.time(), id));
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
    fn the_newest_event_time_wins_in_whatever_order_messages_come() {
        let folded = testing::fold::<Latest>(&[
            r#"{"topic": "t", "timestamp": 7.25, "username": "a", "msg_id": "new"}"#,
            r#"{"topic": "t", "timestamp": 3.5, "username": "a", "msg_id": "old"}"#,
            r#"{"topic": "t", "timestamp": 5, "username": "b", "msg_id": "other"}"#,
            r#"{"topic": "t", "timestamp": 9, "username": null, "msg_id": "nobody"}"#,
            r#"{"topic": "t", "timestamp": 9, "username": "a"}"#,
        ]);
        assert_eq!(
            folded.rows("latest"),
            "topic,username,timestamp,msg_id\nt,a,7.25,new\nt,b,5.0,other\n"
        );
    }

    #[test]
    fn of_equal_times_the_later_offset_wins() {
        let folded = testing::fold::<Latest>(&[
            r#"{"topic": "t", "timestamp": 7, "username": "a", "msg_id": "first"}"#,
            r#"{"topic": "t", "timestamp": 7, "username": "a", "msg_id": "second"}"#,
        ]);
        assert_eq!(folded.rows("latest"), "topic,username,timestamp,msg_id\nt,a,7.0,second\n");
    }
}
