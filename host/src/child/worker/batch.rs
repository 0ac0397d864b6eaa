//! Batches between processes: the messages a stat shall fold, the columns it wants, and the texts of its
//! dictionaries that the other side does not have yet.
//!
//! ```text
//! generation, log key, rows, bytes of text, of unescaped text
//! for the topics and each `sym` column: new texts, the length of each, the texts
//! offsets, times, topics; of each column the states, then codes or words
//! text, unescaped text
//! ```
//!
//! Spans are made anew for a text that holds only what they point to, unless the whole is shorter.

use std::sync::Arc;

use statmill_plugin_api::abi::{span, state};
use statmill_plugin_api::manifest::FieldKind;

use super::frame::{Frame, Parts, TooShort};
use crate::log::{LogId, Offset};
use crate::project::{Batch, Column, Generation};

/// What the other side has of the current generation.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    generation: Option<u64>,
    /// Texts it has: of topics first, then of each column.
    texts: Vec<u32>,
}

/// Writes the messages `rows` of `batch` with its columns number `columns`.
pub(crate) fn write(
    frame: &mut Frame,
    sent: &mut Sent,
    batch: &Batch,
    columns: &[usize],
    rows: &[u32],
) {
    let generation = &*batch.generation;
    if sent.generation != Some(generation.id()) {
        *sent = Sent { generation: Some(generation.id()), texts: vec![0; columns.len() + 1] };
    }
    let text = Text::of(batch, columns, rows);
    frame.u64(generation.id()).u64(batch.log_key);
    frame.u32(rows.len() as u32).u32(text.bytes().0.len() as u32).u32(text.bytes().1.len() as u32);
    write_texts(frame, generation, None, &mut sent.texts[0]);
    for (&column, sent) in columns.iter().zip(&mut sent.texts[1..]) {
        if batch.columns[column].kind == FieldKind::Sym {
            write_texts(frame, generation, Some(column), sent);
        }
    }
    frame.all(rows.iter().map(|&row| batch.offsets[row as usize].to_le_bytes()));
    frame.all(rows.iter().map(|&row| batch.times[row as usize].to_le_bytes()));
    frame.all(rows.iter().map(|&row| batch.topics[row as usize].to_le_bytes()));
    let mut place = 0;
    for &column in columns {
        let column = &batch.columns[column];
        frame.all(rows.iter().map(|&row| [column.states[row as usize]]));
        match column.kind {
            FieldKind::Sym => {
                frame.all(rows.iter().map(|&row| column.codes[row as usize].to_le_bytes()));
            }
            kind => {
                let moved = is_span(kind) && matches!(text, Text::Parts(_));
                frame.all(rows.iter().map(|&row| {
                    let (word, row) = (column.words[row as usize], row as usize);
                    if !moved {
                        return word.to_le_bytes();
                    }
                    let length = span_len(column, row);
                    let span = span::pack(place, length, false);
                    place += length;
                    span.to_le_bytes()
                }));
            }
        }
    }
    let (text, unescaped) = text.bytes();
    frame.bytes(text).bytes(unescaped);
}

fn write_texts(frame: &mut Frame, generation: &Generation, column: Option<usize>, sent: &mut u32) {
    // Others add texts meanwhile; those of the batch are among the ones counted here.
    let texts = generation.texts(column);
    let text = |code| match column {
        None => generation.topic(code),
        Some(column) => generation.text(column, code),
    };
    let new = *sent..texts;
    frame.u32(new.len() as u32);
    frame.all(new.clone().map(|code| (text(code).len() as u32).to_le_bytes()));
    for code in new {
        frame.bytes(text(code).as_bytes());
    }
    *sent = texts;
}

/// The text that goes with a batch.
enum Text<'a> {
    /// All of it, as it is.
    Whole(&'a Batch),
    /// What the spans point to, one after the other.
    Parts(Vec<u8>),
}

