//! More series than there are colours: which are drawn by themselves, and what becomes of the rest.

use std::collections::BTreeMap;

use super::chart::{Emphasis, Mark, Others, Rest, Series};
use super::palette::COLOURS;
use super::scale::drawable;

/// The series that are drawn, each with a colour.
pub(super) struct Chosen {
    pub(super) series: Vec<Series>,
    /// How many are not drawn.
    pub(super) omitted: usize,
}

/// Returns the eight largest series in the order they came in, and the others as [`Rest`] says. What
/// is chosen is among the eight.
pub(super) fn chosen(series: &[Series], rest: Rest, beyond: &Others) -> Chosen {
    let mut order: Vec<usize> = (0..series.len()).collect();
    let size = |place: &usize| -> f64 {
        series[*place].points.iter().filter_map(|point| drawable(point.1?)).map(f64::abs).sum()
    };
    let sizes: Vec<f64> = order.iter().map(size).collect();
    order.sort_by(|a, b| {
        let is_chosen = |place: usize| series[place].mark.emphasis == Emphasis::Chosen;
        let by_choice = is_chosen(*b).cmp(&is_chosen(*a));
        by_choice.then(sizes[*b].total_cmp(&sizes[*a])).then(a.cmp(b))
    });
    // Nine need no other: the ninth is not worth less than its sum with nothing.
    let mut own: Vec<usize> = order.iter().copied().take(COLOURS).collect();
    let others: Vec<usize> = order.into_iter().skip(COLOURS).collect();
    own.sort_unstable();
    let mut drawn: Vec<Series> = own
        .iter()
        .enumerate()
        .map(|(colour, place)| {
            let series = &series[*place];
            Series { colour: Some(series.colour.unwrap_or(colour)), ..series.clone() }
        })
        .collect();
    let omitted = match rest {
        Rest::Omit => others.len() + beyond.count,
        Rest::Sum if others.is_empty() && beyond.count == 0 => 0,
        Rest::Sum => {
            drawn.push(sum(others.iter().map(|place| &series[*place]), beyond));
            0
        }
    };
    Chosen { series: drawn, omitted }
}

fn sum<'a>(others: impl ExactSizeIterator<Item = &'a Series>, beyond: &Others) -> Series {
    let name = format!("other ({})", others.len() + beyond.count);
    let mut dimmed = beyond.count == 0;
    let mut sums: BTreeMap<Place, Option<f64>> = BTreeMap::new();
    let mut add = |points: &[(f64, Option<f64>)]| {
        for (x, value) in points.iter().filter(|point| point.0.is_finite()) {
            let sum = sums.entry(Place(*x)).or_default();
            if let Some(value) = value.and_then(drawable) {
                *sum = Some(sum.unwrap_or(0.0) + value);
            }
        }
    };
    for series in others {
        dimmed &= series.mark.emphasis == Emphasis::Dimmed;
        add(&series.points);
    }
    add(&beyond.points);
    let emphasis = if dimmed { Emphasis::Dimmed } else { Emphasis::Plain };
    Series {
        name,
        points: sums.into_iter().map(|(place, sum)| (place.0, sum)).collect(),
        colour: Some(COLOURS),
        mark: Mark { link: None, emphasis },
    }
}

/// A place on an axis, in order.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Place(pub(super) f64);

impl Eq for Place {}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(count: usize) -> Vec<Series> {
        (0..count)
            .map(|place| Series {
                name: format!("s{place}"),
                points: vec![(0.0, Some(place as f64)), (1.0, None)],
                ..Series::default()
            })
            .collect()
    }

    #[test]
    fn eight_are_drawn_and_the_rest_is_their_sum() {
        let chosen = chosen(&series(12), Rest::Sum, &Others::default());
        let names: Vec<_> = chosen.series.iter().map(|series| series.name.as_str()).collect();
        let wanted = ["s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "other (4)"];
        assert_eq!(names, wanted);
        assert_eq!(chosen.series[8].points, [(0.0, Some(6.0)), (1.0, None)]);
    }

    #[test]
    fn means_are_not_added_up() {
        let chosen = chosen(&series(12), Rest::Omit, &Others::default());
        assert_eq!((chosen.series.len(), chosen.omitted), (8, 4));
    }

    #[test]
    fn names_that_are_not_known_one_by_one_are_part_of_the_rest() {
        let beyond = Others { count: 100, points: vec![(0.0, Some(50.0)), (2.0, Some(1.0))] };
        let sums = chosen(&series(12), Rest::Sum, &beyond);
        assert_eq!(sums.series[8].name, "other (104)");
        let wanted = [(0.0, Some(56.0)), (1.0, None), (2.0, Some(1.0))];
        assert_eq!(sums.series[8].points, wanted);
        let omitted = chosen(&series(12), Rest::Omit, &beyond);
        assert_eq!((omitted.series.len(), omitted.omitted), (8, 104));
    }

    #[test]
    fn what_is_chosen_is_drawn_however_small_it_is() {
        let mut series = series(12);
        series[0].mark.emphasis = Emphasis::Chosen;
        assert_eq!(chosen(&series, Rest::Sum, &Others::default()).series[0].name, "s0");
    }
}
