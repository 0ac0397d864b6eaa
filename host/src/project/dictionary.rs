//! Dictionaries: the texts of `sym` columns and topics as codes, for a generation.
//!
//! Codes mean something only within a [`Generation`]. Several ingest threads add texts to the one
//! current generation; stats read texts by code without a lock. When a generation has grown past its
//! [`Caps`] or an hour old, the next batch begins another, and the old one is freed with the last
//! batch that refers to it.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hashbrown::HashTable;
use parking_lot::{Mutex, RwLock};
use statmill_plugin_api::abi::DictionaryAbi;
use statmill_plugin_api::abi::RStr;
use statmill_plugin_api::manifest::FieldKind;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Age at which a generation is replaced, so that texts no longer seen are forgotten.
const MAX_AGE: Duration = Duration::from_secs(3600);
/// Entries of the first chunk; each further chunk is twice as large.
const FIRST_CHUNK: u32 = 64;
/// Enough chunks for any `u32`.
const CHUNKS: usize = 27;
/// What an entry takes besides its text: its place, its allocation, its slot in the table.
const ENTRY_BYTES: usize = 64;
/// Slots of a [`Recent`].
const RECENT: usize = 2048;

/// How large a generation may become; checked before each batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Entries of all dictionaries together.
    pub entries: usize,
    /// Their bytes, texts and bookkeeping.
    pub bytes: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self { entries: 1 << 20, bytes: 64 << 20 }
    }
}

/// The dictionaries of all columns, generation after generation; shared by all ingest threads.
#[derive(Debug)]
pub struct Dictionaries {
    is_sym: Vec<bool>,
    caps: Caps,
    seed: u64,
    current: Mutex<Arc<Generation>>,
}

impl Dictionaries {
    /// Dictionaries for the columns of a projection ([`crate::project::Projection::columns`]) and for
    /// topics. Projections of other mappings with the same columns may share them.
    #[must_use]
    pub fn new(columns: &[(String, FieldKind)], caps: Caps) -> Self {
        let is_sym: Vec<bool> = columns.iter().map(|(_, kind)| *kind == FieldKind::Sym).collect();
        // Random, so that nobody can send texts made to collide.
        let seed = std::hash::RandomState::new().hash_one(0);
        let current = Mutex::new(Arc::new(Generation::new(0, &is_sym)));
        Self { is_sym, caps, seed, current }
    }

    /// The generation for the next batch; a new one where the last has had its day.
    #[must_use]
    pub fn current(&self) -> Arc<Generation> {
        let mut current = self.current.lock();
        let (entries, bytes) = current.size();
        if entries > self.caps.entries
            || bytes > self.caps.bytes
            || current.born.elapsed() > MAX_AGE
        {
            *current = Arc::new(Generation::new(current.id + 1, &self.is_sym));
        }
        current.clone()
    }

    pub(super) fn hash(&self, text: &[u8]) -> u64 {
        xxh3_64_with_seed(text, self.seed)
    }
}

/// The dictionaries of one generation.
#[derive(Debug)]
pub struct Generation {
    id: u64,
    born: Instant,
    topics: Dictionary,
    /// One for each column; `None` where it is not `sym`.
    columns: Vec<Option<Dictionary>>,
}

impl Generation {
    fn new(id: u64, is_sym: &[bool]) -> Self {
        let columns = is_sym.iter().map(|is_sym| is_sym.then(Dictionary::default)).collect();
        Self { id, born: Instant::now(), topics: Dictionary::default(), columns }
    }

    /// Generation number `id` without texts: they come from a host, each with the code that it has there.
    pub(crate) fn received(id: u64, is_sym: &[bool]) -> Self {
        Self::new(id, is_sym)
    }

    /// Its number. Batches with different ids have unrelated codes.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Text of a code of the `sym` column number `column`; empty where there is none.
    #[must_use]
    pub fn text(&self, column: usize, code: u32) -> &str {
        self.columns.get(column).and_then(Option::as_ref).map_or("", |column| column.text(code))
    }

    /// Text of a topic's code; empty where there is none.
    #[must_use]
    pub fn topic(&self, code: u32) -> &str {
        self.topics.text(code)
    }

