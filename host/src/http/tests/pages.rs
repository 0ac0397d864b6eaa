//! Pages: every link of every state leads somewhere, nothing that is shown can become markup, and what a
//! reader chose is followed.

use std::collections::{BTreeSet, VecDeque};

use super::*;
use crate::dashboards::Definitions;
use crate::http::HttpOptions;

/// Statistics by topic and hour and by user, one with a hostile name, and a dashboard of them.
fn fixture() -> Fixture {
    let mut options = HttpOptions::default();
    options.dashboards.add("linked.json", LINKED);
    let fixture = Fixture::new(options);
    let mut volume =
        MemoryRows::new("volume", true, &[("topic", ValueKind::Text)]).windows_of(3_600);
    for hour in 0..48_u32 {
        for (topic, count) in [("git", 3 + hour % 5), ("koji", 7), (HOSTILE, 1)] {
            let time_us = i64::from(hour) * 3_600_000_000;
            volume.add(Some(time_us), &[Value::Text(topic.into())], count.into());
        }
    }
    fixture.catalog.put("volume", volume, 1, CompleteUntil::At(172_800_000_000));
    let mut people = MemoryRows::new("people", false, &[("user", ValueKind::Text)]);
    for (user, count) in [("ann", 5), ("zoë", 9), (HOSTILE, 2)] {
        people.add(None, &[Value::Text(user.into())], count);
    }
    fixture.catalog.put("people", people, 1, CompleteUntil::End);
    let mut hostile = MemoryRows::new(HOSTILE_IDENT, true, &[("user", ValueKind::Text)]);
    hostile.add(Some(1_000_000), &[Value::Text(HOSTILE.into())], 1);
    fixture.catalog.put(HOSTILE_IDENT, hostile, 1, CompleteUntil::Unknown);
    fixture
}

const HOSTILE: &str = "\"><script>alert('&')</script><a href=javascript:x>";
const HOSTILE_IDENT: &str = "a\"><img src=x onerror=1>&?#";

const LINKED: &str = r#"{
    "name": "linked", "read_name": "Linked <views>", "section": "Traffic & more", "span": "7d",
    "views": [
        { "name": "lines", "stat": "volume", "signals": ["topic"], "unit": "<messages>",
          "charts": [{ "name": "line" }, { "name": "area" }, { "name": "table" }], "control_panel": "topic" },
        { "name": "heat", "stat": "volume", "type": "heatmap", "listens": ["topic"] },
        { "name": "sum", "stat": "volume", "type": "tile", "listens": ["topic"] },
        { "name": "rows", "stat": "people", "type": "count" },
        { "name": "topics", "stat": "volume", "type": "summary", "signals": ["topic"] },
        { "name": "bars", "stat": "volume", "type": "bar", "emits": ["topic"] },
        { "name": "people", "stat": "people", "type": "bar", "emits": ["user"], "default_load": false },
        { "name": "list", "stat": "people", "type": "table", "signals": ["user"] }
    ]
}"#;

/// The values of an attribute in markup, unescaped.
fn attributes(text: &str, name: &str) -> Vec<String> {
    let wanted = format!(" {name}=\"");
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(&wanted) {
        rest = &rest[at + wanted.len()..];
        let end = rest.find('"').unwrap();
        let value = &rest[..end];
        let unescaped = value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
        found.push(unescaped.replace("&amp;", "&"));
        rest = &rest[end..];
    }
    found
}

/// Every element is closed where it must be, and nothing else is.
fn assert_whole(address: &str, text: &str) {
    const VOID: [&str; 6] = ["meta", "link", "input", "br", "img", "hr"];
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text.strip_prefix("<!DOCTYPE html>").unwrap_or(text);
    while let Some(at) = rest.find('<') {
        let tag = &rest[at + 1..];
        let end = tag.find('>').unwrap_or_else(|| panic!("{address}: a tag without an end"));
        let (inside, after) = (&tag[..end], &tag[end + 1..]);
        assert!(!inside.contains('<'), "{address}: <{inside}>");
        let name = inside.split([' ', '/']).find(|part| !part.is_empty()).unwrap_or_default();
        if inside.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{address}");
        } else if !inside.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
        rest = after;
    }
    assert!(open.is_empty(), "{address}: {open:?} is open");
}

/// The address that a link on a page leads to.
fn resolved(page: &str, href: &str) -> Option<String> {
    let path = page.split('?').next().unwrap();
    match href.as_bytes().first() {
        Some(b'#') | None => None,
        Some(b'?') => Some(format!("{path}{href}")),
        Some(b'/') => Some(href.to_owned()),
        _ => href
            .strip_prefix("http://localhost")
            .map(str::to_owned)
            .or_else(|| panic!("{page}: {href}")),
    }
}

