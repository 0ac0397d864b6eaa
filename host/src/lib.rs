//! The embeddable host of statmill.

pub mod config;
pub mod log;
pub mod project;
