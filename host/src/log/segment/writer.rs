//! The writing end of a log: commits into the newest segment file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::block::{Header, stamp};
use super::entries::Extras;
use super::pack::{Packed, RAW_TARGET};

pub(super) struct Writer {
    pub(super) file: Arc<File>,
    /// Where the next block goes: just past the last durable one.
    pub(super) position: u64,
    pub(super) mark: u64,
    pub(super) buffer: Vec<u8>,
    /// Something of a failed write may stand behind the position.
    pub(super) is_torn: bool,
}

impl Writer {
    /// Puts a commit into the buffer: `blocks` from number `first` on, the extras with the last.
    pub(super) fn stamp(
        &mut self,
        mut first: u64,
        blocks: &[Packed],
        extras: &Extras,
    ) -> io::Result<Vec<Header>> {
        self.buffer.clear();
        // A rare huge commit must not keep its memory.
        self.buffer.shrink_to(4 * RAW_TARGET);
        let none = Extras::default();
        let mut headers = Vec::with_capacity(blocks.len());
        for (place, packed) in blocks.iter().enumerate() {
            let last = place + 1 == blocks.len();
            let extras = if last { extras } else { &none };
            headers.push(stamp(self.mark, first, packed, extras, !last, &mut self.buffer)?);
            first += u64::from(packed.count);
        }
        Ok(headers)
    }

    /// Writes the buffer and makes it durable; on failure the file is as before, or [`Writer::mend`] makes it so.
    pub(super) fn write(&mut self) -> io::Result<()> {
        self.is_torn = true;
        let written = self.file.write_all_at(&self.buffer, self.position);
        let result = written.and_then(|()| self.file.sync_data());
        match result {
            Ok(()) => self.is_torn = false,
            // The next write tries again what cannot be undone now.
            Err(_) => drop(self.mend()),
        }
        result
    }

    /// Cuts off what a failed write left: the pages of a failed fsync may be gone, and without them that is harmless.
    pub(super) fn mend(&mut self) -> io::Result<()> {
        if self.is_torn {
            self.file.set_len(self.position)?;
            self.file.sync_data()?;
            self.is_torn = false;
        }
        Ok(())
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
