//! Changes documents, as JSON or as bytes: into other JSON, or into what is nearly JSON.

use std::ops::Range;

use super::grammar::Grammar;
use super::pieces::{Piece, keys, last_of, pieces, values};
use super::spelling;
use crate::fuzz::Random;

/// No document grows past it.
const LARGEST: usize = 1 << 16;
/// Bytes that mean something in JSON or must not be there.
const STRUCTURAL: &[u8] = b"{}[]\",:\\ \t\n01-.eE+tfnu/\x00\x1f\x7f\x80\xff";

/// Changes `text` once; `donor` gives values to put in.
pub(super) fn mutate(random: &mut Random, text: &mut Vec<u8>, grammar: &Grammar<'_>, donor: &[u8]) {
    let before = text.len();
    let pieces = pieces(text);
    if pieces.is_empty() || random.chance(45) {
        damage(random, text, &pieces);
    } else {
        rewrite(random, text, &pieces, grammar, donor);
    }
    if text.len() > LARGEST.max(before) {
        text.truncate(LARGEST);
    }
}

/// Keeps JSON what it is.
fn rewrite(
    random: &mut Random,
    text: &mut Vec<u8>,
    pieces: &[Piece],
    grammar: &Grammar<'_>,
    donor: &[u8],
) {
    let mut new = Vec::new();
    let place = match random.below(9) {
        0 => {
            grammar.value(random, &mut new);
            value(random, pieces)
        }
        1 => {
            let parts = super::pieces::pieces(donor);
            new.extend_from_slice(&donor[value(random, &parts)]);
            value(random, pieces)
        }
        2 | 3 => {
            let name = grammar.key(random);
            spelling::string(random, &name, &mut new);
            key(random, pieces)
        }
        4 => respell(random, text, pieces, &mut new),
        5 => repeat(random, text, pieces, grammar, &mut new),
        6 => {
            spelling::blank(random, &mut new);
            let at = pieces[random.below(pieces.len())].span.start;
            at..at
        }
        7 => {
            let place = value(random, pieces);
            let highest = if random.chance(10) { grammar.max_depth + 2 } else { 4 };
            let height = random.few(highest);
            new.resize(height, b'[');
            new.extend_from_slice(&text[place.clone()]);
            new.resize(new.len() + height, b']');
            place
        }
        _ => {
            new.extend_from_slice(&text[value(random, pieces)]);
            value(random, pieces)
        }
    };
    drop(text.splice(place, new));
}

/// The same string with other escapes.
fn respell(random: &mut Random, text: &[u8], pieces: &[Piece], new: &mut Vec<u8>) -> Range<usize> {
    let place = if random.chance(50) { key(random, pieces) } else { value(random, pieces) };
    match serde_json::from_slice::<String>(&text[place.clone()]) {
        Ok(plain) => spelling::string(random, &plain, new),
        Err(_) => new.extend_from_slice(&text[place.clone()]),
    }
    place
}

/// A member's key again, before it or after it, with another value.
fn repeat(
    random: &mut Random,
    text: &[u8],
    pieces: &[Piece],
    grammar: &Grammar<'_>,
    new: &mut Vec<u8>,
) -> Range<usize> {
    let keys = keys(pieces);
    let Some(&number) = keys.get(random.below(keys.len())) else { return 0..0 };
    let last = pieces.get(number + 2).map_or(number, |_| last_of(pieces, number + 2));
    let is_before = random.chance(50);
    if !is_before {
        new.push(b',');
    }
    new.extend_from_slice(&text[pieces[number].span.clone()]);
    new.push(b':');
    grammar.value(random, new);
    if is_before {
        new.push(b',');
    }
    let at = if is_before { pieces[number].span.start } else { pieces[last].span.end };
    at..at
}

/// Makes of JSON what most likely is none.
fn damage(random: &mut Random, text: &mut Vec<u8>, pieces: &[Piece]) {
    let any_piece = |random: &mut Random| match pieces.get(random.below(pieces.len())) {
        Some(piece) => piece.span.clone(),
        None => 0..0,
    };
    let at = random.below(text.len() + 1);
    match random.below(12) {
        0 => drop(text.splice(any_piece(random), [])),
        1 => {
            let piece = text[any_piece(random)].to_vec();
            let at = any_piece(random).start;
            drop(text.splice(at..at, piece));
        }
        2 => {
            let piece = text[any_piece(random)].to_vec();
            drop(text.splice(any_piece(random), piece));
        }
        3 => drop(text.splice(value(random, pieces), spelling::ill(random).iter().copied())),
        4 => drop(text.splice(key(random, pieces), spelling::ill(random).iter().copied())),
        5 => drop(text.splice(at..at, spelling::ill(random).iter().copied())),
        6 => drop(text.splice(at..at, [structural(random)])),
        7 if at < text.len() => text[at] = structural(random),
        8 if at < text.len() => text[at] ^= 1 << random.below(8),
        9 if at < text.len() => drop(text.remove(at)),
        10 => text.truncate(at),
        _ => {
            let others = at..(at + random.few(80)).min(text.len());
            drop(text.splice(others, std::iter::repeat_n(structural(random), random.few(80))));
        }
    }
}

fn structural(random: &mut Random) -> u8 {
    STRUCTURAL[random.below(STRUCTURAL.len())]
}

/// The span of a value; empty where there is none.
fn value(random: &mut Random, pieces: &[Piece]) -> Range<usize> {
    // The first one is the whole document.
    let values = values(pieces);
    match values.get(random.below(values.len().saturating_sub(1)) + 1).or(values.first()) {
        Some(&first) => pieces[first].span.start..pieces[last_of(pieces, first)].span.end,
        None => 0..0,
    }
}

/// The span of a key; empty where there is none.
fn key(random: &mut Random, pieces: &[Piece]) -> Range<usize> {
    let keys = keys(pieces);
    keys.get(random.below(keys.len())).map_or(0..0, |&number| pieces[number].span.clone())
}
