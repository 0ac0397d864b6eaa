//! The embeddable host of statmill: keeps exact statistics over a stream of messages, computed by plugins.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use statmill::Host;
//!
//! let host = Host::builder()
//!     .data("data")
//!     .plugin("plugins")
//!     .source("http:builds")?
//!     .listen("127.0.0.1:8040")
//!     .start()?;
//! statmill::wait_for_signal()?;
//! host.stop();
//! # Ok(())
//! # }
//! ```

pub mod admin;
mod backoff;
pub mod catalog;
mod child;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dashboards;
mod engine;
pub mod fault;
#[cfg(test)]
mod fuzz;
mod host;
pub mod http;
mod instance;
mod limits;
pub mod loader;
pub mod log;
pub mod project;
pub mod query;
pub mod render;
mod sources;
pub mod statscache;
pub mod store;
mod trial;

pub use child::serve_as_child;
pub use host::{
    Audit, Audited, Counters, EngineError, Host, HostBuilder, HostError, wait_for_signal,
    wait_for_signals,
};
pub use limits::StatLimits;
