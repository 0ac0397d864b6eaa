//! Decompressed bytes of a gzip or zstd file, read at positions.
//!
//! A few cursors (decoder, position, newest bytes) are kept for as many readers; each goes forward
//! without decoding anything twice. The newest bytes are kept because a reader comes back for the
//! line that the end of its last read cut in two.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use flate2::bufread::GzDecoder;
use parking_lot::Mutex;

use super::content::Tail;

/// Readers served without starting over.
const CURSORS: usize = 4;
/// Newest bytes kept for each.
const WINDOW: usize = 2 << 20;
/// Step when skipping forward.
const STEP: usize = 256 << 10;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Zstd,
}

impl Codec {
    pub(super) fn of_magic(magic: &[u8]) -> Option<Self> {
        match magic {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd] => Some(Self::Zstd),
            // A skippable frame, with which some writers begin.
            [low, 0x2a, 0x4d, 0x18] if low & 0xf0 == 0x50 => Some(Self::Zstd),
            _ => None,
        }
    }

    pub(super) fn of_name(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "gz" => Some(Self::Gzip),
            "zst" => Some(Self::Zstd),
            _ => None,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

pub(super) struct Packed {
    file: Arc<File>,
    codec: Codec,
    /// Idle cursors, the one used last at the end.
    cursors: Mutex<Vec<Cursor>>,
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packed").field("codec", &self.codec).finish_non_exhaustive()
    }
}

impl Packed {
    pub(super) fn new(file: File, codec: Codec) -> Self {
        Self { file: Arc::new(file), codec, cursors: Mutex::new(Vec::new()) }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Drops all decoders: they stopped where the file ended, and it has grown.
    pub(super) fn forget(&self) {
        self.cursors.lock().clear();
    }

    /// Appends up to `want` bytes from `at` on to `out`; fewer only where the data end.
    pub(super) fn read_into(&self, at: u64, want: usize, out: &mut Vec<u8>) -> io::Result<usize> {
        let idle = {
            let mut cursors = self.cursors.lock();
            let nearest = cursors
                .iter()
                .enumerate()
                .filter(|(_, cursor)| cursor.start <= at)
                .max_by_key(|(_, cursor)| cursor.start);
            nearest.map(|(index, _)| index).map(|index| cursors.remove(index))
        };
        let mut cursor = match idle {
            Some(cursor) => cursor,
            None => Cursor::new(&self.file, self.codec)?,
        };
        let got = cursor.read_into(at, want, out);
        let mut cursors = self.cursors.lock();
        if cursors.len() == CURSORS {
            cursors.remove(0);
        }
        cursors.push(cursor);
        Ok(got)
    }

    /// How the data end, if a cursor has met their end at `len`.
    pub(super) fn tail_at(&self, len: u64) -> Tail {
        let cursors = self.cursors.lock();
        let met = cursors.iter().rev().find(|cursor| cursor.end() == len);
        met.and_then(|cursor| cursor.stopped.clone()).unwrap_or_default()
    }
}

struct Cursor {
    decoder: Box<dyn Read + Send>,
    /// The newest decoded bytes; they begin at `start`.
    window: Vec<u8>,
    start: u64,
    /// Set where no more bytes come.
    stopped: Option<Tail>,
}

impl Cursor {
    fn new(file: &Arc<File>, codec: Codec) -> io::Result<Self> {
        let raw = BufReader::with_capacity(128 << 10, At { file: Arc::clone(file), at: 0 });
        let decoder: Box<dyn Read + Send> = match codec {
            Codec::Gzip => Box::new(Members(Some(GzDecoder::new(raw)))),
            Codec::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(raw)?),
        };
        Ok(Self { decoder, window: Vec::new(), start: 0, stopped: None })
    }

    fn end(&self) -> u64 {
        self.start + self.window.len() as u64
    }

    fn read_into(&mut self, at: u64, want: usize, out: &mut Vec<u8>) -> usize {
        while self.end() < at && self.stopped.is_none() {
            let step = (at - self.end()).min(STEP as u64) as usize;
            self.start = self.end();
            self.window.clear();
            let mut window = std::mem::take(&mut self.window);
            self.decode(step, &mut window);
            self.window = window;
        }
        if self.end() < at {
            return 0;
        }
        let first = out.len();
        let kept = &self.window[(at - self.start) as usize..];
        out.extend_from_slice(&kept[..kept.len().min(want)]);
        let missing = want - (out.len() - first);
        if missing > 0 {
            self.decode(missing, out);
            let given = &out[first..];
            let newest = &given[given.len().saturating_sub(WINDOW)..];
            self.start = at + (given.len() - newest.len()) as u64;
            self.window.clear();
            self.window.extend_from_slice(newest);
        }
        out.len() - first
    }

    /// Appends up to `want` new bytes to `out`; fewer only where the data end.
    fn decode(&mut self, want: usize, out: &mut Vec<u8>) {
        if self.stopped.is_some() {
            return;
        }
        let first = out.len();
        out.reserve(want);
        let outcome = self.decoder.by_ref().take(want as u64).read_to_end(out);
        if out.len() - first < want {
            self.stopped = Some(match outcome {
                Ok(_) => Tail::Whole,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Tail::Cut,
                Err(error) => Tail::Damaged(error.to_string()),
            });
        }
    }
}

/// The members of a gzip file, one after the other. What writers of blocks put behind the last one to
/// fill a block up, zeros, is no part of the data, as it is none to gzip itself.
struct Members(Option<GzDecoder<BufReader<At>>>);

impl Read for Members {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = self.0.as_mut().filter(|_| !buf.is_empty()) {
            let got = member.read(buf)?;
            if got > 0 {
                return Ok(got);
            }
            let next = self.0.take().map(GzDecoder::into_inner).map(after_zeros).transpose()?;
            self.0 = next.flatten().map(GzDecoder::new);
        }
        Ok(0)
    }
}

/// Goes to the first byte that is not zero, if there is one.
fn after_zeros(mut raw: BufReader<At>) -> io::Result<Option<BufReader<At>>> {
    loop {
        let bytes = raw.fill_buf()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let found = zeros < bytes.len();
        raw.consume(zeros);
        if found {
            return Ok(Some(raw));
        }
    }
}

/// A file read from a position of its own.
struct At {
    file: Arc<File>,
    at: u64,
}

impl Read for At {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read_at(buf, self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}
