//! The embeddable host of statmill.

pub mod fault;
pub mod log;
pub mod project;
pub mod store;
