//! What is known of a segment without unpacking it, and the sidecar file that keeps it.
//!
//! An [`Index`] is a function of its segment: a sidecar that is missing, old or damaged is made anew by
//! [`super::scan`]. Sidecars are read section by section, so that asking one thing does not load the rest.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::block::{Header, Plain, hashes};
use super::entries::{KeyEntry, Match};

/// Smallest and largest of no times at all.
pub const NO_TIME: (i64, i64) = (i64::MAX, i64::MIN);

const MAGIC: [u8; 4] = *b"SMIX";
const VERSION: u32 = 1;
const SECTIONS: usize = 7;
const HEAD: usize = 88 + SECTIONS * 12 + 4;

/// Where a block lies and what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockEntry {
    pub position: u64,
    pub first: u64,
    pub count: u32,
    pub raw_len: u32,
    pub min_us: i64,
    pub max_us: i64,
    pub arrival_us: i64,
}

/// One hash for each record; leading zeros take no space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hashes {
    zeros: u64,
    rest: Vec<u128>,
}

impl Hashes {
    /// Those of records that have none.
    pub(super) fn none(records: u32) -> Self {
        Self { zeros: records.into(), rest: Vec::new() }
    }

    pub(super) fn of(hashes: Vec<u128>) -> Self {
        Self { zeros: 0, rest: hashes }
    }

    /// Adds those of the records that follow.
    pub(super) fn append(&mut self, more: &Self) {
        if self.rest.is_empty() {
            self.zeros += more.zeros;
            more.rest.iter().for_each(|hash| self.push(*hash));
        } else {
            self.rest.extend(more.iter());
        }
    }

    fn push(&mut self, hash: u128) {
        if hash == 0 && self.rest.is_empty() {
            self.zeros += 1;
        } else {
            self.rest.push(hash);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u128> + '_ {
        let zeros = usize::try_from(self.zeros).unwrap_or(usize::MAX);
        std::iter::repeat_n(0, zeros).chain(self.rest.iter().copied())
    }
}

/// All that is known of one segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    pub summary: Summary,
    pub blocks: Vec<BlockEntry>,
    pub identities: Hashes,
    pub contents: Hashes,
    pub keys: Vec<KeyEntry>,
    pub matched: Vec<Match>,
    /// Ranges of records that no longer can be read.
    pub lost: Vec<(u64, u64)>,
    pub cursor: Vec<u8>,
}

/// The part of an index that stays in memory for every segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// Sequence number of the first record.
    pub first: u64,
    /// Just past the last one.
    pub end: u64,
    /// Length of the segment file.
    pub bytes: u64,
    /// Bytes of the records, unpacked.
    pub raw_bytes: u64,
    pub min_us: i64,
    pub max_us: i64,
    /// Largest arrival.
    pub arrival_us: i64,
    /// Newest position of fetching is in here.
    pub has_cursor: bool,
    sections: [(u64, u32); SECTIONS],
}

impl Default for Summary {
    fn default() -> Self {
        let (min_us, max_us) = NO_TIME;
        Self {
            first: 0,
            end: 0,
            bytes: 0,
            raw_bytes: 0,
            min_us,
            max_us,
            arrival_us: i64::MIN,
            has_cursor: false,
            sections: [(0, 0); SECTIONS],
        }
    }
}

/// A part of a sidecar that can be read by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Section {
    Blocks,
    Identities,
    Contents,
    Keys,
    Matched,
    Lost,
    Cursor,
}

impl Index {
    pub(super) fn new(first: u64) -> Self {
        Self { summary: Summary { first, end: first, ..Summary::default() }, ..Self::default() }
    }

    /// Adds a block that begins at `position` of the segment; what was skipped before it is lost.
    pub(super) fn push(&mut self, position: u64, header: &Header, plain: Plain) {
        let summary = &mut self.summary;
        if header.first > summary.end {
            self.lost.push((summary.end, header.first));
        }
        self.blocks.push(BlockEntry {
            position,
            first: header.first,
            count: header.count,
            raw_len: header.raw_len,
            min_us: header.min_us,
            max_us: header.max_us,
            arrival_us: header.arrival_us,
        });
        summary.end = header.end();
        summary.bytes = position + (super::block::HEADER + header.payload_len()) as u64;
        summary.raw_bytes += u64::from(header.raw_len);
        summary.min_us = summary.min_us.min(header.min_us);
        summary.max_us = summary.max_us.max(header.max_us);
        summary.arrival_us = summary.arrival_us.max(header.arrival_us);
        self.identities.append(&plain.identities);
        self.contents.append(&plain.contents);
        self.keys.extend(plain.extras.keys);
        self.matched.extend(plain.extras.matched);
        if let Some(cursor) = plain.extras.cursor {
            self.cursor = cursor;
            summary.has_cursor = true;
        }
    }

