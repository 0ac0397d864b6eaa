//! The statmill command.
fn main() {}
