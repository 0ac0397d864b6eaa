//! The embeddable host of statmill.

pub mod clock;
pub mod loader;
pub mod log;
pub mod project;
