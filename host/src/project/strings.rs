//! Where the strings of a message begin and end, as the structure scan noted it down.

/// Words kept room for between messages; more is given back after a large one.
const KEPT_WORDS: usize = 1 << 14;

/// A bit for each byte of one message; its room is used again for the next. What lies past the point
/// the scan has come to is stale.
#[derive(Debug, Default)]
pub(super) struct Strings {
    /// Quotes that open or close a string.
    quotes: Vec<u64>,
    /// What plain text between quotes does not have: backslashes, controls, bytes above 127.
    specials: Vec<u64>,
    has_escapes: bool,
}

impl Strings {
    /// Makes room for a message of `len` bytes.
    pub(super) fn begin(&mut self, len: usize) {
        let words = len / 64 + 1;
        if self.quotes.len() > KEPT_WORDS && words <= KEPT_WORDS {
            *self = Self::default();
        }
        if self.quotes.len() < words {
            self.quotes.resize(words, 0);
            self.specials.resize(words, 0);
        }
        self.has_escapes = false;
    }

    /// Notes down 64 bytes.
    #[inline(always)]
    pub(super) fn put(&mut self, word: usize, quotes: u64, unusual: u64, backslashes: u64) {
        self.quotes[word] = quotes;
        // Joined as integers, for the reason given at `Classify::masks`.
        self.specials[word] = unusual | backslashes;
        self.has_escapes |= backslashes != 0;
    }

    /// Whether there has been a backslash anywhere.
    #[inline]
    pub(super) fn has_escapes(&self) -> bool {
        self.has_escapes
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

    /// Whether the byte at `at` opens or closes a string.
    #[inline]
    pub(super) fn is_quote(&self, at: usize) -> bool {
        self.quotes[at / 64] >> (at % 64) & 1 != 0
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

    #[cfg(test)]
    pub(super) fn words(&self) -> (&[u64], &[u64]) {
        (&self.quotes, &self.specials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_bytes_are_found_in_exactly_the_range_asked() {
        let mut strings = Strings::default();
        strings.begin(300);
        for word in 0..5 {
            strings.put(word, 0, if word == 1 { 1 << 38 } else { 0 }, 0);
        }
        let at = 64 + 38;
        for (start, end, expected) in [
            (at, at + 1, true),
            (at + 1, 250, false),
            (0, at, false),
            (0, at + 1, true),
            (3, 290, true),
            (at, at, false),
        ] {
            assert_eq!(!strings.is_plain(start, end), expected, "{start}..{end}");
        }
    }

    #[test]
    fn room_for_a_large_message_is_given_back() {
        let mut strings = Strings::default();
        strings.begin(64 * KEPT_WORDS + 64);
        assert!(strings.quotes.capacity() > KEPT_WORDS);
        strings.begin(64);
        assert!(strings.quotes.capacity() <= KEPT_WORDS);
    }
}
