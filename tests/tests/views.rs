//! A view that a plugin computes goes wrong by itself alone: the answer says what happened.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use statmill_tests::{Running, failure, ndjson, output, plugins, start, write};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");

/// A host that has folded 700 messages.
struct Fixture {
    host: Running,
    folder: TempDir,
    _plugins: TempDir,
}

fn host(max_time: &str) -> Fixture {
    let folder = TempDir::new().unwrap();
    let messages = write(folder.path(), "messages.ndjson", &ndjson(0..700));
    let plugins = plugins(&["odd-plugin", "statmill-activity"]);
    let source = format!("file:{}", messages.display());
    let data = folder.path().join("data");
    let (data, from) = (data.to_str().unwrap(), plugins.path().to_str().unwrap());
    let args = ["--source", &source, "--data", data, "--plugins", from, "--checkpoint", "20ms"];
    let host = start(PROGRAM, &args, &[("STATMILL_QUERY__MAX_TIME", max_time)]).unwrap();
    let fixture = Fixture { host, folder, _plugins: plugins };
    let end = Instant::now() + Duration::from_secs(30);
    while fixture.get("/api/odd?limit=9").json()[0]["count"] != 140 {
        assert!(Instant::now() < end, "the messages are not folded");
        std::thread::yield_now();
    }
    while fixture.users() != 600 {
        assert!(Instant::now() < end, "the messages are not folded");
        std::thread::yield_now();
    }
    fixture
}

struct Reply {
    status: u16,
    headers: ureq::http::HeaderMap,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Status and words of a problem.
    fn problem(&self) -> (u16, String) {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.body);
        (self.status, self.json()["detail"].as_str().unwrap().to_owned())
    }
}

impl Fixture {
    fn get(&self, path: &str) -> Reply {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        let mut response = agent.get(format!("{}{path}", self.host.url)).call().unwrap();
        let body = response.body_mut().read_to_string().unwrap();
        Reply { status: response.status().as_u16(), headers: response.headers().clone(), body }
    }

    fn users(&self) -> u64 {
        let rows = self.get("/api/activity-users").json();
        rows.as_array().unwrap().iter().map(|row| row["count"].as_u64().unwrap()).sum()
    }
}

#[test]
fn a_computed_view_answers_like_rows_do() {
    let fixture = host("10s");
    let share = fixture.get("/api/activity-users/views/share?rows_per_page=2");
    let first = json!({ "username": "user-1", "count": 100, "percent": 100.0 / 600.0 * 100.0 });
    let rows = share.json();
    assert_eq!((rows.as_array().unwrap().len(), &rows[0]), (2, &first));
    assert_eq!(share.headers["x-total-count"], "6");
    assert!(
        share.headers["link"].to_str().unwrap().contains("/views/share?rows_per_page=2&page=2")
    );
    assert!(share.headers.contains_key("statmill-complete-until"));
    assert!(share.headers["etag"].to_str().unwrap().starts_with("W/\""));

    let csv = fixture.get("/api/activity-users/views/share.csv?username=user-4");
    assert_eq!(csv.body, "username,count,percent\nuser-4,100,100.0");
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(fixture.get("/api/activity-users/views/share.txt").problem().0, 406);

    let picture = fixture.get("/api/activity-users/views/share.svg");
    assert_eq!(picture.headers["content-type"], "image/svg+xml");
    assert!(picture.headers.contains_key("statmill-complete-until"));
    // A bar for each user, of the number that was computed, and each filters by its user.
    assert!(picture.body.contains("user-1: 16.6666"), "{}", picture.body);
    assert!(picture.body.contains("href=\"?username=user-1\""), "{}", picture.body);
    let tiles = fixture.get("/api/activity-users/views/share.svg?type=histogram&measure=count");
    assert!(tiles.body.contains("100 to 101: 6 rows"), "{}", tiles.body);
    for (query, param) in [("type=line", "type"), ("measure=nothing", "measure"), ("w=x", "w")] {
        let wrong = fixture.get(&format!("/api/activity-users/views/share.svg?{query}"));
        assert_eq!((wrong.status, &wrong.json()["errors"][0]["param"]), (400, &json!(param)));
    }
    let page = fixture.get("/api/activity-users/views/share.html");
    assert!(page.body.contains("user-1: 16.6666"), "{}", page.body);
    let views = &fixture.get("/api/activity-users/schema").json()["views"];
    assert_eq!(views[0]["href"], "/api/activity-users/views/share");

    let shown = ["show", "activity-users", "--view", "share", "--format", "csv"];
    let by_url = output(PROGRAM, &[&shown[..], &["--url", &fixture.host.url]].concat());
    assert_eq!(by_url.lines().count(), 7);
    let table = ["show", "activity-users", "--view", "share", "--url", &fixture.host.url];
    assert!(output(PROGRAM, &table).contains("percent"));
}

