//! Pages in a real browser: what is shown, chosen, followed and read out.
//!
//! One browser and one host do all of it, one after the other: a browser takes seconds to start.
#![cfg(feature = "real-servers")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::{Duration, Instant};

use fantoccini::key::Key;
use fantoccini::{Client, Locator};
use serde_json::{Value as Json, json};
use statmill_tests::browser::{Browser, Log};
use statmill_tests::{message, ndjson, plugins, start, write};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");

const DASHBOARD: &str = r#"{
    "name": "overview", "read_name": "Overview", "section": "Traffic", "default": true, "span": "7d",
    "views": [
        { "name": "all", "read_name": "Messages", "type": "tile", "stat": "activity-volume",
          "params": { "model": "per_minute" } },
        { "name": "chosen", "read_name": "Messages of the topic", "type": "tile", "stat": "activity-volume",
          "params": { "model": "topic_hour" }, "listens": ["topic"] },
        { "name": "topics", "read_name": "Messages by topic", "stat": "activity-volume",
          "charts": [{ "name": "line" }, { "name": "table" }],
          "params": { "model": "topic_hour" }, "signals": ["topic"] },
        { "name": "users", "read_name": "Users", "type": "bar", "stat": "activity-users",
          "params": { "sort": "-count", "limit": 20 }, "emits": ["username"] },
        { "name": "hours", "read_name": "Hours", "type": "heatmap", "stat": "activity-volume",
          "params": { "model": "topic_hour" }, "listens": ["topic"] },
        { "name": "summary", "read_name": "Topics", "type": "summary", "stat": "activity-volume",
          "params": { "model": "topic_hour" }, "signals": ["topic"] }
    ]
}"#;

/// A host over a day of messages, and more by `POST /ingest/more`.
struct Host {
    running: statmill_tests::Running,
    _plugins: TempDir,
    _folder: TempDir,
}

fn host() -> Host {
    let host = begun(&[]);
    statmill_tests::wait_until(|| {
        let stats = host.running.status()["stats"].clone();
        let is_level = |stat: &Json| stat["state"] == "live" && stat["lag_messages"] == 0;
        match stats.as_array().is_some_and(|stats| !stats.is_empty() && stats.iter().all(is_level))
        {
            true => Ok(()),
            false => Err(stats.to_string()),
        }
    });
    host
}

/// A host that begins to read, with settings as environment variables.
fn begun(env: &[(&str, &str)]) -> Host {
    let folder = TempDir::new().unwrap();
    let plugins = plugins(&["statmill-activity", "statmill-volume"]);
    let messages = write(folder.path(), "messages.ndjson", &ndjson(0..8_640));
    let dashboards = folder.path().join("dashboards");
    std::fs::create_dir(&dashboards).unwrap();
    write(&dashboards, "overview.json", DASHBOARD);
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let source = format!("file:{}", text(&messages));
    let args = [
        "--data",
        &text(&folder.path().join("data")),
        "--plugins",
        &text(plugins.path()),
        "--dashboards",
        &text(&dashboards),
        "--source",
        &source,
        "--source",
        "http:more",
        "--checkpoint",
        "50ms",
    ];
    let running = start(PROGRAM, &args, env).unwrap();
    Host { running, _plugins: plugins, _folder: folder }
}

/// Looks again until `script` answers what is wanted; panics with what it answered instead.
async fn until(page: &Client, script: &str, wanted: &Json) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let found = page.execute(script, vec![]).await.unwrap();
        if found == *wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{script}\nanswers {found} instead of {wanted}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn text(page: &Client, selector: &str) -> String {
    page.find(Locator::Css(selector)).await.unwrap().text().await.unwrap()
}

async fn query(page: &Client) -> String {
    page.current_url().await.unwrap().query().unwrap_or_default().to_owned()
}

/// The number that a tile shows.
fn number(view: &str) -> String {
    format!("return document.querySelector('#view-{view} strong')?.textContent")
}

