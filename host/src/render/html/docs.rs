//! How to begin, and the reference of the API.

use maud::{Markup, html};
use serde_json::Value as Json;

use super::encode;

/// Returns the content of the page for those who begin. `base` is the address of this host as the reader
/// knows it; `ident` a statistic of it.
#[must_use]
pub fn start(base: &str, ident: Option<&str>) -> Markup {
    let ident = ident.unwrap_or("IDENT");
    let rows = format!("{base}/api/{}", encode(ident));
    html! {
        h1 { "Getting started" }
        p.summary { "statmill keeps statistics over a stream of messages, exactly, and answers them in the form you ask for." }
        h2 { "Ask for rows" }
        p { "Every statistic has an address. Its extension says the form; without one the header Accept does." }
        pre { code { "curl " (base) "/api/                  # which statistics there are\n"
            "curl " (rows) "\n"
            "curl " (rows) ".csv?start=-7d\n"
            "curl " (rows) ".svg > picture.svg" } }
        ul {
            li { a href="/api/" { "The list" } " and " a href="/stats" { "the newest rows of each" } }
            li { a href={ "/api/" (encode(ident)) ".html" } { "A statistic as a page" } ": filters, ranges of time, order" }
            li { a href="/api/docs" { "Every address and parameter" } }
        }
        h2 { "Follow changes" }
        p { "A stream of server-sent events names each statistic as it changes." }
        pre { code { "curl -N " (base) "/api/events" } }
        h2 { "Look at pictures" }
        p { "Choose a line, a bar or a row on a dashboard: the other views follow. The address keeps the choice, so that it
            can be sent to others. Shift adds a value, Esc clears all, dragging over a line chart chooses a range of time." }
        h2 { "Add a statistic" }
        p { "A plugin is a shared library in the plugins folder. It appears here, with a picture, at once; it
            fills itself from the past. Dashboards are JSON files in the dashboards folder." }
        h2 { "See what the host is doing" }
        p { a href="/status" { "The status" } " has states, lag, errors, sources and fills." }
    }
}

/// Returns the content of the reference: the addresses that an OpenAPI document describes.
#[must_use]
pub fn reference(document: &Json) -> Markup {
    let paths: Vec<(&String, &Json)> =
        document["paths"].as_object().map(|paths| paths.iter().collect()).unwrap_or_default();
    html! {
        h1 { "Reference" }
        p.summary { (text(&document["info"]["description"])) }
        p { "For programs: " a href="/api/openapi.json" { "OpenAPI " (text(&document["openapi"])) } "." }
        div.grid { @for (path, methods) in paths {
            @for (method, operation) in methods.as_object().into_iter().flatten() {
                (operation_of(path, method, operation, document))
            }
        } }
    }
}

fn operation_of(path: &str, method: &str, operation: &Json, document: &Json) -> Markup {
    let parameters: Vec<&Json> = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|parameter| resolved(parameter, document))
        .collect();
    html! {
        section.card.full {
            h2 { code { (method.to_uppercase()) " " (path) } }
            p { (text(&operation["summary"])) }
            @if !parameters.is_empty() {
                details {
                    summary { "Parameters (" (parameters.len()) ")" }
                    div.scroll tabindex="0" role="region" aria-label={ "Parameters of " (path) } { table {
                        thead { tr { th scope="col" { "Name" } th scope="col" { "In" } th scope="col" { "Meaning" } } }
                        tbody { @for parameter in parameters { tr {
                            th scope="row" { code { (text(&parameter["name"])) } }
                            td { (text(&parameter["in"])) @if parameter["required"] == true { ", required" } }
                            td { (text(&parameter["description"])) }
                        } } }
                    } }
                }
            }
            ul.answers {
                @for (statuses, answer) in answers(operation, document) {
                    li { strong { (statuses.join(", ")) } " " (text(&answer["description"]))
                        @for media in answer["content"].as_object().into_iter().flatten().map(|(media, _)| media) {
                            " " code { (media) }
                        }
                    }
                }
            }
        }
    }
}

/// The answers of an operation; those that are the same, together.
fn answers<'a>(operation: &'a Json, document: &'a Json) -> Vec<(Vec<&'a str>, &'a Json)> {
    let mut found: Vec<(Vec<&str>, &Json)> = Vec::new();
    for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
        let answer = resolved(answer, document);
        match found.iter_mut().find(|(_, known)| *known == answer) {
            Some((statuses, _)) => statuses.push(status),
            None => found.push((vec![status], answer)),
        }
    }
    found
}

/// What a reference stands for.
fn resolved<'a>(json: &'a Json, document: &'a Json) -> &'a Json {
    let target = json["$ref"].as_str().and_then(|place| document.pointer(place.strip_prefix('#')?));
    target.unwrap_or(json)
}

fn text(json: &Json) -> &str {
    json.as_str().unwrap_or_default()
}
