//! Limits of the store.

use crate::limits::StatLimits;

/// When and how much is folded; the defaults are measured.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Least bytes of deltas before they are folded.
    pub fold_bytes: usize,
    /// Most bytes of deltas before they are folded, for statistics with many pages.
    pub fold_bytes_most: usize,
    /// Between the two, deltas are folded once they are one part in so many of the pages' bytes.
    pub fold_share: usize,
    /// Most deltas before they are folded: they are all read at a start.
    pub fold_deltas: u64,
    /// Most pages that one batch writes.
    pub batch_pages: usize,
    /// Bytes of decoded pages kept in memory, for all statistics together.
    pub cache_bytes: usize,
    /// Read every row at a start, so that damage is found before anyone relies on the rows. Takes as
    /// long as reading them does.
    pub verify: bool,
    /// How much a statistic may add, and become.
    pub stat_limits: StatLimits,
    /// Shard whose rows this host writes.
    pub shard: u16,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            fold_bytes: 1 << 20,
            fold_bytes_most: 8 << 20,
            fold_share: 4,
            fold_deltas: 512,
            batch_pages: 256,
            cache_bytes: 8 << 20,
            verify: false,
            stat_limits: StatLimits::default(),
            shard: 0,
        }
    }
}
