//! Properties: equal to serde_json, independent of what else is wanted, scalar equal to SIMD.

use proptest::prelude::*;
use serde_json::Value;
use statmill_plugin_api::manifest::FieldKind;

use super::documents::{damaged, fields, message};
use super::{Cell, cell_of, cells, project, projection, records};
use crate::log::LogId;
use crate::project::simd::Unit;
use crate::project::{
    Batch, Caps, Dictionaries, Limits, Mapping, Projector, Reject, envelope, time,
};

fn project_one(text: &[u8], fields: &[(String, FieldKind)], limits: Limits) -> Batch {
    project(&[text], &borrowed(fields), limits)
}

fn borrowed(fields: &[(String, FieldKind)]) -> Vec<(&str, FieldKind)> {
    fields.iter().map(|(pointer, kind)| (pointer.as_str(), *kind)).collect()
}

/// What serde_json finds at a pointer, as a cell of that kind.
fn expected(document: &Value, pointer: &str, kind: FieldKind) -> Cell {
    let Some(value) = document.pointer(pointer) else {
        return Cell::Missing;
    };
    if value.is_null() {
        return Cell::Null;
    }
    let cell = match kind {
        FieldKind::Raw | FieldKind::Doc => Some(Cell::Raw(value.to_string().into_bytes())),
        _ => cell_of(value, kind),
    };
    cell.unwrap_or(Cell::WrongType)
}

/// Raw text in serde_json's spelling, to compare.
fn respelled(cell: Cell) -> Cell {
    match cell {
        Cell::Raw(bytes) => {
            let value: Value = serde_json::from_slice(&bytes).unwrap();
            Cell::Raw(value.to_string().into_bytes())
        }
        cell => cell,
    }
}

fn verdict(batch: &Batch) -> Option<Reject> {
    assert_eq!(batch.len() + batch.rejects.len(), 1);
    batch.rejects.first().map(|(_, reject)| *reject)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn values_of_well_formed_messages_equal_serde_json(text in message(), fields in fields()) {
        let document: Value = serde_json::from_str(&text).unwrap();
        let batch = project_one(text.as_bytes(), &fields, Limits::default());
        prop_assert_eq!(verdict(&batch), None);
        prop_assert_eq!(batch.times[0], 1_438_992_000_500_000);
        prop_assert_eq!(batch.generation.topic(batch.topics[0]), "t.a");
        for (cell, (pointer, kind)) in cells(&batch).into_iter().zip(&fields) {
            if *kind == FieldKind::Time {
                // Numbers keep their text only here, so the time is judged from the raw value.
                let raw = project_one(text.as_bytes(), &[(pointer.clone(), FieldKind::Raw)], Limits::default());
                if let [Cell::Raw(raw)] = &cells(&raw)[..] {
                    let found = time::parse(raw).map_or(Cell::WrongType, Cell::Int);
                    prop_assert_eq!(&cell, &found, "{} {:?}", pointer, kind);
                } else {
                    prop_assert_eq!(&cell, &cells(&raw)[0], "{} {:?}", pointer, kind);
                }
            } else {
                prop_assert_eq!(respelled(cell), expected(&document, pointer, *kind), "{} {:?}", pointer, kind);
            }
        }
    }

    #[test]
    fn neither_verdict_nor_values_depend_on_what_else_is_wanted(
        text in damaged(), some in fields(), others in fields(),
    ) {
        let limits = Limits { max_depth: 4, ..Limits::default() };
        let both: Vec<_> = some.iter().chain(others.iter().filter(|field| !some.contains(field))).cloned().collect();
        let batches = [&[][..], &some, &others, &both].map(|fields| project_one(&text, fields, limits));
        for batch in &batches {
            prop_assert_eq!(verdict(batch), verdict(&batches[0]));
            prop_assert_eq!(&batch.times, &batches[0].times);
        }
        if verdict(&batches[0]).is_none() {
            let both = cells(&batches[3]);
            prop_assert_eq!(&both[..some.len()], &cells(&batches[1])[..]);
            for (field, cell) in others.iter().zip(cells(&batches[2])) {
                let alone = project_one(&text, std::slice::from_ref(field), limits);
                prop_assert_eq!(&cells(&alone)[0], &cell, "{:?}", field);
            }
        }
    }

    #[test]
    fn scalar_and_vector_make_the_same_batch(text in damaged(), fields in fields()) {
        let projection = projection(&borrowed(&fields));
        let dictionaries = Dictionaries::new(projection.columns(), Caps::default());
        let batches = [
            Projector::new(projection.clone(), Limits::default()),
            Projector::with_unit(projection, Limits::default(), Unit::Scalar),
        ]
        .map(|mut projector| projector.project(&mut records(&[&text]), LogId(1), 2, false, &dictionaries));
        prop_assert_eq!(&batches[0].rejects, &batches[1].rejects);
        prop_assert_eq!(&batches[0].topics, &batches[1].topics);
        if verdict(&batches[0]).is_none() {
            prop_assert_eq!(cells(&batches[0]), cells(&batches[1]));
        }
    }

    #[test]
    fn with_validate_the_verdict_is_that_of_serde_json(text in damaged(), fields in fields()) {
        let document = serde_json::from_slice::<Value>(&text);
        let is_good = document.is_ok_and(|document| {
            document.is_object()
                && document.get("topic").is_some_and(Value::is_string)
                && document.get("timestamp").is_some_and(|time_s| {
                    time::parse(time_s.to_string().as_bytes()).is_some()
                })
        });
        // Without a timestamp another member may give the time.
        let other = text.windows(9).all(|window| window != b"timestamp");
        let batch = project_one(&text, &fields, Limits { validate: true, ..Limits::default() });
        prop_assert!(other || verdict(&batch).is_none() == is_good);
    }

    #[test]
    fn an_envelope_is_refused_where_the_message_is(text in damaged(), fields in fields()) {
        for validate in [false, true] {
            let limits = Limits { validate, ..Limits::default() };
            let batch = project_one(&text, &fields, limits);
            let found = envelope(&text, &Mapping::auto(), &limits);
            let judged = found.and_then(|envelope| {
                let time_us = limits.event_time(envelope.time_us, None, false)?;
                Ok((envelope.topic.into_owned(), time_us))
            });
            match judged {
                Err(reject) => prop_assert_eq!(verdict(&batch), Some(reject)),
                Ok((topic, time_us)) => {
                    prop_assert_eq!(verdict(&batch), None);
                    prop_assert_eq!(batch.times[0], time_us);
                    prop_assert_eq!(batch.generation.topic(batch.topics[0]), topic);
                }
            }
        }
    }

    #[test]
    fn small_generations_give_the_same_texts(
        texts in prop::collection::vec(message(), 1..12), fields in fields(),
    ) {
        let projection = projection(&borrowed(&fields));
        let [large, small] = [Caps::default(), Caps { entries: 4, bytes: 1 << 20 }].map(|caps| {
            let dictionaries = Dictionaries::new(projection.columns(), caps);
            let mut projector = Projector::new(projection.clone(), Limits::default());
            texts.iter().map(|text| {
                let mut records = records(&[text.as_bytes()]);
                cells(&projector.project(&mut records, LogId(1), 2, false, &dictionaries))
            }).collect::<Vec<_>>()
        });
        prop_assert_eq!(large, small);
    }
}
