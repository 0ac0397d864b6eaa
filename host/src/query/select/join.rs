//! Rows of longer windows, made of stored ones: keys get the longer window, values are merged by
//! their aggregators. What comes out is what a model of that window would have stored.
//!
//! Stored rows ascend by window, so that one joined window is in memory at a time.

use std::collections::BTreeMap;

use statmill_plugin_api::aggregate;
use statmill_plugin_api::encoding::{self, Value};
use statmill_plugin_api::manifest::{Measure, ModelManifest, Stamp};

use super::{Row, refused};
use crate::query::agg::Reduction;
use crate::query::params::Query;
use crate::query::run::{Clock, QueryError};
use crate::query::shape::{KeyTime, ModelShape};
use crate::store::{KeyBounds, Rows, Snapshot};

/// Most bytes that the rows of one joined window take.
const MAX_BYTES: usize = 64 << 20;

/// How stored windows become longer ones.
pub(super) struct Join<'a> {
    stored: ModelShape<'a>,
    measures: Vec<Measure>,
    step_us: i64,
    /// Joined windows that begin below it have lost rows, and are not there.
    floor_us: Option<i64>,
    /// Windows at the bounds of time hold what lies within.
    clip: bool,
    /// Of stored windows, which of them make up joined ones: from the first begin, up to before the last.
    within: (i64, i64),
    reduction: Option<Reduction>,
}

impl<'a> Join<'a> {
    /// Joins the windows of the stored table `model` to such of `step_s` seconds. Also returns the model
    /// that the joined rows are of.
    pub(super) fn new(
        snapshot: &'a Snapshot,
        model: usize,
        step_s: u64,
        query: &Query,
    ) -> Result<(Self, ModelManifest), QueryError> {
        let stored = &snapshot.models()[model].model;
        let reduction = match query.agg {
            None => None,
            Some(agg) => Some(Reduction::new(stored, agg).ok_or_else(|| {
                let reason = "the model has no column that it is defined for".to_owned();
                refused("agg", reason, &["merge"])
            })?),
        };
        let measures = reduction.as_ref().map_or(&stored.measures[..], Reduction::measures);
        let mut joined = ModelManifest { measures: measures.to_vec(), ..stored.clone() };
        if joined.window_s.is_some() {
            joined.window_s = Some(step_s);
        }
        let step_us = i64::try_from(step_s).ok().and_then(|step_s| step_s.checked_mul(1_000_000));
        let join = Self {
            stored: ModelShape::new(stored),
            measures: joined.measures.clone(),
            step_us: step_us.ok_or_else(|| {
                refused("step", format!("{step_s} s is too long"), &["less than all of time"])
            })?,
            floor_us: snapshot.floor_us(model),
            clip: query.clip,
            within: (i64::MIN, i64::MAX),
            reduction,
        };
        Ok((join, joined))
    }

    /// When the joined window begins in which `time` lies.
    fn window(&self, time: KeyTime) -> KeyTime {
        time.map(|time_us| encoding::window_start(time_us, self.step_us))
    }

    /// The first joined window that begins at `time_us` or later.
    fn at_or_after(&self, time_us: i64) -> i64 {
        let before = encoding::window_start(time_us, self.step_us);
        if before == time_us { time_us } else { before.saturating_add(self.step_us) }
    }

    /// The stored rows of the joined windows that show a time between two, both inclusive; none if there
    /// can be none.
    pub(super) fn bounds(&mut self, start: Option<i64>, stop: Option<i64>) -> Option<KeyBounds> {
        if self.clip {
            return self.clipped(start, stop);
        }
        let shift = match self.stored.window_stamp() {
            Some(Stamp::End) => self.step_us,
            _ => 0,
        };
        let least = start.map(|start| self.at_or_after(start.saturating_sub(shift)));
        let least = least.max(self.floor_us.map(|floor_us| self.at_or_after(floor_us)));
        if least.is_none() && stop.is_none() {
            return Some(KeyBounds::default());
        }
        let stop =
            stop.map(|stop| encoding::window_start(stop.saturating_sub(shift), self.step_us));
        let (least, end) = (
            least.unwrap_or(i64::MIN),
            stop.map_or(i64::MAX, |stop| stop.saturating_add(self.step_us)),
        );
        (least < end).then(|| self.stored.range(least, end))
    }

