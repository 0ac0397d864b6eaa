//! Lines from a pipe, handed on in batches.
//!
//! A reader thread takes what the pipe gives while the sink, which may wait for a disk, works on the
//! batch before: batches grow with the load, a lonely line goes through at once, and memory is bounded.
//! A pipe cannot be read again, so its log is the journal behind the sink.

use std::io::{self, Read};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::file::{BOM, is_document};

/// Bytes read ahead of the sink.
const AHEAD: usize = 4 << 20;
/// Bytes asked of the pipe at once.
const STEP: usize = 256 << 10;

/// What went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pumped {
    /// Lines handed to the sink, blank ones included.
    pub lines: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Lines over the limit: handed over cut to one byte more than the limit, to be refused.
    pub too_long: u64,
    /// Last lines left because they had no end and were no whole document.
    pub unterminated: u64,
}

/// Why pumping stopped before the end of the input.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum PumpError<E> {
    /// The input failed.
    #[error("cannot read the input: {0}")]
    Input(#[source] io::Error),
    /// The sink refused a batch; lines before it are with the sink.
    #[error(transparent)]
    Sink(E),
}

/// Reads lines until the input ends and hands them to `sink`, in order, each with its line feed.
///
/// A batch holds whole lines only. A line of more than `max_line` bytes is cut to `max_line + 1`. A last
/// line without a line feed is taken, and given one, if it is a whole JSON document.
///
/// # Errors
/// [`PumpError::Input`] and [`PumpError::Sink`]. After the latter the reader thread goes at the next
/// line of the input; what it had read ahead is dropped.
pub fn pump<R, E>(
    input: R,
    max_line: usize,
    mut sink: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<Pumped, PumpError<E>>
where
    R: Read + Send + 'static,
{
    let shared = Arc::new(Shared::default());
    let reader = Arc::clone(&shared);
    let started = std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || read_ahead(input, &reader));
    started.map_err(PumpError::Input)?;
    let outcome = drain(&shared, max_line, &mut sink);
    shared.ahead.lock().closed = true;
    shared.changed.notify_all();
    outcome
}

#[derive(Default)]
struct Shared {
    ahead: Mutex<Ahead>,
    changed: Condvar,
}

#[derive(Default)]
struct Ahead {
    bytes: Vec<u8>,
    /// The input ended, well or not.
    ended: Option<io::Result<()>>,
    /// Nobody takes bytes any more.
    closed: bool,
}

fn read_ahead(mut input: impl Read, shared: &Shared) {
    let mut step = vec![0; STEP];
    loop {
        let outcome = match input.read(&mut step) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            outcome => outcome,
        };
        let mut ahead = shared.ahead.lock();
        match outcome {
            Ok(0) => ahead.ended = Some(Ok(())),
            Ok(got) => {
                while ahead.bytes.len() >= AHEAD && !ahead.closed {
                    shared.changed.wait(&mut ahead);
                }
                ahead.bytes.extend_from_slice(&step[..got]);
            }
            Err(error) => ahead.ended = Some(Err(error)),
        }
        shared.changed.notify_all();
        if ahead.closed || ahead.ended.is_some() {
            return;
        }
    }
}

