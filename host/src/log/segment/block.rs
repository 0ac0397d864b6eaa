//! Blocks: what is written and checked as one piece.
//!
//! The layout is in `docs/segment-format.md`. The plain part (identities, contents, extras) stands before
//! the compressed one so that an index can be made without unpacking any text; hashes do not compress
//! anyway.

use std::io;

use super::entries::Extras;
use super::index::Hashes;
use super::pack::{Packed, length};

pub(super) const HEADER: usize = 72;
const MAGIC: [u8; 4] = *b"SMBK";
const VERSION: u16 = 1;
/// A block that claims to be larger is damaged: nothing writes such blocks.
pub(super) const RAW_LIMIT: u32 = 256 << 20;

/// Least unpacked bytes of a record: its length and its arrival.
const RECORD: u64 = 4 + 8;

pub(super) mod flag {
    pub(crate) const ZSTD: u16 = 1;
    pub(crate) const IDENTITIES: u16 = 2;
    pub(crate) const CONTENTS: u16 = 4;
    pub(crate) const EXTRAS: u16 = 8;
    /// The next block belongs to the same commit: without it this one was never acknowledged.
    pub(crate) const CONTINUES: u16 = 16;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub flags: u16,
    pub count: u32,
    pub first: u64,
    pub min_us: i64,
    pub max_us: i64,
    pub arrival_us: i64,
    pub raw_len: u32,
    pub plain_len: u32,
    pub stored_len: u32,
    pub crc: u32,
}

impl Header {
    pub(super) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    pub(super) fn payload_len(&self) -> usize {
        self.plain_len as usize + self.stored_len as usize
    }

    /// The first bytes of every block of the log with this mark.
    pub(super) fn sync(mark: u64) -> [u8; 12] {
        let mut sync = [0; 12];
        sync[..4].copy_from_slice(&MAGIC);
        sync[4..].copy_from_slice(&mark.to_le_bytes());
        sync
    }

    fn encode(&self, mark: u64) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            out[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&Self::sync(mark));
        put(&VERSION.to_le_bytes());
        put(&self.flags.to_le_bytes());
        put(&self.count.to_le_bytes());
        put(&self.first.to_le_bytes());
        put(&self.min_us.to_le_bytes());
        put(&self.max_us.to_le_bytes());
        put(&self.arrival_us.to_le_bytes());
        put(&self.raw_len.to_le_bytes());
        put(&self.plain_len.to_le_bytes());
        put(&self.stored_len.to_le_bytes());
        put(&[0; 4]);
        put(&self.crc.to_le_bytes());
        out
    }

    /// Reads a header without its check sum, which covers the payload too ([`check`]).
    pub(super) fn decode(bytes: &[u8; HEADER], mark: u64) -> Result<Self, &'static str> {
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if bytes[..12] != Self::sync(mark) {
            return Err("no block begins here");
        }
        if u16_at(12) != VERSION {
            return Err("the block has a version this program does not know");
        }
        let header = Self {
            flags: u16_at(14),
            count: u32_at(16),
            first: u64_at(20),
            min_us: u64_at(28).cast_signed(),
            max_us: u64_at(36).cast_signed(),
            arrival_us: u64_at(44).cast_signed(),
            raw_len: u32_at(52),
            plain_len: u32_at(56),
            stored_len: u32_at(60),
            crc: u32_at(68),
        };
        let too_large = [header.raw_len, header.plain_len, header.stored_len, header.count]
            .iter()
            .any(|length| *length > RAW_LIMIT);
        // However little a record says, its length and arrival are there.
        let too_many = u64::from(header.count) * RECORD > u64::from(header.raw_len);
        if too_large || too_many || header.first.checked_add(u64::from(header.count)).is_none() {
            return Err("the block's lengths make no sense");
        }
        Ok(header)
    }
}

/// Whether header and payload are what was written.
pub(super) fn check(header: &[u8; HEADER], payload: &[u8]) -> bool {
    let stored = u32::from_le_bytes([header[68], header[69], header[70], header[71]]);
    checksum(header, payload) == stored
}

fn checksum(header: &[u8; HEADER], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&header[..68]);
    crc.update(payload);
    crc.finalize()
}

