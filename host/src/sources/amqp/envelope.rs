//! From a delivery to a record: fedora-messaging's envelope in the form that all of the bus has here.
//!
//! | member | is |
//! | --- | --- |
//! | `msg_id`, `topic` | the message's id; the routing key |
//! | `headers` | all headers as they came, `sent-at` among them: the event time |
//! | `timestamp` | AMQP's own, only where there is no `sent-at` |
//! | `severity`, `schema` | from the headers; 20 and `base.message` where they are not told |
//! | `priority` | where it is told |
//! | `users`, `packages` | what the headers name for filters; only where they name anything |
//! | `msg` | the body, byte for byte |

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use crate::sources::network::Refusal;

/// Severity of a message that does not tell it.
const INFO: i64 = 20;
/// Schema of a message that does not tell it.
const BASE_SCHEMA: &str = "base.message";

const SEVERITY: &str = "fedora_messaging_severity";
const SCHEMA: &str = "fedora_messaging_schema";
const SENT_AT: &str = "sent-at";

/// Headers of filters begin so; the rest of the name is what they name.
const FILTER: &str = "fedora_messaging_";
const FILTERS: [&str; 6] = ["user_", "group_", "rpm_", "container_", "module_", "flatpak_"];

/// Returns the record of a message.
pub(super) fn record(
    topic: &str,
    properties: &BasicProperties,
    body: &[u8],
) -> Result<Vec<u8>, Refusal> {
    let id = properties.message_id().as_ref().map(|id| id.as_str());
    let which = || format!("topic {topic:?}, id {:?}", id.unwrap_or_default());
    let refuse = |reason, why: String| Refusal::new(reason, format!("{}: {why}", which()));
    let encoding = properties.content_encoding().as_ref().map_or("", |it| it.as_str());
    if !["", "utf-8", "utf8", "ascii", "us-ascii"]
        .iter()
        .any(|known| encoding.eq_ignore_ascii_case(known))
    {
        return Err(refuse("encoding", format!("its body is encoded as {encoding:?}")));
    }
    let body = body.trim_ascii();
    if !body.starts_with(b"{") {
        return Err(refuse("not_an_object", "its body is no JSON object".to_owned()));
    }
    // It is written into a record as it stands, so nothing may follow the object.
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(body) {
        return Err(refuse("not_json", format!("its body is no JSON: {error}")));
    }
    if std::str::from_utf8(body).is_err() {
        return Err(refuse("not_text", "its body is no UTF-8".to_owned()));
    }
    let headers = match properties.headers() {
        Some(headers) => table(headers)
            .ok_or_else(|| refuse("headers", "a header holds text that is no UTF-8".to_owned()))?,
        None => Map::new(),
    };
    let envelope = envelope(topic, id, properties, headers)
        .map_err(|name| refuse("headers", format!("the header {name:?} has a wrong type")))?;
    let mut text = serde_json::to_vec(&envelope).unwrap_or_default();
    text.pop();
    text.extend_from_slice(b",\"msg\":");
    text.extend_from_slice(body);
    text.push(b'}');
    Ok(text)
}

/// All members but the body, or the header whose type is wrong.
fn envelope(
    topic: &str,
    id: Option<&str>,
    properties: &BasicProperties,
    headers: Map<String, Value>,
) -> Result<Map<String, Value>, &'static str> {
    let text = |name: &'static str| match headers.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(name),
    };
    let schema = text(SCHEMA)?.unwrap_or_else(|| BASE_SCHEMA.to_owned());
    let severity = match headers.get(SEVERITY) {
        None | Some(Value::Null) => INFO,
        Some(severity) => severity.as_i64().ok_or(SEVERITY)?,
    };
    let mut envelope = Map::new();
    if let Some(id) = id {
        envelope.insert("msg_id".to_owned(), json!(id));
    }
    envelope.insert("topic".to_owned(), json!(topic));
    if let (None, Some(seconds)) = (text(SENT_AT)?, properties.timestamp()) {
        envelope.insert("timestamp".to_owned(), json!(seconds));
    }
    envelope.insert("severity".to_owned(), json!(severity));
    envelope.insert("schema".to_owned(), json!(schema));
    if let Some(priority) = properties.priority() {
        envelope.insert("priority".to_owned(), json!(priority));
    }
    if FILTERS.iter().any(|filter| named(&headers, filter).next().is_some()) {
        envelope.insert("users".to_owned(), named(&headers, "user_").collect());
        envelope.insert("packages".to_owned(), named(&headers, "rpm_").collect());
    }
    envelope.insert("headers".to_owned(), Value::Object(headers));
    Ok(envelope)
}

/// What the filters of one kind name.
fn named<'a>(headers: &'a Map<String, Value>, filter: &'a str) -> impl Iterator<Item = Value> + 'a {
    let set = headers.iter().filter(|(_, value)| **value == Value::Bool(true));
    set.filter_map(move |(name, _)| name.strip_prefix(FILTER)?.strip_prefix(filter))
        .filter(|name| !name.is_empty())
        .map(Value::from)
}

/// A table of headers as JSON; none if a text in it is no UTF-8.
fn table(table: &FieldTable) -> Option<Map<String, Value>> {
    let members = table.inner().iter();
    members.map(|(name, field)| Some((name.as_str().to_owned(), value(field)?))).collect()
}

fn value(field: &AMQPValue) -> Option<Value> {
    Some(match field {
        AMQPValue::Boolean(it) => json!(it),
        AMQPValue::ShortShortInt(it) => json!(it),
        AMQPValue::ShortShortUInt(it) => json!(it),
        AMQPValue::ShortInt(it) => json!(it),
        AMQPValue::ShortUInt(it) => json!(it),
        AMQPValue::LongInt(it) => json!(it),
        AMQPValue::LongUInt(it) => json!(it),
        AMQPValue::LongLongInt(it) => json!(it),
        AMQPValue::Timestamp(it) => json!(it),
        AMQPValue::Float(it) => json!(it),
        AMQPValue::Double(it) => json!(it),
        AMQPValue::DecimalValue(it) => json!(decimal(it.value, it.scale)),
        AMQPValue::ShortString(it) => json!(it.as_str()),
        AMQPValue::LongString(it) => json!(std::str::from_utf8(it.as_bytes()).ok()?),
        AMQPValue::ByteArray(it) => json!(std::str::from_utf8(it.as_slice()).ok()?),
        AMQPValue::FieldArray(it) => {
            Value::Array(it.as_slice().iter().map(value).collect::<Option<_>>()?)
        }
        AMQPValue::FieldTable(it) => Value::Object(table(it)?),
        AMQPValue::Void => Value::Null,
    })
}

/// A decimal as text: JSON's readers would make a binary fraction of it.
fn decimal(value: u32, scale: u8) -> String {
    let digits = format!("{value:0>width$}", width = usize::from(scale) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    match fraction {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests;
