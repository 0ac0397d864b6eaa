//! Makes batches: finds, judges and decodes each record's wanted values, message after message.

use std::sync::Arc;

use statmill_plugin_api::abi::{span, state};
use statmill_plugin_api::manifest::FieldKind;

use crate::log::{LogId, Records, record_hash};
use crate::project::decode::{self, Literal, Text};
use crate::project::dictionary::Recent;
use crate::project::envelope::time_of;
use crate::project::walk::{Finder, Found, Tag};
use crate::project::{Batch, Column, Dictionaries, Generation, Limits, Projection, Reject, time};

/// Turns records into batches. One for each ingest thread and mapping.
#[derive(Debug)]
pub struct Projector {
    projection: Arc<Projection>,
    limits: Limits,
    finder: Finder,
    /// For topics first, then for each column.
    recent: Vec<Option<Recent>>,
    generation: Option<u64>,
    /// A text being unescaped for a dictionary.
    scratch: Vec<u8>,
}

impl Projector {
    /// A projector of what `projection` wants.
    #[must_use]
    pub fn new(projection: Arc<Projection>, limits: Limits) -> Self {
        let kinds = projection.columns().iter().map(|(_, kind)| *kind);
        let recent = std::iter::once(FieldKind::Sym)
            .chain(kinds)
            .map(|kind| (kind == FieldKind::Sym).then(Recent::new))
            .collect();
        let finder = Finder::new();
        Self { projection, limits, finder, recent, generation: None, scratch: Vec::new() }
    }

    #[cfg(test)]
    pub(super) fn with_unit(
        projection: Arc<Projection>,
        limits: Limits,
        unit: crate::project::simd::Unit,
    ) -> Self {
        Self { finder: Finder::with_unit(unit), ..Self::new(projection, limits) }
    }

    /// Makes a batch of `records`, whose text moves into it.
    ///
    /// `log_key` orders logs where times are equal ([`crate::log::Log::key`]); with `arrival_time` a
    /// record's arrival stands in for a time it does not have. `dictionaries` must have been made for
    /// the same columns. Costs no allocation per message.
    pub fn project(
        &mut self,
        records: &mut Records,
        log: LogId,
        log_key: u64,
        arrival_time: bool,
        dictionaries: &Dictionaries,
    ) -> Batch {
        let of = (log, log_key);
        self.project_into(dictionaries.current(), records, of, arrival_time, dictionaries)
    }

    /// Whether it makes batches of what `projection` wants, within `limits`.
    pub(crate) fn is_for(&self, projection: &Arc<Projection>, limits: Limits) -> bool {
        Arc::ptr_eq(&self.projection, projection) && self.limits == limits
    }

    /// As [`Self::project`], with codes of `generation`, one of `dictionaries`.
    pub(crate) fn project_into(
        &mut self,
        generation: Arc<Generation>,
        records: &mut Records,
        (log, log_key): (LogId, u64),
        arrival_time: bool,
        dictionaries: &Dictionaries,
    ) -> Batch {
        if self.generation != Some(generation.id()) {
            self.generation = Some(generation.id());
            self.recent.iter_mut().flatten().for_each(Recent::clear);
        }
        let text = std::mem::take(&mut records.text);
        let rows = records.spans.len();
        let kinds = self.projection.columns().iter().map(|(_, kind)| *kind);
        let mut batch = Batch {
            log,
            log_key,
            range: records.range.clone(),
            generation,
            offsets: Vec::with_capacity(rows),
            times: Vec::with_capacity(rows),
            topics: Vec::with_capacity(rows),
            columns: kinds.map(|kind| Column::with_capacity(kind, rows)).collect(),
            text: Vec::new(),
            unescaped: Vec::new(),
            rejects: Vec::new(),
            fingerprint: 0,
        };
        for (row, &offset) in records.offsets.iter().enumerate().take(rows) {
            let arrival = records.arrivals.get(row).copied();
            let place = Place::of(&text, records.spans[row]);
            let outcome = place.and_then(|place| {
                self.message(place, arrival, arrival_time, dictionaries, &mut batch)
            });
            match outcome {
                Ok(()) => batch.offsets.push(offset),
                Err(reject) => batch.rejects.push((offset, reject)),
            }
        }
        let last = records.last.take().or(records.spans.last().copied());
        let last = last.and_then(|last| Place::of(&text, last).ok());
        batch.fingerprint = last.map_or(0, |last| record_hash(last.text));
        batch.text = text;
        batch
    }

