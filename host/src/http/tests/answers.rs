//! Rows, lists, pages, forms and their headers.

use serde_json::json;

use super::{Fixture, users};
use crate::http::HttpOptions;
use crate::query::memory::MemoryRows;
use crate::query::{CompleteUntil, Limits};

#[test]
fn walking_the_links_gives_every_row_once() {
    let fixture = Fixture::with_users();
    let all = fixture.get("/api/users?order=asc").json();
    let mut path = "/api/users?order=asc&rows_per_page=2&start=0".to_owned();
    let mut walked = Vec::new();
    for page in 1.. {
        let reply = fixture.get(&path);
        assert_eq!(reply.header("x-link-number"), Some(page.to_string().as_str()));
        assert_eq!(reply.header("x-link-count"), Some("3"));
        assert_eq!(reply.header("x-total-count"), Some("5"));
        walked.extend(reply.json().as_array().unwrap().clone());
        let link = reply.header("link").unwrap().to_owned();
        let Some(next) = link.split(", ").find(|link| link.ends_with("rel=\"next\"")) else {
            break;
        };
        for kept in ["order=asc", "rows_per_page=2", "start=0"] {
            assert!(next.contains(kept), "{next}");
        }
        path = next[1..].split_once('>').unwrap().0.replace("http://localhost", "");
    }
    assert_eq!(serde_json::Value::from(walked), all);
}

#[test]
fn a_page_in_the_middle_links_to_all_others() {
    let fixture = Fixture::with_users();
    let reply = fixture.get("/api/users?rows_per_page=2&page=2");
    let link = reply.header("link").unwrap();
    let page = |number: u32, rel: &str| {
        format!("<http://localhost/api/users?rows_per_page=2&page={number}>; rel=\"{rel}\"")
    };
    let links =
        [page(1, "first"), page(1, "prev"), page(1, "previous"), page(3, "next"), page(3, "last")];
    assert!(link.starts_with(&links.join(", ")), "{link}");
    let csv = "<http://localhost/api/users.csv?rows_per_page=2&page=2>; rel=\"alternate\"; \
               type=\"text/csv; charset=utf-8\"";
    assert!(link.contains(csv), "{link}");
    assert!(link.ends_with("<http://localhost/api/users/schema>; rel=\"describedby\""), "{link}");
}

#[test]
fn no_accept_is_json_and_the_extension_wins() {
    let fixture = Fixture::with_users();
    let html = [("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    for (path, headers, expected) in [
        ("/api/users", &[][..], "application/json"),
        ("/api/users", &html[..], "text/html; charset=utf-8"),
        ("/api/users?format=csv", &html[..], "text/csv; charset=utf-8"),
        ("/api/users.json?format=csv", &html[..], "application/json"),
        ("/api/users.csv", &[][..], "text/csv; charset=utf-8"),
        ("/api/users.html", &[][..], "text/html; charset=utf-8"),
        ("/api/users.ndjson", &[][..], "application/x-ndjson"),
        ("/api/", &html[..], "text/html; charset=utf-8"),
        ("/api/?format=csv", &[][..], "text/csv; charset=utf-8"),
    ] {
        let reply = fixture.ask("GET", path, headers, b"");
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(expected)), "{path}");
        assert!(reply.headers.iter().any(|(name, value)| name == "vary" && value == "Accept"));
    }
}

#[test]
fn what_is_not_available_is_406_and_names_what_is() {
    let fixture = Fixture::with_users();
    for (path, accept) in
        [("/api/users", "image/png"), ("/api/", "application/x-ndjson"), ("/api/users.xlsx", "*/*")]
    {
        let (status, problem) = fixture.ask("GET", path, &[("Accept", accept)], b"").problem();
        assert_eq!(status, 406, "{path}");
        assert!(problem["detail"].as_str().unwrap().contains("json, csv"), "{problem}");
    }
}

#[test]
fn an_ident_may_end_like_an_extension() {
    let fixture = Fixture::with_users();
    fixture.catalog.put(
        "users.csv",
        MemoryRows::new("users.csv", true, &[]),
        1,
        CompleteUntil::End,
    );
    assert_eq!(fixture.get("/api/users.csv").text(), "[]");
    assert_eq!(fixture.get("/api/users.csv.csv").text(), "timestamp,volume");
}