async fn is_accessible(page: &Client, axe: &str) {
    page.execute(axe, vec![]).await.unwrap();
    let script = "const done = arguments[arguments.length - 1];
        axe.run(document, { resultTypes: ['violations'] }).then((found) => done(found.violations
            .filter((one) => one.impact === 'serious' || one.impact === 'critical')
            .map((one) => one.id + ': ' + one.nodes.map((node) => node.html.slice(0, 200) + ' ' + node.failureSummary).join(' | '))));";
    let found = page.execute_async(script, vec![]).await.unwrap();
    assert_eq!(found, json!([]), "{} {found:#}", page.current_url().await.unwrap());
}

#[tokio::test]
async fn a_reader_finds_chooses_and_follows_what_is_shown() {
    let host = host();
    let url = &host.running.url;
    let browser = Browser::start(None).await;
    let page = &browser.page;
    page.goto(url).await.unwrap();

    // What is there, and live.
    until(page, &number("all"), &json!("8,640")).await;
    until(page, "return document.getElementById('live').textContent", &json!("live")).await;
    assert_eq!(text(page, "h1").await, "Overview");

    // A legend entry is chosen, and the views that listen follow, without another page.
    page.execute("window.same = true", vec![]).await.unwrap();
    let of_git = "#view-topics a[data-sig=topic][data-val$='git.event']";
    page.find(Locator::Css(of_git)).await.unwrap().click().await.unwrap();
    let git = host_sum(url, "git").await;
    until(page, &number("chosen"), &json!(git)).await;
    assert!(query(page).await.starts_with("topic=org.fedoraproject.prod.git.event"));
    until(page, "return document.querySelectorAll('.chips li').length", &json!(2)).await;
    until(page, &number("all"), &json!("8,640")).await;
    assert_eq!(page.execute("return window.same", vec![]).await.unwrap(), json!(true));

    // A second one by shift, and back again by the browser's button.
    page.execute(
        "document.querySelector(\"#view-summary a[data-val$='wiki.event']\")
            .dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true, shiftKey: true }))",
        vec![],
    )
    .await
    .unwrap();
    until(page, "return document.querySelectorAll('.chips li').length", &json!(3)).await;
    page.back().await.unwrap();
    until(page, &number("chosen"), &json!(git)).await;

    // The address alone shows the same.
    let bookmarked = page.current_url().await.unwrap();
    page.goto(bookmarked.as_str()).await.unwrap();
    until(page, &number("chosen"), &json!(git)).await;

    // Escape clears.
    page.find(Locator::Css("body")).await.unwrap().send_keys(&Key::Escape).await.unwrap();
    until(page, "return location.search", &json!("")).await;
    until(page, &number("chosen"), &json!("8,640")).await;

    is_clean(&browser, url).await;
    browser.end().await;
}

/// Messages of a topic, as the API counts them.
async fn host_sum(url: &str, app: &str) -> String {
    let url = format!(
        "{url}/api/activity-volume.json?model=topic_hour&step=3650d&topic=org.fedoraproject.prod.{app}.event"
    );
    let text = tokio::task::spawn_blocking(move || {
        ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap()
    });
    let rows: Json = serde_json::from_str(&text.await.unwrap()).unwrap();
    let sum: u64 = rows.as_array().unwrap().iter().map(|row| row["count"].as_u64().unwrap()).sum();
    format!("{},{:03}", sum / 1000, sum % 1000)
}

