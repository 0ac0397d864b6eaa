//! Definitions, what is wrong with them, and who follows which choice.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use serde_json::{Value as Json, json};
use statmill_plugin_api::manifest::{StatManifest, ValueKind};

use super::*;
use crate::query::memory::MemoryRows;

fn stats() -> Manifests {
    let hourly = |ident: &str| {
        let rows = MemoryRows::new(ident, true, &[("topic", ValueKind::Text)]).windows_of(3_600);
        rows.snapshot().manifest().clone()
    };
    let total = |ident: &str| {
        let rows = MemoryRows::new(ident, false, &[("user", ValueKind::Text)]);
        rows.snapshot().manifest().clone()
    };
    [("volume", hourly("volume")), ("users", total("users"))]
        .into_iter()
        .map(|(ident, manifest): (&str, StatManifest)| (ident.to_owned(), manifest.into()))
        .collect()
}

fn dashboards(files: &[Json]) -> Dashboards {
    let mut definitions = Definitions::default();
    for (at, json) in files.iter().enumerate() {
        definitions.add(&format!("{at}.json"), &json.to_string());
    }
    Dashboards::new(&definitions, &stats())
}

fn faults(view: Json) -> Vec<String> {
    let found = dashboards(&[json!({ "name": "d", "views": [view] })]);
    found.faults.iter().map(ToString::to_string).collect()
}

fn view(changes: Json) -> Json {
    let mut view = json!({ "name": "v", "stat": "volume", "type": "line" });
    for (key, value) in changes.as_object().unwrap() {
        view[key] = value.clone();
    }
    view
}

#[test]
fn a_definition_reads_in_the_words_of_both_systems() {
    let found = dashboards(&[json!({
        "name": "d", "read_name": "The dashboard", "section": "Traffic", "default": 1, "span": "30d",
        "views": [{
            "name": "v", "read_name": "Volume", "default_load": "1", "stat": "volume",
            "signals": { "topic": "1" }, "control_panel": "topic",
            "charts": [
                { "name": "table", "read_name": "Rows" },
                { "name": "test_chart", "read_name": "Means", "default": "1" },
            ],
            "params": { "limit": 7, "topic__in": ["a", "b"] }, "y": "log",
        }],
    })]);
    assert_eq!(found.faults, []);
    let dashboard = found.first().unwrap();
    assert_eq!(
        (dashboard.title.as_str(), dashboard.section.as_str()),
        ("The dashboard", "Traffic")
    );
    let view = &dashboard.views[0];
    let kinds: Vec<_> = view.charts.iter().map(|chart| chart.kind).collect();
    assert_eq!(kinds, [Kind::Line, Kind::Table]);
    assert_eq!(
        (&view.emits[..], &view.pickers[..]),
        (&["topic".to_owned()][..], &["topic".to_owned()][..])
    );
    assert_eq!(view.params[0], ("limit".to_owned(), "7".to_owned()));
    assert_eq!(view.params[2], ("topic__in".to_owned(), "b".to_owned()));
}

#[test]
fn what_is_wrong_is_named_by_file_and_pointer() {
    for (wrong, pointer, word) in [
        (view(json!({ "colour": "red" })), "/views/0/colour", "no key"),
        (view(json!({ "nme": "x" })), "/views/0/nme", "did you mean \"name\"?"),
        (view(json!({ "stat": "volum" })), "/views/0/stat", "did you mean \"volume\"?"),
        (view(json!({ "type": "pie" })), "/views/0/type", "is no chart"),
        (view(json!({ "name": "a b" })), "/views/0/name", "is no name"),
        (view(json!({ "name": 7 })), "/views/0/name", "expected a string"),
        (view(json!({ "y": "up" })), "/views/0/y", "none of"),
        (view(json!({ "span": "-1d" })), "/views/0/span", "is not"),
        (view(json!({ "params": { "limit": "x" } })), "/views/0/params/limit", "whole number"),
        (view(json!({ "params": { "nobody": "x" } })), "/views/0/params/nobody", "allowed"),
        (view(json!({ "params": { "a/b~c": [{}] } })), "/views/0/params/a~1b~0c", "neither"),
        (view(json!({ "params": { "model": "x" } })), "/views/0/params/model", "no such model"),
        (view(json!({ "emits": ["tpic"] })), "/views/0/emits", "did you mean \"topic\"?"),
        (view(json!({ "emits": ["span"] })), "/views/0/emits", "another meaning"),
        (view(json!({ "listens": 7 })), "/views/0/listens", "holds no names"),
        (view(json!({ "default_load": "maybe" })), "/views/0/default_load", "neither true nor"),
        (view(json!({ "parent": "w" })), "/views/0/parent", "no view \"w\""),
        (view(json!({ "parent": "v" })), "/views/0/parent", "its own parent"),
        (view(json!({ "stat": "users" })), "/views/0/type", "needs a model with windows"),
        (view(json!({ "data_adapter": "share" })), "/views/0/data_adapter", "computes no view"),
        (view(json!({ "charts": [{}] })), "/views/0/charts/0", "missing field `name`"),
    ] {
        let found = faults(wrong.clone());
        assert_eq!(found.len(), 1, "{wrong}: {found:?}");
        assert!(found[0].starts_with(&format!("0.json: {pointer}: ")), "{wrong}: {found:?}");
        assert!(found[0].contains(word), "{wrong}: {found:?}");
    }
}

