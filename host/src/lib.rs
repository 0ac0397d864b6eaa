//! The embeddable host of statmill.

pub mod http;
pub mod log;
pub mod project;
pub mod query;
pub mod render;