    /// Adds all of a message to the batch but its offset, or nothing.
    fn message(
        &mut self,
        place: Place<'_>,
        arrival: Option<i64>,
        arrival_time: bool,
        dictionaries: &Dictionaries,
        batch: &mut Batch,
    ) -> Result<(), Reject> {
        let projection = &*self.projection;
        let values = self.finder.find(&projection.trie, place.text, &self.limits)?;

        let topic = values.first_of(&projection.topic).ok_or(Reject::NoTopic)?;
        let topic = string(topic, place.text, &mut self.scratch).ok_or(Reject::NoTopic)?;
        let time_us = match values.first_of(&projection.time) {
            Some(found) => Some(time_of(found, place.text).ok_or(Reject::NoTime)?),
            None => None,
        };
        let time_us = self.limits.event_time(time_us, arrival, arrival_time)?;

        let Some((Some(topics), columns)) = self.recent.split_first_mut() else {
            return Err(Reject::NoTopic);
        };
        let hash = dictionaries.hash(topic);
        let topic = topics.code(batch.generation.topics(), hash, topic).ok_or(Reject::NoTopic)?;
        batch.topics.push(topic);
        batch.times.push(time_us);
        let mut sink = Sink {
            place,
            generation: &batch.generation,
            dictionaries,
            unescaped: &mut batch.unescaped,
            scratch: &mut self.scratch,
        };
        for (number, column) in batch.columns.iter_mut().enumerate() {
            let found = values.of(projection.nodes[number]);
            match columns[number].as_mut() {
                Some(recent) => sink.code(found, number, recent, column),
                None => sink.word(found, column),
            }
        }
        Ok(())
    }
}

/// A message's text and where it begins in its batch.
#[derive(Clone, Copy)]
struct Place<'a> {
    text: &'a [u8],
    start: usize,
}

impl<'a> Place<'a> {
    fn of(text: &'a [u8], (start, len): (u32, u32)) -> Result<Self, Reject> {
        let (start, end) = (start as usize, start as usize + len as usize);
        // Spans have 31 bits for a place.
        if end > i32::MAX as usize {
            return Err(Reject::TooLarge);
        }
        text.get(start..end).map(|text| Self { text, start }).ok_or(Reject::Malformed)
    }
}

/// Where decoded values go.
struct Sink<'a> {
    place: Place<'a>,
    generation: &'a Generation,
    dictionaries: &'a Dictionaries,
    unescaped: &'a mut Vec<u8>,
    scratch: &'a mut Vec<u8>,
}