#[test]
fn every_link_of_every_state_leads_to_a_whole_answer() {
    let fixture = fixture();
    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut ahead: VecDeque<String> = ["/".to_owned()].into();
    let mut pages = 0;
    while let Some(address) = ahead.pop_front() {
        let reply = fixture.get(&address);
        assert_eq!(reply.status, 200, "{address}: {}", reply.text());
        let content_type = reply.header("content-type").unwrap().to_owned();
        if !content_type.starts_with("text/html") {
            continue;
        }
        pages += 1;
        let text = reply.text();
        assert_whole(&address, text);
        for word in ["<script>alert", "<img src=x", "javascript:x>", " style=\"", "onerror=1>"] {
            assert!(!text.contains(word), "{address} contains {word}");
        }
        let links = ["href", "src", "data-src", "data-rows"];
        let links = links.into_iter().flat_map(|name| attributes(text, name));
        for next in links.filter_map(|href| resolved(&address, &href)) {
            let next = next.split('#').next().unwrap().to_owned();
            // A state of everything chosen at once is reached by many ways.
            if known.len() < 1_500 && !next.starts_with("/metrics") && known.insert(next.clone()) {
                ahead.push_back(next);
            }
        }
    }
    for address in
        ["/d/linked", "/stats", "/status", "/start", "/api/docs", "/api/volume.html", "/d/volume"]
    {
        assert!(known.contains(address), "{address} was not found");
    }
    assert!(known.iter().any(|address| address.contains("chart.lines=area&topic=git")));
    assert!(pages > 100, "{pages}");
}

#[test]
fn a_choice_filters_the_views_that_follow_it() {
    let fixture = fixture();
    let page = |query: &str| fixture.get(&format!("/d/linked{query}")).text().to_owned();
    let all = page("");
    let git = page("?topic=git");
    // 48 hours of 3 to 7, and those and 8 of the others.
    assert!(all.contains("<strong>621</strong>"), "{all}");
    assert!(git.contains("<strong>237</strong>"), "{git}");
    assert!(git.contains("topic = git"));
    assert!(git.contains("href=\"?\" data-clear"));
    let both = page("?topic=git&topic=koji");
    assert!(both.contains("<strong>573</strong>"), "{both}");
    // What does not listen stays.
    assert!(git.contains("zoë"));
    let part = fixture.get("/ui/view/linked/sum?topic=git");
    assert!(part.text().contains("<strong>237</strong>"));
    let rows = fixture.get("/ui/data/linked/lines?topic=git").json();
    assert_eq!(rows["series"].as_array().unwrap().len(), 1);
    assert_eq!(rows["series"][0]["name"], "git");
    assert_eq!(rows["series"][0]["values"][0], 3.0);
    assert_eq!(rows["times"].as_array().unwrap().len(), 48);
}

#[test]
fn a_range_of_time_holds_for_all_views() {
    let fixture = fixture();
    let sum = |query: &str| {
        let part = fixture.get(&format!("/ui/view/linked/sum{query}"));
        attributes_of_number(part.text())
    };
    assert_eq!(sum("?topic=koji"), "336");
    assert_eq!(sum("?topic=koji&span=1h"), "7");
    assert_eq!(sum("?topic=koji&span=all"), "336");
    assert_eq!(sum("?topic=koji&start=3600&end=10800"), "21");
    assert_eq!(fixture.get("/d/linked?start=noon").status, 400);
    assert_eq!(fixture.get("/d/linked?tz=Mars/Base").status, 400);
}

fn attributes_of_number(text: &str) -> String {
    let start = text.find("<strong>").unwrap() + 8;
    text[start..start + text[start..].find('<').unwrap()].to_owned()
}

#[test]
fn times_are_shown_in_the_zone_asked_for() {
    let fixture = fixture();
    let utc = fixture.get("/api/volume.html?limit=1");
    assert!(utc.text().contains(">1970-01-02 23:00:00Z</time>"), "{}", utc.text());
    let berlin = fixture.get("/api/volume.html?limit=1&tz=Europe/Berlin");
    assert!(berlin.text().contains(">1970-01-03 00:00:00+01:00</time>"));
    assert!(berlin.text().contains("datetime=\"1970-01-02T23:00:00Z\""));
    assert_eq!(fixture.get("/api/volume.html?tz=nowhere").problem().0, 400);
}

#[test]
fn what_a_form_leaves_empty_is_not_asked() {
    let fixture = fixture();
    let sent = fixture.get("/api/volume.html?_=form&start=&topic=&order=asc&tz=");
    assert_eq!(sent.status, 303);
    assert_eq!(sent.header("location"), Some("/api/volume.html?order=asc"));
    // No address of another host can come of it.
    let reply = fixture.get("//evil.example/api/volume.html?_=form");
    assert_ne!(reply.status, 303);
}