#[test]
fn what_is_wrong_is_left_out_and_the_rest_works() {
    let broken = json!({ "name": "d", "views": [view(json!({ "y": "up" })), view(json!({}))] });
    let mut definitions = Definitions::default();
    definitions.add("a.json", "{\"name\": ");
    definitions.add("b.json", &broken.to_string());
    definitions.add("c.json", &json!({ "name": "d", "views": [] }).to_string());
    let found = Dashboards::new(&definitions, &stats());
    let files: Vec<_> = found.faults.iter().map(|fault| fault.file.as_str()).collect();
    assert_eq!(files, ["a.json", "b.json", "c.json"]);
    assert_eq!(found.find("d").unwrap().views.len(), 1);
    let names: Vec<_> = found.list.iter().map(|dashboard| dashboard.name.as_str()).collect();
    assert_eq!(names, ["d", "users", "volume"]);
}

#[test]
fn files_are_read_by_name_and_a_folder_that_is_not_there_has_none() {
    let folder = tempfile::TempDir::new().unwrap();
    for (file, name) in [("2.json", "two"), ("1.json", "one"), ("3.txt", "three")] {
        let text = json!({ "name": name, "views": [] }).to_string();
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    std::fs::create_dir(folder.path().join("4.json")).unwrap();
    let mut definitions = Definitions::default();
    definitions.read(folder.path());
    definitions.read(&folder.path().join("nowhere"));
    let found = Dashboards::new(&definitions, &Manifests::new());
    let names: Vec<_> = found.list.iter().map(|dashboard| dashboard.name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
    assert_eq!(found.faults.len(), 1);
    assert!(found.faults[0].reason.contains("no file"));
}

#[test]
fn a_statistic_without_definitions_gets_views_of_its_columns() {
    let found = dashboards(&[]);
    let kinds = |ident: &str| {
        let view = &found.of_stat(ident).unwrap().views[0];
        view.charts.iter().map(|chart| chart.kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds("volume"), [Kind::Line, Kind::Bar, Kind::Table]);
    assert_eq!(kinds("users"), [Kind::Bar, Kind::Table]);
    assert_eq!(found.of_stat("volume").unwrap().views[0].emits, ["topic"]);
}

#[test]
fn a_plugins_own_views_are_shown_instead() {
    let mut stats = stats();
    let manifest = Arc::make_mut(stats.get_mut("users").unwrap());
    manifest.views = vec![
        json!({ "name": "top", "type": "bar", "of_a_newer_version": 1 }),
        json!({ "name": "share", "title": "Shares", "compute": {} }),
        json!({ "name": "broken", "type": "pie" }),
    ];
    let found = Dashboards::new(&Definitions::default(), &stats);
    let views = &found.of_stat("users").unwrap().views;
    let names: Vec<_> = views.iter().map(|view| view.name.as_str()).collect();
    assert_eq!(names, ["top", "share"]);
    assert_eq!(views[1].source, Source::Computed("share".to_owned()));
    assert_eq!(found.faults[0].to_string().split(": ").next().unwrap(), "manifest of users");
    assert_eq!(found.faults[0].pointer, "/views/2/type");
}

fn linked() -> Dashboard {
    let views = [
        view(json!({ "name": "lines", "signals": ["topic"] })),
        view(json!({ "name": "heat", "type": "heatmap", "listens": ["topic"] })),
        view(json!({ "name": "people", "stat": "users", "type": "bar", "emits": ["user"] })),
    ];
    dashboards(&[json!({ "name": "d", "views": views })]).list[0].clone()
}

fn state(dashboard: &Dashboard, pairs: &[(&str, &str)]) -> State {
    State::parse(dashboard, pairs.iter().copied()).unwrap()
}

#[test]
fn a_choice_is_set_and_cleared_by_the_same_mark() {
    let dashboard = linked();
    let choice = dashboard.choice(&dashboard.views[0], "topic", "a&b=c");
    let chosen = state(&dashboard, &[("span", "7d")]).toggled(&choice);
    assert_eq!(chosen.query(), "?span=7d&topic=a%26b%3Dc");
    assert_eq!(chosen.toggled(&choice).query(), "?span=7d");
    let other = dashboard.choice(&dashboard.views[0], "topic", "x");
    assert_eq!(chosen.toggled(&other).query(), "?span=7d&topic=x");
    let both = state(&dashboard, &[("topic", "x"), ("topic", "y")]);
    assert_eq!(both.choices.len(), 2);
    assert_eq!(both.toggled(&other).query(), "?topic=x");
    assert_eq!(both.without(&other).query(), "?topic=y");
    assert_eq!(both.cleared().query(), "?");
}

#[test]
fn what_means_nothing_is_left_out_and_what_makes_no_sense_is_refused() {
    let dashboard = linked();
    let found = state(
        &dashboard,
        &[
            ("utm", "x"),
            ("user", "ann"),
            ("lines.topic", "x"),
            ("chart.lines", "pie"),
            ("span", ""),
        ],
    );
    assert_eq!(found.query(), "?user=ann");
    let wrong = State::parse(&dashboard, [("start", "noon"), ("tz", "Mars/Base"), ("span", "0")]);
    let names: Vec<_> = wrong.unwrap_err().into_iter().map(|error| error.param).collect();
    assert_eq!(names, ["start", "tz", "span"]);
}

#[test]
fn another_form_of_a_view_is_part_of_the_address() {
    let mut dashboard = linked();
    let table = Chart { kind: Kind::Table, title: "Rows".to_owned() };
    dashboard.views[0].charts.push(table);
    let found = state(&dashboard, &[("chart.lines", "table")]);
    assert_eq!(found.kind(&dashboard.views[0]), Kind::Table);
    assert_eq!(found.with_chart(&dashboard.views[0], Kind::Line).query(), "?");
}

/// The cases of the data that both systems are compared by.
#[test]
fn choices_reach_the_direct_children_that_list_them() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/perf/view_signals.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("NOT TESTED: ../shared/data/perf/view_signals.json is not there");
        return;
    };
    let data: Json = serde_json::from_str(&text).unwrap();
    for case in data["cases"].as_array().unwrap() {
        let views = case["views"].as_array().unwrap().iter().map(|listed| View {
            name: listed["view"].as_str().unwrap().to_owned(),
            parent: listed["parent"].as_str().map(str::to_owned),
            emits: strings(&listed["signals"]),
            listens: strings(&listed["signals"]),
            ..linked().views[0].clone()
        });
        let dashboard = Dashboard { views: views.collect(), ..linked() };
        let send = &case["send"];
        let sender = send["sender"].as_str().unwrap();
        let sender = dashboard.views.iter().find(|view| view.name == sender).unwrap();
        let signal = send["signal"].as_str().unwrap();
        let named: Vec<_> =
            dashboard.receivers(sender, signal).iter().map(|view| view.name.clone()).collect();
        assert_eq!(named, strings(&case["expected_receivers"]), "{}", case["id"]);

        // The same, said by an address.
        let choice = dashboard.choice(sender, signal, &send["value"].to_string());
        let query = State::default().toggled(&choice).pairs();
        let pairs = query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let state = State::parse(&dashboard, pairs).unwrap();
        let following = dashboard.views.iter().filter(|view| state.received(view).next().is_some());
        let following: Vec<_> = following.map(|view| view.name.clone()).collect();
        assert_eq!(following, named, "{}", case["id"]);
    }
}

fn strings(json: &Json) -> Vec<String> {
    json.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}
