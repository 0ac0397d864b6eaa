//! Files of messages, one a line, as a history.
//!
//! One file, or all files of a folder or of a pattern (`past/2026-*.ndjson.zst`) in the order of their
//! names. Each pass reads all of them: nothing is assumed about which times lie where. Compressed files are
//! read through once for a pass, not once for a page.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use super::lines::{Line, Lines};
use super::{Cursor, History, HistoryError, Page};
use crate::log::fill::Hole;
use crate::project::{Limits, Mapping, envelope};

const PAGE_BYTES: usize = 4 << 20;
const PAGE_RECORDS: usize = 4096;
/// Bytes read after which a page ends though it found little, so that progress is kept.
const PAGE_READ: u64 = 256 << 20;
/// The cursor behind the last page. No other cursor begins so.
const END: &str = "end";

/// NDJSON files addressed by time.
pub struct FileHistory {
    url: String,
    path: PathBuf,
    mapping: Mapping,
    limits: Limits,
    /// The file a pass was reading when its last page was full, and where.
    open: Mutex<Option<(Cursor, Lines)>>,
}

impl std::fmt::Debug for FileHistory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileHistory").field("url", &self.url).finish_non_exhaustive()
    }
}

impl FileHistory {
    /// The history in `path`: a file, a folder, or a pattern with `*` in the file name.
    ///
    /// # Errors
    /// [`HistoryError::Refused`] if there is no such file or folder.
    pub fn new(url: &str, path: &Path, mapping: Mapping) -> Result<Self, HistoryError> {
        let history = Self {
            url: url.to_owned(),
            path: path.to_owned(),
            mapping,
            limits: Limits::default(),
            open: Mutex::default(),
        };
        let files = history.files().map_err(|error| history.refused(&error.to_string()))?;
        if files.is_empty() {
            let reason = "no file of that name ends in .ndjson, .jsonl, or these with .zst or .gz";
            return Err(history.refused(reason));
        }
        Ok(history)
    }

    fn refused(&self, reason: &str) -> HistoryError {
        let reason = format!("{}: {reason}", self.path.display());
        HistoryError::Refused { url: self.url.clone(), reason }
    }

    fn unavailable(&self, path: &Path, error: &io::Error) -> HistoryError {
        let reason = format!("{}: {error}", path.display());
        HistoryError::Unavailable { url: self.url.clone(), reason }
    }

    /// The files with their names, in the order they are read.
    fn files(&self) -> io::Result<Vec<(String, PathBuf)>> {
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        if self.path.is_file() {
            return Ok(vec![(name.to_owned(), self.path.clone())]);
        }
        let (folder, pattern) = match self.path.is_dir() {
            true => (self.path.as_path(), "*"),
            false if name.contains('*') => (self.path.parent().unwrap_or(Path::new(".")), name),
            false => return Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if is_lines(name) && fits(pattern, name) && path.is_file() {
                files.push((name.to_owned(), path));
            }
        }
        files.sort();
        Ok(files)
    }

    /// Opens the file at a cursor, or the first one after it; `None` behind the last.
    fn open_at(&self, cursor: &Cursor) -> Result<Option<(String, PathBuf, Lines)>, HistoryError> {
        let (position, from) = match cursor.0.split_once(':') {
            Some((position, name)) => {
                let position = position.parse().map_err(|_| self.refused("unknown cursor"))?;
                (position, name)
            }
            None if cursor.0.is_empty() => (0, ""),
            None => return Ok(None),
        };
        let files = self.files().map_err(|error| self.unavailable(&self.path, &error))?;
        let Some((name, path)) = files.into_iter().find(|(name, _)| name.as_str() >= from) else {
            return Ok(None);
        };
        let kept = self.open.lock().take();
        if let Some((_, lines)) = kept.filter(|(at, _)| at == cursor) {
            return Ok(Some((name, path, lines)));
        }
        let mut lines = Lines::open(&path).map_err(|error| self.unavailable(&path, &error))?;
        if name == from {
            // Damage before the place was met, and reported, when the place was reached.
            match lines.skip_to(position) {
                Err(error) if error.raw_os_error().is_some() => {
                    return Err(self.unavailable(&path, &error));
                }
                _ => {}
            }
        }
        Ok(Some((name, path, lines)))
    }
}

impl History for FileHistory {
    fn url(&self) -> &str {
        &self.url
    }

    fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    fn fetch(&self, span_us: Range<i64>, cursor: &Cursor) -> Result<Page, HistoryError> {
        let mut page = Page::default();
        let Some((name, path, mut lines)) = self.open_at(cursor)? else {
            page.next = Cursor(END.to_owned());
            page.done = true;
            return Ok(page);
        };
        let start = lines.position();
        while page.bytes() < PAGE_BYTES
            && page.len() < PAGE_RECORDS
            && lines.position() - start < PAGE_READ
        {
            match lines.next(self.limits.max_message) {
                Ok(Line::Text(text)) => take(text, &span_us, self, &mut page),
                Ok(Line::TooLong) => page.rejected += 1,
                Ok(Line::End) => {
                    // The name of a next file is not known yet, but it sorts behind this.
                    page.next = Cursor(format!("0:{name}\u{0}"));
                    return Ok(page);
                }
                Err(error) if error.raw_os_error().is_some() => {
                    return Err(self.unavailable(&path, &error));
                }
                Err(error) => {
                    let at = lines.position();
                    page.holes.push(Hole {
                        from_us: span_us.start,
                        to_us: span_us.end,
                        reason: format!("{name} is damaged after {at} bytes of text: {error}"),
                        again: None,
                    });
                    page.next = Cursor(format!("0:{name}\u{0}"));
                    return Ok(page);
                }
            }
        }
        page.next = Cursor(format!("{}:{name}", lines.position()));
        *self.open.lock() = Some((page.next.clone(), lines));
        Ok(page)
    }
}

/// Puts a line on the page if it is a message of the span.
fn take(line: &[u8], span_us: &Range<i64>, history: &FileHistory, page: &mut Page) {
    let text = line.trim_ascii();
    if text.is_empty() {
        return;
    }
    match envelope(text, &history.mapping, &history.limits) {
        Ok(envelope) => match envelope.time_us {
            Some(time_us) if span_us.contains(&time_us) => page.push(text),
            Some(_) => {}
            None => page.rejected += 1,
        },
        Err(_) => page.rejected += 1,
    }
}

fn is_lines(name: &str) -> bool {
    let name = name.strip_suffix(".zst").or_else(|| name.strip_suffix(".gz")).unwrap_or(name);
    name.ends_with(".ndjson") || name.ends_with(".jsonl")
}

/// Whether a name fits a pattern in which `*` stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| name.strip_prefix(head)) else {
        return false;
    };
    let Some(tail) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(tail)
}
