//! datanommer's tables in PostgreSQL as a history: faster than to ask a datagrepper for them.
//!
//! Rows are read in the order of their time and number, each page from behind the last row of the one before
//! (no page is counted off), in a transaction that cannot write. A question runs on a thread of its own, which is
//! given up where the server does not keep to its time.

mod connect;
mod rows;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, bounded};
use parking_lot::Mutex;

use self::connect::Connection;
use super::{Cursor, History, HistoryError, Page};
use crate::clock::now_us;
use crate::log::source::PostgresOptions;
use crate::project::Mapping;

/// How often a question that is under way looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(50);
/// The server's own time-out is to come first: it says more.
const GRACE: Duration = Duration::from_secs(5);

/// datanommer's tables.
pub struct PostgresHistory {
    url: String,
    mapping: Mapping,
    options: PostgresOptions,
    /// Kept between questions; none while one is under way, or after a failure.
    connection: Arc<Mutex<Option<Connection>>>,
    stopping: AtomicBool,
}

/// Where a pass goes on: behind this row. The cursor is `TIME_US/NUMBER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    time_us: i64,
    number: i64,
}

impl Place {
    /// Before all rows of a time.
    fn at(time_us: i64) -> Self {
        Self { time_us, number: i64::MIN }
    }

    fn cursor(self) -> Cursor {
        Cursor(format!("{}/{}", self.time_us, self.number))
    }

    fn read(cursor: &Cursor) -> Option<Self> {
        let (time, number) = cursor.0.split_once('/')?;
        Some(Self { time_us: time.parse().ok()?, number: number.parse().ok()? })
    }
}

/// What is asked: rows behind a place and before a time.
#[derive(Clone, Copy, Debug)]
struct Question {
    behind: Place,
    before_us: i64,
    rows: usize,
}

/// What was read.
#[derive(Debug, Default)]
struct Answer {
    /// Rows as JSON, in order.
    messages: Vec<Vec<u8>>,
    /// Rows that are no messages.
    rejected: u64,
    /// The last row read; none = there is no further one.
    last: Option<Place>,
}

/// Why there is no answer.
#[derive(Debug)]
enum Trouble {
    Failed(String),
    Refused(String),
}

impl std::fmt::Debug for PostgresHistory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresHistory").field("url", &self.url).finish_non_exhaustive()
    }
}

impl PostgresHistory {
    /// The database that `options` name, shown to people as `url`. It is not asked yet.
    #[must_use]
    pub fn new(url: &str, options: PostgresOptions, mapping: Mapping) -> Self {
        Self {
            url: url.to_owned(),
            mapping,
            options,
            connection: Arc::default(),
            stopping: AtomicBool::new(false),
        }
    }

    fn settle(&self) -> i64 {
        i64::try_from(self.options.settle.as_micros()).unwrap_or(i64::MAX)
    }

    fn ask(&self, question: Question) -> Result<Answer, Trouble> {
        let (send, answered) = bounded(1);
        let (options, kept) = (self.options.clone(), Arc::clone(&self.connection));
        let spawned = std::thread::Builder::new().name("ask".into()).spawn(move || {
            let known = kept.lock().take();
            let answer = known.map_or_else(|| Connection::open(&options), Ok).and_then(|mut it| {
                let answer = it.ask(&question)?;
                *kept.lock() = Some(it);
                Ok(answer)
            });
            let _ = send.send(answer);
        });
        spawned.map_err(|error| Trouble::Failed(format!("cannot start a thread: {error}")))?;
        let deadline = Instant::now() + self.options.timeout + GRACE;
        loop {
            match answered.recv_timeout(LOOK) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Timeout) if self.stopping.load(Ordering::Acquire) => {
                    return Err(Trouble::Failed("the host stops".to_owned()));
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                Err(RecvTimeoutError::Timeout) => {
                    let reason = format!("no answer within {:?}", self.options.timeout);
                    return Err(Trouble::Failed(reason));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Trouble::Failed("asking ended without an answer".to_owned()));
                }
            }
        }
    }
}

impl History for PostgresHistory {
    fn url(&self) -> &str {
        &self.url
    }

    fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    fn settle_us(&self) -> i64 {
        self.settle()
    }

    fn fetch(&self, span_us: Range<i64>, cursor: &Cursor) -> Result<Page, HistoryError> {
        let behind = match cursor.0.is_empty() {
            true => Some(Place::at(span_us.start.max(0))),
            false => Place::read(cursor),
        };
        let url = || self.url.clone();
        let Some(behind) = behind else {
            let reason = format!("it did not write the cursor {:?}", cursor.0);
            return Err(HistoryError::Refused { url: url(), reason });
        };
        let mut page = Page { next: cursor.clone(), ..Page::default() };
        if behind.time_us >= span_us.end {
            page.done = true;
            return Ok(page);
        }
        let settled_us = now_us().saturating_sub(self.settle());
        if settled_us <= behind.time_us {
            let until_us = span_us.end.saturating_add(self.settle());
            return Err(HistoryError::Early { url: url(), until_us });
        }
        let before_us = span_us.end.min(settled_us);
        let question = Question { behind, before_us, rows: self.options.rows };
        let answer = self.ask(question).map_err(|trouble| match trouble {
            Trouble::Failed(reason) => HistoryError::Unavailable { url: url(), reason },
            Trouble::Refused(reason) => HistoryError::Refused { url: url(), reason },
        })?;
        answer.messages.iter().for_each(|message| page.push(message));
        page.rejected = answer.rejected;
        page.next = answer.last.unwrap_or(Place::at(before_us)).cursor();
        page.done = answer.last.is_none() && before_us >= span_us.end;
        Ok(page)
    }

    fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::log::source::{HistoryKind, HistoryUrl};

    fn history(url: &str) -> PostgresHistory {
        let url: HistoryUrl = url.parse().unwrap();
        let HistoryKind::Postgres(options) = url.kind.clone() else { panic!() };
        PostgresHistory::new(&url.name(), options, Mapping::auto())
    }

    #[test]
    fn a_server_that_is_not_there_may_be_there_later_and_no_password_is_told() {
        let history = history("postgres://me:hush@127.0.0.1:1/messages");
        let error = history.fetch(0..1, &Cursor::default()).unwrap_err();
        assert!(matches!(error, HistoryError::Unavailable { .. }), "{error}");
        assert!(!error.to_string().contains("hush") && !format!("{history:?}").contains("hush"));
    }

    #[test]
    fn a_server_that_never_answers_keeps_nobody_from_stopping() {
        let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = mute.local_addr().unwrap().port();
        let history = Arc::new(history(&format!("postgres://me@127.0.0.1:{port}/messages")));
        let asking = Arc::clone(&history);
        let fetch = std::thread::spawn(move || asking.fetch(0..1, &Cursor::default()));
        history.stop();
        assert!(matches!(fetch.join().unwrap(), Err(HistoryError::Unavailable { .. })));
    }

    #[test]
    fn a_place_of_another_history_is_refused_and_the_end_is_the_end() {
        let history = history("postgres://me@127.0.0.1:1/messages");
        let fetch = |cursor: &str| history.fetch(0..100, &Cursor(cursor.to_owned()));
        assert!(matches!(fetch("0+3600"), Err(HistoryError::Refused { .. })));
        assert!(fetch("100/5").unwrap().done);
    }
}
