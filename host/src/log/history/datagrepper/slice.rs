//! All rows of a slice of time, though the pages they come on cannot be trusted.
//!
//! A message that is stored late shifts those behind it from page to page: some are then seen twice, and
//! others never. Rows of equal time may stand on either side of a page's end. So a slice is read as often as
//! it takes until what came is what the server counts, before and after; or, where its counts lie, until two
//! readings agree.

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use serde_json::value::RawValue;

use super::ask::{Answer, Question, Trouble};
use crate::log::identity::identity_hash;
use crate::project::{Limits, Mapping, envelope};

/// Readings of one slice before it is called unreadable for now.
const READINGS: usize = 12;
/// The most rows of a page that a server gives.
const LARGEST_PAGE: usize = 100;

/// Seconds of event time, the end not included, and how much of them is read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) from_s: i64,
    pub(super) to_s: i64,
    /// Rows of a page.
    pub(super) rows: usize,
    pub(super) max_rows: usize,
    pub(super) max_bytes: usize,
}

/// A row, and what it is known by.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) text: Box<RawValue>,
    /// Its identity and time: archives may keep one identity with several times. 0 = it has none.
    key: (u128, i64),
}

impl Row {
    pub(super) fn has_identity(&self) -> bool {
        self.key.0 != 0
    }

    /// Its time as the mapping finds it, µs since 1970; `None` if it is no message.
    pub(super) fn time_us(&self) -> Option<i64> {
        (self.key.1 != i64::MIN).then_some(self.key.1)
    }
}

/// What one reading brought.
struct Reading {
    rows: Vec<Row>,
    /// Pages that held rows.
    pages: usize,
    /// What the server counted when it began.
    total: u64,
    /// A row came twice.
    repeats: bool,
}

/// Reads all rows of a slice, and of a second before it; also the number of pages they came on.
///
/// # Errors
/// [`Trouble::TooMuch`] where a smaller slice should be read; [`Trouble::Failed`] also if the rows are
/// others at each reading.
pub(super) fn read(
    slice: &Slice,
    mapping: &Mapping,
    ask: impl Fn(&Question) -> Result<Answer, Trouble>,
) -> Result<(Vec<Row>, usize), Trouble> {
    let mut union: Option<HashMap<(u128, i64), Row>> = Some(HashMap::new());
    let mut previous: Option<Vec<(u128, i64)>> = None;
    let mut last = String::new();
    for attempt in 0..READINGS {
        // Pages end elsewhere at each reading: rows of equal time are not always cut apart.
        let is_large = attempt % 2 == 1 && slice.rows < LARGEST_PAGE - READINGS;
        let rows = if is_large { LARGEST_PAGE } else { slice.rows };
        let reading = match once(slice, rows.saturating_sub(attempt).max(1), mapping, &ask) {
            Err(Trouble::TooMuch(_)) if is_large => continue,
            reading => reading?,
        };
        let pages = reading.pages;
        let total = match pages {
            // One answer is of one moment.
            0 | 1 => reading.total,
            _ => ask(&question(slice, 1))?.total,
        };
        let is_steady = total == reading.total;
        last = format!(
            "it counts {} and then {total} rows, of which {} came{}",
            reading.total,
            reading.rows.len(),
            if reading.repeats { ", some twice" } else { "" }
        );
        if is_steady && !reading.repeats && reading.rows.len() as u64 == total {
            return Ok((reading.rows, pages));
        }
        let mut keys: Vec<_> = reading.rows.iter().map(|row| row.key).collect();
        keys.sort_unstable();
        // Too few are never taken for all.
        let is_enough = keys.len() as u64 >= total;
        if is_enough && !reading.repeats && previous.as_ref() == Some(&keys) {
            return Ok((reading.rows, pages));
        }
        previous = (!reading.repeats).then_some(keys);
        // Rows without identity cannot be told from their copies.
        union = union.filter(|_| reading.rows.iter().all(Row::has_identity));
        if let Some(rows) = &mut union {
            rows.extend(reading.rows.into_iter().map(|row| (row.key, row)));
            if rows.len() > slice.max_rows {
                return Err(Trouble::TooMuch("more rows at each reading".to_owned()));
            }
        }
        if let Some(rows) = union.take_if(|rows| is_steady && rows.len() as u64 == total) {
            return Ok((rows.into_values().collect(), pages));
        }
    }
    Err(Trouble::Failed(format!(
        "its rows from {} to {} are others at each of {READINGS} readings; at last {last}",
        slice.from_s, slice.to_s
    )))
}