    /// The dictionary of column number `column` as plugins see it; empty where it is not `sym`.
    #[must_use]
    pub fn abi(&self, column: usize) -> DictionaryAbi<'_> {
        let dictionary = self.columns.get(column).and_then(Option::as_ref);
        dictionary.map_or(DictionaryAbi::empty(), Dictionary::abi)
    }

    /// The topics' dictionary as plugins see it.
    #[must_use]
    pub fn topics_abi(&self) -> DictionaryAbi<'_> {
        self.topics.abi()
    }

    /// Entries and bytes of all its dictionaries.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let all = self.columns.iter().flatten().chain([&self.topics]);
        all.fold((0, 0), |(entries, bytes), dictionary| {
            let len = dictionary.len() as usize;
            let texts = dictionary.text_bytes.load(Ordering::Relaxed);
            (entries + len, bytes + texts + len * ENTRY_BYTES)
        })
    }

    /// How many texts a dictionary has: the topics' or that of a column.
    pub(crate) fn texts(&self, column: Option<usize>) -> u32 {
        self.dictionary(column).map_or(0, Dictionary::len)
    }

    /// Adds a text to a dictionary under the next code; whether there is such a dictionary.
    pub(crate) fn push(&self, column: Option<usize>, text: &str) -> bool {
        let Some(dictionary) = self.dictionary(column) else { return false };
        let _alone = dictionary.codes.write();
        dictionary.append(text);
        true
    }

    fn dictionary(&self, column: Option<usize>) -> Option<&Dictionary> {
        column.map_or(Some(&self.topics), |column| self.column(column))
    }

    pub(super) fn topics(&self) -> &Dictionary {
        &self.topics
    }

    pub(super) fn column(&self, column: usize) -> Option<&Dictionary> {
        self.columns.get(column)?.as_ref()
    }
}

type Chunk = Box<[OnceLock<Box<str>>]>;

/// Texts by code, append-only. Texts never move: they are read while others are added.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    /// Chunk `n` holds `FIRST_CHUNK << n` entries.
    chunks: [OnceLock<Chunk>; CHUNKS],
    len: AtomicU32,
    text_bytes: AtomicUsize,
    codes: RwLock<HashTable<(u64, u32)>>,
}

impl Dictionary {
    fn len(&self) -> u32 {
        self.len.load(Ordering::Acquire)
    }

    /// Text of a code; empty where there is none.
    #[inline]
    pub(super) fn text(&self, code: u32) -> &str {
        self.place(code).and_then(OnceLock::get).map_or("", |text| text)
    }

    #[inline]
    fn place(&self, code: u32) -> Option<&OnceLock<Box<str>>> {
        let (chunk, at) = split(code);
        self.chunks[chunk].get()?.get(at)
    }

    /// The code of `text`, whose hash is `hash`; a new one if it has none yet.
    pub(super) fn code(&self, hash: u64, text: &str) -> u32 {
        if let Some(code) = self.find(&self.codes.read(), hash, text) {
            return code;
        }
        let mut codes = self.codes.write();
        if let Some(code) = self.find(&codes, hash, text) {
            return code;
        }
        let code = self.append(text);
        codes.insert_unique(hash, (hash, code), |(hash, _)| *hash);
        code
    }

    /// Gives `text` the next code. Only while `codes` is locked for writing.
    fn append(&self, text: &str) -> u32 {
        let code = self.len.load(Ordering::Relaxed);
        let (chunk, at) = split(code);
        let size = (FIRST_CHUNK as usize) << chunk;
        let entries =
            self.chunks[chunk].get_or_init(|| (0..size).map(|_| OnceLock::new()).collect());
        // Never set before: codes are given under the lock, each once.
        let _ = entries[at].set(text.into());
        self.text_bytes.fetch_add(text.len(), Ordering::Relaxed);
        self.len.store(code + 1, Ordering::Release);
        code
    }

    fn find(&self, codes: &HashTable<(u64, u32)>, hash: u64, text: &str) -> Option<u32> {
        let is_it = |(known, code): &(u64, u32)| *known == hash && self.text(*code) == text;
        codes.find(hash, is_it).map(|(_, code)| *code)
    }

    fn abi(&self) -> DictionaryAbi<'_> {
        DictionaryAbi { context: std::ptr::from_ref(self).cast(), lookup, len: self.len() }
    }
}

/// Chunk and place in it of a code.
#[inline]
fn split(code: u32) -> (usize, usize) {
    // In 64 bits, so that the last codes do not overflow.
    let number = u64::from(code) + u64::from(FIRST_CHUNK);
    let chunk = number.ilog2() - FIRST_CHUNK.ilog2();
    (chunk as usize, (number - (u64::from(FIRST_CHUNK) << chunk)) as usize)
}

unsafe extern "C" fn lookup<'a>(context: *const (), code: u32) -> RStr<'a> {
    // SAFETY: `context` was made by `Dictionary::abi` from a reference that outlives 'a, and a
    // `Dictionary` is only ever borrowed shared.
    let dictionary = unsafe { &*context.cast::<Dictionary>() };
    RStr::from_str(dictionary.text(code))
}

/// The codes one thread met lately in one dictionary, found without a lock.
#[derive(Debug)]
pub(super) struct Recent {
    /// By the hash's top bits.
    slots: Box<[Slot]>,
}

/// A text and its code. A cache line, so that a text met lately costs one look.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Slot {
    /// As many bytes as `len` says; longer texts are not kept.
    text: [u8; 56],
    /// Length + 1; 0 = none.
    len: u8,
    code: u32,
}

