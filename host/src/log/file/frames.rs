//! How verdicts and identities lie in their file: a header, then frames one after the other.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::log::LogId;

/// Size of the header of the file, and of a frame.
pub(super) const HEADER: usize = 64;
const FILE_MAGIC: &[u8; 4] = b"SMID";
const FRAME_MAGIC: &[u8; 4] = b"SMIF";
const VERSION: u32 = 1;
const GROUP: u64 = 12;
const ID: u64 = 16;
const DUPLICATE: u64 = 8;

/// What was judged of a run of the log.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Hash of its last record; 0 = it has none.
    pub(super) fingerprint: u64,
    /// Runs of identities: their record time, and how many.
    pub(super) groups: Vec<(i64, u32)>,
    pub(super) ids: Vec<u128>,
    /// Offsets, ascending.
    pub(super) duplicates: Vec<u64>,
}

/// Where a body lies in the file, and what it is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) fingerprint: u64,
    /// Record time at its end.
    pub(super) clock_us: i64,
    pub(super) ids: u32,
    pub(super) duplicates: u32,
    groups: u32,
    /// Of its header.
    place: u64,
}

/// The frames of a file, up to the first that is not whole.
pub(super) struct Scan {
    pub(super) frames: Vec<Frame>,
    /// Bytes they take with the file's header; 0 if that is another.
    pub(super) len: u64,
}

/// What a file of the log `id` begins with, whose verdicts rest on what `key` stands for.
pub(super) fn header(id: LogId, key: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(FILE_MAGIC);
    header[4..8].copy_from_slice(&VERSION.to_le_bytes());
    header[8..16].copy_from_slice(&id.0.to_le_bytes());
    header[16..24].copy_from_slice(&key.to_le_bytes());
    header
}

impl Scan {
    /// Reads all frames and checks them.
    pub(super) fn of(file: &File, head: &[u8; HEADER]) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let mut bytes = [0; HEADER];
        let mut scan = Self { frames: Vec::new(), len: 0 };
        if size < HEADER as u64 {
            return Ok(scan);
        }
        file.read_exact_at(&mut bytes, 0)?;
        if bytes != *head {
            return Ok(scan);
        }
        scan.len = HEADER as u64;
        let mut payload = Vec::new();
        while scan.len + HEADER as u64 <= size {
            file.read_exact_at(&mut bytes, scan.len)?;
            let Some((frame, check)) = Frame::decode(&bytes, scan.len) else { break };
            let follows = scan.frames.last().is_none_or(|last: &Frame| last.end <= frame.start);
            if !follows || frame.stored_end() > size {
                break;
            }
            payload.resize(frame.payload() as usize, 0);
            file.read_exact_at(&mut payload, frame.place + HEADER as u64)?;
            if crc32fast::hash(&payload) != check {
                break;
            }
            scan.len = frame.stored_end();
            scan.frames.push(frame);
        }
        Ok(scan)
    }
}

impl Frame {
    /// Where the next frame begins in the file.
    pub(super) fn stored_end(&self) -> u64 {
        self.place + HEADER as u64 + self.payload()
    }

    /// Bytes its identities take.
    pub(super) fn identity_bytes(&self) -> u64 {
        u64::from(self.groups) * GROUP + u64::from(self.ids) * ID
    }

    fn payload(&self) -> u64 {
        self.identity_bytes() + u64::from(self.duplicates) * DUPLICATE
    }

    /// Reads the offsets of its duplicates.
    pub(super) fn duplicates(&self, file: &File) -> io::Result<Vec<u64>> {
        let mut bytes = vec![0; self.duplicates as usize * DUPLICATE as usize];
        file.read_exact_at(&mut bytes, self.place + HEADER as u64 + self.identity_bytes())?;
        Ok(bytes.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect())
    }

    /// Reads all of it.
    pub(super) fn body(&self, file: &File) -> io::Result<Body> {
        let mut bytes = vec![0; self.identity_bytes() as usize];
        file.read_exact_at(&mut bytes, self.place + HEADER as u64)?;
        let (groups, ids) = bytes.split_at(self.groups as usize * GROUP as usize);
        let group = |&[a, b, c, d, e, f, g, h, count @ ..]: &[u8; GROUP as usize]| {
            (i64::from_le_bytes([a, b, c, d, e, f, g, h]), u32::from_le_bytes(count))
        };
        Ok(Body {
            start: self.start,
            end: self.end,
            fingerprint: self.fingerprint,
            groups: groups.as_chunks().0.iter().map(group).collect(),
            ids: ids.as_chunks().0.iter().map(|bytes| u128::from_le_bytes(*bytes)).collect(),
            duplicates: self.duplicates(file)?,
        })
    }

    /// The frame whose header lies at `place`, and the check of its body.
    fn decode(bytes: &[u8; HEADER], place: u64) -> Option<(Self, u32)> {
        let half = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        if !bytes.starts_with(FRAME_MAGIC) || crc32fast::hash(&bytes[..60]) != half(60)? {
            return None;
        }
        let frame = Self {
            start: word(8)?,
            end: word(16)?,
            fingerprint: word(24)?,
            clock_us: word(32)?.cast_signed(),
            groups: half(40)?,
            ids: half(44)?,
            duplicates: half(48)?,
            place,
        };
        (frame.start < frame.end).then_some((frame, half(56)?))
    }
}

impl Body {
    pub(super) fn starting_at(offset: u64) -> Self {
        Self { start: offset, end: offset, ..Self::default() }
    }

    /// Adds an identity that came at this record time.
    pub(super) fn push(&mut self, identity: u128, clock_us: i64) {
        match self.groups.last_mut() {
            Some((time_us, count)) if *time_us == clock_us => *count += 1,
            _ => self.groups.push((clock_us, 1)),
        }
        self.ids.push(identity);
    }

    /// As it is to be written at `place`.
    pub(super) fn encode(&self, place: u64, clock_us: i64) -> (Frame, Vec<u8>) {
        let frame = Frame {
            start: self.start,
            end: self.end,
            fingerprint: self.fingerprint,
            clock_us,
            // Each stands for a line, and a frame is full long before it has so many.
            groups: self.groups.len() as u32,
            ids: self.ids.len() as u32,
            duplicates: self.duplicates.len() as u32,
            place,
        };
        let mut bytes = vec![0; HEADER];
        for (time_us, count) in &self.groups {
            bytes.extend_from_slice(&time_us.to_le_bytes());
            bytes.extend_from_slice(&count.to_le_bytes());
        }
        self.ids.iter().for_each(|id| bytes.extend_from_slice(&id.to_le_bytes()));
        self.duplicates.iter().for_each(|at| bytes.extend_from_slice(&at.to_le_bytes()));
        let check = crc32fast::hash(&bytes[HEADER..]);
        bytes[..4].copy_from_slice(FRAME_MAGIC);
        bytes[8..16].copy_from_slice(&frame.start.to_le_bytes());
        bytes[16..24].copy_from_slice(&frame.end.to_le_bytes());
        bytes[24..32].copy_from_slice(&frame.fingerprint.to_le_bytes());
        bytes[32..40].copy_from_slice(&frame.clock_us.to_le_bytes());
        bytes[40..44].copy_from_slice(&frame.groups.to_le_bytes());
        bytes[44..48].copy_from_slice(&frame.ids.to_le_bytes());
        bytes[48..52].copy_from_slice(&frame.duplicates.to_le_bytes());
        bytes[56..60].copy_from_slice(&check.to_le_bytes());
        let check = crc32fast::hash(&bytes[..60]);
        bytes[60..64].copy_from_slice(&check.to_le_bytes());
        (frame, bytes)
    }
}