/// Bounds are inclusive; the second before is what rounding may have put there.
fn question(slice: &Slice, rows: usize) -> Question {
    Question { from_s: slice.from_s - 1, to_s: slice.to_s, page: 1, rows }
}

fn once(
    slice: &Slice,
    rows: usize,
    mapping: &Mapping,
    ask: &impl Fn(&Question) -> Result<Answer, Trouble>,
) -> Result<Reading, Trouble> {
    let mut reading = Reading { rows: Vec::new(), pages: 0, total: 0, repeats: false };
    let mut seen: HashMap<(u128, i64), ()> = HashMap::new();
    let mut bytes = 0;
    for page in 1.. {
        let answer = ask(&Question { page, ..question(slice, rows) })?;
        if page == 1 {
            reading.total = answer.total;
            if answer.total > slice.max_rows as u64 {
                return Err(Trouble::TooMuch(format!("there are {} rows", answer.total)));
            }
        }
        let (came, had) = (answer.rows.len(), reading.rows.len());
        if came == 0 {
            break;
        }
        reading.pages += 1;
        for text in answer.rows {
            let key = key(&text, mapping);
            let is_known = key.0 != 0
                && match seen.entry(key) {
                    Entry::Occupied(_) => true,
                    Entry::Vacant(free) => {
                        free.insert(());
                        false
                    }
                };
            if is_known {
                reading.repeats = true;
                continue;
            }
            bytes += text.get().len();
            reading.rows.push(Row { text, key });
        }
        if bytes > slice.max_bytes || reading.rows.len() > slice.max_rows {
            return Err(Trouble::TooMuch(format!("there are more than {bytes} bytes")));
        }
        // Its newest word on how many pages there are ends the reading only where the page agrees.
        if (came < rows && page >= answer.pages) || reading.rows.len() == had {
            break;
        }
    }
    Ok(reading)
}

