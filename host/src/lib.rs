//! The embeddable host of statmill.

<<<<<<< HEAD
pub mod catalog;
pub mod clock;
pub mod config;
pub mod engine;
=======
pub mod cli;
>>>>>>> part-e
pub mod fault;
pub mod http;
pub mod loader;
pub mod log;
pub mod project;
pub mod query;
pub mod render;
pub mod store;
<<<<<<< HEAD

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub messages: u64,
    pub commits: u64,
    pub syncs: u64,
}
=======
>>>>>>> part-e
