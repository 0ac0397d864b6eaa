//! All that the author of a statmill plugin sees.
//!
//! A plugin is a shared library that holds one or more [stats](stat::Stat). A stat declares which
//! fields of each message it wants ([`fields!`]) and which models it keeps
//! ([`#[derive(Models)]`](macro@Models)), and folds batches of messages into increments of those
//! models. The host drains the increments at each checkpoint, merges them by the models'
//! [aggregators](aggregate) and is the only keeper of state: a stat has no clock, no file, no thread,
//! and nothing to lose.
//!
//! A stat, whole:
//!
//! ```standalone_crate
//! use statmill_plugin_api::prelude::*;
//!
//! fields! {
//!     /// What is read of each message.
//!     pub struct Event { key: sym "/key", size: int "/size" }
//! }
//!
//! /// How many messages carried each key, and how large they were.
//! #[derive(Models, Default)]
//! pub struct Volume {
//!     #[model(window = "1h", dimensions = ["key"], measures = ["count", "size"])]
//!     by_key: Rollup<(Sym,), (Count, Moments<i64>)>,
//! }
//!
//! impl Stat for Volume {
//!     const INFO: StatInfo =
//!         StatInfo { ident: "volume", title: "Messages per key", ..StatInfo::DEFAULT };
//!     const FIELDS: Fields = Event::FIELDS;
//!
//!     fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
//!         for message in batch.rows::<Event>() {
//!             if let (Some(key), Some(size)) = (message.key(), message.size()) {
//!                 self.by_key.at(&message, (key,)).add((1, size));
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//!
//! export_plugin!(Volume);
//!
//! // And its test, without a host:
//! let folded = statmill_plugin_api::testing::fold::<Volume>(&[
//!     r#"{"topic": "shop.order", "time": 1500000000, "key": "a", "size": 5}"#,
//!     r#"{"topic": "shop.order", "time": 1500000001, "key": "a", "size": 7}"#,
//! ]);
//! assert_eq!(
//!     folded.rows("by_key"),
//!     "time,key,count,size_count,size_sum,size_mean,size_stddev\n\
//!      1499997600.0,a,2,2,12,6,1.4142135623730951\n"
//! );
//! ```

// The macros name this crate as its users do; so can its own tests.
extern crate self as statmill_plugin_api;

pub mod abi;
pub mod aggregate;
pub mod batch;
pub mod encoding;
#[doc(hidden)]
pub mod export;
pub mod fields;
mod instance;
pub mod manifest;
pub mod memo;
pub mod model;
pub mod prelude;
pub mod stat;
pub mod testing;

pub use serde_json;
pub use statmill_plugin_api_macros::{Models, fields};
