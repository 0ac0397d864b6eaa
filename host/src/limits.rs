//! What a stat may take before it is stopped, so that no stat can hurt another one.

use std::fmt;
use std::time::Duration;

/// What a stat may take; beyond it that stat fails, and all others go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatLimits {
    /// CPU time of one call into its plugin; by the clock it may take twenty times as long.
    pub deadline: Duration,
    /// Rows that it adds to between two commits. A commit is made long before, but one batch of messages
    /// is folded as a whole.
    pub checkpoint_rows: u64,
    /// Bytes of these rows.
    pub checkpoint_bytes: u64,
    /// Bytes of a row, key and values.
    pub row_bytes: u64,
    /// Rows of a model.
    pub model_rows: u64,
}

impl Default for StatLimits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            checkpoint_rows: 500_000,
            checkpoint_bytes: 256 << 20,
            row_bytes: 1 << 20,
            model_rows: 100_000_000,
        }
    }
}

/// More than a limit allows, in words that name the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMuch {
    /// What there is so much of.
    pub what: &'static str,
    /// How much there is.
    pub found: u64,
    /// How much there may be.
    pub most: u64,
    /// The setting.
    pub setting: &'static str,
}

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, found, most, setting } = self;
        write!(f, "{found} {what}, more than the {most} that stat_limits.{setting} allows")
    }
}

impl StatLimits {
    /// An error if a checkpoint has so many rows and bytes that it is more than is allowed.
    pub(crate) fn check_checkpoint(&self, rows: u64, bytes: u64) -> Result<(), TooMuch> {
        let (most_rows, most_bytes) = (self.checkpoint_rows, self.checkpoint_bytes);
        check("rows between two commits", rows, most_rows, "checkpoint_rows")?;
        check("bytes between two commits", bytes, most_bytes, "checkpoint_bytes")
    }

    /// An error if a row is larger than is allowed.
    pub(crate) fn check_row(&self, bytes: usize) -> Result<(), TooMuch> {
        check("bytes in one row", bytes as u64, self.row_bytes, "row_bytes")
    }

    /// An error if a model has more rows than are allowed.
    pub(crate) fn check_model(&self, rows: u64) -> Result<(), TooMuch> {
        check("rows", rows, self.model_rows, "model_rows")
    }
}

fn check(what: &'static str, found: u64, most: u64, setting: &'static str) -> Result<(), TooMuch> {
    if found > most { Err(TooMuch { what, found, most, setting }) } else { Ok(()) }
}
