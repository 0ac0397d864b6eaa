//! The structure scan that every message passes, and the index it leaves behind.
//!
//! In: a message's text. Out: its verdict, a bitmap of the quotes, one of what is special in strings, and
//! for each depth down to the deepest wanted a bitmap of the *marks* there: the colons of the members of
//! objects that deep, and the brackets that close containers that deep. The walk goes from mark to mark
//! of one depth and never sees what lies deeper; members are told by their colon, their key lies before it.
//! 64 bytes are classified at a time, by a vector unit or without one (`simd.rs`, `classify.rs`); what follows from
//! the masks is the same code for all machines.

use crate::project::Reject;
use crate::project::classify::Classify;
use crate::project::simd::Unit;

/// Words of marks that are cleared at once.
const FILLED: usize = 4;
/// Words kept room for between messages; more is given back after a large one.
const KEPT_WORDS: usize = 1 << 14;

/// The structure of one message; its room is used again for the next.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Quotes that open or close a string, a bit for each byte; what lies past the text is stale.
    quotes: Vec<u64>,
    /// What plain text between quotes does not have: backslashes, controls, bytes above 127; likewise.
    specials: Vec<u64>,
    /// Marks by word and level: the word of level 0 (the message's own members), of level 1, ...
    marks: Vec<u64>,
    /// Words in `marks` for each word of text: the levels asked for and one for all that lies deeper.
    stride: usize,
    /// Brackets open at this point of the scan.
    open: Vec<u8>,
    has_escapes: bool,
    unit: Unit,
}

/// What one block hands to the next.
#[derive(Default)]
struct Carry {
    /// Bit 0: the first byte is escaped.
    escape: u64,
    /// All ones inside a string.
    string: u64,
    backslashes: u64,
}

/// What a scan may find and what it must note down.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) max_depth: usize,
    /// Levels to have marks of: one more than the tokens of the longest pointer, because the end of
    /// what it leads to lies there.
    pub(super) levels: usize,
}

impl Index {
    /// With the fastest classification this machine has.
    pub(super) fn new() -> Self {
        Self::classified_by(Unit::best())
    }

    /// With a certain classification.
    pub(super) fn classified_by(unit: Unit) -> Self {
        Self { unit, ..Self::default() }
    }

    /// Scans `text`, which is shorter than 2 GiB.
    pub(super) fn scan(&mut self, text: &[u8], bounds: Bounds) -> Result<(), Reject> {
        if self.marks.len() > KEPT_WORDS && text.len() < KEPT_WORDS {
            *self = Self::classified_by(self.unit);
        }
        self.unit.scan(self, text, bounds)
    }

    #[inline(always)]
    pub(super) fn scan_with<C: Classify>(
        &mut self,
        classify: C,
        text: &[u8],
        bounds: Bounds,
    ) -> Result<(), Reject> {
        if text.iter().find(|byte| !is_blank(**byte)) != Some(&b'{') {
            return Err(Reject::Malformed);
        }
        self.open.clear();
        self.stride = (bounds.levels + 1).next_multiple_of(FILLED);
        let words = text.len() / 64 + 1;
        if self.quotes.len() < words {
            self.quotes.resize(words, 0);
            self.specials.resize(words, 0);
        }
        if self.marks.len() < words * self.stride {
            self.marks.resize(words * self.stride, 0);
        }
        let mut carry = Carry::default();
        let (blocks, rest) = text.as_chunks::<64>();
        let mut start = 0;
        for block in blocks {
            if let Some(end) = self.block(classify, block, start, &mut carry, bounds)? {
                self.has_escapes = carry.backslashes != 0;
                return only_blanks(&text[end..]);
            }
            start += 64;
        }
        let mut last = [b' '; 64];
        last[..rest.len()].copy_from_slice(rest);
        let end = self.block(classify, &last, start, &mut carry, bounds)?;
        self.has_escapes = carry.backslashes != 0;
        end.map_or(Err(Reject::Malformed), |end| only_blanks(&text[end..]))
    }

