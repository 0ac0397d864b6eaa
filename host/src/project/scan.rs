//! The structure scan that every message passes, and the index it leaves behind.
//!
//! In: a message's text. Out: its verdict, and the places of all brackets, colons and commas outside
//! strings (*marks*), for each opening bracket the mark that closes it, and bitmaps of quotes and
//! of what is special in strings. The walk goes by the index alone and never needs to scan for the end of anything.
//! 64 bytes are classified at a time, by [`Scalar`] or by a vector unit (`simd.rs`); what follows from
//! the masks is the same code for all machines.

use crate::project::Reject;
use crate::project::classify::{Classify, Scalar};
use crate::project::simd::{self, Avx2};

/// Marks kept room for between messages; more is given back after a large one.
const KEPT_MARKS: usize = 1 << 16;

/// The structure of one message; its room is used again for the next.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Position of each mark, ascending. As long as there is room, not as there are marks.
    marks: Vec<u32>,
    /// For each mark that opens a container: the mark that closes it.
    links: Vec<u32>,
    /// Quotes that open or close a string, a bit for each byte; what lies past the text is stale.
    quotes: Vec<u64>,
    /// What plain text between quotes does not have: backslashes, controls, bytes above 127; likewise.
    specials: Vec<u64>,
    /// Containers open at this point of the scan: mark << 1 | is array.
    open: Vec<u32>,
    vector: Option<Avx2>,
}

/// What one block hands to the next.
#[derive(Default)]
struct Carry {
    /// Bit 0: the first byte is escaped.
    escape: u64,
    /// All ones inside a string.
    string: u64,
    marks: usize,
}

/// What a scan may find and what it need not note down.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) max_depth: usize,
    /// Containers nested deeper hold nothing wanted: their marks may be left out.
    pub(super) wanted_depth: usize,
}

impl Index {
    /// With the fastest classification this machine has.
    pub(super) fn new() -> Self {
        Self { vector: Avx2::detect(), ..Self::default() }
    }

    /// Scans `text`, which is shorter than 2 GiB.
    pub(super) fn scan(&mut self, text: &[u8], bounds: Bounds) -> Result<(), Reject> {
        if self.marks.len() > KEPT_MARKS && text.len() < KEPT_MARKS {
            *self = Self { vector: self.vector, ..Self::default() };
        }
        match self.vector {
            Some(avx2) => simd::scan(avx2, self, text, bounds),
            None => self.scan_with(Scalar, text, bounds),
        }
    }

    #[inline(always)]
    pub(super) fn scan_with<C: Classify>(
        &mut self,
        classify: C,
        text: &[u8],
        bounds: Bounds,
    ) -> Result<(), Reject> {
        self.open.clear();
        let words = text.len() / 64 + 1;
        if self.quotes.len() < words {
            self.quotes.resize(words, 0);
            self.specials.resize(words, 0);
        }
        if text.iter().find(|byte| !is_blank(**byte)) != Some(&b'{') {
            return Err(Reject::Malformed);
        }
        let mut carry = Carry::default();
        let (blocks, rest) = text.as_chunks::<64>();
        let mut start = 0;
        for block in blocks {
            if let Some(end) = self.block(classify, block, start, &mut carry, bounds)? {
                return only_blanks(&text[end..]);
            }
            start += 64;
        }
        let mut last = [b' '; 64];
        last[..rest.len()].copy_from_slice(rest);
        match self.block(classify, &last, start, &mut carry, bounds)? {
            Some(end) => only_blanks(&text[end..]),
            None => Err(Reject::Malformed),
        }
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
        self.quotes[start / 64] = quotes;
        // Joined as integers: joined as vectors, the compiler takes them apart byte by byte.
        self.specials[start / 64] = masks.unusual | masks.backslashes;

        let marks = masks.marks & !string;
        let mut brackets = masks.brackets & !string;
        // A backslash outside a string ends every JSON text; what the masks say after it is void.
        let stray = masks.backslashes & !string;
        if stray != 0 {
            brackets &= (stray & stray.wrapping_neg()) - 1;
        }
        if brackets == 0 && self.open.len() > bounds.wanted_depth {
            return if stray == 0 { Ok(None) } else { Err(Reject::Malformed) };
        }
        let first = carry.marks;
        carry.marks += self.note(first, marks, start);
        while brackets != 0 {
            let at = brackets.trailing_zeros();
            brackets &= brackets - 1;
            let mark = first + (marks & ((1 << at) - 1)).count_ones() as usize;
            let byte = block[at as usize & 63];
            let is_array = u32::from(byte & 0x20 == 0);
            if byte & 2 != 0 {
                if self.open.len() >= bounds.max_depth {
                    return Err(Reject::TooDeep);
                }
                self.open.push((mark as u32) << 1 | is_array);
            } else {
                let Some(opened) = self.open.pop().filter(|opened| opened & 1 == is_array) else {
                    return Err(Reject::Malformed);
                };
                self.links[opened as usize >> 1] = mark as u32;
                if self.open.is_empty() {
                    return Ok(Some(start + at as usize + 1));
                }
            }
        }
        if stray == 0 { Ok(None) } else { Err(Reject::Malformed) }
    }

