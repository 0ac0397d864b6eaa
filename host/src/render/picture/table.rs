//! Rows by series and time: what charts are made of.

use std::collections::BTreeMap;

use statmill_plugin_api::encoding::Value;
use statmill_plugin_api::manifest::ValueKind;

use super::fields::{Combine, Measured};
use crate::query::{Table, TimeStyle};
use crate::render::cell;

/// The most windows without rows that are taken as zero.
const MOST_WINDOWS: f64 = 20_000.0;

/// The cells of one series.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    /// Its values of the dimensions; of those that can be filtered by.
    pub(super) keys: Vec<Option<String>>,
    pub(super) name: String,
    /// Values by time, µs (0 where there is none).
    pub(super) values: BTreeMap<i64, f64>,
    /// Place of its first row.
    pub(super) first: usize,
}

/// Returns the place of a column.
pub(super) fn place(table: &Table, name: &str) -> Option<usize> {
    table.columns.iter().position(|column| column.name == name)
}

/// Returns the place of what is measured: after `agg` its column has that in its name.
pub(super) fn measured_place(table: &Table, measured: &Measured) -> Option<usize> {
    let name = measured.column.as_deref()?;
    let mean = format!("{name}_mean");
    let begins = |column: &&str| column.starts_with(&format!("{name}_"));
    let names = || table.columns.iter().map(|column| column.name.as_str());
    place(table, name)
        .or_else(|| place(table, &mean))
        .or_else(|| names().find(begins).and_then(|name| place(table, name)))
}

/// Returns a number that can be drawn.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Num(number) if number.is_finite() => Some(*number),
        Value::Time(time_us) => Some(*time_us as f64),
        _ => None,
    }
}

/// Returns the values of a column by the dimensions `by` and by time.
pub(super) fn groups(
    table: &Table,
    measured: &Measured,
    by: &[String],
    has_time: bool,
) -> Vec<Group> {
    let column = measured_place(table, measured);
    let time_place = table.columns.iter().position(|column| column.kind == ValueKind::Time);
    let places: Vec<Option<usize>> = by.iter().map(|name| place(table, name)).collect();
    let mut groups = BTreeMap::new();
    for (at, row) in table.rows.iter().enumerate() {
        let value = match (column, &measured.column) {
            (Some(column), _) => number(&row[column]),
            (None, None) => Some(1.0),
            (None, Some(_)) => None,
        };
        let Some(value) = value else { continue };
        let time = match time_place.map(|place| &row[place]) {
            Some(Value::Time(time_us)) if has_time => *time_us,
            _ if has_time => continue,
            _ => 0,
        };
        let (_, values) =
            groups.entry(keys(row, &places)).or_insert((at, BTreeMap::<i64, f64>::new()));
        let joined = values.entry(time);
        joined.and_modify(|known| *known = join(measured.combine, *known, value)).or_insert(value);
    }
    groups
        .into_iter()
        .map(|(keys, (first, values))| Group { name: name(&keys), keys, values, first })
        .collect()
}

/// Values of dimensions as they can be filtered by.
pub(super) fn keys(row: &[Value], places: &[Option<usize>]) -> Vec<Option<String>> {
    let text = |place: &Option<usize>| match &row[(*place)?] {
        Value::Null => None,
        value => Some(cell::text(value, TimeStyle::Rfc3339).into_owned()),
    };
    places.iter().map(text).collect()
}

/// What values of dimensions are called.
pub(super) fn name(keys: &[Option<String>]) -> String {
    let text = |key: &Option<String>| match key.as_deref() {
        None => "none".to_owned(),
        Some("") => "(empty)".to_owned(),
        Some(text) => text.to_owned(),
    };
    keys.iter().map(text).collect::<Vec<_>>().join(" \u{b7} ")
}

/// Joins two values of the same place.
pub(super) fn join(combine: Combine, a: f64, b: f64) -> f64 {
    match combine {
        Combine::Sum => a + b,
        Combine::Least => a.min(b),
        Combine::Greatest => a.max(b),
        // There is one row of each place: the plan keeps those apart that it cannot join.
        Combine::Never => b,
    }
}

