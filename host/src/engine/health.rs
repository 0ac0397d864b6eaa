//! How a stat is, and what follows from its faults: whether it is started again, when, and in which messages
//! one is looked for that cannot be folded.

use std::time::Duration;

use super::stat::{Fault, Stretch};
use crate::instance::Failure;
use crate::query::StatState;

/// Faults in a row, without a commit in between, after which a stat is quarantined.
const MAX_FAILURES: u32 = 3;

/// Faults within an hour after which it is, whatever it commits in between.
const MOST_AN_HOUR: u32 = 300;
const HOUR_US: i64 = 3_600_000_000;

/// The same of what says nothing about the stat: somebody else ended its process.
const MAX_KILLS: u32 = 10;

/// A process is started again after this long, then after twice as long each time, until it commits.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How a stat is.
pub(super) struct Health {
    pub(super) state: StatState,
    /// Why, in words; empty when all is well.
    pub(super) reason: String,
    pub(super) since_us: i64,
    pub(super) last_error: Option<String>,
    /// Faults in a row without a commit in between.
    pub(super) failures: u32,
    /// Besides those, how often somebody else ended its process.
    pub(super) kills: u32,
    /// Commit number at the last fault.
    pub(super) failed_at: u64,
    /// Since when, µs, faults are counted whatever was committed in between, and how many there were.
    pub(super) recent: (i64, u32),
    /// The messages in which the last fold failed, and how often in a row it did so there.
    pub(super) failing: Option<(Stretch, u32)>,
}

/// What follows from a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is started again at once.
    Now,
    /// It is started again after this long: a process is not started over and over.
    After(Duration),
    /// It is left alone, with this reason.
    Quarantine(String),
}

impl Health {
    /// Nothing was wrong with a stat that does `state` since `since_us`.
    pub(super) fn new(state: StatState, since_us: i64) -> Self {
        Self {
            state,
            reason: String::new(),
            since_us,
            last_error: None,
            failures: 0,
            kills: 0,
            failed_at: 0,
            recent: (0, 0),
            failing: None,
        }
    }

    /// Where some message cannot be folded: once may be chance, what fails twice is looked for.
    pub(super) fn suspect(&self) -> Option<Stretch> {
        self.failing.as_ref().filter(|(_, times)| *times >= 2).map(|(at, _)| at.clone())
    }

    /// Counts a fault, at a time, of a stat whose last commit is number `committed`.
    pub(super) fn count(&mut self, fault: &Fault, committed: u64, now_us: i64) -> Next {
        let failure = fault.failure();
        let is_foreign = failure.is_some_and(Failure::is_foreign);
        let (since, many) = self.recent;
        self.recent = if now_us - since > HOUR_US { (now_us, 1) } else { (since, many + 1) };
        if self.failed_at != committed {
            (self.failures, self.kills) = (0, 0);
        }
        self.failed_at = committed;
        let count = if is_foreign { &mut self.kills } else { &mut self.failures };
        *count += 1;
        self.last_error = Some(fault.to_string());
        let at = match fault {
            Fault::Fold { at, .. } if !is_foreign => Some(at.clone()),
            _ => None,
        };
        let before = self.failing.take();
        self.failing = at.map(|at| match before {
            Some((before, times)) if before.meets(&at) => (at, times + 1),
            _ => (at, 1),
        });
        let failures = self.failures.max(self.failing.as_ref().map_or(0, |(_, times)| *times));
        if let Fault::DeadLetters(_) = fault {
            return Next::Quarantine(fault.to_string());
        }
        if self.recent.1 > MOST_AN_HOUR {
            let reason = format!("more than {MOST_AN_HOUR} faults within an hour: {fault}");
            return Next::Quarantine(reason);
        }
        if failures >= MAX_FAILURES || self.kills >= MAX_KILLS {
            let in_a_row = failures.max(self.kills);
            return Next::Quarantine(format!("{in_a_row} faults in a row: {fault}"));
        }
        if failure.is_some_and(Failure::is_of_process) {
            let doubled = (failures + self.kills - 1).min(16);
            return Next::After(FIRST_PAUSE.saturating_mul(1 << doubled).min(LONGEST_PAUSE));
        }
        Next::Now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{LogId, Offset};

    fn healthy() -> Health {
        Health::new(StatState::Live, 0)
    }

    fn fold(reason: Failure, start: u64) -> Fault {
        let at = Stretch { log: LogId(1), range: Offset(start)..Offset(start + 10) };
        Fault::Fold { reason, at }
    }

    fn died(killed: bool) -> Failure {
        Failure::Died { how: "ended".to_owned(), killed }
    }

    fn said() -> Failure {
        Failure::Said("no".to_owned())
    }

    #[test]
    fn a_process_that_is_killed_again_and_again_is_started_ever_later_and_then_no_more() {
        let mut health = healthy();
        let mut pauses = Vec::new();
        let last = loop {
            match health.count(&fold(died(true), 0), 1, 0) {
                Next::After(pause) => pauses.push(pause.as_millis()),
                other => break other,
            }
            assert_eq!(health.suspect(), None, "no message is blamed for what somebody else did");
        };
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600]);
        assert!(
            matches!(&last, Next::Quarantine(reason) if reason.starts_with("10 faults in a row")),
            "{last:?}"
        );
    }

    #[test]
    fn a_commit_in_between_lets_pauses_begin_anew() {
        let mut health = healthy();
        for committed in 0..100 {
            let next = health.count(&fold(died(true), 0), committed, 0);
            assert_eq!(next, Next::After(FIRST_PAUSE), "at commit {committed}");
        }
    }

    #[test]
    fn no_pause_is_longer_than_the_longest() {
        let mut health = Health { failures: 2, kills: 8, ..healthy() };
        assert_eq!(health.count(&Fault::Drain(died(true)), 0, 0), Next::After(LONGEST_PAUSE));
    }

    #[test]
    fn what_fails_in_the_same_messages_is_looked_for_and_the_third_time_quarantined() {
        let mut health = healthy();
        assert_eq!(health.count(&fold(said(), 0), 0, 0), Next::Now);
        assert_eq!(health.suspect(), None);
        // Whatever it commits in between.
        assert_eq!(health.count(&fold(said(), 5), 1, 0), Next::Now);
        assert!(health.suspect().is_some());
        assert!(matches!(health.count(&fold(said(), 9), 2, 0), Next::Quarantine(_)));
    }

    #[test]
    fn too_many_faults_within_an_hour_are_too_many_whatever_is_committed_in_between() {
        let count = |health: &mut Health, fault: u64| {
            health.count(&fold(said(), fault * 100), fault, i64::try_from(fault).unwrap_or(0))
        };
        let mut health = Health { recent: (0, 0), ..healthy() };
        for fault in 0..u64::from(MOST_AN_HOUR) {
            assert_eq!(count(&mut health, fault), Next::Now, "{fault}");
        }
        let mut rested = Health { recent: (-HOUR_US, MOST_AN_HOUR), ..healthy() };
        assert!(matches!(count(&mut health, 300), Next::Quarantine(_)));
        assert_eq!(count(&mut rested, 300), Next::Now, "that is more than an hour ago");
    }
}
