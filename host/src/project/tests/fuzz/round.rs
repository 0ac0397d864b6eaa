//! A round: what is wanted, and documents made for it; all of it follows from a seed and the corpus.

use serde_json::Value;

use super::grammar::Grammar;
use super::mutate::mutate;
use super::oracle::judge;
use super::shrink::smallest;
use super::tally::Tally;
use super::wanted::Wanted;
use crate::fuzz::Random;

/// Documents in a round: what is made once for a round must not outweigh them.
pub(super) const DOCUMENTS: usize = 96;

pub(super) struct Round {
    pub(super) wanted: Wanted,
    pub(super) documents: Vec<Vec<u8>>,
}

impl Round {
    /// Round number `number` of a run; `corpus` has documents to change.
    pub(super) fn new(seed: u64, number: u64, corpus: &[Vec<u8>]) -> Self {
        let mut random = Random::from_seed(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        let model = any(&mut random, corpus);
        let is_seeded = random.chance(35);
        let parsed = serde_json::from_slice::<Value>(model).ok().filter(|_| is_seeded);
        let wanted = Wanted::of_round(&mut random, parsed.as_ref());
        let paths = wanted.paths();
        let grammar =
            Grammar { paths: &paths, keys: &wanted.keys, max_depth: wanted.limits.max_depth };
        let mut documents = Vec::with_capacity(DOCUMENTS);
        for _ in 0..DOCUMENTS {
            let donor = any(&mut random, corpus);
            let (mut text, least) = match is_seeded {
                true if random.chance(80) => (model.clone(), 1),
                true => (donor.clone(), 1),
                false => (grammar.document(&mut random), 0),
            };
            let changes = if random.chance(50) { least } else { 1 + random.few(5) };
            for _ in 0..changes {
                mutate(&mut random, &mut text, &grammar, donor);
            }
            documents.push(text);
        }
        Self { wanted, documents }
    }

    /// Judges it; panics with the smallest documents found that fail.
    pub(super) fn run(&self, name: &str) -> Tally {
        let judged = std::panic::catch_unwind(|| judge(&self.wanted, &self.documents));
        match judged {
            Ok(Ok(tally)) => tally,
            _ => panic!("{name}: {}", smallest(&self.wanted, &self.documents)),
        }
    }
}

/// A document of the corpus; most are small ones, of which many more can be read in the same time.
fn any<'a>(random: &mut Random, corpus: &'a [Vec<u8>]) -> &'a Vec<u8> {
    let mut some = [(); 4].map(|()| &corpus[random.below(corpus.len())]);
    some.sort_by_key(|text| text.len());
    some[if random.chance(5) { 3 } else { 0 }]
}
