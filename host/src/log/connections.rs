//! What a network source knows of itself: its connections, what came over them, what was refused.
//!
//! Written by the thread that feeds the journal, read by whoever asks for the status. It also says from
//! when on the journal may lack what was sent: completeness and coverage must not claim that time.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;

use super::ingest::Accepted;
use crate::clock::now_us;
use crate::query::{ConnectionState, ConnectionStatus, Fault, SourceStatus, TimeSpan, UtcTime};

/// Newest refusals and gaps kept; how many there were in all is counted.
const KEPT: usize = 16;
/// Longest text of a refusal, bytes.
const MAX_TEXT: usize = 400;

/// The connections of one source.
#[derive(Debug)]
pub struct Connections {
    source: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    connections: Vec<Connection>,
    received: u64,
    accepted: u64,
    duplicates: u64,
    refused: BTreeMap<String, u64>,
    last_refused: VecDeque<Fault>,
    gaps: VecDeque<TimeSpan>,
}

#[derive(Debug)]
struct Connection {
    status: ConnectionStatus,
    /// From when on it may have missed something; none = it misses nothing.
    lacks_from_us: Option<i64>,
}

/// What a failed connection says of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Messages may be sent that do not come.
    Unknown,
    /// Nobody sends there now: nothing was missed so far.
    NobodySends,
}

impl Connections {
    /// Those to `addresses`, of which none is there yet; `lacks_from_us` is the end of what the journal
    /// accounts for, µs since 1970.
    #[must_use]
    pub fn new(
        source: &str,
        addresses: impl IntoIterator<Item = String>,
        lacks_from_us: i64,
    ) -> Self {
        let since = UtcTime(now_us());
        let connections = addresses.into_iter().map(|address| Connection {
            status: ConnectionStatus { address, since, ..ConnectionStatus::default() },
            lacks_from_us: Some(lacks_from_us),
        });
        let state = State {
            connections: connections.collect(),
            received: 0,
            accepted: 0,
            duplicates: 0,
            refused: BTreeMap::new(),
            last_refused: VecDeque::new(),
            gaps: VecDeque::new(),
        };
        Self { source: source.to_owned(), state: Mutex::new(state) }
    }

    /// Connection number `at` is there. It lacks nothing only once [`Connections::level`] says so.
    pub fn connected(&self, at: usize) {
        let mut state = self.state.lock();
        let connection = &mut state.connections[at];
        connection.status.connects += 1;
        connection.status.turn(ConnectionState::Connected);
        tracing::info!(source = self.source, address = connection.status.address, "connected");
    }

    /// Connection number `at` has brought all that was waiting for us.
    pub fn level(&self, at: usize) {
        self.state.lock().connections[at].lacks_from_us = None;
    }

    /// What was sent to connection number `at` since it was lost will not come any more.
    pub fn missed(&self, at: usize, reason: &str) {
        let mut state = self.state.lock();
        let connection = &mut state.connections[at];
        let Some(from_us) = connection.lacks_from_us.take() else { return };
        let reason = format!("{}: {reason}", connection.status.address);
        let (from, to) = (Some(UtcTime(from_us)), Some(UtcTime(now_us())));
        keep(&mut state.gaps, TimeSpan { log: None, from, to, reason });
    }

    /// Connection number `at` was lost, or could not be made.
    pub fn failed(&self, at: usize, reason: &str, failure: Failure) {
        let mut state = self.state.lock();
        let Connection { status, lacks_from_us } = &mut state.connections[at];
        let now = now_us();
        *lacks_from_us = match failure {
            Failure::NobodySends => Some(now),
            Failure::Unknown => Some(lacks_from_us.unwrap_or(now)),
        };
        let is_news = status.state != ConnectionState::Retrying
            || status.last_error.as_ref().is_none_or(|last| last.text != reason);
        status.failures += 1;
        status.last_error = Some(Fault { at: UtcTime(now), text: reason.to_owned() });
        status.turn(ConnectionState::Retrying);
        if is_news {
            tracing::warn!(
                source = self.source,
                address = status.address,
                "not connected: {reason}"
            );
        }
    }

    /// None is wanted any more. What each lacks from now on is the next start's to ask.
    pub fn stopped(&self) {
        let mut state = self.state.lock();
        let connections = state.connections.iter_mut();
        connections.for_each(|connection| connection.status.turn(ConnectionState::Stopped));
    }

    /// So many messages came.
    pub fn received(&self, messages: u64) {
        self.state.lock().received += messages;
    }

