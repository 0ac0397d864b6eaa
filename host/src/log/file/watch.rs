//! The generations of one path: which contents it has had, and where each is now.
//!
//! Every look compares the path with the newest generation. What replaced it begins a new generation,
//! after the old one was found again and closed at its end. A change of the list is durable before any
//! offset that depends on it is handed out.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::content::{Content, Extent, HEAD, Stamp, Stream, Tail};
use super::lines::is_document;
use super::rotated::begins_like;
use super::state::{Generation, Loss, State};
use crate::log::{LogError, Offset};

/// How seldom progress alone is written down.
const NOTE_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Watch {
    name: String,
    path: PathBuf,
    state_path: PathBuf,
    pub(super) state: State,
    /// What is open of each generation of `state`.
    pub(super) open: Vec<Open>,
    once: bool,
    rotation_settle: Duration,
    /// The path as the newest generation last saw it.
    seen: Option<Stamp>,
    /// Since when the path has been another file, and how long the old one was then.
    replaced: Option<(Instant, u64)>,
    /// Largest position any reader has taken.
    reached: u64,
    saved: Instant,
    /// Bytes of the newest head when it was last written down.
    noted_head: u64,
    pub(super) unterminated: u64,
}

/// What is open of a generation.
#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) content: Option<Arc<Content>>,
    pub(super) extent: Extent,
}

/// What can be read without further looks.
pub(super) struct Run {
    pub(super) content: Arc<Content>,
    /// Offset of the content's first byte.
    pub(super) base: u64,
    /// Bytes of the content that hold records.
    pub(super) len: u64,
    /// The content may still be cut off by its writer; its head tells.
    pub(super) head: Option<(u64, u64)>,
}

impl Watch {
    pub(super) fn new(
        name: String,
        path: PathBuf,
        state_path: PathBuf,
        state: State,
        once: bool,
        rotation_settle: Duration,
    ) -> Self {
        let open = state.generations.iter().map(|_| Open::default()).collect();
        Self {
            name,
            path,
            state_path,
            state,
            open,
            once,
            rotation_settle,
            seen: None,
            replaced: None,
            reached: 0,
            saved: Instant::now(),
            noted_head: 0,
            unterminated: 0,
        }
    }

    /// Finds every generation again and takes the first look, given how far readers had come.
    pub(super) fn begin(&mut self, by_all: Offset, by_any: Offset) -> Result<(), LogError> {
        self.state.released = self.state.released.max(by_all.0);
        self.reached = by_any.0;
        self.find_again()?;
        self.look()?;
        if self.once && self.seen.is_none() {
            let reason = "there is no such file, and with --once none is waited for".to_owned();
            return Err(LogError::BadSource { url: self.name.clone(), reason });
        }
        if self.once {
            self.take_last_line()?;
        } else if self.seen.is_none() {
            tracing::info!(log = %self.name, "the file is not there yet: waiting for it");
        }
        // Also where nothing changed: the id must not depend on whether a message ever comes.
        self.save()
    }

    /// Offset of the oldest byte kept.
    pub(super) fn start(&self) -> u64 {
        self.state.generations.first().map_or(self.state.next_base, |it| it.base)
    }

    /// Offset past the newest record.
    pub(super) fn end(&self) -> u64 {
        self.newest().map_or(0, Generation::end).max(self.state.next_base)
    }

    /// The generation that holds `from`; `None` at the log's end.
    pub(super) fn run(&mut self, from: u64) -> Result<Option<Run>, LogError> {
        if from < self.start() {
            return Err(self.expired(from, self.start()));
        }
        let holds = |watch: &Self| watch.state.generations.iter().position(|it| from < it.end());
        let Some(mut index) = holds(self) else { return Ok(None) };
        if self.state.generations[index].closed && self.open[index].content.is_none() {
            self.find_closed()?;
            let Some(again) = holds(self) else { return Ok(None) };
            index = again;
        }
        let generation = &self.state.generations[index];
        // Generations follow each other without a gap, but for those that vanished.
        if from < generation.base {
            return Err(self.expired(from, generation.base));
        }
        let Some(content) = self.open[index].content.clone() else {
            // The newest generation whose file is away: it may come back.
            return Ok(None);
        };
        let live = !generation.closed && content.is_plain();
        let head = live.then_some((generation.head_len, generation.head));
        Ok(Some(Run { content, base: generation.base, len: generation.len, head }))
    }

