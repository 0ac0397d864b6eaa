//! What arrives over HTTP or from an embedder becomes records of a journal.
//!
//! In: a body of one JSON document, an array of documents, or one document a line. Out: counts, after the
//! documents are durable. All or nothing, unless the sender asks for what is good of it: then each refused
//! document is named. Nothing is written for a request that is refused as a whole.

mod split;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::identity::{content_hash, identity_hash, key_hash};
use super::journal::{AppendError, Journal, Submission};
use super::segment::{Entries, KeyEntry};
use super::{Log, LogError};
use crate::clock::now_us;
use crate::project::{Limits, Mapping, Reject, envelope};
use split::Form;

/// Longest idempotency key, bytes.
pub(crate) const MAX_KEY: usize = 255;

/// What a request may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IngestLimits {
    /// Largest body, bytes.
    pub body: usize,
    /// Most documents in a body.
    pub documents: usize,
    /// What each message may be.
    pub message: Limits,
}

impl Default for IngestLimits {
    fn default() -> Self {
        Self { body: 64 << 20, documents: 1 << 18, message: Limits::default() }
    }
}

/// The way into one journal. Any number of threads may use it.
#[derive(Debug)]
pub struct Ingest {
    journal: Arc<Journal>,
    limits: IngestLimits,
}

/// What became of a request. All of it is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Accepted {
    /// Documents written.
    pub accepted: u64,
    /// Documents that were there already.
    pub duplicates: u64,
    /// Documents refused; only of a partial request.
    pub rejected: Vec<LineError>,
    /// The idempotency key was known: nothing was written, these are the counts first answered.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

/// Why one document of a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LineError {
    /// Line of the document, or its place in the array, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: Reject,
    /// What the sender can do.
    pub remedy: String,
}

