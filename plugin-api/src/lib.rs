//! All that the author of a statmill plugin sees.
//!
//! A plugin is a shared library that holds one or more [stats](Stat). A stat declares which
//! fields of each message it wants ([`fields!`]) and which models it keeps (`#[derive(Models)]`),
//! and folds batches of messages into increments of those models. The host drains the increments
//! at each checkpoint, merges them by the models' [aggregators](aggregate) and is the only keeper
//! of state: a stat has no clock, no file, no thread, and nothing to lose.

pub mod abi;
pub mod aggregate;
pub mod encoding;
pub mod manifest;
