//! Pages that no directory names any more, kept until no reader can reach them.
//!
//! Which pages wait is stored (`f/<list u64>`: page and parts of each, LEB128), so that they are
//! found after a crash without listing all pages.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use statmill_plugin_api::encoding::leb128;

use super::directory::next_id;
use super::kv::{Batch, Tree};
use super::rows::get_number;
use super::snapshot::Pin;
use super::{StoreError, chunks, pages};

/// Most pages of one list: bounds what one batch removes.
const LIST_PAGES: usize = 256;
/// Most lists that one batch removes beyond those it adds.
const LISTS_AT_ONCE: usize = 2;

/// Freed pages and who may still read them.
#[derive(Default)]
pub(crate) struct Garbage {
    lists: VecDeque<List>,
    /// Snapshots that were given out, oldest first.
    pins: VecDeque<(u64, Weak<Pin>)>,
    epoch: u64,
}

struct List {
    id: u64,
    parts: u32,
    /// Snapshots from this epoch on do not name the pages.
    freed_at: u64,
    pages: Vec<(u64, u32)>,
}

impl Garbage {
    /// Reads what an earlier process left; nobody reads it any more.
    pub(crate) fn load(tree: &dyn Tree, name: &str) -> Result<Self, StoreError> {
        let mut garbage = Self::default();
        for record in chunks::scan(tree, name, b"f/") {
            let record = record?;
            let list = decode(&record).ok_or_else(|| {
                StoreError::damaged(name, format!("list {}", chunks::hex(&record.key)))
            })?;
            garbage.lists.push_back(list);
        }
        Ok(garbage)
    }

    /// Writes down pages that the next snapshot no longer names.
    pub(crate) fn free(&mut self, batch: &mut Batch, freed: &[(u64, u32)], ids: &mut u64) {
        for pages in freed.chunks(LIST_PAGES) {
            let id = next_id(ids);
            let mut body = Vec::new();
            for &(page, parts) in pages {
                leb128::push_u64(page, &mut body);
                leb128::push_u64(parts.into(), &mut body);
            }
            let parts = chunks::put(batch, &key(id), &body);
            let freed_at = self.epoch + 1;
            self.lists.push_back(List { id, parts, freed_at, pages: pages.to_vec() });
        }
    }

    /// Removes pages that no reader can reach: some of them, so that a commit stays short.
    pub(crate) fn collect(&mut self, batch: &mut Batch, added_pages: usize) {
        self.pins.retain(|(_, pin)| pin.strong_count() > 0);
        let oldest = self.pins.front().map_or(self.epoch, |(epoch, _)| *epoch);
        for _ in 0..added_pages.div_ceil(LIST_PAGES) + LISTS_AT_ONCE {
            let Some(list) = self.lists.pop_front_if(|list| list.freed_at <= oldest) else { break };
            list.pages.iter().for_each(|&(page, parts)| pages::remove(batch, page, parts));
            chunks::remove(batch, &key(list.id), list.parts);
        }
    }

    /// A pin for the next snapshot, which is about to be given out.
    pub(crate) fn next_pin(&mut self) -> Arc<Pin> {
        let pin = Arc::new(Pin);
        self.epoch += 1;
        self.pins.push_back((self.epoch, Arc::downgrade(&pin)));
        pin
    }
}

fn decode(record: &chunks::Record) -> Option<List> {
    let id = u64::from_be_bytes(record.key.get(2..)?.try_into().ok()?);
    let mut input = record.body.as_slice();
    let mut pages = Vec::new();
    while !input.is_empty() {
        let page = get_number(&mut input)?;
        pages.push((page, u32::try_from(get_number(&mut input)?).ok()?));
    }
    Some(List { id, parts: record.parts, freed_at: 0, pages })
}

fn key(list: u64) -> [u8; 10] {
    let mut key = *b"f/\0\0\0\0\0\0\0\0";
    key[2..].copy_from_slice(&list.to_be_bytes());
    key
}
