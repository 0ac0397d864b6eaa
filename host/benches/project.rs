//! How fast records become batches, and what a wanted field costs.
//!
//! Messages are made here, in the manner of a message bus: about 1.3 KB, keys in changing order, some
//! escapes. `STATMILL_BENCH_MESSAGES=file` takes the first lines of an NDJSON file instead.

#![allow(missing_docs, reason = "criterion's macros")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{BufRead as _, BufReader};
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rustix::time::{ClockId, clock_gettime};
use statmill::log::{LogId, Offset, Records};
use statmill::project::{
    Caps, Dictionaries, EnvelopeReader, Limits, Mapping, Projection, Projector,
};
use statmill_plugin_api::manifest::FieldKind;

const MESSAGES: usize = 20_000;
const PER_BATCH: usize = 1000;

const FIVE_STATS: &[(&str, FieldKind)] = &[
    ("/username", FieldKind::Sym),
    ("/msg/package/name", FieldKind::Sym),
    ("/msg/timing/elapsed_ms", FieldKind::Int),
    ("/msg_id", FieldKind::Str),
];

fn message(number: usize) -> String {
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

fn messages() -> Vec<String> {
    match std::env::var_os("STATMILL_BENCH_MESSAGES") {
        Some(path) => {
            let file = std::fs::File::open(path).expect("a readable file");
            BufReader::new(file).lines().take(MESSAGES).collect::<Result<_, _>>().expect("lines")
        }
        None => (0..MESSAGES).map(message).collect(),
    }
}

fn batches(messages: &[String]) -> Vec<Records> {
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
fn cpu_time(mut run: impl FnMut()) -> impl FnMut(u64) -> Duration {
    let now = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
    };
    move |runs| {
        let start = now();
        (0..runs).for_each(|_| run());
        now() - start
    }
}

fn project(criterion: &mut Criterion) {
    let messages = messages();
    let mut batches = batches(&messages);
    let mut group = criterion.benchmark_group("project");
    group.sample_size(20);
    group.throughput(Throughput::Bytes(
        batches.iter().map(|records| records.text.len() as u64).sum(),
    ));
    for (name, fields) in [("envelope only", &[][..]), ("five stats", FIVE_STATS)] {
        let wanted: Vec<_> =
            fields.iter().map(|(pointer, kind)| ((*pointer).to_owned(), *kind)).collect();
        let projection =
            Arc::new(Projection::compile(&Mapping::auto(), &wanted).expect("sound pointers"));
        let dictionaries = Dictionaries::new(projection.columns(), Caps::default());
        let mut projector = Projector::new(projection, Limits::default());
        group.bench_function(name, |bencher| {
            bencher.iter_custom(cpu_time(|| {
                for records in &mut batches {
                    let batch = projector.project(records, LogId(1), 2, false, &dictionaries);
                    assert_eq!(batch.len(), records.spans.len());
                    // Back to where it came from, so that no copy of the text is measured.
                    records.text = black_box(batch).text;
                }
            }));
        });
    }
    group.bench_function("envelopes for dedup", |bencher| {
        let mut reader =
            EnvelopeReader::new(&Mapping::auto(), Limits::default()).expect("sound pointers");
        bencher.iter_custom(cpu_time(|| {
            for message in &messages {
                black_box(reader.read(message.as_bytes()).expect("a sound message"));
            }
        }));
    });
    // What a core makes of the same bytes at the same moment: figures of different runs do not compare.
    group.bench_function("floor: serde_json skips", |bencher| {
        bencher.iter_custom(cpu_time(|| {
            for message in &messages {
                black_box(serde_json::from_str::<serde::de::IgnoredAny>(message).expect("JSON"));
            }
        }));
    });
    group.finish();
}

criterion_group!(benches, project);
criterion_main!(benches);