fn drain<E>(
    shared: &Shared,
    max_line: usize,
    sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<Pumped, PumpError<E>> {
    let mut lines = Lines { max_line, ..Lines::default() };
    let mut taken = Vec::new();
    loop {
        let ended = {
            let mut ahead = shared.ahead.lock();
            while ahead.bytes.is_empty() && ahead.ended.is_none() {
                shared.changed.wait(&mut ahead);
            }
            taken.clear();
            std::mem::swap(&mut ahead.bytes, &mut taken);
            shared.changed.notify_all();
            if taken.is_empty() { ahead.ended.take() } else { None }
        };
        match ended {
            None => lines.take(&taken),
            Some(Err(error)) => return Err(PumpError::Input(error)),
            Some(Ok(())) => lines.finish(),
        }
        let whole = lines.whole();
        if !whole.is_empty() {
            sink(whole).map_err(PumpError::Sink)?;
        }
        lines.next();
        if ended.is_some() {
            return Ok(lines.pumped);
        }
    }
}

/// Whole lines, followed by the start of the line that is not whole yet.
#[derive(Default)]
struct Lines {
    max_line: usize,
    bytes: Vec<u8>,
    /// Where the unfinished line begins.
    open: usize,
    /// Bytes of the unfinished line that were dropped.
    dropped: u64,
    pumped: Pumped,
}

impl Lines {
    fn take(&mut self, mut bytes: &[u8]) {
        self.pumped.bytes += bytes.len() as u64;
        while let Some(feed) = memchr::memchr(b'\n', bytes) {
            self.extend(&bytes[..feed]);
            self.close();
            bytes = &bytes[feed + 1..];
        }
        self.extend(bytes);
    }

    /// Adds to the unfinished line, but no more than tells that it is too long; one byte on top may be
    /// a carriage return.
    fn extend(&mut self, bytes: &[u8]) {
        let room = (self.max_line + 2).saturating_sub(self.bytes.len() - self.open);
        let kept = bytes.len().min(room);
        self.bytes.extend_from_slice(&bytes[..kept]);
        self.dropped += (bytes.len() - kept) as u64;
    }

    fn close(&mut self) {
        self.skip_mark();
        if self.dropped == 0 && self.bytes[self.open..].ends_with(b"\r") {
            self.bytes.pop();
        }
        if self.bytes.len() - self.open > self.max_line {
            self.bytes.truncate(self.open + self.max_line + 1);
            self.pumped.too_long += 1;
        }
        self.dropped = 0;
        self.bytes.push(b'\n');
        self.open = self.bytes.len();
        self.pumped.lines += 1;
    }

    /// Drops the mark some programs put before their first line.
    fn skip_mark(&mut self) {
        if self.pumped.lines == 0 && self.bytes[self.open..].starts_with(BOM) {
            self.bytes.drain(self.open..self.open + BOM.len());
        }
    }

    fn finish(&mut self) {
        self.skip_mark();
        let rest = self.bytes[self.open..].trim_ascii();
        if rest.is_empty() {
            return;
        }
        if self.dropped > 0 || is_document(rest) {
            self.close();
        } else {
            self.pumped.unterminated += 1;
            tracing::warn!(
                bytes = rest.len(),
                "the input's last line has no end and is no whole document: it is left"
            );
        }
    }

    fn whole(&self) -> &[u8] {
        &self.bytes[..self.open]
    }

    /// Forgets the whole lines.
    fn next(&mut self) {
        self.bytes.drain(..self.open);
        self.open = 0;
        self.bytes.shrink_to(AHEAD);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::{Cursor, Write};

    use super::*;

    fn pumped(input: impl Into<Vec<u8>>, max_line: usize) -> (Vec<u8>, Pumped) {
        let mut all = Vec::new();
        let outcome = pump(Cursor::new(input.into()), max_line, |batch| {
            assert!(batch.ends_with(b"\n"));
            all.extend_from_slice(batch);
            Ok::<_, ()>(())
        });
        (all, outcome.unwrap())
    }

    #[test]
    fn lines_arrive_whole_and_in_order() {
        let text: String = (0..200_000).map(|i| format!("{{\"number\":{i}}}\n")).collect();
        let (all, counts) = pumped(text.clone(), 1000);
        assert!(all == text.as_bytes());
        assert_eq!((counts.lines, counts.bytes), (200_000, text.len() as u64));
    }

    #[test]
    fn a_line_is_handed_on_before_the_next_one_comes() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut batches = 0;
        writer.write_all(b"{}\n").unwrap();
        let mut writer = Some(writer);
        let outcome = pump(reader, 100, |batch| {
            assert_eq!(batch, b"{}\n");
            batches += 1;
            // Only now, that the first is here, comes the second, and then the end.
            match batches {
                1 => writer.as_mut().unwrap().write_all(b"{}\n").unwrap(),
                _ => drop(writer.take()),
            }
            Ok::<_, ()>(())
        });
        assert_eq!(outcome.unwrap().lines, 2);
    }

    #[test]
    fn a_line_over_the_limit_is_cut_and_the_next_one_follows() {
        let mut text = b"{\"a\":1}\r\n".to_vec();
        text.resize(40 << 20, b'x');
        text.extend_from_slice(b"\n{\"b\":2}\n");
        let (all, counts) = pumped(text, 1000);
        assert_eq!(all.len(), 8 + 1002 + 8);
        assert_eq!((counts.lines, counts.too_long), (3, 1));
    }

    #[test]
    fn the_limit_does_not_count_the_line_end() {
        assert_eq!(pumped("abc\r\nabcd\r\nabc\n", 3).0, b"abc\nabcd\nabc\n");
    }

    #[test]
    fn a_whole_last_line_is_taken_and_half_a_one_is_left() {
        let (all, counts) = pumped("{}\n{\"a\":1}", 100);
        assert_eq!((all.as_slice(), counts.unterminated), (&b"{}\n{\"a\":1}\n"[..], 0));
        for half in ["{\"a\":", "{} {", "12"] {
            let (all, counts) = pumped(format!("{{}}\n{half}"), 100);
            assert_eq!((all.as_slice(), counts.unterminated), (&b"{}\n"[..], 1), "{half}");
        }
        assert_eq!(pumped("", 100), (Vec::new(), Pumped::default()));
        assert_eq!(pumped("\u{feff}{}", 100).0, b"{}\n");
    }

    #[test]
    fn an_error_of_the_sink_ends_the_pumping() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"{}\n").unwrap();
        // The input is still open: nobody waits for its end.
        let outcome = pump(reader, 100, |_| Err("full"));
        assert!(matches!(outcome, Err(PumpError::Sink("full"))));
        drop(writer);
    }

    #[test]
    fn an_error_of_the_input_comes_after_the_lines_before_it() {
        struct Broken(bool);
        impl Read for Broken {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(io::Error::other("gone"));
                }
                buf[..3].copy_from_slice(b"{}\n");
                Ok(3)
            }
        }
        let mut lines = 0;
        let outcome = pump(Broken(false), 100, |batch| {
            lines += batch.len() / 3;
            Ok::<_, ()>(())
        });
        assert!(matches!(outcome, Err(PumpError::Input(_))));
        assert_eq!(lines, 1);
    }
}
