//! How the records of one statistic's tree hang together: numbers given, deltas kept, fold reached.
//!
//! Record `l`, written with every batch. It is apart from the position record `w`, which it does
//! not explain: rows that were folded into pages are the same rows.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::index::IndexRecord;
use super::kv::{Batch, Tree};
use super::{StoreError, chunks};

/// Version of the whole layout of a tree; 1 knew no indexes, and is read as one without.
pub(crate) const LAYOUT: u32 = 2;

/// The state of a tree beside its rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Layout {
    /// Next unused number of a page, a leaf or a list of freed pages.
    pub(crate) next_id: u64,
    /// Oldest delta that is still stored.
    pub(crate) first_delta: u64,
    /// Deltas before it are in pages and only wait to be removed.
    pub(crate) folded: u64,
    /// Deltas before it are being folded.
    pub(crate) frozen_end: u64,
    /// Sequence of the next delta.
    pub(crate) next_delta: u64,
    /// Frozen rows before it are in pages.
    pub(crate) cursor: Option<Cursor>,
    /// Shards that ever wrote rows.
    pub(crate) shards: BTreeSet<u16>,
    /// Number of rows in the pages of each table.
    pub(crate) page_rows: Vec<u64>,
    /// The indexes, whose tables follow those of the models in this order.
    #[serde(default)]
    pub(crate) indexes: Vec<IndexRecord>,
    /// Sum of each table's directory; none in stores that are older than it.
    pub(crate) directories: Vec<u64>,
    /// Number of the commit that `w` has.
    pub(crate) commit: Option<u64>,
}

/// Whether somebody may have come to a number by counting; after others there may be none.
pub(crate) fn is_counted(number: u64) -> bool {
    number < 1 << 62
}

/// How far a fold has come: tables before `model` are done, and of it the rows before `key`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    pub(crate) model: usize,
    /// Stored key, base 16.
    pub(crate) key: String,
}

/// A JSON record with the version of its form.
#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    format: u32,
    content: T,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// Puts a JSON record where one of `before` parts was; returns the number of its parts.
pub(crate) fn put_json<T: Serialize>(
    batch: &mut Batch,
    key: &[u8],
    content: &T,
    before: u32,
) -> Result<u32, StoreError> {
    let versioned = Versioned { format: LAYOUT, content };
    let body = serde_json::to_vec(&versioned).map_err(|error| StoreError::Backend {
        what: "encode a record of",
        reason: error.to_string(),
    })?;
    Ok(chunks::replace(batch, key, &body, before))
}

/// Reads a JSON record and the number of its parts.
pub(crate) fn get_json<T: DeserializeOwned>(
    tree: &dyn Tree,
    name: &str,
    key: &[u8],
) -> Result<Option<(T, u32)>, StoreError> {
    let Some((body, parts)) = chunks::get(tree, name, key)? else { return Ok(None) };
    let what = || format!("record {} of {name}", String::from_utf8_lossy(key));
    let damaged =
        |error: serde_json::Error| StoreError::damaged(name, format!("{}: {error}", what()));
    let Format { format } = serde_json::from_slice(&body).map_err(damaged)?;
    if format > LAYOUT {
        return Err(StoreError::Newer { what: what(), found: format, known: LAYOUT });
    }
    let versioned: Versioned<T> = serde_json::from_slice(&body).map_err(damaged)?;
    Ok(Some((versioned.content, parts)))
}
