//! Holds documents against everything that is promised of the projector.

use std::sync::Arc;

use super::reference::{self, Document};
use super::tally::Tally;
use super::wanted::{Fields, Wanted};
use crate::log::LogId;
use crate::project::simd::Unit;
use crate::project::tests::{Cell, cell, records};
use crate::project::{
    Batch, Caps, Dictionaries, Limits, Mapping, Projection, Projector, Reject, envelope,
};

/// Documents in a batch.
const BATCH: usize = 16;
/// Few, so that generations end within a round.
const CAPS: Caps = Caps { entries: 200, bytes: 1 << 20 };

/// What a projector made of a document.
pub(super) type Outcome = Result<Row, Reject>;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) topic: String,
    pub(super) time_us: i64,
    pub(super) cells: Vec<Cell>,
}

/// Reads `documents` in all ways and compares; `Err` says what differs.
///
/// Panics where the projector does; its state goes from one document to the next as in production.
pub(super) fn judge(wanted: &Wanted, documents: &[Vec<u8>]) -> Result<Tally, String> {
    let fields = wanted.union();
    let read = |fields: &Fields, unit, validate| {
        let limits = Limits { validate, ..wanted.limits };
        outcomes(&wanted.mapping, fields, limits, unit, documents)
    };
    let best = Unit::best();
    let plain = read(&fields, best, false);
    for unit in Unit::all() {
        same(&read(&fields, unit, false), &plain, || format!("{unit:?} and {best:?} differ"))?;
    }
    for subset in [&Vec::new(), &wanted.some, &wanted.others] {
        let fewer: Vec<Outcome> = plain.iter().map(|row| only(row, &fields, subset)).collect();
        same(&read(subset, best, false), &fewer, || format!("{subset:?} alone read otherwise"))?;
    }
    let validated = read(&wanted.some, best, true);
    let mut tally = Tally::default();
    for (number, text) in documents.iter().enumerate() {
        let document = Document::of(text);
        judge_one(wanted, text, document.as_ref(), &fields, &plain[number])?;
        let plain = only(&plain[number], &fields, &wanted.some);
        let is_refused = matches!(
            validated[number],
            Err(Reject::Malformed | Reject::TooDeep | Reject::TooLarge)
        );
        match &document {
            Some(_) => same(&validated[number], &plain, || "validated and not".to_owned())?,
            None if !is_refused => return Err("serde_json refuses, validate does not".to_owned()),
            None => {}
        }
        judge_envelope(wanted, text, document.as_ref(), [&plain, &validated[number]])?;
        tally.add(text, document.is_some(), &plain);
    }
    Ok(tally)
}

/// Against the reference.
fn judge_one(
    wanted: &Wanted,
    text: &[u8],
    document: Option<&Document<'_>>,
    fields: &Fields,
    found: &Outcome,
) -> Result<(), String> {
    let structure = reference::verdict(text, wanted);
    if let Err(reject) = structure {
        return same(found, &Err(reject), || "the structure".to_owned());
    }
    if let Some(document) = document {
        let expected = document.outcome(&wanted.mapping, fields);
        return same(found, &expected, || "serde_json reads otherwise".to_owned());
    }
    match found {
        Err(reject @ (Reject::Malformed | Reject::TooDeep | Reject::TooLarge | Reject::Future)) => {
            Err(format!("the structure is sound, the verdict is {reject:?}"))
        }
        _ => Ok(()),
    }
}

/// An envelope is refused where the message is, and says the same topic and time.
fn judge_envelope(
    wanted: &Wanted,
    text: &[u8],
    document: Option<&Document<'_>>,
    outcomes: [&Outcome; 2],
) -> Result<(), String> {
    for (validate, outcome) in [false, true].into_iter().zip(outcomes) {
        let limits = Limits { validate, ..wanted.limits };
        let found = envelope(text, &wanted.mapping, &limits);
        if let (Ok(found), Some(document)) = (&found, document) {
            let producer = found.producer.as_ref().map(|(name, number)| (&**name, *number));
            let identity = (found.id.as_deref(), producer);
            same(&identity, &document.identity(&wanted.mapping), || "identity".to_owned())?;
        }
        let found = found.and_then(|found| {
            let time_us = limits.event_time(found.time_us, None, false)?;
            Ok((found.topic.into_owned(), time_us))
        });
        let expected = outcome.clone().map(|row| (row.topic, row.time_us));
        same(&found, &expected, || format!("envelope, validate = {validate}"))?;
    }
    Ok(())
}

fn same<T: std::fmt::Debug + PartialEq>(
    found: &T,
    expected: &T,
    what: impl Fn() -> String,
) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{}\n  expected {expected:?}\n  found    {found:?}", what()))
}

/// The cells of `subset` out of those of `fields`.
fn only(outcome: &Outcome, fields: &Fields, subset: &Fields) -> Outcome {
    let mut row = outcome.clone()?;
    let place = |field| fields.iter().position(|other| other == field).unwrap();
    row.cells = subset.iter().map(|field| row.cells[place(field)].clone()).collect();
    Ok(row)
}

/// What one projector makes of `documents`, batch after batch.
fn outcomes(
    mapping: &Mapping,
    fields: &Fields,
    limits: Limits,
    unit: Unit,
    documents: &[Vec<u8>],
) -> Vec<Outcome> {
    let projection = Arc::new(Projection::compile(mapping, fields).unwrap());
    let dictionaries = Dictionaries::new(projection.columns(), CAPS);
    let mut projector = Projector::with_unit(projection, limits, unit);
    let mut outcomes = Vec::with_capacity(documents.len());
    for documents in documents.chunks(BATCH) {
        let texts: Vec<&[u8]> = documents.iter().map(Vec::as_slice).collect();
        let mut records = records(&texts);
        // The last message ends where the memory does: a sanitizer sees what is read past it.
        records.text.pop();
        records.text.shrink_to_fit();
        let batch = projector.project(&mut records, LogId(1), 2, false, &dictionaries);
        outcomes.extend(rows(&batch, documents.len()));
    }
    outcomes
}

/// The outcome for each of the `count` records of a batch.
fn rows(batch: &Batch, count: usize) -> Vec<Outcome> {
    let mut found = vec![None; count];
    for (row, &offset) in batch.offsets.iter().enumerate() {
        let cells = (0..batch.columns.len()).map(|column| cell(batch, column, row)).collect();
        let topic = batch.generation.topic(batch.topics[row]).to_owned();
        found[offset as usize] = Some(Ok(Row { topic, time_us: batch.times[row], cells }));
    }
    for (offset, reject) in &batch.rejects {
        assert!(found[*offset as usize].replace(Err(*reject)).is_none());
    }
    found.into_iter().map(Option::unwrap).collect()
}
