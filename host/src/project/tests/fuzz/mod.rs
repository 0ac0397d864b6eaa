//! Structure-aware differential fuzzing: documents made by the grammar and changed at its level, read in
//! every way there is, and compared with serde_json and with each other.
//!
//! [`round`] makes what is read: [`wanted`] the pointers, [`grammar`] messages in which they lead
//! somewhere, [`mutate`] other messages and no messages out of those and of the [`corpus`]. [`oracle`]
//! reads them by every classification and for several sets of pointers, and compares with [`reference`].
//! [`shrink`] makes a failure small. Everything follows from one number, the seed.
//!
//! An ordinary run is short. `STATMILL_FUZZ_EXECUTIONS=10000000` makes it long, `STATMILL_FUZZ_SEED` makes
//! it another, `STATMILL_FUZZ_SEEDS` (files or folders, as in `PATH`) gives it further documents to change.

mod corpus;
mod grammar;
mod mutate;
mod oracle;
mod pieces;
mod reference;
mod round;
mod shrink;
mod spelling;
mod tally;
mod wanted;

use std::collections::BTreeSet;
use std::time::Instant;

use round::Round;
use serde_json::Value;
use tally::Tally;
use wanted::Wanted;

use crate::project::Limits;

/// Documents of an ordinary run.
const EXECUTIONS: u64 = 30_000;
/// Lines about progress of a long run.
const LINES: u64 = 100;
/// Pointers at which documents of the corpus are read.
const POINTERS: usize = 26;
/// Pointers at which each is read, those that are no JSON as well.
const FIXED: [&str; 16] = [
    "",
    "/",
    "/0",
    "/a",
    "/a/b",
    "/a/0",
    "/b",
    "/c",
    "/c/a",
    "/c/b",
    "/d/1",
    "/d/2",
    "/topic",
    "/time",
    "/headers",
    "/headers/sent-at",
];

#[test]
fn documents_of_the_corpus_are_read_as_serde_json_reads_them() {
    let documents = corpus::kept();
    let limits = Limits::default();
    for limits in [limits, Limits { max_depth: 4, max_message: 1000, ..limits }] {
        for text in &documents {
            let wanted = Wanted::everything(&pointers(text), limits);
            let round = Round { wanted, documents: vec![text.clone()] };
            round.run("a document of the corpus");
        }
        let all = documents.iter().flat_map(|text| pointers(text)).step_by(100).collect();
        let round =
            Round { wanted: Wanted::everything(&all, limits), documents: documents.clone() };
        round.run("the documents of the corpus one after the other");
    }
}

#[test]
fn changed_documents_are_read_as_serde_json_reads_them() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = number("STATMILL_FUZZ_SEED").unwrap_or(1);
    let mut documents = corpus::kept();
    let executions = number("STATMILL_FUZZ_EXECUTIONS");
    if executions.is_some() {
        documents.extend(corpus::beside());
    }
    let rounds = executions.unwrap_or(EXECUTIONS).div_ceil(round::DOCUMENTS as u64);
    let start = Instant::now();
    let mut tally = Tally::default();
    for number in 0..rounds {
        let name = format!("STATMILL_FUZZ_SEED={seed}, round {number}");
        tally.join(&Round::new(seed, number, &documents).run(&name));
        if executions.is_some() && (number + 1) % rounds.div_ceil(LINES) == 0 {
            let elapsed_s = start.elapsed().as_secs();
            eprintln!("seed {seed}, {elapsed_s} s, round {number}: {tally:?}");
        }
    }
    eprintln!("seed {seed}: {tally:?}");
    if tally.documents < EXECUTIONS {
        return;
    }
    for name in [
        "accepted",
        "malformed",
        "too deep",
        "too large",
        "no topic",
        "no time",
        "missing",
        "null",
        "wrong type",
        "invalid",
        "text",
        "int",
        "num",
        "bool",
        "raw",
    ] {
        assert!(tally.seen.contains_key(name), "no document was {name}: {tally:?}");
    }
    assert!(tally.well_formed * 3 > tally.documents, "{tally:?}");
}

/// The fixed pointers, and those to the first values in a document.
fn pointers(text: &[u8]) -> BTreeSet<String> {
    let value = serde_json::from_slice::<Value>(text).unwrap_or_default();
    let mut found: Vec<String> = FIXED.map(str::to_owned).to_vec();
    add_pointers(&value, &mut Vec::new(), &mut found);
    found.truncate(POINTERS);
    found.into_iter().collect()
}

fn add_pointers(value: &Value, path: &mut Vec<String>, found: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(elements) => {
            elements.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect()
        }
        _ => return,
    };
    for (token, value) in below {
        path.push(token);
        found.push(wanted::pointer(path));
        add_pointers(value, path, found);
        path.pop();
    }
}
