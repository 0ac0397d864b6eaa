//! Finds the wanted values of one message along the index that the structure scan left.
//!
//! What is found for a pointer depends on the text and that pointer alone, never on what else is
//! wanted: a value is judged by itself and what it lies in, not by its neighbours, which are not looked at.

use crate::project::decode::{self, Literal, Text};
use crate::project::scan::{Bounds, Index, is_blank};
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
    index: Index,
    found: Vec<Found>,
    key: Vec<u8>,
}

impl Finder {
    pub(super) fn new() -> Self {
        Self { index: Index::new(), found: Vec::new(), key: Vec::new() }
    }

    #[cfg(test)]
    pub(super) fn scalar() -> Self {
        Self { index: Index::default(), ..Self::new() }
    }

    /// Judges the structure of a message and finds what each node of `trie` leads to.
    pub(super) fn find(&mut self, trie: &Trie, text: &[u8], limits: &Limits) -> Result<(), Reject> {
        if text.len() > limits.max_message.min(i32::MAX as usize) {
            return Err(Reject::TooLarge);
        }
        let deepest = if limits.validate { VALIDATED_DEPTH } else { usize::MAX };
        let bounds = Bounds { max_depth: limits.max_depth.min(deepest), levels: trie.depth + 1 };
        self.index.scan(text, bounds)?;
        if limits.validate && !validate::is_json(text) {
            return Err(Reject::Malformed);
        }
        self.found.clear();
        self.found.resize(trie.nodes.len(), MISSING);
        let nodes = &trie.nodes;
        let mut walk =
            Walk { text, index: &self.index, nodes, found: &mut self.found, key: &mut self.key };
        let start = walk.skip_blanks(0);
        let end = if nodes[0].is_wanted { walk.end_of_container(start, 0) } else { start };
        walk.found[0] = Found { start: start as u32, end: end as u32, tag: Tag::Container };
        walk.object(0, start, 0);
        Ok(())
    }

    pub(super) fn found(&self, node: usize) -> Found {
        self.found[node]
    }

    /// The first of `nodes` that is there at all.
    pub(super) fn first_found(&self, nodes: &[usize]) -> Option<Found> {
        nodes.iter().map(|&node| self.found[node]).find(|found| found.tag != Tag::Missing)
    }
}

struct Walk<'a> {
    text: &'a [u8],
    index: &'a Index,
    nodes: &'a [Node],
    found: &'a mut [Found],
    key: &'a mut Vec<u8>,
}

