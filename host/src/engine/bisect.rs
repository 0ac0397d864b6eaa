//! Finds the messages that a plugin cannot fold.
//!
//! A fold that failed has spoilt its instance and does not say which message it was. Parts of the batch are
//! folded again by instances made for nothing else, ever smaller ones, until the message is found.

/// Messages of one batch that may be passed over: where there are more it is the plugin that is broken.
pub(super) const MOST: usize = 16;

/// The rows without which `folds` takes all others together, each with what it said; what it said
/// last if they are too many. `folds` must begin anew each time.
pub(super) fn culprits<E>(
    rows: &[u32],
    mut folds: impl FnMut(&[u32]) -> Result<(), E>,
) -> Result<Vec<(u32, E)>, E> {
    let (mut rest, mut found) = (rows.to_vec(), Vec::new());
    while let Err(mut reason) = folds(&rest) {
        if found.len() == MOST {
            return Err(reason);
        }
        // The first `good` rows fold, the first `bad` do not.
        let (mut good, mut bad) = (0, rest.len());
        while bad - good > 1 {
            let middle = good + (bad - good) / 2;
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

#[cfg(test)]
mod tests {
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
    fn of_two_messages_that_only_fail_together_the_second_is_passed_over() {
        let both = |rows: &[u32]| match rows.contains(&3) && rows.contains(&7) {
            true => Err("both".to_owned()),
            false => Ok(()),
        };
        let rows: Vec<u32> = (0..10).collect();
        assert_eq!(culprits(&rows, both), Ok(vec![(7, "both".to_owned())]));
    }
}
