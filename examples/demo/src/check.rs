//! The demo checks itself: a finite stream, counted once by the host and once right here.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::Value as Json;
use statmill::HostBuilder;
use statmill::log::demo::{DemoParams, DemoStream};
use statmill::query::{Table, Value};

/// Messages of the stream.
const MESSAGES: u64 = 100_000;
/// Where its past begins: a fixed time, so that every run checks the same stream.
const START_S: i64 = 1_500_000_000;

/// Runs the stream through the host to its end and compares.
pub(crate) fn run(builder: HostBuilder, seed: u64) -> Result<()> {
    let source = format!(
        "demo:?seed={seed}&start={START_S}&days=30&per_day=10000&count={MESSAGES}&rate=1000000"
    );
    let host = builder.source(&source)?.once().start()?;
    host.wait_finished()?;

    let counted = count(seed)?;
    ensure!(counted.messages == MESSAGES, "the stream has {} messages", counted.messages);
    let answers = [
        (
            "messages by topic and day",
            sums(&host.rows("volume-by-topic-1d", None)?, "topic", "volume"),
            counted.topics,
        ),
        (
            "messages by user",
            sums(&host.rows("activity-users", None)?, "username", "count"),
            counted.users,
        ),
        (
            "messages by package",
            sums(&host.rows("activity-packages", None)?, "package", "count"),
            counted.packages,
        ),
    ];
    host.stop();
    for (what, answered, expected) in &answers {
        ensure!(answered == expected, "{what}: the host and a direct count differ");
        ensure!(!expected.is_empty(), "{what}: the stream has none");
        println!("{what}: {} values equal", expected.len());
    }
    println!("checked {MESSAGES} messages: all answers equal a direct count");
    Ok(())
}

/// The numbers as a loop over the messages finds them.
#[derive(Default)]
struct Counted {
    messages: u64,
    topics: BTreeMap<String, i128>,
    users: BTreeMap<String, i128>,
    packages: BTreeMap<String, i128>,
}

fn count(seed: u64) -> Result<Counted> {
    let params = DemoParams {
        seed,
        days: 30,
        per_day: 10_000,
        count: Some(MESSAGES),
        rate: 1e6,
        start_us: Some(START_S * 1_000_000),
        ..DemoParams::default()
    };
    let stream = DemoStream::new(params, START_S * 1_000_000);
    let mut counted = Counted::default();
    for index in 0..MESSAGES {
        let message: Json = serde_json::from_str(&stream.message(index).1)?;
        counted.messages += 1;
        let topic = message["topic"].as_str().unwrap_or_default();
        *counted.topics.entry(topic.to_owned()).or_default() += 1;
        if let Some(user) = message["username"].as_str() {
            *counted.users.entry(user.to_owned()).or_default() += 1;
        }
        if let Some(package) = message["msg"]["package"]["name"].as_str()
            && topic.starts_with("org.fedoraproject.prod.bodhi.")
        {
            *counted.packages.entry(package.to_owned()).or_default() += 1;
        }
    }
    Ok(counted)
}

/// Sums of the column `count` for each value of the column `of`.
fn sums(table: &Table, of: &str, count: &str) -> BTreeMap<String, i128> {
    let place = |name: &str| table.columns.iter().position(|column| column.name == name);
    let mut sums = BTreeMap::new();
    let (Some(of), Some(count)) = (place(of), place(count)) else { return sums };
    for row in &table.rows {
        if let (Value::Text(of), Value::Int(count)) = (&row[of], &row[count]) {
            *sums.entry(of.to_string()).or_default() += count;
        }
    }
    sums
}
