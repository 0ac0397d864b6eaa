//! Asks a running host over HTTP what the commands otherwise read from a data folder.
//!
//! Pages are followed to the end and passed on as they arrive. Rows committed meanwhile may move
//! others from one page to the next; the answer says when that may have happened.

mod export;
mod rows;

use std::io;
use std::time::Duration;

use serde::Deserialize;
use ureq::tls::{RootCerts, TlsConfig};

#[cfg(test)]
pub(crate) use self::rows::Shown;
use crate::log::source::redacted;
use crate::query::Status;
use crate::render::text;

/// The longest answer taken at once.
const MAX_BODY_BYTES: u64 = 1 << 28;
/// The longest a host may take to connect, and to begin its answer.
const CONNECT_TIME: Duration = Duration::from_secs(10);
const ANSWER_TIME: Duration = Duration::from_secs(120);

/// A host that runs elsewhere.
pub(crate) struct Client {
    base: String,
    token: Option<String>,
    agent: ureq::Agent,
}

/// Why a host did not answer as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub(crate) enum ClientError {
    /// The address cannot be asked.
    #[error("cannot ask {url:?}: {reason}")]
    BadUrl { url: String, reason: &'static str },
    /// There is no connection, or it broke.
    #[error("cannot ask {url}: {reason}; {remedy}")]
    Connect { url: String, reason: String, remedy: &'static str },
    /// The host refused.
    #[error("{url} answered {status}: {detail}")]
    Refused { url: String, status: u16, detail: String },
    /// What came back is not what a statmill host answers.
    #[error("{url} does not answer as a statmill host: {reason}")]
    NotUnderstood { url: String, reason: String },
    /// The output is closed or full.
    #[error("cannot write the output: {0}")]
    Write(#[from] io::Error),
}

/// One answer.
struct Page {
    body: Vec<u8>,
    pages: u64,
    version: Option<String>,
    complete_until: Option<String>,
}

impl Client {
    /// Will ask the host at `url` (`http://127.0.0.1:8040`, `https://stats.example.org`), with a token
    /// if it needs one. Certificates are checked against those the system trusts.
    ///
    /// # Errors
    ///
    /// [`ClientError::BadUrl`].
    pub(crate) fn new(url: &str, token: Option<String>) -> Result<Self, ClientError> {
        let bad = |reason| ClientError::BadUrl { url: redacted(url), reason };
        let place = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let place = place.ok_or_else(|| bad("it must begin with http:// or https://"))?;
        let authority = place.split('/').next().unwrap_or_default();
        if authority.contains('@') {
            return Err(bad("it must not hold a password; give the token with --token"));
        }
        if authority.is_empty() || place.contains(['?', '#']) {
            return Err(bad("give the address of the host alone, like http://127.0.0.1:8040"));
        }
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIME))
            .timeout_recv_response(Some(ANSWER_TIME))
            .tls_config(tls)
            .build()
            .into();
        let base = url.trim_end_matches('/').trim_end_matches("/api").to_owned();
        Ok(Self { base, token, agent })
    }

    /// Asks for the state of host, stats and logs.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub(crate) fn status(&self) -> Result<Status, ClientError> {
        self.parsed("/api/_status")
    }

    /// Has the host do what `path` stands for; answers what it says of it.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub(crate) fn post<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T, ClientError> {
        let request = self.agent.post(format!("{}{path}", self.base));
        let request = self.with_token(request.header("Content-Type", "application/json"));
        let sent = request.send(body.to_string());
        let mut response = self.successful(path, sent)?;
        let body = response.body_mut().with_config().limit(MAX_BODY_BYTES).read_to_vec();
        let body = body.map_err(|error| self.broken(path, &error))?;
        serde_json::from_slice(&body).map_err(|error| self.not_understood(path, &error.to_string()))
    }

    fn with_token<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn parsed<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Result<T, ClientError> {
        let page = self.get(path)?;
        serde_json::from_slice(&page.body)
            .map_err(|error| self.not_understood(path, &error.to_string()))
    }

    fn get(&self, path: &str) -> Result<Page, ClientError> {
        let mut response = self.call(path, Some(ANSWER_TIME))?;
        let body = response.body_mut().with_config().limit(MAX_BODY_BYTES).read_to_vec();
        let body = body.map_err(|error| self.broken(path, &error))?;
        let header =
            |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        Ok(Page {
            body,
            pages: header("x-link-count").and_then(|count| count.parse().ok()).unwrap_or(1),
            version: header("etag").and_then(version).map(str::to_owned),
            complete_until: header("statmill-complete-until").map(str::to_owned),
        })
    }

    /// Asks; returns when the answer begins, and it is none of an error. `body_time` is the longest
    /// that it may take to come whole.
    fn call(
        &self,
        path: &str,
        body_time: Option<Duration>,
    ) -> Result<ureq::http::Response<ureq::Body>, ClientError> {
        let url = format!("{}{path}", self.base);
        let request = self.agent.get(&url).config().timeout_recv_body(body_time).build();
        self.successful(path, self.with_token(request).call())
    }

    /// An answer that is none of an error.
    fn successful(
        &self,
        path: &str,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<ureq::http::Response<ureq::Body>, ClientError> {
        let url = format!("{}{path}", self.base);
        let mut response = answer.map_err(|error| self.broken(path, &error))?;
        let status = response.status().as_u16();
        if status == 200 {
            return Ok(response);
        }
        let body = response.body_mut().with_config().limit(MAX_BODY_BYTES).read_to_vec();
        let detail = detail(&body.unwrap_or_default());
        Err(ClientError::Refused { url, status, detail })
    }

    fn broken(&self, path: &str, error: &ureq::Error) -> ClientError {
        ClientError::Connect {
            url: format!("{}{path}", self.base),
            reason: match error {
                ureq::Error::Io(error) => error.to_string(),
                error => error.to_string(),
            },
            remedy: remedy(error),
        }
    }

    fn not_understood(&self, path: &str, reason: &str) -> ClientError {
        let url = format!("{}{path}", self.base);
        ClientError::NotUnderstood { url, reason: reason.to_owned() }
    }
}