    /// Scans one block; tells where the message ends if it does so here.
    #[inline(always)]
    fn block<C: Classify>(
        &mut self,
        classify: C,
        block: &[u8; 64],
        start: usize,
        carry: &mut Carry,
        bounds: Bounds,
    ) -> Result<Option<usize>, Reject> {
        let masks = classify.masks(block);
        let quotes = masks.quotes & !escaped(masks.backslashes, &mut carry.escape);
        // From each opening quote to just before the closing one.
        let string = classify.prefix_xor(quotes) ^ carry.string;
        carry.string = ((string as i64) >> 63) as u64;
        carry.backslashes |= masks.backslashes;
        self.quotes[start / 64] = quotes;
        // Joined as integers: joined as vectors, the compiler takes them apart byte by byte.
        self.specials[start / 64] = masks.unusual | masks.backslashes;

        let mut colons = masks.colons & !string;
        let mut brackets = masks.brackets & !string;
        // A backslash outside a string ends every JSON text; what the masks say after it is void.
        let stray = masks.backslashes & !string;
        if stray != 0 {
            brackets &= (stray & stray.wrapping_neg()) - 1;
        }
        let first = start / 64 * self.stride;
        let marks = &mut self.marks[first..first + self.stride];
        match <&mut [u64; FILLED]>::try_from(&mut *marks) {
            // A single store; a call would take longer than that.
            Ok(words) => *words = [0; FILLED],
            Err(_) => marks.fill(0),
        }
        while brackets != 0 {
            let at = brackets.trailing_zeros();
            let bit = brackets & brackets.wrapping_neg();
            brackets &= brackets - 1;
            let depth = self.open.len();
            let before = colons & (bit - 1);
            colons &= !(bit - 1);
            let byte = block[at as usize & 63];
            if byte & 2 != 0 {
                if depth >= bounds.max_depth {
                    return Err(Reject::TooDeep);
                }
                if depth != 0 {
                    marks[(depth - 1).min(bounds.levels)] |= before;
                }
                self.open.push(byte);
            } else {
                // `{` and `}` differ in these bits, and `[` and `]` do.
                if self.open.pop().is_none_or(|opened| opened ^ byte != 6) {
                    return Err(Reject::Malformed);
                }
                marks[(depth - 1).min(bounds.levels)] |= before | bit;
                if depth == 1 {
                    return Ok(Some(start + at as usize + 1));
                }
            }
        }
        if let Some(level) = self.open.len().checked_sub(1) {
            marks[level.min(bounds.levels)] |= colons;
        }
        if stray == 0 { Ok(None) } else { Err(Reject::Malformed) }
    }

    /// The marks of a level from `from` on, ascending. There must be one that closes a container of
    /// that level; the walk ends there at the latest.
    #[inline]
    pub(super) fn marks(&self, level: usize, from: usize) -> Marks<'_> {
        let word = from / 64;
        let bits = self.marks[word * self.stride + level] & (u64::MAX << (from % 64));
        Marks { index: self, level, word, bits }
    }

    /// Position of the first string delimiter at or after `from`; there must be one.
    #[inline]
    pub(super) fn quote(&self, from: usize) -> usize {
        let mut word = from / 64;
        let mut bits = self.quotes[word] & (u64::MAX << (from % 64));
        while bits == 0 {
            word += 1;
            bits = self.quotes[word];
        }
        word * 64 + bits.trailing_zeros() as usize
    }

    /// Position of the last string delimiter before `before`, if that lies behind one.
    #[inline]
    pub(super) fn quote_before(&self, before: usize) -> Option<usize> {
        let mut word = before / 64;
        let mut bits = self.quotes[word] & !(u64::MAX << (before % 64));
        while bits == 0 {
            word = word.checked_sub(1)?;
            bits = self.quotes[word];
        }
        Some(word * 64 + 63 - bits.leading_zeros() as usize)
    }

    /// Whether there is a backslash anywhere.
    #[inline]
    pub(super) fn has_escapes(&self) -> bool {
        self.has_escapes
    }

    /// Whether `start..end` is ASCII without controls and backslashes: text as it stands.
    #[inline]
    pub(super) fn is_plain(&self, start: usize, end: usize) -> bool {
        if start >= end {
            return true;
        }
        let (first, last) = (start / 64, (end - 1) / 64);
        let head = u64::MAX << (start % 64);
        let tail = u64::MAX >> (63 - (end - 1) % 64);
        if first == last {
            return self.specials[first] & head & tail == 0;
        }
        self.specials[first] & head == 0
            && self.specials[last] & tail == 0
            && self.specials[first + 1..last].iter().all(|&bits| bits == 0)
    }
}