#[test]
fn every_bad_parameter_is_named_in_a_problem() {
    let fixture = Fixture::with_users();
    for query in [
        "order=up",
        "start=x",
        "stop=x",
        "end=x",
        "limit=-1",
        "page=0",
        "page=x",
        "rows_per_page=0",
        "rows_per_page=x",
        "format=xml",
        "callback=a(b)",
        "envelope=2",
        "shape=x",
        "time=x",
        "model=x",
        "columns=x",
        "nobody=x",
        "volume__gt=x",
        "volume__contains=1",
        "user__like=x",
        "page=9",
    ] {
        let (status, problem) = fixture.get(&format!("/api/users?{query}")).problem();
        let name = query.split_once('=').unwrap().0;
        assert_eq!(status, 400, "{query}");
        assert_eq!(problem["errors"][0]["param"], name, "{query}");
        assert!(problem["errors"][0]["reason"].is_string(), "{query}");
        assert!(problem["errors"][0]["allowed"].is_string(), "{query}");
    }
}

#[test]
fn a_query_too_big_is_told_the_cheaper_one() {
    let limits = Limits { max_rows: 3, ..Limits::default() };
    let fixture = Fixture::new(HttpOptions { limits, ..HttpOptions::default() });
    fixture.catalog.put("users", users(), 1, CompleteUntil::End);
    let (status, problem) = fixture.get("/api/users?user=ann").problem();
    assert_eq!(status, 422);
    assert!(problem["detail"].as_str().unwrap().contains("start and stop"), "{problem}");
}

#[test]
fn the_same_question_about_the_same_version_is_304() {
    let fixture = Fixture::with_users();
    let first = fixture.get("/api/users?limit=2");
    let etag = first.header("etag").unwrap().to_owned();
    assert!(etag.starts_with("W/\"7.1-"), "{etag}");
    let again = |path: &str| fixture.ask("GET", path, &[("If-None-Match", &etag)], b"");
    let known = again("/api/users?limit=2");
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(known.header("etag"), Some(etag.as_str()));
    assert_eq!(known.header("statmill-complete-until"), Some("2017-07-14T02:40:00Z"));
    let any = |path: &str| fixture.ask("GET", path, &[("If-None-Match", "*")], b"").status;
    assert_eq!((any("/api/users"), any("/api/"), any("/api/users?sort=nobody")), (304, 304, 400));
    assert_eq!(again("/api/users?limit=3").status, 200);
    assert_eq!(again("/api/users.csv?limit=2").status, 200);
    fixture.catalog.put("users", users(), 2, CompleteUntil::End);
    assert_eq!(again("/api/users?limit=2").status, 200);
}

#[test]
fn completeness_is_told_with_rows_and_lists() {
    let fixture = Fixture::with_users();
    let until = |path: &str| {
        let reply = fixture.get(path);
        reply.header("statmill-complete-until").map(str::to_owned)
    };
    for path in ["/api/users", "/api/users.csv", "/api/users.html", "/api/", "/api/?format=csv"] {
        assert_eq!(until(path).as_deref(), Some("2017-07-14T02:40:00Z"), "{path}");
    }
    fixture.catalog.put("done", MemoryRows::new("done", true, &[]), 1, CompleteUntil::End);
    assert_eq!(until("/api/done").as_deref(), Some("end"));
    fixture.catalog.put("new", MemoryRows::new("new", true, &[]), 1, CompleteUntil::Unknown);
    assert_eq!(until("/api/new").as_deref(), Some("unknown"));
    assert_eq!(until("/api/").as_deref(), Some("unknown"));
}

