//! The command line, apart from its arguments: what commands print and where they ask.

pub mod client;
pub mod table;
