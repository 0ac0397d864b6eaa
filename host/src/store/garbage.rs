//! Pages that no directory names any more, kept until no reader can reach them.
//!
//! Which pages wait is stored (`f/<list u64>`: page and parts of each, LEB128), so that they are
//! found after a crash without listing all pages. Their numbers are given to new pages, which
//! overwrite them: that costs the store half of what removing one page and adding another does.

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
/// Most lists whose pages one batch removes.
const LISTS_AT_ONCE: usize = 2;
/// Snapshots for which pages that may be overwritten wait for that before they are removed.
const WAITED: u64 = 8;

/// Freed pages and who may still read them.
#[derive(Default)]
pub(crate) struct Garbage {
    lists: VecDeque<List>,
    /// The lists before it are used up by the batch that is being made.
    used_up: usize,
    /// Of pages that were written ahead of the commit that will name them.
    ahead: Vec<List>,
    /// Snapshots that were given out, oldest first.
    pins: VecDeque<(u64, Weak<Pin>)>,
    epoch: u64,
    /// Snapshots before this epoch are gone.
    oldest: u64,
}

struct List {
    id: u64,
    parts: u32,
    /// Snapshots from this epoch on do not name the pages.
    freed_at: u64,
    pages: Vec<(u64, u32)>,
    /// The pages before it are overwritten by the batch that is being made.
    taken: usize,
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

    /// Waits also for the snapshots that `before` gave out of the same rows, which were opened again. Which of
    /// the pages they name is not known, so all that is freed waits for them.
    pub(crate) fn wait_for_readers_of(&mut self, before: Self) {
        self.lists.iter_mut().for_each(|list| list.freed_at = before.epoch + 1);
        let own = std::mem::replace(&mut self.pins, before.pins);
        self.pins.extend(own.into_iter().map(|(epoch, pin)| (epoch + before.epoch, pin)));
        self.epoch += before.epoch;
        self.oldest = 0;
    }

    /// Writes down pages that the next snapshot no longer names.
    pub(crate) fn free(&mut self, batch: &mut Batch, freed: &[(u64, u32)], ids: &mut u64) {
        for pages in freed.chunks(LIST_PAGES) {
            let id = next_id(ids);
            let parts = chunks::put(batch, &key(id), &encode(pages));
            let freed_at = self.epoch + 1;
            self.lists.push_back(List { id, parts, freed_at, pages: pages.to_vec(), taken: 0 });
        }
    }

    /// Writes down pages that `batch` writes before a commit names them: should that never come, they
    /// are to be removed.
    pub(crate) fn ahead(&mut self, batch: &mut Batch, pages: Vec<(u64, u32)>, ids: &mut u64) {
        let id = next_id(ids);
        let parts = chunks::put(batch, &key(id), &encode(&pages));
        self.ahead.push(List { id, parts, freed_at: 0, pages, taken: 0 });
    }

    /// The pages written ahead are named by `batch`.
    pub(crate) fn named(&mut self, batch: &mut Batch) {
        self.ahead.drain(..).for_each(|list| chunks::remove(batch, &key(list.id), list.parts));
    }

    /// The pages written ahead will never be named, and the batch that is being made not applied.
    pub(crate) fn abandon(&mut self) {
        self.used_up = 0;
        self.lists.iter_mut().for_each(|list| list.taken = 0);
        self.ahead.drain(..).for_each(|list| self.lists.push_front(list));
    }

    /// The least number that is greater than those of all pages and lists that wait.
    pub(crate) fn free_id(&self) -> u64 {
        let greatest =
            |list: &List| list.pages.iter().map(|(page, _)| *page).max().max(Some(list.id));
        self.lists.iter().filter_map(greatest).max().map_or(0, |id| id.saturating_add(1))
    }

    /// A page that no reader can reach, and its parts, for the batch that is being made to overwrite.
    pub(crate) fn reuse(&mut self) -> Option<(u64, u32)> {
        let freed_at = self.lists.get(self.used_up)?.freed_at;
        if freed_at > self.oldest && freed_at > self.see_oldest() {
            return None;
        }
        let list = self.lists.get_mut(self.used_up)?;
        let page = list.pages.get(list.taken).copied()?;
        list.taken += 1;
        self.used_up += usize::from(list.taken == list.pages.len());
        Some(page)
    }

    /// Takes what `batch` overwrites off the lists, and removes pages that waited long enough for it: some
    /// of them, so that a commit stays short.
    pub(crate) fn collect(&mut self, batch: &mut Batch) {
        for list in self.lists.drain(..std::mem::take(&mut self.used_up)) {
            chunks::remove(batch, &key(list.id), list.parts);
        }
        if let Some(begun) = self.lists.front_mut().filter(|list| list.taken > 0) {
            begun.pages.drain(..std::mem::take(&mut begun.taken));
            let body = encode(&begun.pages);
            begun.parts = chunks::replace(batch, &key(begun.id), &body, begun.parts);
        }
        let oldest = self.see_oldest();
        for _ in 0..LISTS_AT_ONCE {
            let waited = |list: &mut List| list.freed_at + WAITED <= oldest;
            let Some(list) = self.lists.pop_front_if(waited) else { break };
            list.pages.iter().for_each(|&(page, parts)| pages::remove(batch, page, parts));
            chunks::remove(batch, &key(list.id), list.parts);
        }
    }

    fn see_oldest(&mut self) -> u64 {
        self.pins.retain(|(_, pin)| pin.strong_count() > 0);
        self.oldest = self.pins.front().map_or(self.epoch, |(epoch, _)| *epoch);
        self.oldest
    }

    /// A pin for the next snapshot, which is about to be given out.
    pub(crate) fn next_pin(&mut self) -> Arc<Pin> {
        let pin = Arc::new(Pin);
        self.epoch += 1;
        self.pins.push_back((self.epoch, Arc::downgrade(&pin)));
        pin
    }
}

/// Numbers for what a batch makes.
pub(crate) struct Numbers<'a> {
    /// The next one that was never given.
    pub(crate) next: &'a mut u64,
    pub(crate) garbage: &'a mut Garbage,
}

impl Numbers<'_> {
    /// The number of a new page, and how many parts the page has that it overwrites.
    pub(crate) fn page(&mut self) -> (u64, u32) {
        self.garbage.reuse().unwrap_or_else(|| (next_id(self.next), 0))
    }
}

fn encode(pages: &[(u64, u32)]) -> Vec<u8> {
    let mut body = Vec::new();
    for &(page, parts) in pages {
        leb128::push_u64(page, &mut body);
        leb128::push_u64(parts.into(), &mut body);
    }
    body
}

fn decode(record: &chunks::Record) -> Option<List> {
    let id = u64::from_be_bytes(record.key.get(2..)?.try_into().ok()?);
    let mut input = record.body.as_slice();
    let mut pages = Vec::new();
    while !input.is_empty() {
        let page = get_number(&mut input)?;
        pages.push((page, u32::try_from(get_number(&mut input)?).ok()?));
    }
    Some(List { id, parts: record.parts, freed_at: 0, pages, taken: 0 })
}

fn key(list: u64) -> [u8; 10] {
    let mut key = *b"f/\0\0\0\0\0\0\0\0";
    key[2..].copy_from_slice(&list.to_be_bytes());
    key
}