impl Walk<'_> {
    /// Walks the members of the object that the bracket at `open` opens; `level` is that of its members.
    fn object(&mut self, node: usize, open: usize, level: usize) {
        let index = self.index;
        for mark in index.marks(level, open) {
            if self.text[mark] != b':' {
                return;
            }
            // A colon without a key before it is nobody's.
            if let Some(child) = self.child_before(node, mark) {
                self.record(child, mark + 1, level);
            }
        }
    }

    /// Walks the elements of the array that the bracket at `open` opens, up to the last one wanted.
    fn array(&mut self, node: usize, open: usize, level: usize) {
        let nodes = self.nodes;
        let mut at = open + 1;
        let mut number = 0;
        for &(wanted, child) in &nodes[node].elements {
            loop {
                let (value, after) = self.value(at, level);
                let is_last = self.text[after] != b',';
                if number == wanted {
                    // An array of nothing has no first element.
                    if !(number == 0 && is_last && self.skip_blanks(at) == after) {
                        self.take(child, value, level);
                    }
                    break;
                }
                if is_last {
                    return;
                }
                at = after + 1;
                number += 1;
            }
        }
    }

    /// The wanted child whose key stands just before the colon. A key that is no valid string matches
    /// nothing.
    #[inline]
    fn child_before(&mut self, node: usize, colon: usize) -> Option<usize> {
        // An object's bracket or an earlier colon lies before: this ends.
        let mut end = colon - 1;
        while is_blank(self.text[end]) {
            end -= 1;
        }
        if self.text[end] != b'"' {
            return None;
        }
        let tail = match self.text[..end].last_chunk() {
            Some(&bytes) => u64::from_le_bytes(bytes),
            None => {
                let mut bytes = [0; 8];
                bytes[8 - end..].copy_from_slice(&self.text[..end]);
                u64::from_le_bytes(bytes)
            }
        };
        let (text, index) = (self.text, self.index);
        // The quote before it must be the one that opens the string, not one inside.
        let is_key = |key: &[u8]| {
            text[..end].ends_with(key) && index.quote_before(end) == end.checked_sub(1 + key.len())
        };
        let child = self.nodes[node].child_by_tail(tail, is_key);
        if child.is_some() || !index.has_escapes() || is_short_and_plain(tail) {
            return child;
        }
        self.escaped_child(node, end)
    }

    /// The wanted child whose key ends at `end` and is written with escapes.
    fn escaped_child(&mut self, node: usize, end: usize) -> Option<usize> {
        let start = self.index.quote_before(end)? + 1;
        if self.index.is_plain(start, end) {
            return None;
        }
        let Text::Escaped(key) = decode::text(&self.text[start..end])? else { return None };
        self.key.clear();
        decode::unescape(key, self.key).then(|| self.nodes[node].child(self.key)).flatten()
    }

    /// Takes the value that begins at or after `at` for `node` and what is wanted below it.
    #[inline]
    fn record(&mut self, node: usize, at: usize, level: usize) {
        let start = self.skip_blanks(at);
        let value = match self.text[start] {
            // Where only members are wanted, the end is nobody's business.
            b'{' if !self.nodes[node].is_wanted => {
                Found { start: start as u32, end: start as u32, tag: Tag::Container }
            }
            _ => self.value(start, level).0,
        };
        self.take(node, value, level);
    }

    fn take(&mut self, node: usize, value: Found, level: usize) {
        let nodes = self.nodes;
        let below = node + 1..nodes[node].end;
        if self.found[node].tag != Tag::Missing {
            // The last of equal keys wins, with everything below it.
            self.found[below.clone()].fill(MISSING);
        }
        self.found[node] = value;
        if nodes[node].is_leaf() {
            return;
        }
        let start = value.start as usize;
        let is_sound = match value.tag {
            Tag::Container if self.text[start] == b'{' => {
                self.object(node, start, level + 1);
                true
            }
            Tag::Container => {
                self.array(node, start, level + 1);
                true
            }
            Tag::Plain => true,
            Tag::String => decode::text(value.inside(self.text)).is_some(),
            Tag::Scalar => Literal::of(value.bytes(self.text)).is_some(),
            Tag::Missing | Tag::Broken => false,
        };
        if !is_sound {
            self.found[below].fill(BROKEN);
        }
    }

    /// What lies between `at` and the comma or closing bracket that ends it, blanks trimmed, and where
    /// that is; `level` is that of the container it lies in.
    #[inline]
    fn value(&self, at: usize, level: usize) -> (Found, usize) {
        let start = self.skip_blanks(at);
        let (tag, end) = match self.text[start] {
            b'{' | b'[' => (Tag::Container, self.end_of_container(start, level + 1)),
            b'"' => {
                let quote = self.index.quote(start + 1);
                let is_plain = self.index.is_plain(start + 1, quote);
                (if is_plain { Tag::Plain } else { Tag::String }, quote + 1)
            }
            _ => {
                let after = self.end(start, level);
                let mut end = after;
                while end > start && is_blank(self.text[end - 1]) {
                    end -= 1;
                }
                let tag = if end == start { Tag::Broken } else { Tag::Scalar };
                return (Found { start: start as u32, end: end as u32, tag }, after);
            }
        };
        let after = self.skip_blanks(end);
        if matches!(self.text[after], b',' | b'}' | b']') {
            return (Found { start: start as u32, end: end as u32, tag }, after);
        }
        (BROKEN, self.end(after, level))
    }

    /// The first comma or closing bracket at or after `at` that is of `level`, however little of what
    /// lies before it is JSON.
    #[inline]
    fn end(&self, mut at: usize, level: usize) -> usize {
        loop {
            while IS_OTHER[self.text[at] as usize] {
                at += 1;
            }
            match self.text[at] {
                b'"' => at = self.index.quote(at + 1) + 1,
                b'{' | b'[' => at = self.end_of_container(at, level + 1),
                _ => return at,
            }
        }
    }

    /// Just past the bracket that closes the container opened at `open`, which is of `level`.
    #[inline]
    fn end_of_container(&self, open: usize, level: usize) -> usize {
        let mut marks = self.index.marks(level, open);
        // Brackets are balanced, so there is one.
        marks.find(|&mark| self.text[mark] != b':').map_or(self.text.len(), |close| close + 1)
    }

    /// The first position at or after `at` that is not blank; ends at the last bracket at the latest.
    #[inline]
    fn skip_blanks(&self, mut at: usize) -> usize {
        while is_blank(self.text[at]) {
            at += 1;
        }
        at
    }
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
