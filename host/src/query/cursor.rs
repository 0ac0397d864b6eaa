//! The place behind a row, as text that a client hands back to read on from there.
//!
//! It names the row, not its number, so that rows which come meanwhile neither repeat nor hide others.
//! Clients must not read it: its form may change between versions, and one of another version or
//! another question is refused.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use statmill_plugin_api::encoding::leb128;

/// Raised whenever the form changes.
const VERSION: u8 = 1;
/// The longest text of one: it is part of addresses.
const MAX_TEXT: usize = 8 << 10;

/// A place behind a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Hash of what decides in which order rows stand.
    pub(super) question: u64,
    /// Rows that were given up to it.
    pub(super) given: u64,
    /// The value of the column that rows are sorted by, encoded; empty where they are not.
    pub(super) cell: Vec<u8>,
    /// Key of the last row that was given.
    pub(super) key: Vec<u8>,
}

impl Cursor {
    /// Reads what a [`Cursor`] prints; `None` if it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.as_bytes()).ok()?;
        let (version, mut rest) = bytes.split_first()?;
        if *version != VERSION || text.len() > MAX_TEXT {
            return None;
        }
        let question = u64::from_le_bytes(*rest.split_off(..8)?.first_chunk()?);
        let given = leb128::take_u64(&mut rest, "a cursor").ok()?;
        let cell = usize::try_from(leb128::take_u64(&mut rest, "a cursor").ok()?).ok()?;
        let cell = rest.split_off(..cell)?.to_vec();
        Some(Self { question, given, cell, key: rest.to_vec() })
    }

    /// Whether it is short enough for an address: a key may hold any text.
    pub(super) fn is_short(&self) -> bool {
        const HEAD: usize = 32;
        (HEAD + self.cell.len() + self.key.len()) * 4 / 3 < MAX_TEXT
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.question.to_le_bytes());
        leb128::push_u64(self.given, &mut bytes);
        leb128::push_u64(self.cell.len() as u64, &mut bytes);
        bytes.extend_from_slice(&self.cell);
        bytes.extend_from_slice(&self.key);
        f.write_str(&URL_SAFE_NO_PAD.encode(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_printed_reads_back(question: u64, given: u64, cell: Vec<u8>, key: Vec<u8>) {
            let cursor = Cursor { question, given, cell, key };
            prop_assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        }

        #[test]
        fn whatever_a_client_sends_is_read_or_refused(bytes: Vec<u8>, text: String) {
            let _ = Cursor::parse(&URL_SAFE_NO_PAD.encode(&bytes));
            let _ = Cursor::parse(&text);
        }
    }
}
