//! Finds the wanted values of one message along the index that the structure scan left.
//!
//! What is found for a pointer depends on the text and that pointer alone, never on what else is
//! wanted: a container's members are told apart by its marks, and a malformed member makes everything
//! below that container [`Tag::Broken`], whichever member was asked for. Elements of an array are
//! judged one by one, because the walk ends at the last one wanted.

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
    /// What is there, or a container on the way, is not JSON.
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
        let bounds = Bounds { max_depth: limits.max_depth.min(deepest), wanted_depth: trie.depth };
        self.index.scan(text, bounds)?;
        if limits.validate && !validate::is_json(text) {
            return Err(Reject::Malformed);
        }
        self.found.clear();
        self.found.resize(trie.nodes.len(), MISSING);
        let nodes = &trie.nodes;
        let mut walk =
            Walk { text, index: &self.index, nodes, found: &mut self.found, key: &mut self.key };
        if !walk.object(0, 0) {
            return Err(Reject::Malformed);
        }
        walk.found[0] = walk.value(self.index.mark(0), self.index.mark(self.index.close(0)) + 1, 0);
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
    /// Walks the members of the object that mark `open` opens; `false` if one is not `"key": value`.
    fn object(&mut self, node: usize, open: usize) -> bool {
        let close = self.index.close(open);
        let mut mark = open + 1;
        let mut at = self.index.mark(open) + 1;
        if mark == close {
            return self.is_empty(at, self.index.mark(close));
        }
        loop {
            let colon = self.index.mark(mark);
            if self.text[colon] != b':' {
                return false;
            }
            let Some((start, end)) = self.key_between(at, colon) else {
                return false;
            };
            let value = mark + 1;
            let after = self.after_container(value);
            let stop = self.index.mark(after);
            if after != close && self.text[stop] != b',' {
                return false;
            }
            if let Some(child) = self.child(node, start, end) {
                self.record(child, colon + 1, stop, value);
            }
            if after == close {
                return true;
            }
            at = stop + 1;
            mark = after + 1;
        }
    }

    /// Walks the elements of the array that mark `open` opens, up to the last one wanted.
    fn array(&mut self, node: usize, open: usize) {
        let nodes = self.nodes;
        let close = self.index.close(open);
        let mut mark = open + 1;
        let mut at = self.index.mark(open) + 1;
        if mark == close && self.is_empty(at, self.index.mark(close)) {
            return;
        }
        let mut number = 0;
        for &(wanted, child) in &nodes[node].elements {
            loop {
                let mut after = mark;
                while after != close && self.text[self.index.mark(after)] != b',' {
                    let next = self.after_container(after);
                    after = if next == after { after + 1 } else { next };
                }
                let stop = self.index.mark(after);
                if number == wanted {
                    self.record(child, at, stop, mark);
                    break;
                }
                if after == close {
                    return;
                }
                at = stop + 1;
                mark = after + 1;
                number += 1;
            }
        }
    }

    /// The mark after the container that `mark` opens; `mark` itself if it opens none.
    #[inline]
    fn after_container(&self, mark: usize) -> usize {
        match self.text[self.index.mark(mark)] {
            b'{' | b'[' => self.index.close(mark) + 1,
            _ => mark,
        }
    }

    /// Where the one string in `at..colon` lies without its quotes, if there is nothing else.
    #[inline]
    fn key_between(&self, at: usize, colon: usize) -> Option<(usize, usize)> {
        let start = self.skip_blanks(at);
        if self.text[start] != b'"' {
            return None;
        }
        let end = self.index.quote(start + 1);
        // A blank run that ends at the colon; a string that ends past it cannot be, it is outside.
        (self.skip_blanks(end + 1) == colon).then_some((start + 1, end))
    }

    /// The wanted child whose key lies at `start..end`. A key that is no valid string matches nothing.
    #[inline]
    fn child(&mut self, node: usize, start: usize, end: usize) -> Option<usize> {
        let node = &self.nodes[node];
        let key = &self.text[start..end];
        if self.index.is_plain(start, end) {
            return node.child(key);
        }
        self.key.clear();
        match decode::text(key)? {
            Text::Plain(key) => node.child(key.as_bytes()),
            Text::Escaped(key) => {
                decode::unescape(key, self.key).then(|| node.child(self.key)).flatten()
            }
        }
    }

    /// Takes the value in `start..stop` for `node` and what is wanted below it. If it is a container,
    /// `mark` opens it.
    fn record(&mut self, node: usize, start: usize, stop: usize, mark: usize) {
        let nodes = self.nodes;
        let below = node + 1..nodes[node].end;
        if self.found[node].tag != Tag::Missing {
            // The last of equal keys wins, with everything below it.
            self.found[below.clone()].fill(MISSING);
        }
        let value = self.value(start, stop, mark);
        self.found[node] = value;
        if nodes[node].is_leaf() {
            return;
        }
        let is_sound = match value.tag {
            Tag::Container if self.text[value.start as usize] == b'{' => self.object(node, mark),
            Tag::Container => {
                self.array(node, mark);
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

    /// What lies in `start..stop`, blanks trimmed; `mark` is the first mark at or after `start`.
    #[inline]
    fn value(&self, start: usize, stop: usize, mark: usize) -> Found {
        let start = self.skip_blanks(start);
        if start >= stop {
            return BROKEN;
        }
        let mut end = stop;
        while is_blank(self.text[end - 1]) {
            end -= 1;
        }
        let (tag, last) = match self.text[start] {
            b'{' | b'[' => (Tag::Container, self.index.mark(self.index.close(mark)) + 1),
            b'"' => {
                let quote = self.index.quote(start + 1);
                let is_plain = self.index.is_plain(start + 1, quote);
                (if is_plain { Tag::Plain } else { Tag::String }, quote + 1)
            }
            _ => (Tag::Scalar, end),
        };
        if last == end { Found { start: start as u32, end: end as u32, tag } } else { BROKEN }
    }

    /// The first position at or after `at` that is not blank; ends at the last bracket at the latest.
    #[inline]
    fn skip_blanks(&self, mut at: usize) -> usize {
        while is_blank(self.text[at]) {
            at += 1;
        }
        at
    }

    fn is_empty(&self, start: usize, close: usize) -> bool {
        self.skip_blanks(start) == close
    }
}