#[test]
fn an_envelope_says_what_the_rows_are() {
    let fixture = Fixture::with_users();
    let reply = fixture.get("/api/users?envelope=1&shape=arrays&rows_per_page=1&time=rfc3339");
    let envelope = reply.json();
    assert_eq!(envelope["rows"], json!([["1970-01-01T00:00:03Z", "<b>\"x'&,\n", 4]]));
    assert_eq!(envelope["stat"], "users");
    assert_eq!(envelope["version"], "7.1");
    assert_eq!(envelope["complete_until"], "2017-07-14T02:40:00Z");
    assert_eq!(envelope["total"], 5);
    assert_eq!(
        envelope["columns"][2],
        json!({"name": "volume", "kind": "int", "unit": "messages"})
    );
    assert!(envelope["next"].as_str().unwrap().ends_with("&page=2"));
}

#[test]
fn hostile_text_is_escaped_in_every_form() {
    let fixture = Fixture::with_users();
    let html = fixture.get("/api/users.html?user__contains=%3Cb%3E&rows_per_page=1");
    assert!(html.text().contains("&lt;b&gt;&quot;x'&amp;,"));
    assert!(!html.text().contains("<b>"));
    let csv = fixture.get("/api/users.csv?limit=1&columns=user");
    assert_eq!(csv.text(), "user\n\"<b>\"\"x'&,\n\"");
    let name = "%3Cscript%3E%22%27%0A%00";
    for path in [format!("/api/{name}"), format!("/api/{name}/schema"), format!("/{name}")] {
        let (status, _) = fixture.get(&path).problem();
        assert_eq!(status, 404);
    }
    let (status, _) = fixture.get("/api/%FF%FE").problem();
    assert_eq!(status, 400);
}

#[test]
fn a_hostile_ident_is_only_ever_text() {
    let fixture = Fixture::with_users();
    let ident = "a\"<i>/?#%,\r\n\u{2028}";
    fixture.catalog.put(ident, users(), 1, CompleteUntil::End);
    let path = format!("/api/{}", crate::render::html::encode(ident));
    let reply = fixture.get(&format!("{path}?rows_per_page=2"));
    assert_eq!(reply.status, 200);
    assert!(reply.header("link").unwrap().contains(&format!("localhost{path}?rows_per_page=2")));
    assert!(!fixture.get("/").text().contains("<i>"));
    assert!(fixture.get("/api/").json().as_array().unwrap().contains(&json!(ident)));
}

#[test]
fn jsonp_calls_only_what_is_a_name() {
    let fixture = Fixture::with_users();
    let reply = fixture.get("/api/users?callback=jQuery.cb_1&limit=0");
    assert_eq!(reply.text(), "jQuery.cb_1([])");
    assert_eq!(reply.header("content-type"), Some("application/javascript; charset=utf-8"));
    let (status, _) = fixture.get("/api/?callback=alert(1)").problem();
    assert_eq!(status, 400);
}

#[test]
fn an_unknown_stat_is_404_with_those_that_sound_alike() {
    let fixture = Fixture::with_users();
    let (status, problem) = fixture.get("/api/user").problem();
    assert_eq!(status, 404);
    assert!(problem["detail"].as_str().unwrap().contains("did you mean users?"), "{problem}");
    assert_eq!(fixture.get("/api/users/").problem().0, 404);
    assert_eq!(fixture.get("/api/users/layout").problem().0, 404);
    assert_eq!(fixture.get("/api/Users").problem().0, 404);
}

#[test]
fn head_answers_as_get_without_the_body() {
    let fixture = Fixture::with_users();
    for path in ["/", "/api/", "/api/users", "/api/users.csv", "/api/_status", "/healthz"] {
        let (get, head) = (fixture.get(path), fixture.ask("HEAD", path, &[], b""));
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        assert_eq!(head.header("etag"), get.header("etag"), "{path}");
    }
}

#[test]
fn other_methods_are_405_and_told_which_are_possible() {
    let fixture = Fixture::with_users();
    let reply = fixture.ask("POST", "/api/users", &[], b"x");
    assert_eq!(reply.problem().0, 405);
    assert_eq!(reply.header("allow"), Some("GET,HEAD"));
}

#[test]
fn pages_of_other_sites_may_read_every_answer() {
    let fixture = Fixture::with_users();
    for path in ["/api/", "/api/users", "/api/users/layout", "/api/_status", "/nothing"] {
        let reply = fixture.get(path);
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"), "{path}");
        assert!(reply.header("access-control-expose-headers").unwrap().contains("X-Link-Count"));
    }
    let headers = [("Origin", "http://a.example"), ("Access-Control-Request-Method", "GET")];
    let preflight = fixture.ask("OPTIONS", "/api/users", &headers, b"");
    assert_eq!(preflight.status, 200);
    assert!(preflight.header("access-control-allow-methods").unwrap().contains("GET"));
}

