//! When two messages are the same: by identity, or at a seam with a history by canonical content.
//!
//! Hashes are 128 bits and never 0, which stands for "none". They are not secret: who can make two
//! identities collide could as well have sent the same identity twice.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::project::{Envelope, Mapping};

/// Members that archives add to what was sent; `headers` and what is null only where it is empty.
const ADDED: [&str; 5] = ["source_name", "source_version", "i", "users", "packages"];
/// Members beside the body of a bus message (`msg` or `body`) that archives drop or add when they give it in
/// the other form.
const ENVELOPE: [&str; 7] =
    ["username", "agent_name", "crypto", "signature", "certificate", "queue", "priority"];

/// Hash of a message's identity: its id, else producer and sequence number; 0 = it has none.
#[must_use]
pub fn identity_hash(envelope: &Envelope<'_>) -> u128 {
    let mut hash = Xxh3::new();
    match (&envelope.id, &envelope.producer) {
        (Some(id), _) => {
            hash.update(b"i");
            hash.update(id.as_bytes());
        }
        (None, Some((producer, sequence))) => {
            hash.update(b"p");
            hash.update(&sequence.to_le_bytes());
            hash.update(producer.as_bytes());
        }
        (None, None) => return 0,
    }
    hash.digest128().max(1)
}

/// Hash of an idempotency key.
#[must_use]
pub fn key_hash(key: &str) -> u128 {
    xxh3_128(key.as_bytes()).max(1)
}

/// Hash of a message's canonical content: topic, whole second of its time, and its JSON with sorted keys
/// and numbers by value, without identity, topic and time where the mapping finds them, and without what
/// archives add. Of a message of the bus, with `msg` or `body` at the top, also without the rest of its envelope:
/// legacy and modern form have the same content.
///
/// Text that serde_json does not take is its own canonical form.
#[must_use]
pub fn content_hash(text: &[u8], mapping: &Mapping, topic: &str, time_us: i64) -> u128 {
    let kinds = [&mapping.id, &mapping.topic, &mapping.time];
    let pointers: Vec<Vec<String>> =
        kinds.iter().flat_map(|kind| kind.iter().map(|pointer| tokens(pointer))).collect();
    let mut found = vec![None; pointers.len()];
    let active = pointers.iter().enumerate().map(|(slot, path)| (slot, path.as_slice())).collect();
    let root = Node { active, found: &mut found, top: true };
    let mut json = serde_json::Deserializer::from_slice(text);

    let mut hash = Xxh3::new();
    hash.update(topic.as_bytes());
    hash.update(&time_us.div_euclid(1_000_000).to_le_bytes());
    match root.deserialize(&mut json) {
        Ok(root) => {
            hash.update(&root.hash.to_le_bytes());
            let mut slot = 0;
            for kind in kinds {
                // The first member found is the one the mapping uses; others are content.
                let candidates = found[slot..slot + kind.len()].iter().enumerate();
                let members = candidates.filter_map(|(at, member)| Some((slot + at, (*member)?)));
                for (at, member) in members.skip(1) {
                    hash.update(&(at as u64).to_le_bytes());
                    hash.update(&member.to_le_bytes());
                }
                slot += kind.len();
            }
        }
        Err(_) => hash.update(text),
    }
    hash.digest128().max(1)
}

fn tokens(pointer: &str) -> Vec<String> {
    let tokens = pointer.split('/').skip(1);
    tokens.map(|token| token.replace("~1", "/").replace("~0", "~")).collect()
}

