//! Contributions to pagure.io by day: in all, by user and by project, with statscache's idents and columns.
//!
//! Input: messages of topics that begin with `io.pagure.prod`. Models: one row for each day and group that
//! had a contribution. Rows: `timestamp` (end of the day, UTC), `user` or `project`, `volume` (messages).
//!
//! A message counts once for each of its users ([`statmill_mentions`]), and for the one project it is about.

mod project;
mod total;
mod user;

pub use project::ByProject;
pub use total::Total;
pub use user::ByUser;

use statmill_plugin_api::export_plugin;

/// What the topics of pagure.io begin with.
const TOPICS: &[&str] = &["io.pagure.prod.#"];
const DAY: u64 = 86_400;

export_plugin!(Total, ByUser, ByProject);
