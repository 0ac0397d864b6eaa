//! Looking hashes up in a log: is a message here, and how many copies of a content.
//!
//! A full segment's hashes are read from its sidecar, sorted, and kept while they are in use; those of the
//! segment being written are in memory. Only segments whose event times touch the asked span are looked at.

use std::ops::RangeInclusive;
use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;

use super::index::{Index, Section};
use super::recent::Recent;
use super::sealed::Sealed;

/// Bytes of sorted hashes kept for each log while a seam is being closed.
const CACHED: usize = 48 << 20;

/// What is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Identities of records.
    Identities,
    /// Contents of records that have no identity.
    Loose,
    /// Contents of all records for which they were computed.
    Contents,
    /// Contents left out because another log holds a copy.
    Matched,
    /// Identities left out because another log holds a copy of the content.
    MatchedIdentities,
}

type Sorted = Arc<Vec<u128>>;

/// The hashes of one log that are in memory.
pub(super) struct Tables {
    sorted: Mutex<Recent<(u64, Table), Sorted>>,
    active: Mutex<Vec<Counted>>,
}

/// Hashes of the segment being written, as far as they were counted.
struct Counted {
    table: Table,
    segment: u64,
    seen: usize,
    copies: HashMap<u128, u32>,
}

impl Tables {
    pub(super) fn new() -> Self {
        Self { sorted: Mutex::new(Recent::new(CACHED)), active: Mutex::default() }
    }

    /// Number of copies of `hash` in a full segment.
    pub(super) fn sealed(
        &self,
        segment: &Sealed,
        mark: u64,
        table: Table,
        hash: u128,
    ) -> std::io::Result<u32> {
        let key = (segment.summary.first, table);
        let cached = self.sorted.lock().get(&key);
        let sorted = match cached {
            Some(sorted) => sorted,
            None => {
                let mut hashes: Vec<u128> = segment.load(mark, |summary, path| {
                    Ok(match table {
                        Table::Identities => {
                            summary.hashes(path, Section::Identities)?.iter().collect()
                        }
                        Table::Contents => {
                            summary.hashes(path, Section::Contents)?.iter().collect()
                        }
                        Table::Loose => {
                            let identities = summary.hashes(path, Section::Identities)?;
                            let contents = summary.hashes(path, Section::Contents)?;
                            loose(identities.iter(), contents.iter()).collect()
                        }
                        Table::Matched => {
                            summary.matched(path)?.iter().map(|matched| matched.content).collect()
                        }
                        Table::MatchedIdentities => {
                            summary.matched(path)?.iter().map(|matched| matched.identity).collect()
                        }
                    })
                })?;
                hashes.retain(|hash| *hash != 0);
                hashes.sort_unstable();
                hashes.shrink_to_fit();
                let sorted = Sorted::new(hashes);
                self.sorted.lock().put(key, Arc::clone(&sorted), sorted.len() * 16 + 64);
                sorted
            }
        };
        let from = sorted.partition_point(|have| *have < hash);
        Ok(sorted[from..].iter().take_while(|have| **have == hash).count() as u32)
    }

    /// Number of copies of `hash` in the segment being written.
    pub(super) fn active(&self, index: &Index, table: Table, hash: u128) -> u32 {
        let mut active = self.active.lock();
        let segment = index.summary.first;
        active.retain(|counted| counted.segment == segment);
        let at = active.iter().position(|counted| counted.table == table).unwrap_or_else(|| {
            active.push(Counted { table, segment, seen: 0, copies: HashMap::new() });
            active.len() - 1
        });
        let counted = &mut active[at];
        let seen = counted.seen;
        match table {
            Table::Identities => counted.add(index.identities.iter().skip(seen)),
            Table::Contents => counted.add(index.contents.iter().skip(seen)),
            Table::Loose => {
                let contents = index.contents.iter().skip(seen);
                counted.add(loose(index.identities.iter().skip(seen), contents));
            }
            Table::Matched => {
                counted.add(index.matched.iter().skip(seen).map(|matched| matched.content));
            }
            Table::MatchedIdentities => {
                counted.add(index.matched.iter().skip(seen).map(|matched| matched.identity));
            }
        }
        counted.copies.get(&hash).copied().unwrap_or(0)
    }

    pub(super) fn forget(&self) {
        self.sorted.lock().clear();
        self.active.lock().clear();
    }
}

impl Counted {
    fn add(&mut self, hashes: impl Iterator<Item = u128>) {
        for hash in hashes {
            self.seen += 1;
            if hash != 0 {
                *self.copies.entry(hash).or_default() += 1;
            }
        }
    }
}

/// Contents of records without identity; 0 for the others.
fn loose(
    identities: impl Iterator<Item = u128>,
    contents: impl Iterator<Item = u128>,
) -> impl Iterator<Item = u128> {
    identities.zip(contents).map(|(identity, content)| if identity == 0 { content } else { 0 })
}

/// Whether a segment's event times touch the span.
pub(super) fn touches(min_us: i64, max_us: i64, span_us: &RangeInclusive<i64>) -> bool {
    min_us <= *span_us.end() && max_us >= *span_us.start()
}
