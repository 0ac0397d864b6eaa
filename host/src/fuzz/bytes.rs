//! Changes of bytes: what a damaged disk does, and what somebody does who knows how lengths are written.

use super::Random;

/// Numbers at which readers go wrong.
const EDGES: [u64; 12] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    i64::MAX as u64,
    u64::MAX,
];

/// Changes `text` once; `donor` gives stretches to put in, `words` what means something.
pub(crate) fn change(random: &mut Random, text: &mut Vec<u8>, words: &[&[u8]], donor: &[u8]) {
    let at = random.below(text.len() + 1);
    let some = at..(at + random.few(40)).min(text.len());
    match random.below(14) {
        0 | 1 if at < text.len() => text[at] ^= 1 << random.below(8),
        2 if at < text.len() => text[at] = random.bits() as u8,
        3 if at < text.len() => text[at] = text[at].wrapping_add(1),
        4 if at < text.len() => text[at] = text[at].wrapping_sub(1),
        5 => drop(text.drain(some)),
        6 => {
            let repeated = text[some].to_vec();
            drop(text.splice(at..at, repeated));
        }
        7 => text.truncate(at),
        8 => drop(text.splice(some, number(random))),
        9 => {
            let number = number(random);
            let end = (at + number.len()).min(text.len());
            drop(text.splice(at..end, number));
        }
        10 | 11 if !words.is_empty() => {
            let replaced = if random.chance(50) { at..at } else { some };
            drop(text.splice(replaced, random.pick(words).iter().copied()));
        }
        12 => {
            let from = random.below(donor.len() + 1);
            let length = if random.chance(30) { donor.len() } else { random.few(60) };
            let taken = donor[from..(from + length).min(donor.len())].to_vec();
            let replaced = if random.chance(50) { at..at } else { some };
            drop(text.splice(replaced, taken));
        }
        _ => {
            // Two stretches change places.
            let other = random.below(text.len() + 1);
            let (low, high) = (at.min(other), at.max(other));
            let middle = low + (high - low) / 2;
            text[low..high].rotate_left(middle - low);
        }
    }
}

/// A number at an edge, in one of the ways in which numbers are written.
fn number(random: &mut Random) -> Vec<u8> {
    let edge = EDGES[random.below(EDGES.len())];
    let value = match random.below(4) {
        0 => edge.wrapping_add(1),
        1 => edge.wrapping_sub(1),
        _ => edge,
    };
    match random.below(6) {
        0 => vec![value as u8],
        1 => (value as u16).to_le_bytes().to_vec(),
        2 => (value as u32).to_le_bytes().to_vec(),
        3 => value.to_le_bytes().to_vec(),
        4 => value.to_be_bytes().to_vec(),
        _ => {
            let mut out = Vec::new();
            statmill_plugin_api::encoding::leb128::push_u64(value, &mut out);
            out
        }
    }
}