/// Why nothing of a request was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum IngestError {
    /// There is no document in the body.
    #[error("the body is empty; send a JSON document, an array of them, or one a line")]
    Empty,
    /// The body has more bytes than allowed.
    #[error("the body has {bytes} bytes, the limit is {limit}; send fewer documents at a time")]
    BodyTooLarge { bytes: usize, limit: usize },
    /// The body holds more documents than allowed.
    #[error("the body has more than {limit} documents; send fewer at a time")]
    TooManyDocuments { limit: usize },
    /// A document is not acceptable.
    #[error("document {} is refused, and none was taken: {}; {}", .0.line, .0.reason, .0.remedy)]
    Rejected(LineError),
    /// The idempotency key is empty or too long.
    #[error("an idempotency key has 1 to {limit} bytes, not {bytes}")]
    BadKey { bytes: usize, limit: usize },
    /// The idempotency key came with another body before.
    #[error("this idempotency key was used with another body before; use a new one")]
    KeyReused,
    /// The journal cannot be written; try again later.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Ingest {
    /// The way into `journal`.
    #[must_use]
    pub fn new(journal: Arc<Journal>, limits: IngestLimits) -> Self {
        Self { journal, limits }
    }

    /// The journal written to.
    #[must_use]
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// Accepts the documents of a request body; returns when they are durable.
    ///
    /// With `partial` acceptable documents are written though others are refused. A request whose
    /// `idempotency_key` was answered before writes nothing and is answered the same counts.
    ///
    /// # Errors
    /// [`IngestError`]; nothing was written then.
    pub fn accept(
        &self,
        body: &[u8],
        content_type: Option<&str>,
        idempotency_key: Option<&str>,
        partial: bool,
    ) -> Result<Accepted, IngestError> {
        self.accept_at(now_us(), body, content_type, idempotency_key, partial)
    }

    /// Accepts documents of the same process, all or nothing; returns when they are durable.
    ///
    /// # Errors
    /// [`IngestError`]; nothing was written then.
    pub fn push<'a>(
        &self,
        documents: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Accepted, IngestError> {
        let documents = (1..).zip(documents.into_iter().map(Some));
        self.write(now_us(), documents, 0, None, false)
    }

    /// Accepts those documents of the same process that are good, and names the others by their place,
    /// from 1; returns when they are durable.
    ///
    /// # Errors
    /// [`IngestError`]; nothing was written then.
    pub fn push_good<'a>(
        &self,
        documents: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Accepted, IngestError> {
        let documents = (1..).zip(documents.into_iter().map(Some));
        self.write(now_us(), documents, 0, None, true)
    }

    fn accept_at(
        &self,
        now_us: i64,
        body: &[u8],
        content_type: Option<&str>,
        idempotency_key: Option<&str>,
        partial: bool,
    ) -> Result<Accepted, IngestError> {
        let limit = self.limits.body;
        if body.len() > limit {
            return Err(IngestError::BodyTooLarge { bytes: body.len(), limit });
        }
        let key = match idempotency_key {
            None => None,
            Some(key) if key.is_empty() || key.len() > MAX_KEY => {
                return Err(IngestError::BadKey { bytes: key.len(), limit: MAX_KEY });
            }
            Some(key) => Some(KeyEntry {
                key: key_hash(key),
                body: xxh3_64(body),
                accepted: 0,
                duplicates: 0,
                rejected: 0,
                arrival_us: now_us,
            }),
        };
        let form = split::form(body, content_type, |text| self.is_whole(text));
        match form {
            Form::Empty => Err(IngestError::Empty),
            Form::One => {
                self.write(now_us, [(1, Some(body.trim_ascii()))], body.len(), key, partial)
            }
            Form::Lines => self.write(now_us, split::lines(body), body.len(), key, partial),
            Form::Array => self.write(now_us, split::elements(body), body.len(), key, partial),
        }
    }

    /// Writes numbered documents of about `bytes` together; `None` is a place where there should be one.
    fn write<'a>(
        &self,
        now_us: i64,
        documents: impl IntoIterator<Item = (u64, Option<&'a [u8]>)>,
        bytes: usize,
        key: Option<KeyEntry>,
        partial: bool,
    ) -> Result<Accepted, IngestError> {
        let mut entries = Entries::with_capacity(bytes);
        let mut rejected = Vec::new();
        for (count, (line, text)) in documents.into_iter().enumerate() {
            if count >= self.limits.documents {
                return Err(IngestError::TooManyDocuments { limit: self.limits.documents });
            }
            let text = text.unwrap_or_default();
            match self.take(text, now_us, &mut entries) {
                Ok(()) => {}
                Err(reason) if partial => {
                    rejected.push(LineError { line, reason, remedy: self.remedy(reason) });
                }
                Err(reason) => {
                    let remedy = self.remedy(reason);
                    return Err(IngestError::Rejected(LineError { line, reason, remedy }));
                }
            }
        }
        let submission = Submission { entries, key, rejected: rejected.len() as u32 };
        let receipt = self.journal.append(submission).map_err(|error| match error {
            AppendError::KeyReused => IngestError::KeyReused,
            AppendError::Log(error) => IngestError::Log(error),
        })?;
        Ok(Accepted {
            accepted: u64::from(receipt.accepted),
            duplicates: u64::from(receipt.duplicates),
            rejected,
            repeated: receipt.repeated,
        })
    }

    fn take(&self, text: &[u8], now_us: i64, entries: &mut Entries) -> Result<(), Reject> {
        let (mapping, limits) = (self.journal.mapping(), &self.limits.message);
        let envelope = envelope(text, mapping, limits)?;
        let time_us =
            limits.event_time(envelope.time_us, Some(now_us), self.journal.arrival_time())?;
        let identity = identity_hash(&envelope);
        let content = match identity {
            0 => content_hash(text, mapping, &envelope.topic, time_us),
            _ => 0,
        };
        entries.push(text, time_us, now_us, identity, content);
        Ok(())
    }

    /// Whether a text is one document by itself, acceptable or not.
    fn is_whole(&self, text: &[u8]) -> bool {
        let verdict = envelope(text, self.journal.mapping(), &self.limits.message);
        !matches!(verdict, Err(Reject::Malformed | Reject::TooDeep | Reject::TooLarge))
    }

    fn remedy(&self, reason: Reject) -> String {
        remedy(reason, self.journal.mapping(), &self.limits.message)
    }
}

/// What a sender can do about a refused message.
#[must_use]
pub fn remedy(reason: Reject, mapping: &Mapping, limits: &Limits) -> String {
    match reason {
        Reject::Malformed => "send one well-formed JSON object for each message".to_owned(),
        Reject::TooDeep => format!("nest no deeper than {} levels", limits.max_depth),
        Reject::TooLarge => {
            format!("a message has at most {} bytes (limits.max_message)", limits.max_message)
        }
        Reject::NoTopic => format!("give it a text at {}", mapping.topic.join(" or ")),
        Reject::NoTime => format!(
            "give it seconds since 1970 or an RFC 3339 time at {}",
            mapping.time.join(" or ")
        ),
        Reject::Future => format!(
            "its time may lie at most {} s after its arrival; check the sender's clock",
            limits.max_ahead_us / 1_000_000
        ),
    }
}
