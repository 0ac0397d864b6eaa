//! The trie of wanted JSON pointers (RFC 6901), laid out in preorder.

use crate::project::PointerError;

/// Most tokens of a pointer: bounds the recursion of the walk.
const MAX_TOKENS: usize = 128;

/// The wanted pointers; a pointer's node number is its index in `nodes`, the root is 0.
#[derive(Debug)]
pub(super) struct Trie {
    pub(super) nodes: Vec<Node>,
    /// Some pointer may lead through an array.
    pub(super) wants_elements: bool,
}

/// A place in a message that a wanted pointer leads to or through.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// The members and elements wanted below.
    children: Vec<Child>,
    /// A bit for each [`filter_bit`] of their keys: most keys of a message are told by it.
    filter: u64,
    /// Those that may be elements of an array, by ascending index.
    pub(super) elements: Vec<(usize, usize)>,
    /// A pointer ends here: the value itself is wanted, not only what lies below.
    pub(super) is_wanted: bool,
    /// The node this one is a member or element of; the root's is the root.
    pub(super) parent: usize,
    /// Just past the last node of this subtree: in preorder the descendants are `self + 1..end`.
    pub(super) end: usize,
}

#[derive(Debug)]
struct Child {
    key: Box<[u8]>,
    node: usize,
    /// The last eight bytes of the opening quote and the key, the last one topmost.
    tail: u64,
    /// Those bits of `tail` that count: fewer where the key is short.
    mask: u64,
}

impl Child {
    fn new(key: &str, node: usize) -> Self {
        let quoted = [b"\"", key.as_bytes()].concat();
        let last = &quoted[quoted.len().saturating_sub(8)..];
        let mut bytes = [0; 8];
        bytes[8 - last.len()..].copy_from_slice(last);
        let mask = u64::MAX << (64 - 8 * last.len());
        let tail = u64::from_le_bytes(bytes);
        // No tail has a bit that the mask lacks.
        let is_escaped = |c: char| c < ' ' || c == '"' || c == '\\';
        let (tail, mask) = if key.contains(is_escaped) { (1, 0) } else { (tail, mask) };
        Self { key: key.as_bytes().into(), node, tail, mask }
    }
}

impl Node {
    /// The child whose key is `key` (unescaped).
    pub(super) fn child(&self, key: &[u8]) -> Option<usize> {
        self.children.iter().find(|child| *child.key == *key).map(|child| child.node)
    }

    /// The child whose key stands before a quote, where `tail` are the eight bytes before that (as
    /// [`u64::from_le_bytes`] reads them) and `is_key` knows the rest. Most keys are not wanted, and their
    /// tails tell so at once. A key with a quote, a backslash or a control never stands there as it is.
    #[inline(always)]
    pub(super) fn child_by_tail(&self, tail: u64, is_key: impl Fn(&[u8]) -> bool) -> Option<usize> {
        if self.filter & filter_bit(tail) == 0 {
            return None;
        }
        for child in &self.children {
            if tail & child.mask == child.tail && is_key(&child.key) {
                return Some(child.node);
            }
        }
        None
    }

    pub(super) fn is_leaf(&self) -> bool {
        self.children.is_empty()
    }
}

/// The bit of a filter for a key by its tail's last two bytes.
#[inline]
fn filter_bit(tail: u64) -> u64 {
    1 << ((tail >> 48).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58)
}

/// A trie being built: nodes in order of first mention.
#[derive(Default)]
struct Draft {
    nodes: Vec<Vec<(String, usize)>>,
}

impl Trie {
    /// Builds the trie of `pointers` and tells the node of each.
    pub(super) fn build<'a>(
        pointers: impl Iterator<Item = &'a str>,
    ) -> Result<(Self, Vec<usize>), PointerError> {
        let mut draft = Draft { nodes: vec![Vec::new()] };
        let mut leaves = Vec::new();
        for pointer in pointers {
            let tokens = tokens(pointer)?;
            leaves.push(tokens.into_iter().fold(0, |at, token| draft.child(at, token)));
        }
        let mut places = vec![0; draft.nodes.len()];
        let mut nodes = Vec::with_capacity(draft.nodes.len());
        draft.lay_out(0, &mut nodes, &mut places);
        let leaves: Vec<usize> = leaves.into_iter().map(|leaf| places[leaf]).collect();
        for &leaf in &leaves {
            nodes[leaf].is_wanted = true;
        }
        let wants_elements = nodes.iter().any(|node| !node.elements.is_empty());
        Ok((Self { nodes, wants_elements }, leaves))
    }
}

