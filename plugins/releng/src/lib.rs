//! What release engineering last did, with statscache's ident, columns and layout: `release-engineering-event-logs`.
//!
//! Input: messages about composes, repository updates, cloud images and installable artifacts, a module each. Model: one
//! row for each category and thing in it, that of the newest event; memory O(things touched between two checkpoints).
//! Rows: `category`, `category_constraint` (the thing), `timestamp` (of the event), `message` (JSON text for the dashboard).
//!
//! A message that lacks what its module needs is no event.

mod artifacts;
mod compose;
mod event;
mod images;
mod layout;
mod updates;

use statmill_plugin_api::prelude::*;
use statmill_plugin_api::serde_json::Value as Json;

use event::{Logged, Topic};

fields! {
    /// What is read of each message.
    pub struct Event {
        arch: str "/msg/arch",
        release: raw "/msg/release",
        repo: raw "/msg/repo",
        status: str "/msg/status",
        image_name: str "/msg/image_name",
        destination: str "/msg/destination",
        image_id: str "/msg/extra/id",
        owner: str "/msg/owner",
        method: str "/msg/method",
        srpm: str "/msg/srpm",
        state: str "/msg/new",
        info: raw "/msg/info",
        link: str "/meta/link",
    }
}

/// The newest event of each thing that release engineering makes.
#[derive(Models, Default)]
pub struct EventLogs {
    #[model(
        dimensions = ["category", "category_constraint"],
        measures = ["timestamp", "message"],
        index = "timestamp"
    )]
    events: Rollup<(Text, Option<Text>), (Max<Time>, Last<Text>)>,
    topics: Memo<Topic>,
}

impl Stat for EventLogs {
    const INFO: StatInfo = StatInfo {
        ident: "release-engineering-event-logs",
        title: "Release engineering event logs",
        summary: "Release engineering event logs, organized by category.",
        description: "The newest event of each compose, repository, cloud image and artifact of \
                      Fedora's release engineering, for a dashboard of what is going on.",
        ..StatInfo::DEFAULT
    };
    const FIELDS: Fields = Event::FIELDS;

    fn layout() -> Json {
        layout::layout()
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.rows::<Event>() {
            let topic = self.topics.get(&message, message.topic_sym(), Topic::of);
            let event = match topic {
                Topic::Compose(step) => Some(compose::event(step, &message)),
                Topic::Updates { distribution } => updates::event(distribution, &message),
                Topic::Images => images::event(&message),
                Topic::Other => None,
            };
            for Logged { category, thing, message: text } in
                event.into_iter().chain(artifacts::event(&message))
            {
                let text = text.to_string();
                self.events
                    .at(&message, (&category, Some(&thing)))
                    .add((message.time(), text.as_str()));
            }
        }
        Ok(())
    }
}

statmill_plugin_api::export_plugin!(EventLogs);

#[cfg(test)]
mod tests {
    use statmill_plugin_api::testing;

    use super::*;

    /// The rows of messages, each a topic after `org.fedoraproject.prod.`, a time, and the rest.
    pub(crate) fn rows(messages: &[(&str, f64, &str)]) -> String {
        let message = |(topic, time, rest): &(&str, f64, &str)| {
            format!(r#"{{"topic": "org.fedoraproject.prod.{topic}", "timestamp": {time}, {rest}}}"#)
        };
        let messages: Vec<_> = messages.iter().map(message).collect();
        let messages: Vec<_> = messages.iter().map(String::as_str).collect();
        let rows = testing::fold::<EventLogs>(&messages).rows("events");
        let header = "category,category_constraint,timestamp,message\n";
        rows.strip_prefix(header).expect("the columns").replace("\"\"", "'").replace('"', "")
    }

    #[test]
    fn the_newest_event_of_a_thing_is_its_row_in_whatever_order_they_come() {
        let start = ("compose.rawhide.rsync.start", 7.5, r#""msg": {"arch": "arm"}"#);
        let complete = ("compose.rawhide.rsync.complete", 9.0, r#""msg": {"arch": "arm"}"#);
        let newest = "compose-rawhide_arm,rsync,9.0,{'name':'Rsync','status':'complete'}\n";
        assert_eq!(rows(&[start, complete]), newest);
        assert_eq!(rows(&[complete, start]), newest);
    }
}
