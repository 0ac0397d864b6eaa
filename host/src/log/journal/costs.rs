//! How much is done to make records small: as much as there is time for.
//!
//! A lone submission is packed well. Several at a time are packed in a hurry. Where even that takes all
//! cores longer than the medium takes to make the text durable as it came, they are not packed at all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use crate::log::segment::Effort;

/// What a byte cost lately, picoseconds; 0 = not known yet.
#[derive(Debug, Default)]
pub(super) struct Costs {
    /// CPU time to pack a byte of text in a hurry.
    packing: AtomicU64,
    /// Time to make a byte durable that was written.
    syncing: AtomicU64,
}

impl Costs {
    /// What is right for a submission while `others` are under way.
    pub(super) fn effort(&self, others: usize) -> Effort {
        let cores = available_parallelism().map_or(1, usize::from);
        if others == 0 {
            return Effort::Usual;
        }
        let packing = self.packing.load(Ordering::Relaxed) / cores as u64;
        let syncing = self.syncing.load(Ordering::Relaxed);
        // Fewer submissions than cores do not need all of them.
        if others >= cores && (1..packing).contains(&syncing) {
            Effort::AsItCame
        } else {
            Effort::Hurried
        }
    }

    /// `bytes` of text were packed.
    pub(super) fn packed(&self, effort: Effort, bytes: usize, time: Duration) {
        if effort == Effort::Hurried {
            note(&self.packing, bytes, time);
        }
    }

    /// `bytes` that were written became durable.
    pub(super) fn synced(&self, bytes: usize, time: Duration) {
        note(&self.syncing, bytes, time);
    }
}

/// An average in which what came last weighs an eighth. Two threads at once may lose one of two notes.
fn note(cost: &AtomicU64, bytes: usize, time: Duration) {
    // A few bytes cost what a write costs, whatever it writes.
    const LEAST: usize = 128 << 10;
    if bytes >= LEAST {
        let new = u64::try_from(time.as_nanos() * 1000 / bytes as u128).unwrap_or(u64::MAX >> 3);
        let old = cost.load(Ordering::Relaxed);
        let average = if old == 0 { new } else { (old * 7).saturating_add(new) / 8 };
        cost.store(average.max(1), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_as_it_came_only_where_packing_takes_all_cores_longer_than_syncing() {
        let cores = available_parallelism().map_or(1, usize::from);
        let second = |bytes: usize| (bytes, Duration::from_secs(1));
        let costs = Costs::default();
        let many = costs.effort(2 * cores);
        assert_eq!((costs.effort(0), many), (Effort::Usual, Effort::Hurried));
        let (bytes, time) = second(100 << 20);
        costs.packed(Effort::Hurried, bytes, time);
        assert_eq!(costs.effort(2 * cores), Effort::Hurried, "the disk is not known");
        let (bytes, time) = second(cores * (110 << 20));
        costs.synced(bytes, time);
        assert_eq!(costs.effort(2 * cores), Effort::AsItCame);
        assert_eq!(costs.effort(0), Effort::Usual);
        // Slower and slower.
        for _ in 0..20 {
            let (bytes, time) = second(cores * (50 << 20));
            costs.synced(bytes, time);
        }
        assert_eq!(costs.effort(2 * cores), Effort::Hurried);
    }

    #[test]
    fn what_packing_costs_is_not_learnt_from_text_that_is_not_packed_nor_from_small_writes() {
        let costs = Costs::default();
        costs.packed(Effort::AsItCame, 1 << 20, Duration::from_secs(1));
        costs.packed(Effort::Usual, 1 << 20, Duration::from_secs(1));
        costs.synced(1000, Duration::from_secs(1));
        assert_eq!(costs.packing.into_inner(), 0);
        assert_eq!(costs.syncing.into_inner(), 0);
    }
}
