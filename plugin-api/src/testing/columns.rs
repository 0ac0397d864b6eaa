//! Messages as a host would hand them over: columns, dictionaries, a batch.

use std::collections::HashMap;

use crate::abi::RSlice;

use super::{json, time};
use crate::abi::{BatchAbi, ColumnAbi, DictionaryAbi, span, state};
use crate::fields::Fields;
use crate::manifest::FieldKind;

/// Texts by code.
#[derive(Default)]
struct Dictionary {
    texts: Vec<Box<str>>,
    codes: HashMap<Box<str>, u32>,
}

impl Dictionary {
    fn code(&mut self, text: &str) -> u32 {
        if let Some(&code) = self.codes.get(text) {
            return code;
        }
        let code = self.texts.len() as u32;
        self.texts.push(text.into());
        self.codes.insert(text.into(), code);
        code
    }
}

/// The dictionaries between two drains.
#[derive(Default)]
pub(super) struct Dictionaries {
    topics: Dictionary,
    fields: Vec<Dictionary>,
}

impl Dictionaries {
    pub(super) fn of(fields: Fields) -> Self {
        let fields = fields.0.iter().map(|_| Dictionary::default()).collect();
        Self { topics: Dictionary::default(), fields }
    }

    /// In the order a drain takes them; a field that is no `sym` has no entries.
    pub(super) fn abi(&self) -> Vec<DictionaryAbi<'_>> {
        let all = std::iter::once(&self.topics).chain(&self.fields);
        all.map(|dictionary| DictionaryAbi::of(&dictionary.texts)).collect()
    }
}

/// A message: its topic, its event time, its text.
pub(super) struct Message<'a> {
    pub(super) topic: String,
    pub(super) time_us: i64,
    pub(super) text: &'a str,
}

