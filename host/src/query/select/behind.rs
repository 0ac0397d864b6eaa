//! Where an answer goes on behind a row: from a key to the number of rows before it.

use std::ops::Bound;

use statmill_plugin_api::encoding::Value;

use super::scan::Scan;
use super::{Row, refused};
use crate::query::cursor::Cursor;
use crate::query::run::QueryError;
use crate::query::shape::KeyTime;
use crate::store::{KeyBounds, Order, Ranked};

impl Scan<'_> {
    /// Begins behind the row of a cursor, and tells how many rows lie before that place; 0 where the
    /// order of a column begins there by itself.
    pub(super) fn begin_behind(&mut self, cursor: &Cursor) -> Result<u64, QueryError> {
        if self.shape.key_cells(&cursor.key, &mut Vec::new()).is_err() {
            return Err(refused("cursor", "it names no row".to_owned(), &["what an answer named"]));
        }
        if let Some(sorting) = &mut self.sorting {
            sorting.begin_behind(Ranked { cell: cursor.cell.clone(), key: cursor.key.clone() });
            return Ok(0);
        }
        let Some(bounds) = self.bounds.clone() else { return Ok(0) };
        let key = cursor.key.as_slice();
        let time = self.shape.key_time(key)?;
        let turned = self.order == Order::Desc && !self.shape.has_time();
        let passed =
            |row: &Row| if turned { row.0.as_slice() >= key } else { row.0.as_slice() <= key };
        if let Some(matches) = &self.matches {
            let is_before = |at: &KeyTime| match self.order {
                Order::Asc => *at < time,
                Order::Desc => *at > time,
            };
            let times = matches.iter().filter(|(at, _)| self.shape.has_time() && is_before(at));
            let mut before = times.map(|(_, count)| count).sum();
            // The time may lie outside of what is asked for now.
            if matches.iter().any(|(at, _)| *at == time) {
                for row in self.matching(&self.of_time(time, &bounds)) {
                    before += u64::from(passed(&row?));
                }
            }
            return Ok(before);
        }
        let up_to = |start: Bound<Vec<u8>>| KeyBounds { start, end: Bound::Included(key.to_vec()) };
        let from = |start: Bound<Vec<u8>>| KeyBounds { start, end: bounds.end.clone() };
        let count = |part: &KeyBounds| self.snapshot.count(self.model, &common(part, &bounds));
        Ok(match (self.order, self.shape.has_time()) {
            (Order::Asc, _) => count(&up_to(bounds.start.clone()))?,
            (Order::Desc, false) => count(&from(Bound::Included(key.to_vec())))?,
            (Order::Desc, true) => {
                let here = self.shape.at(time);
                let newer = match here.end {
                    Bound::Excluded(next) => count(&from(Bound::Included(next)))?,
                    _ => 0,
                };
                newer + count(&up_to(here.start))?
            }
        })
    }

    /// The value by which a row of these cells stands where it does; empty where its key tells.
    pub(super) fn sort_cell(&self, cells: &[Value]) -> Vec<u8> {
        self.sorting.as_ref().map(|sorting| sorting.cell(cells)).unwrap_or_default()
    }
}

/// The keys that lie within both.
fn common(a: &KeyBounds, b: &KeyBounds) -> KeyBounds {
    // Of one key, the bound that leaves it out is the narrower.
    let start = |bound: &Bound<Vec<u8>>| match bound {
        Bound::Unbounded => None,
        Bound::Included(key) => Some((key.clone(), false)),
        Bound::Excluded(key) => Some((key.clone(), true)),
    };
    let end = |bound: &Bound<Vec<u8>>| match bound {
        Bound::Unbounded => None,
        Bound::Excluded(key) => Some((key.clone(), false)),
        Bound::Included(key) => Some((key.clone(), true)),
    };
    let first = start(&a.start).max(start(&b.start));
    let last = match (end(&a.end), end(&b.end)) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    KeyBounds {
        start: first.map_or(Bound::Unbounded, |(key, is_out)| match is_out {
            true => Bound::Excluded(key),
            false => Bound::Included(key),
        }),
        end: last.map_or(Bound::Unbounded, |(key, is_in)| match is_in {
            true => Bound::Included(key),
            false => Bound::Excluded(key),
        }),
    }
}
