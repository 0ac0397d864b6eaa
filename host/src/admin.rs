//! What can be told a running host to do; all else about it can only be asked ([`crate::query`]).

use serde::{Deserialize, Serialize};

use crate::log::{LogId, Offset};
use crate::query::{PluginReport, StatState};

/// Repairs a host while it runs.
///
/// # Contract
///
/// Every method may be called from any thread. It returns when what it says is durable, or has not
/// happened; how long that takes is bounded.
pub trait Admin: Send + Sync {
    /// Has the stat `ident` fold a message again that it passed over. Where it can be folded, the
    /// increments and the removal of the dead letter are one commit; else the letter stays, with the
    /// new reason.
    ///
    /// # Errors
    /// [`AdminError`]; the dead letter is then as it was.
    fn retry(&self, ident: &str, letter: LetterAt) -> Result<Retried, AdminError>;
    /// Takes a dead letter of the stat `ident` off its list: the message will never be counted.
    ///
    /// # Errors
    /// [`AdminError`]; the dead letter is then as it was.
    fn drop_letter(&self, ident: &str, letter: LetterAt) -> Result<(), AdminError>;
    /// Has the quarantined stat `ident` go on at its last commit, as if it had never failed; one that hung, was
    /// moved to a worker process and counts there, in the host again.
    ///
    /// # Errors
    /// [`AdminError::State`] where it is neither, and others.
    fn resume(&self, ident: &str) -> Result<(), AdminError>;
    /// Looks into the plugins folders again. New plugins begin, changed ones take over at the positions of
    /// their stats, those that are gone leave their rows. What cannot be loaded leaves what was there before.
    /// Answers what became of each file.
    ///
    /// # Errors
    /// [`AdminError`]: nothing has changed.
    fn reload(&self) -> Result<Vec<PluginReport>, AdminError>;
}

/// Which message a dead letter stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterAt {
    /// The log it is in.
    pub log: LogId,
    /// Where.
    pub offset: Offset,
}

/// What became of a message that was folded again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Retried {
    /// It is counted.
    Folded,
    /// It cannot be folded, as before.
    Failed {
        /// What the plugin said.
        reason: String,
    },
}

/// What became of the plugin files, as the API answers it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reloaded {
    /// Each file.
    pub plugins: Vec<PluginReport>,
}

/// What became of the dead letters of a stat, as the API answers it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settled {
    /// The stat.
    pub stat: String,
    /// Each that was meant.
    pub letters: Vec<SettledLetter>,
}

/// What became of one dead letter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SettledLetter {
    /// Which.
    #[serde(flatten)]
    pub at: LetterAt,
    /// `folded`, `dropped`, `failed` as before, or `kept` because it could not be tried.
    pub outcome: String,
    /// Why it stays, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Why a host did not do what it was told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum AdminError {
    /// There is no such stat.
    #[error("there is no stat {ident:?}")]
    NoSuchStat { ident: String },
    /// The stat has rows, but no plugin that could do it.
    #[error("the plugin of stat {ident:?} is not loaded; put it back into the plugins folder")]
    Detached { ident: String },
    /// The stat has no such dead letter; somebody else may have decided on it.
    #[error("stat {ident:?} has no dead letter at offset {} of log {}", .at.offset.0, .at.log)]
    NoSuchLetter { ident: String, at: LetterAt },
    /// The message itself is not to be had any more.
    #[error("the message at offset {} of log {} is gone: {reason}; drop the dead letter", .at.offset.0, .at.log)]
    Gone { at: LetterAt, reason: String },
    /// The message is not one that the stat wants now.
    #[error("stat {ident:?} does not want the message at offset {} any more: {reason}; drop the dead letter", .at.offset.0)]
    Unwanted { ident: String, at: LetterAt, reason: String },
    /// The stat's rows depend on the order of messages.
    #[error(
        "stat {ident:?} folds its messages in order, so that one of the past cannot be added; \
         raise its fold version to have its rows made anew"
    )]
    InOrder { ident: String },
    /// The stat is in no state in which that makes sense.
    #[error("stat {ident:?} is {state}: {remedy}")]
    State { ident: String, state: StatState, remedy: &'static str },
    /// It was begun and did not end in time.
    #[error("{what} is not done yet; its outcome will be in the status")]
    TooSlow { what: String },
    /// Something below failed.
    #[error("{what}: {reason}")]
    Failed { what: String, reason: String },
    /// The host stops.
    #[error("the host is stopping")]
    Stopping,
}
