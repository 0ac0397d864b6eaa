//! Names that a message itself lists: the history's arrays, and the headers of fedora-messaging.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use statmill_plugin_api::serde_json;

const SCHEMA: &str = "fedora_messaging_schema";
/// The schema of messages that say nothing of their kind, such as those carried over from fedmsg.
const NO_SCHEMA: &str = "base.message";

/// The distinct names in a JSON array; `None` if it is no array of names.
pub(crate) fn names(array: &[u8]) -> Option<BTreeSet<String>> {
    let mut names: BTreeSet<String> = serde_json::from_slice(array).ok()?;
    names.remove("");
    Some(names)
}

/// The names in headers `PREFIXname: true`; `None` if the headers cannot say whether there is any.
pub(crate) fn in_headers(headers: &[u8], prefix: &str) -> Option<BTreeSet<String>> {
    let mut reader = serde_json::Deserializer::from_slice(headers);
    let (names, has_schema) = reader.deserialize_map(Headers { prefix }).ok()?;
    // A sender with a schema lists all users and packages of a message, and so lists none where there is none.
    (has_schema || !names.is_empty()).then_some(names)
}

struct Headers<'a> {
    prefix: &'a str,
}

impl<'de> Visitor<'de> for Headers<'_> {
    type Value = (BTreeSet<String>, bool);

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("headers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut headers: A) -> Result<Self::Value, A::Error> {
        let (mut names, mut has_schema) = (BTreeSet::new(), false);
        while let Some(key) = headers.next_key::<String>()? {
            if key == SCHEMA {
                let schema: serde_json::Value = headers.next_value()?;
                has_schema = schema.as_str().is_some_and(|schema| schema != NO_SCHEMA);
            } else if let Some(name) = key.strip_prefix(self.prefix).filter(|name| !name.is_empty())
            {
                if headers.next_value::<serde_json::Value>()? == true {
                    names.insert(name.to_owned());
                } else {
                    names.remove(name);
                }
            } else {
                headers.next_value::<IgnoredAny>()?;
            }
        }
        Ok((names, has_schema))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(headers: &str) -> Option<Vec<String>> {
        in_headers(headers.as_bytes(), "fedora_messaging_user_")
            .map(|names| names.into_iter().collect())
    }

    #[test]
    fn a_header_that_is_true_names_a_user() {
        let headers = r#"{"fedora_messaging_user_jo": true, "fedora_messaging_user_kim": false,
            "fedora_messaging_rpm_kernel": true, "fedora_messaging_user_": true}"#;
        assert_eq!(users(headers), Some(vec!["jo".to_owned()]));
    }

    #[test]
    fn with_a_schema_headers_without_names_say_that_there_are_none() {
        assert_eq!(users(r#"{"fedora_messaging_schema": "bodhi.update.comment"}"#), Some(vec![]));
        assert_eq!(users(r#"{"fedora_messaging_schema": "base.message"}"#), None);
        assert_eq!(users("{}"), None);
        assert_eq!(users("null"), None);
    }
}
