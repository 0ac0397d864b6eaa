#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use serde_json::Value;

use super::*;

/// Monday, 2026-06-01T00:00:00Z.
const START: i64 = 1_780_272_000 * SECOND;
const DAY: i64 = 86_400 * SECOND;

fn small() -> DemoParams {
    DemoParams { days: 14, per_day: 1000, ..DemoParams::default() }
}

fn past(params: DemoParams) -> Vec<(i64, Value)> {
    let stream = DemoStream::new(params, START);
    (0..stream.len_past())
        .map(|index| {
            let (time_us, text) = stream.message(index);
            (time_us, serde_json::from_str(&text).unwrap())
        })
        .collect()
}

#[test]
fn a_message_depends_on_seed_start_and_index_only() {
    let (one, two) = (DemoStream::new(small(), START), DemoStream::new(small(), START + 1));
    for index in [0, 1, 77, 13_999, 14_000, 1_000_000, u64::MAX / 1_000_000] {
        assert_eq!(one.message(index), two.message(index));
    }
    let other = DemoStream::new(DemoParams { seed: 2, ..small() }, START);
    assert_ne!(one.message(5).1, other.message(5).1);
}

#[test]
fn the_stream_is_what_it_was_in_earlier_releases() {
    let stream = DemoStream::new(small(), START);
    let mut all = Vec::new();
    for index in (0..20_000).step_by(37) {
        stream.write(index, &mut all);
    }
    assert_eq!(xxhash_rust::xxh3::xxh3_64(&all), 436_040_437_495_286_010);
}

#[test]
fn times_ascend_and_the_live_ones_begin_where_the_past_ends() {
    let stream = DemoStream::new(small(), START);
    let live_us = START + 14 * DAY;
    let times: Vec<i64> = (0..30_000).map(|index| stream.time_us(index)).collect();
    assert!(times.is_sorted());
    assert!(times[0] >= START && times[13_999] < live_us && times[14_000] >= live_us);
    // 16,000 live messages at 20 a second.
    let last_s = (times[29_999] - live_us) / SECOND;
    assert!((740..=800).contains(&last_s), "{last_s}");
}

#[test]
fn due_counts_the_messages_up_to_a_time() {
    let stream = DemoStream::new(small(), START);
    for index in [0, 1, 500, 13_999, 14_000, 14_001, 25_000, 9_999_999] {
        let time_us = stream.time_us(index);
        let due = stream.due(time_us);
        assert!(due > index && stream.time_us(due) > time_us && stream.time_us(due - 1) <= time_us);
        assert!(stream.due(time_us - 1) <= index);
    }
    assert_eq!(stream.due(START - 1), 0);
    let finite = DemoStream::new(DemoParams { count: Some(10), ..small() }, START);
    assert_eq!((finite.due(START + DAY), finite.len_past()), (10, 10));
}

#[test]
fn a_stream_goes_on_behind_its_last_message() {
    let now_us = START + 20 * DAY;
    let first = DemoStream::begin(small(), now_us);
    assert_eq!(first.due(now_us), first.len_past());
    let text: Value = serde_json::from_str(&first.message(14_321).1).unwrap();
    let id: DemoId = text["msg_id"].as_str().unwrap().parse().unwrap();
    let (again, next) = DemoStream::resume(small(), id, now_us + DAY);
    assert_eq!(next, 14_322);
    assert_eq!(again.message(next), first.message(next));
    let (_, next) = DemoStream::resume(DemoParams { seed: 9, ..small() }, id, now_us);
    assert_eq!(next, 0);
}

