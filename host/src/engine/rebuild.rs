//! A rebuild takes over: rows of a new version, made beside the old ones, begin to serve.

use std::sync::Arc;

use super::Shared;
use super::stat::StatShared;
use crate::fault;
use crate::log::Offset;
use crate::query::StatState;
use crate::store::StoreError;

/// Lets every rebuild that is level with its logs serve.
pub(super) fn swap_those_level(shared: &Shared) {
    for stat in &shared.stats {
        // Looked at, not remembered: a fault meanwhile must not make the swap forgotten.
        let given_up =
            matches!(stat.health.lock().state, StatState::Quarantined | StatState::Failed);
        if given_up || !stat.rebuilding() || !shared.level(stat) {
            continue;
        }
        match what_is_lost(shared, stat) {
            Some(lost) if !shared.options.accept_loss => stat.set_state(
                StatState::Rebuilding,
                format!("level, but {lost}; start with --accept-loss to let it serve all the same"),
            ),
            _ => match swap(shared, stat) {
                Ok(()) => stat.set_state(StatState::Live, ""),
                Err(error) => {
                    tracing::error!(stat = stat.ident, "rebuild cannot take over: {error}")
                }
            },
        }
    }
}

/// The step that readers see. Killed before it the old rows serve, after it the new ones.
fn swap(shared: &Shared, stat: &Arc<StatShared>) -> Result<(), StoreError> {
    let store = stat.store.lock();
    shared.database.sync()?;
    fault::point("rebuild_swap");
    shared.database.activate(&store)?;
    fault::point("rebuild_swap");
    shared.database.sync()?;
    *stat.served.write() = store.handle();
    tracing::info!(stat = stat.ident, "rebuilt rows serve");
    Ok(())
}

/// What the old rows account for and the new ones cannot, in words.
fn what_is_lost(shared: &Shared, stat: &StatShared) -> Option<String> {
    let old = stat.served();
    if old.record().retired.messages > 0 && !shared.options.history {
        return Some("no history is given, from which some of it was fetched".to_owned());
    }
    old.record().positions.iter().filter(|(_, at)| at.messages > 0).find_map(
        |(id, at)| match shared.logs.iter().find(|slot| slot.log.id() == *id) {
            None => Some(format!("log {} is no longer read", at.name)),
            Some(slot) if slot.log.start() > Offset(0) => {
                Some(format!("log {} no longer reaches back to its start", at.name))
            }
            Some(_) => None,
        },
    )
}
