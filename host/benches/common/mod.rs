//! What benches of this package share: messages, and the CPU time of a thread.
//!
//! Messages are made here, in the manner of a message bus: about 1.3 KB, keys in changing order, some
//! escapes. `STATMILL_BENCH_MESSAGES=file` takes the first lines of an NDJSON file instead.

#![allow(dead_code, reason = "each bench uses a part")]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use statmill::clock::thread_cpu;
use statmill::log::{Offset, Records};

/// How many messages.
pub(crate) const MESSAGES: usize = 20_000;
/// How many in a batch.
pub(crate) const PER_BATCH: usize = 1000;

/// One message.
pub(crate) fn message(number: usize) -> String {
    let user = format!(r#""username": "user{}""#, number * 7919 % 3000);
    let topic = format!(r#""topic": "org.example.prod.area{}.event{}""#, number % 17, number % 5);
    let mut words = String::new();
    for word in 0..90 {
        let _ = write!(
            words,
            "{} ",
            ["lorem", "ipsum", "dolor", "sit \\\"amet\\\""][(number + word * word) % 4]
        );
    }
    let msg = format!(
        r#""msg": {{"package": {{"name": "package{}", "version": "1.{}", "epoch": null}}, "timing": {{"queued": 1438992000.5, "elapsed_ms": {}, "load": [0.9, 3.7, 3.6]}}, "agent": "user", "url": "https://example.org/{number}", "summary": "{words}", "topic": "decoy", "tags": {{"a": 1, "b": [1, 2, [3, {{"c": null}}]]}}, "details": {{"host": "proxy05", "output": "config\ndone", "value": 23.3}}, "status": 3, "ip": "172.16.3.61", "pid": 1357}}"#,
        number % 900,
        number % 30,
        number % 4000,
    );
    let id = format!(r#""msg_id": "2015-{number:08x}-1999-2f97-a11d-b940fe175330""#);
    let rest = format!(
        r#""i": {number}, "timestamp": {}.318158, "source_name": "bus""#,
        1_438_992_000 + number
    );
    let mut members = [user, topic, msg, id, rest];
    members.rotate_left(number % 5);
    format!("{{{}}}", members.join(", "))
}

/// The messages.
pub(crate) fn messages() -> Vec<String> {
    match std::env::var_os("STATMILL_BENCH_MESSAGES") {
        Some(path) => {
            let file = std::fs::File::open(path).expect("a readable file");
            BufReader::new(file).lines().take(MESSAGES).collect::<Result<_, _>>().expect("lines")
        }
        None => (0..MESSAGES).map(message).collect(),
    }
}

/// They as a log would give them.
pub(crate) fn batches(messages: &[String]) -> Vec<Records> {
    let batch = |messages: &[String]| {
        let mut records =
            Records { range: Offset(0)..Offset(messages.len() as u64), ..Records::default() };
        for (number, message) in messages.iter().enumerate() {
            records.spans.push((records.text.len() as u32, message.len() as u32));
            records.offsets.push(number as u64);
            records.text.extend_from_slice(message.as_bytes());
            records.text.push(b'\n');
        }
        records
    };
    messages.chunks(PER_BATCH).map(batch).collect()
}

/// The CPU time of this thread for so many runs: other work on the machine does not count.
pub(crate) fn cpu_time(mut run: impl FnMut()) -> impl FnMut(u64) -> Duration {
    move |runs| {
        let start = thread_cpu();
        (0..runs).for_each(|_| run());
        thread_cpu() - start
    }
}