const NO_SLOT: Slot = Slot { text: [0; 56], len: 0, code: 0 };

impl Recent {
    pub(super) fn new() -> Self {
        Self { slots: vec![NO_SLOT; RECENT].into() }
    }

    /// Forgets all: another generation has begun.
    pub(super) fn clear(&mut self) {
        self.slots.fill(NO_SLOT);
    }

    /// As [`Dictionary::code`]; `None` where `text` is not UTF-8, which only a text not met lately need
    /// be asked.
    #[inline]
    pub(super) fn code(&mut self, dictionary: &Dictionary, hash: u64, text: &[u8]) -> Option<u32> {
        let slot = &mut self.slots[(hash >> (64 - RECENT.ilog2())) as usize];
        if usize::from(slot.len) == text.len() + 1 && slot.text[..text.len()] == *text {
            return Some(slot.code);
        }
        let code = dictionary.code(hash, std::str::from_utf8(text).ok()?);
        if let Some(kept) = slot.text.get_mut(..text.len()) {
            kept.copy_from_slice(text);
            slot.len = text.len() as u8 + 1;
            slot.code = code;
        }
        Some(code)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashSet;

    use super::*;

    fn one_column(caps: Caps) -> Dictionaries {
        Dictionaries::new(&[("/a".into(), FieldKind::Sym), ("/b".into(), FieldKind::Str)], caps)
    }

    #[test]
    fn threads_that_add_the_same_texts_agree_on_their_codes() {
        let dictionaries = one_column(Caps::default());
        let generation = dictionaries.current();
        let texts: Vec<String> = (0..500).map(|n| format!("text {n}")).collect();
        let codes: Vec<Vec<u32>> = std::thread::scope(|scope| {
            let add = |turn: usize| {
                let (texts, generation, dictionaries) = (&texts, &generation, &dictionaries);
                scope.spawn(move || {
                    let mut codes = vec![0; texts.len()];
                    for at in (0..texts.len()).map(|at| (at + turn * 130) % texts.len()) {
                        let text = &texts[at];
                        let column = generation.column(0).unwrap();
                        codes[at] = column.code(dictionaries.hash(text.as_bytes()), text);
                        assert_eq!(generation.text(0, codes[at]), text);
                    }
                    codes
                })
            };
            let threads: Vec<_> = (0..4).map(add).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(codes.iter().all(|these| *these == codes[0]));
        assert_eq!(codes[0].iter().collect::<HashSet<_>>().len(), texts.len());
        assert_eq!(generation.size().0, texts.len());
        let abi = generation.abi(0);
        assert_eq!(abi.len as usize, texts.len());
        for (code, text) in codes[0].iter().zip(&texts) {
            assert_eq!(abi.get(*code), Some(text.as_str()));
        }
    }

    #[test]
    fn a_code_nobody_gave_has_no_text() {
        let generation = one_column(Caps::default()).current();
        assert_eq!(generation.text(0, 0), "");
        assert_eq!(generation.text(0, u32::MAX), "");
        assert_eq!(generation.text(1, 0), "");
        assert_eq!(generation.text(2, 0), "");
        assert_eq!(generation.abi(0).get(0), None);
        assert_eq!(generation.abi(1).len, 0);
    }

    #[test]
    fn texts_of_equal_hash_have_their_own_codes() {
        let dictionary = Dictionary::default();
        let mut recent = Recent::new();
        let codes = [b"a", b"b", b"a", b"b"].map(|text| recent.code(&dictionary, 7, text));
        assert_eq!(codes, [0, 1, 0, 1].map(Some));
        assert_eq!(recent.code(&dictionary, 7, b"\xff"), None);
    }

    #[test]
    fn a_full_generation_is_followed_by_an_empty_one_and_stays_readable() {
        for caps in [Caps { entries: 2, bytes: 1 << 20 }, Caps { entries: 100, bytes: 150 }] {
            let dictionaries = one_column(caps);
            let first = dictionaries.current();
            for text in ["a", "b", "c"] {
                assert_eq!(dictionaries.current().id(), first.id());
                first.topics().code(dictionaries.hash(text.as_bytes()), text);
            }
            let second = dictionaries.current();
            assert_ne!(second.id(), first.id());
            assert_eq!(second.size(), (0, 0));
            assert_eq!(first.topic(2), "c");
        }
    }

    #[test]
    fn every_code_has_a_place() {
        assert_eq!(split(0), (0, 0));
        assert_eq!(split(63), (0, 63));
        assert_eq!(split(64), (1, 0));
        assert_eq!(split(191), (1, 127));
        assert_eq!(split(192), (2, 0));
        assert_eq!(split(u32::MAX).0, CHUNKS - 1);
    }
}
