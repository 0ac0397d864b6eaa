#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use statmill_plugin_api::abi::{span, state};
use statmill_plugin_api::manifest::FieldKind;

use super::batch::{self, Sent};
use super::frame::{self, Frame, HEAD, Kind, Parts};
use super::serve;
use crate::log::{LogId, Offset};
use crate::project::{Batch, Caps, Column, Dictionaries, Generation};

const KINDS: [FieldKind; 4] = [FieldKind::Int, FieldKind::Sym, FieldKind::Str, FieldKind::Raw];

fn generation() -> Arc<Generation> {
    let columns = KINDS.map(|kind| (format!("/{kind:?}"), kind));
    Dictionaries::new(&columns, Caps::default()).current()
}

/// Messages `first..first + count`; every third has no `Str`, every fifth an unescaped one, `Raw` holds `Str`.
fn messages(generation: &Arc<Generation>, first: u64, count: u64) -> Batch {
    let column = |kind| Column { kind, states: vec![], codes: vec![], words: vec![] };
    let mut batch = Batch {
        log: LogId(7),
        log_key: 77,
        range: Offset(first)..Offset(first + count),
        generation: Arc::clone(generation),
        offsets: (first..first + count).collect(),
        times: (first..first + count).map(|n| n as i64 * 10 - 5).collect(),
        topics: vec![],
        columns: KINDS.map(column).into(),
        text: vec![],
        unescaped: vec![],
        rejects: vec![],
        fingerprint: 0,
    };
    for n in first..first + count {
        generation.push(None, &format!("topic {n}"));
        generation.push(Some(1), &format!("sym {n}"));
        batch.topics.push(generation.texts(None) - 1);
        batch.columns[0].words.push(n * 3);
        batch.columns[1].codes.push(generation.texts(Some(1)) - 1);
        let text = format!("{{\"text\":\"é {n}\"}}");
        let start = batch.text.len();
        batch.text.extend_from_slice(text.as_bytes());
        batch.columns[3].words.push(span::pack(start, text.len(), false));
        let word = if n % 5 == 0 {
            let start = batch.unescaped.len();
            batch.unescaped.extend_from_slice(text.to_uppercase().as_bytes());
            span::pack(start, text.to_uppercase().len(), true)
        } else {
            span::pack(start + 9, text.len() - 11, false)
        };
        batch.columns[2].words.push(word);
        for column in &mut batch.columns {
            column.states.push(state::VALUE);
        }
        if n % 3 == 0 {
            *batch.columns[2].states.last_mut().unwrap() = state::MISSING;
            *batch.columns[2].words.last_mut().unwrap() = 0;
        }
    }
    batch
}

/// What a stat can see of the messages `rows` with the columns number `columns`.
fn seen(batch: &Batch, columns: &[usize], rows: &[u32]) -> Vec<String> {
    let message = |&row: &u32| {
        let row = row as usize;
        let value = |&column: &usize| {
            let values = &batch.columns[column];
            match (values.kind, values.states[row]) {
                (kind, state::VALUE) => match kind {
                    FieldKind::Sym => batch.generation.text(column, values.codes[row]).to_owned(),
                    FieldKind::Int => values.words[row].to_string(),
                    _ => {
                        let bytes = span::get(values.words[row], &batch.text, &batch.unescaped);
                        String::from_utf8(bytes.to_vec()).unwrap()
                    }
                },
                (_, state) => format!("state {state}"),
            }
        };
        let values: Vec<String> = columns.iter().map(value).collect();
        let topic = batch.generation.topic(batch.topics[row]);
        let (offset, time) = (batch.offsets[row], batch.times[row]);
        format!("{} {offset} {time} {topic} {values:?}", batch.log_key)
    };
    rows.iter().map(message).collect()
}

/// One side that sends and one that receives.
#[derive(Default)]
struct Two {
    sent: Sent,
    held: Option<Arc<Generation>>,
}

impl Two {
    fn body(&mut self, batch: &Batch, columns: &[usize], rows: &[u32]) -> Vec<u8> {
        let mut frame = Frame::default();
        batch::write(frame.begin(Kind::Fold), &mut self.sent, batch, columns, rows);
        frame.finish().unwrap()[HEAD..].to_vec()
    }

