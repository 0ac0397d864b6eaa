//! Contributions in all.

use statmill_plugin_api::prelude::*;

use crate::{DAY, TOPICS};

/// Contributions in each day.
#[derive(Models, Default)]
pub struct Total {
    #[model(window = interval, stamp = "end", measures = ["volume"])]
    contributions: Rollup<(), Count>,
}

impl Stat for Total {
    const INFO: StatInfo = StatInfo {
        ident: "number-of-contribution-to-pagure.io",
        title: "Number of contribution to pagure.io",
        summary: "Contributions to pagure.io in each day.",
        description: "How many messages there were from pagure.io in each day.",
        interval: Some(DAY),
        ..StatInfo::DEFAULT
    };
    const TOPICS: &'static [&'static str] = TOPICS;

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.messages() {
            self.contributions.at(&message, ()).add(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use statmill_plugin_api::testing;

    use super::*;

    #[test]
    fn only_the_messages_of_the_real_pagure_io_count() {
        let folded = testing::fold::<Total>(&[
            r#"{"topic": "io.pagure.prod.pagure.issue.new", "timestamp": 86400}"#,
            r#"{"topic": "io.pagure.prod.pagure.git.receive", "timestamp": 172799.5}"#,
            r#"{"topic": "io.pagure.stg.pagure.issue.new", "timestamp": 86401}"#,
            r#"{"topic": "org.fedoraproject.prod.pagure.issue.new", "timestamp": 86401}"#,
        ]);
        assert_eq!(folded.rows("contributions"), "timestamp,volume\n172800.0,2\n");
    }

    #[test]
    fn the_ident_is_statscaches() {
        assert_eq!(Total::INFO.full_ident(), "number-of-contribution-to-pagure.io-1d");
    }
}
