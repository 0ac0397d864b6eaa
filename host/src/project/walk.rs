//! Finds the wanted values of one message while its structure is scanned.
//!
//! The scan tells of containers, colons and commas; the walk keeps to the trie of wanted pointers and notes
//! down where wanted values begin. They are judged when the whole message has passed.
//! What is found for a pointer depends on the text and that pointer alone, never on what else is
//! wanted: a value is judged by itself and what it lies in, not by its neighbours, which are not looked at.

use crate::project::decode::{self, Literal, Text};
use crate::project::scan::{Place, Scanner, Visit, is_blank};
use crate::project::strings::Strings;
use crate::project::trie::{Node, Trie};
use crate::project::{Limits, Reject, validate};

/// Depth at which serde_json gives up.
const VALIDATED_DEPTH: usize = 127;

/// What a pointer leads to in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Where the value begins and ends in the message's text, blanks trimmed.
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) tag: Tag,
}

/// What kind of value it seems to be from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// Nothing is there.
    Missing,
    /// What is there, or what it lies in, is not JSON.
    Broken,
    Container,
    /// From quote to quote, ASCII without controls and escapes between.
    Plain,
    /// From quote to quote; what is between is not yet checked.
    String,
    /// Anything else, not yet checked.
    Scalar,
}

const MISSING: Found = Found { start: 0, end: 0, tag: Tag::Missing };
const BROKEN: Found = Found { start: 0, end: 0, tag: Tag::Broken };

impl Found {
    pub(super) fn bytes<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        &text[self.start as usize..self.end as usize]
    }

    pub(super) fn is_string(&self) -> bool {
        matches!(self.tag, Tag::Plain | Tag::String)
    }

    /// The bytes between a string's quotes.
    pub(super) fn inside<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        &text[self.start as usize + 1..self.end as usize - 1]
    }
}

/// Scans and walks messages one after the other; its room is used again.
#[derive(Debug)]
pub(super) struct Finder {
    scanner: Scanner,
    seen: Vec<Seen>,
    key: Vec<u8>,
}

/// Where the value of a node lies, as far as the scan has come. All zero if there is none: that is
/// quickly filled in.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    is_there: u32,
    /// Just past its colon, comma or opening bracket.
    start: u32,
    /// If it is a container, just past its closing bracket.
    end: u32,
    /// If it is an array, how many commas between its elements have passed.
    commas: u32,
}

impl Finder {
    pub(super) fn new() -> Self {
        Self::with(Scanner::new())
    }

    #[cfg(test)]
    pub(super) fn with_unit(unit: crate::project::simd::Unit) -> Self {
        Self::with(Scanner::classified_by(unit))
    }

    fn with(scanner: Scanner) -> Self {
        Self { scanner, seen: Vec::new(), key: Vec::new() }
    }

    /// Judges the structure of a message and finds what each node of `trie` leads to.
    pub(super) fn find<'a>(
        &'a mut self,
        trie: &'a Trie,
        text: &'a [u8],
        limits: &Limits,
    ) -> Result<Values<'a>, Reject> {
        if text.len() > limits.max_message.min(i32::MAX as usize) {
            return Err(Reject::TooLarge);
        }
        let deepest = if limits.validate { VALIDATED_DEPTH } else { usize::MAX };
        let nodes = &*trie.nodes;
        self.seen.resize(nodes.len(), Seen::default());
        self.seen.fill(Seen::default());
        let (seen, key) = (&mut *self.seen, &mut self.key);
        let max_depth = limits.max_depth.min(deepest);
        if trie.wants_elements {
            let mut walk = Walk::<true>::new(text, nodes, seen, key);
            self.scanner.scan(text, max_depth, &mut walk)?;
        } else {
            let mut walk = Walk::<false>::new(text, nodes, seen, key);
            self.scanner.scan(text, max_depth, &mut walk)?;
        }
        if limits.validate && !validate::is_json(text) {
            return Err(Reject::Malformed);
        }
        Ok(Values { text, nodes, seen: &self.seen, strings: self.scanner.strings() })
    }
}

/// Follows the trie through a message.
struct Walk<'a, const ELEMENTS: bool> {
    text: &'a [u8],
    nodes: &'a [Node],
    seen: &'a mut [Seen],
    key: &'a mut Vec<u8>,
    /// The node whose value comes next, and from where on.
    expected: (usize, usize),
}

