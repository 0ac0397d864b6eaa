//! The texts at a place of a JSON text, without reading the rest into memory.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use statmill_plugin_api::serde_json;

/// Appends the texts at `place` of `body`, or the keys of the objects there, to `found`. Adds nothing where the body is
/// not sound.
pub(crate) fn texts(body: &[u8], place: &str, keys: bool, found: &mut Vec<String>) {
    let before = found.len();
    let mut reader = serde_json::Deserializer::from_slice(body);
    let at = At { place, keys, found: &mut *found };
    if at.deserialize(&mut reader).is_err() {
        found.truncate(before);
    }
}

/// What is looked for in a value: what is left of the place.
struct At<'a> {
    place: &'a str,
    keys: bool,
    found: &'a mut Vec<String>,
}

impl At<'_> {
    /// The next step, and how to go on from there.
    fn step(&mut self) -> Option<(&str, At<'_>)> {
        let rest = self.place.strip_prefix('/')?;
        let (step, _) = rest.split_once('/').unwrap_or((rest, ""));
        let place = &rest[step.len()..];
        Some((step, At { place, keys: self.keys, found: self.found }))
    }
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if self.place.is_empty() && !self.keys {
            self.found.push(text.to_owned());
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let before = self.found.len();
        let keys = self.keys;
        let Some((step, _)) = self.step() else {
            while let Some(key) = members.next_key::<String>()? {
                if keys {
                    self.found.push(key);
                }
                members.next_value::<IgnoredAny>()?;
            }
            return Ok(());
        };
        let step = step.to_owned();
        while let Some(is_it) = members.next_key_seed(Is(&step))? {
            let Some((_, next)) = self.step().filter(|_| is_it) else {
                members.next_value::<IgnoredAny>()?;
                continue;
            };
            if step != "*" {
                // Of equal keys the last one counts.
                next.found.truncate(before);
            }
            members.next_value_seed(next)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        let wanted = self.step().map(|(step, _)| (step == "*", step.parse::<usize>().ok()));
        for index in 0_usize.. {
            let is_it = wanted.is_some_and(|(all, number)| all || number == Some(index));
            let is_there = match self.step().filter(|_| is_it) {
                Some((_, next)) => elements.next_element_seed(next)?.is_some(),
                None => elements.next_element::<IgnoredAny>()?.is_some(),
            };
            if !is_there {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Whether a key is the one that a step names.
struct Is<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<bool, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(self.0 == "*" || self.0 == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(body: &str, place: &str, keys: bool) -> Vec<String> {
        let mut found = Vec::new();
        texts(body.as_bytes(), place, keys, &mut found);
        found
    }

    #[test]
    fn a_place_leads_through_objects_and_arrays() {
        let body = r#"{"a": {"b": ["x", {"c": "y"}, {"c": "z"}, 7, null]}, "d": "no"}"#;
        assert_eq!(found(body, "/a/b/0", false), ["x"]);
        assert_eq!(found(body, "/a/b/*/c", false), ["y", "z"]);
        assert_eq!(found(body, "/a/b/*", false), ["x"]);
        assert_eq!(found(body, "/*", false), ["no"]);
        assert!(found(body, "/a/b/9", false).is_empty());
        assert!(found(body, "/a", false).is_empty());
        assert!(found(body, "/d/e", false).is_empty());
    }

    #[test]
    fn keys_are_those_of_the_object_at_the_place() {
        assert_eq!(found(r#"{"a": {"x": 1, "y\u00fc": {"z": 2}}}"#, "/a", true), ["x", "yü"]);
        assert!(found(r#"{"a": "x"}"#, "/a", true).is_empty());
    }

    #[test]
    fn of_equal_keys_the_last_one_counts() {
        assert_eq!(found(r#"{"a": "first", "a": "last"}"#, "/a", false), ["last"]);
        assert!(found(r#"{"a": "first", "a": 7}"#, "/a", false).is_empty());
    }

    #[test]
    fn a_body_that_is_not_sound_names_nobody() {
        for body in [r#"{"a": "x", "b": "\q"}"#, "{\"a\": \"x\"", "", "[[[["] {
            assert!(found(body, "/a", false).is_empty(), "{body}");
        }
        assert!(found(&"[".repeat(100_000), "/a", false).is_empty());
    }
}
