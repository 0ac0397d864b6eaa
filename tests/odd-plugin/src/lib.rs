//! A stat that misbehaves on request.
//!
//! Input: `/do`; `panic` and `error` do as they say whenever they are folded, anything else is counted.
//! Model: `by_topic`, messages per topic.

use statmill_plugin_api::prelude::*;

fields! {
    /// What is read of each message.
    pub struct Event { wish: str "/do" }
}

/// Messages per topic, unless asked to fail.
#[derive(Models, Default)]
pub struct Odd {
    #[model(dimensions = ["topic"], measures = ["count"])]
    by_topic: Rollup<(Sym,), (Count,)>,
}

impl Stat for Odd {
    const INFO: StatInfo =
        StatInfo { ident: "odd", title: "Messages per topic, sometimes", ..StatInfo::DEFAULT };
    const FIELDS: Fields = Event::FIELDS;

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.rows::<Event>() {
            match message.wish() {
                Some("panic") => panic!("asked to"),
                Some("error") => return Err(PluginError::new("asked to fail")),
                _ => self.by_topic.at(&message, (message.topic_sym(),)).add((1,)),
            }
        }
        Ok(())
    }
}

export_plugin!(Odd);
