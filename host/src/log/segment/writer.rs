//! The writing end of a log: commits into the newest segment file.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::block::{Encoder, Header, RAW_TARGET};
use super::entries::{Entries, Extras};

pub(super) struct Writer {
    pub(super) file: Arc<File>,
    /// Where the next block goes: just past the last durable one.
    pub(super) position: u64,
    pub(super) encoder: Encoder,
    pub(super) buffer: Vec<u8>,
    /// Why nothing more can be written until the log is opened anew.
    pub(super) broken: Option<String>,
}

impl Writer {
    /// Packs a commit into the buffer: blocks of about [`RAW_TARGET`], the extras with the last.
    pub(super) fn encode(
        &mut self,
        first: u64,
        entries: &Entries,
        extras: &Extras,
    ) -> io::Result<Vec<(Header, Range<usize>)>> {
        self.buffer.clear();
        // A rare huge commit must not keep its memory.
        self.buffer.shrink_to(4 * RAW_TARGET);
        let mut blocks = Vec::new();
        let mut start = 0;
        loop {
            let mut end = start;
            let mut bytes = 0;
            while end < entries.len() && (end == start || bytes < RAW_TARGET) {
                bytes += entries.record(end).len() + 12;
                end += 1;
            }
            let last = end == entries.len();
            let none = Extras::default();
            let header = self.encoder.push(
                first + start as u64,
                entries,
                start..end,
                if last { extras } else { &none },
                !last,
                &mut self.buffer,
            )?;
            blocks.push((header, start..end));
            if last {
                return Ok(blocks);
            }
            start = end;
        }
    }

    /// Writes the buffer and makes it durable; on failure the file is as before, or the writer broken.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let written = self.file.write_all_at(&self.buffer, self.position);
        let result = written.and_then(|()| self.file.sync_data());
        if let Err(error) = &result {
            // The pages of a failed fsync may be gone; cutting them off makes that harmless.
            let undone = self.file.set_len(self.position).and_then(|()| self.file.sync_data());
            if undone.is_err() {
                self.broken = Some(error.to_string());
            }
        }
        result
    }
}

/// Cuts off what stands after the last whole commit, and makes the rest durable.
pub(super) fn cut(file: &File, bytes: u64, log: &str) -> io::Result<()> {
    let length = file.metadata()?.len();
    if length > bytes {
        tracing::info!(log, "cut off {} bytes that were never acknowledged", length - bytes);
        file.set_len(bytes)?;
    }
    // A commit may have been written, but not yet made durable, when the process died.
    file.sync_data()
}
