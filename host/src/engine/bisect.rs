//! Finds the messages that a plugin cannot fold.
//!
//! A fold that failed has spoilt its instance and does not say which message it was. Parts of the batch are
//! folded again by instances made for nothing else, ever smaller ones, until the message is found.

use crate::instance::Failure;

/// Messages of one batch that may be passed over: where there are more it is the plugin that is broken.
pub(super) const MOST: usize = 16;

/// The rows without which `folds` takes all others together, each with what it said; what it said
/// last if they are too many. `folds` must begin anew each time, which costs most of all: with a new process,
/// tens of milliseconds.
pub(super) fn culprits<E>(
    rows: &[u32],
    mut folds: impl FnMut(&[u32]) -> Result<(), E>,
) -> Result<Vec<(u32, E)>, E> {
    let (mut rest, mut found) = (rows.to_vec(), Vec::new());
    let mut good = 0;
    while let Err(mut reason) = folds(&rest) {
        if found.len() == MOST {
            return Err(reason);
        }
        // The first `good` rows fold, the first `bad` do not. Where some do not fold the next ones may well
        // not fold either: there steps begin small.
        let (mut bad, mut step) = (rest.len(), if found.is_empty() { usize::MAX } else { 1 });
        while bad - good > 1 {
            let middle = good + step.min((bad - good) / 2);
            step = step.saturating_mul(2);
            match folds(&rest[..middle]) {
                Ok(()) => good = middle,
                Err(said) => (bad, reason) = (middle, said),
            }
        }
        if bad == 0 {
            return Err(reason);
        }
        found.push((rest.remove(bad - 1), reason));
    }
    Ok(found)
}

/// Tries again as long as somebody else ends the process in which it is tried, a few times: no message is to
/// blame for that.
pub(super) fn undisturbed<T>(
    mut attempt: impl FnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    const ATTEMPTS: usize = 5;
    let mut outcome = attempt();
    for _ in 1..ATTEMPTS {
        match &outcome {
            Err(failure) if failure.is_foreign() => outcome = attempt(),
            _ => break,
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn found(rows: u32, poison: &[u32]) -> Option<Vec<u32>> {
        let rows: Vec<u32> = (0..rows).collect();
        let culprits = culprits(&rows, |rows| match rows.iter().find(|row| poison.contains(row)) {
            Some(row) => Err(format!("cannot take {row}")),
            None => Ok(()),
        })
        .ok()?;
        for (row, reason) in &culprits {
            assert_eq!(*reason, format!("cannot take {row}"));
        }
        Some(culprits.into_iter().map(|(row, _)| row).collect())
    }

    #[test]
    fn exactly_the_messages_that_fail_are_found() {
        assert_eq!(found(1000, &[]), Some(vec![]));
        assert_eq!(found(1, &[0]), Some(vec![0]));
        assert_eq!(found(1000, &[0, 1, 500, 999]), Some(vec![0, 1, 500, 999]));
    }

    #[test]
    fn a_plugin_that_takes_no_message_or_not_even_none_is_given_up() {
        assert_eq!(found(1000, &(0..100).collect::<Vec<_>>()), None);
        assert_eq!(culprits(&[1, 2], |_| Err("broken")), Err("broken"));
    }

    #[test]
    fn that_no_message_can_be_folded_is_found_out_soon() {
        let mut attempts = 0;
        let rows: Vec<u32> = (0..1024).collect();
        let found = culprits(&rows, |_| {
            attempts += 1;
            Err::<(), _>("broken")
        });
        assert_eq!(found, Err("broken"));
        assert!(attempts <= 11 + 2 * MOST, "{attempts}");
    }

    #[test]
    fn what_somebody_else_ended_is_tried_again_but_not_for_ever() {
        let killed = || Failure::Died { how: "killed".to_owned(), killed: true };
        let crashed = || Failure::Died { how: "crashed".to_owned(), killed: false };
        let mut outcomes = vec![Ok(()), Err(killed()), Err(killed())];
        assert_eq!(undisturbed(|| outcomes.pop().unwrap()), Ok(()));
        let mut outcomes = vec![Ok(()), Err(crashed())];
        assert_eq!(undisturbed(|| outcomes.pop().unwrap()), Err(crashed()));
        assert_eq!(undisturbed(|| Err::<(), _>(killed())), Err(killed()));
    }

    #[test]
    fn of_two_messages_that_only_fail_together_the_second_is_passed_over() {
        let both = |rows: &[u32]| match rows.contains(&3) && rows.contains(&7) {
            true => Err("both".to_owned()),
            false => Ok(()),
        };
        let rows: Vec<u32> = (0..10).collect();
        assert_eq!(culprits(&rows, both), Ok(vec![(7, "both".to_owned())]));
    }
}
