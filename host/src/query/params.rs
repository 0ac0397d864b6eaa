//! The query's parameters: one table that parses them, words their errors and documents them.
//!
//! Everything that is not in the table is a filter on a column, `<column>=v` or
//! `<column>__<operator>=v`. Which columns there are is known only to the model, so that a name
//! that is neither is refused when the query runs.

mod forms;
mod table;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use self::forms::{Format, Shape, TimeStyle};
pub use self::table::{PARAMS, Param, Values, flag};
use super::agg::Agg;
use super::cursor::Cursor;
use super::filter::Condition;
use super::sort::Sort;
use crate::store::Order;

/// The most filters one query may have.
const MAX_FILTERS: usize = 32;

/// What clients send that means nothing here: statscache's `Link` named the stat again, and script
/// libraries add `_` to get past caches.
const IGNORED: &[&str] = &["ident", "_"];

/// What is asked of one stat, after parsing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    /// The model; none = the stat's first.
    pub model: Option<String>,
    /// None = newest first, or ascending by key where the model has no time.
    pub order: Option<Order>,
    /// None = by time.
    pub sort: Option<Sort>,
    /// Least time shown, inclusive, µs.
    pub start_us: Option<i64>,
    /// Greatest time shown, inclusive, µs.
    pub stop_us: Option<i64>,
    /// Length of the span of time, µs. Parsing turns it into a start or a stop.
    pub delta_us: Option<i64>,
    /// Windows are joined to windows of this length, s.
    pub step_s: Option<u64>,
    /// Windows are joined until there are at most so many.
    pub points: Option<u64>,
    /// What becomes of the numbers of windows that are joined; none = what one longer window would hold.
    pub agg: Option<Agg>,
    /// Joined windows at the bounds of time hold what lies within; else only whole ones are shown. Totals
    /// over a range are right only so.
    pub clip: bool,
    /// At most this many rows, before paging.
    pub limit: Option<u64>,
    /// From 1 on.
    pub page: u64,
    /// Only the rows behind this place.
    pub cursor: Option<Cursor>,
    /// None = the configured default; above the configured maximum it is that maximum.
    pub rows_per_page: Option<u64>,
    /// The columns shown, in this order; none = all.
    pub columns: Option<Vec<String>>,
    /// Filters, all of which must hold.
    pub conditions: Vec<Condition>,
    /// The format asked for by name.
    pub format: Option<Format>,
    /// Name of the function a script calls with the answer.
    pub callback: Option<String>,
    /// The answer is to be saved as a file.
    pub download: bool,
    /// Rows inside an object that says what they are.
    pub envelope: bool,
    /// How rows are laid out in JSON.
    pub shape: Shape,
    /// How times are written.
    pub time: TimeStyle,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            model: None,
            order: None,
            sort: None,
            start_us: None,
            stop_us: None,
            delta_us: None,
            step_s: None,
            points: None,
            agg: None,
            clip: false,
            limit: None,
            page: 1,
            cursor: None,
            rows_per_page: None,
            columns: None,
            conditions: Vec::new(),
            format: None,
            callback: None,
            download: false,
            envelope: false,
            shape: Shape::Objects,
            time: TimeStyle::Unix,
        }
    }
}

/// What is wrong with one parameter, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{param}: {reason}; allowed: {allowed}")]
pub struct ParamError {
    /// The parameter as it was given.
    pub param: String,
    /// What is wrong with its value.
    pub reason: String,
    /// What it may be.
    pub allowed: String,
}

/// Parses the names and values of a query; `now_us` is what `now` means.
///
/// A parameter given without a value counts as not given, as forms send it.
///
/// # Errors
///
/// One [`ParamError`] per parameter that is wrong.
pub fn parse<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    now_us: i64,
) -> Result<Query, Vec<ParamError>> {
    let (mut query, mut errors, mut given) = (Query::default(), Vec::new(), Vec::new());
    for (name, value) in pairs {
        let known = PARAMS.iter().find(|param| param.name == name || param.aliases.contains(&name));
        let Some(param) = known else {
            if !IGNORED.contains(&name) {
                query.conditions.push(Condition::parse(name, value));
            }
            continue;
        };
        if value.is_empty() {
            continue;
        }
        let outcome = if given.contains(&param.name) {
            Err("is given more than once")
        } else {
            given.push(param.name);
            (param.set)(&mut query, value, now_us)
        };
        if let Err(reason) = outcome {
            errors.push(ParamError {
                param: name.to_owned(),
                reason: format!("{} {reason}", quoted(value)),
                allowed: param.allowed.to_owned(),
            });
        }
    }
    errors.extend(excluded(&query, &given));
    span(&mut query, now_us);
    if query.conditions.len() > MAX_FILTERS {
        errors.push(ParamError {
            param: query.conditions[MAX_FILTERS].name.clone(),
            reason: "is one filter too many".to_owned(),
            allowed: format!("{MAX_FILTERS} filters"),
        });
    }
    if errors.is_empty() { Ok(query) } else { Err(errors) }
}

/// What was asked twice, in two ways.
fn excluded(query: &Query, given: &[&str]) -> Option<ParamError> {
    let all = |names: &[&str]| names.iter().all(|name| given.contains(name));
    let (param, reason, allowed) = if all(&["sort", "order"]) {
        let allowed = "one of the two; `sort=-column` has the largest first";
        ("order", "is by time, and sort asks for another order", allowed)
    } else if all(&["start", "stop", "delta"]) {
        ("delta", "says again what start and stop say", "at most two of the three")
    } else if all(&["step", "points"]) {
        ("points", "picks the step, and step names it", "one of the two")
    } else if all(&["cursor", "page"]) {
        ("page", "is counted from the start, and cursor begins elsewhere", "one of the two")
    } else if query.agg.is_some() && !all(&["step"]) && !all(&["points"]) {
        ("agg", "says how windows are joined, and none are", "together with step or points")
    } else {
        return None;
    };
    Some(ParamError {
        param: param.to_owned(),
        reason: reason.to_owned(),
        allowed: allowed.to_owned(),
    })
}

/// Turns a length of time into its start or its end.
fn span(query: &mut Query, now_us: i64) {
    let Some(delta_us) = query.delta_us.take() else { return };
    match (query.start_us, query.stop_us) {
        (Some(start_us), _) => query.stop_us = Some(start_us.saturating_add(delta_us)),
        (None, stop_us) => {
            let stop_us = stop_us.unwrap_or(now_us);
            query.stop_us = Some(stop_us);
            query.start_us = Some(stop_us.saturating_sub(delta_us));
        }
    }
}

/// Returns `value` as error texts show it: quoted, control characters escaped, cut when long.
pub(crate) fn quoted(value: &str) -> String {
    let cut: String = value.chars().take(80).collect();
    let dots = if cut.len() < value.len() { "…" } else { "" };
    format!("{cut:?}{dots}")
}
