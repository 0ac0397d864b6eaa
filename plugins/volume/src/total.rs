//! Messages in all.

use statmill_plugin_api::prelude::*;

/// Messages in windows of `SECONDS`.
#[derive(Models, Default)]
pub struct Total<const SECONDS: u64> {
    #[model(window = interval, stamp = "end", measures = ["volume"])]
    volume: Rollup<(), Count>,
}

impl<const SECONDS: u64> Stat for Total<SECONDS> {
    const INFO: StatInfo = StatInfo {
        ident: "volume",
        title: "Volume",
        summary: "Messages in each window.",
        description: "How many messages there were in each window of time, whatever their topic.",
        interval: Some(SECONDS),
        ..StatInfo::DEFAULT
    };

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.messages() {
            self.volume.at(&message, ()).add(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use statmill_plugin_api::testing;

    use super::*;

    #[test]
    fn a_message_counts_in_the_window_it_lies_in_and_shows_the_windows_end() {
        let folded = testing::fold::<Total<15>>(&[
            r#"{"topic": "a.b.c.d", "timestamp": 1368038910}"#,
            r#"{"topic": "short", "timestamp": 1368038924.999999}"#,
            r#"{"topic": "a.b.c.d", "timestamp": 1368038925}"#,
        ]);
        assert_eq!(folded.rows("volume"), "timestamp,volume\n1368038925.0,2\n1368038940.0,1\n");
    }

    #[test]
    fn idents_are_statscaches() {
        let ident = |info: StatInfo| info.full_ident();
        assert_eq!(ident(Total::<1>::INFO), "volume-1s");
        assert_eq!(ident(Total::<60>::INFO), "volume-1m");
        assert_eq!(ident(Total::<86_400>::INFO), "volume-1d");
    }
}
