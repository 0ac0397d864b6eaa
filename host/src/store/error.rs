//! What can go wrong between a commit and the disk.
#![allow(missing_docs, reason = "variant docs describe their fields")]

use std::path::PathBuf;

use crate::limits::TooMuch;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system failed.
    #[error("store: cannot {what}: {source}")]
    Io { what: String, source: std::io::Error },
    /// The embedded database failed.
    #[error("store: cannot {what} the database: {reason}")]
    Backend { what: &'static str, reason: String },
    /// Stored bytes do not agree with their checksum, their count or each other.
    #[error(
        "store: {tree} is damaged: {what}; the host sets it aside and rebuilds it from its logs, \
         at once or when it starts next"
    )]
    Damaged { tree: String, what: String },
    /// Another host works on the folder.
    #[error("data folder {folder:?} is in use by process {pid}; stop it or name another folder")]
    Locked { folder: PathBuf, pid: String },
    /// The folder holds no store.
    #[error("no store in {folder:?}; name the data folder of a host that has run")]
    Missing { folder: PathBuf },
    /// A newer statmill wrote it.
    #[error("store: {what} has format {found}, this statmill reads up to {known}; use a newer one")]
    Newer { what: String, found: u32, known: u32 },
    /// The models of a statistic differ from those its rows were stored with.
    #[error("{ident}: model {model} changed but its version did not; raise `model_version`")]
    ModelsChanged { ident: String, model: String },
    /// What the plugin drained is no block of rows of the model.
    #[error("{ident}: bad increments of model {model}: {reason}")]
    BadIncrement { ident: String, model: String, reason: String },
    /// The plugin drained more than it may, or its model would become larger.
    #[error(
        "{ident}: model {model}: {found}; mend the plugin, or raise the limit and restart the host"
    )]
    TooMuch { ident: String, model: String, found: TooMuch },
    /// A commit failed with an unknown outcome; what is in memory may not be what is stored.
    #[error("{ident}: an earlier commit failed; open the statistic again")]
    Stopped { ident: String },
    /// The disk refused a write; nothing is written until the store was opened again.
    #[error("the store takes no commits: {reason}")]
    Refused { reason: String },
    /// The store was opened again, or is about to be: what was read before is not to be had any more.
    #[error("the store is being opened again: ask again")]
    Closed,
    /// No statistic of that name is stored.
    #[error("no statistic {ident:?} is stored here")]
    Unknown { ident: String },
}

impl StoreError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Do stored bytes make no sense, so that only setting them aside helps?
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Backend { .. })
    }

    /// Was nothing changed, because of what the plugin drained?
    pub(super) fn is_of_increments(&self) -> bool {
        matches!(self, Self::BadIncrement { .. } | Self::TooMuch { .. })
    }

    pub(crate) fn damaged(tree: &str, what: impl std::fmt::Display) -> Self {
        Self::Damaged { tree: tree.to_owned(), what: what.to_string() }
    }
}
