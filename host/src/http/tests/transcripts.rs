//! What the original statscache answered, we answer: status, headers, and bodies that succeeded.
//!
//! The transcripts lie beside the repository; without them nothing is checked, and that is said.

use std::path::Path;

use serde_json::Value as Json;
use statmill_plugin_api::encoding::Value;
use statmill_plugin_api::manifest::ValueKind;

use super::{Fixture, Reply};
use crate::http::HttpOptions;
use crate::query::memory::MemoryRows;
use crate::query::{CompleteUntil, Limits};

const TRANSCRIPTS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/statscache/http_original.json");

/// Answered otherwise on purpose.
fn differs(path: &str) -> Option<&'static str> {
    path.starts_with("/web").then_some("pages have other addresses")
}

#[test]
fn the_original_s_clients_are_answered_as_before() {
    if !Path::new(TRANSCRIPTS).exists() {
        println!("SKIPPED: no transcripts at {TRANSCRIPTS}");
        return;
    }
    let transcripts: Json =
        serde_json::from_str(&std::fs::read_to_string(TRANSCRIPTS).unwrap()).unwrap();
    let fixture = fixture(&transcripts);
    let (mut checked, mut passed_over) = (0, 0);
    for case in transcripts["cases"].as_array().unwrap() {
        let request = &case["request"];
        let path = request["path"].as_str().unwrap();
        let accept = request["accept"].as_str().unwrap();
        if case["original_bug"] == true {
            passed_over += 1;
            continue;
        }
        if let Some(reason) = differs(path) {
            println!("not compared: {path} ({reason})");
            passed_over += 1;
            continue;
        }
        let method = request["method"].as_str().unwrap();
        let reply = fixture.ask(method, path, &[("Accept", accept)], b"");
        compare(&reply, &case["response"], &format!("{method} {path} ({accept})"));
        checked += 1;
    }
    println!("{checked} transcripts agree, {passed_over} not compared");
    assert!(checked >= 20, "only {checked} of the transcripts were compared");
}

fn fixture(transcripts: &Json) -> Fixture {
    let number = |name: &str| transcripts["config"][name].as_u64().unwrap();
    let limits = Limits {
        default_rows_per_page: number("default_rows_per_page"),
        max_rows_per_page: number("maximum_rows_per_page"),
        ..Limits::default()
    };
    let fixture = Fixture::new(HttpOptions { limits, ..HttpOptions::default() });
    // Of some stats the original held no rows.
    let listed = transcripts["cases"][0]["response"]["body"].as_str().unwrap();
    for ident in serde_json::from_str::<Vec<String>>(listed).unwrap() {
        fixture.catalog.put(&ident, MemoryRows::new(&ident, true, &[]), 1, CompleteUntil::Unknown);
    }
    for (ident, rows) in transcripts["fixture"].as_object().unwrap() {
        let rows = stat(ident, rows).with_layout(layout(transcripts, ident));
        fixture.catalog.put(ident, rows, 1, CompleteUntil::Unknown);
    }
    fixture
}

/// The layout that the original answered for a stat.
fn layout(transcripts: &Json, ident: &str) -> Json {
    let path = format!("/api/{ident}/layout");
    let mut cases = transcripts["cases"].as_array().unwrap().iter();
    let case =
        cases.find(|case| case["request"]["path"] == *path && case["response"]["status"] == 200);
    case.map_or(Json::Null, |case| {
        serde_json::from_str(case["response"]["body"].as_str().unwrap()).unwrap()
    })
}

/// Windows of one second hold any of the original's rows: it cut times to whole seconds.
fn stat(ident: &str, rows: &Json) -> MemoryRows {
    let rows = rows.as_array().unwrap();
    let names: Vec<&str> = rows[0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .filter(|name| !["timestamp", "volume"].contains(name))
        .collect();
    let dimensions: Vec<_> = names.iter().map(|name| (*name, ValueKind::Text)).collect();
    let mut stat = MemoryRows::new(ident, true, &dimensions);
    for row in rows {
        let time_us = (row["timestamp"].as_f64().unwrap() * 1e6) as i64;
        let cells: Vec<_> = names
            .iter()
            .map(|name| row[name].as_str().map_or(Value::Null, |text| Value::Text(text.into())))
            .collect();
        stat.add(Some(time_us), &cells, row["volume"].as_u64().unwrap_or(0));
    }
    stat
}

fn compare(reply: &Reply, expected: &Json, what: &str) {
    assert_eq!(expected["status"], reply.status, "{what}: {}", reply.text());
    let is_success = reply.status < 300;
    for (name, value) in expected["headers"].as_object().unwrap() {
        let (value, got) = (value.as_str().unwrap(), reply.header(name));
        match name.as_str() {
            // Errors are problems, whatever the original's framework made of them.
            "Content-Type" if !is_success => {}
            "Location" => assert!(value.ends_with(got.unwrap()), "{what}: {got:?}"),
            "Link" => assert_eq!(neighbours(got.unwrap()), neighbours(value), "{what}"),
            // More may be exposed.
            "Access-Control-Expose-Headers" => {
                assert!(got.unwrap().starts_with(value), "{what}: {got:?}");
            }
            _ => assert_eq!(got, Some(value), "{what}: {name}"),
        }
    }
    let Some(body) = expected["body"].as_str().filter(|_| is_success) else { return };
    let content_type = expected["headers"]["Content-Type"].as_str().unwrap();
    if content_type.contains("csv") {
        assert_eq!(lines(reply.text()), lines(body), "{what}");
    } else if body.is_empty() {
        assert_eq!(reply.text(), "", "{what}");
    } else {
        let json = |text: &str| -> Json {
            let plain = text.strip_prefix("cb(").map_or(text, |rest| rest.trim_end_matches(')'));
            unordered(serde_json::from_str(plain).unwrap())
        };
        assert_eq!(reply.text().starts_with("cb("), body.starts_with("cb("), "{what}");
        assert_eq!(json(reply.text()), json(body), "{what}");
    }
}

/// The pages before and after, as (rel, page). The original's addresses lost all other arguments.
fn neighbours(link: &str) -> Vec<(String, String)> {
    link.split(", ")
        .filter_map(|link| {
            let (address, rel) = link.split_once("; rel=")?;
            let page = address.trim_end_matches('>').rsplit_once("page=")?.1;
            Some((rel.trim_matches('"').to_owned(), page.to_owned()))
        })
        .filter(|(rel, _)| ["previous", "next"].contains(&rel.as_str()))
        .collect()
}

/// The original listed stats in no order at all; rows keep theirs.
fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.split('\n').collect();
    if !lines[0].starts_with("timestamp") {
        lines.sort_unstable();
    }
    lines
}

/// Idents in no order; rows in the order of their times, those of one time in no order.
fn unordered(mut json: Json) -> Json {
    let Some(list) = json.as_array_mut() else { return json };
    if list.iter().all(Json::is_string) {
        list.sort_by_key(|ident| ident.as_str().map(str::to_owned));
        return json;
    }
    for same in list.chunk_by_mut(|a, b| a["timestamp"] == b["timestamp"]) {
        same.sort_by_key(ToString::to_string);
    }
    json
}
