//! A datagrepper as a history: legacy rows of `/raw` or modern ones of `/v2/search`.
//!
//! A pass goes through its span in slices of whole seconds, each read as a whole (`slice`) before anything
//! of it is given away. Slices grow where there is little and are halved where there is much. A slice that
//! fails is asked for again and again, smaller each time; one second that fails while others are answered is a
//! hole, which can be asked for by itself later.

mod ask;
mod slice;
#[cfg(test)]
mod tests;

use std::ops::Range;

use parking_lot::Mutex;

use self::ask::{Asker, Question, Trouble};
use self::slice::{Row, Slice};
use super::{Cursor, History, HistoryError, Page};
use crate::clock::now_us;
use crate::log::fill::Hole;
use crate::log::source::DatagrepperOptions;
use crate::project::Mapping;

const SECOND_US: i64 = 1_000_000;
/// Pages of a slice above which it is halved: deep pages cost the server more than first ones.
const SLICE_PAGES: usize = 5;
const SLICE_BYTES: usize = 8 << 20;
/// A second cannot be halved.
const SECOND_ROWS: usize = 1 << 20;
const SECOND_BYTES: usize = 64 << 20;
/// Questions for one second that must have failed before it is a hole.
const HOLE_AFTER: u32 = 4;

/// A datagrepper.
pub struct DatagrepperHistory {
    url: String,
    mapping: Mapping,
    asker: Asker,
    /// The place that fails now, and how often it did.
    failing: Mutex<(Cursor, u32)>,
}

/// Where a pass goes on, and how much is asked for there, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    from_s: i64,
    width_s: i64,
}

impl Place {
    fn cursor(self) -> Cursor {
        Cursor(format!("{}+{}", self.from_s, self.width_s))
    }

    fn read(cursor: &Cursor) -> Option<Self> {
        let (from, width) = cursor.0.split_once('+')?;
        let place = Self { from_s: from.parse().ok()?, width_s: width.parse().ok()? };
        (place.width_s > 0).then_some(place)
    }
}

impl std::fmt::Debug for DatagrepperHistory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatagrepperHistory").field("url", &self.url).finish_non_exhaustive()
    }
}

impl DatagrepperHistory {
    /// The datagrepper that `options` name, shown to people as `url`. It is not asked yet.
    #[must_use]
    pub fn new(url: &str, options: DatagrepperOptions, mapping: Mapping) -> Self {
        Self { url: url.to_owned(), mapping, asker: Asker::new(options), failing: Mutex::default() }
    }

    fn unavailable(&self, reason: String) -> HistoryError {
        HistoryError::Unavailable { url: self.url.clone(), reason }
    }

    fn settle(&self) -> i64 {
        i64::try_from(self.asker.options().settle.as_micros()).unwrap_or(i64::MAX)
    }

    fn slice(&self, from_s: i64, to_s: i64) -> Slice {
        let rows = self.asker.options().rows;
        let (max_rows, max_bytes) = match to_s - from_s {
            1 => (SECOND_ROWS, SECOND_BYTES),
            _ => (rows * SLICE_PAGES, SLICE_BYTES),
        };
        Slice { from_s, to_s, rows, max_rows, max_bytes }
    }

    /// Reads from `from_s` to `to_s`, or less if that is too much; also where what was read ends.
    fn read(&self, from_s: i64, mut to_s: i64) -> Result<(Vec<Row>, usize, i64), (Trouble, i64)> {
        let mut slice = self.slice(from_s, to_s);
        loop {
            match slice::read(&slice, &self.mapping, |question| self.asker.ask(question)) {
                Ok((rows, pages)) => return Ok((rows, pages, to_s)),
                Err(Trouble::TooMuch(_)) if to_s - from_s > 1 => {
                    to_s = from_s + (to_s - from_s) / 2;
                    slice = self.slice(from_s, to_s);
                }
                // One answer was too long: fewer rows make a shorter one.
                Err(Trouble::TooMuch(_)) if slice.rows > 1 => slice.rows /= 4,
                Err(trouble) => return Err((trouble, to_s)),
            }
        }
    }

