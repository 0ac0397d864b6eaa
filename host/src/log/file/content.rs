//! The bytes of one file, plain or compressed, as if they could be read anywhere.
//!
//! A compressed file stands for its decompressed bytes. Reading forward goes on with the decoder that
//! is already there; reading elsewhere begins another from the start of the file.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::packed::{Codec, Packed};

/// Bytes at the start of a file by which it is recognised.
pub(super) const HEAD: u64 = 4096;
/// Step of scans for line feeds.
const STEP: usize = 1 << 20;

/// What the file system says of a file; equal stamps mean that nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) device: u64,
    pub(super) inode: u64,
    /// Bytes on the disk.
    pub(super) size: u64,
    /// Last write, ns since 1970.
    pub(super) modified_ns: i128,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified_ns: i128::from(metadata.mtime()) * 1_000_000_000
                + i128::from(metadata.mtime_nsec()),
        }
    }

    pub(super) fn same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// How far a content reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// All bytes.
    pub(super) len: u64,
    /// Just past the last line feed.
    pub(super) lines: u64,
    /// How the bytes end.
    pub(super) tail: Tail,
    /// Bytes on the disk when that was seen.
    pub(super) size: u64,
}

/// How the bytes of a content end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Tail {
    /// As they should.
    #[default]
    Whole,
    /// The compressed data stop early: the writer is not done, or died.
    Cut,
    /// The compressed data are wrong from here on.
    Damaged(String),
}

/// One open file.
#[derive(Debug)]
pub(super) struct Content {
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    Plain(File),
    Packed(Packed),
}

impl Content {
    /// Opens a regular file; whether it is compressed is told by its first bytes, or, while it has
    /// none, by its name.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut magic = [0; 4];
        let got = file.read_at(&mut magic, 0)?;
        let named = Codec::of_name(path);
        let bytes = match (Codec::of_magic(&magic[..got]), named) {
            (Some(codec), _) => Bytes::Packed(Packed::new(file, codec)),
            (None, Some(codec)) if got < magic.len() => Bytes::Packed(Packed::new(file, codec)),
            (None, Some(codec)) => {
                let text = format!("the file is named like a {codec} file but is none");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            (None, None) => Bytes::Plain(file),
        };
        Ok(Self { bytes })
    }

    pub(super) fn is_plain(&self) -> bool {
        matches!(self.bytes, Bytes::Plain(_))
    }

    /// Drops what was decoded: the file has changed.
    pub(super) fn forget(&self) {
        if let Bytes::Packed(packed) = &self.bytes {
            packed.forget();
        }
    }

    /// What the file system says of the file now, wherever it was moved to.
    pub(super) fn stamp(&self) -> io::Result<Stamp> {
        let file = match &self.bytes {
            Bytes::Plain(file) => file,
            Bytes::Packed(packed) => packed.file(),
        };
        Ok(Stamp::of(&file.metadata()?))
    }

    /// Appends up to `want` bytes from `at` on to `out`; fewer only at the end of the content.
    pub(super) fn read_into(&self, at: u64, want: usize, out: &mut Vec<u8>) -> io::Result<usize> {
        match &self.bytes {
            Bytes::Plain(file) => read_plain(file, at, want, out),
            Bytes::Packed(packed) => packed.read_into(at, want, out),
        }
    }

    /// Looks how far the content reaches now, given what an earlier look found.
    pub(super) fn extent(&self, known: &Extent) -> io::Result<Extent> {
        let size = self.stamp()?.size;
        if size == known.size && known.len > 0 {
            return Ok(known.clone());
        }
        match &self.bytes {
            Bytes::Plain(_) => {
                let lines = match self.feed_before(size, known.len.min(size))? {
                    Some(feed) => feed + 1,
                    None => known.lines.min(size),
                };
                Ok(Extent { len: size, lines, tail: Tail::Whole, size })
            }
            Bytes::Packed(packed) => {
                packed.forget();
                let mut extent = Extent { size, ..known.clone() };
                let mut text = Vec::new();
                loop {
                    text.clear();
                    let got = packed.read_into(extent.len, STEP, &mut text)?;
                    if let Some(feed) = memchr::memrchr(b'\n', &text) {
                        extent.lines = extent.len + feed as u64 + 1;
                    }
                    extent.len += got as u64;
                    if got < STEP {
                        break;
                    }
                }
                extent.tail = packed.tail_at(extent.len);
                Ok(extent)
            }
        }
    }

    /// Position of the last line feed in `floor..end`.
    pub(super) fn feed_before(&self, end: u64, floor: u64) -> io::Result<Option<u64>> {
        let mut end = end;
        let mut text = Vec::new();
        // A line is short as a rule; going back in a compressed file costs a decoder each time.
        let mut step = match &self.bytes {
            Bytes::Plain(_) => 64 << 10,
            Bytes::Packed(_) => STEP as u64,
        };
        while end > floor {
            let start = end.saturating_sub(step).max(floor);
            text.clear();
            self.read_into(start, usize::try_from(end - start).unwrap_or(STEP), &mut text)?;
            if let Some(feed) = memchr::memrchr(b'\n', &text) {
                return Ok(Some(start + feed as u64));
            }
            end = start;
            step = STEP as u64;
        }
        Ok(None)
    }

    /// Hash of the first `len` bytes; `None` if there are fewer.
    pub(super) fn head(&self, len: u64) -> io::Result<Option<u64>> {
        let mut text = Vec::with_capacity(HEAD as usize);
        let got = self.read_into(0, len.min(HEAD) as usize, &mut text)?;
        Ok((got as u64 == len).then(|| xxh3_64(&text)))
    }
}

fn read_plain(file: &File, at: u64, want: usize, out: &mut Vec<u8>) -> io::Result<usize> {
    let start = out.len();
    out.reserve(want);
    while out.len() - start < want {
        let missing = want - (out.len() - start);
        let at = at + (out.len() - start) as u64;
        let spare = out.capacity() - out.len();
        // Filling the buffer with zeros first would cost a tenth of the whole read; but a buffer with
        // much more room than is wanted must not be filled to its end either.
        let got = if spare <= missing * 2 {
            retry(|| rustix::io::pread(file, rustix::buffer::spare_capacity(out), at))?
        } else {
            let filled = out.len();
            out.resize(filled + missing, 0);
            let got = retry(|| rustix::io::pread(file, &mut out[filled..], at));
            out.truncate(filled + *got.as_ref().unwrap_or(&0));
            got?
        };
        if got == 0 {
            break;
        }
    }
    out.truncate(start + want);
    Ok(out.len() - start)
}

fn retry(mut read: impl FnMut() -> rustix::io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Bytes of a content from a position on, as a stream.
pub(super) struct Stream<'a> {
    content: &'a Content,
    at: u64,
    end: u64,
    buffer: Vec<u8>,
    used: usize,
}

impl<'a> Stream<'a> {
    pub(super) fn new(content: &'a Content, at: u64, end: u64) -> Self {
        Self { content, at, end, buffer: Vec::new(), used: 0 }
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.used == self.buffer.len() {
            self.buffer.clear();
            self.used = 0;
            let want = (self.end - self.at).min(STEP as u64) as usize;
            self.at += self.content.read_into(self.at, want, &mut self.buffer)? as u64;
        }
        let got = buf.len().min(self.buffer.len() - self.used);
        buf[..got].copy_from_slice(&self.buffer[self.used..self.used + got]);
        self.used += got;
        Ok(got)
    }
}