    /// Writes down the marks of a block from number `first` on; tells how many there are.
    #[inline(always)]
    fn note(&mut self, first: usize, mut bits: u64, start: usize) -> usize {
        if self.marks.len() < first + 64 {
            let room = (first + 64).next_power_of_two().max(1024);
            self.marks.resize(room, 0);
            self.links.resize(room, 0);
        }
        let count = bits.count_ones() as usize;
        let out = &mut self.marks[first..first + 64];
        for eight in out.chunks_exact_mut(8) {
            // Eight at a time without a branch: the count is unpredictable, surplus ones are overwritten.
            for mark in eight {
                *mark = (start as u32).wrapping_add(bits.trailing_zeros());
                bits &= bits.wrapping_sub(1);
            }
            if bits == 0 {
                break;
            }
        }
        count
    }

    /// Position of a mark.
    #[inline]
    pub(super) fn mark(&self, mark: usize) -> usize {
        self.marks[mark] as usize
    }

    /// The mark that closes the container opened by mark `open`.
    #[inline]
    pub(super) fn close(&self, open: usize) -> usize {
        self.links[open] as usize
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
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn only_blanks(rest: &[u8]) -> Result<(), Reject> {
    if rest.iter().all(|&byte| is_blank(byte)) { Ok(()) } else { Err(Reject::Malformed) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { max_depth: 5, wanted_depth: 5 };

    /// The scan byte by byte: the verdict and, for each mark, its position and the one that closes it.
    fn plainly(text: &[u8]) -> Result<Vec<(usize, usize)>, Reject> {
        let start = text.iter().position(|&b| !is_blank(b)).ok_or(Reject::Malformed)?;
        if text[start] != b'{' {
            return Err(Reject::Malformed);
        }
        let (mut marks, mut open): (Vec<(usize, usize)>, Vec<usize>) = Default::default();
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
                b'{' | b'[' if open.len() == BOUNDS.max_depth => return Err(Reject::TooDeep),
                b'{' | b'[' => open.push(marks.len()),
                b'}' | b']' => {
                    let opened = open.pop().ok_or(Reject::Malformed)?;
                    if text[marks[opened].0] != if byte == b'}' { b'{' } else { b'[' } {
                        return Err(Reject::Malformed);
                    }
                    marks[opened].1 = marks.len();
                }
                _ => {}
            }
            if b"{}[]:,".contains(&byte) {
                marks.push((at, 0));
            }
            if !marks.is_empty() && open.is_empty() {
                return only_blanks(&text[at + 1..]).map(|()| marks);
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
        let marks = 0..=index.close(0);
        Ok(marks
            .map(|mark| {
                let at = index.mark(mark);
                (at, if matches!(text[at], b'{' | b'[') { index.close(mark) } else { 0 })
            })
            .collect())
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
            prop_assert_eq!(&indexed(&mut scalar, &text, BOUNDS), &expected);
            let mut vector = Index::new();
            prop_assert_eq!(&indexed(&mut vector, &text, BOUNDS), &expected);
            let shallow = Bounds { wanted_depth: 0, ..BOUNDS };
            prop_assert_eq!(scalar.scan(&text, shallow).is_ok(), expected.is_ok());
            prop_assert_eq!(scalar.quotes, vector.quotes);
            prop_assert_eq!(scalar.specials, vector.specials);
        }

        #[test]
        fn classifications_agree_on_any_block(bytes in prop::collection::vec(any::<u8>(), 64), bits: u64) {
            if let Some(avx2) = Avx2::detect() {
                let block: [u8; 64] = bytes.try_into().unwrap();
                prop_assert_eq!(avx2.masks(&block), Scalar.masks(&block));
                prop_assert_eq!(avx2.prefix_xor(bits), Scalar.prefix_xor(bits));
            }
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
        let large = format!("{{\"a\":[{}1]}}", "1,".repeat(KEPT_MARKS));
        index.scan(large.as_bytes(), BOUNDS).unwrap();
        assert!(index.marks.len() > KEPT_MARKS);
        index.scan(b"{}", BOUNDS).unwrap();
        assert!(index.marks.len() <= KEPT_MARKS);
    }
}
