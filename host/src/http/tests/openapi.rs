//! The description of the API: complete, and true to what the server does.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::{Fixture, users};
use crate::config::Tokens;
use crate::http::HttpOptions;
use crate::http::routes::ROUTES;
use crate::query::CompleteUntil;
use crate::query::params::PARAMS;

fn described() -> (Fixture, Json) {
    let fixture = Fixture::with_users();
    let view = json!({"name": "share", "title": "Shares", "compute": {}});
    fixture.catalog.put("odd~%n.me", users().with_view(view), 1, CompleteUntil::End);
    let document = fixture.get("/api/openapi.json").json();
    (fixture, document)
}

/// Every value of a member `name`, however deep.
fn members<'a>(json: &'a Json, name: &str, found: &mut Vec<&'a Json>) {
    match json {
        Json::Object(object) => {
            found.extend(object.get(name));
            object.values().for_each(|value| members(value, name, found));
        }
        Json::Array(list) => list.iter().for_each(|value| members(value, name, found)),
        _ => {}
    }
}

fn operations(document: &Json) -> Vec<(&str, &str, &Json)> {
    let paths = document["paths"].as_object().unwrap();
    let methods = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    });
    methods.collect()
}

#[test]
fn every_address_is_described_in_general_and_for_each_statistic() {
    let (_, document) = described();
    let described: BTreeSet<_> =
        operations(&document).iter().map(|(path, method, _)| (*path, *method)).collect();
    for route in ROUTES {
        assert!(described.contains(&(route.path, route.method)), "{}", route.path);
    }
    for path in [
        "/api/users",
        "/api/users/facets",
        "/api/users/events",
        "/api/users/schema",
        "/api/users/layout",
        "/api/odd~%25n.me",
        "/api/odd~%25n.me/views/share",
    ] {
        assert!(described.contains(&(path, "get")), "{path}");
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_has_its_own_name() {
    let (_, document) = described();
    let mut references = Vec::new();
    members(&document, "$ref", &mut references);
    assert!(references.len() > 100);
    for reference in references {
        let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
    let operations = operations(&document);
    let names: BTreeSet<_> = operations
        .iter()
        .map(|(.., operation)| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), operations.len());
    for (path, _, operation) in operations {
        let declared = operation["parameters"].as_array().unwrap().iter();
        let declared: Vec<_> = declared
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let named = path.split(['{', '}']).skip(1).step_by(2).collect::<Vec<_>>();
        assert_eq!(declared, named, "{path}");
    }
}

#[test]
fn columns_are_parameters_and_members_of_rows() {
    let (_, document) = described();
    let filters = &document["components"]["schemas"]["Filters.users"]["properties"];
    for name in ["user", "user__contains", "user__glob", "volume__gt", "timestamp__lte"] {
        assert!(filters[name].is_object(), "{name}");
    }
    assert!(filters["volume__contains"].is_null());
    let row = &document["components"]["schemas"]["Rows.users"]["anyOf"][0]["items"]["properties"];
    assert_eq!(row["volume"], json!({"type": ["number", "null"], "description": "messages"}));
}

#[test]
fn what_the_description_lists_is_taken_and_nothing_beside_it() {
    let (fixture, document) = described();
    let parameters = document["components"]["parameters"].as_object().unwrap();
    for param in PARAMS {
        for name in std::iter::once(&param.name).chain(param.aliases) {
            assert!(parameters.contains_key(*name), "{name}");
        }
        let schemas = &parameters[param.name]["schema"]["anyOf"];
        let schema = &schemas[0];
        assert_eq!(schemas[1]["const"], "", "{}", param.name);
        let with = match param.name {
            "agg" => "&step=1m",
            _ => "",
        };
        let status = |value: &str| {
            let value = crate::render::html::encode(value);
            fixture.get(&format!("/api/users?{}={value}{with}", param.name)).status
        };
        assert_eq!(status(""), 200, "{}", param.name);
        for value in schema["enum"].as_array().into_iter().flatten() {
            assert_eq!(status(value.as_str().unwrap()), 200, "{}={value}", param.name);
        }
        for value in schema["examples"].as_array().into_iter().flatten() {
            assert_eq!(status(value.as_str().unwrap()), 200, "{}={value}", param.name);
        }
        if let Some(least) = schema["minimum"].as_u64() {
            assert_eq!(status(&least.to_string()), 200, "{}", param.name);
            assert_eq!(status(&(least as i64 - 1).to_string()), 400, "{}", param.name);
        }
        if schema["enum"].is_array() || schema["pattern"].is_string() {
            assert_eq!(status("no such value"), 400, "{}", param.name);
        }
    }
}

/// The table of `docs/api.md` names every address and every parameter.
#[test]
fn the_manual_leaves_nothing_out() {
    let manual = include_str!("../../../../docs/api.md");
    for route in ROUTES {
        assert!(manual.contains(&format!("`{}`", route.path)), "{}", route.path);
    }
    for param in PARAMS {
        for name in std::iter::once(&param.name).chain(param.aliases) {
            assert!(manual.contains(&format!("`{name}`")), "{name}");
        }
    }
    for (operator, _) in crate::query::filter::OPERATORS {
        assert!(manual.contains(&format!("`{operator}`")), "{operator}");
    }
}

#[test]
fn tokens_are_described_where_they_are_asked_for() {
    let tokens = Tokens { ingest: Some("in".to_owned()), ..Tokens::default() };
    let fixture = Fixture::new(HttpOptions { tokens, ..HttpOptions::default() });
    let document = fixture.get("/api/openapi.json").json();
    let ingest = &document["paths"]["/ingest/{source}"]["post"];
    assert_eq!(ingest["security"], json!([{"token": []}]));
    assert!(ingest["responses"]["401"].is_object());
    assert!(document["paths"]["/api/"]["get"]["security"].is_null());
}

#[test]
fn the_description_has_a_tag_of_its_own() {
    let (fixture, _) = described();
    let reply = fixture.get("/api/openapi.json");
    assert_eq!(reply.json()["openapi"], "3.1.0");
    let headers = [("If-None-Match", reply.header("etag").unwrap())];
    assert_eq!(fixture.ask("GET", "/api/openapi.json", &headers, b"").status, 304);
}
