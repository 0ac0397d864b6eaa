//! What is read of each message: the wanted fields of all stats, and where topic and time lie.

use statmill_plugin_api::manifest::FieldKind;

use crate::project::Mapping;
use crate::project::trie::Trie;

/// The trie of all wanted JSON pointers and what becomes of the value at each.
#[derive(Debug)]
pub struct Projection {
    pub(super) trie: Trie,
    columns: Vec<(String, FieldKind)>,
    /// Node of each column.
    pub(super) nodes: Vec<usize>,
    /// Nodes of the topic's pointers, in order.
    pub(super) topic: Vec<usize>,
    /// Nodes of the time's pointers, in order.
    pub(super) time: Vec<usize>,
}

/// Why a JSON pointer cannot be looked up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum PointerError {
    /// It is neither empty nor begins with a slash.
    #[error("pointer {pointer:?} must be empty or begin with '/'")]
    NoSlash { pointer: String },
    /// A `~` that is followed by neither 0 nor 1.
    #[error("pointer {pointer:?} has a '~' that is not '~0' (for '~') or '~1' (for '/')")]
    Escape { pointer: String },
    /// More tokens than a message may be deep.
    #[error("pointer {pointer:?} has more than {limit} parts: name a place nearer to the root")]
    TooLong { pointer: String, limit: usize },
    /// The whole document is wanted from somewhere else than the root.
    #[error("pointer {pointer:?} of a whole document must be empty: use raw for a part of it")]
    NotDocument { pointer: String },
}

impl Projection {
    /// Compiles the wanted fields, each (JSON pointer, kind) once; batches have a column for each, in
    /// this order.
    ///
    /// # Errors
    /// [`PointerError`] names the first pointer, of `mapping` or wanted, that cannot be looked up.
    pub fn compile(
        mapping: &Mapping,
        wanted: &[(String, FieldKind)],
    ) -> Result<Self, PointerError> {
        for (pointer, kind) in wanted {
            if *kind == FieldKind::Doc && !pointer.is_empty() {
                return Err(PointerError::NotDocument { pointer: pointer.clone() });
            }
        }
        let fields = wanted.iter().map(|(pointer, _)| pointer);
        let pointers = fields.chain(&mapping.topic).chain(&mapping.time);
        let (trie, mut nodes) = Trie::build(pointers.map(String::as_str))?;
        let time = nodes.split_off(wanted.len() + mapping.topic.len());
        let topic = nodes.split_off(wanted.len());
        Ok(Self { trie, columns: wanted.to_vec(), nodes, topic, time })
    }

    /// The wanted fields, in the order of a batch's columns.
    #[must_use]
    pub fn columns(&self) -> &[(String, FieldKind)] {
        &self.columns
    }
}
