//! Who is told that rows changed, at the moment they do.

use std::sync::{Arc, Weak};

use parking_lot::RwLock;

/// Shown times of the rows that changed, µs, both inclusive.
pub type ChangedTimes = (i64, i64);

/// Someone who wants to know of changes.
///
/// # Contract
///
/// [`Watcher::changed`] is called by the thread that commits, for every commit: it notes what it is told
/// and returns at once. What has changed is asked of the catalog, later and elsewhere.
pub trait Watcher: Send + Sync {
    /// Whether anybody is interested in which rows changed; else the trouble of finding out is spared.
    fn is_interested(&self) -> bool;
    /// The rows of a stat that are answered have changed, or what the stat is doing has. `times` are
    /// those of the changed rows of its first model; none = any may have.
    fn changed(&self, ident: &str, times: Option<ChangedTimes>);
}

/// The watchers of a host. Those that are gone are forgotten.
#[derive(Default)]
pub struct Watchers(RwLock<Vec<Weak<dyn Watcher>>>);

impl Watchers {
    /// Tells `watcher` of changes from now on, for as long as it lives.
    pub fn add(&self, watcher: &Arc<dyn Watcher>) {
        let mut watchers = self.0.write();
        watchers.retain(|watcher| watcher.strong_count() > 0);
        watchers.push(Arc::downgrade(watcher));
    }

    /// Tells all watchers; `times` is only found out if one of them is interested.
    pub(crate) fn tell(&self, ident: &str, times: impl FnOnce() -> Option<ChangedTimes>) {
        let watchers: Vec<_> = self.0.read().iter().filter_map(Weak::upgrade).collect();
        let is_interesting = watchers.iter().any(|watcher| watcher.is_interested());
        let times = if is_interesting { times() } else { None };
        for watcher in watchers {
            watcher.changed(ident, times);
        }
    }
}