    /// Writes the sidecar, in one step for readers, and returns the summary that reads it.
    ///
    /// It need not be durable: it is made anew when missing or damaged.
    pub(super) fn write(&self, path: &Path, mark: u64) -> io::Result<Summary> {
        let mut body = Vec::new();
        let mut ends = [0; SECTIONS];
        self.blocks.iter().for_each(|block| block.encode(&mut body));
        ends[Section::Blocks as usize] = body.len();
        encode_hashes(&self.identities, &mut body);
        ends[Section::Identities as usize] = body.len();
        encode_hashes(&self.contents, &mut body);
        ends[Section::Contents as usize] = body.len();
        self.keys.iter().for_each(|key| key.encode(&mut body));
        ends[Section::Keys as usize] = body.len();
        self.matched.iter().for_each(|matched| matched.encode(&mut body));
        ends[Section::Matched as usize] = body.len();
        for (from, to) in &self.lost {
            body.extend_from_slice(&from.to_le_bytes());
            body.extend_from_slice(&to.to_le_bytes());
        }
        ends[Section::Lost as usize] = body.len();
        body.extend_from_slice(&self.cursor);
        ends[Section::Cursor as usize] = body.len();

        let mut start = 0;
        let sections = ends.map(|end| {
            let section = &body[start..end];
            start = end;
            (section.len() as u64, crc32fast::hash(section))
        });
        let summary = Summary { sections, ..self.summary.clone() };
        let temporary = path.with_extension("idx.new");
        let mut bytes = summary.encode(mark);
        bytes.append(&mut body);
        std::fs::write(&temporary, bytes)?;
        std::fs::rename(&temporary, path)?;
        Ok(summary)
    }
}

impl Summary {
    /// Reads the head of a sidecar; `None` if it is not one of this segment as it stands.
    pub(super) fn read(path: &Path, mark: u64, first: u64, bytes: u64) -> Option<Self> {
        let file = File::open(path).ok()?;
        let mut head = [0; HEAD];
        file.read_exact_at(&mut head, 0).ok()?;
        let summary = Self::decode(&head, mark)?;
        let lengths = summary.sections.iter().map(|(length, _)| *length);
        let length = lengths.fold(HEAD as u64, u64::saturating_add);
        let whole = file.metadata().ok()?.len() == length;
        (whole && summary.first == first && summary.bytes == bytes).then_some(summary)
    }