    fn pass(&mut self, batch: &Batch, columns: &[usize], rows: &[u32]) -> usize {
        let body = self.body(batch, columns, rows);
        let kinds: Vec<FieldKind> = columns.iter().map(|&column| KINDS[column]).collect();
        let received = batch::read(&body, &kinds, &mut self.held).unwrap();
        let all = |count: usize| (0..count).collect::<Vec<_>>();
        let rows_there: Vec<u32> = (0..rows.len() as u32).collect();
        // The columns have other numbers there, but the same texts under the same codes.
        let found = seen(&received, &all(columns.len()), &rows_there);
        assert_eq!(found, seen(batch, columns, rows));
        body.len()
    }
}

#[test]
fn a_stat_sees_of_a_batch_the_same_on_either_side() {
    let generation = generation();
    let batch = messages(&generation, 1, 40);
    let all: Vec<u32> = (0..40).collect();
    for columns in [&[0, 1, 2, 3][..], &[2], &[1], &[3, 2], &[]] {
        for rows in [&all[..], &[0, 7, 14, 39], &[5]] {
            Two::default().pass(&batch, columns, rows);
        }
    }
}

#[test]
fn texts_are_sent_once_in_a_generation() {
    let (first, mut two) = (generation(), Two::default());
    let batch = messages(&first, 0, 100);
    let once = two.pass(&batch, &[1], &[3, 50]);
    let again = two.pass(&batch, &[1], &[3, 50]);
    assert!(once > again + 100 * "sym 0".len(), "{once} bytes, then {again}");
    two.pass(&messages(&first, 100, 30), &[1], &[0, 29]);
    let columns = KINDS.map(|kind| (format!("/{kind:?}"), kind));
    let caps = Caps { entries: 0, bytes: 0 };
    let dictionaries = Dictionaries::new(&columns, caps);
    dictionaries.current().push(None, "a text that makes it full");
    let second = dictionaries.current();
    assert_ne!(second.id(), first.id());
    two.pass(&messages(&second, 500, 3), &[1], &[0, 1, 2]);
}

#[test]
fn fields_that_lie_in_one_another_do_not_make_a_batch_larger_than_its_text() {
    let batch = messages(&generation(), 0, 200);
    let rows: Vec<u32> = (0..200).collect();
    let several = Two::default().pass(&batch, &[3, 3, 3, 3, 3, 3], &rows);
    let one = Two::default().pass(&batch, &[3], &rows);
    let numbers = 5 * 200 * 9;
    assert!(several <= one + numbers + batch.unescaped.len() + 100, "{several} and {one}");
    let few = Two::default().pass(&batch, &[3], &rows[..2]);
    assert!(few < one / 2, "{few} of {one}");
}

#[test]
fn what_is_cut_short_is_an_error_wherever_it_is_cut() {
    let batch = messages(&generation(), 0, 20);
    let body = Two::default().body(&batch, &[0, 1, 2, 3], &[1, 2, 3, 19]);
    for length in 0..body.len() {
        assert!(batch::read(&body[..length], &KINDS, &mut None).is_err(), "{length}");
    }
    let mut parts = Parts(&[1, 2, 3]);
    assert!(parts.u32().is_err() && parts.u64().is_err());
    assert!(parts.all::<8, u64>(usize::MAX, u64::from_le_bytes).is_err());
}

#[test]
fn a_worker_answers_what_it_cannot_do_and_ends_with_its_input() {
    let mut questions = Vec::new();
    let mut frame = Frame::default();
    for kind in [Kind::Open, Kind::Create, Kind::Fold, Kind::Drain, Kind::Restore, Kind::Compute] {
        questions.extend_from_slice(frame.begin(kind).bytes(b"nonsense").finish().unwrap());
    }
    questions.extend_from_slice(frame.begin(Kind::Done).finish().unwrap());
    let mut answers = Vec::new();
    serve(&*questions, &mut answers).unwrap();
    let (mut answers, mut body, mut count) = (&*answers, Vec::new(), 0);
    while let Some(kind) = frame::read(&mut answers, &mut body).unwrap() {
        assert_eq!(kind, Kind::Said);
        assert!(!body.is_empty());
        count += 1;
    }
    assert_eq!(count, 7);
    questions.truncate(questions.len() - 1);
    assert!(serve(&*questions, &mut Vec::new()).is_err());
}