    /// The stored rows that show a time between two, and from now on no others.
    fn clipped(&mut self, start: Option<i64>, stop: Option<i64>) -> Option<KeyBounds> {
        if start.is_none() && stop.is_none() {
            return Some(KeyBounds::default());
        }
        let shift = self.stored.shown_after_us();
        let from = start.map_or(i64::MIN, |start| start.saturating_sub(shift));
        let end = stop.map_or(i64::MAX, |stop| stop.saturating_sub(shift).saturating_add(1));
        self.within = (from, end);
        (from < end).then(|| self.stored.range(from, end))
    }

    /// The stored rows of one joined window.
    pub(super) fn of(&self, window: KeyTime) -> KeyBounds {
        match window {
            Some(start) => self.stored.range(
                start.max(self.within.0),
                start.saturating_add(self.step_us).min(self.within.1),
            ),
            None => self.stored.at(None),
        }
    }

    /// Reads joined rows. `rows` are the stored ones of whole joined windows, of which `admits` leaves
    /// out those that no joined row needs.
    pub(super) fn rows<'r>(
        &'r self,
        rows: Rows,
        clock: &'r Clock,
        admits: impl Fn(&Row) -> Result<bool, QueryError> + 'r,
    ) -> impl Iterator<Item = Result<Row, QueryError>> + 'r {
        let mut reading = Reading { rows, read: 0, first: None };
        let mut ready = BTreeMap::new().into_iter();
        std::iter::from_fn(move || {
            if let Some(row) = ready.next() {
                return Some(Ok(row));
            }
            match reading.window(self, clock, &admits) {
                Ok(joined) => {
                    ready = joined.into_iter();
                    ready.next().map(Ok)
                }
                Err(error) => Some(Err(error)),
            }
        })
    }

    /// A stored row as a joined row of its own.
    fn alone(&self, (key, value): Row) -> Result<Row, QueryError> {
        let time = self.stored.key_time(&key)?;
        let mut joined = Vec::with_capacity(key.len());
        match (time, self.window(time)) {
            (Some(_), Some(start)) if self.stored.window_stamp().is_some() => {
                encoding::rekey(&key, start, &mut joined);
            }
            (Some(time_us), Some(start)) => {
                let mut head = Vec::new();
                encoding::push_time(time_us, &mut head);
                encoding::push_time(start, &mut joined);
                joined.extend_from_slice(key.get(head.len()..).unwrap_or_default());
            }
            // Rows without a time stay as they are.
            _ => joined = key,
        }
        let Some(reduction) = &self.reduction else { return Ok((joined, value)) };
        let (mut cells, mut made): (Vec<Value>, _) = (Vec::new(), Vec::new());
        self.stored.value_cells(&value, &mut cells)?;
        reduction.push(&cells, time.unwrap_or_default(), &mut made).map_err(|column| {
            let reason = format!("a value of {column:?} has more than 64 bits");
            refused("agg", reason, &["merge"])
        })?;
        Ok((joined, made))
    }
}

/// Stored rows, window after window.
struct Reading {
    rows: Rows,
    read: usize,
    /// The first row of the next window.
    first: Option<Row>,
}

impl Reading {
    /// The rows of the next joined window; none of them when there is no more.
    fn window(
        &mut self,
        join: &Join<'_>,
        clock: &Clock,
        admits: &impl Fn(&Row) -> Result<bool, QueryError>,
    ) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, QueryError> {
        let mut joined: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let (mut window, mut bytes, mut merged) = (None, 0, Vec::new());
        while let Some(row) = self.next(clock, admits)? {
            let here = join.window(join.stored.key_time(&row.0)?);
            if *window.get_or_insert(here) != here {
                self.first = Some(row);
                break;
            }
            let (key, value) = join.alone(row)?;
            match joined.get_mut(&key) {
                None => {
                    bytes += key.len() + value.len();
                    joined.insert(key, value);
                }
                Some(known) => {
                    merged.clear();
                    aggregate::merge(&join.measures, known, &value, &mut merged)?;
                    bytes = (bytes + merged.len()).saturating_sub(known.len());
                    known.clone_from(&merged);
                }
            }
            if bytes > MAX_BYTES {
                return Err(QueryError::TooLarge { max_bytes: MAX_BYTES });
            }
        }
        Ok(joined)
    }

    fn next(
        &mut self,
        clock: &Clock,
        admits: &impl Fn(&Row) -> Result<bool, QueryError>,
    ) -> Result<Option<Row>, QueryError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        for row in self.rows.by_ref() {
            clock.check(self.read)?;
            self.read += 1;
            let row = row?;
            if admits(&row)? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}
