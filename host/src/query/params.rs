//! The query's parameters: one table that parses them, words their errors and documents them.
//!
//! Everything that is not in the table is a filter on a column, `<column>=v` or
//! `<column>__<operator>=v`. Which columns there are is known only to the model, so that a name
//! that is neither is refused when the query runs.

use serde::Serialize;

use super::filter::Condition;
use super::sort::Sort;
use super::time;
use crate::store::Order;

/// The most filters one query may have.
const MAX_FILTERS: usize = 32;

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
    /// At most this many rows, before paging.
    pub limit: Option<u64>,
    /// From 1 on.
    pub page: u64,
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
            limit: None,
            page: 1,
            rows_per_page: None,
            columns: None,
            conditions: Vec::new(),
            format: None,
            callback: None,
            envelope: false,
            shape: Shape::Objects,
            time: TimeStyle::Unix,
        }
    }
}

/// The forms in which rows are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// JSON.
    Json,
    /// Comma separated values.
    Csv,
    /// A page to read.
    Html,
    /// One JSON object per line.
    Ndjson,
}

impl Format {
    /// Every format, the preferred first.
    pub const ALL: [Self; 4] = [Self::Json, Self::Csv, Self::Html, Self::Ndjson];

    /// Returns the name, which is also the extension.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Html => "html",
            Self::Ndjson => "ndjson",
        }
    }

    /// Returns the format of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// How rows are laid out in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shape {
    /// An object per row.
    #[default]
    Objects,
    /// An array per row.
    Arrays,
    /// An object with one array per column.
    Columns,
}

/// How times are written in JSON and CSV.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimeStyle {
    /// Seconds since 1970 with a fraction, as statscache did.
    #[default]
    Unix,
    /// Whole milliseconds since 1970.
    Millis,
    /// RFC 3339, UTC.
    Rfc3339,
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

/// One parameter of a query.
#[derive(Serialize)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Names it goes by elsewhere.
    pub aliases: &'static [&'static str],
    /// What it may be.
    pub allowed: &'static str,
    /// What it does.
    pub meaning: &'static str,
    #[serde(skip)]
    set: fn(&mut Query, &str, i64) -> Result<(), &'static str>,
}

