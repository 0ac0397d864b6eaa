//! Why bytes are not rows.

/// Bytes that are no canonical encoding. They came from another version of this crate, from a
/// faulty plugin or from a damaged store: refuse the block, or rebuild the stat from its logs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum DecodeError {
    /// The bytes end before `what` does.
    #[error("the bytes end inside {what}")]
    Truncated { what: &'static str },
    /// `what` stands for a value, but is not the one way to write it.
    #[error("{what} is not in canonical form")]
    NotCanonical { what: &'static str },
    /// `what` stands for a value outside of its type or of the measure's limits.
    #[error("{what} is out of range")]
    OutOfRange { what: &'static str },
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    NotUtf8,
    /// A JSON value is not well-formed JSON text.
    #[error("a JSON value is not well-formed")]
    NotJson,
    /// `extra` bytes follow the end of `what`.
    #[error("{extra} bytes follow the end of {what}")]
    Trailing { what: &'static str, extra: usize },
    /// A block's row number `row` does not sort after the row before it.
    #[error("row {row} of a block does not sort after the row before it")]
    Unordered { row: u64 },
}
