//! The embeddable host of statmill.

pub mod cli;
pub mod fault;
pub mod http;
pub mod log;
pub mod project;
pub mod query;
pub mod render;
pub mod store;
