//! The structure scan that every message passes.
//!
//! In: a message's text. Out: its verdict, and where its strings lie. On the way a visitor is told of the
//! containers it takes an interest in: where they open and close, and of the colons of their members or the
//! commas between their elements. Of what lies deeper in others it is told nothing.
//!
//! The text is taken in stretches. First 64 bytes at a time are classified, by a vector unit or without one
//! (`simd.rs`, `classify.rs`), without a branch that depends on them; that leaves the positions of what is
//! neither blank nor value. Then these are gone through one by one.

use crate::project::Reject;
use crate::project::classify::Classify;
use crate::project::simd::Unit;
use crate::project::strings::Strings;

/// Blocks of 64 bytes that are classified before what was found in them is gone through: few enough for
/// the positions to stay in the nearest cache, and to bound them whatever a message is made of.
const STRETCH: usize = 64;

/// Scans messages one after the other; its room is used again.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    strings: Strings,
    /// Brackets, colons and, where elements are wanted, commas of a stretch.
    marks: Vec<u32>,
    /// The containers around the innermost one at this point of the scan.
    around: Vec<Place>,
    unit: Unit,
}

/// Is told of the structure of a message, in the order of its text. What it is told of a message that is
/// rejected in the end is void, but each position lies in the text, behind the opening brackets of all
/// containers around it.
pub(super) trait Visit {
    /// Whether it ever wants to hear of elements.
    const ELEMENTS: bool;

    /// A container opens at `at` in the one at `place`. Answers the place of the new one.
    fn opened(&mut self, place: Place, at: usize) -> Place;

    /// There is the colon of a member of the object at `place`. `strings` are noted down so far.
    fn member(&mut self, strings: &Strings, place: Place, colon: usize);

    /// There is a comma between elements of the array at `place`.
    fn element(&mut self, place: Place, comma: usize);

    /// The container at `place` ends before `end`.
    fn closed(&mut self, place: Place, end: usize);
}

/// What a container is to the visitor: a number for its own use, and what it wants to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

impl Place {
    /// The visitor takes no interest.
    pub(super) const NOWHERE: Self = Self(0);
    /// Around the message.
    const OUTSIDE: Self = Self(Self::ENTERED);

    /// It wants to hear of what is inside.
    const ENTERED: u32 = 1;
    /// It wants to hear of the end.
    const KNOWN: u32 = 2;
    /// An array: for the scan's own use.
    const ARRAY: u32 = 4;
    const ENTERED_ARRAY: u32 = Self::ENTERED | Self::ARRAY;

    /// A container whose end the visitor wants to hear of, and of what is inside if it `is_entered`.
    #[inline]
    pub(super) fn known(node: usize, is_entered: bool) -> Self {
        Self((node as u32) << 3 | Self::KNOWN | if is_entered { Self::ENTERED } else { 0 })
    }

    /// The visitor's number.
    #[inline]
    pub(super) fn node(self) -> usize {
        (self.0 >> 3) as usize
    }

    #[inline(always)]
    fn is(self, flag: u32) -> bool {
        self.0 & flag != 0
    }
}

/// What one block hands to the next.
#[derive(Default)]
struct Carry {
    /// Bit 0: the first byte is escaped.
    escape: u64,
    /// All ones inside a string.
    string: u64,
    /// There was a backslash outside a string, which ends every JSON text: what comes after it is void.
    is_stray: bool,
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
    pub(super) fn scan_with<C: Classify, V: Visit>(
        &mut self,
        classify: C,
        text: &[u8],
        max_depth: usize,
        visit: &mut V,
    ) -> Result<(), Reject> {
        if text.iter().find(|byte| !is_blank(**byte)) != Some(&b'{') {
            return Err(Reject::Malformed);
        }
        self.around.clear();
        self.strings.begin(text.len());
        self.marks.resize((STRETCH + 1) * 64, 0);
        let (blocks, rest) = text.as_chunks::<64>();
        let mut last = [b' '; 64];
        last[..rest.len()].copy_from_slice(rest);
        let mut carry = Carry::default();
        let mut here = Place::OUTSIDE;
        let mut word = 0;
        loop {
            let stretch = &blocks[word..(word + STRETCH).min(blocks.len())];
            let mut count = self.classify::<C, V>(classify, stretch, word, &mut carry);
            word += stretch.len();
            // The last block, which is never missing, has a stretch of its own after a full one.
            let is_last = stretch.len() < STRETCH;
            if is_last && !carry.is_stray {
                count = self.mark::<C, V>(classify, &last, word, &mut carry, count);
            }
            if let Some(end) = self.visit(text, count, &mut here, max_depth, visit)? {
                return only_blanks(&text[end..]);
            }
            if is_last || carry.is_stray {
                return Err(Reject::Malformed);
            }
        }
    }

