//! Lines of a possibly compressed file, none longer than a limit.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use memchr::memchr;

/// A file of lines, read from its beginning to its end.
pub(super) struct Lines {
    reader: Box<dyn BufRead + Send>,
    /// Bytes of decompressed text before the next line.
    position: u64,
    line: Vec<u8>,
}

/// What was read.
pub(super) enum Line<'a> {
    /// A line without its end.
    Text(&'a [u8]),
    /// A line above the limit; it was skipped.
    TooLong,
    /// There is no further line.
    End,
}

impl Lines {
    /// Opens a file; what ends in `.zst` or `.gz` is decompressed.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let extension = path.extension().and_then(|extension| extension.to_str());
        let reader: Box<dyn BufRead + Send> = match extension {
            Some("zst") => Box::new(BufReader::new(zstd::stream::read::Decoder::new(file)?)),
            Some("gz") => Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(file))),
            _ => Box::new(BufReader::with_capacity(1 << 16, file)),
        };
        Ok(Self { reader, position: 0, line: Vec::new() })
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Steps forward to a position that was the start of a line.
    pub(super) fn skip_to(&mut self, position: u64) -> io::Result<()> {
        while self.position < position {
            let have = self.reader.fill_buf()?.len() as u64;
            if have == 0 {
                return Ok(());
            }
            let step = have.min(position - self.position);
            self.reader.consume(step as usize);
            self.position += step;
        }
        Ok(())
    }

    /// Reads the next line; an unterminated last one counts.
    pub(super) fn next(&mut self, limit: usize) -> io::Result<Line<'_>> {
        self.line.clear();
        let start = self.position;
        let mut too_long = false;
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            let end = memchr(b'\n', buffer);
            let text = &buffer[..end.unwrap_or(buffer.len())];
            too_long |= self.line.len() + text.len() > limit;
            if !too_long {
                self.line.extend_from_slice(text);
            }
            let used = end.map_or(buffer.len(), |end| end + 1);
            self.reader.consume(used);
            self.position += used as u64;
            if end.is_some() {
                break;
            }
        }
        Ok(if self.position == start {
            Line::End
        } else if too_long {
            Line::TooLong
        } else {
            Line::Text(&self.line)
        })
    }
}
