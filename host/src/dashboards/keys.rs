//! Names, flags and lengths as definitions write them, and the place of what is wrong.

use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use super::definition::Origin;
use super::read::Fault;
use crate::config::nearest::{nearest, suggestion};
use crate::query::time;

/// The longest name.
const MAX_NAME: usize = 64;

pub(super) fn length(span: &str, pointer: &str, origin: &Origin) -> Result<(), Fault> {
    match time::span(span) {
        Some(micros) if micros > 0 => Ok(()),
        _ => Err(origin.fault(pointer, format!("{span:?} is not {}", time::SPAN_ALLOWED))),
    }
}

/// Names stand in addresses, with a dot behind them before what they emit.
pub(super) fn plain_name(name: &str, pointer: &str, origin: &Origin) -> Result<(), Fault> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_plain = !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(plain);
    if is_plain && name != "chart" {
        return Ok(());
    }
    let reason = format!(
        "{name:?} is no name: letters, digits, `-` and `_`, at most {MAX_NAME}, and not `chart`"
    );
    Err(origin.fault(pointer, reason))
}

pub(super) fn known_keys(
    json: &Json,
    pointer: &str,
    known: &[&str],
    origin: &Origin,
) -> Result<(), Fault> {
    let Some(object) = json.as_object() else { return Ok(()) };
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => {
            let hint = suggestion(nearest(key, known.iter().copied()));
            let place = format!("{pointer}/{}", escaped(key));
            Err(origin.fault(&place, format!("is no key that is known here{hint}")))
        }
    }
}

pub(super) fn typed<T: for<'a> Deserialize<'a>>(
    json: &Json,
    pointer: &str,
    origin: &Origin,
) -> Result<T, Fault> {
    serde_path_to_error::deserialize(json).map_err(|error| {
        let place = error.path().iter().fold(pointer.to_owned(), |place, segment| {
            use serde_path_to_error::Segment;
            match segment {
                Segment::Seq { index } => format!("{place}/{index}"),
                Segment::Map { key } => format!("{place}/{}", escaped(key)),
                Segment::Enum { .. } | Segment::Unknown => place,
            }
        });
        origin.fault(&place, error.inner().to_string())
    })
}

/// A key as a part of a JSON pointer.
pub(super) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// `true`, `1`, `"1"`, or the contrary.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    match Json::deserialize(deserializer)? {
        Json::Null => Ok(None),
        Json::Bool(flag) => Ok(Some(flag)),
        Json::Number(number) if number.as_u64() == Some(1) => Ok(Some(true)),
        Json::Number(number) if number.as_u64() == Some(0) => Ok(Some(false)),
        Json::String(text) if text == "1" || text == "true" => Ok(Some(true)),
        Json::String(text) if text.is_empty() || text == "0" || text == "false" => Ok(Some(false)),
        other => Err(serde::de::Error::custom(format!("{other} is neither true nor false"))),
    }
}

/// `["a", "b"]`, `{"a": "1", "b": "1"}` or `"a"`.
pub(super) fn names<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    let text = |value: Json| match value {
        Json::String(text) => Ok(text),
        other => Err(serde::de::Error::custom(format!("{other} is no name"))),
    };
    match Json::deserialize(deserializer)? {
        Json::Null => Ok(None),
        Json::String(name) => Ok(Some(vec![name])),
        Json::Array(names) => names.into_iter().map(text).collect::<Result<_, _>>().map(Some),
        Json::Object(names) => Ok(Some(names.into_iter().map(|(name, _)| name).collect())),
        other => Err(serde::de::Error::custom(format!("{other} holds no names"))),
    }
}
