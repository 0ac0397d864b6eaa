//! The one format in which statmill keeps messages: journals, fills, kept documents, dead letters.
//!
//! A log is a folder of segments named by the sequence number of their first record; a segment is a run
//! of blocks, each with its own check sum; a full segment gets a sidecar index that can be made anew from
//! it. `docs/segment-format.md` is the specification. This module owns every byte of these files: nothing
//! else opens them.
//!
//! One writer, any number of readers: a commit is one write and one `fdatasync`, and its records are
//! readable only after that. What was written but never acknowledged is cut off at the next open; what
//! was acknowledged and has become unreadable is a recorded [`Loss`], never skipped in silence.

mod block;
mod entries;
mod index;
mod meta;
mod queries;
mod read;
mod recent;
mod retention;
mod scan;
mod sealed;
mod segments;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

pub use entries::{Entries, Extras, KeyEntry, Match};
pub use index::NO_TIME;
pub use retention::{Hold, Retention};
pub use segments::{Loss, SegmentLog, SegmentOptions};
pub use tables::Table;

pub(crate) use meta::{created_us, read_json, write_json};
pub(crate) use segments::Committed;
