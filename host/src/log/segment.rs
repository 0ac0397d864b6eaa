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
#[cfg(test)]
mod fuzz;
mod index;
mod meta;
mod pack;
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
pub(crate) use pack::{Effort, Packed, pack};
pub(crate) use segments::Committed;

/// The part of a [`Log`](super::Log) that is read from the `SegmentLog` in the field `$log`.
macro_rules! reads_segments {
    ($log:ident) => {
        fn id(&self) -> crate::log::LogId {
            self.$log.id()
        }
        fn name(&self) -> &str {
            self.$log.name()
        }
        fn start(&self) -> crate::log::Offset {
            self.$log.start()
        }
        fn end(&self) -> Result<crate::log::LogEnd, crate::log::LogError> {
            Ok(self.$log.end())
        }
        fn read(
            &self,
            from: crate::log::Offset,
            max_bytes: usize,
            max_records: usize,
            into: &mut crate::log::Records,
        ) -> Result<(), crate::log::LogError> {
            self.$log.read(from, max_bytes, max_records, into)
        }
        fn wait(&self, from: crate::log::Offset, timeout: std::time::Duration) {
            self.$log.wait(from, timeout);
        }
        fn fingerprint(
            &self,
            end: crate::log::Offset,
        ) -> Result<Option<u64>, crate::log::LogError> {
            self.$log.fingerprint(end)
        }
        fn first_at(&self, time_us: i64) -> crate::log::Offset {
            self.$log.first_at(time_us)
        }
        fn smallest_time_from(&self, from: crate::log::Offset) -> Option<i64> {
            self.$log.smallest_time_from(from)
        }
        fn after_damage(&self, at: crate::log::Offset) -> Option<crate::log::Offset> {
            self.$log.after_damage(at)
        }
        fn count(&self, range: std::ops::Range<crate::log::Offset>) -> Option<u64> {
            Some(self.$log.count(range))
        }
        fn bytes(&self, range: std::ops::Range<crate::log::Offset>) -> u64 {
            self.$log.bytes(range)
        }
    };
}
pub(super) use reads_segments;
