//! The way into a journal, as HTTP and embedders see it.

use std::sync::Arc;

use crate::log::ingest::{self, Ingest};
use crate::query::{Accepted, IngestError, IngestSink, LineError};

/// Seconds after which a sender may try again when the journal could not be written.
const RETRY_S: u32 = 1;

/// Takes messages into one journal.
pub(super) struct Sink(pub(super) Arc<Ingest>);

impl IngestSink for Sink {
    fn accept(
        &self,
        body: &[u8],
        content_type: Option<&str>,
        idempotency_key: Option<&str>,
        partial: bool,
    ) -> Result<Accepted, IngestError> {
        match self.0.accept(body, content_type, idempotency_key, partial) {
            Ok(accepted) => Ok(Accepted {
                accepted: accepted.accepted,
                duplicates: accepted.duplicates,
                rejected: accepted.rejected.iter().map(line).collect(),
            }),
            Err(error) => Err(refusal(error, idempotency_key)),
        }
    }
}

fn line(refused: &ingest::LineError) -> LineError {
    LineError { line: refused.line, reason: refused.remedy.clone() }
}

fn refusal(error: ingest::IngestError, key: Option<&str>) -> IngestError {
    use ingest::IngestError as From;
    let too_large = |what: &str, limit: usize| IngestError::TooLarge {
        what: what.to_owned(),
        limit_bytes: limit as u64,
    };
    match &error {
        From::BodyTooLarge { limit, .. } => too_large("the body", *limit),
        From::MessageTooLarge { limit, .. } => too_large("a message", *limit),
        From::Rejected(refused) => IngestError::Rejected { rejected: vec![line(refused)] },
        From::KeyReused => IngestError::KeyReused { key: key.unwrap_or_default().to_owned() },
        From::Log(_) => {
            tracing::error!("{error}");
            IngestError::Busy {
                reason: "the journal cannot be written".to_owned(),
                retry_after_s: RETRY_S,
            }
        }
        _ => IngestError::Bad { reason: error.to_string() },
    }
}
