//! How far back a log knows the identities it holds: a function of the log's content.
//!
//! Kept are the last N identities, or those of the last H hours of record time, whichever is more, as far
//! as memory allows; idempotency keys likewise.

use std::collections::VecDeque;

use hashbrown::{HashMap, HashSet};

use super::segment::KeyEntry;

/// What an identity costs in memory, roughly: a set slot and a queue slot, both growing by doubling.
const ID_BYTES: usize = 64;
const KEY_BYTES: usize = 160;

/// How much a log remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HorizonOptions {
    /// At least so many of the newest identities.
    pub ids: usize,
    /// At least the identities of this span of record time, µs.
    pub span_us: i64,
    /// But never more than this, bytes.
    pub max_bytes: usize,
}

impl HorizonOptions {
    /// The most identities that memory allows.
    pub(super) fn most_ids(&self) -> usize {
        self.max_bytes / ID_BYTES
    }
}

impl Default for HorizonOptions {
    fn default() -> Self {
        Self { ids: 1_000_000, span_us: 24 * 3_600_000_000, max_bytes: 256 << 20 }
    }
}

/// How far back duplicates are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HorizonStatus {
    /// Arrival of the oldest record whose identity is known, µs since 1970.
    pub horizon_since_us: Option<i64>,
    /// Number of identities known.
    pub horizon_ids: u64,
    /// Memory did not suffice for what was asked for.
    pub short: bool,
}

/// The identities and idempotency keys a log knows.
#[derive(Debug)]
pub(super) struct Horizon {
    options: HorizonOptions,
    known: HashSet<u128>,
    order: VecDeque<u128>,
    groups: VecDeque<Group>,
    keys: HashMap<u128, KeyEntry>,
    key_order: VecDeque<(u128, i64)>,
    newest_us: i64,
    /// Identities inserted since the last [`Horizon::seal`].
    open: usize,
    short: bool,
}

/// A run of identities that arrived together.
#[derive(Clone, Copy, Debug)]
struct Group {
    first: u64,
    arrival_us: i64,
    ids: usize,
}

impl Horizon {
    pub(super) fn new(options: HorizonOptions) -> Self {
        Self {
            options,
            known: HashSet::new(),
            order: VecDeque::new(),
            groups: VecDeque::new(),
            keys: HashMap::new(),
            key_order: VecDeque::new(),
            newest_us: i64::MIN,
            open: 0,
            short: false,
        }
    }

    /// The first of `segments` (first record, records, largest arrival) that may hold something to know.
    pub(super) fn begins_in(&self, segments: &[(u64, u64, i64)]) -> u64 {
        let newest_us = segments.iter().map(|segment| segment.2).max().unwrap_or(i64::MIN);
        let since_us = newest_us.saturating_sub(self.options.span_us);
        let mut records = 0;
        let mut begin = segments.last().map_or(0, |segment| segment.0);
        for (first, count, arrival_us) in segments.iter().rev() {
            if records < self.options.ids as u64 || *arrival_us >= since_us {
                begin = *first;
            }
            records += count;
        }
        begin
    }

    pub(super) fn knows(&self, identity: u128) -> bool {
        self.known.contains(&identity)
    }

    pub(super) fn key(&self, key: u128) -> Option<KeyEntry> {
        self.keys.get(&key).copied()
    }

    /// Adds an identity that is about to be committed; false if it is known.
    pub(super) fn insert(&mut self, identity: u128) -> bool {
        let new = self.known.insert(identity);
        if new {
            self.order.push_back(identity);
            self.open += 1;
        }
        new
    }

    /// Adds a key that is about to be committed.
    pub(super) fn insert_key(&mut self, entry: KeyEntry) {
        self.keys.insert(entry.key, entry);
    }

    /// Takes back what was inserted since the last seal: it was not committed.
    pub(super) fn undo(&mut self, keys: &[KeyEntry]) {
        for _ in 0..std::mem::take(&mut self.open) {
            if let Some(identity) = self.order.pop_back() {
                self.known.remove(&identity);
            }
        }
        for entry in keys {
            self.keys.remove(&entry.key);
        }
    }

    /// Says that the next `ids` of the open identities were committed in a block.
    pub(super) fn seal(&mut self, first: u64, arrival_us: i64, ids: usize) {
        let ids = ids.min(self.open);
        self.open -= ids;
        match self.groups.back_mut() {
            _ if ids == 0 => {}
            Some(last) if (last.first, last.arrival_us) == (first, arrival_us) => last.ids += ids,
            _ => self.groups.push_back(Group { first, arrival_us, ids }),
        }
        self.newest_us = self.newest_us.max(arrival_us);
    }

    /// Says that a key was committed.
    pub(super) fn seal_key(&mut self, entry: &KeyEntry) {
        self.key_order.push_back((entry.key, entry.arrival_us));
    }

    /// Forgets what lies behind the horizon; to be called with nothing open.
    pub(super) fn trim(&mut self) {
        let since_us = self.newest_us.saturating_sub(self.options.span_us);
        let most = self.options.most_ids();
        while let Some(oldest) = self.groups.front_mut() {
            let wanted = self.order.len() <= self.options.ids || oldest.arrival_us >= since_us;
            if self.order.len() > most {
                self.short |= wanted;
            } else if wanted {
                break;
            }
            oldest.ids -= 1;
            if oldest.ids == 0 {
                self.groups.pop_front();
            }
            if let Some(identity) = self.order.pop_front() {
                self.known.remove(&identity);
            }
        }
        let most = self.options.max_bytes / 4 / KEY_BYTES;
        while let Some((key, arrival_us)) = self.key_order.front().copied() {
            let wanted = self.key_order.len() <= self.options.ids || arrival_us >= since_us;
            if wanted && self.key_order.len() <= most {
                break;
            }
            self.key_order.pop_front();
            self.keys.remove(&key);
        }
    }

    /// Forgets the identities of records that are no longer kept, so that a reopened log knows the same.
    pub(super) fn forget_below(&mut self, start: u64) {
        while let Some(oldest) = self.groups.front().filter(|group| group.first < start).copied() {
            self.groups.pop_front();
            for identity in self.order.drain(..oldest.ids) {
                self.known.remove(&identity);
            }
        }
    }

    pub(super) fn status(&self) -> HorizonStatus {
        HorizonStatus {
            horizon_since_us: self.groups.front().map(|group| group.arrival_us),
            horizon_ids: self.order.len() as u64,
            short: self.short,
        }
    }
}