    /// Reads one section of the sidecar.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] if it fails its check: the sidecar must be made anew.
    fn section(&self, path: &Path, section: Section) -> io::Result<Vec<u8>> {
        let which = section as usize;
        let before: u64 = self.sections[..which].iter().map(|(length, _)| length).sum();
        let (length, crc) = self.sections[which];
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| invalid())?];
        if !bytes.is_empty() {
            File::open(path)?.read_exact_at(&mut bytes, HEAD as u64 + before)?;
        }
        if crc32fast::hash(&bytes) == crc { Ok(bytes) } else { Err(invalid()) }
    }

    pub(super) fn blocks(&self, path: &Path) -> io::Result<Vec<BlockEntry>> {
        let bytes = self.section(path, Section::Blocks)?;
        let (entries, _) = bytes.as_chunks::<{ BlockEntry::BYTES }>();
        let blocks: Vec<_> = entries.iter().map(BlockEntry::decode).collect();
        // Readers go by them without looking again.
        let fits = |block: &BlockEntry| {
            let end = block.first.checked_add(block.count.into());
            block.position < self.bytes
                && block.first >= self.first
                && end.is_some_and(|end| end <= self.end)
        };
        let is_sound = blocks.iter().all(fits)
            && blocks.is_sorted_by(|a, b| a.position < b.position && a.end() <= b.first);
        if is_sound { Ok(blocks) } else { Err(invalid()) }
    }

    pub(super) fn hashes(&self, path: &Path, section: Section) -> io::Result<Hashes> {
        let bytes = self.section(path, section)?;
        let (zeros, rest) = bytes.split_first_chunk::<8>().ok_or_else(invalid)?;
        let zeros = u64::from_le_bytes(*zeros);
        let records = self.end - self.first;
        if zeros > records { Err(invalid()) } else { Ok(Hashes { zeros, rest: hashes(rest) }) }
    }

    pub(super) fn keys(&self, path: &Path) -> io::Result<Vec<KeyEntry>> {
        let bytes = self.section(path, Section::Keys)?;
        let keys = bytes.chunks_exact(KeyEntry::BYTES);
        keys.map(|bytes| KeyEntry::decode(bytes).ok_or_else(invalid)).collect()
    }

    pub(super) fn matched(&self, path: &Path) -> io::Result<Vec<Match>> {
        let bytes = self.section(path, Section::Matched)?;
        let matched = bytes.chunks_exact(Match::BYTES);
        matched.map(|bytes| Match::decode(bytes).ok_or_else(invalid)).collect()
    }

    pub(super) fn lost(&self, path: &Path) -> io::Result<Vec<(u64, u64)>> {
        let bytes = self.section(path, Section::Lost)?;
        let (words, _) = bytes.as_chunks::<8>();
        let (pairs, _) = words.as_chunks::<2>();
        Ok(pairs.iter().map(|[a, b]| (u64::from_le_bytes(*a), u64::from_le_bytes(*b))).collect())
    }

    pub(super) fn cursor(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.section(path, Section::Cursor)
    }

    fn encode(&self, mark: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        let flags = u64::from(self.has_cursor);
        for word in [mark, flags, self.first, self.end, self.bytes, self.raw_bytes] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        for time_us in [self.min_us, self.max_us, self.arrival_us, 0] {
            out.extend_from_slice(&time_us.to_le_bytes());
        }
        for (length, crc) in self.sections {
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(&crc.to_le_bytes());
        }
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(head: &[u8; HEAD], mark: u64) -> Option<Self> {
        let (checked, crc) = head.split_last_chunk::<4>()?;
        if crc32fast::hash(checked) != u32::from_le_bytes(*crc) || checked[..4] != MAGIC {
            return None;
        }
        let word = |at: usize| Some(u64::from_le_bytes(checked.get(at..at + 8)?.try_into().ok()?));
        let version = u32::from_le_bytes(checked.get(4..8)?.try_into().ok()?);
        if version != VERSION || word(8)? != mark || word(24)? > word(32)? {
            return None;
        }
        let mut sections = [(0, 0); SECTIONS];
        for (section, bytes) in sections.iter_mut().zip(checked[88..].as_chunks::<12>().0) {
            let (length, crc) = bytes.split_first_chunk::<8>()?;
            *section = (u64::from_le_bytes(*length), u32::from_le_bytes(crc.try_into().ok()?));
        }
        Some(Self {
            has_cursor: word(16)? & 1 != 0,
            first: word(24)?,
            end: word(32)?,
            bytes: word(40)?,
            raw_bytes: word(48)?,
            min_us: word(56)?.cast_signed(),
            max_us: word(64)?.cast_signed(),
            arrival_us: word(72)?.cast_signed(),
            sections,
        })
    }
}

impl BlockEntry {
    const BYTES: usize = 48;

    pub(super) fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.position.to_le_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.raw_len.to_le_bytes());
        for time_us in [self.min_us, self.max_us, self.arrival_us] {
            out.extend_from_slice(&time_us.to_le_bytes());
        }
    }

    fn decode(bytes: &[u8; Self::BYTES]) -> Self {
        let (words, _) = bytes.as_chunks::<8>();
        let word = |at: usize| u64::from_le_bytes(words[at]);
        Self {
            position: word(0),
            first: word(1),
            count: word(2) as u32,
            raw_len: (word(2) >> 32) as u32,
            min_us: word(3).cast_signed(),
            max_us: word(4).cast_signed(),
            arrival_us: word(5).cast_signed(),
        }
    }
}

fn encode_hashes(hashes: &Hashes, out: &mut Vec<u8>) {
    out.extend_from_slice(&hashes.zeros.to_le_bytes());
    hashes.rest.iter().for_each(|hash| out.extend_from_slice(&hash.to_le_bytes()));
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the sidecar fails its check")
}
