//! A worker process: one instance of a plugin's stat, with this process for itself.
//!
//! ```text
//! host:   instance::child ─► Open, Create ─► (Restore)* ─► (Fold | Drain)* ; or Compute*
//! worker: map the library ─► one answer for each question ([`serve`]) ─► ends with its input
//! ```
//!
//! What is said is what the engine says to an instance in its own process ([`crate::instance`]). The worker
//! trusts its host; the host trusts nothing that comes from a worker.

pub(crate) mod batch;
pub(crate) mod frame;
mod serve;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use statmill_plugin_api::manifest::FieldKind;

pub(crate) use self::serve::serve;

/// Which library to map.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Open {
    /// As the user knows it.
    pub(crate) file: PathBuf,
    /// The private copy of it.
    pub(crate) library: PathBuf,
}

/// Which instance to make.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Create {
    pub(crate) ident: String,
    /// JSON text.
    pub(crate) config: String,
    /// Kinds of the stat's fields.
    pub(crate) fields: Vec<FieldKind>,
    /// Number of its models.
    pub(crate) models: usize,
    /// It computes views instead of folding.
    pub(crate) computes: bool,
}
