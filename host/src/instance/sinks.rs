//! Where drained rows arrive: sinks that end with their drain.
//!
//! A plugin may keep a sink for longer than the call that lent it, or hand it to several threads. So what it
//! holds is the number of a drain, and no address in this process: rows for a drain that is over are not
//! taken, and counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use statmill_plugin_api::abi::{RSlice, SinkAbi};

use super::Blocks;
use super::mapped::MAX_DRAIN_BYTES;

/// What a block takes beside its bytes.
const BLOCK_BYTES: usize = 64;

/// The drains that are going on.
static OPEN: Mutex<BTreeMap<usize, Arc<Mutex<Collected>>>> = Mutex::new(BTreeMap::new());
/// No number is given twice.
static NEXT: AtomicUsize = AtomicUsize::new(1);

/// A drain that is going on; dropped, it is over.
pub(super) struct Open {
    number: usize,
    collected: Arc<Mutex<Collected>>,
}

struct Collected {
    blocks: Blocks,
    bytes: usize,
    models: usize,
    /// Why some of it was not taken.
    refused: Option<String>,
}

/// Begins a drain of a stat with so many models.
pub(super) fn open(models: usize) -> Open {
    let collected = Collected { blocks: Blocks::new(), bytes: 0, models, refused: None };
    let collected = Arc::new(Mutex::new(collected));
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    OPEN.lock().insert(number, Arc::clone(&collected));
    Open { number, collected }
}

impl Open {
    /// What is lent to the plugin.
    pub(super) fn sink(&self) -> SinkAbi<'_> {
        let context = std::ptr::without_provenance_mut(self.number);
        SinkAbi { context, rows: take_rows, lifetime: RSlice::EMPTY }
    }

    /// Ends the drain: what came, or why some of it was not taken.
    pub(super) fn close(self) -> Result<Blocks, String> {
        OPEN.lock().remove(&self.number);
        let mut collected = self.collected.lock();
        let blocks = std::mem::take(&mut collected.blocks);
        collected.refused.take().map_or(Ok(blocks), Err)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        OPEN.lock().remove(&self.number);
    }
}

extern "C" fn take_rows(context: *mut (), model: u32, block: RSlice<'_, u8>) -> bool {
    let collected = OPEN.lock().get(&context.addr()).cloned();
    let Some(collected) = collected else {
        metrics::counter!("statmill_late_rows_total").increment(1);
        return false;
    };
    collected.lock().take(model as usize, block.as_slice())
}

impl Collected {
    fn take(&mut self, model: usize, block: &[u8]) -> bool {
        self.bytes = self.bytes.saturating_add(block.len()).saturating_add(BLOCK_BYTES);
        let refused = if model >= self.models {
            format!("it drained rows of model number {model}, its manifest has {}", self.models)
        } else if self.bytes > MAX_DRAIN_BYTES {
            format!("it drained more than the {MAX_DRAIN_BYTES} bytes that are taken")
        } else {
            self.blocks.push((model, block.to_vec()));
            return true;
        };
        self.refused.get_or_insert(refused);
        false
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn rows(context: usize, model: u32) -> bool {
        let context = std::ptr::without_provenance_mut(context);
        take_rows(context, model, RSlice::from_slice(b"rows"))
    }

    #[test]
    fn rows_come_from_any_thread_until_the_drain_is_over_and_not_later() {
        let open = open(2);
        let number = open.number;
        std::thread::scope(|scope| {
            (0..4).for_each(|_| drop(scope.spawn(|| assert!(rows(number, 1)))));
        });
        assert_eq!(open.close(), Ok(vec![(1, b"rows".to_vec()); 4]));
        assert!(!rows(number, 1), "it is over");
        assert!(!rows(0, 0) && !rows(usize::MAX, 0), "it never was");
    }

    #[test]
    fn one_block_that_is_not_taken_spoils_all_of_a_drain() {
        let open = open(1);
        assert!(rows(open.number, 0));
        assert!(!rows(open.number, 1));
        assert!(rows(open.number, 0));
        let refused = open.close().unwrap_err();
        assert!(refused.contains("model number 1, its manifest has 1"), "{refused}");
    }
}
