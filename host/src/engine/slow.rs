//! Who keeps everybody waiting: told from looks at the workers.

use std::time::Duration;

/// So long, and so often, is looked before anything is said.
const TIME: Duration = Duration::from_secs(2);
const LEAST_LOOKS: u32 = 20;

/// A slow stat takes so many times as much time as the one in the middle of all others.
const TIMES_SLOWER: u32 = 8;

/// Where a stat is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On a worker that others share.
    Shared(usize),
    /// On a worker of its own.
    Own,
    /// Nowhere.
    None,
}

/// What was seen since the last judgement.
pub(super) struct Looks {
    /// By stat: looks at which it was in a call.
    calls: Vec<u32>,
    /// By stat: whether one of its calls came to its end. One that never does is no slow one.
    ended: Vec<bool>,
    /// By worker: looks at which work waited for it.
    awaited: Vec<u32>,
    looks: u32,
    time: Duration,
}

impl Looks {
    pub(super) fn new(stats: usize, workers: usize) -> Self {
        let (calls, ended, awaited) = (vec![0; stats], vec![false; stats], vec![0; workers]);
        Self { calls, ended, awaited, looks: 0, time: Duration::ZERO }
    }

    /// Notes a look at a worker: whether work waits for it, the stat in whose call it is, and the one in
    /// whose call it was before, where that has ended.
    pub(super) fn note(
        &mut self,
        worker: usize,
        is_awaited: bool,
        stat: Option<usize>,
        before: Option<usize>,
    ) {
        self.awaited[worker] += u32::from(is_awaited);
        if let Some(stat) = stat {
            self.calls[stat] += 1;
        }
        if let Some(before) = before {
            self.ended[before] = true;
        }
    }

    /// Ends a look at all workers; names, once in a while, the stats that hold up all others.
    pub(super) fn finish(
        &mut self,
        passed: Duration,
        place: impl Fn(usize) -> Place,
    ) -> Option<Vec<usize>> {
        self.looks += 1;
        self.time += passed;
        if self.time < TIME || self.looks < LEAST_LOOKS {
            return None;
        }
        let places: Vec<Place> = (0..self.calls.len()).map(place).collect();
        let slow = (0..places.len()).filter(|&stat| self.is_slow(stat, &places)).collect();
        *self = Self::new(self.calls.len(), self.awaited.len());
        Some(slow)
    }

    fn is_slow(&self, stat: usize, places: &[Place]) -> bool {
        let Place::Shared(worker) = places[stat] else { return false };
        let (mine, half) = (self.calls[stat], self.looks.div_ceil(2));
        if mine < half || self.awaited[worker] < half || !self.ended[stat] {
            return false;
        }
        let others = (0..places.len()).filter(|&it| it != stat && places[it] != Place::None);
        let mut others: Vec<u32> = others.map(|it| self.calls[it]).collect();
        others.sort_unstable();
        // Of two, the lower: where all are slow alike it is no use to move any.
        let middle = others.get(others.len().saturating_sub(1) / 2);
        middle.is_some_and(|middle| middle * TIMES_SLOWER <= mine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Duration = Duration::from_millis(100);

    /// Who is slow after looks at two workers: for each the stats it was seen in, in turn, and whether
    /// it was awaited. Even stats are on the first worker, odd ones on the second.
    fn slow(stats: usize, seen: [(&[usize], bool); 2]) -> Vec<usize> {
        let mut looks = Looks::new(stats, 2);
        for look in 0.. {
            for (worker, (calls, is_awaited)) in seen.into_iter().enumerate() {
                let at = look % calls.len().max(1);
                let stat = calls.get(at).copied();
                looks.note(worker, is_awaited, stat, stat);
            }
            if let Some(slow) = looks.finish(LOOK, |stat| Place::Shared(stat % 2)) {
                return slow;
            }
        }
        unreachable!()
    }

    #[test]
    fn a_stat_that_takes_nearly_all_the_time_of_a_worker_that_is_waited_for_is_slow() {
        assert_eq!(slow(4, [(&[2; 20], true), (&[1], false)]), [2]);
        assert_eq!(slow(2, [(&[0], true), (&[], false)]), [0]);
    }

    #[test]
    fn nobody_is_slow_who_keeps_nobody_waiting() {
        assert_eq!(slow(4, [(&[2; 20], false), (&[], false)]), [0; 0]);
    }

    #[test]
    fn stats_that_are_all_alike_are_not_slow_however_long_they_are_waited_for() {
        assert_eq!(slow(4, [(&[0, 2], true), (&[1, 3], true)]), [0; 0]);
        assert_eq!(slow(2, [(&[0], true), (&[1], true)]), [0; 0]);
        assert_eq!(slow(1, [(&[0], true), (&[], false)]), [0; 0]);
    }

    #[test]
    fn two_slow_ones_among_many_are_both_found() {
        assert_eq!(slow(6, [(&[0], true), (&[1], true)]), [0, 1]);
    }

    #[test]
    fn a_stat_in_one_and_the_same_call_all_the_time_is_left_to_its_deadline() {
        let mut looks = Looks::new(2, 1);
        let slow = (0..).find_map(|_| {
            looks.note(0, true, Some(0), None);
            looks.finish(LOOK, |_| Place::Shared(0))
        });
        assert_eq!(slow, Some(vec![]));
    }

    #[test]
    fn one_that_is_given_up_makes_no_other_look_slow() {
        let mut looks = Looks::new(3, 1);
        let place = |stat| if stat == 2 { Place::None } else { Place::Shared(0) };
        let slow = (0..).find_map(|look| {
            looks.note(0, true, Some(look % 2), Some(look % 2));
            looks.finish(LOOK, place)
        });
        assert_eq!(slow, Some(vec![]));
    }
}
