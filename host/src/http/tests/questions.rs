//! Questions that are answered by more than reading rows: steps, facets, cursors.

use serde_json::json;

use super::{Fixture, Reply};

/// The address of the link named `rel`, without its host.
fn link(reply: &Reply, rel: &str) -> Option<String> {
    let rel = format!("; rel=\"{rel}\"");
    let link = reply.header("link")?.split(", ").find(|link| link.ends_with(&rel))?.to_owned();
    Some(link[1..].split_once('>').unwrap().0.replace("http://localhost", ""))
}

#[test]
fn a_step_is_named_and_its_rows_are_of_longer_windows() {
    let fixture = Fixture::with_users();
    let reply = fixture.get("/api/users?step=1m&envelope=1&user=ann");
    assert_eq!(reply.header("statmill-step-seconds"), Some("60"));
    assert_eq!(reply.json()["step_s"], 60);
    assert_eq!(reply.json()["rows"], json!([{"timestamp": 60.0, "user": "ann", "volume": 6}]));
    let reply = fixture.get("/api/users?points=1&columns=volume&shape=arrays&sort=-volume");
    assert_eq!(reply.header("statmill-step-seconds"), Some("3"));
    assert_eq!(reply.json(), json!([[6], [4], [3], [2]]));
    assert_eq!(fixture.get("/api/users?step=1").header("statmill-step-seconds"), None);
    let (status, problem) = fixture.get("/api/users?step=1s&points=5").problem();
    assert_eq!((status, &problem["errors"][0]["param"]), (400, &json!("points")));
}

#[test]
fn facets_come_in_every_form_with_pages_and_tags() {
    let fixture = Fixture::with_users();
    let reply = fixture.get("/api/users/facets?by=user&start=2&rows_per_page=1&page=2");
    assert_eq!(reply.json(), json!([{"value": "ann", "count": 1}]));
    assert_eq!(reply.header("x-total-count"), Some("3"));
    assert_eq!(
        link(&reply, "next").unwrap(),
        "/api/users/facets?by=user&start=2&rows_per_page=1&page=3"
    );
    let reply = fixture.get("/api/users/facets?by=user&format=csv&limit=1");
    assert_eq!(reply.text(), "value,count\nann,2");
    let etag = reply.header("etag").unwrap().to_owned();
    let again = |path: &str| fixture.ask("GET", path, &[("If-None-Match", &etag)], b"").status;
    assert_eq!(again("/api/users/facets?by=user&format=csv&limit=1"), 304);
    assert_eq!(again("/api/users/facets?by=timestamp&format=csv&limit=1"), 200);
    for (path, param) in [
        ("/api/users/facets", "by"),
        ("/api/users/facets?by=", "by"),
        ("/api/users/facets?by=user&by=user", "by"),
        ("/api/users/facets?by=volume", "by"),
        ("/api/users/facets?by=user&sort=user", "sort"),
    ] {
        let (status, problem) = fixture.get(path).problem();
        assert_eq!((status, &problem["errors"][0]["param"]), (400, &json!(param)), "{path}");
    }
}

#[test]
fn who_walks_by_cursors_is_led_on_by_them() {
    let fixture = Fixture::with_users();
    let all = fixture.get("/api/users?sort=-volume").json();
    let first = fixture.get("/api/users?sort=-volume&rows_per_page=2&envelope=1").json();
    let cursor = first["cursor"].as_str().unwrap();
    let mut walked = first["rows"].as_array().unwrap().clone();
    let mut path = format!("/api/users?sort=-volume&rows_per_page=2&cursor={cursor}");
    loop {
        let reply = fixture.get(&path);
        walked.extend(reply.json().as_array().unwrap().clone());
        assert_eq!(link(&reply, "first").unwrap(), "/api/users?sort=-volume&rows_per_page=2");
        let Some(next) = link(&reply, "next") else { break };
        path = next;
    }
    assert_eq!(serde_json::Value::from(walked), all);
    for query in
        [format!("cursor={cursor}"), "cursor=AAAA".to_owned(), format!("cursor={cursor}&page=2")]
    {
        let (status, problem) = fixture.get(&format!("/api/users?{query}")).problem();
        assert_eq!(status, 400, "{problem}");
    }
}

#[test]
fn an_answer_to_be_saved_has_a_plain_name() {
    let fixture = Fixture::with_users();
    let reply = fixture.get("/api/users.csv?download=1");
    let disposition = "attachment; filename=\"users.csv\"";
    assert_eq!(reply.header("content-disposition"), Some(disposition));
    assert_eq!(fixture.get("/api/users.csv").header("content-disposition"), None);
}

#[test]
fn a_span_of_time_is_named_by_its_length() {
    let fixture = Fixture::with_users();
    let rows = |query: &str| fixture.get(&format!("/api/users?{query}")).text().to_owned();
    assert_eq!(rows("start=1&delta=1"), rows("start=1&stop=2"));
    assert_eq!(rows("stop=2&delta=1"), rows("start=1&stop=2"));
    assert_eq!(rows("delta=1"), "[]");
    assert_eq!(fixture.get("/api/users?start=1&stop=2&delta=1").problem().0, 400);
}
