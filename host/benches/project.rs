//! How fast records become batches: what a wanted field costs, and what a message's shape does.
//!
//! Which messages is said in `common`; the shapes are made here.

#![allow(missing_docs, reason = "criterion's macros")]

mod common;

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use common::{batches, cpu_time, messages};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use statmill::log::{LogId, Records};
use statmill::project::{
    Caps, Dictionaries, EnvelopeReader, Limits, Mapping, Projection, Projector,
};
use statmill_plugin_api::manifest::FieldKind;

const FIVE_STATS: &[(&str, FieldKind)] = &[
    ("/username", FieldKind::Sym),
    ("/msg/package/name", FieldKind::Sym),
    ("/msg/timing/elapsed_ms", FieldKind::Int),
    ("/msg_id", FieldKind::Str),
];

/// Further members of the messages; those that are not there cost a lookup too.
const FORTY: usize = 40;

fn wanted(fields: usize) -> Vec<(String, FieldKind)> {
    let known = [
        ("/username", FieldKind::Sym),
        ("/msg/package/name", FieldKind::Sym),
        ("/msg/timing/elapsed_ms", FieldKind::Int),
        ("/msg_id", FieldKind::Str),
        ("/msg/package/version", FieldKind::Str),
        ("/msg/timing/queued", FieldKind::Num),
        ("/msg/agent", FieldKind::Sym),
        ("/msg/status", FieldKind::Int),
        ("/msg/url", FieldKind::Str),
        ("/msg/summary", FieldKind::Str),
        ("/msg/details/host", FieldKind::Sym),
        ("/msg/details/value", FieldKind::Num),
        ("/msg/tags", FieldKind::Raw),
        ("/msg/ip", FieldKind::Str),
        ("/msg/pid", FieldKind::Int),
        ("/source_name", FieldKind::Sym),
    ];
    let known = known.map(|(pointer, kind)| (pointer.to_owned(), kind));
    let others = (0..FORTY).map(|number| (format!("/msg/other{number}"), FieldKind::Int));
    known.into_iter().chain(others).take(fields).collect()
}

/// Projects all batches, which is one run.
fn bench(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    batches: &mut [Records],
    wanted: &[(String, FieldKind)],
) {
    let projection =
        Arc::new(Projection::compile(&Mapping::auto(), wanted).expect("sound pointers"));
    let dictionaries = Dictionaries::new(projection.columns(), Caps::default());
    let mut projector = Projector::new(projection, Limits::default());
    group.throughput(Throughput::Bytes(
        batches.iter().map(|records| records.text.len() as u64).sum(),
    ));
    group.bench_function(name, |bencher| {
        bencher.iter_custom(cpu_time(|| {
            for records in &mut *batches {
                let batch = projector.project(records, LogId(1), 2, false, &dictionaries);
                assert_eq!(batch.len(), records.spans.len());
                // Back to where it came from, so that no copy of the text is measured.
                records.text = black_box(batch).text;
            }
        }));
    });
}

fn fields(criterion: &mut Criterion) {
    let messages = messages();
    let mut batches = batches(&messages);
    let mut group = criterion.benchmark_group("project");
    group.sample_size(20);
    bench(&mut group, "envelope only", &mut batches, &[]);
    let five: Vec<_> = FIVE_STATS.iter().map(|(at, kind)| ((*at).to_owned(), *kind)).collect();
    bench(&mut group, "five stats", &mut batches, &five);
    for fields in [1, 4, 8, 16, FORTY] {
        bench(&mut group, &format!("{fields} fields"), &mut batches, &wanted(fields));
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

/// A message of `keys` members of `bytes` each in `msg`, of which the stats want none.
fn shaped(number: usize, keys: usize, bytes: usize) -> String {
    let mut msg = String::new();
    for key in 0..keys {
        let comma = if key == 0 { "" } else { ", " };
        let _ = write!(msg, "{comma}\"key{key}\": \"{:x<bytes$}\"", number % 10);
    }
    format!(
        "{{\"topic\": \"a.b\", \"timestamp\": {}, \"username\": \"u{}\", \"msg\": {{{msg}}}}}",
        1_438_992_000 + number,
        number % 300
    )
}

fn shapes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("project/shapes");
    group.sample_size(20);
    let user = [("/username".to_owned(), FieldKind::Sym)];
    for (name, messages, keys, bytes) in [
        ("100 bytes", 20_000, 1, 16),
        ("200 keys", 2_000, 200, 4),
        ("64 KB in 64 members", 300, 64, 1_000),
    ] {
        let messages: Vec<_> = (0..messages).map(|number| shaped(number, keys, bytes)).collect();
        bench(&mut group, name, &mut batches(&messages), &user);
    }
    group.finish();
}

/// A column of texts as codes and as texts, of few and of many different ones.
fn dictionary(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("project/dictionary");
    group.sample_size(20);
    for different in [10, 3_000, 50_000] {
        let message = |number: usize| {
            let user = number * 7_919 % different;
            format!(r#"{{"topic": "a.b", "timestamp": 1438992000, "username": "user{user}"}}"#)
        };
        let mut batches = batches(&(0..50_000).map(message).collect::<Vec<_>>());
        for (kind, name) in [(FieldKind::Str, "as text"), (FieldKind::Sym, "as code")] {
            let name = format!("{different} texts {name}");
            bench(&mut group, &name, &mut batches, &[("/username".to_owned(), kind)]);
        }
    }
    group.finish();
}

criterion_group!(benches, fields, shapes, dictionary);
criterion_main!(benches);
