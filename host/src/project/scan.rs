//! The structure scan that every message passes.
//!
//! In: a message's text. Out: its verdict, and where its strings lie. On the way a visitor is told of the
//! containers it takes an interest in: where they open and close, and of the colons of their members or the
//! commas between their elements. Of what lies deeper in others it is told nothing.
//! 64 bytes are classified at a time, by a vector unit or without one (`simd.rs`, `classify.rs`); what follows from
//! the masks is the same code for all machines.

use crate::project::Reject;
use crate::project::classify::Classify;
use crate::project::simd::Unit;
use crate::project::strings::Strings;

/// Scans messages one after the other; its room is used again.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    strings: Strings,
    /// The containers around the innermost one at this point of the scan.
    around: Vec<Frame>,
    unit: Unit,
}

/// Is told of the structure of a message, in the order of its text. What it is told of a message that is
/// rejected in the end is void, but each position lies in the text, behind the opening brackets of all
/// containers around it.
pub(super) trait Visit {
    /// A container opens at `at` in the one at `place`. Answers the place of the new one.
    fn opened(&mut self, place: Place, at: usize) -> Place;

    /// The bits of `colons` stand for colons of members of the object at `place`, bit 0 for position
    /// `start`. `strings` are noted down so far.
    fn members(&mut self, strings: &Strings, place: Place, start: usize, colons: u64);

    /// The bits of `commas` stand for commas between elements of the array at `place`, likewise.
    fn elements(&mut self, place: Place, start: usize, commas: u64);

    /// The container at `place` ends before `end`.
    fn closed(&mut self, place: Place, end: usize);
}

/// What a container is to the visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// For the visitor's own use.
    pub(super) node: u32,
    /// It wants to hear of what is inside.
    pub(super) is_entered: bool,
    /// It wants to hear of the end.
    pub(super) is_known: bool,
}

impl Place {
    /// The visitor takes no interest.
    pub(super) const NOWHERE: Self = Self { node: 0, is_entered: false, is_known: false };
    /// Around the message.
    pub(super) const OUTSIDE: Self = Self { is_entered: true, ..Self::NOWHERE };
}

/// A container that is open.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// Which bracket opened it; none outside.
    bracket: u8,
    place: Place,
}

/// What one block hands to the next.
struct Carry {
    /// Bit 0: the first byte is escaped.
    escape: u64,
    /// All ones inside a string.
    string: u64,
    /// The innermost container.
    here: Frame,
}

impl Scanner {
    /// With the fastest classification this machine has.
    pub(super) fn new() -> Self {
        Self::classified_by(Unit::best())
    }

    /// With a certain classification.
    pub(super) fn classified_by(unit: Unit) -> Self {
        Self { unit, ..Self::default() }
    }

    /// The strings of the message that was scanned last.
    #[inline]
    pub(super) fn strings(&self) -> &Strings {
        &self.strings
    }

    /// Scans `text`, which is shorter than 4 GiB and may open so many containers in each other.
    pub(super) fn scan(
        &mut self,
        text: &[u8],
        max_depth: usize,
        visit: &mut impl Visit,
    ) -> Result<(), Reject> {
        self.unit.scan(self, text, max_depth, visit)
    }

    #[inline(always)]
    pub(super) fn scan_with<C: Classify>(
        &mut self,
        classify: C,
        text: &[u8],
        max_depth: usize,
        visit: &mut impl Visit,
    ) -> Result<(), Reject> {
        if text.iter().find(|byte| !is_blank(**byte)) != Some(&b'{') {
            return Err(Reject::Malformed);
        }
        self.around.clear();
        self.strings.begin(text.len());
        let here = Frame { bracket: 0, place: Place::OUTSIDE };
        let mut carry = Carry { escape: 0, string: 0, here };
        let (blocks, rest) = text.as_chunks::<64>();
        let mut last = [b' '; 64];
        last[..rest.len()].copy_from_slice(rest);
        for (word, block) in blocks.iter().chain([&last]).enumerate() {
            if let Some(end) = self.block(classify, block, word, &mut carry, max_depth, visit)? {
                return only_blanks(&text[end..]);
            }
        }
        Err(Reject::Malformed)
    }

