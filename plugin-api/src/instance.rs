//! One running stat: every call into the author's code goes through here.
//!
//! A panic or an error takes the stat with it: what it held may be half changed, and the host folds
//! the same messages again in a new instance.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::abi::{BatchAbi, DictionaryAbi, FoldReport};
use crate::aggregate;
use crate::batch::Batch;
use crate::encoding::{self, BlockReader};
use crate::model::{Dictionaries, Drain};
use crate::stat::{PluginError, RestoredRow, Stat};

/// A stat, until it fails.
pub(crate) struct Instance<S: Stat> {
    stat: Option<S>,
    drains: u64,
}

impl<S: Stat> Instance<S> {
    /// Makes a stat ready for its first fold.
    pub(crate) fn new(config: &str) -> Result<Self, PluginError> {
        let stat = guard(|| {
            let mut stat = S::default();
            stat.prepare(S::INFO.interval)?;
            stat.configure(config)?;
            Ok(stat)
        })?;
        Ok(Self { stat: Some(stat), drains: 0 })
    }

    pub(crate) fn fold(&mut self, batch: &BatchAbi<'_>) -> Result<FoldReport, PluginError> {
        let drains = self.drains;
        self.call(|stat| {
            stat.fold(&Batch::new(batch, S::FIELDS, drains)?)?;
            let mut report = FoldReport::default();
            for model in stat.models() {
                let held = model.report();
                report.rows += held.rows;
                report.bytes += held.bytes;
            }
            Ok(report)
        })
    }

    pub(crate) fn drain(
        &mut self,
        dictionaries: &[DictionaryAbi<'_>],
        sink: &mut dyn FnMut(u32, &[u8]) -> bool,
    ) -> Result<(), PluginError> {
        self.drains += 1;
        self.call(|stat| {
            let mut drain = Drain::new(Dictionaries(dictionaries), sink);
            for (number, model) in (0..).zip(stat.models()) {
                model.drain(number, &mut drain)?;
            }
            Ok(())
        })
    }

    pub(crate) fn restore(&mut self, model: u32, block: &[u8]) -> Result<(), PluginError> {
        self.call(|stat| {
            let manifests = S::manifests(S::INFO.interval)?;
            let manifest =
                manifests.get(model as usize).ok_or(PluginError::UnknownModel { model })?;
            let mut measures = Vec::new();
            for row in BlockReader::new(block) {
                let (key, value) = row?;
                let (window, dimensions) =
                    encoding::decode_key(manifest.window_s.is_some(), &manifest.dimensions, key)?;
                measures.clear();
                aggregate::row_values(&manifest.measures, value, &mut measures)?;
                stat.restore(&RestoredRow {
                    model: &manifest.name,
                    window,
                    dimensions: &dimensions,
                    measures: &measures,
                })?;
            }
            Ok(())
        })
    }

    /// Calls into the stat, which survives only a success.
    fn call<T>(
        &mut self,
        work: impl FnOnce(&mut S) -> Result<T, PluginError>,
    ) -> Result<T, PluginError> {
        let mut stat = self.stat.take().ok_or(PluginError::Poisoned)?;
        match guard(|| work(&mut stat)) {
            Ok(value) => {
                self.stat = Some(stat);
                Ok(value)
            }
            Err(error) => {
                dispose(stat);
                Err(error)
            }
        }
    }
}

impl<S: Stat> Drop for Instance<S> {
    fn drop(&mut self) {
        if let Some(stat) = self.stat.take() {
            dispose(stat);
        }
    }
}

/// Drops a stat whose own `drop` may panic.
fn dispose<S: Stat>(stat: S) {
    // There is nobody to tell: the instance is gone either way.
    let _ = guard(|| {
        drop(stat);
        Ok(())
    });
}

/// Runs author's code; a panic comes back as an error.
pub(crate) fn guard<T>(work: impl FnOnce() -> Result<T, PluginError>) -> Result<T, PluginError> {
    // Unwind safety: on a panic the caller drops all that `work` could have left half done.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let message = (payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a payload that is not text".to_owned());
        // The payload's own drop could panic, and nothing would catch that.
        std::mem::forget(payload);
        Err(PluginError::Panic { message })
    })
}
