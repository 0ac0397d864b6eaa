//! Damage that is met after a statistic was opened: only what is read shows whether it is sound.
//!
//! A start reads neither pages nor what waits to be removed. Every part of a record has its own
//! checksum, so a damaged page is never taken for rows: whoever reads it, a fold or a query, gets an
//! error, and leaves a note here that the host acts upon.

use std::sync::{Arc, OnceLock};

use super::StoreError;

/// What was found damaged of one open statistic; shared by its store and all its snapshots.
#[derive(Clone, Debug, Default)]
pub(crate) struct Damage(Arc<OnceLock<String>>);

impl Damage {
    /// Remembers `error` if it tells of damage; the first one counts.
    pub(crate) fn note(&self, error: &StoreError) {
        if error.is_damage() {
            // Whoever came first has said what there is to say.
            let _ = self.0.set(error.to_string());
        }
    }

    /// What was found.
    pub(crate) fn found(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}
