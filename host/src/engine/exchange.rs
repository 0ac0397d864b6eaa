//! One engine after another over the same rows and logs, within a process.
//!
//! An engine that is to be replaced commits all that it has folded, then gives away its stores with all
//! who read them, and the logs. The next one goes on at the committed positions.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::stat::StatShared;
use super::{Engine, EngineError, LogInput, wanted_fields};
use crate::loader::Loaded;
use crate::project::{Mapping, Projection};
use crate::store::StatStore;

/// What an engine leaves to the next one.
pub(crate) struct HandedOver {
    /// The rows that serve, by ident.
    pub(crate) stores: BTreeMap<String, StatStore>,
    /// What was read.
    pub(crate) inputs: Vec<LogInput>,
}

impl Engine {
    /// Stops as [`Engine::stop`] does, and gives away what the next engine needs. What readers hold of this
    /// one goes on answering the last rows.
    pub(crate) fn hand_over(mut self) -> HandedOver {
        self.halt();
        let stats = self.shared.stats.iter();
        let stores = stats.map(|stat| (stat.ident.clone(), stat.hand_over())).collect();
        let inputs = self.shared.logs.iter().map(|slot| LogInput {
            log: slot.log.clone(),
            readers: slot.readers.clone(),
            max_rate: slot.max_rate,
            max_ahead_us: slot.max_ahead_us,
            seen: slot.live.seen(),
        });
        HandedOver { stores, inputs: inputs.collect() }
    }
}

impl StatShared {
    /// The rows that serve, for another owner.
    fn hand_over(&self) -> StatStore {
        // Of a thread that was given up nothing is to come in any more.
        self.epoch.fetch_add(1, Ordering::SeqCst);
        match self.replaced.lock().take().filter(|_| self.rebuilding()) {
            // What was made beside them is opened again where the next engine makes the same.
            Some(replaced) => replaced,
            None => self.store.lock().hand_over(),
        }
    }
}

/// Whether the fields that all stats want can be read.
///
/// # Errors
/// [`EngineError::Pointer`].
pub(crate) fn check_fields(loaded: &Loaded) -> Result<(), EngineError> {
    Projection::compile(&Mapping::auto(), &wanted_fields(loaded))?;
    Ok(())
}
