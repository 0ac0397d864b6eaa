//! How much is going on: messages in all, by category, topic, user and package, with statscache's idents
//! and columns (`volume-by-category-1d` and the like).
//!
//! Input: every message. Model: one row for each window and group that had a message, memory
//! O(groups touched between two checkpoints). Rows: `timestamp` (end of the window, UTC), the group,
//! `volume` (messages).
//!
//! Each is there for windows of 1 s, 5 s, 15 s, 1 min, 1 h and 1 day.

mod category;
mod package;
mod topic;
mod total;
mod user;

pub use category::ByCategory;
pub use package::ByPackage;
pub use topic::ByTopic;
pub use total::Total;
pub use user::ByUser;

use statmill_plugin_api::export_plugin;

export_plugin!(
    Total<1>,
    Total<5>,
    Total<15>,
    Total<60>,
    Total<3600>,
    Total<86_400>,
    ByCategory<1>,
    ByCategory<5>,
    ByCategory<15>,
    ByCategory<60>,
    ByCategory<3600>,
    ByCategory<86_400>,
    ByTopic<1>,
    ByTopic<5>,
    ByTopic<15>,
    ByTopic<60>,
    ByTopic<3600>,
    ByTopic<86_400>,
    ByUser<1>,
    ByUser<5>,
    ByUser<15>,
    ByUser<60>,
    ByUser<3600>,
    ByUser<86_400>,
    ByPackage<1>,
    ByPackage<5>,
    ByPackage<15>,
    ByPackage<60>,
    ByPackage<3600>,
    ByPackage<86_400>,
);
