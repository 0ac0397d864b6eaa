//! Counts what documents turned out to be, so that nobody takes silence for a test.

use std::collections::BTreeMap;

use super::oracle::Outcome;
use crate::project::tests::Cell;

#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) documents: u64,
    pub(super) bytes: u64,
    /// Those that serde_json accepts.
    pub(super) well_formed: u64,
    /// Outcomes and states of cells by name.
    pub(super) seen: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(super) fn add(&mut self, text: &[u8], is_well_formed: bool, outcome: &Outcome) {
        self.documents += 1;
        self.bytes += text.len() as u64;
        self.well_formed += u64::from(is_well_formed);
        match outcome {
            Ok(row) => {
                self.count("accepted");
                row.cells.iter().for_each(|cell| self.count(state(cell)));
            }
            Err(reject) => self.count(reason(*reject)),
        }
    }

    pub(super) fn join(&mut self, other: &Self) {
        self.documents += other.documents;
        self.bytes += other.bytes;
        self.well_formed += other.well_formed;
        for (name, count) in &other.seen {
            *self.seen.entry(*name).or_default() += count;
        }
    }

    fn count(&mut self, name: &'static str) {
        *self.seen.entry(name).or_default() += 1;
    }
}

fn reason(reject: crate::project::Reject) -> &'static str {
    use crate::project::Reject;
    match reject {
        Reject::Malformed => "malformed",
        Reject::TooDeep => "too deep",
        Reject::TooLarge => "too large",
        Reject::NoTopic => "no topic",
        Reject::NoTime => "no time",
        Reject::Future => "future",
    }
}

fn state(cell: &Cell) -> &'static str {
    match cell {
        Cell::Missing => "missing",
        Cell::Null => "null",
        Cell::WrongType => "wrong type",
        Cell::Invalid => "invalid",
        Cell::Text(_) => "text",
        Cell::Int(_) => "int",
        Cell::Num(_) => "num",
        Cell::Bool(_) => "bool",
        Cell::Raw(_) => "raw",
    }
}