impl Draft {
    fn child(&mut self, at: usize, token: String) -> usize {
        if let Some((_, node)) = self.nodes[at].iter().find(|(key, _)| *key == token) {
            return *node;
        }
        let node = self.nodes.len();
        self.nodes.push(Vec::new());
        self.nodes[at].push((token, node));
        node
    }

    fn lay_out(&self, at: usize, nodes: &mut Vec<Node>, places: &mut [usize]) {
        let place = nodes.len();
        places[at] = place;
        nodes.push(Node::default());
        for (key, child) in &self.nodes[at] {
            self.lay_out(*child, nodes, places);
            nodes[places[*child]].parent = place;
            let node = &mut nodes[place];
            node.elements.extend(index(key).map(|index| (index, places[*child])));
            let child = Child::new(key, places[*child]);
            // Without two bytes of its own a key stands behind any byte.
            let is_told = child.mask >> 48 == 0xffff;
            node.filter |= if is_told { filter_bit(child.tail) } else { u64::MAX };
            node.children.push(child);
        }
        let end = nodes.len();
        nodes[place].elements.sort_unstable();
        nodes[place].end = end;
    }
}

/// The tokens of a pointer, `~1` and `~0` undone.
fn tokens(pointer: &str) -> Result<Vec<String>, PointerError> {
    if pointer.is_empty() {
        return Ok(Vec::new());
    }
    let Some(rest) = pointer.strip_prefix('/') else {
        return Err(PointerError::NoSlash { pointer: pointer.to_owned() });
    };
    let tokens =
        rest.split('/').map(|token| undo(pointer, token)).collect::<Result<Vec<_>, _>>()?;
    if tokens.len() > MAX_TOKENS {
        return Err(PointerError::TooLong { pointer: pointer.to_owned(), limit: MAX_TOKENS });
    }
    Ok(tokens)
}

fn undo(pointer: &str, token: &str) -> Result<String, PointerError> {
    let mut parts = token.split('~');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (plain, rest) = match part.as_bytes().first() {
            Some(b'0') => ('~', &part[1..]),
            Some(b'1') => ('/', &part[1..]),
            _ => return Err(PointerError::Escape { pointer: pointer.to_owned() }),
        };
        text.push(plain);
        text.push_str(rest);
    }
    Ok(text)
}

/// The array index a token stands for: digits without a leading zero.
fn index(token: &str) -> Option<usize> {
    let canonical = token == "0" || !token.starts_with(['0', '+']);
    canonical.then(|| token.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_once() {
        assert_eq!(
            tokens("/a~1b/~01/m~0n/"),
            Ok(vec!["a/b".into(), "~1".into(), "m~n".into(), String::new()])
        );
        assert_eq!(tokens("/a~2"), Err(PointerError::Escape { pointer: "/a~2".into() }));
        assert_eq!(tokens("/a~"), Err(PointerError::Escape { pointer: "/a~".into() }));
        assert_eq!(tokens("a"), Err(PointerError::NoSlash { pointer: "a".into() }));
    }

    #[test]
    fn only_canonical_digits_are_an_index() {
        assert_eq!(index("0"), Some(0));
        assert_eq!(index("17"), Some(17));
        for token in ["", "00", "01", "+1", "-1", "1a", "99999999999999999999999"] {
            assert_eq!(index(token), None, "{token}");
        }
    }

    #[test]
    fn a_node_comes_right_before_its_descendants() {
        let (trie, leaves) =
            Trie::build(["/a/b", "/c", "/a", "", "/a/0", "/a/b"].into_iter()).expect("pointers");
        assert_eq!(leaves, [2, 4, 1, 0, 3, 2]);
        assert_eq!(trie.nodes.iter().map(|node| node.end).collect::<Vec<_>>(), [5, 4, 3, 4, 5]);
        assert_eq!(trie.nodes[1].elements, [(0, 3)]);
    }
}