    /// The run in which the last record before `end` lies, if it can be read.
    pub(super) fn run_before(&self, end: u64) -> Option<Run> {
        let index = self.state.generations.iter().rposition(|it| it.base < end)?;
        let generation = &self.state.generations[index];
        let content = self.open[index].content.clone()?;
        let len = end.min(generation.end()) - generation.base;
        Some(Run { content, base: generation.base, len, head: None })
    }

    /// Where each generation begins and ends.
    pub(super) fn spans(&self) -> Vec<Range<u64>> {
        self.state.generations.iter().map(|it| it.base..it.end()).collect()
    }

    /// End of the newest generation that is closed and ends at or before `offset`.
    pub(super) fn closed_before(&self, offset: u64) -> u64 {
        let closed = self.state.generations.iter().filter(|it| it.closed && it.end() <= offset);
        closed.map(Generation::end).max().unwrap_or(0)
    }

    /// Bytes of the records between two offsets.
    pub(super) fn bytes(&self, from: u64, to: u64) -> u64 {
        let within = |it: &Generation| it.end().min(to).saturating_sub(it.base.max(from));
        self.state.generations.iter().map(within).sum()
    }

    /// Notes that all readers are durably past `below`.
    pub(super) fn release(&mut self, below: u64) {
        self.state.released = self.state.released.max(below);
        self.reached = self.reached.max(below);
        for (generation, open) in self.state.generations.iter().zip(&mut self.open) {
            if generation.closed && generation.end() <= below {
                // The file can be deleted now; who reads it again finds it again.
                *open = Open::default();
            }
        }
        if self.saved.elapsed() >= NOTE_EVERY
            && let Err(error) = self.save()
        {
            // Only a better guess at losses is lost; changes of the list are saved where they are made.
            tracing::warn!(log = %self.name, %error, "cannot note the progress of a file");
        }
    }

