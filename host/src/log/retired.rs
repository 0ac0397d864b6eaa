//! What remains of fills that all their readers have folded: their spans, and for a while their identities.
//!
//! A fill that nobody needs would cost a lane, a position in every stat and a folder for ever, and each
//! start after a gap makes one. So it is retired: its span is noted, lest it be asked for again; its
//! identities, which a late live message is checked against, join those of others in one log; its folder
//! goes. [`Retired::begin`] is the step that counts: what follows it is finished at the next start if need be.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::fill::Fill;
use super::identity::{content_hash, identity_hash};
use super::segment::{
    Entries, Extras, KeyEntry, Retention, SegmentLog, SegmentOptions, read_json, write_json,
};
use super::{Log, LogError, LogId, Offset, Records};
use crate::project::{Limits, envelope};

const FILE: &str = "retired.json";
const FORMAT: u32 = 1;
/// Spans kept for one set of rows; beyond, the two oldest are joined: what lies between them is not asked
/// for either.
const SPANS: usize = 4096;
/// Small segments, so that old identities can go.
const ROLL_BYTES: u64 = 1 << 20;
const READ_BYTES: usize = 1 << 20;
const READ_RECORDS: usize = 4096;

/// Fills that are gone.
#[derive(Debug)]
pub struct Retired {
    dir: PathBuf,
    noted: Noted,
    /// Names of the rows that the stats write now, by ident.
    rows: BTreeMap<String, String>,
    known: SegmentLog,
}

/// The contents of `retired.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Noted {
    format: u32,
    /// Spans of event time that the same stats have folded.
    folded: Vec<Folded>,
    /// Fills that are being retired.
    leaving: BTreeSet<LogId>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Folded {
    /// Names of rows: another version of a stat has not folded them.
    rows: BTreeSet<String>,
    /// Starts and ends (not in them), µs since 1970, ascending and apart from each other.
    spans: Vec<(i64, i64)>,
}

impl Retired {
    /// Opens what is kept in `dir`; `rows` are the names of the rows that the stats write now, by ident.
    ///
    /// # Errors
    /// [`LogError::Io`], [`LogError::Damaged`].
    pub fn open(dir: &Path, rows: BTreeMap<String, String>) -> Result<Self, LogError> {
        let known = SegmentLog::open(
            &dir.join("known"),
            "retired fills",
            SegmentOptions { roll_bytes: ROLL_BYTES },
            "fill_retire",
        )?;
        let noted: Option<Noted> =
            read_json(&dir.join(FILE)).map_err(|source| known.io("read retired.json", source))?;
        let noted =
            noted.unwrap_or(Noted { format: FORMAT, folded: Vec::new(), leaving: BTreeSet::new() });
        if noted.format != FORMAT {
            return Err(LogError::Damaged {
                log: dir.display().to_string(),
                at: Offset(0),
                reason: format!("{FILE} has format {}, this program knows {FORMAT}", noted.format),
            });
        }
        Ok(Self { dir: dir.to_owned(), noted, rows, known })
    }

    /// The stats write other rows from now on: `rows` are their names, by ident.
    pub fn set_rows(&mut self, rows: BTreeMap<String, String>) {
        self.rows = rows;
    }

    /// Spans of event time, µs since 1970, that the stat `reader` has folded from fills that are gone.
    pub fn folded_by(&self, reader: &str) -> impl Iterator<Item = Range<i64>> {
        let rows = self.rows.get(reader);
        let folded = self.noted.folded.iter();
        let of_reader = folded.filter(move |it| rows.is_some_and(|rows| it.rows.contains(rows)));
        of_reader.flat_map(|it| it.spans.iter().map(|&(from_us, to_us)| from_us..to_us))
    }

    /// Whether a fill is on its way out: it is not to be read any more.
    #[must_use]
    pub fn is_leaving(&self, fill: LogId) -> bool {
        self.noted.leaving.contains(&fill)
    }

    /// Whether all of these stats have folded all that is known here: then its identities are in their rows.
    pub(super) fn is_folded_by_all(&self, readers: &BTreeSet<String>) -> bool {
        let folded = |it: &Folded| {
            let rows = readers.iter().map(|reader| self.rows.get(reader));
            rows.into_iter().all(|rows| rows.is_some_and(|rows| it.rows.contains(rows)))
        };
        self.noted.folded.iter().all(folded)
    }

