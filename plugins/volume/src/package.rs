//! Messages by package.

use statmill_mentions::Packages;
use statmill_mentions::packages::Event;
use statmill_plugin_api::prelude::*;

/// Messages by package in windows of `SECONDS`: a message counts once for each of its packages, and a
/// message without one is not counted.
#[derive(Models, Default)]
pub struct ByPackage<const SECONDS: u64> {
    #[model(window = interval, stamp = "end", dimensions = ["package"], measures = ["volume"])]
    by_package: Rollup<(SymOrText,), Count>,
    packages: Packages,
}

impl<const SECONDS: u64> Stat for ByPackage<SECONDS> {
    const INFO: StatInfo = StatInfo {
        ident: "volume-by-package",
        title: "Volume, by package",
        summary: "Messages in each window, by package.",
        description: "How many messages about each package there were in each window of time. Packages \
                      are those that the history or the headers name, else those that the body names \
                      where messages of its topic do.",
        interval: Some(SECONDS),
        ..StatInfo::DEFAULT
    };
    const FIELDS: Fields = Event::FIELDS;

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.rows::<Event>() {
            self.packages.each(&message, |package| self.by_package.at(&message, (package,)).add(1));
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
        let folded = testing::fold::<ByPackage<60>>(&[
            r#"{"topic": "t", "timestamp": 1, "packages": ["kernel", "b"]}"#,
            r#"{"topic": "t", "timestamp": 2, "headers": {"fedora_messaging_rpm_kernel": true}}"#,
            r#"{"topic": "a.b.prod.buildsys.tag", "timestamp": 3, "msg": {"name": "k\u0065rnel"}}"#,
            r#"{"topic": "a.b.prod.buildsys.tag", "timestamp": 4, "packages": [], "msg": {"name": "kernel"}}"#,
            r#"{"topic": "t", "timestamp": 60, "package": "kernel"}"#,
        ]);
        assert_eq!(
            folded.rows("by_package"),
            "timestamp,package,volume\n60.0,b,1\n60.0,kernel,3\n"
        );
    }
}
