//! Packing records into blocks, as far as it can be done before it is known where they go.
//!
//! It is most of what writing costs, so whoever brings many records packs them on its own thread; the one
//! that leads a commit only stamps what is packed with its place, and writes.

use std::cell::RefCell;
use std::io;
use std::ops::Range;

use super::block::RAW_LIMIT;
use super::entries::Entries;
use super::index::NO_TIME;

/// Raw bytes after which records go on in another block, so that readers unpack little at a time.
pub(super) const RAW_TARGET: usize = 1 << 20;
/// Below this nothing is gained by compressing.
const SMALL: usize = 256;
/// How much is done to make records small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Bus messages to a fifth of their size.
    Usual,
    /// To a third of it in half the time: for when as much arrives as can be packed.
    Hurried,
}

impl Effort {
    /// zstd's level.
    fn level(self) -> i32 {
        match self {
            Self::Usual => 1,
            Self::Hurried => -10,
        }
    }
}

/// The records of one block, packed.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(super) count: u32,
    pub(super) times_us: (i64, i64),
    pub(super) arrival_us: i64,
    pub(super) identities: Vec<u128>,
    pub(super) contents: Vec<u128>,
    pub(super) raw_len: u32,
    pub(super) is_zstd: bool,
    pub(super) stored: Vec<u8>,
}

/// Packs records into blocks of about [`RAW_TARGET`].
pub(crate) fn pack(entries: &Entries, effort: Effort) -> io::Result<Vec<Packed>> {
    thread_local! {
        static PACKER: RefCell<Option<Packer>> = const { RefCell::new(None) };
    }
    PACKER.with_borrow_mut(|kept| {
        let packer = match kept {
            Some(packer) => packer,
            None => kept.insert(Packer::new()?),
        };
        packer.compressor.set_compression_level(effort.level())?;
        let mut blocks = Vec::new();
        let mut start = 0;
        while start < entries.len() {
            let mut end = start;
            let mut bytes = 0;
            while end < entries.len() && (end == start || bytes < RAW_TARGET) {
                bytes += entries.record(end).len() + 12;
                end += 1;
            }
            blocks.push(packer.pack(entries, start..end)?);
            start = end;
        }
        Ok(blocks)
    })
}

impl Packed {
    /// No records: for a commit that only has extras.
    pub(super) fn empty() -> Self {
        Self {
            count: 0,
            times_us: NO_TIME,
            arrival_us: i64::MIN,
            identities: Vec::new(),
            contents: Vec::new(),
            raw_len: 0,
            is_zstd: false,
            stored: Vec::new(),
        }
    }
}

/// What packing needs, kept from block to block.
struct Packer {
    compressor: zstd::bulk::Compressor<'static>,
    raw: Vec<u8>,
    packed: Vec<u8>,
}

impl Packer {
    fn new() -> io::Result<Self> {
        let compressor = zstd::bulk::Compressor::new(Effort::Usual.level())?;
        Ok(Self { compressor, raw: Vec::new(), packed: Vec::new() })
    }

    fn pack(&mut self, entries: &Entries, rows: Range<usize>) -> io::Result<Packed> {
        self.raw.clear();
        // A rare huge record must not keep its memory.
        self.raw.shrink_to(2 * RAW_TARGET);
        for row in rows.clone() {
            self.raw.extend_from_slice(&(entries.record(row).len() as u32).to_le_bytes());
        }
        for arrival in &entries.arrivals[rows.clone()] {
            self.raw.extend_from_slice(&arrival.to_le_bytes());
        }
        self.raw.extend_from_slice(entries.texts(rows.clone()));
        let raw_len = length(self.raw.len())?;
        let is_zstd = self.raw.len() > SMALL && self.compress()?;
        let stored = if is_zstd { &self.packed } else { &self.raw };
        let times = entries.times[rows.clone()].iter().copied();
        Ok(Packed {
            count: rows.len() as u32,
            times_us: times.fold(NO_TIME, |(min, max), us| (min.min(us), max.max(us))),
            arrival_us: entries.arrivals[rows.clone()].iter().copied().max().unwrap_or(i64::MIN),
            identities: entries.identities[rows.clone()].to_vec(),
            contents: entries.contents[rows].to_vec(),
            raw_len,
            is_zstd,
            stored: stored.clone(),
        })
    }

    fn compress(&mut self) -> io::Result<bool> {
        self.packed.clear();
        let most = zstd::zstd_safe::compress_bound(self.raw.len());
        self.packed.shrink_to(most.max(2 * RAW_TARGET));
        self.packed.reserve(most);
        self.compressor.compress_to_buffer(&self.raw, &mut self.packed)?;
        Ok(self.packed.len() < self.raw.len())
    }
}

/// A length as it is stored.
pub(super) fn length(bytes: usize) -> io::Result<u32> {
    u32::try_from(bytes)
        .ok()
        .filter(|length| *length <= RAW_LIMIT)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a block may not be this large"))
}