/// Returns the points of a group. A window without a row holds no message: of what is added up that is
/// zero, of all else it is not known.
pub(super) fn points(
    group: &Group,
    ends: Option<(i64, i64)>,
    step_us: Option<i64>,
    combine: Combine,
) -> Vec<(f64, Option<f64>)> {
    let plain = || group.values.iter().map(|(time, value)| (*time as f64, Some(*value))).collect();
    let (Some((first, last)), Some(step_us)) = (ends, step_us.filter(|step_us| *step_us > 0))
    else {
        return plain();
    };
    if (last as f64 - first as f64) / step_us as f64 > MOST_WINDOWS {
        return plain();
    }
    let empty = (combine == Combine::Sum).then_some(0.0);
    let mut points = Vec::new();
    let mut time = first;
    while time <= last {
        points.push((time as f64, group.values.get(&time).copied().or(empty)));
        let Some(next) = time.checked_add(step_us) else { break };
        time = next;
    }
    // Rows off the beat would be lost: windows have none.
    if points.iter().filter(|(time, _)| group.values.contains_key(&(*time as i64))).count()
        < group.values.len()
    {
        return plain();
    }
    points
}

/// The first and the last time of all groups.
pub(super) fn ends(groups: &[Group]) -> Option<(i64, i64)> {
    let firsts = groups.iter().filter_map(|group| group.values.keys().next());
    let lasts = groups.iter().filter_map(|group| group.values.keys().next_back());
    Some((*firsts.min()?, *lasts.max()?))
}

/// All values joined to one; `None` if there is none, or if there are several that cannot be joined.
pub(super) fn total(groups: &[Group], combine: Combine) -> Option<f64> {
    let mut values = groups.iter().flat_map(|group| group.values.values().copied());
    let first = values.next()?;
    let mut several = false;
    let joined = values.fold(first, |joined, value| {
        several = true;
        join(combine, joined, value)
    });
    (combine != Combine::Never || !several).then_some(joined)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::query::Column;

    fn table(rows: &[(i64, &str, f64)]) -> Table {
        let column = |name: &str, kind| Column { name: name.into(), kind, unit: String::new() };
        let row = |(time, user, value): &(i64, &str, f64)| {
            vec![Value::Time(*time), Value::Text((*user).into()), Value::Num(*value)]
        };
        Table {
            columns: vec![
                column("time", ValueKind::Time),
                column("user", ValueKind::Text),
                column("n", ValueKind::Num),
            ],
            rows: rows.iter().map(row).collect(),
            total: rows.len() as u64,
            chosen: false,
        }
    }

    fn measured(combine: Combine) -> Measured {
        Measured { column: Some("n".to_owned()), unit: String::new(), combine }
    }

    #[test]
    fn a_window_without_rows_is_zero_of_what_is_added_up_and_unknown_of_all_else() {
        let table = table(&[(10, "ann", 1.0), (40, "ann", 4.0), (20, "bob", 2.0)]);
        for (combine, empty) in [(Combine::Sum, Some(0.0)), (Combine::Greatest, None)] {
            let groups = groups(&table, &measured(combine), &["user".to_owned()], true);
            let points = points(&groups[0], ends(&groups), Some(10), combine);
            let wanted = [(10.0, Some(1.0)), (20.0, empty), (30.0, empty), (40.0, Some(4.0))];
            assert_eq!(points, wanted);
        }
    }

    #[test]
    fn rows_of_one_window_are_joined_as_their_measure_is() {
        let table = table(&[(10, "ann", 1.0), (10, "bob", 5.0), (20, "bob", 2.0)]);
        for (combine, wanted, whole) in [
            (Combine::Sum, [6.0, 2.0], Some(8.0)),
            (Combine::Least, [1.0, 2.0], Some(1.0)),
            (Combine::Greatest, [5.0, 2.0], Some(5.0)),
        ] {
            let groups = groups(&table, &measured(combine), &[], true);
            assert_eq!(groups[0].values.values().copied().collect::<Vec<_>>(), wanted);
            assert_eq!(total(&groups, combine), whole);
        }
        let apart = groups(&table, &measured(Combine::Never), &["user".to_owned()], true);
        assert_eq!(total(&apart, Combine::Never), None, "nobody knows the median of medians");
    }
}
