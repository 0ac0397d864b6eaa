//! History: past messages addressed by time, and how they are fetched into a fill.
//!
//! A [`History`] only reads; [`run_fill`] asks it page by page, leaves out what is in a log already
//! ([`super::seam`]), and writes the rest into a [`Fill`](super::fill::Fill). Nothing else reads histories.

mod datagrepper;
mod files;
mod lines;
mod postgres;
mod run;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::log::fill::Hole;
use crate::log::source::{HistoryKind, HistoryUrl};
use crate::project::Mapping;

pub use self::postgres::PostgresHistory;
pub use datagrepper::DatagrepperHistory;
pub use files::FileHistory;
pub use run::{FillError, FillOptions, FillProgress, run_fill};

/// A place in a pass over a history's span, as the history writes it; empty = the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// What one question to a history brought.
#[derive(Debug, Default)]
pub struct Page {
    text: Vec<u8>,
    ends: Vec<usize>,
    /// Where the next question goes on.
    pub next: Cursor,
    /// There is nothing behind this page.
    pub done: bool,
    /// Rows that are no messages.
    pub rejected: u64,
    /// What can never be had, though it may have been there.
    pub holes: Vec<Hole>,
}

impl Page {
    /// Appends a message.
    pub fn push(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
        self.ends.push(self.text.len());
    }

    /// Number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no messages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Size of the messages, bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The messages, in the history's order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.text[start..*end])
    }
}

/// Why a question to a history was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum HistoryError {
    /// It may be answered later: the medium or the service failed.
    #[error("history {url}: {reason}")]
    Unavailable { url: String, reason: String },
    /// It never will be: the address or an option makes no sense.
    #[error("history {url} cannot be used: {reason}")]
    Refused { url: String, reason: String },
    /// It may still lack messages of that time; it can be asked from then on, µs since 1970.
    #[error("history {url} is not asked for what has only just happened")]
    Early { url: String, until_us: i64 },
}

/// Past messages that can be asked for by time.
///
/// # Contract
///
/// - A pass begins with the empty cursor and follows [`Page::next`] until [`Page::done`]. Over the pass
///   every message is given whose event time lies in the span and that was there when the pass began;
///   what lies outside may be given too. With a cursor behind the last page the answer is empty and done.
/// - A page is bounded: about a few MiB of text, or one message, or what happened in one second.
/// - A cursor is good after a restart, and asking with it again gives the same messages: nothing of a page
///   is lost or doubled because the answer was. A message *with* identity may be given more than once.
/// - What cannot be read is never left out in silence: it is an error as long as asking again may help,
///   else a hole on the page where it would have been. A hole with a cursor can be asked for later: the page
///   at that cursor is all of it, or has the hole again. Nothing without identity of its span was given.
/// - What is too young to be there for certain ([`History::settle_us`]) is not asked for: [`HistoryError::Early`].
/// - Called from one thread at a time for one pass; passes of several fills may be interleaved.
pub trait History: Send + Sync {
    /// Where the history is, as shown to people.
    fn url(&self) -> &str;

    /// How fields of its messages are found.
    fn mapping(&self) -> &Mapping;

    /// How long after its time a message may still be missing here, µs.
    fn settle_us(&self) -> i64 {
        0
    }

    /// Asks for the page at `cursor` of the pass over `span_us` (event time, start in, end out).
    ///
    /// # Errors
    /// [`HistoryError::Unavailable`] if asking again may help, else [`HistoryError::Refused`].
    fn fetch(&self, span_us: Range<i64>, cursor: &Cursor) -> Result<Page, HistoryError>;

    /// Asks a question that is under way, and all later ones, to be given up soon.
    fn stop(&self) {}
}

/// Opens the history at `url`.
///
/// # Errors
/// [`HistoryError::Refused`] if there can be none.
pub fn open(url: &HistoryUrl, mapping: Mapping) -> Result<Arc<dyn History>, HistoryError> {
    let name = url.name();
    Ok(match &url.kind {
        HistoryKind::File(path) => Arc::new(FileHistory::new(&name, path, mapping)?),
        HistoryKind::Datagrepper(options) => {
            Arc::new(DatagrepperHistory::new(&name, options.clone(), mapping))
        }
        HistoryKind::Postgres(options) => {
            Arc::new(PostgresHistory::new(&name, options.clone(), mapping))
        }
    })
}