#[tokio::test]
async fn values_are_exact_under_the_pointer_and_by_keys() {
    let host = host();
    let browser = Browser::start(None).await;
    let page = &browser.page;
    page.goto(&host.running.url).await.unwrap();
    let plot = page.find(Locator::Css("#view-topics .plot")).await.unwrap();

    // By keys alone.
    page.execute("arguments[0].focus()", vec![serde_json::to_value(&plot).unwrap()]).await.unwrap();
    plot.send_keys(&Key::Home).await.unwrap();
    until(
        page,
        "return document.querySelector('.tip strong')?.textContent",
        &json!("2017-07-14 02:00:00Z"),
    )
    .await;
    plot.send_keys(&Key::Right).await.unwrap();
    until(
        page,
        "return document.querySelector('.tip strong')?.textContent",
        &json!("2017-07-14 03:00:00Z"),
    )
    .await;
    let lines = "return [...document.querySelectorAll('.tip b')].reduce((sum, b) => sum + Number(b.textContent), 0)";
    // Ten seconds apart, there are 360 in an hour.
    until(page, lines, &json!(360)).await;

    // By the pointer.
    let move_to_the_end = "const plane = document.querySelector('#view-topics .plane');
        const box = plane.getBoundingClientRect();
        plane.dispatchEvent(new PointerEvent('pointermove',
            { bubbles: true, clientX: box.right - 1, clientY: box.y + 20 }))";
    page.execute(move_to_the_end, vec![]).await.unwrap();
    until(
        page,
        "return document.querySelector('.tip strong')?.textContent",
        &json!("2017-07-15 02:00:00Z"),
    )
    .await;

    // Dragging chooses a range of time.
    let drag = "const plane = document.querySelector('#view-topics .plane');
        const box = plane.getBoundingClientRect();
        const send = (name, part) => plane.dispatchEvent(new PointerEvent(name,
            { bubbles: true, clientX: box.x + part * box.width, clientY: box.y + 20, pointerType: 'mouse' }));
        send('pointerdown', .25); send('pointermove', .5); send('pointermove', .75); send('pointerup', .75);";
    page.execute(drag, vec![]).await.unwrap();
    until(page, "return new URLSearchParams(location.search).has('start')", &json!(true)).await;
    until(page, "return document.querySelectorAll('.chips li').length", &json!(2)).await;
    is_clean(&browser, &host.running.url).await;
    browser.end().await;
}

#[tokio::test]
async fn everything_can_be_done_by_keys_alone() {
    let host = host();
    let browser = Browser::start(None).await;
    let page = &browser.page;
    page.goto(&host.running.url).await.unwrap();
    let active = || async { page.active_element().await.unwrap() };
    // First of all there is a way past the menu.
    active().await.send_keys(&Key::Tab).await.unwrap();
    assert_eq!(active().await.text().await.unwrap(), "Skip to the content");
    active().await.send_keys(&Key::Enter).await.unwrap();
    // Tabs reach a mark of a chart; return chooses it and the focus stays on it.
    let is_mark = "return document.activeElement.dataset.sig === 'topic'";
    let mut tabs = 0;
    while page.execute(is_mark, vec![]).await.unwrap() != json!(true) {
        active().await.send_keys(&Key::Tab).await.unwrap();
        tabs += 1;
        assert!(tabs < 60, "no mark was reached");
    }
    let chosen = page.execute("return document.activeElement.dataset.val", vec![]).await.unwrap();
    active().await.send_keys(&Key::Enter).await.unwrap();
    until(page, "return new URLSearchParams(location.search).get('topic')", &chosen).await;
    until(page, "return document.querySelector('#view-topics a.chosen')?.dataset.val", &chosen)
        .await;
    until(page, "return document.activeElement.dataset.val", &chosen).await;
    browser.end().await;
}

#[tokio::test]
async fn a_number_moves_within_moments_of_a_message() {
    let host = host();
    let url = host.running.url.clone();
    let browser = Browser::start(None).await;
    let page = &browser.page;
    page.goto(&url).await.unwrap();
    until(page, &number("all"), &json!("8,640")).await;
    until(page, "return document.getElementById('live').textContent", &json!("live")).await;
    page.execute("window.same = true", vec![]).await.unwrap();
    let sent = format!("{url}/ingest/more");
    tokio::task::spawn_blocking(move || {
        let text: String = (8_640..8_645).map(|i| message(i) + "\n").collect();
        ureq::post(sent).send(text).unwrap();
    })
    .await
    .unwrap();
    until(page, &number("all"), &json!("8,645")).await;
    assert_eq!(page.execute("return window.same", vec![]).await.unwrap(), json!(true));

    // When the host is gone, it is said, and what is shown is shown as old.
    host.running.kill();
    until(page, "return document.body.classList.contains('stale')", &json!(true)).await;
    assert!(text(page, "#live").await.contains("not connected"));
    browser.end().await;
}

