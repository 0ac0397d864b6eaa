//! A stat that makes far too much of a message.

use statmill_plugin_api::prelude::*;

fields! {
    /// What is read of each message.
    pub struct Wish { wish: str "/do" }
}

/// Messages by number and text, of some far too many or too large.
#[derive(Models, Default)]
pub(crate) struct Flood {
    #[model(dimensions = ["number", "text"], measures = ["count"])]
    by_number: Rollup<(i64, Text), (Count,)>,
}

impl Stat for Flood {
    const INFO: StatInfo =
        StatInfo { ident: "odd-flood", title: "Far too many rows", ..StatInfo::DEFAULT };
    const FIELDS: Fields = Wish::FIELDS;

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.rows::<Wish>() {
            let rows = if message.wish() == Some("flood") { 1_000_000 } else { 1 };
            for number in 0..rows {
                self.by_number.at(&message, (number, "")).add((1,));
            }
            if message.wish() == Some("fat") {
                self.by_number.at(&message, (0, &"x".repeat(2 << 20))).add((1,));
            }
        }
        Ok(())
    }
}