    /// Marks a stretch of blocks, the first of which is block `word`; how many marks there are.
    #[inline(always)]
    fn classify<C: Classify, V: Visit>(
        &mut self,
        classify: C,
        blocks: &[[u8; 64]],
        word: usize,
        carry: &mut Carry,
    ) -> usize {
        let mut count = 0;
        for (number, block) in blocks.iter().enumerate() {
            count = self.mark::<C, V>(classify, block, word + number, carry, count);
            if carry.is_stray {
                break;
            }
        }
        count
    }

    /// Marks one block after `count` marks; how many there are then.
    #[inline(always)]
    fn mark<C: Classify, V: Visit>(
        &mut self,
        classify: C,
        block: &[u8; 64],
        word: usize,
        carry: &mut Carry,
        count: usize,
    ) -> usize {
        let masks = if V::ELEMENTS {
            classify.masks::<true>(block)
        } else {
            classify.masks::<false>(block)
        };
        let quotes = masks.quotes & !escaped(masks.backslashes, &mut carry.escape);
        // From each opening quote to just before the closing one.
        let string = classify.prefix_xor(quotes) ^ carry.string;
        carry.string = ((string as i64) >> 63) as u64;
        self.strings.put(word, quotes, masks.unusual, masks.backslashes);

        let mut marks = masks.marks & !string;
        let stray = masks.backslashes & !string;
        if stray != 0 {
            carry.is_stray = true;
            marks &= (stray & stray.wrapping_neg()) - 1;
        }
        // There is room for one block more than a stretch can have.
        if let Some(room) = self.marks[count..].first_chunk_mut() {
            classify.positions(marks, (word * 64) as u32, room);
        }
        count + marks.count_ones() as usize
    }

    /// Goes through the first `count` marks; tells where the message ends if it does so there.
    #[inline(always)]
    fn visit(
        &mut self,
        text: &[u8],
        count: usize,
        here: &mut Place,
        max_depth: usize,
        visit: &mut impl Visit,
    ) -> Result<Option<usize>, Reject> {
        for &mark in &self.marks[..count] {
            let at = mark as usize;
            let byte = text[at];
            // Brackets have bit 6, colons and commas do not.
            if byte & 0x40 == 0 {
                match (here.0 & (Place::ENTERED | Place::ARRAY), byte) {
                    (Place::ENTERED, b':') => visit.member(&self.strings, *here, at),
                    (Place::ENTERED_ARRAY, b',') => visit.element(*here, at),
                    _ => {}
                }
                continue;
            }
            // `{` and `}` differ from `[` and `]` in bit 5, what opens from what closes in bit 1.
            let array = if byte & 0x20 == 0 { Place::ARRAY } else { 0 };
            if byte & 2 != 0 {
                if self.around.len() >= max_depth {
                    return Err(Reject::TooDeep);
                }
                self.around.push(*here);
                let place =
                    if here.is(Place::ENTERED) { visit.opened(*here, at) } else { Place::NOWHERE };
                *here = Place(place.0 | array);
                continue;
            }
            if here.0 & Place::ARRAY != array {
                return Err(Reject::Malformed);
            }
            if here.is(Place::KNOWN) {
                visit.closed(*here, at + 1);
            }
            let Some(outer) = self.around.pop() else { return Err(Reject::Malformed) };
            *here = outer;
            if self.around.is_empty() {
                return Ok(Some(at + 1));
            }
        }
        Ok(None)
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
    }

    impl Visit for Recorder<'_> {
        const ELEMENTS: bool = true;

        fn opened(&mut self, place: Place, at: usize) -> Place {
            let depth = place.node() as u32 + 1;
            if depth > self.deepest {
                return Place::NOWHERE;
            }
            self.note(depth, at);
            Place::known(depth as usize, true)
        }
        fn member(&mut self, _: &Strings, place: Place, colon: usize) {
            self.note(place.node() as u32, colon);
        }
        fn element(&mut self, place: Place, comma: usize) {
            self.note(place.node() as u32, comma);
        }
        fn closed(&mut self, place: Place, end: usize) {
            self.note(place.node() as u32, end - 1);
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
            1 => Just(vec![b' '; STRETCH * 64]),
            1 => Just([b':'; 64].to_vec()),
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