#[test]
fn identities_are_read_as_they_are_written() {
    for start_s in [-5, 0, 1_780_272_000] {
        let id = DemoId { seed: 3, start_s, index: 8 };
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    for text in ["", "demo-1", "demo-1-2", "demo-x-2-3", "2026-demo-1-2-3", "demo-1-2-3-4"] {
        assert!(text.parse::<DemoId>().is_err(), "{text}");
    }
}

#[test]
fn every_message_has_what_the_shipped_statistics_read() {
    let messages = past(small());
    let mut missing: HashMap<&str, usize> = HashMap::new();
    for (time_us, message) in &messages {
        assert!(message["topic"].as_str().unwrap().starts_with("org.fedoraproject.prod."));
        let timestamp = message["timestamp"].as_f64().unwrap();
        assert!((timestamp * 1e6 - *time_us as f64).abs() < 2.0);
        for (pointer, what) in [
            ("/username", "user"),
            ("/msg/package/name", "package"),
            ("/msg/timing/elapsed_ms", "elapsed"),
        ] {
            if message.pointer(pointer).is_none_or(Value::is_null) {
                *missing.entry(what).or_default() += 1;
            }
        }
    }
    let (count, share) = (messages.len(), |what| missing[what] * 1000 / messages.len());
    assert_eq!(count, 14_000);
    assert!((10..=30).contains(&share("user")), "{}", share("user"));
    assert!((2..=10).contains(&share("elapsed")), "{}", share("elapsed"));
    assert!((60..=200).contains(&share("package")), "{}", share("package"));
}

#[test]
fn users_days_and_durations_are_spread_as_in_life() {
    let messages = past(small());
    let mut users: HashMap<&str, usize> = HashMap::new();
    let (mut weekdays, mut weekend, mut night, mut noon) = (0, 0, 0, 0);
    let mut builds: Vec<u64> = Vec::new();
    for (time_us, message) in &messages {
        if let Some(user) = message["username"].as_str() {
            *users.entry(user).or_default() += 1;
        }
        let since = time_us - START;
        if (since / DAY) % 7 >= 5 {
            weekend += 1
        } else {
            weekdays += 1
        }
        match (since % DAY) / (DAY / 24) {
            0..4 => night += 1,
            12..16 => noon += 1,
            _ => {}
        }
        if message["topic"] == "org.fedoraproject.prod.buildsys.build.state.change" {
            builds.extend(message["msg"]["timing"]["elapsed_ms"].as_u64());
        }
    }
    let mut counts: Vec<usize> = users.values().copied().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    assert!(counts.len() > 400 && counts[0] > 5 * counts[50], "{} {}", counts.len(), counts[0]);
    assert!(users.keys().any(|user| !user.is_ascii()));
    assert!(weekdays > 4 * weekend, "{weekdays} {weekend}");
    assert!(noon > 3 * night, "{noon} {night}");
    builds.sort_unstable();
    let (median, p95) = (builds[builds.len() / 2], builds[builds.len() * 95 / 100]);
    assert!((150_000..500_000).contains(&median) && p95 > 3 * median, "{median} {p95}");
}

#[test]
fn messages_have_about_the_size_asked_for() {
    for size in [700, 1000, 4000, 100_000] {
        let stream = DemoStream::new(DemoParams { size, ..small() }, START);
        let sum: usize = (0..2000).map(|index| stream.message(index).1.len()).sum();
        let mean = sum / 2000;
        assert!(mean > size * 8 / 10 && mean < size * 12 / 10, "{size}: {mean}");
    }
}

#[test]
fn extreme_parameters_do_no_harm() {
    for params in [
        DemoParams { days: 0, ..small() },
        DemoParams { per_day: 0, ..small() },
        DemoParams { days: u32::MAX, per_day: u64::MAX, ..small() },
        DemoParams { rate: f64::NAN, ..small() },
        DemoParams { rate: f64::INFINITY, ..small() },
        DemoParams { size: 0, ..small() },
    ] {
        let stream = DemoStream::new(params, START);
        for index in [0, 1, 1000, 1 << 40] {
            let (_, text) = stream.message(index);
            assert!(serde_json::from_str::<Value>(&text).is_ok());
        }
        assert!(stream.due(START - 1) == 0);
        assert!(stream.due(i64::MAX / 2) >= stream.len_past());
    }
}