    /// What became of messages that were good enough for the journal.
    pub fn journaled(&self, accepted: &Accepted) {
        let mut state = self.state.lock();
        state.accepted += accepted.accepted;
        state.duplicates += accepted.duplicates;
    }

    /// A message was refused: `reason` in one word, `what` it was in a line.
    pub fn refused(&self, reason: &str, what: &str) {
        let mut state = self.state.lock();
        let count = state.refused.entry(reason.to_owned()).or_default();
        *count += 1;
        let count = *count;
        let text = format!("{reason}: {}", cut(what));
        // Whoever sends nothing else must not fill the disk with it.
        if count.is_power_of_two() {
            tracing::warn!(source = self.source, count, "a message is refused: {text}");
        }
        keep(&mut state.last_refused, Fault { at: UtcTime(now_us()), text });
    }

    /// From when on the journal may lack what was sent, µs since 1970.
    #[must_use]
    pub fn lacks_from_us(&self) -> Option<i64> {
        let state = self.state.lock();
        state.connections.iter().filter_map(|connection| connection.lacks_from_us).min()
    }

    /// All that is known.
    #[must_use]
    pub fn status(&self) -> SourceStatus {
        let lacks_from = self.lacks_from_us().map(UtcTime);
        let state = self.state.lock();
        SourceStatus {
            connections: state.connections.iter().map(|it| it.status.clone()).collect(),
            received: state.received,
            accepted: state.accepted,
            duplicates: state.duplicates,
            refused: state.refused.clone(),
            last_refused: state.last_refused.iter().cloned().collect(),
            lacks_from,
            gaps: state.gaps.iter().cloned().collect(),
        }
    }
}

impl ConnectionStatus {
    fn turn(&mut self, state: ConnectionState) {
        if self.state != state {
            self.state = state;
            self.since = UtcTime(now_us());
        }
    }
}

fn keep<T>(newest: &mut VecDeque<T>, one: T) {
    if newest.len() == KEPT {
        newest.pop_front();
    }
    newest.push_back(one);
}

/// The beginning of a text, whole characters.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn one() -> Connections {
        Connections::new("amqp:broker", ["amqp://broker:5672".to_owned()], 5)
    }

    #[test]
    fn a_source_lacks_messages_until_it_has_caught_up() {
        let source = one();
        assert_eq!(source.lacks_from_us(), Some(5));
        source.failed(0, "no route", Failure::Unknown);
        assert_eq!(source.lacks_from_us(), Some(5));
        source.connected(0);
        assert_eq!(source.lacks_from_us(), Some(5));
        source.level(0);
        assert_eq!(source.lacks_from_us(), None);
        let before = now_us();
        source.failed(0, "the broker has gone", Failure::Unknown);
        assert!(source.lacks_from_us().unwrap() >= before);
    }

    #[test]
    fn what_could_not_come_is_a_gap() {
        let source = one();
        source.connected(0);
        source.missed(0, "the queue was new");
        let gaps = source.status().gaps;
        assert_eq!(gaps[0].from, Some(UtcTime(5)));
        assert_eq!(gaps[0].reason, "amqp://broker:5672: the queue was new");
        source.missed(0, "again");
        assert_eq!(source.status().gaps.len(), 1, "nothing was missed since");
    }

    #[test]
    fn where_nobody_sends_nothing_is_missed() {
        let source = one();
        let before = now_us();
        source.failed(0, "connection refused", Failure::NobodySends);
        assert!(source.lacks_from_us().unwrap() >= before);
    }

    #[test]
    fn one_connection_that_is_not_there_keeps_the_source_from_being_level() {
        let source = Connections::new("zmq", ["a:1".to_owned(), "b:2".to_owned()], 5);
        source.connected(0);
        source.level(0);
        assert_eq!(source.lacks_from_us(), Some(5));
        assert_eq!(source.status().connections[0].state, ConnectionState::Connected);
        assert_eq!(source.status().connections[1].state, ConnectionState::Connecting);
    }

    #[test]
    fn refusals_are_counted_by_reason_and_the_newest_are_kept() {
        let source = one();
        for number in 0..40 {
            source.refused("malformed", &format!("number {number}"));
        }
        source.refused("headers", &"é".repeat(1000));
        let status = source.status();
        assert_eq!(status.refused["malformed"], 40);
        assert_eq!(status.refused["headers"], 1);
        assert_eq!(status.last_refused.len(), KEPT);
        assert!(status.last_refused.iter().all(|refused| refused.text.len() < 500));
        assert!(status.last_refused[0].text.contains("number 25"));
    }
}