#[test]
fn the_schema_tells_columns_and_units() {
    let fixture = Fixture::with_users();
    let schema = fixture.get("/api/users/schema").json();
    assert_eq!(schema["items"]["properties"]["volume"]["unit"], "messages");
    assert_eq!(schema["items"]["required"], json!(["timestamp", "user", "volume"]));
    assert_eq!(schema["models"][0]["key_columns"], 2);
    assert_eq!(schema["parameters"][3]["aliases"], json!(["from"]));
}

#[test]
fn details_tell_rows_and_their_first_and_last_time() {
    let fixture = Fixture::with_users();
    let detail = fixture.get("/api/?detail=1").json();
    assert_eq!(detail[0]["ident"], "users");
    assert_eq!(detail[0]["rows"], 5);
    assert_eq!(detail[0]["first"], "1970-01-01T00:00:01Z");
    assert_eq!(detail[0]["last"], "1970-01-01T00:00:03Z");
    assert_eq!(detail[0]["links"]["rows"], "/api/users");
}

#[test]
fn health_status_and_metrics_answer() {
    let measured = crate::http::metrics::install();
    let fixture = Fixture::new(HttpOptions { metrics: measured, ..HttpOptions::default() });
    fixture.catalog.put("users", users(), 1, CompleteUntil::End);
    assert_eq!(fixture.get("/healthz").text(), "ok\n");
    assert_eq!(fixture.get("/readyz").json()["stats"][0]["state"], "live");
    let status = fixture.get("/api/_status").json();
    assert_eq!(status["stats"][0]["models"], json!({"rows": 5}));
    assert_eq!(status["stats"][0]["complete_until"], "end");
    let metrics = fixture.get("/metrics");
    assert!(metrics.text().contains("statmill_stat_rows{stat=\"users\",model=\"rows\"} 5\n"));
    assert!(metrics.text().contains("statmill_http_requests_total{route=\"/healthz\""));
    let page = fixture.get("/");
    assert!(page.text().contains("href=\"/api/users.html\""));
}

#[test]
fn a_panic_is_500_and_the_next_request_is_answered() {
    let fixture = Fixture::with_users();
    let (status, _) = fixture.get("/api/panic").problem();
    assert_eq!(status, 500);
    assert_eq!(fixture.get("/api/users").status, 200);
}

#[test]
fn every_answer_says_up_to_when_it_is_complete() {
    let fixture = Fixture::with_users();
    for path in ["/", "/api/", "/api/users", "/api/users/schema", "/api/_status", "/api/_export"] {
        let reply = fixture.get(path);
        let until = reply.header("statmill-complete-until");
        assert_eq!((reply.status, until), (200, Some("2017-07-14T02:40:00Z")), "{path}");
    }
}

#[test]
fn a_list_asked_for_without_its_slash_keeps_its_arguments() {
    let fixture = Fixture::with_users();
    for (path, place) in
        [("/api", "/api/"), ("/api?format=csv&detail=1", "/api/?format=csv&detail=1")]
    {
        let reply = fixture.get(path);
        assert_eq!((reply.status, reply.header("location")), (308, Some(place)));
    }
}

#[test]
fn a_column_is_shown_once_and_the_detail_of_a_problem_says_what_is_wrong() {
    let fixture = Fixture::with_users();
    for (query, detail) in [
        ("columns=volume,user,volume", "columns names \"volume\" twice"),
        ("limit=-1&page=x", "limit \"-1\" is not a whole number in range; page \"x\" is not"),
        ("volumes=1", "volumes is neither a parameter nor a column"),
    ] {
        let (status, problem) = fixture.get(&format!("/api/users?{query}")).problem();
        assert_eq!(status, 400);
        let said = problem["detail"].as_str().unwrap();
        assert!(said.starts_with(detail), "{said}");
    }
}
