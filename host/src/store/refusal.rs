//! A disk that refuses to be written: what it said, since when, and who waits to hear of it.
//!
//! The first refusal counts. From then on nothing is written, for nobody knows what of it arrived, until
//! the store is opened again ([`super::Database::reopen`]).

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::StoreError;
use crate::clock::now_us;

/// What the system said when it refused a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// In words.
    pub reason: String,
    /// When, µs since 1970.
    pub since_us: i64,
}

impl Refusal {
    /// Why a statistic counts nothing, and what follows.
    pub(crate) fn in_words(&self) -> String {
        format!(
            "{}; nothing is lost: counting goes on by itself at the last commits once the disk can be \
             written again",
            self.reason
        )
    }
}

/// Whether a store can be written.
#[derive(Debug, Default)]
pub struct Refusals {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    refusal: Option<Arc<Refusal>>,
    /// Nobody is to wait any more.
    over: bool,
}

impl Refusals {
    /// The refusal since which nothing is written.
    #[must_use]
    pub fn now(&self) -> Option<Arc<Refusal>> {
        self.state.lock().refusal.clone()
    }

    /// Waits for a refusal; `None` once nobody is to wait any more.
    #[must_use]
    pub fn wait(&self) -> Option<Arc<Refusal>> {
        let mut state = self.state.lock();
        loop {
            if state.over {
                return None;
            }
            if let Some(refusal) = &state.refusal {
                return Some(Arc::clone(refusal));
            }
            self.changed.wait(&mut state);
        }
    }

    /// Waits so long; answers at once, with `true`, when nobody is to wait any more.
    #[must_use]
    pub fn is_over_within(&self, pause: Duration) -> bool {
        let mut state = self.state.lock();
        self.changed.wait_while_for(&mut state, |state| !state.over, pause);
        state.over
    }

    /// Lets all go who wait.
    pub fn end(&self) {
        self.state.lock().over = true;
        self.changed.notify_all();
    }

    /// Remembers that a write was refused.
    pub(super) fn note(&self, reason: &str) {
        let mut state = self.state.lock();
        if state.refusal.is_none() {
            let refusal = Refusal { reason: reason.to_owned(), since_us: now_us() };
            state.refusal = Some(Arc::new(refusal));
            self.changed.notify_all();
        }
    }

    /// The store was opened again.
    pub(super) fn clear(&self) {
        self.state.lock().refusal = None;
    }

    /// Nothing is written after a refusal.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.now() {
            Some(refusal) => Err(StoreError::Refused { reason: refusal.reason.clone() }),
            None => Ok(()),
        }
    }

    /// Notes if `outcome`, of a write, is a refusal.
    pub(super) fn written<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error @ StoreError::Io { .. }) = &outcome {
            self.note(&error.to_string());
        }
        self.read(outcome)
    }

    /// What a broken database answers says nothing about what is stored.
    pub(super) fn read<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        outcome.map_err(|error| match self.now() {
            Some(refusal) => StoreError::Refused { reason: refusal.reason.clone() },
            None => error,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn io() -> StoreError {
        StoreError::io("write")(std::io::Error::other("no room"))
    }

    fn broken() -> StoreError {
        StoreError::Backend { what: "read", reason: "it is broken".to_owned() }
    }

    #[test]
    fn after_a_refused_write_nothing_is_written_and_nothing_is_taken_for_damage() {
        let refusals = Refusals::default();
        assert!(refusals.read::<()>(Err(broken())).unwrap_err().is_damage());
        assert!(matches!(refusals.read::<()>(Err(io())), Err(StoreError::Io { .. })));
        assert!(refusals.check().is_ok(), "what cannot be read may still be written");

        assert!(refusals.written::<()>(Err(io())).is_err());
        assert!(refusals.check().unwrap_err().to_string().contains("no room"));
        assert!(!refusals.read::<()>(Err(broken())).unwrap_err().is_damage());
        refusals.note("another one");
        assert!(refusals.now().unwrap().reason.contains("no room"));
        refusals.clear();
        assert!(refusals.check().is_ok());
    }

    #[test]
    fn who_waits_is_told_of_a_refusal_and_of_the_end() {
        let refusals = Arc::new(Refusals::default());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| refusals.wait());
            refusals.note("no room");
            assert_eq!(waiting.join().unwrap().unwrap().reason, "no room");
            refusals.clear();
            let waiting = scope.spawn(|| refusals.wait());
            refusals.end();
            assert_eq!(waiting.join().unwrap(), None);
        });
        assert!(refusals.is_over_within(Duration::from_secs(600)));
    }
}