    /// Scans one block; tells where the message ends if it does so here.
    #[inline(always)]
    fn block<C: Classify>(
        &mut self,
        classify: C,
        block: &[u8; 64],
        word: usize,
        carry: &mut Carry,
        max_depth: usize,
        visit: &mut impl Visit,
    ) -> Result<Option<usize>, Reject> {
        let masks = classify.masks(block);
        let quotes = masks.quotes & !escaped(masks.backslashes, &mut carry.escape);
        // From each opening quote to just before the closing one.
        let string = classify.prefix_xor(quotes) ^ carry.string;
        carry.string = ((string as i64) >> 63) as u64;
        self.strings.put(word, quotes, masks.unusual, masks.backslashes);

        let mut brackets = masks.brackets & !string;
        // A backslash outside a string ends every JSON text; what the masks say after it is void.
        let stray = masks.backslashes & !string;
        if stray != 0 {
            brackets &= (stray & stray.wrapping_neg()) - 1;
        }
        let start = word * 64;
        let mut passed = 0;
        loop {
            // Zero if there is none left: then all that is left of the block lies before it.
            let bit = brackets & brackets.wrapping_neg();
            let here = carry.here;
            if here.place.is_entered {
                let open = bit.wrapping_sub(1) & !passed & !string;
                if here.bracket == b'[' {
                    visit.elements(here.place, start, classify.commas(block) & open);
                } else if masks.colons & open != 0 {
                    visit.members(&self.strings, here.place, start, masks.colons & open);
                }
            }
            if bit == 0 {
                break;
            }
            passed = bit | bit.wrapping_sub(1);
            brackets ^= bit;
            let at = bit.trailing_zeros() as usize;
            let byte = block[at & 63];
            if byte & 2 != 0 {
                if self.around.len() >= max_depth {
                    return Err(Reject::TooDeep);
                }
                self.around.push(here);
                let place = if here.place.is_entered {
                    visit.opened(here.place, start + at)
                } else {
                    Place::NOWHERE
                };
                carry.here = Frame { bracket: byte, place };
            } else {
                // `{` and `}` differ in these bits, and `[` and `]` do.
                if here.bracket ^ byte != 6 {
                    return Err(Reject::Malformed);
                }
                let end = start + at + 1;
                if here.place.is_known {
                    visit.closed(here.place, end);
                }
                let Some(outer) = self.around.pop() else { return Err(Reject::Malformed) };
                carry.here = outer;
                if self.around.is_empty() {
                    return Ok(Some(end));
                }
            }
        }
        if stray == 0 { Ok(None) } else { Err(Reject::Malformed) }
    }
}

/// The bytes that follow an odd number of backslashes.
#[inline(always)]
fn escaped(backslashes: u64, carry: &mut u64) -> u64 {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    if backslashes == 0 {
        return std::mem::take(carry);
    }
    let backslashes = backslashes & !*carry;
    let follows = backslashes << 1 | *carry;
    let odd_starts = backslashes & !EVEN & !follows;
    let (even_runs, overflow) = odd_starts.overflowing_add(backslashes);
    *carry = u64::from(overflow);
    (EVEN ^ (even_runs << 1)) & follows
}

