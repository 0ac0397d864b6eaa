//! Equal additions give equal bytes, whatever the order, the split or the number of merges.

use std::fmt::Debug;

use super::*;

/// A choice of an order, a split and a tree of merges, taken from its numbers one after the other.
fn plans() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(any::<usize>(), 64)
}

/// Folds `additions` in another order and in parts, and merges these in any order: the bytes must
/// be those of folding them straight.
fn assert_canonical<S: State>(additions: &[Addition<S>], plan: &[usize])
where
    for<'a> S::Add<'a>: Copy + Debug,
{
    let straight = folded::<S>(additions);
    check(&[measure::<S>()], &straight).unwrap();
    let mut plan = plan.iter().copied().cycle();
    let mut below = |end: usize| plan.next().unwrap_or_default() % end;

    let mut shuffled = additions.to_vec();
    for end in (1..shuffled.len()).rev() {
        shuffled.swap(end, below(end + 1));
    }
    assert_eq!(folded::<S>(&shuffled), straight, "in another order");

    let mut parts = vec![folded::<S>(&[])];
    let mut rest = shuffled.as_slice();
    while !rest.is_empty() {
        let (part, after) = rest.split_at(1 + below(rest.len()));
        parts.push(folded::<S>(part));
        rest = after;
    }
    while parts.len() > 1 {
        let a = parts.swap_remove(below(parts.len()));
        let b = parts.swap_remove(below(parts.len()));
        let both = merged::<S>(&a, &b);
        assert_eq!(merged::<S>(&b, &a), both, "the other way round");
        parts.push(both);
    }
    assert_eq!(parts[0], straight, "in parts");
}

/// As [`assert_canonical`], for everything that takes the values of `T`.
fn assert_all_canonical<T: Element>(additions: &[(Stamp3, T::Kept)], plan: &[usize])
where
    for<'a> T::Add<'a>: Debug,
{
    let additions: Vec<_> =
        additions.iter().map(|(stamp, value)| (*stamp, T::view(value))).collect();
    assert_canonical::<Min<T>>(&additions, plan);
    assert_canonical::<Max<T>>(&additions, plan);
    assert_canonical::<First<T>>(&additions, plan);
    assert_canonical::<Last<T>>(&additions, plan);
    assert_canonical::<Log<T>>(&additions, plan);
    assert_canonical::<Distinct<T>>(&additions, plan);
}

fn assert_numbers_canonical<T: Number + Debug>(additions: &[(Stamp3, T)], plan: &[usize]) {
    assert_canonical::<Sum<T>>(additions, plan);
    assert_canonical::<Moments<T>>(additions, plan);
    assert_canonical::<Quantiles<T>>(additions, plan);
}

fn some<T: Debug>(values: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<(Stamp3, T)>> {
    prop::collection::vec((stamps(), values), 0..60)
}

proptest! {
    #[test]
    fn counts(additions in some(any::<u64>()), plan in plans()) {
        assert_canonical::<Count>(&additions, &plan);
    }

    #[test]
    fn ints_of_any_size(additions in some(ints()), plan in plans()) {
        assert_numbers_canonical(&additions, &plan);
        assert_all_canonical::<i64>(&additions, &plan);
    }

    #[test]
    fn floats_of_any_magnitude(additions in some(floats()), plan in plans()) {
        assert_numbers_canonical(&additions, &plan);
        assert_all_canonical::<f64>(&additions, &plan);
    }

    #[test]
    fn times(additions in some(ints()), plan in plans()) {
        assert_all_canonical::<Time>(&additions, &plan);
    }

    #[test]
    fn bools(additions in some(any::<bool>()), plan in plans()) {
        assert_all_canonical::<bool>(&additions, &plan);
    }

    #[test]
    fn texts_with_nuls(additions in some(texts()), plan in plans()) {
        assert_all_canonical::<Text>(&additions, &plan);
    }

    #[test]
    fn json_of_any_value(additions in some(documents()), plan in plans()) {
        assert_all_canonical::<Json>(&additions, &plan);
    }

    #[test]
    fn distinct_around_the_switch_to_registers(
        values in prop::collection::vec(0..320_i64, 200..900), plan in plans(),
    ) {
        let additions: Vec<_> = values.iter().map(|&value| (Stamp3::default(), value)).collect();
        assert_canonical::<Distinct<i64>>(&additions, &plan);
    }

    #[test]
    fn quantiles_of_many_buckets(
        values in prop::collection::vec(floats(), 100..300), plan in plans(),
    ) {
        let additions: Vec<_> = values.iter().map(|&value| (Stamp3::default(), value)).collect();
        assert_canonical::<Quantiles>(&additions, &plan);
    }

    #[test]
    fn top_k_while_there_are_few_texts(
        additions in some("[abcde]"), plan in plans(),
    ) {
        let additions: Vec<_> = additions.iter().map(|(at, text)| (*at, text.as_str())).collect();
        assert_canonical::<TopKApprox>(&additions, &plan);
    }

    #[test]
    fn whole_rows(rows in prop::collection::vec((any::<u8>(), ints(), texts()), 0..20)) {
        let measures = [measure::<Count>(), measure::<Moments<i64>>(), measure::<Last<Text>>()];
        let encode = |rows: &[(u8, i64, String)]| {
            let (mut count, mut moments) = (Count::default(), Moments::<i64>::default());
            let mut last = Last::<Text>::default();
            for (offset, size, text) in rows {
                let stamp = Stamp3 { offset: (*offset).into(), ..Stamp3::default() };
                count.add(stamp, 1, &OPTIONS);
                moments.add(stamp, *size, &OPTIONS);
                last.add(stamp, text, &OPTIONS);
            }
            let mut out = Vec::new();
            count.encode(&OPTIONS, &mut out);
            moments.encode(&OPTIONS, &mut out);
            last.encode(&OPTIONS, &mut out);
            out
        };
        let (a, b) = rows.split_at(rows.len() / 2);
        let mut out = b"kept".to_vec();
        merge(&measures, &encode(a), &encode(b), &mut out).unwrap();
        prop_assert_eq!(out, [b"kept".as_slice(), &encode(&rows)].concat());
    }
}

#[test]
fn sums_that_wander_across_zero_leave_nothing_behind() {
    let values =
        [f64::MAX, 5e-324, -f64::MAX, 1.5, -5e-324, -1.5, i64::MIN as f64, -(i64::MIN as f64)];
    let additions = values.map(|value| (Stamp3::default(), value));
    assert_eq!(folded::<Sum<f64>>(&additions), [0]);
}

#[test]
fn ints_and_whole_floats_have_the_same_sum() {
    let ints: Vec<_> = (-5..40).map(|value| (Stamp3::default(), value << 40)).collect();
    let floats: Vec<_> = ints.iter().map(|&(stamp, value)| (stamp, value as f64)).collect();
    assert_eq!(folded::<Moments<i64>>(&ints), folded::<Moments<f64>>(&floats));
}
