//! Messages made for a stat: of its topics, with a value at each of its fields.

use serde_json::{Map, Value, json};
use statmill_plugin_api::manifest::{FieldKind, FieldManifest, StatManifest};

/// 2020-01-01, seconds since 1970: the same messages every day.
const BEGIN_S: u64 = 1_577_836_800;

/// Messages that one stat wants, the same whenever they are asked for.
pub(crate) struct Generated<'m> {
    stat: &'m StatManifest,
    topics: Vec<String>,
}

impl<'m> Generated<'m> {
    /// Messages for `stat`.
    pub(crate) fn new(stat: &'m StatManifest) -> Self {
        // A word for `*`, and one for `#`, which may stand for any number of them.
        let topic = |pattern: &String| pattern.replace(['*', '#'], "any");
        let topics = match &stat.topics[..] {
            [] => ["org.example.prod.build.done", "org.example.prod.test.failed"]
                .map(str::to_owned)
                .into(),
            patterns => patterns.iter().map(topic).collect(),
        };
        Self { stat, topics }
    }

    /// Message number `index`, JSON text, seven seconds after the one before. One field in eleven is
    /// missing, null or of another kind, as happens.
    pub(crate) fn message(&self, index: u64) -> Vec<u8> {
        let topics = self.topics.len() as u64;
        let topic = &self.topics[usize::try_from(mixed(index, 1) % topics).unwrap_or_default()];
        let mut message = json!({
            "msg_id": format!("generated-{index}"),
            "topic": topic,
            "timestamp": BEGIN_S + index * 7,
        });
        for (number, field) in self.stat.fields.iter().enumerate() {
            let chance = mixed(index, number as u64 + 2);
            let value = match chance % 33 {
                0 => continue,
                1 => Value::Null,
                2 => other_kind(field.kind),
                _ => value(field, chance / 33),
            };
            put(&mut message, &field.pointer, value);
        }
        message.to_string().into_bytes()
    }
}

/// A number that looks like chance and is a function of the two.
fn mixed(index: u64, salt: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(&index.to_le_bytes(), salt)
}

fn value(field: &FieldManifest, chance: u64) -> Value {
    let few = chance % 23;
    match field.kind {
        FieldKind::Sym | FieldKind::Str => match few {
            0 => json!("with \"quotes\", a\ttab and \u{e4}\u{1f600}"),
            _ => json!(format!("{}-{few}", field.name)),
        },
        FieldKind::Int => json!(chance % 10_007),
        FieldKind::Num => json!((chance % 1_000_003) as f64 / 8.0),
        FieldKind::Bool => json!(few.is_multiple_of(2)),
        FieldKind::Time => json!(BEGIN_S + chance % 86_400),
        FieldKind::Raw | FieldKind::Doc => json!({ "name": format!("{}-{few}", field.name) }),
    }
}

fn other_kind(kind: FieldKind) -> Value {
    match kind {
        FieldKind::Sym | FieldKind::Str => json!(17),
        _ => json!("of another kind"),
    }
}

/// Puts `value` at `pointer`, unless something that is no object lies on the way there.
fn put(message: &mut Value, pointer: &str, value: Value) {
    let Some(rest) = pointer.strip_prefix('/') else { return };
    let mut at = message;
    let mut tokens = rest.split('/').map(|token| token.replace("~1", "/").replace("~0", "~"));
    let Some(mut token) = tokens.next() else { return };
    for next in tokens {
        let Value::Object(members) = at else { return };
        at = members.entry(token).or_insert_with(|| Map::new().into());
        token = next;
    }
    if let Value::Object(members) = at {
        // Topic, time and what another field has put there stay.
        members.entry(token).or_insert(value);
    }
}
