//! From bytes to columns: one pass over each message's text for all stats together.
//!
//! [`Mapping`] says where a message's identity, topic and time lie; [`Projection`] is the trie of all
//! wanted JSON pointers; [`Projector`] turns records into a [`Batch`], texts into codes of the current
//! [`Generation`] of [`Dictionaries`]; [`TopicFilter`] and [`select`] pick the rows a stat wants;
//! [`envelope`] reads only identity, topic and time.
//!
//! # The verdict
//!
//! Whether a message is accepted depends on its text, the mapping and the limits, never on the wanted
//! fields. Every message passes the same structure scan (`scan.rs`), then its members are found
//! (`walk.rs`), then wanted values are decoded (`decode.rs`). Rejected is exactly what
//!
//! - is larger than the limit ([`Reject::TooLarge`]) or nested deeper ([`Reject::TooDeep`]);
//! - is not one object: brackets outside strings balanced and of matching kinds, strings closed, no
//!   backslash outside a string, only whitespace around it ([`Reject::Malformed`]); with [`Limits::validate`], what serde_json refuses;
//! - has no topic that is text, or no time ([`Reject::NoTopic`], [`Reject::NoTime`]), or a time too far
//!   ahead of its arrival ([`Reject::Future`]).
//!
//! Anything else that is wrong with the text is seen only on the path of a wanted value and makes that
//! value [`INVALID`](statmill_plugin_api::abi::state::INVALID). What no pointer leads to is not looked at.

mod batch;
mod classify;
mod decode;
mod dictionary;
mod envelope;
mod mapping;
mod projection;
mod projector;
mod scan;
mod simd;
mod strings;
#[cfg(test)]
mod tests;
pub mod time;
mod topic;
mod trie;
mod validate;
mod walk;

pub use batch::{Batch, Column, Reject, Rejects};
pub use dictionary::{Caps, Dictionaries, Generation};
pub use envelope::{Envelope, EnvelopeReader, envelope};
pub use mapping::{Limits, Mapping};
pub use projection::{PointerError, Projection};
pub use projector::Projector;
pub use topic::{TopicCache, TopicFilter, select};
