//! Which spans of time must be filled from history, and for whom.
//!
//! A stat needs everything from its cutoff on. What it has is the time the host was up and journaling,
//! and the fills it reads. The rest is missing; what several stats miss is fetched once for all.

use std::ops::Range;

/// A span to fetch and the stats that will read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FillPlan {
    /// Event times, µs since 1970.
    pub(crate) range: Range<i64>,
    /// Idents.
    pub(crate) readers: Vec<String>,
}

/// A stat's ident and the spans of event time it misses, µs since 1970.
pub(crate) type Need = (String, Vec<Range<i64>>);

/// Cuts what each stat misses into spans that are fetched once for all their readers.
///
/// The spans do not overlap; two that touch have different readers.
#[must_use]
pub(crate) fn plan(needs: &[Need]) -> Vec<FillPlan> {
    let mut cuts: Vec<i64> = needs
        .iter()
        .flat_map(|(_, ranges)| ranges.iter().flat_map(|range| [range.start, range.end]))
        .collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut plans: Vec<FillPlan> = Vec::new();
    for pair in cuts.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let readers: Vec<String> = needs
            .iter()
            .filter(|(_, ranges)| ranges.iter().any(|range| range.start <= from && to <= range.end))
            .map(|(ident, _)| ident.clone())
            .collect();
        if readers.is_empty() {
            continue;
        }
        match plans.last_mut() {
            Some(last) if last.range.end == from && last.readers == readers => last.range.end = to,
            _ => plans.push(FillPlan { range: from..to, readers }),
        }
    }
    plans
}

#[cfg(test)]
mod tests {
    #![allow(clippy::single_range_in_vec_init, reason = "a list of one span is meant")]
    use super::*;

    #[test]
    fn a_span_two_stats_miss_is_fetched_once_for_both() {
        let needs = [("old".to_owned(), vec![50..100]), ("new".to_owned(), vec![0..100])];
        let readers = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(
            plan(&needs),
            [
                FillPlan { range: 0..50, readers: readers(&["new"]) },
                FillPlan { range: 50..100, readers: readers(&["old", "new"]) },
            ]
        );
    }

    #[test]
    fn spans_with_the_same_readers_are_joined() {
        let needs = [("a".to_owned(), vec![0..10, 10..30]), ("b".to_owned(), vec![0..30])];
        assert_eq!(plan(&needs).len(), 1);
    }
}
