//! What the measuring programs of this package share: what a run took of the machine, a small HTTP client,
//! and messages to send.

pub mod client;
pub mod disk;
pub mod messages;
pub mod times;
pub mod usage;
