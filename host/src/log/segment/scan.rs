//! Reads a segment block by block, to make its index and to find where it is damaged or torn.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::block::{self, HEADER, Header, Plain, flag};
use super::index::Index;

/// Makes the index of a segment whose first record is `first`.
///
/// Blocks that fail their check are stepped over as long as a good one follows; the records between are in
/// [`Index::lost`]. With `last` (the segment may have been written to when the process died) what stands
/// after the last whole commit is not in the index: the caller cuts the file at `summary.bytes`.
pub(super) fn scan(file: &File, mark: u64, first: u64, last: bool) -> io::Result<Index> {
    let length = file.metadata()?.len();
    let mut index = Index::new(first);
    // Blocks of a commit whose last block was not seen yet.
    let mut unfinished = Vec::new();
    let mut expected = first;
    let mut position = 0;
    while position < length {
        let Some((at, header, plain)) = next_good(file, mark, position, length, expected)? else {
            break;
        };
        if at > position {
            // Something was acknowledged after them, so they were too.
            flush(&mut index, &mut unfinished);
        }
        position = at + (HEADER + header.payload_len()) as u64;
        expected = header.end();
        unfinished.push((at, header, plain));
        if !header.has(flag::CONTINUES) {
            flush(&mut index, &mut unfinished);
        }
    }
    if !last {
        flush(&mut index, &mut unfinished);
        index.summary.bytes = length;
    }
    Ok(index)
}

fn flush(index: &mut Index, unfinished: &mut Vec<(u64, Header, Plain)>) {
    for (position, header, plain) in unfinished.drain(..) {
        index.push(position, &header, plain);
    }
}

/// The block at `position`, or else the first good one after it.
fn next_good(
    file: &File,
    mark: u64,
    position: u64,
    length: u64,
    expected: u64,
) -> io::Result<Option<(u64, Header, Plain)>> {
    let mut at = position;
    loop {
        if let Some((header, plain)) = good(file, mark, at, length)?
            && header.first >= expected
        {
            return Ok(Some((at, header, plain)));
        }
        match find_sync(file, mark, at + 1, length)? {
            Some(found) => at = found,
            None => return Ok(None),
        }
    }
}

fn good(file: &File, mark: u64, at: u64, length: u64) -> io::Result<Option<(Header, Plain)>> {
    let mut head = [0; HEADER];
    let Some(room) = length.checked_sub(at + HEADER as u64) else { return Ok(None) };
    file.read_exact_at(&mut head, at)?;
    let Ok(header) = Header::decode(&head, mark) else { return Ok(None) };
    if header.payload_len() as u64 > room {
        return Ok(None);
    }
    let mut payload = vec![0; header.payload_len()];
    file.read_exact_at(&mut payload, at + HEADER as u64)?;
    if !block::check(&head, &payload) {
        return Ok(None);
    }
    let plain = Plain::decode(&header, &payload[..header.plain_len as usize]);
    Ok(plain.map(|plain| (header, plain)))
}

/// Where the bytes that open every block of the log are found next.
fn find_sync(file: &File, mark: u64, from: u64, length: u64) -> io::Result<Option<u64>> {
    const CHUNK: usize = 1 << 20;
    let sync = Header::sync(mark);
    let mut at = from;
    let mut chunk = Vec::new();
    while at + sync.len() as u64 <= length {
        chunk.resize(CHUNK.min((length - at) as usize), 0);
        file.read_exact_at(&mut chunk, at)?;
        if let Some(found) = memchr::memmem::find(&chunk, &sync) {
            return Ok(Some(at + found as u64));
        }
        // The bytes looked for may lie across two chunks.
        at += (chunk.len() - (sync.len() - 1)) as u64;
    }
    Ok(None)
}
