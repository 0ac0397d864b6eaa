//! How a model's rows read: its columns, which of them is the time, and the keys of a time.

use std::borrow::Cow;
use std::ops::Bound;

use statmill_plugin_api::aggregate;
use statmill_plugin_api::encoding::{self, DecodeError, Value};
use statmill_plugin_api::manifest::{Measure, ModelManifest, Stamp, ValueKind};

use super::filter::Filter;
use super::table::Column;
use crate::store::KeyBounds;

/// The columns of a model, and how keys and values become cells.
pub struct ModelShape<'a> {
    model: Cow<'a, ModelManifest>,
    time: Option<TimeColumn>,
    columns: Vec<Column>,
}

/// What orders a model's rows in time. It is always the first column and the head of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TimeColumn {
    /// The window; what is shown lies so many µs after its start.
    Window { shown_after_us: i64 },
    /// The first dimension, of a model without windows.
    Dimension,
}

/// A time in a key: a window's start, or the value of the first dimension, which may be null.
pub(super) type KeyTime = Option<i64>;

impl<'a> ModelShape<'a> {
    /// Reads the shape off a model's manifest.
    #[must_use]
    pub fn new(model: &'a ModelManifest) -> Self {
        Self::of(Cow::Borrowed(model))
    }

    /// Reads the shape off a manifest that is not stored.
    pub(super) fn owned(model: ModelManifest) -> Self {
        Self::of(Cow::Owned(model))
    }

    fn of(model: Cow<'a, ModelManifest>) -> Self {
        let column = |name: &str, kind, unit: &str| Column {
            name: name.to_owned(),
            kind,
            unit: unit.to_owned(),
        };
        let mut columns = Vec::new();
        let time = match model.window_s {
            Some(window_s) => {
                let (name, shown_after_us) = match model.stamp {
                    Stamp::Start => ("time", 0),
                    Stamp::End => ("timestamp", micros(window_s)),
                };
                columns.push(column(name, ValueKind::Time, ""));
                Some(TimeColumn::Window { shown_after_us })
            }
            None => {
                let first = model.dimensions.first();
                first.filter(|first| first.kind == ValueKind::Time).map(|_| TimeColumn::Dimension)
            }
        };
        columns.extend(model.dimensions.iter().map(|dim| column(&dim.name, dim.kind, "")));
        for measure in &model.measures {
            let read = aggregate::columns(measure);
            columns.extend(read.iter().map(|read| column(&read.name, read.kind, &read.unit)));
        }
        Self { model, time, columns }
    }

    /// The columns: time, dimensions, measures.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The measures whose states make up a row's value.
    pub(super) fn measures(&self) -> &[Measure] {
        &self.model.measures
    }

    /// How many of the columns, from the first, make up the key.
    #[must_use]
    pub fn key_columns(&self) -> usize {
        usize::from(self.model.window_s.is_some()) + self.model.dimensions.len()
    }

    /// Which edge of its window a row shows, where it has a window.
    pub(super) fn window_stamp(&self) -> Option<Stamp> {
        self.model.window_s.map(|_| self.model.stamp)
    }

    /// How long after its start a window shows itself, µs; 0 where rows have none.
    pub(super) fn shown_after_us(&self) -> i64 {
        match self.time {
            Some(TimeColumn::Window { shown_after_us }) => shown_after_us,
            _ => 0,
        }
    }

    /// Whether rows have a window.
    pub(super) fn is_windowed(&self) -> bool {
        self.model.window_s.is_some()
    }

    /// Whether rows have a time, which is then the first column.
    #[must_use]
    pub fn has_time(&self) -> bool {
        self.time.is_some()
    }

    /// Decodes a key and appends its cells.
    pub(crate) fn key_cells(&self, key: &[u8], cells: &mut Vec<Value>) -> Result<(), DecodeError> {
        let windowed = self.model.window_s.is_some();
        let (window, dims) = encoding::decode_key(windowed, &self.model.dimensions, key)?;
        if let (Some(start_us), Some(TimeColumn::Window { shown_after_us })) = (window, self.time) {
            cells.push(Value::Time(start_us.saturating_add(shown_after_us)));
        }
        cells.extend(dims);
        Ok(())
    }

    /// Decodes a row's value and appends its cells.
    pub(crate) fn value_cells(
        &self,
        value: &[u8],
        cells: &mut Vec<Value>,
    ) -> Result<(), DecodeError> {
        aggregate::row_values(&self.model.measures, value, cells)
    }