impl<'a> Text<'a> {
    fn of(batch: &'a Batch, columns: &[usize], rows: &[u32]) -> Self {
        let spans = || {
            let columns = columns.iter().map(|&column| &batch.columns[column]);
            columns
                .filter(|column| is_span(column.kind))
                .flat_map(move |column| rows.iter().map(move |&row| (column, row as usize)))
        };
        let wanted: usize = spans().map(|(column, row)| span_len(column, row)).sum();
        // Several fields may lie in one another: the whole is never sent twice.
        if wanted > batch.text.len() + batch.unescaped.len() {
            return Self::Whole(batch);
        }
        let mut parts = Vec::with_capacity(wanted);
        for (column, row) in spans().filter(|&(column, row)| span_len(column, row) > 0) {
            parts.extend_from_slice(span::get(column.words[row], &batch.text, &batch.unescaped));
        }
        Self::Parts(parts)
    }

    fn bytes(&self) -> (&[u8], &[u8]) {
        match self {
            Self::Whole(batch) => (&batch.text, &batch.unescaped),
            Self::Parts(parts) => (parts, &[]),
        }
    }
}

fn is_span(kind: FieldKind) -> bool {
    matches!(kind, FieldKind::Str | FieldKind::Raw | FieldKind::Doc)
}

fn span_len(column: &Column, row: usize) -> usize {
    match column.states[row] {
        state::VALUE => (column.words[row] & 0xffff_ffff) as usize,
        _ => 0,
    }
}

/// Reads a batch whose columns have `kinds`; `held` has the texts of those before it.
pub(super) fn read(
    body: &[u8],
    kinds: &[FieldKind],
    held: &mut Option<Arc<Generation>>,
) -> Result<Batch, TooShort> {
    let mut parts = Parts(body);
    let (id, log_key) = (parts.u64()?, parts.u64()?);
    let rows = parts.u32()? as usize;
    let (text_bytes, unescaped_bytes) = (parts.u32()? as usize, parts.u32()? as usize);
    let generation = match held {
        Some(generation) if generation.id() == id => Arc::clone(generation),
        _ => {
            let is_sym: Vec<bool> = kinds.iter().map(|kind| *kind == FieldKind::Sym).collect();
            Arc::clone(held.insert(Arc::new(Generation::received(id, &is_sym))))
        }
    };
    read_texts(&mut parts, &generation, None)?;
    for (column, _) in kinds.iter().enumerate().filter(|(_, kind)| **kind == FieldKind::Sym) {
        read_texts(&mut parts, &generation, Some(column))?;
    }
    let offsets = parts.all(rows, u64::from_le_bytes)?;
    let times = parts.all(rows, i64::from_le_bytes)?;
    let topics = parts.all(rows, u32::from_le_bytes)?;
    let mut columns = Vec::with_capacity(kinds.len());
    for &kind in kinds {
        let states = parts.bytes(rows)?.to_vec();
        let (codes, words) = match kind {
            FieldKind::Sym => (parts.all(rows, u32::from_le_bytes)?, Vec::new()),
            _ => (Vec::new(), parts.all(rows, u64::from_le_bytes)?),
        };
        columns.push(Column { kind, states, codes, words });
    }
    Ok(Batch {
        // Which log it is and what else of it was read is the host's alone.
        log: LogId(0),
        range: Offset(0)..Offset(0),
        rejects: Vec::new(),
        fingerprint: 0,
        log_key,
        generation,
        offsets,
        times,
        topics,
        columns,
        text: parts.bytes(text_bytes)?.to_vec(),
        unescaped: parts.bytes(unescaped_bytes)?.to_vec(),
    })
}

fn read_texts(
    parts: &mut Parts<'_>,
    generation: &Generation,
    column: Option<usize>,
) -> Result<(), TooShort> {
    let count = parts.u32()? as usize;
    for length in parts.all(count, u32::from_le_bytes)? {
        let text = parts.bytes(length as usize)?;
        generation.push(column, &String::from_utf8_lossy(text));
    }
    Ok(())
}
