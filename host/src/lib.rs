//! The embeddable host of statmill.

pub mod clock;
pub mod fault;
pub mod http;
pub mod loader;
pub mod log;
pub mod project;
pub mod query;
pub mod render;