impl<'a> Message<'a> {
    /// Reads the envelope as the host's `auto` mapping does; else says what is missing.
    pub(super) fn read(text: &'a str) -> Result<Self, &'static str> {
        let is_object = text.trim_start().starts_with('{');
        if !is_object || json::find(text, "").is_none_or(|at| at.end != text.trim_end().len()) {
            return Err("it is not one JSON object");
        }
        let topic = json::find(text, "/topic")
            .and_then(|at| serde_json::from_str(&text[at]).ok())
            .ok_or("it has no text at /topic")?;
        let time_us = ["/timestamp", "/headers/sent-at", "/time"]
            .into_iter()
            .find_map(|pointer| json::find(text, pointer))
            .and_then(|at| time::parse(&text[at]))
            .ok_or("it has no time at /timestamp, /headers/sent-at or /time")?;
        Ok(Self { topic, time_us, text })
    }
}

/// The columns of some messages.
#[derive(Default)]
pub(super) struct Columns {
    offsets: Vec<u64>,
    times: Vec<i64>,
    topics: Vec<u32>,
    rows: Vec<u32>,
    text: String,
    unescaped: String,
    columns: Vec<Column>,
}

#[derive(Default)]
struct Column {
    states: Vec<u8>,
    codes: Vec<u32>,
    words: Vec<u64>,
}

impl Columns {
    /// The columns of `messages`, of which `wanted` says which the stat gets.
    pub(super) fn of(
        messages: &[Message<'_>],
        first_offset: u64,
        wanted: impl Fn(&str) -> bool,
        fields: Fields,
        dictionaries: &mut Dictionaries,
    ) -> Self {
        let mut columns = Self::default();
        columns.columns.resize_with(fields.0.len(), Column::default);
        for (offset, message) in (first_offset..).zip(messages) {
            if wanted(&message.topic) {
                columns.rows.push(columns.offsets.len() as u32);
            }
            columns.offsets.push(offset);
            columns.times.push(message.time_us);
            columns.topics.push(dictionaries.topics.code(&message.topic));
            for (place, field) in fields.0.iter().enumerate() {
                columns.push(place, field.kind, field.pointer, message.text, dictionaries);
            }
            columns.text.push_str(message.text);
            columns.text.push('\n');
        }
        columns
    }

    fn push(
        &mut self,
        place: usize,
        kind: FieldKind,
        pointer: &str,
        text: &str,
        dictionaries: &mut Dictionaries,
    ) {
        let is_raw = matches!(kind, FieldKind::Raw | FieldKind::Doc);
        let (state, code, word) = match json::find(text, pointer) {
            None => (state::MISSING, 0, 0),
            // Containers are handed over as they are; only what a word or string says is looked at.
            Some(at) if is_raw && text[at.clone()].starts_with(['{', '[']) => {
                (state::VALUE, 0, span::pack(self.text.len() + at.start, at.len(), false))
            }
            Some(at) => match self.read(kind, &text[at.clone()], &mut dictionaries.fields[place]) {
                (state::VALUE, ..) if is_raw => {
                    (state::VALUE, 0, span::pack(self.text.len() + at.start, at.len(), false))
                }
                read => read,
            },
        };
        let column = &mut self.columns[place];
        column.states.push(state);
        if kind == FieldKind::Sym {
            column.codes.push(code);
        } else {
            column.words.push(word);
        }
    }

    /// State, code and word of a value.
    fn read(
        &mut self,
        kind: FieldKind,
        value: &str,
        dictionary: &mut Dictionary,
    ) -> (u8, u32, u64) {
        let Ok(json) = serde_json::from_str::<serde_json::Value>(value) else {
            return (state::INVALID, 0, 0);
        };
        if json.is_null() {
            return (state::NULL, 0, 0);
        }
        let word = match kind {
            FieldKind::Sym => {
                return match json.as_str() {
                    Some(text) => (state::VALUE, dictionary.code(text), 0),
                    None => (state::WRONG_TYPE, 0, 0),
                };
            }
            FieldKind::Str => json.as_str().map(|text| {
                let start = self.unescaped.len();
                self.unescaped.push_str(text);
                span::pack(start, text.len(), true)
            }),
            FieldKind::Int => json.as_i64().map(i64::cast_unsigned),
            FieldKind::Num => json.as_f64().map(f64::to_bits),
            FieldKind::Bool => json.as_bool().map(u64::from),
            FieldKind::Time => time::parse(value).map(i64::cast_unsigned),
            FieldKind::Raw | FieldKind::Doc => Some(0),
        };
        match word {
            Some(word) => (state::VALUE, 0, word),
            None => (state::WRONG_TYPE, 0, 0),
        }
    }

    /// Lends the columns as a batch.
    pub(super) fn lend<T>(
        &self,
        fields: Fields,
        dictionaries: &Dictionaries,
        work: impl FnOnce(&BatchAbi<'_>) -> T,
    ) -> T {
        let columns: Vec<ColumnAbi<'_>> = (fields.0.iter().zip(&self.columns))
            .zip(&dictionaries.fields)
            .map(|((field, column), dictionary)| ColumnAbi {
                kind: field.kind as u8,
                states: RSlice::from_slice(&column.states),
                codes: RSlice::from_slice(&column.codes),
                words: RSlice::from_slice(&column.words),
                dictionary: DictionaryAbi::of(&dictionary.texts),
                reserved: [0; 2],
            })
            .collect();
        work(&BatchAbi {
            log_key: 0,
            offsets: RSlice::from_slice(&self.offsets),
            times: RSlice::from_slice(&self.times),
            topics: RSlice::from_slice(&self.topics),
            rows: RSlice::from_slice(&self.rows),
            columns: RSlice::from_slice(&columns),
            topic_names: DictionaryAbi::of(&dictionaries.topics.texts),
            text: RSlice::from_slice(self.text.as_bytes()),
            unescaped: RSlice::from_slice(self.unescaped.as_bytes()),
            reserved: [0; 4],
        })
    }
}
