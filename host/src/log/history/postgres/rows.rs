//! Rows of datanommer's tables as messages, in the forms that a datagrepper gives.

use postgres::{Row, Transaction};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::{Answer, Place, Question};

/// Text of messages after which a page ends; the message that reaches it is on it.
const PAGE_BYTES: i64 = 4 << 20;
/// A longer message is not one.
const MESSAGE_BYTES: i64 = 64 << 20;

/// Which tables there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// datanommer.models 1.x; the sender is `agent_name`, or was `username` before.
    New { agent: bool },
    /// datanommer.models 0.9.
    Old,
}

impl Form {
    fn sql(self) -> String {
        let (msg, headers, agent, users, packages) = match self {
            Self::New { agent } => (
                "msg",
                "headers",
                if agent { "agent_name" } else { "username" },
                "select u.name from users_messages a join users u on u.id = a.user_id \
                 where a.msg_id = m.id and a.msg_timestamp = m.timestamp",
                "select p.name from packages_messages a join packages p on p.id = a.package_id \
                 where a.msg_id = m.id and a.msg_timestamp = m.timestamp",
            ),
            Self::Old => (
                "_msg",
                "_headers",
                "username",
                "select a.username as name from user_messages a where a.msg = m.id",
                "select a.package as name from package_messages a where a.msg = m.id",
            ),
        };
        // As much as is good for a page is decided by the server: a few messages may be many megabytes.
        format!(
            "select m.id::bigint, \
               (extract(epoch from date_trunc('second', m.timestamp)))::bigint, \
               (extract(microseconds from m.timestamp))::bigint % 1000000, \
               m.msg_id, m.i::bigint, m.topic, m.{agent}, m.crypto, m.certificate, m.signature, \
               m.source_name, m.source_version, \
               case when octet_length(m.{msg}) <= {MESSAGE_BYTES} then m.{msg} end, \
               m.{headers}::text, \
               array(select name from ({users}) names order by name), \
               array(select name from ({packages}) names order by name) \
             from (select n.*, sum(octet_length(n.{msg})::bigint) \
                     over (order by n.timestamp, n.id) - octet_length(n.{msg}) as before_it \
                   from (select * from messages \
                         where (timestamp, id) > ($1::text::timestamp, $2::bigint) \
                           and timestamp < $3::text::timestamp \
                         order by timestamp, id limit $4::bigint) n) m \
             where m.before_it < {PAGE_BYTES} order by m.timestamp, m.id"
        )
    }
}

/// Reads what is asked for.
pub(super) fn read(
    transaction: &mut Transaction<'_>,
    form: Form,
    question: &Question,
) -> Result<Answer, postgres::Error> {
    let Question { behind, before_us, rows } = *question;
    let (from, to) = (timestamp(behind.time_us), timestamp(before_us));
    let limit = i64::try_from(rows).unwrap_or(i64::MAX);
    let found = transaction.query(&form.sql(), &[&from, &behind.number, &to, &limit])?;
    let mut answer = Answer::default();
    for row in &found {
        let (second, micros): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
        let time_us = second.saturating_mul(1_000_000).saturating_add(micros);
        match message(row, second, micros)? {
            Some(text) => answer.messages.push(text),
            None => answer.rejected += 1,
        }
        answer.last = Some(Place { time_us, number: row.try_get(0)? });
    }
    Ok(answer)
}

/// A time as the server reads it. It keeps times of six digits after the point, all UTC.
fn timestamp(time_us: i64) -> String {
    let time = jiff::Timestamp::from_microsecond(time_us).unwrap_or(match time_us < 0 {
        true => jiff::Timestamp::MIN,
        false => jiff::Timestamp::MAX,
    });
    // Beyond these years nothing was sent, and fewer digits would not sort.
    let first = jiff::Timestamp::UNIX_EPOCH;
    time.max(first).to_zoned(jiff::tz::TimeZone::UTC).datetime().to_string()
}

/// As `/raw` gives it.
#[derive(Serialize)]
struct Legacy<'a> {
    i: i64,
    msg_id: Option<&'a str>,
    topic: &'a str,
    timestamp: Box<RawValue>,
    certificate: Option<&'a str>,
    signature: Option<&'a str>,
    agent_name: Option<&'a str>,
    username: Option<&'a str>,
    crypto: Option<&'a str>,
    msg: &'a RawValue,
    headers: Option<Map<String, Value>>,
    source_name: Option<&'a str>,
    source_version: Option<&'a str>,
    users: Vec<String>,
    packages: Vec<String>,
}

/// As `/v2/search` gives it, with the users and packages that only the tables know.
#[derive(Serialize)]
struct Modern<'a> {
    body: &'a RawValue,
    headers: Map<String, Value>,
    id: Option<&'a str>,
    priority: Value,
    queue: Option<&'a str>,
    topic: &'a str,
    users: Vec<String>,
    packages: Vec<String>,
}

/// The message in a row; `None` if there is none.
fn message(row: &Row, second: i64, micros: i64) -> Result<Option<Vec<u8>>, postgres::Error> {
    let text: Option<&str> = row.try_get(12)?;
    let Some(Ok(msg)) = text.map(serde_json::from_str::<&RawValue>) else { return Ok(None) };
    let headers: Option<&str> = row.try_get(13)?;
    let headers = match headers.map(serde_json::from_str::<Option<Map<String, Value>>>) {
        None => None,
        Some(Ok(headers)) => headers,
        Some(Err(_)) => return Ok(None),
    };
    let (users, packages) = (row.try_get(14)?, row.try_get(15)?);
    let time = match micros {
        0 => second.to_string(),
        micros => format!("{second}.{micros:06}"),
    };
    let (Ok(timestamp), topic, id) =
        (RawValue::from_string(time), row.try_get(5)?, row.try_get(3)?)
    else {
        return Ok(None);
    };
    // What every publisher of the newer bus sets, and no one of the older.
    let is_modern =
        |it: &Map<String, Value>| it.keys().any(|key| key.starts_with("fedora_messaging_"));
    let text = match headers {
        Some(mut headers) if is_modern(&headers) => {
            if !headers.contains_key("sent-at") {
                let sent_at = jiff::Timestamp::new(second, (micros * 1000) as i32);
                let sent_at = sent_at.map(|time| time.to_string()).unwrap_or_default();
                headers.insert("sent-at".to_owned(), sent_at.into());
            }
            let priority = headers.get("priority").cloned().unwrap_or(0.into());
            to_raw_value(&Modern {
                body: msg,
                headers,
                id,
                priority,
                queue: None,
                topic,
                users,
                packages,
            })
        }
        headers => to_raw_value(&Legacy {
            i: row.try_get(4)?,
            msg_id: id,
            topic,
            timestamp,
            certificate: row.try_get(8)?,
            signature: row.try_get(9)?,
            agent_name: row.try_get(6)?,
            username: row.try_get(6)?,
            crypto: row.try_get(7)?,
            msg,
            headers,
            source_name: row.try_get(10)?,
            source_version: row.try_get(11)?,
            users,
            packages,
        }),
    };
    Ok(text.ok().map(|text| text.get().as_bytes().to_vec()))
}
