//! What changed since when: from commits to those who listen.
//!
//! A commit only notes its number and wakes the listeners; nobody waits for anybody. What is kept is one
//! entry for each stat, so that a listener that was away for any time, or reads slowly, is told once of
//! each stat that changed meanwhile. There is no queue to overflow.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::clock::now_us;
use crate::query::{ChangedTimes, Watcher};

/// Changes of a stat whose times are remembered; of older ones any rows may have changed.
const REMEMBERED: usize = 64;

/// Changes of all stats since the server started.
pub(in crate::http) struct Hub {
    /// Tells places in this server's changes from those of an earlier life.
    life: u64,
    changes: Mutex<HashMap<String, Changes>>,
    /// Number of the newest change.
    newest: watch::Sender<u64>,
}

/// The changes of one stat.
#[derive(Default)]
struct Changes {
    newest: u64,
    /// The last ones and their times, oldest first.
    recent: VecDeque<(u64, Option<ChangedTimes>)>,
    /// The newest one that is no longer among them.
    forgotten: u64,
}

/// That a stat has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) number: u64,
    pub(super) ident: String,
    /// Times of the rows that changed; none = any may have.
    pub(super) times: Option<ChangedTimes>,
}

impl Hub {
    pub(in crate::http) fn new() -> Self {
        let life = now_us().unsigned_abs();
        Self { life, changes: Mutex::default(), newest: watch::Sender::new(0) }
    }

    /// Wakes whenever there is something new; its value is the number of the newest change.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// The stats that changed after the change number `after`, in the order of their last change.
    pub(super) fn since(&self, after: u64, wants: impl Fn(&str) -> bool) -> VecDeque<Change> {
        let changes = self.changes.lock();
        let newer = changes.iter().filter(|(ident, stat)| stat.newest > after && wants(ident));
        let mut newer: Vec<_> = newer
            .map(|(ident, stat)| Change {
                number: stat.newest,
                ident: ident.clone(),
                times: stat.times_since(after),
            })
            .collect();
        newer.sort_unstable_by_key(|change| change.number);
        newer.into()
    }

    /// Names the place behind a change, for a client that comes again.
    pub(super) fn id(&self, number: u64) -> String {
        format!("{:x}-{number}", self.life)
    }

    /// Reads a place; `None` if it is none in the changes of this server.
    pub(super) fn number(&self, id: &str) -> Option<u64> {
        let (life, number) = id.split_once('-')?;
        let number = number.parse().ok()?;
        let is_known =
            u64::from_str_radix(life, 16) == Ok(self.life) && number <= *self.newest.borrow();
        is_known.then_some(number)
    }
}

impl Watcher for Hub {
    fn is_interested(&self) -> bool {
        self.newest.receiver_count() > 0
    }

    fn changed(&self, ident: &str, times: Option<ChangedTimes>) {
        let mut changes = self.changes.lock();
        let number = *self.newest.borrow() + 1;
        if !changes.contains_key(ident) {
            changes.insert(ident.to_owned(), Changes::default());
        }
        if let Some(stat) = changes.get_mut(ident) {
            stat.newest = number;
            stat.recent.push_back((number, times));
            if stat.recent.len() > REMEMBERED
                && let Some((forgotten, _)) = stat.recent.pop_front()
            {
                stat.forgotten = forgotten;
            }
        }
        // Under the lock: who sees the number finds the change.
        self.newest.send_replace(number);
    }
}

impl Changes {
    fn times_since(&self, after: u64) -> Option<ChangedTimes> {
        if self.forgotten > after {
            return None;
        }
        let newer = self.recent.iter().filter(|(number, _)| *number > after);
        newer
            .map(|(_, times)| *times)
            .reduce(|a, b| a.zip(b).map(|(a, b)| (a.0.min(b.0), a.1.max(b.1))))
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(number: u64, ident: &str, times: Option<ChangedTimes>) -> Change {
        Change { number, ident: ident.to_owned(), times }
    }

    #[test]
    fn however_often_a_stat_changes_it_is_told_of_once() {
        let hub = Hub::new();
        for number in 1..=10 {
            hub.changed("a", Some((number, number + 1)));
        }
        hub.changed("b", Some((5, 5)));
        assert_eq!(
            hub.since(0, |_| true),
            [change(10, "a", Some((1, 11))), change(11, "b", Some((5, 5)))]
        );
        assert_eq!(hub.since(8, |ident| ident == "a"), [change(10, "a", Some((9, 11)))]);
        assert!(hub.since(11, |_| true).is_empty());
    }

    #[test]
    fn where_it_is_not_known_which_rows_changed_any_may_have() {
        let hub = Hub::new();
        hub.changed("a", Some((1, 1)));
        hub.changed("a", None);
        hub.changed("a", Some((3, 3)));
        assert_eq!(hub.since(1, |_| true), [change(3, "a", None)]);
        assert_eq!(hub.since(2, |_| true), [change(3, "a", Some((3, 3)))]);
        for _ in 0..REMEMBERED {
            hub.changed("a", Some((3, 3)));
        }
        assert_eq!(hub.since(2, |_| true), [change(67, "a", None)]);
        assert_eq!(hub.since(3, |_| true), [change(67, "a", Some((3, 3)))]);
    }

    #[test]
    fn a_place_of_another_life_is_no_place() {
        let hub = Hub::new();
        hub.changed("a", None);
        assert_eq!(hub.number(&hub.id(1)), Some(1));
        assert_eq!(hub.number(&hub.id(2)), None);
        for id in ["", "1", "-", "0-1", "x-1", "1-x"] {
            assert_eq!(hub.number(id), None, "{id}");
        }
    }
}