impl Sink<'_> {
    fn code(&mut self, found: Found, number: usize, recent: &mut Recent, column: &mut Column) {
        let code = match (found.tag, self.generation.column(number)) {
            (Tag::Plain | Tag::String, Some(dictionary)) => {
                let text = string(found, self.place.text, self.scratch);
                let code = |text| recent.code(dictionary, self.dictionaries.hash(text), text);
                text.and_then(code).ok_or(state::INVALID)
            }
            (Tag::Plain | Tag::String, None) => Err(state::INVALID),
            _ => Err(self.other(found)),
        };
        column.states.push(code.err().unwrap_or(state::VALUE));
        column.codes.push(code.unwrap_or(0));
    }

    fn word(&mut self, found: Found, column: &mut Column) {
        let word = self.decode(found, column.kind);
        column.states.push(word.err().unwrap_or(state::VALUE));
        column.words.push(word.unwrap_or(0));
    }

    /// The word for a value that was found, or the state of the cell.
    fn decode(&mut self, found: Found, kind: FieldKind) -> Result<u64, u8> {
        match (kind, found.tag) {
            (_, Tag::Missing) => Err(state::MISSING),
            (_, Tag::Broken) => Err(state::INVALID),
            (FieldKind::Raw | FieldKind::Doc, _) => self.raw(found),
            (FieldKind::Str, Tag::Plain | Tag::String) => self.text(found).ok_or(state::INVALID),
            (FieldKind::Time, Tag::Plain | Tag::String) => {
                let text = string(found, self.place.text, self.scratch).ok_or(state::INVALID)?;
                time::rfc3339(text).map(i64::cast_unsigned).ok_or(state::WRONG_TYPE)
            }
            (FieldKind::Int | FieldKind::Num | FieldKind::Bool | FieldKind::Time, Tag::Scalar) => {
                let literal = Literal::of(found.bytes(self.place.text)).ok_or(state::INVALID)?;
                scalar(kind, literal)
            }
            _ => Err(self.other(found)),
        }
    }

    /// State of a cell whose value cannot be of the wanted kind, judged by its first byte.
    fn other(&self, found: Found) -> u8 {
        match found.tag {
            Tag::Missing => state::MISSING,
            Tag::Broken => state::INVALID,
            Tag::Container => state::WRONG_TYPE,
            Tag::Plain => state::WRONG_TYPE,
            Tag::String => match decode::text(found.inside(self.place.text)) {
                Some(_) => state::WRONG_TYPE,
                None => state::INVALID,
            },
            Tag::Scalar => match Literal::of(found.bytes(self.place.text)) {
                Some(Literal::Null) => state::NULL,
                Some(_) => state::WRONG_TYPE,
                None => state::INVALID,
            },
        }
    }

    fn raw(&self, found: Found) -> Result<u64, u8> {
        let bytes = found.bytes(self.place.text);
        let is_sound = match found.tag {
            Tag::Scalar => match Literal::of(bytes) {
                Some(Literal::Null) => return Err(state::NULL),
                literal => literal.is_some(),
            },
            Tag::Plain => true,
            Tag::String => decode::text(found.inside(self.place.text)).is_some(),
            _ => std::str::from_utf8(bytes).is_ok(),
        };
        let start = self.place.start + found.start as usize;
        if is_sound { Ok(span::pack(start, bytes.len(), false)) } else { Err(state::INVALID) }
    }

    /// The span of a string: of the message's text itself where that has no escapes.
    fn text(&mut self, found: Found) -> Option<u64> {
        let inside = found.inside(self.place.text);
        let in_place = span::pack(self.place.start + found.start as usize + 1, inside.len(), false);
        if found.tag == Tag::Plain {
            return Some(in_place);
        }
        match decode::text(inside)? {
            Text::Plain(_) => Some(in_place),
            Text::Escaped(escaped) => {
                let start = self.unescaped.len();
                decode::unescape(escaped, self.unescaped).then_some(())?;
                Some(span::pack(start, self.unescaped.len() - start, true))
            }
        }
    }
}

fn scalar(kind: FieldKind, literal: Literal<'_>) -> Result<u64, u8> {
    match (kind, literal) {
        (_, Literal::Null) => Err(state::NULL),
        (FieldKind::Bool, Literal::Bool(is_true)) => Ok(is_true.into()),
        (FieldKind::Int, Literal::Number(number)) => {
            number.int().map(i64::cast_unsigned).ok_or(state::WRONG_TYPE)
        }
        (FieldKind::Num, Literal::Number(number)) => {
            number.num().map(f64::to_bits).ok_or(state::INVALID)
        }
        (FieldKind::Time, Literal::Number(number)) => {
            time::number(&number).map(i64::cast_unsigned).ok_or(state::WRONG_TYPE)
        }
        _ => Err(state::WRONG_TYPE),
    }
}

/// The text that was found, if it is text; unescaped into `scratch` where that is needed.
#[inline]
fn string<'a>(found: Found, text: &'a [u8], scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    match found.tag {
        Tag::Plain => Some(found.inside(text)),
        Tag::String => match decode::text(found.inside(text))? {
            Text::Plain(plain) => Some(plain.as_bytes()),
            Text::Escaped(escaped) => {
                scratch.clear();
                decode::unescape(escaped, scratch).then_some(&**scratch)
            }
        },
        Tag::Missing | Tag::Broken | Tag::Container | Tag::Scalar => None,
    }
}
