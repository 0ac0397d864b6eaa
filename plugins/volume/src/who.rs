//! Whose message it is.
//!
//! The history names the users of a message itself; on the wire only the sender's name is there.
//! The first of these that the message has decides, in this order:
//!
//! | where | what |
//! | --- | --- |
//! | `/users` | array of names: what the archive found in the message; empty = nobody |
//! | `/agent_name` | name of who caused it |
//! | `/username` | name of who sent it |
//!
//! To learn users from elsewhere in messages, add a field to [`Event`] and a line to [`named`].

use std::collections::BTreeSet;

use statmill_plugin_api::prelude::*;
use statmill_plugin_api::serde_json;

fields! {
    /// Where users are named.
    pub(crate) struct Event {
        users: raw "/users",
        agent_name: sym "/agent_name",
        username: sym "/username",
    }
}

/// Calls `visit` with each user of `message`, once.
pub(crate) fn each_user(message: &Event<'_>, mut visit: impl FnMut(Label<'_>)) {
    match message.users().and_then(listed) {
        Some(users) => users.iter().for_each(|user| visit(Label::Text(user))),
        None => {
            if let Some(user) = named(message) {
                visit(Label::Sym(user));
            }
        }
    }
}

/// The one user that the message names; names of other types are none.
fn named(message: &Event<'_>) -> Option<Sym> {
    message.agent_name().or_else(|| message.username())
}

/// The distinct names in a JSON array; none if it is no array of names.
fn listed(users: &[u8]) -> Option<BTreeSet<String>> {
    serde_json::from_slice(users).ok()
}
