//! Dashboards of a whole host: a plugin that is dropped in is on the menu with a picture, and what is wrong with a
//! definition is said and hurts nothing else.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use serde_json::Value;
use statmill_tests::{drop_in, failure, ndjson, output, plugins, start, wait_until, write};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");

const GOOD: &str = r#"{"name": "good", "read_name": "A good one", "views":
    [{"name": "v", "stat": "activity-volume", "type": "tile"}]}"#;
const BROKEN: &str = r#"{"name": "broken", "views":
    [{"name": "v", "stat": "activity-volume", "type": "pie"},
     {"name": "w", "stat": "activity-users", "type": "bar"}]}"#;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn what_is_wrong_is_named_by_the_command() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "good.json", GOOD);
    let plugins = plugins(&["statmill-activity"]);
    let place = ["--dashboards", text(folder.path()), "--plugins", text(plugins.path())];
    let of = |what: &'static str| [&["dashboards", what][..], &place[..]].concat();
    assert_eq!(output(PROGRAM, &of("check")), "");
    let listed = output(PROGRAM, &[&of("list")[..], &["--format", "json"]].concat());
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["name"], "good");
    assert!(listed.iter().any(|one| one["name"] == "activity-users"));

    write(folder.path(), "broken.json", BROKEN);
    assert!(failure(PROGRAM, &of("check")).contains("1 definitions are wrong"));
    let listed = output(PROGRAM, &[&of("list")[..], &["--format", "csv"]].concat());
    assert!(listed.contains("broken,broken,Dashboards,w\n"), "{listed}");
}

#[test]
fn a_plugin_that_is_dropped_in_is_on_the_menu_with_a_picture() {
    let folder = TempDir::new().unwrap();
    let messages = write(folder.path(), "messages.ndjson", &ndjson(0..1000));
    let source = format!("file:{}", text(&messages));
    let data = folder.path().join("data");
    let growing = plugins(&["statmill-activity"]);
    let args =
        ["--data", text(&data), "--plugins", text(growing.path()), "--source", source.as_str()];
    let get = |url: &str, path: &str| {
        ureq::get(format!("{url}{path}")).call().unwrap().body_mut().read_to_string().unwrap()
    };
    let entry = "href=\"/api/volume-1d.html\"";

    let before = start(PROGRAM, &args, &[]).unwrap();
    assert!(!get(&before.url, "/").contains(entry));
    assert!(before.stop());

    drop_in(growing.path(), "statmill-volume");
    let after = start(PROGRAM, &args, &[]).unwrap();
    let page = wait_until(|| {
        let page = get(&after.url, "/api/volume-1h.html");
        if page.contains("class=\"chart lines\"") { Ok(page) } else { Err(page) }
    });
    assert!(page.contains(entry));
    assert!(after.stop());
}