/// Every parameter there is.
pub const PARAMS: &[Param] = &[
    Param {
        name: "model",
        aliases: &[],
        allowed: "the name of a model of the stat",
        meaning: "which model's rows; the first by default",
        set: |query, value, _| {
            query.model = Some(value.to_owned());
            Ok(())
        },
    },
    Param {
        name: "order",
        aliases: &[],
        allowed: "`asc` or `desc`",
        meaning: "by time; rows of one time stand in the order of their key; `desc` by default",
        set: |query, value, _| {
            query.order = Some(match value {
                "asc" => Order::Asc,
                "desc" => Order::Desc,
                _ => return Err("is neither"),
            });
            Ok(())
        },
    },
    Param {
        name: "sort",
        aliases: &[],
        allowed: "the name of a column, with `-` before it for the largest first",
        meaning: "by a column instead of by time; rows of equal values stand in the order of their \
                  key; a model's index answers this without reading all rows, without filters and \
                  of one window",
        set: |query, value, _| {
            query.sort = Some(Sort::parse(value));
            Ok(())
        },
    },
    Param {
        name: "start",
        aliases: &["from"],
        allowed: time::ALLOWED,
        meaning: "rows of this time and later",
        set: |query, value, now_us| {
            query.start_us = Some(time::parse(value, now_us).ok_or("is not a time")?);
            Ok(())
        },
    },
    Param {
        name: "stop",
        aliases: &["end", "to"],
        allowed: time::ALLOWED,
        meaning: "rows of this time and earlier",
        set: |query, value, now_us| {
            query.stop_us = Some(time::parse(value, now_us).ok_or("is not a time")?);
            Ok(())
        },
    },
    Param {
        name: "limit",
        aliases: &[],
        allowed: "a whole number, 0 or more",
        meaning: "at most this many rows, before paging",
        set: |query, value, _| {
            query.limit = Some(value.parse().map_err(|_| NOT_WHOLE)?);
            Ok(())
        },
    },
    Param {
        name: "page",
        aliases: &[],
        allowed: "a whole number, 1 or more",
        meaning: "which page; 1 by default",
        set: |query, value, _| {
            query.page = positive(value)?;
            Ok(())
        },
    },
    Param {
        name: "rows_per_page",
        aliases: &[],
        allowed: "a whole number, 1 or more",
        meaning: "rows on a page, at most the configured maximum",
        set: |query, value, _| {
            query.rows_per_page = Some(positive(value)?);
            Ok(())
        },
    },
    Param {
        name: "columns",
        aliases: &[],
        allowed: "names of columns, separated by commas",
        meaning: "which columns, in which order; all by default",
        set: |query, value, _| {
            query.columns = Some(value.split(',').map(|name| name.trim().to_owned()).collect());
            Ok(())
        },
    },
    Param {
        name: "format",
        aliases: &[],
        allowed: "`json`, `csv`, `html` or `ndjson`",
        meaning: "the form of the answer; an extension of the path comes before it, `Accept` after",
        set: |query, value, _| {
            query.format = Some(Format::named(value).ok_or("is not a format")?);
            Ok(())
        },
    },
    Param {
        name: "callback",
        aliases: &[],
        allowed: "a JavaScript name: letters, digits, `_`, `$` and `.`, at most 64, no digit first",
        meaning: "JSON as a script that calls this function (JSONP)",
        set: |query, value, _| {
            if !is_callback(value) {
                return Err("is not a name that is safe to call");
            }
            query.callback = Some(value.to_owned());
            Ok(())
        },
    },
    Param {
        name: "envelope",
        aliases: &[],
        allowed: "`1` or `0`",
        meaning: "JSON rows inside an object with columns, version and completeness",
        set: |query, value, _| {
            query.envelope = flag(value).ok_or("is neither")?;
            Ok(())
        },
    },
    Param {
        name: "shape",
        aliases: &[],
        allowed: "`objects`, `arrays` or `columns`",
        meaning: "how JSON lays out the rows; `objects` by default",
        set: |query, value, _| {
            query.shape = match value {
                "objects" => Shape::Objects,
                "arrays" => Shape::Arrays,
                "columns" => Shape::Columns,
                _ => return Err("is none of these"),
            };
            Ok(())
        },
    },
    Param {
        name: "time",
        aliases: &[],
        allowed: "`unix`, `ms` or `rfc3339`",
        meaning: "how times are written; `unix` (seconds with a fraction) by default",
        set: |query, value, _| {
            query.time = match value {
                "unix" => TimeStyle::Unix,
                "ms" => TimeStyle::Millis,
                "rfc3339" => TimeStyle::Rfc3339,
                _ => return Err("is none of these"),
            };
            Ok(())
        },
    },
];

/// What clients send that means nothing here: statscache's `Link` named the stat again, and script
/// libraries add `_` to get past caches.
const IGNORED: &[&str] = &["ident", "_"];

const NOT_WHOLE: &str = "is not a whole number in range";

fn positive(value: &str) -> Result<u64, &'static str> {
    match value.parse() {
        Ok(0) => Err("is less than 1"),
        Ok(number) => Ok(number),
        Err(_) => Err(NOT_WHOLE),
    }
}

