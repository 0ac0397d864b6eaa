//! The table of parameters: how each is named, what it takes, what it does.

use serde::Serialize;

use super::Query;
use super::forms::{Format, Shape, TimeStyle};
use crate::query::agg::Agg;
use crate::query::cursor::Cursor;
use crate::query::sort::Sort;
use crate::query::time;
use crate::store::Order;

/// What kind of text a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Any text; whether it is right is seen later.
    Text,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// A whole number, at least this.
    Whole(u64),
    /// A point in time ([`time::ALLOWED`]).
    Time,
    /// A length of time ([`time::SPAN_ALLOWED`]).
    Span,
    /// On or off.
    Flag,
    /// Names, separated by commas.
    Names,
    /// Text of this pattern.
    Pattern(&'static str),
}

/// One parameter of a query.
#[derive(Serialize)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Names it goes by elsewhere.
    pub aliases: &'static [&'static str],
    /// What it may be, in words.
    pub allowed: &'static str,
    /// What it may be, for programs.
    #[serde(skip)]
    pub values: Values,
    /// What it does.
    pub meaning: &'static str,
    #[serde(skip)]
    pub(super) set: fn(&mut Query, &str, i64) -> Result<(), &'static str>,
}

/// Every parameter there is.
pub const PARAMS: &[Param] = &[
    Param {
        name: "model",
        aliases: &[],
        allowed: "the name of a model of the stat",
        values: Values::Text,
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
        values: Values::OneOf(&["asc", "desc"]),
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
        values: Values::Text,
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
        values: Values::Time,
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
        values: Values::Time,
        meaning: "rows of this time and earlier",
        set: |query, value, now_us| {
            query.stop_us = Some(time::parse(value, now_us).ok_or("is not a time")?);
            Ok(())
        },
    },
    Param {
        name: "delta",
        aliases: &[],
        allowed: time::SPAN_ALLOWED,
        values: Values::Span,
        meaning: "rows of so long a time: after start, or else before stop, or else until now",
        set: |query, value, _| {
            query.delta_us = Some(time::span(value).ok_or("is not a length of time")?);
            Ok(())
        },
    },
    Param {
        name: "step",
        aliases: &[],
        allowed: time::SPAN_ALLOWED,
        values: Values::Span,
        meaning: "joins the windows to longer ones, of a whole multiple of the model's; the rows are \
                  those that a model of that window would hold",
        set: |query, value, _| {
            query.step_s = Some(time::whole_seconds(value).ok_or(NOT_SECONDS)?);
            Ok(())
        },
    },
    Param {
        name: "points",
        aliases: &[],
        allowed: "a whole number, 1 or more",
        values: Values::Whole(1),
        meaning: "joins the windows by the smallest step that leaves at most so many",
        set: |query, value, _| {
            query.points = Some(positive(value)?);
            Ok(())
        },
    },
    Param {
        name: "agg",
        aliases: &[],
        allowed: Agg::ALLOWED,
        values: Values::Pattern(Agg::PATTERN),
        meaning: "with step or points: of the values that the joined windows show, their sum, mean \
                  and so on, instead of what one longer window would hold (`merge`)",
        set: |query, value, _| {
            query.agg = Agg::parse(value).ok_or("is none of these")?;
            Ok(())
        },
    },
    Param {
        name: "limit",
        aliases: &[],
        allowed: "a whole number, 0 or more",
        values: Values::Whole(0),
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
        values: Values::Whole(1),
        meaning: "which page; 1 by default",
        set: |query, value, _| {
            query.page = positive(value)?;
            Ok(())
        },
    },
    Param {
        name: "cursor",
        aliases: &[],
        allowed: "what an answer named as the place behind its last row",
        values: Values::Pattern("^[A-Za-z0-9_-]+$"),
        meaning: "the rows behind that place, whatever was added meanwhile; the question is else the \
                  same",
        set: |query, value, _| {
            query.cursor = Some(Cursor::parse(value).ok_or("is not such a place")?);
            Ok(())
        },
    },
    Param {
        name: "rows_per_page",
        aliases: &[],
        allowed: "a whole number, 1 or more",
        values: Values::Whole(1),
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
        values: Values::Names,
        meaning: "which columns, in which order; all by default",
        set: |query, value, _| {
            query.columns = Some(value.split(',').map(|name| name.trim().to_owned()).collect());
            Ok(())
        },
    },
    Param {
        name: "format",
        aliases: &[],
        allowed: "`json`, `csv`, `html`, `ndjson` or `svg`",
        values: Values::OneOf(&["json", "csv", "html", "ndjson", "svg"]),
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
        values: Values::Pattern("^[A-Za-z_$][A-Za-z0-9_$.]{0,63}$"),
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
        name: "download",
        aliases: &[],
        allowed: "`1` or `0`",
        values: Values::Flag,
        meaning: "has browsers save the answer as a file",
        set: |query, value, _| {
            query.download = flag(value).ok_or("is neither")?;
            Ok(())
        },
    },
    Param {
        name: "envelope",
        aliases: &[],
        allowed: "`1` or `0`",
        values: Values::Flag,
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
        values: Values::OneOf(&["objects", "arrays", "columns"]),
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
        values: Values::OneOf(&["unix", "ms", "rfc3339"]),
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

const NOT_SECONDS: &str = "is not a length of one second or more, in whole seconds";
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
pub(super) fn is_callback(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.');
    let first = name.bytes().next();
    first.is_some_and(|byte| allowed(byte) && !byte.is_ascii_digit() && byte != b'.')
        && name.len() <= 64
        && name.bytes().all(allowed)
}
