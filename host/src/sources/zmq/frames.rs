//! From the frames of a message to a record: fedmsg's envelope is one as it stands.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::wire::Message;
use crate::sources::network::Refusal;
use crate::sources::signature::Checker;

/// Tells whether a message names its topic itself.
#[derive(Deserialize)]
struct Head {
    #[serde(default, deserialize_with = "is_there")]
    topic: bool,
}

fn is_there<'de, D: serde::Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

/// Returns the record of a message: its second frame, wrapped where it has no topic of its own.
pub(super) fn record(message: Message, checker: Option<&mut Checker>) -> Result<Vec<u8>, Refusal> {
    let frames = match message {
        Message::Frames(frames) => frames,
        Message::TooLarge => return Err(Refusal::new("too_large", "more bytes than allowed")),
    };
    let Ok([topic, body]) = <[Vec<u8>; 2]>::try_from(frames) else {
        return Err(Refusal::new("frames", "a message has two frames: a topic and a body"));
    };
    let Ok(topic) = String::from_utf8(topic) else {
        return Err(Refusal::new("not_text", "its topic is no UTF-8"));
    };
    let refuse = |reason, why: &str| Refusal::new(reason, format!("topic {topic:?}: {why}"));
    if std::str::from_utf8(&body).is_err() {
        return Err(refuse("not_text", "its body is no UTF-8"));
    }
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let head: Head = match serde_json::from_slice(&body) {
        Ok(head) if is_object => head,
        Ok(_) => return Err(refuse("not_an_object", "its body is no JSON object")),
        Err(error) => return Err(refuse("not_json", &format!("its body is no JSON: {error}"))),
    };
    if let Some(checker) = checker {
        checker.check(&topic, &body)?;
    }
    if head.topic {
        return Ok(body);
    }
    let mut wrapped = b"{\"topic\":".to_vec();
    wrapped.extend_from_slice(serde_json::Value::from(topic).to_string().as_bytes());
    wrapped.extend_from_slice(b",\"msg\":");
    wrapped.extend_from_slice(body.trim_ascii());
    wrapped.push(b'}');
    Ok(wrapped)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn of(frames: &[&[u8]]) -> Result<String, &'static str> {
        let frames = Message::Frames(frames.iter().map(|frame| frame.to_vec()).collect());
        match record(frames, None) {
            Ok(record) => Ok(String::from_utf8(record).unwrap()),
            Err(refusal) => Err(refusal.reason),
        }
    }

    #[test]
    fn an_envelope_is_kept_byte_for_byte() {
        let envelope = r#"{"i":1,"msg":{"n": 1.50},"topic":"a.b","timestamp":1500000000}"#;
        assert_eq!(of(&[b"a.b", envelope.as_bytes()]).unwrap(), envelope);
        // Without signatures nobody vouches for either topic: the message's own counts.
        assert_eq!(of(&[b"other", envelope.as_bytes()]).unwrap(), envelope);
    }

    #[test]
    fn a_body_without_a_topic_is_wrapped() {
        let record = of(&[b"a.\"b\"", b" {\"n\": 1} "]).unwrap();
        assert_eq!(record, r#"{"topic":"a.\"b\"","msg":{"n": 1}}"#);
        assert_eq!(of(&[b"t", br#"{"topic":null}"#]).unwrap(), r#"{"topic":null}"#);
    }

    #[test]
    fn what_is_no_message_is_refused_by_its_reason() {
        assert_eq!(of(&[b"topic"]), Err("frames"));
        assert_eq!(of(&[b"topic", b"{}", b"{}"]), Err("frames"));
        assert_eq!(of(&[b"\xff", b"{}"]), Err("not_text"));
        assert_eq!(of(&[b"topic", b"{\"a\":\"\xff\"}"]), Err("not_text"));
        assert_eq!(of(&[b"topic", b"{"]), Err("not_json"));
        assert_eq!(of(&[b"topic", b"{} {}"]), Err("not_json"));
        assert_eq!(of(&[b"topic", b""]), Err("not_json"));
        assert_eq!(of(&[b"topic", b"[true]"]), Err("not_an_object"));
        assert_eq!(record(Message::TooLarge, None).unwrap_err().reason, "too_large");
    }
}
