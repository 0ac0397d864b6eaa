#![allow(clippy::unwrap_used)]

use lapin::types::{DecimalValue, FieldArray, ShortString};

use super::*;
use crate::project::{Limits, Mapping, envelope as read};

const TOPIC: &str = "org.fedoraproject.prod.bodhi.update.comment";

fn headers(fields: impl IntoIterator<Item = (&'static str, AMQPValue)>) -> BasicProperties {
    let mut table = FieldTable::default();
    for (name, value) in fields {
        table.insert(name.into(), value);
    }
    BasicProperties::default().with_message_id("0f9e".into()).with_headers(table)
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn sent(more: impl IntoIterator<Item = (&'static str, AMQPValue)>) -> BasicProperties {
    headers([(SENT_AT, text("2021-03-04T05:06:07+00:00"))].into_iter().chain(more))
}

fn json_of(properties: &BasicProperties, body: &str) -> Value {
    serde_json::from_slice(&record(TOPIC, properties, body.as_bytes()).unwrap()).unwrap()
}

fn reason(properties: &BasicProperties, body: &[u8]) -> &'static str {
    record(TOPIC, properties, body).unwrap_err().reason
}

#[test]
fn a_message_of_fedora_messaging_becomes_one_record_of_the_bus() {
    let properties = sent([
        (SEVERITY, AMQPValue::LongInt(30)),
        (SCHEMA, text("bodhi.update.comment.v1")),
        ("fedora_messaging_schema_package", text("bodhi_messages")),
        ("fedora_messaging_user_ralph", AMQPValue::Boolean(true)),
        ("fedora_messaging_user_bob", AMQPValue::Boolean(true)),
        ("fedora_messaging_user_nobody", AMQPValue::Boolean(false)),
        ("fedora_messaging_rpm_kernel", AMQPValue::Boolean(true)),
    ])
    .with_priority(3);
    let expected = json!({
        "msg_id": "0f9e",
        "topic": TOPIC,
        "severity": 30,
        "schema": "bodhi.update.comment.v1",
        "priority": 3,
        "users": ["bob", "ralph"],
        "packages": ["kernel"],
        "headers": {
            "sent-at": "2021-03-04T05:06:07+00:00",
            "fedora_messaging_severity": 30,
            "fedora_messaging_schema": "bodhi.update.comment.v1",
            "fedora_messaging_schema_package": "bodhi_messages",
            "fedora_messaging_user_ralph": true,
            "fedora_messaging_user_bob": true,
            "fedora_messaging_user_nobody": false,
            "fedora_messaging_rpm_kernel": true,
        },
        "msg": {"update": "FEDORA-1"},
    });
    assert_eq!(json_of(&properties, r#"{"update": "FEDORA-1"}"#), expected);
}

#[test]
fn identity_topic_and_time_are_found_in_the_record() {
    let record = record(TOPIC, &sent([]), b"{}").unwrap();
    let found = read(&record, &Mapping::auto(), &Limits::default()).unwrap();
    assert_eq!(found.id.as_deref(), Some("0f9e"));
    assert_eq!(found.topic, TOPIC);
    assert_eq!(found.time_us, Some(1_614_834_367_000_000));
}

#[test]
fn the_body_is_kept_byte_for_byte() {
    let body =
        "{ \"n\": 1.50, \"big\": 123456789012345678901234567890,\n \"n\": 2, \"e\": \"\\u00e9\" }";
    let record = record(TOPIC, &sent([]), format!("\n{body} ").as_bytes()).unwrap();
    let record = std::str::from_utf8(&record).unwrap();
    assert!(record.ends_with(&format!(",\"msg\":{body}}}")), "{record}");
}

#[test]
fn what_is_not_told_is_filled_in() {
    let record = json_of(&BasicProperties::default(), "{}");
    assert_eq!(
        record,
        json!({"topic": TOPIC, "severity": 20, "schema": "base.message", "headers": {}, "msg": {}})
    );
    let stamped = BasicProperties::default().with_timestamp(1_500_000_000);
    assert_eq!(json_of(&stamped, "{}")["timestamp"], 1_500_000_000);
    assert!(json_of(&sent([]).with_timestamp(1), "{}").get("timestamp").is_none());
}

#[test]
fn filters_that_name_no_user_say_that_there_is_none() {
    let record = json_of(&sent([("fedora_messaging_module_perl", AMQPValue::Boolean(true))]), "{}");
    assert_eq!((&record["users"], &record["packages"]), (&json!([]), &json!([])));
    assert!(json_of(&sent([]), "{}").get("users").is_none());
}

#[test]
fn a_body_that_is_no_json_object_is_refused() {
    for (body, expected) in [
        (&b""[..], "not_an_object"),
        (b"[1]", "not_an_object"),
        (b"\"text\"", "not_an_object"),
        (b"{\"a\":1", "not_json"),
        (b"{} , \"topic\": \"forged\"", "not_json"),
        (b"{\"a\": NaN}", "not_json"),
        (b"{\"a\": \"\xff\"}", "not_text"),
        (b"\xef\xbb\xbf{}", "not_an_object"),
    ] {
        assert_eq!(reason(&sent([]), body), expected, "{:?}", String::from_utf8_lossy(body));
    }
}

#[test]
fn an_encoding_that_is_not_utf_8_is_refused() {
    let encoded = |name: &str| sent([]).with_content_encoding(name.into());
    assert_eq!(reason(&encoded("utf-16"), b"{}"), "encoding");
    assert_eq!(reason(&encoded("gzip"), b"{}"), "encoding");
    assert!(record(TOPIC, &encoded("UTF-8"), b"{}").is_ok());
}

#[test]
fn headers_of_a_wrong_type_are_refused() {
    for (name, value) in [
        (SENT_AT, AMQPValue::LongInt(5)),
        (SCHEMA, AMQPValue::Boolean(true)),
        (SEVERITY, text("loud")),
        (SEVERITY, AMQPValue::Double(20.5)),
    ] {
        let refused = record(TOPIC, &headers([(name, value)]), b"{}").unwrap_err();
        assert_eq!(refused.reason, "headers");
        assert!(refused.what.contains(name), "{}", refused.what);
    }
    let bytes = AMQPValue::LongString(vec![0xff, 0xfe].into());
    assert_eq!(reason(&sent([("x", bytes)]), b"{}"), "headers");
}

#[test]
fn every_type_of_header_has_a_form_in_json() {
    let mut death = FieldTable::default();
    death.insert("count".into(), AMQPValue::LongLongInt(-4));
    death.insert("time".into(), AMQPValue::Timestamp(7));
    let properties = sent([
        ("x-death", AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::FieldTable(death)]))),
        ("half", AMQPValue::Double(0.5)),
        ("nan", AMQPValue::Double(f64::NAN)),
        ("price", AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 5 })),
        ("none", AMQPValue::Void),
        ("short", AMQPValue::ShortString(ShortString::from("s"))),
    ]);
    let headers = &json_of(&properties, "{}")["headers"];
    assert_eq!(headers["x-death"], json!([{"count": -4, "time": 7}]));
    assert_eq!(headers["half"], 0.5);
    assert_eq!((&headers["nan"], &headers["none"]), (&Value::Null, &Value::Null));
    assert_eq!((&headers["price"], &headers["short"]), (&json!("0.05"), &json!("s")));
}