/// What can be done about a connection that failed.
fn remedy(error: &ureq::Error) -> &'static str {
    use ureq::Error;
    match error {
        Error::HostNotFound => "check the name in --url",
        Error::BadUri(_) | Error::InvalidProxyUrl => "check --url and the proxy of the environment",
        Error::Tls(_) | Error::Rustls(_) => UNTRUSTED,
        // The handshake fails inside of reads and writes.
        Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => UNTRUSTED,
        Error::Protocol(_) => "a host behind TLS is asked with https://",
        _ => "is the host running there?",
    }
}

const UNTRUSTED: &str = "its certificate must be trusted by this system, or be in the file \
    SSL_CERT_FILE names; a host without TLS is asked with http://";

/// The tag's part before the hash of the question.
fn version(etag: &str) -> Option<&str> {
    etag.strip_prefix("W/\"")?.split('-').next()
}

/// What a problem says, or the beginning of what is none.
fn detail(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Problem {
        detail: String,
        #[serde(default)]
        errors: Vec<Error>,
    }
    #[derive(Deserialize)]
    struct Error {
        param: String,
        reason: String,
        allowed: String,
    }
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
        let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
        return text::escape_controls(&text);
    };
    let words = match &problem.errors[..] {
        [] => problem.detail,
        errors => errors
            .iter()
            .map(|it| format!("{}: {}; allowed: {}", it.param, it.reason, it.allowed))
            .collect::<Vec<_>>()
            .join("; "),
    };
    text::escape_controls(&words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_asked_is_refused_without_its_secrets() {
        let bad = ["a.example", "file:/x", "http://", "https:///x", "http://a/?x=1", "ws://a"];
        for url in bad.into_iter().chain(["http://me:hush@a.example"]) {
            let Err(error) = Client::new(url, None) else { panic!("{url}") };
            assert!(!error.to_string().contains("hush"), "{error}");
        }
        assert!(Client::new("https://a.example/statmill/", None).is_ok());
    }

    #[test]
    fn a_problem_is_told_whole() {
        let body = br#"{"detail":"bad","errors":[{"param":"page","reason":"is 0","allowed":"1"}]}"#;
        assert_eq!(detail(body), "page: is 0; allowed: 1");
        assert_eq!(detail(br#"{"detail":"bad"}"#), "bad");
        assert_eq!(detail(b"<html>\x1b"), "<html>\\u{1b}");
    }
}
