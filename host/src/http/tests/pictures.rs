//! Pictures and badges of stats.

use roxmltree::Document;
use statmill_plugin_api::encoding::Value;
use statmill_plugin_api::manifest::ValueKind;

use super::{Fixture, Reply};
use crate::http::HttpOptions;
use crate::query::memory::MemoryRows;
use crate::query::{CompleteUntil, Limits};
use crate::render::picture::{Kind, PARAMS};

fn text(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    assert_eq!(reply.header("content-type"), Some("image/svg+xml"));
    let text = String::from_utf8(reply.body.clone()).unwrap();
    Document::parse(&text).unwrap();
    text
}

/// What is said of each mark.
fn said(svg: &str) -> Vec<String> {
    let document = Document::parse(svg).unwrap();
    let titles = document
        .descendants()
        .filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "title")));
    titles.skip(1).filter_map(|title| title.text()).map(str::to_owned).collect()
}

fn wrong(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.status, 400);
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    let problem = reply.json();
    let errors = problem["errors"].as_array().unwrap().clone();
    errors.iter().map(|error| error["param"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_picture_is_asked_for_by_extension_format_or_accept() {
    let fixture = Fixture::with_users();
    let by_extension = text(&fixture.get("/api/users.svg"));
    assert_eq!(
        text(&fixture.get("/api/users.svg?format=json")),
        by_extension.replace("?user=", "?format=json&amp;user=")
    );
    let accept = [("Accept", "image/svg+xml")];
    assert_eq!(text(&fixture.ask("GET", "/api/users", &accept, b"")), by_extension);
    assert!(by_extension.contains("Title of users"));
    // Those who look at pages get a page.
    let browser = [("Accept", "text/html,application/xhtml+xml,image/svg+xml;q=0.8")];
    let page = fixture.ask("GET", "/api/users", &browser, b"");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
}

#[test]
fn a_picture_may_hold_no_script_and_says_up_to_when_it_is_complete() {
    let fixture = Fixture::with_users();
    let reply = fixture.get("/api/users.svg");
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    assert_eq!(reply.header("content-security-policy"), Some(policy));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(reply.header("statmill-complete-until"), Some("2017-07-14T02:40:00Z"));
    let svg = text(&reply);
    let document = Document::parse(&svg).unwrap();
    let desc = document.descendants().find(|node| node.tag_name().name() == "desc").unwrap();
    assert!(desc.text().unwrap().ends_with("of 5 rows. Complete until 2017-07-14T02:40:00Z."));
    let etag = reply.header("etag").unwrap();
    let again = fixture.ask("GET", "/api/users.svg", &[("If-None-Match", etag)], b"");
    assert_eq!((again.status, again.body.len()), (304, 0));
    let other = fixture.ask("GET", "/api/users.svg?w=300", &[("If-None-Match", etag)], b"");
    assert_eq!(other.status, 200);
}

#[test]
fn hostile_values_are_text_and_links_lead_nowhere_else() {
    let fixture = Fixture::with_users();
    let svg = text(&fixture.get("/api/users.svg?type=bar&start=0"));
    assert!(!svg.contains("<b>") && svg.contains("&lt;b&gt;&quot;x'&amp;,"));
    let document = Document::parse(&svg).unwrap();
    let links: Vec<_> = document.descendants().filter_map(|node| node.attribute("href")).collect();
    assert!(links.contains(&"?type=bar&start=0&user=%3Cb%3E%22x%27%26%2C%0A"), "{links:?}");
    assert!(links.iter().all(|link| link.starts_with("?type=bar&start=0&user=")), "{links:?}");
    let label = fixture.get("/api/users/badge.svg?label=%3Cscript%3Ealert(1)%3C/script%3E");
    assert!(text(&label).contains("&lt;script&gt;alert(1)"));
}

#[test]
fn choosing_a_mark_filters_and_choosing_it_again_does_not_any_more() {
    let fixture = Fixture::with_users();
    let svg = text(&fixture.get("/api/users.svg?type=bar&user=ann&page=1"));
    assert_eq!(said(&svg), ["ann: 6 messages"]);
    assert!(
        svg.contains("<a class=\"chosen\" href=\"?type=bar\" data-sig=\"user\" data-val=\"ann\"")
    );
}

#[test]
fn bars_are_sums_of_all_windows_the_largest_first() {
    let fixture = Fixture::with_users();
    let svg = text(&fixture.get("/api/users.svg?type=bar"));
    let wanted =
        ["ann: 6 messages", "<b>\"x'&,\n: 4 messages", "zo\u{eb}: 3 messages", "bob: 2 messages"];
    assert_eq!(said(&svg), wanted);
    let svg = text(&fixture.get("/api/users.svg?type=bar&start=3"));
    assert_eq!(said(&svg), ["ann: 5 messages", "<b>\"x'&,\n: 4 messages"]);
}

#[test]
fn columns_stand_where_their_window_begins() {
    let fixture = Fixture::with_users();
    let svg = text(&fixture.get("/api/users.svg?type=column&user=ann"));
    let wanted =
        ["ann \u{b7} 1 Jan 1970 00:00: 1 messages", "ann \u{b7} 1 Jan 1970 00:00:02: 5 messages"];
    assert_eq!(said(&svg), wanted);
}

#[test]
fn every_kind_is_drawn_or_refused_with_a_reason() {
    let fixture = Fixture::with_users();
    let mut totals =
        MemoryRows::new("totals", false, &[("kind", ValueKind::Text), ("user", ValueKind::Text)]);
    for (kind, user, volume) in [("a", "ann", 1), ("a", "bob", 2), ("b", "ann", 4)] {
        totals.add(None, &[Value::Text(kind.into()), Value::Text(user.into())], volume);
    }
    fixture.catalog.put("totals", totals, 1, CompleteUntil::End);
    let none = MemoryRows::new("none", true, &[("user", ValueKind::Text)]);
    fixture.catalog.put("none", none, 1, CompleteUntil::Unknown);
    for ident in ["users", "totals", "none"] {
        for (name, _) in Kind::NAMED {
            for size in ["", "&w=0&h=0", "&w=99999999999&h=10", "&w=390&h=200&theme=dark"] {
                let reply = fixture.get(&format!("/api/{ident}.svg?type={name}{size}"));
                match reply.status {
                    200 => drop(text(&reply)),
                    _ => assert_eq!(wrong(&reply), ["type"], "{ident} {name}"),
                }
            }
        }
        text(&fixture.get(&format!("/api/{ident}.svg")));
        text(&fixture.get(&format!("/api/{ident}/badge.svg")));
    }
    let stacked = said(&text(&fixture.get("/api/totals.svg?type=stacked-bar")));
    let wanted =
        ["b: 4 messages (ann 4 messages)", "a: 3 messages (ann 1 messages, bob 2 messages)"];
    assert_eq!(stacked, wanted);
    assert_eq!(said(&text(&fixture.get("/api/totals.svg?by=user")))[0], "ann: 5 messages");
}

#[test]
fn wrong_values_are_named_with_what_would_be_right() {
    let fixture = Fixture::with_users();
    for (query, param) in [
        ("type=pie", "type"),
        ("w=wide", "w"),
        ("h=-1", "h"),
        ("theme=pink", "theme"),
        ("tz=Nowhere/Else", "tz"),
        ("y=up", "y"),
        ("by=nothing", "by"),
        ("measure=nothing", "measure"),
        ("type=bar&chart=line", "chart"),
        ("model=nothing", "model"),
        ("colour=green", "colour"),
    ] {
        assert_eq!(wrong(&fixture.get(&format!("/api/users.svg?{query}"))), [param], "{query}");
    }
    assert_eq!(wrong(&fixture.get("/api/users/badge.svg?colour=pink")), ["colour"]);
    assert_eq!(fixture.get("/api/nobody.svg").status, 404);
    assert_eq!(fixture.get("/api/nobody/badge.svg").status, 404);
}

#[test]
fn what_is_said_of_a_picture_is_no_filter_of_rows_but_a_column_of_that_name_is() {
    let fixture = Fixture::with_users();
    let plain = fixture.get("/api/users").json();
    assert_eq!(fixture.get("/api/users?type=bar&w=300&theme=dark").json(), plain);
    let mut rows = MemoryRows::new("kinds", true, &[("type", ValueKind::Text)]);
    for (time, kind, volume) in [(1, "a", 1), (1, "b", 2), (2, "b", 3)] {
        rows.add(Some(time * 1_000_000), &[Value::Text(kind.into())], volume);
    }
    fixture.catalog.put("kinds", rows, 1, CompleteUntil::End);
    let svg = text(&fixture.get("/api/kinds.svg?type=b&chart=bar"));
    assert_eq!(said(&svg), ["b: 5 messages"]);
    for param in PARAMS {
        assert_ne!(param.name, param.alias);
    }
}

#[test]
fn a_badge_is_one_number_over_the_filters() {
    let fixture = Fixture::with_users();
    let name = |path: &str| {
        let svg = text(&fixture.get(path));
        let document = Document::parse(&svg).unwrap();
        document.root_element().attribute("aria-label").unwrap().to_owned()
    };
    assert_eq!(name("/api/users/badge.svg"), "Title of users: 15 messages");
    assert_eq!(name("/api/users/badge.svg?user=ann&label=Ann"), "Ann: 6 messages");
    assert_eq!(name("/api/users/badge.svg?start=3&colour=green"), "Title of users: 9 messages");
    assert_eq!(name("/api/users/badge.svg?user=nobody"), "Title of users: no data");
    let reply = fixture.get("/api/users/badge.svg");
    let etag = reply.header("etag").unwrap();
    let again = fixture.ask("GET", "/api/users/badge.svg", &[("If-None-Match", etag)], b"");
    assert_eq!(again.status, 304);
}

#[test]
fn a_picture_costs_no_more_than_rows_may() {
    let limits = Limits { max_rows: 3, ..Limits::default() };
    let fixture = Fixture::new(HttpOptions { limits, ..HttpOptions::default() });
    fixture.catalog.put("users", super::users(), 1, CompleteUntil::End);
    for path in ["/api/users.svg?volume__gte=1", "/api/users/badge.svg?volume__gte=1"] {
        let reply = fixture.get(path);
        assert_eq!(reply.status, 422, "{path}");
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    }
}
