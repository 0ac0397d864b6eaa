//! Notes beside each journal when it was being written: no history need be asked for those times.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::needs::Covered;
use crate::clock::now_us;
use crate::host::HostError;
use crate::log::Log;

/// How often a running host notes that it is up and journaling.
const STEP: Duration = Duration::from_secs(1);

impl Covered {
    /// The journal takes all that is sent, unless its connections say that they miss some of it.
    pub(super) fn touch(&self, now_us: i64) -> std::io::Result<()> {
        match self.journal.lacks_from_us() {
            None => self.coverage.touch(now_us),
            Some(from_us) if self.coverage.is_open() => self.coverage.pause(from_us.min(now_us)),
            Some(_) => Ok(()),
        }
    }

    /// The journal takes nothing any more.
    pub(super) fn pause(&self, now_us: i64) -> std::io::Result<()> {
        self.touch(now_us)?;
        if self.coverage.is_open() { self.coverage.pause(now_us) } else { Ok(()) }
    }
}

/// Notes it step by step until the host stops.
pub(super) fn keep_noting(journals: &[Covered], stopping: &AtomicBool) {
    while !stopping.load(Ordering::Acquire) {
        std::thread::park_timeout(STEP);
        if let Err(error) = note(journals, Covered::touch) {
            tracing::warn!("some history will be asked again: {error}");
        }
    }
}

/// Notes the same instant for all journals: no sliver of time is missed by one alone.
pub(super) fn note(
    journals: &[Covered],
    note: impl Fn(&Covered, i64) -> std::io::Result<()>,
) -> Result<(), HostError> {
    let now = now_us();
    journals.iter().try_for_each(|journal| note(journal, now)).map_err(|source| HostError::Io {
        what: "cannot note when journals were written".into(),
        source,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use super::*;
    use crate::log::connections::{Connections, Failure};
    use crate::log::coverage::Coverage;
    use crate::log::journal::{Journal, JournalOptions};
    use crate::project::Mapping;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn times_without_a_connection_are_not_noted() {
        let folder = tempfile::tempdir().unwrap();
        let options = JournalOptions::default();
        let journal = Journal::open(folder.path(), "zmq", Mapping::auto(), options).unwrap();
        let start = now_us();
        let connections = Arc::new(Connections::new("zmq", ["a:1".to_owned()], start));
        journal.fed_over(Arc::clone(&connections));
        let coverage = Arc::new(Coverage::open(folder.path()).unwrap());
        let covered = Covered { journal, coverage: Arc::clone(&coverage) };

        covered.touch(start).unwrap();
        assert!(coverage.spans().is_empty(), "it was never connected");
        connections.connected(0);
        connections.missed(0, "nothing is kept");
        covered.touch(start + SECOND).unwrap();
        covered.touch(start + 2 * SECOND).unwrap();
        connections.failed(0, "gone", Failure::Unknown);
        covered.touch(start + 100 * SECOND).unwrap();
        covered.touch(start + 101 * SECOND).unwrap();
        let first = start + SECOND..start + 2 * SECOND;
        assert_eq!(coverage.spans(), [first.clone()]);
        connections.connected(0);
        connections.missed(0, "nothing is kept");
        covered.touch(start + 200 * SECOND).unwrap();
        covered.pause(start + 300 * SECOND).unwrap();
        let second = start + 200 * SECOND..start + 300 * SECOND;
        assert_eq!(coverage.spans(), [first, second]);
    }
}
