//! Rows on their way out of a model: encoded, sorted, merged where keys are equal, in blocks.

use std::ops::Range;

use super::Dictionaries;
use crate::aggregate;
use crate::encoding::BlockWriter;
use crate::manifest::Measure;
use crate::stat::PluginError;

/// A block is handed over when it is this large.
const BLOCK_BYTES: usize = 1 << 20;

/// One drain: the dictionaries it reads and the sink it writes to.
pub struct Drain<'a> {
    dictionaries: Dictionaries<'a>,
    sink: &'a mut dyn FnMut(u32, &[u8]) -> bool,
    bytes: Vec<u8>,
    rows: Vec<Encoded>,
}

/// Where a row's key and value are in the drain's bytes: `start..middle` and `middle..end`.
struct Encoded {
    start: usize,
    middle: usize,
    end: usize,
}

impl Encoded {
    fn key(&self) -> Range<usize> {
        self.start..self.middle
    }

    fn value(&self) -> Range<usize> {
        self.middle..self.end
    }
}

impl<'a> Drain<'a> {
    /// A drain into `sink`, which answers whether it takes more.
    pub(crate) fn new(
        dictionaries: Dictionaries<'a>,
        sink: &'a mut dyn FnMut(u32, &[u8]) -> bool,
    ) -> Self {
        Self { dictionaries, sink, bytes: Vec::new(), rows: Vec::new() }
    }

    pub(super) fn begin(&mut self) {
        self.bytes.clear();
        self.rows.clear();
    }

    /// Takes a row of the model.
    pub(super) fn row(
        &mut self,
        key: impl FnOnce(Dictionaries<'a>, &mut Vec<u8>) -> Result<(), PluginError>,
        value: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), PluginError> {
        let start = self.bytes.len();
        key(self.dictionaries, &mut self.bytes)?;
        let middle = self.bytes.len();
        value(&mut self.bytes);
        self.rows.push(Encoded { start, middle, end: self.bytes.len() });
        Ok(())
    }

    /// Sorts the rows and hands them over as model number `model`.
    pub(super) fn finish(&mut self, model: u32, measures: &[Measure]) -> Result<(), PluginError> {
        let bytes = &self.bytes;
        self.rows.sort_unstable_by(|a, b| bytes[a.key()].cmp(&bytes[b.key()]));
        let mut block = BlockWriter::new();
        let mut merged = Vec::new();
        // Equal keys: one text that was coded in two columns, or once coded and once not.
        for same in self.rows.chunk_by(|a, b| bytes[a.key()] == bytes[b.key()]) {
            let (first, rest) = same.split_first().expect("chunk_by yields no empty chunk");
            if rest.is_empty() {
                block.push(&bytes[first.key()], &bytes[first.value()]);
            } else {
                let mut value = bytes[first.value()].to_vec();
                for row in rest {
                    merged.clear();
                    aggregate::merge(measures, &value, &bytes[row.value()], &mut merged)?;
                    std::mem::swap(&mut value, &mut merged);
                }
                block.push(&bytes[first.key()], &value);
            }
            if block.as_bytes().len() >= BLOCK_BYTES {
                let full = std::mem::take(&mut block).into_bytes();
                hand_over(self.sink, model, &full)?;
            }
        }
        if block.rows() > 0 {
            hand_over(self.sink, model, block.as_bytes())?;
        }
        Ok(())
    }
}

fn hand_over(
    sink: &mut dyn FnMut(u32, &[u8]) -> bool,
    model: u32,
    block: &[u8],
) -> Result<(), PluginError> {
    if sink(model, block) { Ok(()) } else { Err(PluginError::Refused { model }) }
}