impl<const ELEMENTS: bool> Visit for Walk<'_, ELEMENTS> {
    const ELEMENTS: bool = ELEMENTS;

    #[inline(always)]
    fn opened(&mut self, _: Place, at: usize) -> Place {
        let (node, from) = self.expected;
        let between = self.text.get(from..at);
        if !between.is_some_and(|between| between.iter().all(|&byte| is_blank(byte))) {
            return Place::NOWHERE;
        }
        let is_entered = if self.text[at] == b'[' {
            self.first_element(node, at + 1);
            !self.nodes[node].elements.is_empty()
        } else {
            !self.nodes[node].is_leaf()
        };
        Place::known(node, is_entered)
    }

    #[inline(always)]
    fn member(&mut self, strings: &Strings, place: Place, colon: usize) {
        // A colon without a key before it is nobody's.
        if let Some(child) = self.child_before(strings, place.node(), colon) {
            self.comes_next(child, colon + 1);
        }
    }

    fn element(&mut self, place: Place, comma: usize) {
        let node = place.node();
        // The first comma is followed by element 1.
        self.seen[node].commas += 1;
        let number = self.seen[node].commas as usize;
        let elements = &self.nodes[node].elements;
        if let Ok(found) = elements.binary_search_by_key(&number, |&(wanted, _)| wanted) {
            self.comes_next(elements[found].1, comma + 1);
        }
    }

    #[inline]
    fn closed(&mut self, place: Place, end: usize) {
        self.seen[place.node()].end = end as u32;
    }
}

impl<'a, const ELEMENTS: bool> Walk<'a, ELEMENTS> {
    /// At the start of a message, of which nothing has been `seen`.
    fn new(text: &'a [u8], nodes: &'a [Node], seen: &'a mut [Seen], key: &'a mut Vec<u8>) -> Self {
        let mut walk = Self { text, nodes, seen, key, expected: (0, 0) };
        walk.comes_next(0, 0);
        walk
    }

    /// The value of `node` comes next, at or after `from`.
    #[inline(always)]
    fn comes_next(&mut self, node: usize, from: usize) {
        if self.seen[node].is_there != 0 {
            // The last of equal keys wins, with everything below it.
            self.seen[node + 1..self.nodes[node].end].fill(Seen::default());
        }
        self.seen[node] = Seen { is_there: 1, start: from as u32, ..Seen::default() };
        self.expected = (node, from);
    }

    /// Element 0 of an array that has one comes next; what is in the array begins at `from`.
    fn first_element(&mut self, node: usize, from: usize) {
        if let Some(&(0, child)) = self.nodes[node].elements.first()
            && self.text[from..].iter().find(|byte| !is_blank(**byte)) != Some(&b']')
        {
            self.comes_next(child, from);
        }
    }

    /// The wanted child whose key stands just before the colon. A key that is no valid string matches
    /// nothing.
    #[inline(always)]
    fn child_before(&mut self, strings: &Strings, node: usize, colon: usize) -> Option<usize> {
        let text = self.text;
        let (end, tail) = match text[..colon].split_last() {
            Some((b'"', before)) if let Some(&tail) = before.last_chunk() => {
                (colon - 1, u64::from_le_bytes(tail))
            }
            _ => distant_key(&text[..colon])?,
        };
        // A quote that stands where the key must begin is no part of a longer string. The tail has told
        // the last seven bytes and more.
        let is_key = |key: &[u8]| {
            let Some(quote) = end.checked_sub(1 + key.len()) else { return false };
            let found = &text[quote + 1..end];
            found.first_chunk::<8>() == key.first_chunk::<8>()
                && (key.len() < 16 || found == key)
                && strings.is_quote(quote)
        };
        let child = self.nodes[node].child_by_tail(tail, is_key);
        if child.is_some() || !strings.has_escapes() || is_short_and_plain(tail) {
            return child;
        }
        self.escaped_child(strings, node, end)
    }

    /// The wanted child whose key ends at `end` and is written with escapes.
    #[cold]
    fn escaped_child(&mut self, strings: &Strings, node: usize, end: usize) -> Option<usize> {
        let start = strings.quote_before(end)? + 1;
        if strings.is_plain(start, end) {
            return None;
        }
        let Text::Escaped(key) = decode::text(&self.text[start..end])? else { return None };
        self.key.clear();
        decode::unescape(key, self.key).then(|| self.nodes[node].child(self.key)).flatten()
    }
}

/// What the wanted pointers lead to in a message whose structure is sound.
pub(super) struct Values<'a> {
    text: &'a [u8],
    nodes: &'a [Node],
    seen: &'a [Seen],
    strings: &'a Strings,
}

