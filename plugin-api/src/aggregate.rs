//! Aggregators: states, their merge, and how they read.
