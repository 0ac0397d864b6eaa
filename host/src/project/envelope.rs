//! Identity, topic and time of a single message, for what happens before batches: dedup, journals.

use std::borrow::Cow;
use std::cell::RefCell;

use crate::project::decode::{self, Literal, Number, Text};
use crate::project::trie::Trie;
use crate::project::walk::{Finder, Found, Tag};
use crate::project::{Limits, Mapping, PointerError, Reject, time};

/// What a message says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The sender's id, where it is text.
    pub id: Option<Cow<'a, str>>,
    /// Producer and sequence number.
    pub producer: Option<(Cow<'a, str>, u64)>,
    /// The topic.
    pub topic: Cow<'a, str>,
    /// Event time, µs since 1970; `None` where no member is there: whether the arrival stands in and
    /// whether the time lies too far ahead is for [`Limits::event_time`] to say.
    pub time_us: Option<i64>,
}

/// Reads identity, topic and time of a message.
///
/// The verdict is that of [`crate::project::Projector`], except for what needs the arrival: see
/// [`Envelope::time_us`]. The last mapping is kept compiled for each thread.
///
/// # Errors
/// Why the message is rejected; [`Reject::NoTopic`] and [`Reject::NoTime`] also where a pointer of
/// `mapping` cannot be compiled (which [`crate::project::Projection::compile`] reports).
pub fn envelope<'a>(
    text: &'a [u8],
    mapping: &Mapping,
    limits: &Limits,
) -> Result<Envelope<'a>, Reject> {
    thread_local! {
        static READER: RefCell<Option<(Mapping, EnvelopeReader)>> = const { RefCell::new(None) };
    }
    READER.with_borrow_mut(|kept| {
        let is_same = kept.as_ref().is_some_and(|(known, _)| known == mapping);
        if !is_same {
            let reader = EnvelopeReader::new(mapping, *limits).map_err(|_| Reject::NoTopic)?;
            *kept = Some((mapping.clone(), reader));
        }
        let (_, reader) = kept.as_mut().ok_or(Reject::NoTopic)?;
        reader.limits = *limits;
        reader.read(text)
    })
}

/// Reads the envelopes of messages of one mapping.
#[derive(Debug)]
pub struct EnvelopeReader {
    trie: Trie,
    id: Vec<usize>,
    topic: Vec<usize>,
    time: Vec<usize>,
    producer: Option<(usize, usize)>,
    limits: Limits,
    finder: Finder,
}

impl EnvelopeReader {
    /// A reader for `mapping`.
    ///
    /// # Errors
    /// [`PointerError`] names the first pointer that cannot be looked up.
    pub fn new(mapping: &Mapping, limits: Limits) -> Result<Self, PointerError> {
        let producer = mapping.producer.iter().flat_map(|(producer, number)| [producer, number]);
        let pointers = mapping.id.iter().chain(&mapping.topic).chain(&mapping.time).chain(producer);
        let (trie, mut id) = Trie::build(pointers.map(String::as_str))?;
        let mut topic = id.split_off(mapping.id.len());
        let mut time = topic.split_off(mapping.topic.len());
        let producer = match *time.split_off(mapping.time.len()) {
            [producer, number] => Some((producer, number)),
            _ => None,
        };
        Ok(Self { trie, id, topic, time, producer, limits, finder: Finder::new() })
    }

    /// As [`envelope`].
    ///
    /// # Errors
    /// Why the message is rejected.
    pub fn read<'a>(&mut self, text: &'a [u8]) -> Result<Envelope<'a>, Reject> {
        let values = self.finder.find(&self.trie, text, &self.limits)?;
        let topic = values.first_of(&self.topic).and_then(|found| string(found, text));
        let topic = topic.ok_or(Reject::NoTopic)?;
        let time_us = match values.first_of(&self.time) {
            Some(found) => Some(time_of(found, text).ok_or(Reject::NoTime)?),
            None => None,
        };
        let id = values.first_of(&self.id).and_then(|found| string(found, text));
        let producer = self.producer.and_then(|(producer, number)| {
            let producer = string(values.of(producer), text)?;
            Some((producer, sequence_number(values.of(number), text)?))
        });
        Ok(Envelope { id, producer, topic, time_us })
    }
}

/// The text that was found, if it is text.
fn string(found: Found, text: &[u8]) -> Option<Cow<'_, str>> {
    if !found.is_string() {
        return None;
    }
    match decode::text(found.inside(text))? {
        Text::Plain(plain) => Some(Cow::Borrowed(plain)),
        Text::Escaped(escaped) => {
            let mut plain = Vec::new();
            decode::unescape(escaped, &mut plain).then_some(())?;
            String::from_utf8(plain).ok().map(Cow::Owned)
        }
    }
}

/// The time that was found, if it is one.
pub(super) fn time_of(found: Found, text: &[u8]) -> Option<i64> {
    match found.tag {
        Tag::Plain | Tag::String | Tag::Scalar => time::parse(found.bytes(text)),
        Tag::Missing | Tag::Broken | Tag::Container => None,
    }
}

fn sequence_number(found: Found, text: &[u8]) -> Option<u64> {
    match Literal::of(found.bytes(text))? {
        Literal::Number(Number {
            whole, fraction: [], exponent: None, is_negative: false, ..
        }) => std::str::from_utf8(whole).ok()?.parse().ok(),
        _ => None,
    }
}
