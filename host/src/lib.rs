//! The embeddable host of statmill.

pub mod log;
pub mod project;
