//! One question to a datagrepper, and its answer as far as it can be believed.
//!
//! The type of an answer is what the question said it accepts, a proxy may answer instead, and errors come
//! as HTML: only a body that is an answer counts as one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};
use serde::Deserialize;
use serde_json::value::RawValue;
use ureq::tls::{RootCerts, TlsConfig};

use crate::log::source::DatagrepperOptions;
use crate::render::text::escape_controls;

/// The longest answer that is read, bytes: a hundred large messages.
const MAX_ANSWER_BYTES: u64 = 64 << 20;
/// How often a question that is under way looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(50);

/// A page of the rows from one second to another, both included, ascending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) from_s: i64,
    pub(super) to_s: i64,
    pub(super) page: u64,
    pub(super) rows: usize,
}

/// What was answered. The counts are what the server says: hints.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) rows: Vec<Box<RawValue>>,
    pub(super) total: u64,
    pub(super) pages: u64,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It may be answered later.
    Failed(String),
    /// There is more than is read at once.
    TooMuch(String),
    /// The question makes no sense to the server.
    Refused(String),
}

/// Asks one datagrepper.
pub(super) struct Asker {
    agent: ureq::Agent,
    options: DatagrepperOptions,
    stopping: AtomicBool,
}

impl Asker {
    pub(super) fn new(options: DatagrepperOptions) -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(options.timeout))
            .user_agent(concat!("statmill/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build()
            .into();
        Self { agent, options, stopping: AtomicBool::new(false) }
    }

    pub(super) fn options(&self) -> &DatagrepperOptions {
        &self.options
    }

    /// Gives up the question that is under way, and all later ones.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Asks for a page.
    pub(super) fn ask(&self, question: &Question) -> Result<Answer, Trouble> {
        let mut request = self.agent.get(&self.options.url);
        // A start of 0 would mean "no start", and no rows "all of them".
        let numbers = [
            ("start", question.from_s.max(1)),
            ("end", question.to_s.max(1)),
            ("page", question.page as i64),
            ("rows_per_page", question.rows.max(1) as i64),
        ];
        for (name, number) in numbers {
            request = request.query(name, number.to_string());
        }
        request = request.query("order", "asc").header("Accept", "application/json");
        for (name, value) in &self.options.chosen {
            request = request.query(*name, value);
        }
        let (send, answered) = bounded(1);
        // A thread of its own: a server that hangs must not keep the host from stopping.
        let spawned = std::thread::Builder::new().name("ask".into()).spawn(move || {
            let _ = send.send(get(request));
        });
        spawned.map_err(|error| Trouble::Failed(format!("cannot start a thread: {error}")))?;
        loop {
            match answered.recv_timeout(LOOK) {
                Ok(Ok((status, body))) => return read(status, &body, question),
                Ok(Err(trouble)) => return Err(trouble),
                Err(RecvTimeoutError::Timeout) if self.stopping.load(Ordering::Acquire) => {
                    return Err(Trouble::Failed("the host stops".to_owned()));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Trouble::Failed("asking ended without an answer".to_owned()));
                }
            }
        }
    }
}

fn get(
    request: ureq::RequestBuilder<ureq::typestate::WithoutBody>,
) -> Result<(u16, Vec<u8>), Trouble> {
    let failed = |error: ureq::Error| match error {
        ureq::Error::BodyExceedsLimit(_) => {
            Trouble::TooMuch(format!("an answer is longer than {MAX_ANSWER_BYTES} bytes"))
        }
        ureq::Error::BadUri(_) => Trouble::Refused(error.to_string()),
        error => Trouble::Failed(error.to_string()),
    };
    let mut response = request.call().map_err(failed)?;
    let body = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec();
    Ok((response.status().as_u16(), body.map_err(failed)?))
}

/// Reads an answer, if it is one, and one to this question.
fn read(status: u16, body: &[u8], question: &Question) -> Result<Answer, Trouble> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        raw_messages: Vec<&'a RawValue>,
        #[serde(default)]
        total: serde_json::Value,
        #[serde(default)]
        pages: serde_json::Value,
        #[serde(default)]
        arguments: serde_json::Value,
    }
    match status {
        200 => {}
        408 | 425 | 429 | 500..=599 => {
            return Err(Trouble::Failed(format!("it answered {status}: {}", beginning(body))));
        }
        _ => return Err(Trouble::Refused(format!("it answered {status}: {}", beginning(body)))),
    }
    let answer: Body<'_> = serde_json::from_slice(body).map_err(|error| {
        Trouble::Failed(format!("its answer is none ({error}): {}", beginning(body)))
    })?;
    let echoed = [("page", question.page), ("rows_per_page", question.rows as u64)];
    for (name, asked) in echoed {
        // An answer to something else, out of a cache or by a limit of the site, would pass for this.
        if let Some(used) = answer.arguments.get(name).and_then(serde_json::Value::as_u64)
            && used != asked
        {
            return Err(Trouble::Failed(format!("it answered {name}={used} instead of {asked}")));
        }
    }
    Ok(Answer {
        rows: answer.raw_messages.into_iter().map(RawValue::to_owned).collect(),
        total: answer.total.as_u64().unwrap_or(0),
        pages: answer.pages.as_u64().unwrap_or(0),
    })
}

/// The beginning of a body, for people.
fn beginning(body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(&body[..body.len().min(600)])
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(120)
        .collect();
    escape_controls(&text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const QUESTION: Question = Question { from_s: 1, to_s: 2, page: 2, rows: 50 };

    #[test]
    fn only_a_body_that_is_an_answer_to_the_question_is_one() {
        let good = r#"{"raw_messages":[{"a":1}, {}],"total":7,"pages":1,"count":2,
            "arguments":{"page":2,"rows_per_page":50,"start":1.0}}"#;
        let answer = read(200, good.as_bytes(), &QUESTION).unwrap();
        let rows: Vec<_> = answer.rows.iter().map(|row| row.get()).collect();
        assert_eq!((rows, answer.total, answer.pages), (vec![r#"{"a":1}"#, "{}"], 7, 1));
        for (status, body) in [
            (200, "<html>busy\n\n</html>"),
            (200, &good[..good.len() / 2]),
            (200, r#"{"error":"internal_error"}"#),
            (200, &good.replace("\"page\":2", "\"page\":1")),
            (200, &good.replace("50", "20")),
            (502, "<html>Bad gateway</html>"),
            (429, ""),
        ] {
            let answer = read(status, body.as_bytes(), &QUESTION);
            assert!(matches!(answer, Err(Trouble::Failed(_))), "{status} {body}: {answer:?}");
        }
        for status in [301, 400, 404] {
            assert!(matches!(read(status, b"no", &QUESTION), Err(Trouble::Refused(_))));
        }
    }
}