#[tokio::test]
async fn pages_fit_a_phone() {
    let host = host();
    let url = &host.running.url;
    let browser = Browser::start(Some((390, 844))).await;
    let page = &browser.page;
    for path in [
        "/",
        "/stats",
        "/status",
        "/start",
        "/api/docs",
        "/api/activity-volume.html",
        "/d/activity-latest",
    ] {
        page.goto(&format!("{url}{path}")).await.unwrap();
        let overflow =
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        until(page, overflow, &json!(0)).await;
    }
    // Pictures are drawn for the width there is, and the menu is one step away.
    page.goto(url).await.unwrap();
    until(
        page,
        "return document.querySelector('#view-topics svg').viewBox.baseVal.width < 390",
        &json!(true),
    )
    .await;
    page.find(Locator::Css(".top .menu")).await.unwrap().click().await.unwrap();
    until(
        page,
        "return getComputedStyle(document.getElementById('menu')).display",
        &json!("block"),
    )
    .await;
    is_clean(&browser, url).await;
    browser.end().await;
}

#[tokio::test]
async fn no_page_has_a_serious_fault_of_accessibility() {
    let Some(axe) = statmill_tests::browser::axe() else { panic!("run tests/servers/install.sh") };
    let host = host();
    let url = &host.running.url;
    let browser = Browser::start(None).await;
    let page = &browser.page;
    let paths = [
        "/",
        "/?topic=org.fedoraproject.prod.git.event",
        "/stats",
        "/status",
        "/start",
        "/api/docs",
        "/api/activity-volume.html",
        "/api/activity-users/views/share.html",
        "/d/nothing",
    ];
    for theme in ["light", "dark"] {
        for path in paths {
            page.goto(&format!("{url}{path}")).await.unwrap();
            page.execute(
                "document.documentElement.dataset.theme = arguments[0]",
                vec![json!(theme)],
            )
            .await
            .unwrap();
            is_accessible(page, &axe).await;
        }
    }
    browser.end().await;
}

#[tokio::test]
async fn a_token_is_given_once_and_then_pages_are_read_and_followed() {
    let host = begun(&[("STATMILL_TOKENS__QUERY", "sixteen letters & more")]);
    let url = &host.running.url;
    let browser = Browser::start(None).await;
    let page = &browser.page;
    page.goto(&format!("{url}/d/overview?topic=org.fedoraproject.prod.git.event")).await.unwrap();
    assert_eq!(text(page, "h1").await, "Log in");
    let send = async |token: &str| {
        page.find(Locator::Css("input[type=password]"))
            .await
            .unwrap()
            .send_keys(token)
            .await
            .unwrap();
        page.find(Locator::Css("form.login button")).await.unwrap().click().await.unwrap();
    };
    send("another").await;
    until(
        page,
        "return document.querySelector('.problem')?.textContent",
        &json!("the token is not valid for this"),
    )
    .await;
    // What the browser says of answers that refuse is no complaint of the page.
    browser.log(Log::Browser).await;
    send("sixteen letters & more").await;
    until(page, "return document.querySelector('h1').textContent", &json!("Overview")).await;
    assert!(query(page).await.starts_with("topic="));
    until(page, &number("all"), &json!("8,640")).await;
    until(page, "return document.getElementById('live').textContent", &json!("live")).await;
    is_clean(&browser, url).await;
    page.find(Locator::Css("#menu form button")).await.unwrap().click().await.unwrap();
    until(page, "return document.querySelector('h1').textContent", &json!("Log in")).await;
    browser.end().await;
}

/// Nothing was complained about on the console, and nothing asked of another host.
async fn is_clean(browser: &Browser, url: &str) {
    let complaints = browser.log(Log::Browser).await;
    assert!(complaints.is_empty(), "{complaints:#?}");
    for entry in browser.log(Log::Performance).await {
        let entry: Json = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
        let asked = &entry["message"]["params"]["request"]["url"];
        if let (Some("Network.requestWillBeSent"), Some(asked)) =
            (entry["message"]["method"].as_str(), asked.as_str())
        {
            let is_own =
                asked.starts_with(url) || asked.starts_with("data:") || asked.starts_with("about:");
            assert!(is_own || asked.starts_with("chrome"), "{asked} is asked by a page of {url}");
        }
    }
}
