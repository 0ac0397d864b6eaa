//! What should come out, found without the projector: by serde_json, and byte by byte.

use std::ops::Range;

use serde_json::Value;
use statmill_plugin_api::manifest::FieldKind;

use super::oracle::{Outcome, Row};
use super::pieces::{Kind, Piece, pieces};
use super::wanted::{Fields, Wanted, tokens};
use crate::project::tests::{Cell, cell_of};
use crate::project::{Mapping, Reject, time};

/// The verdict of the structure alone, byte by byte: one object, brackets balanced, strings closed, no
/// backslash outside a string, nothing but blanks around.
pub(super) fn structure(text: &[u8], max_depth: usize) -> Result<(), Reject> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    if text.iter().find(|byte| !is_blank(byte)) != Some(&b'{') {
        return Err(Reject::Malformed);
    }
    let mut open = Vec::new();
    let (mut in_string, mut is_escaped) = (false, false);
    for (at, &byte) in text.iter().enumerate() {
        if in_string {
            in_string = is_escaped || byte != b'"';
            is_escaped = !is_escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'\\' => return Err(Reject::Malformed),
            b'{' | b'[' if open.len() == max_depth => return Err(Reject::TooDeep),
            b'{' => open.push(b'}'),
            b'[' => open.push(b']'),
            b'}' | b']' if open.pop() != Some(byte) => return Err(Reject::Malformed),
            b'}' | b']' if open.is_empty() => {
                let is_end = text[at + 1..].iter().all(is_blank);
                return if is_end { Ok(()) } else { Err(Reject::Malformed) };
            }
            _ => {}
        }
    }
    Err(Reject::Malformed)
}

/// A document that serde_json accepts, and where in its text its values stand.
pub(super) struct Document<'a> {
    text: &'a [u8],
    value: Value,
    pieces: Vec<Piece>,
    /// For each piece the last piece of the value that it begins.
    last: Vec<usize>,
}

impl<'a> Document<'a> {
    pub(super) fn of(text: &'a [u8]) -> Option<Self> {
        let value = serde_json::from_slice(text).ok()?;
        let pieces = pieces(text);
        let mut last: Vec<usize> = (0..pieces.len()).collect();
        let mut open = Vec::new();
        for (number, piece) in pieces.iter().enumerate() {
            match piece.kind {
                Kind::Open => open.push(number),
                Kind::Close => last[open.pop().unwrap()] = number,
                _ => {}
            }
        }
        Some(Self { text, value, pieces, last })
    }

    /// What a projector should make of it, where the structure is sound.
    pub(super) fn outcome(&self, mapping: &Mapping, fields: &Fields) -> Outcome {
        let first = |pointers: &[String]| {
            pointers
                .iter()
                .find_map(|pointer| Some((self.value.pointer(pointer)?, pointer.clone())))
        };
        let topic = first(&mapping.topic).and_then(|(value, _)| value.as_str().map(str::to_owned));
        let topic = topic.ok_or(Reject::NoTopic)?;
        let (_, time) = first(&mapping.time).ok_or(Reject::NoTime)?;
        let time_us = self.time(&time).ok_or(Reject::NoTime)?;
        let cells = fields.iter().map(|(pointer, kind)| self.cell(pointer, *kind)).collect();
        Ok(Row { topic, time_us, cells })
    }

    /// The sender's id, and producer with sequence number.
    pub(super) fn identity(&self, mapping: &Mapping) -> (Option<&str>, Option<(&str, u64)>) {
        let id = mapping.id.iter().find_map(|pointer| self.value.pointer(pointer));
        let producer = mapping.producer.as_ref().and_then(|(producer, number)| {
            Some((self.value.pointer(producer)?.as_str()?, self.value.pointer(number)?.as_u64()?))
        });
        (id.and_then(Value::as_str), producer)
    }

    fn cell(&self, pointer: &str, kind: FieldKind) -> Cell {
        let Some(value) = self.value.pointer(pointer) else { return Cell::Missing };
        if value.is_null() {
            return Cell::Null;
        }
        let cell = match kind {
            FieldKind::Time => self.time(pointer).map(Cell::Int),
            FieldKind::Raw | FieldKind::Doc => {
                let raw = self.raw(pointer);
                assert_eq!(serde_json::from_slice::<Value>(raw).ok().as_ref(), Some(value));
                Some(Cell::Raw(raw.to_vec()))
            }
            _ => cell_of(value, kind),
        };
        cell.unwrap_or(Cell::WrongType)
    }

    /// The time at a pointer, judged from its text, because a [`Value`] rounds numbers.
    fn time(&self, pointer: &str) -> Option<i64> {
        let time_us = time::parse(self.raw(pointer))?;
        if let Some(number) = self.value.pointer(pointer).and_then(Value::as_f64) {
            let is_near = |seconds: f64| {
                (time_us as f64 / 1e6 - seconds).abs() <= 2e-6 + seconds.abs() * 1e-15
            };
            // At the border a `Value` may have been rounded up to it.
            let is_s = number <= 1e11 && is_near(number);
            assert!(is_s || number >= 1e11 && is_near(number / 1e3), "{number}: {time_us}");
        }
        Some(time_us)
    }

    /// The text of the value at a pointer that leads somewhere.
    fn raw(&self, pointer: &str) -> &'a [u8] {
        let mut at = 0;
        for token in tokens(pointer) {
            at = if self.text[self.pieces[at].span.start] == b'{' {
                self.member(at, &token).unwrap()
            } else {
                self.element(at, token.parse().unwrap()).unwrap()
            };
        }
        &self.text[self.span(at)]
    }

    fn span(&self, first: usize) -> Range<usize> {
        self.pieces[first].span.start..self.pieces[self.last[first]].span.end
    }

    /// The value of the last member with that key.
    fn member(&self, object: usize, key: &str) -> Option<usize> {
        let mut found = None;
        let mut at = object + 1;
        while at < self.last[object] {
            let spelled = &self.text[self.pieces[at].span.clone()];
            if serde_json::from_slice::<String>(spelled).is_ok_and(|text| text == key) {
                found = Some(at + 2);
            }
            // Past the value and the comma, or past the object's bracket.
            at = self.last[at + 2] + 2;
        }
        found
    }

    fn element(&self, array: usize, index: usize) -> Option<usize> {
        let mut at = array + 1;
        for _ in 0..index {
            at = self.last[at] + 2;
        }
        (at < self.last[array]).then_some(at)
    }
}

/// The verdict, as far as it follows from size and structure.
pub(super) fn verdict(text: &[u8], wanted: &Wanted) -> Result<(), Reject> {
    if text.len() > wanted.limits.max_message {
        return Err(Reject::TooLarge);
    }
    structure(text, wanted.limits.max_depth)
}