/// Hashes one value without building it.
struct Node<'a, 'p> {
    /// Pointers that lead into this value: where their hash goes, and the rest of the way.
    active: Vec<(usize, &'p [String])>,
    found: &'a mut Vec<Option<u128>>,
    top: bool,
}

struct Hashed {
    hash: u128,
    empty: bool,
    null: bool,
}

impl Hashed {
    fn scalar(tag: u8, bytes: &[u8]) -> Self {
        let mut hash = Xxh3::new();
        hash.update(&[tag]);
        hash.update(bytes);
        Self { hash: hash.digest128(), empty: false, null: false }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = Hashed;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Hashed, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = Hashed;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Hashed, E> {
        Ok(Hashed { empty: true, null: true, ..Hashed::scalar(b'n', &[]) })
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Hashed, E> {
        Ok(Hashed::scalar(b'b', &[u8::from(value)]))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Hashed, E> {
        Ok(Hashed::scalar(b'i', &i128::from(value).to_le_bytes()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Hashed, E> {
        Ok(Hashed::scalar(b'i', &i128::from(value).to_le_bytes()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Hashed, E> {
        // Archives turn 1 into 1.0 and back: numbers are equal where their values are.
        if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 {
            return Ok(Hashed::scalar(b'i', &(value as i128).to_le_bytes()));
        }
        Ok(Hashed::scalar(b'd', &value.to_bits().to_le_bytes()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Hashed, E> {
        Ok(Hashed::scalar(b's', value.as_bytes()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Hashed, A::Error> {
        let mut hash = Xxh3::new();
        hash.update(b"a");
        let mut empty = true;
        loop {
            let element = Node { active: Vec::new(), found: &mut *self.found, top: false };
            let Some(element) = elements.next_element_seed(element)? else { break };
            hash.update(&element.hash.to_le_bytes());
            empty = false;
        }
        Ok(Hashed { hash: hash.digest128(), empty, null: false })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Hashed, A::Error> {
        let mut kept: Vec<(String, Option<u128>)> = Vec::new();
        while let Some(key) = members.next_key::<String>()? {
            let into: Vec<_> = self
                .active
                .iter()
                .filter_map(|(slot, path)| {
                    path.split_first().map(|(head, rest)| (slot, head, rest))
                })
                .filter(|(_, head, _)| **head == key)
                .map(|(slot, _, rest)| (*slot, rest))
                .collect();
            let slot = into.iter().find(|(_, rest)| rest.is_empty()).map(|(slot, _)| *slot);
            let node = Node { active: into, found: &mut *self.found, top: false };
            let value = members.next_value_seed(node)?;
            if let Some(slot) = slot {
                self.found[slot] = Some(value.hash);
                continue;
            }
            // They also write null for each member that they know and that was not sent.
            let added =
                ADDED.contains(&key.as_str()) || value.null || (key == "headers" && value.empty);
            kept.push((key, (!(self.top && added)).then_some(value.hash)));
        }
        let is_body = |(key, value): &(String, Option<u128>)| {
            value.is_some() && (key == "msg" || key == "body")
        };
        if self.top && kept.iter().filter(|member| is_body(member)).count() == 1 {
            for member in &mut kept {
                if is_body(member) {
                    "msg".clone_into(&mut member.0);
                } else if ENVELOPE.contains(&member.0.as_str()) {
                    member.1 = None;
                }
            }
        }
        // Stable, so that of equal keys the last one, which counts, stays last.
        kept.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut hash = Xxh3::new();
        hash.update(b"o");
        let mut empty = true;
        for (at, (key, value)) in kept.iter().enumerate() {
            let overruled = kept.get(at + 1).is_some_and(|(next, _)| next == key);
            if let (false, Some(value)) = (overruled, value) {
                hash.update(&(key.len() as u64).to_le_bytes());
                hash.update(key.as_bytes());
                hash.update(&value.to_le_bytes());
                empty = false;
            }
        }
        Ok(Hashed { hash: hash.digest128(), empty, null: false })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::project::{Limits, envelope};

    fn content(text: &str) -> u128 {
        let mapping = Mapping::auto();
        let envelope = envelope(text.as_bytes(), &mapping, &Limits::default()).unwrap();
        content_hash(text.as_bytes(), &mapping, &envelope.topic, envelope.time_us.unwrap())
    }

    #[test]
    fn what_an_archive_adds_and_rewrites_does_not_change_the_content() {
        let sent =
            r#"{"topic":"a.b","timestamp":1500000000.75,"i":3,"msg":{"x":1,"y":[1.5,null]}}"#;
        let row = r#"{"i": 1, "msg_id": "2017-x", "headers": null, "source_name": "datanommer",
            "users": ["u"], "packages": [], "source_version": "1", "msg": {"y": [1.50, null], "x": 1.0},
            "timestamp": 1500000000, "topic": "\u0061.b"}"#;
        assert_eq!(content(sent), content(row));
        assert_ne!(content(sent), content(&row.replace("1.50", "1.6")));
        assert_ne!(content(sent), content(&row.replace("1500000000", "1500000001")));
        assert_ne!(content(sent), content(&row.replace("061.b", "062.b")));
    }

    #[test]
    fn a_message_without_id_is_the_row_that_an_archive_made_of_it() {
        let sent = r#"{"topic":"a.b","timestamp":1500000000.75,"i":3,"msg":{"x":null}}"#;
        let row = r#"{"i":3,"msg_id":"2017-x","topic":"a.b","timestamp":1500000000.0,
            "certificate":null,"signature":null,"agent_name":null,"username":null,"crypto":null,
            "msg":{"x":null},"headers":null,"source_name":"datanommer","source_version":"1.5.0",
            "users":[],"packages":[]}"#;
        assert_eq!(content(sent), content(row));
        assert_ne!(content(sent), content(&row.replace(r#""msg":{"x":null}"#, r#""msg":{}"#)));
        let named = sent.replace(r#""i":3"#, r#""username":"u""#);
        assert_eq!(content(&named), content(row));
        let modern = r#"{"body":{"x":null},"headers":{"sent-at":"2017-07-14T02:40:00.75+00:00"},
            "id":"2017-x","priority":0,"queue":null,"topic":"a.b"}"#;
        assert_eq!(content(&named), content(modern));
        assert_ne!(content(&named), content(&modern.replace(r#"{"x":null}"#, r#"{"x":0}"#)));
        // What is no message of the bus has no envelope.
        let plain = |user: &str| {
            content(&format!(r#"{{"topic":"t","time":1,"username":"{user}","note":{{}}}}"#))
        };
        assert_ne!(plain("a"), plain("b"));
    }

    #[test]
    fn headers_count_unless_they_are_empty() {
        let of =
            |headers: &str| content(&format!(r#"{{"topic":"t","time":1,"headers":{headers}}}"#));
        assert_eq!(of("{}"), content(r#"{"topic":"t","time":1}"#));
        assert_ne!(of(r#"{"a":1}"#), of("{}"));
        let sent_at = |rest: &str| {
            content(&format!(
                r#"{{"topic":"t","headers":{{"sent-at":"1970-01-01T00:00:01Z"{rest}}}}}"#
            ))
        };
        assert_eq!(sent_at(""), content(r#"{"topic":"t","time":1}"#));
        assert_ne!(sent_at(r#","a":1"#), sent_at(""));
    }

    #[test]
    fn only_the_first_member_found_is_the_id_and_the_time() {
        let two = |id: &str, time: &str| {
            content(&format!(
                r#"{{"msg_id":"m","id":"{id}","topic":"t","timestamp":1,"time":{time}}}"#
            ))
        };
        assert_ne!(two("a", "1"), two("b", "1"));
        assert_ne!(two("a", "1"), two("a", "2"));
    }

    #[test]
    fn structure_and_types_are_content() {
        let of = |body: &str| content(&format!(r#"{{"topic":"t","time":1,"b":{body}}}"#));
        let bodies = ["1", "\"1\"", "true", "null", "[]", "{}", "[[]]", "[1,2]", "[2,1]", "1.5"];
        for (at, a) in bodies.iter().enumerate() {
            for b in &bodies[at + 1..] {
                assert_ne!(of(a), of(b), "{a} {b}");
            }
        }
        assert_eq!(of(r#"{"a":1,"b":2}"#), of(r#"{"b":2,"a":7,"a":1}"#));
    }

    #[test]
    fn an_identity_is_the_id_or_else_producer_and_number() {
        let of = |text: &str| {
            let mapping = Mapping::auto();
            identity_hash(&envelope(text.as_bytes(), &mapping, &Limits::default()).unwrap())
        };
        assert_eq!(of(r#"{"topic":"t","time":1}"#), 0);
        assert_ne!(of(r#"{"topic":"t","time":1,"id":"a"}"#), 0);
        assert_eq!(
            of(r#"{"topic":"t","time":1,"producer":"p","producer_seq":1}"#),
            of(r#"{"topic":"u","time":2,"producer_seq":1,"producer":"p"}"#)
        );
        assert_ne!(
            of(r#"{"topic":"t","time":1,"producer":"p","producer_seq":1}"#),
            of(r#"{"topic":"t","time":1,"producer":"p","producer_seq":2}"#)
        );
    }
}
