//! Facets: which values a dimension has among the rows that match, and how many rows have each.

use std::cmp::Reverse;
use std::collections::HashMap;

use statmill_plugin_api::encoding::{Value, push_value};
use statmill_plugin_api::manifest::ValueKind;

use super::params::{ParamError, Query};
use super::run::{Answer, Limits, Page, QueryError};
use super::select::Selection;
use super::table::{Column, Table};
use crate::store::Snapshot;

/// Most values that are counted at once, and about the most bytes of them.
const MAX_VALUES: usize = 65_536;
const MAX_BYTES: usize = 16 << 20;

/// Counts the rows that a query selects by the values of the column `by`, which is part of the key.
/// Most frequent values come first, equally frequent ones in their own order; the query's page is one
/// of them.
///
/// # Errors
///
/// [`QueryError`].
pub fn facets(
    snapshot: &Snapshot,
    query: &Query,
    by: &str,
    limits: &Limits,
) -> Result<Answer, QueryError> {
    let selecting = selecting(query)?;
    let selection = Selection::new(snapshot, &selecting, limits)?;
    let scan = &selection.scan;
    scan.check_rows("counting values", limits.max_rows)?;
    let keys = &scan.shape.columns()[..scan.shape.key_columns()];
    let Some(column) = keys.iter().position(|column| column.name == by) else {
        let names: Vec<_> = keys.iter().map(|column| column.name.as_str()).collect();
        return Err(QueryError::Params(vec![ParamError {
            param: "by".to_owned(),
            reason: format!("{} is no dimension of the model", super::params::quoted(by)),
            allowed: names.join(", "),
        }]));
    };
    let mut counts: HashMap<Vec<u8>, (Value, u64)> = HashMap::new();
    let (mut cells, mut cell, mut bytes) = (Vec::new(), Vec::new(), 0);
    for row in scan.all() {
        cells.clear();
        scan.shape.key_cells(&row?.0, &mut cells)?;
        cell.clear();
        push_value(&cells[column], &mut cell);
        if let Some((_, count)) = counts.get_mut(&cell) {
            *count += 1;
            continue;
        }
        bytes += 2 * cell.len();
        if counts.len() == MAX_VALUES || bytes > MAX_BYTES {
            return Err(QueryError::TooManyValues { by: by.to_owned(), max_values: MAX_VALUES });
        }
        counts.insert(cell.clone(), (cells.swap_remove(column), 1));
    }
    let mut counts: Vec<_> = counts.into_values().collect();
    counts.sort_unstable_by(|(a, count_a), (b, count_b)| {
        (Reverse(count_a), a).cmp(&(Reverse(count_b), b))
    });
    let total = (counts.len() as u64).min(query.limit.unwrap_or(u64::MAX));
    let (page, skip) = Page::of(query, total, limits)?;
    let skip = usize::try_from(skip).unwrap_or(usize::MAX);
    let take = page.rows_per_page.min(total.saturating_sub(skip as u64));
    let rows = counts.into_iter().skip(skip).take(usize::try_from(take).unwrap_or(usize::MAX));
    let named = |name: &str, kind| Column { name: name.to_owned(), kind, unit: String::new() };
    let table = Table {
        columns: vec![
            named("value", keys[column].kind),
            Column { unit: "rows".to_owned(), ..named("count", ValueKind::Int) },
        ],
        rows: rows.map(|(value, count)| vec![value, Value::Int(count.into())]).collect(),
        total,
        chosen: true,
    };
    let (model, step_s) = (selection.model().to_owned(), selection.step_s());
    Ok(Answer { model, step_s, table, page, next: None })
}

/// The part of a query that selects rows: what is said of their order and columns has no meaning here.
fn selecting(query: &Query) -> Result<Query, QueryError> {
    let given = [
        ("order", query.order.is_some()),
        ("sort", query.sort.is_some()),
        ("columns", query.columns.is_some()),
        ("cursor", query.cursor.is_some()),
    ];
    let refused: Vec<_> = given
        .iter()
        .filter(|(_, given)| *given)
        .map(|(param, _)| ParamError {
            param: (*param).to_owned(),
            reason: "says nothing about values and their counts".to_owned(),
            allowed: "parameters that select rows, and those of the answer's form".to_owned(),
        })
        .collect();
    if !refused.is_empty() {
        return Err(QueryError::Params(refused));
    }
    Ok(Query { limit: None, page: 1, rows_per_page: None, ..query.clone() })
}