/// Appends a block to `out`, and returns its header.
///
/// The records of `packed` begin at number `first`; what `extras` hold becomes durable with them.
pub(super) fn stamp(
    mark: u64,
    first: u64,
    packed: &Packed,
    extras: &Extras,
    continues: bool,
    out: &mut Vec<u8>,
) -> io::Result<Header> {
    let mut flags = if continues { flag::CONTINUES } else { 0 };
    if packed.is_zstd {
        flags |= flag::ZSTD;
    }
    let start = out.len();
    out.resize(start + HEADER, 0);
    for (column, bit) in
        [(&packed.identities, flag::IDENTITIES), (&packed.contents, flag::CONTENTS)]
    {
        if column.iter().any(|hash| *hash != 0) {
            flags |= bit;
            out.extend(column.iter().flat_map(|hash| hash.to_le_bytes()));
        }
    }
    if !extras.is_empty() {
        flags |= flag::EXTRAS;
        extras.encode(out);
    }
    let plain_len = length(out.len() - start - HEADER)?;
    out.extend_from_slice(&packed.stored);

    let matched = extras.matched.iter().map(|matched| matched.time_us);
    let (min_us, max_us) =
        matched.fold(packed.times_us, |(min, max), us| (min.min(us), max.max(us)));
    let mut header = Header {
        flags,
        count: packed.count,
        first,
        min_us,
        max_us,
        arrival_us: packed.arrival_us,
        raw_len: packed.raw_len,
        plain_len,
        stored_len: length(packed.stored.len())?,
        crc: 0,
    };
    let (head, payload) = out[start..].split_at_mut(HEADER);
    let bytes = header.encode(mark);
    header.crc = checksum(&bytes, payload);
    head.copy_from_slice(&header.encode(mark));
    Ok(header)
}

/// The part of a block that is kept unpacked in an index.
#[derive(Debug, Default)]
pub(super) struct Plain {
    pub identities: Hashes,
    pub contents: Hashes,
    pub extras: Extras,
}

impl Plain {
    /// Reads the plain part of a block whose check sum was right.
    pub(super) fn decode(header: &Header, mut bytes: &[u8]) -> Option<Self> {
        let mut column = |bit: u16| -> Option<Hashes> {
            if !header.has(bit) {
                return Some(Hashes::none(header.count));
            }
            let bytes = bytes.split_off(..(header.count as usize).checked_mul(16)?)?;
            Some(Hashes::of(hashes(bytes)))
        };
        let identities = column(flag::IDENTITIES)?;
        let contents = column(flag::CONTENTS)?;
        Some(Self { identities, contents, extras: Extras::decode(bytes)? })
    }
}

pub(super) fn hashes(bytes: &[u8]) -> Vec<u128> {
    let (hashes, _) = bytes.as_chunks::<16>();
    hashes.iter().map(|hash| u128::from_le_bytes(*hash)).collect()
}

/// The records of a block, unpacked.
#[derive(Debug)]
pub(super) struct Block {
    pub first: u64,
    arrivals: Vec<i64>,
    ends: Vec<u32>,
    texts: usize,
    raw: Vec<u8>,
}

impl Block {
    /// Unpacks the records of a block whose check sum was right.
    pub(super) fn decode(header: &Header, stored: &[u8]) -> Result<Self, &'static str> {
        let raw_len = header.raw_len as usize;
        let raw = if header.has(flag::ZSTD) {
            zstd::bulk::decompress(stored, raw_len).map_err(|_| "the block does not unpack")?
        } else {
            stored.to_vec()
        };
        let count = header.count as usize;
        let texts = count.checked_mul(12).filter(|texts| *texts <= raw_len);
        let texts = texts.filter(|_| raw.len() == raw_len).ok_or("the block is too short")?;
        let (lengths, _) = raw[..count * 4].as_chunks::<4>();
        let mut end = 0_u32;
        let mut ends = Vec::with_capacity(count);
        for length in lengths {
            end = end
                .checked_add(u32::from_le_bytes(*length))
                .ok_or("the block's record lengths make no sense")?;
            ends.push(end);
        }
        if end as usize != raw_len - texts {
            return Err("the block's record lengths make no sense");
        }
        let (arrivals, _) = raw[count * 4..texts].as_chunks::<8>();
        let arrivals = arrivals.iter().map(|arrival| i64::from_le_bytes(*arrival)).collect();
        Ok(Self { first: header.first, arrivals, ends, texts, raw })
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.raw.len()
    }

    pub(super) fn record(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.raw[self.texts + start as usize..self.texts + self.ends[row] as usize]
    }

    pub(super) fn arrival(&self, row: usize) -> i64 {
        self.arrivals[row]
    }
}