    /// The time at the head of a key.
    pub(super) fn key_time(&self, key: &[u8]) -> Result<KeyTime, DecodeError> {
        match self.time {
            Some(TimeColumn::Window { .. }) => Ok(Some(encoding::key_window(key))),
            Some(TimeColumn::Dimension) => {
                let (_, dims) = encoding::decode_key(false, &self.model.dimensions, key)?;
                Ok(match dims.first() {
                    Some(Value::Time(time_us)) => Some(*time_us),
                    _ => None,
                })
            }
            None => Ok(None),
        }
    }

    /// The time that the row of a key shows, µs.
    pub(crate) fn shown_time(&self, key: &[u8]) -> Result<KeyTime, DecodeError> {
        let shift = self.shown_after_us();
        Ok(self.key_time(key)?.map(|time_us| time_us.saturating_add(shift)))
    }

    /// Keys of the rows whose shown time lies between two times, both inclusive; `None` if there
    /// can be none.
    pub(super) fn between(&self, start: Option<i64>, stop: Option<i64>) -> Option<KeyBounds> {
        if self.time.is_none() || (start.is_none() && stop.is_none()) {
            return Some(KeyBounds::default());
        }
        let shift = self.shown_after_us();
        let first = start.unwrap_or(i64::MIN).saturating_sub(shift);
        let last = stop.unwrap_or(i64::MAX).saturating_sub(shift);
        (first <= last).then(|| KeyBounds { start: self.from(Some(first)), end: self.past(last) })
    }

    /// Keys of the rows whose first dimensions are as `filters` want them; `None` if the filters name no
    /// text for the first, or rows have a time, which comes before it.
    pub(super) fn beginning(&self, filters: &[Filter]) -> Option<KeyBounds> {
        if self.time.is_some() {
            return None;
        }
        let mut prefix = Vec::new();
        for column in 0..self.model.dimensions.len() {
            let named = filters.iter().filter(|filter| filter.column == column);
            // Equal texts are equal bytes; not so numbers.
            let text = named.filter_map(Filter::text).next();
            let Some(text) = text else { break };
            encoding::push_text(text, &mut prefix);
        }
        (!prefix.is_empty()).then(|| KeyBounds::prefix(&prefix))
    }

    /// Keys of the rows of the times from `from_us` on, and before `end_us`; all later ones where that is
    /// the last time there is.
    pub(super) fn range(&self, from_us: i64, end_us: i64) -> KeyBounds {
        let end = match end_us {
            i64::MAX => Bound::Unbounded,
            _ => self.before(Some(end_us)),
        };
        KeyBounds { start: self.from(Some(from_us)), end }
    }

    /// Keys of the rows of exactly one time.
    pub(super) fn at(&self, time: KeyTime) -> KeyBounds {
        match (self.time, time) {
            (None, _) => KeyBounds::default(),
            (_, Some(time_us)) => KeyBounds { start: self.from(time), end: self.past(time_us) },
            (_, None) => KeyBounds { start: self.from(None), end: self.before(Some(i64::MIN)) },
        }
    }

    fn from(&self, time: KeyTime) -> Bound<Vec<u8>> {
        Bound::Included(self.head(time))
    }

    /// The end of the rows of all times before one.
    pub(super) fn before(&self, time: KeyTime) -> Bound<Vec<u8>> {
        Bound::Excluded(self.head(time))
    }

    /// The end of the rows of a time.
    pub(super) fn past(&self, time_us: i64) -> Bound<Vec<u8>> {
        time_us.checked_add(1).map_or(Bound::Unbounded, |next| self.before(Some(next)))
    }

    /// What the keys of rows of a time begin with; it sorts before them and after all others.
    fn head(&self, time: KeyTime) -> Vec<u8> {
        let mut head = Vec::new();
        match (self.time, time) {
            (Some(TimeColumn::Window { .. }), _) => {
                encoding::push_window(time.unwrap_or(i64::MIN), &mut head);
            }
            (Some(TimeColumn::Dimension), Some(time_us)) => {
                encoding::push_time(time_us, &mut head);
            }
            (Some(TimeColumn::Dimension), None) => encoding::push_null(&mut head),
            (None, _) => {}
        }
        head
    }
}

fn micros(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000)
}