    /// Looks at the path and takes in what has changed.
    pub(super) fn look(&mut self) -> Result<(), LogError> {
        if self.once && self.seen.is_some() {
            return Ok(());
        }
        self.look_at_closed()?;
        let stamp = match std::fs::metadata(&self.path) {
            Ok(metadata) if metadata.is_file() => Some(Stamp::of(&metadata)),
            Ok(metadata) => {
                let what = if metadata.is_dir() { "a directory" } else { "not a regular file" };
                let reason = format!("it is {what}; name an NDJSON file, or pipe into `stdin:`");
                return Err(LogError::BadSource { url: self.name.clone(), reason });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(self.io("cannot look at the file", error)),
        };
        let Some(stamp) = stamp else { return self.grow() };
        if self.seen == Some(stamp) && self.replaced.is_none() {
            return Ok(());
        }
        self.take_in(stamp)
    }

    fn take_in(&mut self, stamp: Stamp) -> Result<(), LogError> {
        if self.newest().is_none_or(|it| it.closed) {
            return self.open_path(stamp);
        }
        let Some(current) = self.open.last().and_then(|open| open.content.clone()) else {
            self.find_newest()?;
            return if self.seen.is_none() { self.open_path(stamp) } else { Ok(()) };
        };
        let own = current.stamp().map_err(|error| self.io("cannot look at the file", error))?;
        // Also where the path is another file: the old one may have been cut off before it was moved.
        if self.is_cut_off(&current)? {
            tracing::info!(log = %self.name, "the file was cut off: a new generation begins");
            self.close_away()?;
            return self.open_path(stamp);
        }
        if own.same_file(&stamp) {
            self.seen = Some(stamp);
            self.replaced = None;
            return self.grow();
        }
        self.grow()?;
        let old_len = self.open.last().map_or(0, |open| open.extent.len);
        let now = Instant::now();
        let (since, then_len) = *self.replaced.get_or_insert((now, old_len));
        if then_len != old_len {
            // Its writer has not turned to the new file yet.
            self.replaced = Some((now, old_len));
        }
        if self.once || (then_len == old_len && now - since >= self.rotation_settle) {
            self.replaced = None;
            if self.goes_on_in_another_file()? {
                return self.grow();
            }
            tracing::info!(log = %self.name, "the file was replaced: a new generation begins");
            self.close_moved(&own)?;
            return self.open_path(stamp);
        }
        Ok(())
    }

    /// Makes `content` the open file of the newest generation.
    pub(super) fn adopt(&mut self, content: Content) -> Result<(), LogError> {
        let stamp = content.stamp().map_err(|error| self.io("cannot look at the file", error))?;
        if let (Some(open), Some(generation)) =
            (self.open.last_mut(), self.state.generations.last_mut())
        {
            open.content = Some(Arc::new(content));
            generation.device = stamp.device;
            generation.inode = stamp.inode;
        }
        self.save()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Largest position any reader has taken.
    pub(super) fn reached(&self) -> u64 {
        self.reached
    }

    /// Notes that the path is as the newest generation knows it.
    pub(super) fn set_seen(&mut self, stamp: Stamp) {
        self.seen = Some(stamp);
    }

    pub(super) fn newest(&self) -> Option<&Generation> {
        self.state.generations.last()
    }

    /// Whether the newest content has been cut off or overwritten from its start.
    fn is_cut_off(&self, content: &Content) -> Result<bool, LogError> {
        let (Some(generation), Some(open)) = (self.newest(), self.open.last()) else {
            return Ok(false);
        };
        let fail = |error| self.io("cannot read the file", error);
        content.forget();
        if !begins_like(content, generation).map_err(fail)? {
            return Ok(true);
        }
        let size = content.stamp().map_err(fail)?.size;
        if size < open.extent.size { Err(self.shrunk(size)) } else { Ok(false) }
    }

    /// Takes in what was appended to the newest generation.
    pub(super) fn grow(&mut self) -> Result<(), LogError> {
        let (Some(open), Some(generation)) =
            (self.open.last_mut(), self.state.generations.last_mut())
        else {
            return Ok(());
        };
        let Some(content) = &open.content else { return Ok(()) };
        if generation.closed {
            return Ok(());
        }
        let outcome = content.extent(&open.extent).and_then(|extent| {
            let head_len = extent.len.min(HEAD);
            let head = if head_len > generation.head_len { content.head(head_len)? } else { None };
            Ok((extent, head_len, head))
        });
        let (extent, head_len, head) = match outcome {
            Ok(found) => found,
            Err(error) => return Err(self.io("cannot read the file", error)),
        };
        // A last line taken by an earlier run without its end stays taken.
        let reached = self.reached.saturating_sub(generation.base);
        let taken = if reached <= extent.len { reached } else { 0 };
        generation.len = generation.len.max(extent.lines).max(taken);
        let worse = extent.tail != open.extent.tail;
        open.extent = extent;
        if let Some(head) = head {
            generation.head = head;
            generation.head_len = head_len;
            // Each doubling is written down: after a kill at least half of the head is known.
            if head_len == HEAD || head_len >= self.noted_head * 2 {
                self.noted_head = head_len;
                self.save()?;
            }
        }
        if worse { self.report_tail() } else { Ok(()) }
    }

    fn report_tail(&mut self) -> Result<(), LogError> {
        let tail = self.open.last().map(|open| open.extent.tail.clone()).unwrap_or_default();
        let reason = match tail {
            Tail::Whole => return Ok(()),
            Tail::Cut if !self.once => {
                tracing::warn!(log = %self.name, "the compressed data end early: waiting for more");
                return Ok(());
            }
            Tail::Cut => "the compressed data end early".to_owned(),
            Tail::Damaged(reason) => format!("the compressed data are damaged: {reason}"),
        };
        let at = self.end();
        if at == self.newest().map_or(0, |it| it.base) {
            return Err(LogError::Damaged { log: self.name.clone(), at: Offset(at), reason });
        }
        self.lose(at, at, reason);
        self.save()
    }

    /// Begins a generation with what lies at the path now.
    fn open_path(&mut self, stamp: Stamp) -> Result<(), LogError> {
        let content = match Content::open(&self.path) {
            Ok(content) => content,
            // Gone again since the look.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.io("cannot open the file", error)),
        };
        self.push(content)?;
        self.seen = Some(stamp);
        Ok(())
    }

    pub(super) fn push(&mut self, content: Content) -> Result<(), LogError> {
        let stamp = content.stamp().map_err(|error| self.io("cannot look at the file", error))?;
        // Those rotated before are looked for, lest the list grow for ever.
        self.find_closed()?;
        let base = self.end();
        self.noted_head = 0;
        self.state.generations.push(Generation {
            base,
            len: 0,
            closed: false,
            head_len: 0,
            head: xxhash_rust::xxh3::xxh3_64(b""),
            device: stamp.device,
            inode: stamp.inode,
        });
        self.open.push(Open { content: Some(Arc::new(content)), extent: Extent::default() });
        self.save()?;
        self.grow()
    }

    /// Closes the newest generation, whose content is open, at its last record.
    pub(super) fn close(&mut self) -> Result<(), LogError> {
        self.grow()?;
        let left = self.take_last_line()?;
        if let Some(generation) = self.state.generations.last_mut() {
            generation.closed = true;
            let end = generation.end();
            if left > 0 {
                self.lose(end, end, format!("its last line, {left} bytes, was never finished"));
            }
        }
        self.save()
    }

    /// Decides about a last line without a line feed, of which nothing more will come. Returns the
    /// number of bytes left because they are no whole document.
    fn take_last_line(&mut self) -> Result<u64, LogError> {
        let (Some(open), Some(generation)) = (self.open.last(), self.state.generations.last_mut())
        else {
            return Ok(0);
        };
        let Some(content) = open.content.clone() else { return Ok(0) };
        let len = open.extent.len;
        if generation.len >= len {
            return Ok(0);
        }
        if open.extent.tail == Tail::Whole
            && is_document(Stream::new(&content, generation.len, len))
        {
            generation.len = len;
            return Ok(0);
        }
        let left = len - generation.len;
        self.unterminated += 1;
        tracing::warn!(
            log = %self.name,
            offset = generation.end(),
            bytes = left,
            "the last line has no end and is no whole document: it is left",
        );
        Ok(left)
    }

    /// Notices writers that go on with a file after it was left.
    fn look_at_closed(&mut self) -> Result<(), LogError> {
        for index in 0..self.open.len() {
            if !self.state.generations[index].closed || self.open[index].extent.len == 0 {
                continue;
            }
            let Some(content) = self.open[index].content.clone() else { continue };
            let known = &self.open[index].extent;
            let Ok(now) = content.extent(known) else { continue };
            let more = now.len.saturating_sub(known.len);
            self.open[index].extent = now;
            if more > 0 {
                let at = self.state.generations[index].end();
                self.lose(at, at, format!("{more} bytes were written to it after it was rotated"));
                self.save()?;
            }
        }
        Ok(())
    }

    pub(super) fn lose(&mut self, from: u64, to: u64, reason: String) {
        let loss =
            Loss { from: Offset(from), to: Offset(to), reason, seen_us: crate::clock::now_us() };
        if self.state.lose(loss.clone()) {
            tracing::error!(log = %self.name, from, to, reason = loss.reason, "part of a file is lost");
        }
    }

    pub(super) fn save(&mut self) -> Result<(), LogError> {
        self.saved = Instant::now();
        let saved = self.state.save(&self.state_path);
        saved.map_err(|error| self.io("cannot write the state of the file log", error))
    }

    pub(super) fn shrunk(&self, size: u64) -> LogError {
        let reason = format!(
            "{} begins as before but has only {size} bytes: restore it, or move {} away to count it \
             anew as another log",
            self.path.display(),
            self.state_path.display(),
        );
        LogError::Diverged { log: self.name.clone(), at: Offset(self.end()), reason }
    }

    fn expired(&self, asked: u64, oldest: u64) -> LogError {
        LogError::Expired { log: self.name.clone(), asked: Offset(asked), oldest: Offset(oldest) }
    }

    pub(super) fn io(&self, what: &str, source: io::Error) -> LogError {
        let what = format!("{what} {}", self.path.display());
        LogError::Io { log: self.name.clone(), what, source }
    }
}
