//! What goes on, by topic, user and package: five statistics of messages like Fedora's.
//!
//! | stat | models | counted |
//! | --- | --- | --- |
//! | `activity-volume` | per minute; per topic and hour | every message |
//! | `activity-users` | per user | messages with a `/username` |
//! | `activity-packages` | per package | Bodhi's messages with a `/msg/package/name` |
//! | `activity-latest` | newest message per topic and user | messages with `/username` and `/msg_id` |
//! | `activity-elapsed` | histogram and quantiles per topic | messages with a `/msg/timing/elapsed_ms` |
//!
//! A value that is absent, `null` or of another type does not count.

mod elapsed;
mod latest;
mod packages;
mod users;
mod volume;

pub use elapsed::Elapsed;
pub use latest::Latest;
pub use packages::Packages;
pub use users::Users;
pub use volume::Volume;

use statmill_plugin_api::export_plugin;

export_plugin!(Volume, Users, Packages, Latest, Elapsed);
