//! How long a log keeps what all its readers are past.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::log::Offset;

/// When whole segments are dropped. Nothing is dropped before its readers are durably past it, except by
/// `disk_limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Keep records that arrived within this span, µs; `None` = for ever, as long as `max_bytes` allows.
    pub age_us: Option<i64>,
    /// Drop the oldest segments above this size, bytes on disk.
    pub max_bytes: Option<u64>,
    /// Above this size the oldest segments go even if they are still needed: a recorded loss.
    pub disk_limit: Option<u64>,
}

impl Retention {
    /// Keeps everything: a document store.
    pub const FOREVER: Self = Self { age_us: None, max_bytes: None, disk_limit: None };

    /// Whether the oldest segment may go. `needed` says that a reader still wants it.
    pub(super) fn drops(&self, arrival_us: i64, now_us: i64, total: u64, needed: bool) -> bool {
        let over = |limit: Option<u64>| limit.is_some_and(|limit| total > limit);
        let old = self.age_us.is_some_and(|age_us| arrival_us < now_us.saturating_sub(age_us));
        over(self.disk_limit) || (!needed && (old || over(self.max_bytes)))
    }
}

/// The places of a log that must be kept for somebody.
#[derive(Debug, Default)]
pub(super) struct Holds {
    next: u64,
    held: BTreeMap<u64, Offset>,
}

/// Keeps the records from an offset on, until dropped.
#[derive(Debug)]
pub struct Hold {
    holds: Weak<Mutex<Holds>>,
    id: u64,
}

impl Hold {
    pub(super) fn new(holds: &Arc<Mutex<Holds>>, from: Offset) -> Self {
        let mut guard = holds.lock();
        let id = guard.next;
        guard.next += 1;
        guard.held.insert(id, from);
        Self { holds: Arc::downgrade(holds), id }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(holds) = self.holds.upgrade() {
            holds.lock().held.remove(&self.id);
        }
    }
}

impl Holds {
    pub(super) fn oldest(&self) -> Option<Offset> {
        self.held.values().min().copied()
    }
}
