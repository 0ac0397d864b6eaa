//! Configuration.

pub(crate) mod nearest;
mod units;
pub use units::{UnitError, parse_duration, parse_size};
