//! The known name that an unknown one was probably meant to be.

/// The candidate that differs least from `name`, if it differs little.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    near(name, candidates).first().copied()
}

/// The up to three candidates that differ least from `name`, of those that differ little.
pub(crate) fn near<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    // The name may be a stranger's, of any length.
    let most = name.chars().take(64).count().max(3) / 3 + 1;
    let distances = candidates.into_iter().map(|candidate| (distance(name, candidate), candidate));
    let mut near: Vec<_> = distances.filter(|(distance, _)| *distance <= most).collect();
    near.sort_unstable();
    near.into_iter().take(3).map(|(_, candidate)| candidate).collect()
}

/// `; did you mean …?`, or nothing.
pub(crate) fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}

/// Edits (insert, delete, replace, swap neighbours) that turn one into the other.
fn distance(one: &str, two: &str) -> usize {
    let (one, two): (Vec<char>, Vec<char>) =
        (one.chars().take(64).collect(), two.chars().take(64).collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for i in 1..=one.len() {
        let mut next = vec![i];
        for j in 1..=two.len() {
            let same = one[i - 1] == two[j - 1];
            let mut least = (row[j] + 1).min(next[j - 1] + 1).min(row[j - 1] + usize::from(!same));
            if i > 1 && j > 1 && one[i - 1] == two[j - 2] && one[i - 2] == two[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[two.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let known = ["checkpoint", "listen", "threads"];
        assert_eq!(nearest("chekpoint", known), Some("checkpoint"));
        assert_eq!(nearest("lisetn", known), Some("listen"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn names_that_sound_alike_are_all_told() {
        let known = ["volume-1s", "volume-1m", "volume-by-user-1d", "activity"];
        assert_eq!(near("volume-1x", known), ["volume-1m", "volume-1s"]);
        assert_eq!(near("Activity", known), ["activity"]);
        assert!(near("nope", known).is_empty());
    }
}
