//! Which parts of a message a stat reads.
//!
//! [`fields!`](crate::fields!) declares them once: a JSON pointer and a kind each. From that come
//! the list the host projects by ([`Fields`], in the stat's manifest) and a row type with one typed
//! method for each field ([`FieldSet`]). A value that is not there is never an error: each field
//! says why there is none ([`FieldValue`]).

use crate::abi::state;
use crate::batch::Message;
use crate::manifest::{FieldKind, FieldManifest};

/// A wanted field of each message, as a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name in the stat's code.
    pub name: &'static str,
    /// JSON pointer (RFC 6901) from the message's root; empty = the whole document.
    pub pointer: &'static str,
    /// How the value is handed over.
    pub kind: FieldKind,
}

/// The wanted fields of a stat, in the order of its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields(pub &'static [Field]);

impl Fields {
    /// For a stat that reads only topics and times.
    pub const NONE: Self = Self(&[]);

    /// The fields as the manifest has them.
    #[must_use]
    pub fn manifest(self) -> Vec<FieldManifest> {
        let manifest = |field: &Field| FieldManifest {
            name: field.name.to_owned(),
            pointer: field.pointer.to_owned(),
            kind: field.kind,
        };
        self.0.iter().map(manifest).collect()
    }
}

/// A row type made by [`fields!`](crate::fields!): a message with a method for each field.
pub trait FieldSet<'b>: Sized {
    /// The fields its methods read, which must be the stat's [`FIELDS`](crate::stat::Stat::FIELDS).
    const FIELDS: Fields;

    /// The row of one message.
    fn of(message: Message<'b>) -> Self;
}

/// What a message has where a field's pointer leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValue<T> {
    /// The pointer leads nowhere.
    Missing,
    /// JSON `null`.
    Null,
    /// There, but not of the wanted kind.
    WrongType,
    /// There, but not well-formed (bad escape, bad number, not UTF-8).
    Invalid,
    /// There.
    Value(T),
}

impl<T> FieldValue<T> {
    /// The value, where there is one.
    #[inline]
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }

    /// The state without the value; an unknown one, of a newer host, is [`FieldValue::Invalid`].
    #[inline]
    pub(crate) fn without_value(state: u8) -> Self {
        match state {
            state::MISSING => Self::Missing,
            state::NULL => Self::Null,
            state::WRONG_TYPE => Self::WrongType,
            _ => Self::Invalid,
        }
    }
}