#[test]
fn the_largest_rows_are_found_by_the_index_of_a_shipped_stat() {
    let fixture = host("10s");
    let index = &fixture.get("/api/activity-packages/schema").json()["models"][0]["index"];
    assert_eq!(index, "count");
    let rows = fixture.get("/api/activity-users?sort=-count&limit=2").json();
    assert_eq!(
        rows,
        json!([{"username": "user-1", "count": 100}, {"username": "user-2", "count": 100}])
    );
}

#[test]
fn what_goes_wrong_in_a_view_is_a_problem_and_the_next_one_is_computed() {
    let fixture = host("10s");
    for (view, status, words) in [
        ("panic", 500, "view \"panic\" of odd failed: the stat panicked: asked to"),
        ("error", 500, "asked to fail"),
        ("wrong", 500, "row 1: the cell of \"a\" is no Int"),
        ("huge", 500, "more than the 4194304 that are taken"),
        ("endles", 404, "did you mean endless?"),
    ] {
        let (answered, detail) = fixture.get(&format!("/api/odd/views/{view}")).problem();
        assert_eq!(answered, status, "{detail}");
        assert!(detail.contains(words), "{detail}");
        assert_eq!(fixture.get("/api/odd/views/sound").json(), json!([{"rows": 3}]));
    }
    assert_eq!(fixture.get("/api/odd/views/sound?model=by_topic").problem().0, 400);
    assert!(fixture.get("/api/nobody/views/sound").problem().1.contains("no statistic"));
}

#[test]
fn a_view_without_end_is_given_up_and_stops_nothing_but_its_stats_views() {
    let mut fixture = host("500ms");
    let asked = Instant::now();
    let (status, detail) = fixture.get("/api/odd/views/endless").problem();
    assert_eq!(status, 504, "{detail}");
    assert!(detail.contains("raise query.max_time"), "{detail}");
    assert!((Duration::from_millis(500)..Duration::from_secs(20)).contains(&asked.elapsed()));
    let stuck = fixture.get("/api/odd/views/sound");
    assert_eq!(stuck.problem().0, 503);
    assert!(stuck.headers.contains_key("retry-after"));
    assert_eq!(fixture.host.status()["host"]["views"], json!({"given_up": 1, "stuck": 1}));
    let metrics = fixture.get("/metrics").body;
    assert!(metrics.contains("statmill_views_given_up_total 1"), "{metrics}");

    assert_eq!(fixture.get("/api/activity-users/views/share").status, 200);
    assert_eq!(fixture.get("/api/odd").status, 200);
    assert!(fixture.host.alive());
    let Fixture { host, folder, .. } = fixture;
    assert!(host.stop(), "the thread that is left is not waited for");
    let data = folder.path().join("data");
    let said =
        failure(PROGRAM, &["show", "odd", "--view", "sound", "--data", data.to_str().unwrap()]);
    assert!(said.contains("--url"), "{said}");
}