fn key(text: &RawValue, mapping: &Mapping) -> (u128, i64) {
    // How deep and how long it may be is judged when it is written.
    let limits = Limits { max_message: usize::MAX >> 1, ..Limits::default() };
    match envelope(text.get().as_bytes(), mapping, &limits) {
        Ok(message) => (identity_hash(&message), message.time_us.unwrap_or(i64::MIN)),
        Err(_) => (0, i64::MIN),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::cell::RefCell;

    use super::*;

    const SLICE: Slice =
        Slice { from_s: 100, to_s: 200, rows: 3, max_rows: 1000, max_bytes: 1 << 20 };

    fn row(id: u32) -> String {
        format!(r#"{{"msg_id":"m{id}","topic":"t","timestamp":{}}}"#, 100 + id / 4)
    }

    fn answer(rows: &[String], question: &Question, total: u64) -> Answer {
        let from = (question.page as usize - 1) * question.rows;
        let page = rows.iter().skip(from).take(question.rows);
        Answer {
            rows: page.map(|row| RawValue::from_string(row.clone()).unwrap()).collect(),
            total,
            pages: total.div_ceil(question.rows as u64),
        }
    }

    fn texts(rows: &[Row]) -> Vec<&str> {
        let mut texts: Vec<_> = rows.iter().map(|row| row.text.get()).collect();
        texts.sort_unstable();
        texts
    }

    #[test]
    fn a_message_stored_while_pages_are_read_loses_and_doubles_none() {
        for late_at in 1..9 {
            let rows: RefCell<Vec<String>> = RefCell::new((1..=10).map(row).collect());
            let asked = RefCell::new(0);
            let (read, _) = read(&SLICE, &Mapping::auto(), |question| {
                *asked.borrow_mut() += 1;
                if *asked.borrow() == late_at {
                    rows.borrow_mut().insert(0, row(0));
                }
                let rows = rows.borrow();
                Ok(answer(&rows, question, rows.len() as u64))
            })
            .unwrap();
            let expected: Vec<_> = match read.len() {
                // Stored after the count: it is late, and what settle time is for.
                10 => (1..=10).map(row).collect(),
                _ => (0..=10).map(row).collect(),
            };
            let mut expected: Vec<_> = expected.iter().map(String::as_str).collect();
            expected.sort_unstable();
            assert_eq!(texts(&read), expected, "stored before question {late_at}");
        }
    }

    #[test]
    fn rows_of_equal_time_that_change_places_between_pages_are_all_read() {
        // Each page is cut out of another order, as a database without a tie-break may do.
        let (read, _) = read(&SLICE, &Mapping::auto(), |question| {
            let mut rows: Vec<_> = (0..7).map(row).collect();
            rows.rotate_left(question.page as usize % 7);
            Ok(answer(&rows, question, 7))
        })
        .unwrap();
        assert_eq!(texts(&read).len(), 7);
    }

    #[test]
    fn rows_of_one_time_are_all_read_though_each_page_has_another_order() {
        // As a database sorts that keeps no more rows than it gives: ties fall as the count asked for wants.
        let (read, _) = read(&SLICE, &Mapping::auto(), |question| {
            let mut rows: Vec<_> = (0..250).map(row).collect();
            let kept = question.page as usize * question.rows;
            rows.rotate_left(kept * 31 % 250);
            rows[..kept.min(250)].reverse();
            Ok(answer(&rows, question, 250))
        })
        .unwrap();
        assert_eq!(read.len(), 250);
    }

    #[test]
    fn counts_that_lie_are_not_believed() {
        let rows: Vec<_> = (0..8).map(row).collect();
        for total in [0, 1, 4] {
            let ask = |question: &Question| Ok(answer(&rows, question, total));
            let (read, _) = read(&SLICE, &Mapping::auto(), ask).unwrap();
            assert_eq!(read.len(), 8, "{total} said, 8 there");
        }
        // It says that there are more than it gives: perhaps there are.
        let read = read(&SLICE, &Mapping::auto(), |question| Ok(answer(&rows, question, 900)));
        assert!(matches!(read, Err(Trouble::Failed(_))));
    }

    #[test]
    fn a_server_that_repeats_one_page_for_ever_is_not_believed() {
        let rows: Vec<_> = (0..3).map(row).collect();
        let read = read(&SLICE, &Mapping::auto(), |question| {
            Ok(answer(&rows, &Question { page: 1, ..*question }, 8))
        });
        assert!(matches!(read, Err(Trouble::Failed(_))));
    }

    #[test]
    fn rows_without_identity_are_counted_as_often_as_they_are_there() {
        let same = r#"{"topic":"t","timestamp":150}"#.to_owned();
        let rows = vec![same; 7];
        let ask = |question: &Question| Ok(answer(&rows, question, 7));
        assert_eq!(read(&SLICE, &Mapping::auto(), ask).unwrap().0.len(), 7);
    }

    #[test]
    fn more_than_is_read_at_once_is_not_read() {
        let rows: Vec<_> = (0..50).map(row).collect();
        for (total, slice) in
            [(50, Slice { max_rows: 20, ..SLICE }), (1, Slice { max_bytes: 99, ..SLICE })]
        {
            let ask = |question: &Question| Ok(answer(&rows, question, total));
            let read = read(&slice, &Mapping::auto(), ask);
            assert!(matches!(read, Err(Trouble::TooMuch(_))));
        }
    }
}