    /// What a question that failed means: ask again, or give up this second for now.
    fn failed(
        &self,
        cursor: &Cursor,
        from_s: i64,
        to_s: i64,
        trouble: Trouble,
    ) -> Result<Page, HistoryError> {
        let reason = match trouble {
            Trouble::Refused(reason) => {
                return Err(HistoryError::Refused { url: self.url.clone(), reason });
            }
            Trouble::Failed(reason) | Trouble::TooMuch(reason) => reason,
        };
        let times = {
            let mut failing = self.failing.lock();
            match &mut *failing {
                (place, times) if place == cursor => *times += 1,
                other => *other = (cursor.clone(), 1),
            }
            failing.1
        };
        if to_s - from_s > 1 || times < HOLE_AFTER || !self.answers_beside(from_s) {
            return Err(self.unavailable(reason));
        }
        let again = Place { from_s, width_s: 1 };
        Ok(Page {
            next: Place { from_s: to_s, width_s: 1 }.cursor(),
            holes: vec![Hole {
                from_us: from_s.saturating_mul(SECOND_US),
                to_us: to_s.saturating_mul(SECOND_US),
                reason: format!("{} does not give it: {reason}", self.url),
                again: Some(again.cursor()),
            }],
            ..Page::default()
        })
    }

    /// Whether seconds near by are answered: then it is not the server that is ill.
    fn answers_beside(&self, from_s: i64) -> bool {
        [from_s - 4, from_s + 4].into_iter().any(|from_s| {
            let question = Question { from_s, to_s: from_s + 1, page: 1, rows: 1 };
            self.asker.ask(&question).is_ok()
        })
    }
}

impl History for DatagrepperHistory {
    fn url(&self) -> &str {
        &self.url
    }

    fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    fn settle_us(&self) -> i64 {
        // Legacy rows have their times cut to whole seconds.
        self.settle().saturating_add(SECOND_US)
    }

    fn fetch(&self, span_us: Range<i64>, cursor: &Cursor) -> Result<Page, HistoryError> {
        let end_s = span_us.end.saturating_add(SECOND_US - 1).div_euclid(SECOND_US);
        let place = match cursor.0.is_empty() {
            true => Some(Place {
                // A start of 0 would mean "no start".
                from_s: span_us.start.div_euclid(SECOND_US).max(2),
                width_s: i64::try_from(self.asker.options().slice.as_secs()).unwrap_or(3600),
            }),
            false => Place::read(cursor),
        };
        let Some(Place { from_s, width_s }) = place else {
            let reason = format!("it did not write the cursor {:?}", cursor.0);
            return Err(HistoryError::Refused { url: self.url.clone(), reason });
        };
        if from_s >= end_s {
            return Ok(Page { next: cursor.clone(), done: true, ..Page::default() });
        }
        let settled_s = now_us().saturating_sub(self.settle()).div_euclid(SECOND_US);
        let wanted_s = from_s.saturating_add(width_s).min(end_s);
        if settled_s <= from_s {
            let until_us = wanted_s.saturating_mul(SECOND_US).saturating_add(self.settle());
            return Err(HistoryError::Early { url: self.url.clone(), until_us });
        }
        let times = Some(&*self.failing.lock()).filter(|it| it.0 == *cursor).map_or(0, |it| it.1);
        // The first failure may be anything; then it may be what is asked for.
        let narrowed = width_s >> (3 * times.saturating_sub(1)).min(62);
        let to_s = from_s.saturating_add(narrowed.max(1)).min(wanted_s).min(settled_s);
        let (rows, pages, to_s) = match self.read(from_s, to_s) {
            Ok(read) => read,
            Err((trouble, to_s)) => return self.failed(cursor, from_s, to_s, trouble),
        };
        if times > 0 {
            *self.failing.lock() = Default::default();
        }
        let read_s = to_s - from_s;
        let width_s = if pages <= 1 { read_s.saturating_mul(2) } else { read_s };
        let mut page = Page { next: Place { from_s: to_s, width_s }.cursor(), ..Page::default() };
        let slice_us = from_s.saturating_mul(SECOND_US)..to_s.saturating_mul(SECOND_US);
        for row in rows {
            // What has no identity must be in one slice alone: that of its time.
            match row.time_us() {
                Some(time_us) if row.has_identity() || slice_us.contains(&time_us) => {
                    page.push(row.text.get().as_bytes());
                }
                Some(time_us) if (from_s - 1..=to_s).contains(&time_us.div_euclid(SECOND_US)) => {}
                _ => page.rejected += 1,
            }
        }
        page.done = to_s >= end_s;
        Ok(page)
    }

    fn stop(&self) {
        self.asker.stop();
    }
}
