//! A headless Chromium, driven by its own driver.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

/// A browser with a page.
pub struct Browser {
    /// The page.
    pub page: Client,
    driver: Child,
    _folder: TempDir,
}

/// What a browser keeps notes of.
#[derive(Clone, Copy, Debug)]
pub enum Log {
    /// Complaints on the console.
    Browser,
    /// What was asked of the network, among others.
    Performance,
}

impl Browser {
    /// Starts a browser; as a phone of a width and height, if they are given.
    ///
    /// # Panics
    ///
    /// If `tests/servers/install.sh` was not run.
    pub async fn start(phone: Option<(u32, u32)>) -> Self {
        let folder = TempDir::new().unwrap();
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver is installed by tests/servers/install.sh");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split("successfully on port ")
                    .nth(1)?
                    .trim_end_matches('.')
                    .parse::<u16>()
                    .ok()
            })
            .expect("the driver names its port");
        std::thread::spawn(move || lines.for_each(drop));
        let profile = format!("--user-data-dir={}", folder.path().display());
        let mut options = json!({
            // Its own sandbox cannot be had as root.
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--disable-background-networking", "--window-size=1280,1000", profile],
        });
        if let Some((width, height)) = phone {
            options["mobileEmulation"] =
                json!({ "deviceMetrics": { "width": width, "height": height, "pixelRatio": 2 } });
        }
        let wanted = json!({
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "timeouts": { "script": 60_000 },
        });
        let page = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(wanted.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        Self { page, driver, _folder: folder }
    }

    /// What was noted since it was last asked.
    pub async fn log(&self, log: Log) -> Vec<Json> {
        let found = self.page.issue_cmd(GetLog(log)).await.unwrap();
        found.as_array().unwrap().clone()
    }

    /// Ends it.
    pub async fn end(self) {
        let _ = self.page.clone().close().await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser is in the group of its driver.
        let group = format!("-{}", self.driver.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.driver.wait();
    }
}

/// The source of axe-core, where `tests/servers/install.sh` put it.
#[must_use]
pub fn axe() -> Option<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/servers/axe-core");
    std::fs::read_to_string(folder.join("package/axe.min.js")).ok()
}

/// Chromium's own command, which is in no standard.
#[derive(Debug)]
struct GetLog(Log);

impl WebDriverCompatibleCommand for GetLog {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        let kind = match self.0 {
            Log::Browser => "browser",
            Log::Performance => "performance",
        };
        (http::Method::POST, Some(json!({ "type": kind }).to_string()))
    }
}