    /// Notes, durably, that the rows of these stats begin anew: they have folded nothing.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn begin_anew<'a>(
        &mut self,
        readers: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), LogError> {
        let mut next = self.noted.clone();
        let mut changed = false;
        for rows in readers.into_iter().filter_map(|reader| self.rows.get(reader)) {
            next.folded.iter_mut().for_each(|it| changed |= it.rows.remove(rows));
        }
        if changed { self.note(next) } else { Ok(()) }
    }

    /// Whether a retirement was begun and not finished.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        !self.noted.leaving.is_empty()
    }

    /// Notes, durably, that these fills are folded by all their readers: from now on nobody reads them, and
    /// their spans are not asked for again.
    ///
    /// # Errors
    /// [`LogError::Io`]; nothing has changed then.
    pub fn begin<'a>(&mut self, fills: impl IntoIterator<Item = &'a Fill>) -> Result<(), LogError> {
        let mut next = self.noted.clone();
        for fill in fills {
            let header = fill.header();
            next.leaving.insert(fill.id());
            let rows = header.readers.iter().filter_map(|reader| self.rows.get(reader).cloned());
            let rows: BTreeSet<String> = rows.collect();
            let at = next.folded.iter().position(|it| it.rows == rows);
            let at = at.unwrap_or_else(|| {
                next.folded.push(Folded { rows, spans: Vec::new() });
                next.folded.len() - 1
            });
            add(&mut next.folded[at].spans, (header.from_us, header.to_us));
        }
        self.note(next)
    }

    /// The fills whose identities were taken over lately.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn taken_over(&self) -> Result<HashSet<u128>, LogError> {
        let marks = self.known.visit_identities(0, |_, _, _| ())?;
        Ok(marks.into_iter().map(|entry| entry.key).collect())
    }

    /// Takes over the identities and contents of a fill that is leaving, unless `taken` has it.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn take_over(
        &self,
        fill: &Fill,
        taken: &HashSet<u128>,
        limits: &Limits,
    ) -> Result<(), LogError> {
        let mark = u128::from(fill.id().0).max(1);
        if taken.contains(&mark) || fill.segments().end_offset().0 == 0 {
            return Ok(());
        }
        let (mut entries, mut records) = (Entries::default(), Records::default());
        let mut at = fill.start();
        while at < fill.segments().end_offset() {
            match fill.read(at, READ_BYTES, READ_RECORDS, &mut records) {
                Ok(()) => {}
                // A recorded loss: what it was nobody knows.
                Err(LogError::Damaged { at: damaged, .. })
                    if fill.after_damage(damaged) > Some(at) =>
                {
                    at = fill.after_damage(damaged).unwrap_or(at);
                    continue;
                }
                Err(error) => return Err(error),
            }
            for (&(start, len), &arrival_us) in records.spans.iter().zip(&records.arrivals) {
                let text = &records.text[start as usize..(start + len) as usize];
                let Ok(message) = envelope(text, fill.mapping(), limits) else { continue };
                let Some(time_us) = message.time_us else { continue };
                let content = content_hash(text, fill.mapping(), &message.topic, time_us);
                // Only what it is known by: the text was folded.
                entries.push(b"", time_us, arrival_us, identity_hash(&message), content);
            }
            at = records.range.end;
        }
        let key = KeyEntry {
            key: mark,
            body: 0,
            accepted: entries.len() as u32,
            duplicates: 0,
            rejected: 0,
            arrival_us: crate::clock::now_us(),
        };
        self.known.commit(&entries, &Extras { keys: vec![key], ..Extras::default() }).map(drop)
    }

    /// Notes, durably, that the folders of all leaving fills are gone.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn finish(&mut self) -> Result<(), LogError> {
        self.note(Noted { leaving: BTreeSet::new(), ..self.noted.clone() })
    }

    /// Forgets identities that were fetched before `fetched_us`, and spans that end before `before_us`: no
    /// question reaches back so far.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn forget(&mut self, fetched_us: i64, before_us: i64) -> Result<(), LogError> {
        let retention = Retention { age_us: Some(0), max_bytes: None, disk_limit: None };
        self.known.release(self.known.end_offset(), &retention, fetched_us)?;
        let mut next = self.noted.clone();
        next.folded.iter_mut().for_each(|it| it.spans.retain(|(_, to_us)| *to_us >= before_us));
        next.folded.retain(|it| !it.spans.is_empty());
        let count = |noted: &Noted| noted.folded.iter().map(|it| it.spans.len()).sum::<usize>();
        if count(&next) < count(&self.noted) { self.note(next) } else { Ok(()) }
    }

    /// The identities, for the seam.
    pub(super) fn segments(&self) -> &SegmentLog {
        &self.known
    }

    fn note(&mut self, next: Noted) -> Result<(), LogError> {
        write_json(&self.dir.join(FILE), &next)
            .map_err(|source| self.known.io("write retired.json", source))?;
        self.noted = next;
        Ok(())
    }
}

/// Adds a span, joined with those it touches.
fn add(spans: &mut Vec<(i64, i64)>, (mut from_us, mut to_us): (i64, i64)) {
    spans.retain(|&(from, to)| {
        let apart = to < from_us || to_us < from;
        if !apart {
            (from_us, to_us) = (from_us.min(from), to_us.max(to));
        }
        apart
    });
    let at = spans.partition_point(|&(from, _)| from < from_us);
    spans.insert(at, (from_us, to_us));
    if spans.len() > SPANS {
        let (from_us, _) = spans.remove(0);
        spans[0].0 = from_us;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_that_touch_are_one_and_the_oldest_are_joined_when_there_are_too_many() {
        let mut spans = vec![(0, 10), (20, 30), (40, 50)];
        add(&mut spans, (30, 40));
        assert_eq!(spans, [(0, 10), (20, 50)]);
        add(&mut spans, (12, 15));
        assert_eq!(spans, [(0, 10), (12, 15), (20, 50)]);
        for start in 100..100 + SPANS as i64 {
            add(&mut spans, (start * 10, start * 10 + 1));
        }
        assert_eq!(spans.len(), SPANS);
        assert_eq!(spans[0].0, 0);
        assert!(spans.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }
}
