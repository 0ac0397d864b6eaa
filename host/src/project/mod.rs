//! From bytes to columns: one pass over each message's text for all stats together.
//!
//! [`Mapping`] says where a message's identity, topic and time lie; [`Projection`] is the trie of all
//! wanted JSON pointers; [`Projector`] walks records and makes a [`Batch`]; [`Dictionary`] turns texts into codes.

mod batch;
pub use batch::{Batch, Column, Reject, Rejects};

/// Where in a message its identity, topic and time lie: for each, JSON pointers tried in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Mapping {
    /// Name shown to people (`auto`, `fedmsg`, `plain`, or the configuration's).
    pub name: String,
    /// The sender's id.
    pub id: Vec<String>,
    /// The topic.
    pub topic: Vec<String>,
    /// The event time.
    pub time: Vec<String>,
    /// Identity by producer and sequence number, where there is no id.
    pub producer: Option<(String, String)>,
}

/// The dictionaries of one generation.
#[derive(Debug, Default)]
pub struct Generation;
