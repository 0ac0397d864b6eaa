//! Which users and packages a message is about, for the stats that count by them.
//!
//! The first of these that a message has decides:
//!
//! | where | what |
//! | --- | --- |
//! | `/users`, `/packages` | an array of names, as the history gives it; empty = nobody, nothing |
//! | `/headers` | `fedora_messaging_user_NAME: true`, `fedora_messaging_rpm_NAME: true`; without one, the schema's name says that there is none |
//! | the body | what the table of rules says for the topic: [`users::RULES`], [`packages::RULES`] |
//!
//! The body is `/msg`, or `/body` in fedora-messaging's form. It is looked at for messages of a topic with
//! a rule only, and of it only what the rule names. **To learn users or packages of another topic, add a
//! line to the table.**
//!
//! A stat reads [`users::Event`] and asks [`Users`] about each message; packages likewise:
//!
//! ```
//! use statmill_mentions::{Users, users};
//! use statmill_plugin_api::prelude::*;
//!
//! #[derive(Models, Default)]
//! pub struct ByUser {
//!     #[model(window = "1h", dimensions = ["user"], measures = ["count"])]
//!     by_user: Rollup<(SymOrText,), Count>,
//!     users: Users,
//! }
//!
//! # impl Stat for ByUser {
//! # const INFO: StatInfo = StatInfo { ident: "by-user", title: "By user", ..StatInfo::DEFAULT };
//! # const FIELDS: Fields = users::Event::FIELDS;
//! fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
//!     for message in batch.rows::<users::Event>() {
//!         self.users.each(&message, |user| self.by_user.at(&message, (user,)).add(1));
//!     }
//!     Ok(())
//! }
//! # }
//! ```

mod finder;
mod listed;
pub mod packages;
mod read;
mod rule;
pub mod users;
mod walk;

pub use packages::Packages;
pub use read::Read;
pub use rule::{Rule, Take};
pub use users::Users;