#[test]
fn rows_are_followed_by_a_cursor_and_sorted_by_their_headings() {
    let fixture = fixture();
    let page = fixture.get("/api/volume.html?rows_per_page=10");
    let text = page.text();
    assert!(text.contains("data-more href=\"?rows_per_page=10&amp;cursor="), "{text}");
    assert!(text.contains("href=\"?rows_per_page=10&amp;sort=-volume\""));
    let sorted = fixture.get("/api/volume.html?sort=-volume&rows_per_page=1");
    assert!(
        sorted.text().contains(
            "href=\"?rows_per_page=1&amp;sort=volume\" aria-label=\"volume, descending\""
        )
    );
}

#[test]
fn assets_may_be_kept_for_ever() {
    let fixture = fixture();
    let page = fixture.get("/");
    let text = page.text();
    for address in attributes(text, "src").into_iter().chain(attributes(text, "href")) {
        if !address.starts_with("/assets/") {
            continue;
        }
        let asset = fixture.get(&address);
        assert_eq!(asset.status, 200);
        assert!(asset.header("cache-control").unwrap().contains("immutable"));
    }
    assert_eq!(fixture.get("/assets/statmill.js").problem().0, 404);
    assert_eq!(
        page.header("content-security-policy").unwrap().split(';').next(),
        Some("default-src 'self'")
    );
}

#[test]
fn the_theme_is_the_readers() {
    let fixture = fixture();
    let page =
        |cookie: &str| fixture.ask("GET", "/status", &[("Cookie", cookie)], b"").text().to_owned();
    assert!(page("a=b; theme=dark").contains("<html lang=\"en\" data-theme=\"dark\">"));
    assert!(page("theme=\"><script>").contains("<html lang=\"en\">"));
}

#[test]
fn a_person_is_told_on_a_page_what_is_wrong_and_a_program_as_a_problem() {
    let fixture = fixture();
    let browser = [("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let page = fixture.ask("GET", "/d/linkd", &browser, b"");
    assert_eq!(page.status, 404);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.text().contains("did you mean linked?"));
    assert_whole("/d/linkd", page.text());
    assert_eq!(fixture.get("/d/linkd").problem().0, 404);
    assert_eq!(fixture.get("/ui/view/linked/nothing").problem().0, 404);
}

#[test]
fn without_definitions_the_first_page_has_all_statistics() {
    let fixture = Fixture::with_users();
    let page = fixture.get("/");
    assert!(page.text().contains("<h1>All statistics</h1>"));
    assert!(page.text().contains("href=\"/api/users.html\""));
    assert_eq!(fixture.get("/d/users").status, 200);
    let options = HttpOptions { dashboards: Definitions::default(), ..HttpOptions::default() };
    let empty = Fixture::new(options);
    assert!(empty.get("/").text().contains("There is no statistic yet"));
}

#[test]
fn what_is_wrong_with_definitions_stands_in_the_status() {
    let mut options = HttpOptions::default();
    options
        .dashboards
        .add("wrong.json", r#"{"name": "d", "views": [{"name": "v", "stat": "nope"}]}"#);
    let fixture = Fixture::new(options);
    let status = fixture.get("/status");
    assert!(status.text().contains("<code>wrong.json</code> <code>/views/0/stat</code>"));
    assert_eq!(fixture.get("/d/d").status, 200);
}

#[test]
fn a_kiosk_has_nothing_but_views() {
    let fixture = fixture();
    let page = fixture.get("/d/linked?kiosk");
    assert!(page.text().contains("<body class=\"kiosk\">"));
    assert!(!page.text().contains("<nav"));
}

#[test]
fn a_page_that_did_not_change_is_not_sent_again() {
    let fixture = fixture();
    for path in
        ["/d/linked?topic=git", "/ui/view/linked/sum", "/ui/bar/linked", "/stats", "/status"]
    {
        let first = fixture.get(path);
        let etag = first.header("etag").unwrap();
        let again = fixture.ask("GET", path, &[("If-None-Match", etag)], b"");
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        assert_eq!(
            again.header("statmill-complete-until"),
            first.header("statmill-complete-until")
        );
        let dark = [("If-None-Match", etag), ("Cookie", "theme=dark")];
        let is_part = path.starts_with("/ui");
        assert_eq!(fixture.ask("GET", path, &dark, b"").status, if is_part { 304 } else { 200 });
    }
    let etag = fixture.get("/d/linked").header("etag").unwrap().to_owned();
    let mut volume =
        MemoryRows::new("volume", true, &[("topic", ValueKind::Text)]).windows_of(3_600);
    volume.add(Some(0), &[Value::Text("git".into())], 1);
    fixture.catalog.put("volume", volume, 2, CompleteUntil::At(172_800_000_000));
    assert_eq!(fixture.ask("GET", "/d/linked", &[("If-None-Match", &etag)], b"").status, 200);
}