/// Reads a switch; `None` if it is neither on nor off.
#[must_use]
pub fn flag(value: &str) -> Option<bool> {
    match value {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// `^[A-Za-z_$][\w$.]{0,63}$`
fn is_callback(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.');
    let first = name.bytes().next();
    first.is_some_and(|byte| allowed(byte) && !byte.is_ascii_digit() && byte != b'.')
        && name.len() <= 64
        && name.bytes().all(allowed)
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
    if query.sort.is_some() && query.order.is_some() {
        errors.push(ParamError {
            param: "order".to_owned(),
            reason: "is by time, and sort asks for another order".to_owned(),
            allowed: "one of the two; `sort=-column` has the largest first".to_owned(),
        });
    }
    if query.conditions.len() > MAX_FILTERS {
        errors.push(ParamError {
            param: query.conditions[MAX_FILTERS].name.clone(),
            reason: "is one filter too many".to_owned(),
            allowed: format!("{MAX_FILTERS} filters"),
        });
    }
    if errors.is_empty() { Ok(query) } else { Err(errors) }
}

/// Returns `value` as error texts show it: quoted, control characters escaped, cut when long.
pub(super) fn quoted(value: &str) -> String {
    let cut: String = value.chars().take(80).collect();
    let dots = if cut.len() < value.len() { "…" } else { "" };
    format!("{cut:?}{dots}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parsed(pairs: &[(&str, &str)]) -> Result<Query, Vec<ParamError>> {
        parse(pairs.iter().copied(), 1_700_000_000_000_000)
    }

    #[test]
    fn every_bad_value_is_named_with_what_is_allowed() {
        for (name, value) in [
            ("order", "up"),
            ("start", "yesterday"),
            ("stop", "x"),
            ("end", "x"),
            ("limit", "-1"),
            ("limit", "1.5"),
            ("limit", "many"),
            ("page", "0"),
            ("page", "-1"),
            ("page", "99999999999999999999999"),
            ("rows_per_page", "0"),
            ("rows_per_page", "-5"),
            ("rows_per_page", "x"),
            ("format", "xml"),
            ("callback", "alert(1)//"),
            ("envelope", "yes"),
            ("shape", "round"),
            ("time", "noon"),
        ] {
            let errors = parsed(&[(name, value)]).unwrap_err();
            assert_eq!(errors.len(), 1);
            assert_eq!(errors[0].param, name);
            assert!(errors[0].reason.contains(value), "{}", errors[0].reason);
            assert!(!errors[0].allowed.is_empty());
        }
    }

    #[test]
    fn all_errors_are_told_at_once() {
        let errors = parsed(&[("page", "0"), ("order", "asc"), ("limit", "x")]).unwrap_err();
        let names: Vec<_> = errors.iter().map(|error| error.param.as_str()).collect();
        assert_eq!(names, ["page", "limit"]);
    }

    #[test]
    fn a_sort_names_a_column_and_a_direction_and_is_no_order_by_time() {
        let sort = |text| parsed(&[("sort", text)]).unwrap().sort.unwrap();
        assert_eq!((&*sort("a").column, sort("a").order), ("a", Order::Asc));
        assert_eq!((&*sort("-a").column, sort("-a").order), ("a", Order::Desc));
        let errors = parsed(&[("sort", "a"), ("order", "asc")]).unwrap_err();
        assert_eq!(errors[0].param, "order");
    }

    #[test]
    fn an_alias_is_the_same_parameter() {
        assert_eq!(parsed(&[("end", "5")]), parsed(&[("stop", "5")]));
        let errors = parsed(&[("stop", "5"), ("end", "6")]).unwrap_err();
        assert_eq!(errors[0].param, "end");
    }

    #[test]
    fn empty_values_and_what_old_clients_add_are_ignored() {
        let query = parsed(&[("limit", ""), ("ident", "volume-1s"), ("_", "1700")]).unwrap();
        assert_eq!(query, Query::default());
    }

    #[test]
    fn only_names_that_are_safe_to_call_are_callbacks() {
        let long = "a".repeat(65);
        for bad in ["1a", ".a", "a b", "a;b", "a(b", "<script>", "é", "a\u{2028}", &long] {
            assert!(!is_callback(bad), "{bad}");
        }
        for good in ["cb", "$", "_", "jQuery.cb_1", "$.x", &long[1..]] {
            assert!(is_callback(good), "{good}");
        }
    }

    #[test]
    fn more_filters_than_anyone_needs_are_refused() {
        let many: Vec<_> = (0..40).map(|_| ("user", "x")).collect();
        assert!(parsed(&many).is_err());
    }
}
