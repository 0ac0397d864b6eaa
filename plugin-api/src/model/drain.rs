//! Rows on their way out of a model: encoded, merged where keys are equal, in blocks.

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
}

impl<'a> Drain<'a> {
    /// A drain into `sink`, which answers whether it takes more.
    pub(crate) fn new(
        dictionaries: Dictionaries<'a>,
        sink: &'a mut dyn FnMut(u32, &[u8]) -> bool,
    ) -> Self {
        Self { dictionaries, sink }
    }

    pub(super) fn dictionaries(&self) -> Dictionaries<'a> {
        self.dictionaries
    }

    /// Takes the rows of model number `model`.
    pub(super) fn block<'b>(&'b mut self, model: u32, measures: &'b [Measure]) -> Rows<'b> {
        let (key, value, more, merged) = Default::default();
        let block = BlockWriter::new();
        Rows { sink: &mut *self.sink, model, measures, block, key, value, more, merged }
    }
}

/// Rows of a model, ascending by key: each a key and one value or more.
pub(super) struct Rows<'b> {
    sink: &'b mut dyn FnMut(u32, &[u8]) -> bool,
    model: u32,
    measures: &'b [Measure],
    block: BlockWriter,
    key: Vec<u8>,
    /// Of all values of the key so far; empty: none yet.
    value: Vec<u8>,
    more: Vec<u8>,
    merged: Vec<u8>,
}

impl Rows<'_> {
    /// Begins a row.
    pub(super) fn key(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), PluginError>,
    ) -> Result<(), PluginError> {
        self.end_row()?;
        encode(&mut self.key)
    }

    /// A value of the row; several are merged.
    pub(super) fn value(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), PluginError> {
        if self.value.is_empty() {
            encode(&mut self.value);
            return Ok(());
        }
        self.more.clear();
        self.merged.clear();
        encode(&mut self.more);
        aggregate::merge(self.measures, &self.value, &self.more, &mut self.merged)?;
        std::mem::swap(&mut self.value, &mut self.merged);
        Ok(())
    }

    /// Hands over what is left.
    pub(super) fn finish(mut self) -> Result<(), PluginError> {
        self.end_row()?;
        if self.block.rows() > 0 { self.hand_over() } else { Ok(()) }
    }

    fn end_row(&mut self) -> Result<(), PluginError> {
        if self.value.is_empty() {
            return Ok(());
        }
        self.block.push(&self.key, &self.value);
        self.key.clear();
        self.value.clear();
        if self.block.as_bytes().len() >= BLOCK_BYTES { self.hand_over() } else { Ok(()) }
    }

    fn hand_over(&mut self) -> Result<(), PluginError> {
        let block = std::mem::take(&mut self.block);
        let (model, sink) = (self.model, &mut *self.sink);
        if sink(model, block.as_bytes()) { Ok(()) } else { Err(PluginError::Refused { model }) }
    }
}
