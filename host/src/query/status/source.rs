//! What a source over a network says of itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Fault, TimeSpan, UtcTime};

/// A source that the host itself is connected to, since the host's start.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Every connection that is wanted.
    pub connections: Vec<ConnectionStatus>,
    /// Messages that came, whatever became of them.
    pub received: u64,
    /// Messages written to the journal.
    pub accepted: u64,
    /// Messages that were in the journal already.
    pub duplicates: u64,
    /// Messages refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// The newest messages refused, each with its reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_refused: Vec<Fault>,
    /// From when on messages may be missing that are still to come; none = nothing is known to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacks_from: Option<UtcTime>,
    /// The newest spans in which what was sent did not come, and will not: a history may have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<TimeSpan>,
}

/// One connection of a source.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ConnectionStatus {
    /// The other side, without passwords.
    pub address: String,
    /// What it is doing.
    pub state: ConnectionState,
    /// Since when.
    pub since: UtcTime,
    /// How often it was made.
    pub connects: u64,
    /// How often it was lost or could not be made.
    pub failures: u64,
    /// Why, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<Fault>,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionState {
    /// It is being made for the first time.
    #[default]
    Connecting,
    /// Messages come.
    Connected,
    /// It is lost, or could not be made, and is tried again.
    Retrying,
    /// The host stops.
    Stopped,
}
