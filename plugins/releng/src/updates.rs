//! Updates that were synced out: by distribution, each repository of each release.

use statmill_plugin_api::serde_json::{self, Value as Json, json};

use crate::Event;
use crate::event::Logged;

pub(crate) fn event(distribution: &str, message: &Event<'_>) -> Option<Logged> {
    let name = format!("{}-{}", plain(message.release()?)?, plain(message.repo()?)?);
    Some(Logged {
        category: format!("updates-{distribution}"),
        message: json!({ "name": name, "status": "synced out" }),
        thing: name,
    })
}

/// A text or a number as text.
fn plain(value: &[u8]) -> Option<String> {
    match serde_json::from_slice(value).ok()? {
        Json::String(text) => Some(text),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::rows;

    #[test]
    fn each_repository_of_each_release_has_one_row_however_often_it_is_synced() {
        let rows = rows(&[
            ("bodhi.updates.fedora.sync", 1.0, r#""msg": {"release": "19", "repo": "updates"}"#),
            ("bodhi.updates.fedora.sync", 2.0, r#""msg": {"release": 19, "repo": "updates"}"#),
            ("bodhi.updates.epel.sync", 3.0, r#""msg": {"release": "6", "repo": "epel-testing"}"#),
            ("bodhi.updates.epel.sync", 4.0, r#""msg": {"release": "6"}"#),
        ]);
        assert_eq!(
            rows,
            "updates-epel,6-epel-testing,3.0,{'name':'6-epel-testing','status':'synced out'}\n\
             updates-fedora,19-updates,2.0,{'name':'19-updates','status':'synced out'}\n"
        );
    }
}