/// Whether JSON allows `byte` between tokens.
#[inline]
pub(super) fn is_blank(byte: u8) -> bool {
    // Nearly every byte is above.
    byte <= b' ' && matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn only_blanks(rest: &[u8]) -> Result<(), Reject> {
    if rest.iter().all(|&byte| is_blank(byte)) { Ok(()) } else { Err(Reject::Malformed) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const MAX_DEPTH: usize = 5;

    /// What a visitor is told: how deep, where, and which byte stands there.
    type Events = Vec<(u32, usize, u8)>;

    /// The scan byte by byte: the verdict, and what a visitor that enters containers as deep as `deepest`
    /// is told.
    fn plainly(text: &[u8], deepest: u32) -> Result<Events, Reject> {
        let start = text.iter().position(|&b| !is_blank(b)).ok_or(Reject::Malformed)?;
        if text[start] != b'{' {
            return Err(Reject::Malformed);
        }
        let (mut events, mut open): (Events, Vec<u8>) = Default::default();
        let (mut in_string, mut escape) = (false, false);
        for (at, &byte) in text.iter().enumerate() {
            if in_string {
                in_string = escape || byte != b'"';
                escape = !escape && byte == b'\\';
                continue;
            }
            let mut depth = open.len();
            match (byte, open.last()) {
                (b'\\', _) => return Err(Reject::Malformed),
                (b'"', _) => in_string = true,
                (b'{' | b'[', _) => {
                    if open.len() == MAX_DEPTH {
                        return Err(Reject::TooDeep);
                    }
                    open.push(byte);
                    depth += 1;
                }
                (b'}' | b']', _) => {
                    if open.pop() != Some(if byte == b'}' { b'{' } else { b'[' }) {
                        return Err(Reject::Malformed);
                    }
                }
                (b':', Some(b'{')) | (b',', Some(b'[')) => {}
                _ => continue,
            }
            if byte != b'"' && depth <= deepest as usize {
                events.push((depth as u32, at, byte));
            }
            if open.is_empty() && byte == b'}' {
                return only_blanks(&text[at + 1..]).map(|()| events);
            }
        }
        Err(Reject::Malformed)
    }

    struct Recorder<'a> {
        text: &'a [u8],
        deepest: u32,
        events: Events,
    }

    impl Recorder<'_> {
        fn note(&mut self, depth: u32, at: usize) {
            self.events.push((depth, at, self.text[at]));
        }

        fn note_all(&mut self, depth: u32, start: usize, mut bits: u64) {
            while bits != 0 {
                self.note(depth, start + bits.trailing_zeros() as usize);
                bits &= bits - 1;
            }
        }
    }

    impl Visit for Recorder<'_> {
        fn opened(&mut self, place: Place, at: usize) -> Place {
            let node = place.node + 1;
            if node > self.deepest {
                return Place::NOWHERE;
            }
            self.note(node, at);
            Place { node, is_entered: true, is_known: true }
        }
        fn members(&mut self, _: &Strings, place: Place, start: usize, colons: u64) {
            self.note_all(place.node, start, colons);
        }
        fn elements(&mut self, place: Place, start: usize, commas: u64) {
            self.note_all(place.node, start, commas);
        }
        fn closed(&mut self, place: Place, end: usize) {
            self.note(place.node, end - 1);
        }
    }

    fn visited(scanner: &mut Scanner, text: &[u8], deepest: u32) -> Result<Events, Reject> {
        let mut recorder = Recorder { text, deepest, events: Events::new() };
        scanner.scan(text, MAX_DEPTH, &mut recorder)?;
        Ok(recorder.events)
    }

    /// Text dense with what matters to the scan, in runs that cross block borders.
    fn texts() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => prop::sample::select(br#"{}[]",:\ ax"#.to_vec()).prop_map(|byte| vec![byte]),
            2 => (0..70_usize).prop_map(|n| vec![b'\\'; n]),
            2 => (0..70_usize).prop_map(|n| vec![b'z'; n]),
            2 => Just(br#""key":{"a":[1,{"b":"\"}"}]},"#.to_vec()),
            1 => any::<u8>().prop_map(|byte| vec![byte]),
        ];
        (prop::collection::vec(piece, 0..12), any::<bool>()).prop_map(|(pieces, closed)| {
            let mut text = pieces.concat();
            if closed {
                text.insert(0, b'{');
                text.push(b'}');
            }
            text
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]

        #[test]
        fn all_classifications_agree_with_the_scan_byte_by_byte(text in texts()) {
            let expected = plainly(&text, u32::MAX);
            let mut scalar = Scanner::default();
            for unit in Unit::all() {
                let mut scanner = Scanner::classified_by(unit);
                prop_assert_eq!(&visited(&mut scanner, &text, u32::MAX), &expected, "{:?}", unit);
                visited(&mut scalar, &text, 0).ok();
                prop_assert_eq!(scalar.strings().words(), scanner.strings().words());
            }
            prop_assert_eq!(&visited(&mut scalar, &text, 2), &plainly(&text, 2));
        }
    }
}