/// See [`Index::marks`].
pub(super) struct Marks<'a> {
    index: &'a Index,
    level: usize,
    word: usize,
    bits: u64,
}

impl Iterator for Marks<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.bits == 0 {
            self.word += 1;
            self.bits = *self.index.marks.get(self.word * self.index.stride + self.level)?;
        }
        let at = self.word * 64 + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(at)
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

    const BOUNDS: Bounds = Bounds { max_depth: 5, levels: 5 };

    /// The scan byte by byte: the verdict, and each mark with its level.
    fn plainly(text: &[u8]) -> Result<Vec<(usize, usize)>, Reject> {
        let start = text.iter().position(|&b| !is_blank(b)).ok_or(Reject::Malformed)?;
        if text[start] != b'{' {
            return Err(Reject::Malformed);
        }
        let (mut marks, mut open): (Vec<(usize, usize)>, Vec<u8>) = Default::default();
        let (mut in_string, mut escape) = (false, false);
        for (at, &byte) in text.iter().enumerate() {
            if in_string {
                in_string = escape || byte != b'"';
                escape = !escape && byte == b'\\';
                continue;
            }
            match byte {
                b'\\' => return Err(Reject::Malformed),
                b'"' => in_string = true,
                b':' => marks.push((open.len() - 1, at)),
                b'{' | b'[' if open.len() == BOUNDS.max_depth => return Err(Reject::TooDeep),
                b'{' | b'[' => open.push(byte),
                b'}' | b']' => {
                    if open.pop() != Some(if byte == b'}' { b'{' } else { b'[' }) {
                        return Err(Reject::Malformed);
                    }
                    marks.push((open.len(), at));
                    if open.is_empty() {
                        return only_blanks(&text[at + 1..]).map(|()| marks);
                    }
                }
                _ => {}
            }
        }
        Err(Reject::Malformed)
    }

    fn indexed(
        index: &mut Index,
        text: &[u8],
        bounds: Bounds,
    ) -> Result<Vec<(usize, usize)>, Reject> {
        index.scan(text, bounds)?;
        let last = text.iter().rposition(|&byte| byte == b'}').unwrap();
        let mut marks: Vec<_> = (0..bounds.levels)
            .flat_map(|level| index.marks(level, 0).map(move |at| (level, at)))
            .filter(|&(_, at)| at <= last)
            .collect();
        marks.sort_unstable_by_key(|&(_, at)| at);
        Ok(marks)
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
            let expected = plainly(&text);
            let mut scalar = Index::default();
            for unit in Unit::all() {
                let mut index = Index::classified_by(unit);
                prop_assert_eq!(&indexed(&mut index, &text, BOUNDS), &expected, "{:?}", unit);
                scalar.scan(&text, BOUNDS).ok();
                prop_assert_eq!(&scalar.quotes, &index.quotes);
                prop_assert_eq!(&scalar.specials, &index.specials);
            }
            let shallow = Bounds { levels: 2, ..BOUNDS };
            let above = expected.map(|marks| {
                marks.into_iter().filter(|&(level, _)| level < 2).collect::<Vec<_>>()
            });
            prop_assert_eq!(&indexed(&mut scalar, &text, shallow), &above);
        }
    }

    #[test]
    fn special_bytes_are_found_in_exactly_the_range_asked() {
        let mut index = Index::default();
        let text = format!(r#"{{"{}\n{}":1}}"#, "a".repeat(100), "b".repeat(200));
        index.scan(text.as_bytes(), BOUNDS).unwrap();
        let at = text.find('\\').unwrap();
        for (start, end, expected) in [
            (at, at + 1, true),
            (at + 1, 250, false),
            (0, at, false),
            (0, at + 1, true),
            (3, 290, true),
            (at, at, false),
        ] {
            assert_eq!(!index.is_plain(start, end), expected, "{start}..{end}");
        }
    }

    #[test]
    fn room_for_a_large_message_is_given_back() {
        let mut index = Index::new();
        let large = format!("{{\"a\":[{}1]}}", "1,".repeat(64 * KEPT_WORDS));
        index.scan(large.as_bytes(), BOUNDS).unwrap();
        assert!(index.marks.len() > KEPT_WORDS);
        index.scan(b"{}", BOUNDS).unwrap();
        assert!(index.marks.len() <= KEPT_WORDS);
    }
}