impl Values<'_> {
    /// What `node` leads to.
    #[inline]
    pub(super) fn of(&self, node: usize) -> Found {
        let seen = self.seen[node];
        if seen.is_there != 0 {
            return self.value(seen);
        }
        if self.is_below_broken(node) { BROKEN } else { MISSING }
    }

    /// The first of `nodes` that is there at all.
    #[inline]
    pub(super) fn first_of(&self, nodes: &[usize]) -> Option<Found> {
        nodes.iter().map(|&node| self.of(node)).find(|found| found.tag != Tag::Missing)
    }

    /// Whether what `node` would lie in is there, but neither a container nor JSON.
    #[inline]
    fn is_below_broken(&self, mut node: usize) -> bool {
        while node != 0 {
            node = self.nodes[node].parent;
            let seen = self.seen[node];
            if seen.is_there != 0 {
                let start = self.skip_blanks(seen.start as usize);
                let is_container = matches!(self.text[start], b'{' | b'[');
                return !is_container && !self.is_sound(self.value(seen));
            }
        }
        false
    }

    /// The value that was seen, blanks trimmed. It must reach to the comma or closing bracket that ends it.
    #[inline]
    fn value(&self, seen: Seen) -> Found {
        let start = self.skip_blanks(seen.start as usize);
        let (tag, end) = match self.text[start] {
            b'{' | b'[' => (Tag::Container, seen.end as usize),
            b'"' => {
                let quote = self.strings.quote(start + 1);
                let is_plain = self.strings.is_plain(start + 1, quote);
                (if is_plain { Tag::Plain } else { Tag::String }, quote + 1)
            }
            _ => return self.scalar(start),
        };
        match self.text.get(self.skip_blanks(end)) {
            // Nothing comes after the message itself.
            None | Some(b',' | b'}' | b']') => Found { start: start as u32, end: end as u32, tag },
            Some(_) => BROKEN,
        }
    }

    /// What begins at `start` and is neither string nor container.
    #[inline]
    fn scalar(&self, start: usize) -> Found {
        let mut end = start;
        while IS_OTHER[self.text[end] as usize] {
            end += 1;
        }
        if !matches!(self.text[end], b',' | b'}' | b']') {
            return BROKEN;
        }
        while end > start && is_blank(self.text[end - 1]) {
            end -= 1;
        }
        let tag = if end == start { Tag::Broken } else { Tag::Scalar };
        Found { start: start as u32, end: end as u32, tag }
    }

    /// Whether a value that is no container is JSON.
    fn is_sound(&self, value: Found) -> bool {
        match value.tag {
            Tag::Container | Tag::Plain => true,
            Tag::String => decode::text(value.inside(self.text)).is_some(),
            Tag::Scalar => Literal::of(value.bytes(self.text)).is_some(),
            Tag::Missing | Tag::Broken => false,
        }
    }

    /// The first position at or after `at` that is not blank, or the end of the text.
    #[inline]
    fn skip_blanks(&self, mut at: usize) -> usize {
        while self.text.get(at).is_some_and(|&byte| is_blank(byte)) {
            at += 1;
        }
        at
    }
}

/// End and tail of a key that has blanks behind it, or not enough before it. Without a quote there is none.
#[cold]
fn distant_key(before: &[u8]) -> Option<(usize, u64)> {
    let end = before.iter().rposition(|&byte| !is_blank(byte))?;
    if before[end] != b'"' {
        return None;
    }
    let last = &before[end.saturating_sub(8)..end];
    let mut bytes = [0; 8];
    bytes[8 - last.len()..].copy_from_slice(last);
    Some((end, u64::from_le_bytes(bytes)))
}

/// Bytes that neither end a value nor begin a string or container.
const IS_OTHER: [bool; 256] = {
    let mut others = [true; 256];
    let mut ends: &[u8] = b",}]\"{[";
    while let [end, rest @ ..] = ends {
        others[*end as usize] = false;
        ends = rest;
    }
    others
};

/// Whether a key's last eight bytes (see [`Node::child_by_tail`]) show that it begins within them and has
/// no escapes. The quote must not be the first of them: a backslash may stand before it.
#[inline]
fn is_short_and_plain(tail: u64) -> bool {
    const ONES: u64 = u64::MAX / 255;
    // Zero bytes make the top bit of themselves, and maybe of bytes above the lowest zero byte.
    let zeros = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes & (ONES << 7);
    zeros(tail ^ (ONES * b'\\' as u64)) == 0 && zeros((tail ^ (ONES * b'"' as u64)) | 0xff) != 0
}
