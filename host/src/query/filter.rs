//! Filters on columns: `<column>=v` and `<column>__<operator>=v`.

use std::cmp::Ordering;

use statmill_plugin_api::encoding::Value;
use statmill_plugin_api::manifest::ValueKind;

use super::params::{ParamError, flag, quoted};
use super::table::Column;
use super::time;

/// How a cell is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not equal; null is not equal to anything.
    Not,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// Equal to one of several, separated by commas.
    In,
    /// The text contains this text.
    Contains,
    /// The text is like this pattern: `*` is any text, `?` one character.
    Glob,
}

/// The operators' names, and what docs and errors say of them.
pub(crate) const OPERATORS: &[(&str, Operator)] = &[
    ("eq", Operator::Eq),
    ("not", Operator::Not),
    ("gt", Operator::Gt),
    ("gte", Operator::Gte),
    ("lt", Operator::Lt),
    ("lte", Operator::Lte),
    ("in", Operator::In),
    ("contains", Operator::Contains),
    ("glob", Operator::Glob),
];

impl Operator {
    /// Whether cells of a kind can be compared in this way.
    pub(crate) fn is_for(self, kind: ValueKind) -> bool {
        let is_text = matches!(kind, ValueKind::Text | ValueKind::Json);
        !matches!(self, Self::Contains | Self::Glob) || is_text
    }
}

/// One filter as it was asked for, not yet held against a model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// The parameter's name, operator and all.
    pub name: String,
    /// The parameter's value.
    pub value: String,
}

/// One filter of a model's rows.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    /// The column's place in the row.
    pub(super) column: usize,
    pub(super) operator: Operator,
    /// One, or several for [`Operator::In`] and for [`Operator::Eq`] that was asked for again.
    pub(super) values: Vec<Value>,
}

impl Condition {
    /// Makes a filter of a parameter that is none of the query's own.
    #[must_use]
    pub fn parse(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: value.to_owned() }
    }

    /// Holds the filter against a model's columns.
    pub(super) fn bind(&self, columns: &[Column], now_us: i64) -> Result<Filter, ParamError> {
        let place = |name: &str| columns.iter().position(|column| column.name == name);
        // A column may have two underscores in its name: the whole name is tried first.
        let (column, operator) = match place(&self.name) {
            Some(column) => (column, Operator::Eq),
            None => self
                .name
                .rsplit_once("__")
                .and_then(|(name, suffix)| {
                    let named = OPERATORS.iter().find(|(operator, _)| *operator == suffix)?;
                    Some((place(name)?, named.1))
                })
                .ok_or_else(|| self.unknown(columns))?,
        };
        let kind = columns[column].kind;
        let texts: Vec<&str> = match operator {
            Operator::In => self.value.split(',').collect(),
            _ => vec![&self.value],
        };
        let values = match operator {
            _ if !operator.is_for(kind) => {
                return Err(ParamError {
                    param: self.name.clone(),
                    reason: format!("column {} holds no text", columns[column].name),
                    allowed: "eq, not, gt, gte, lt, lte and in".to_owned(),
                });
            }
            _ => texts.into_iter().map(|text| self.literal(kind, text, now_us)),
        };
        Ok(Filter { column, operator, values: values.collect::<Result<_, _>>()? })
    }

    fn literal(&self, kind: ValueKind, text: &str, now_us: i64) -> Result<Value, ParamError> {
        let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
        let (value, allowed) = match kind {
            ValueKind::Text => (Some(Value::Text(text.into())), ""),
            ValueKind::Json => (Some(Value::Json(text.into())), ""),
            ValueKind::Int => (
                text.parse().map(Value::Int).ok().or_else(|| number(text).map(Value::Num)),
                "a number",
            ),
            ValueKind::Num => (number(text).map(Value::Num), "a number"),
            ValueKind::Bool => (flag(text).map(Value::Bool), "`true` or `false`"),
            ValueKind::Time => (time::parse(text, now_us).map(Value::Time), time::ALLOWED),
        };
        value.ok_or_else(|| ParamError {
            param: self.name.clone(),
            reason: format!("{} is not a value of the column", quoted(text)),
            allowed: allowed.to_owned(),
        })
    }

    fn unknown(&self, columns: &[Column]) -> ParamError {
        let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
        let operators: Vec<_> = OPERATORS.iter().map(|(name, _)| *name).collect();
        let parameters: Vec<_> = super::params::PARAMS.iter().map(|param| param.name).collect();
        ParamError {
            param: self.name.clone(),
            reason: "is neither a parameter nor a column".to_owned(),
            allowed: format!(
                "the parameters {}; the columns {}; a column with __ and one of {}",
                parameters.join(", "),
                names.join(", "),
                operators.join(", "),
            ),
        }
    }
}

impl Filter {
    /// The text that the column must be.
    pub(super) fn text(&self) -> Option<&str> {
        match (self.operator, self.values.as_slice()) {
            (Operator::Eq, [Value::Text(text)]) => Some(text),
            _ => None,
        }
    }

    /// Whether a cell passes.
    pub(super) fn admits(&self, cell: &Value) -> bool {
        let holds = |wanted: fn(Ordering) -> bool| {
            self.values.iter().any(|value| compare(cell, value).is_some_and(wanted))
        };
        match self.operator {
            Operator::Eq | Operator::In => holds(Ordering::is_eq),
            Operator::Not => !holds(Ordering::is_eq),
            Operator::Gt => holds(Ordering::is_gt),
            Operator::Gte => holds(Ordering::is_ge),
            Operator::Lt => holds(Ordering::is_lt),
            Operator::Lte => holds(Ordering::is_le),
            Operator::Contains => match (cell, &self.values[0]) {
                (Value::Text(cell) | Value::Json(cell), Value::Text(part) | Value::Json(part)) => {
                    cell.contains(&**part)
                }
                _ => false,
            },
            Operator::Glob => match (cell, &self.values[0]) {
                (Value::Text(cell) | Value::Json(cell), Value::Text(glob) | Value::Json(glob)) => {
                    is_like(cell, glob)
                }
                _ => false,
            },
        }
    }
}

/// Adds a filter. Equal to one value and equal to another means one or the other: nothing could be
/// equal to both.
pub(super) fn add(filters: &mut Vec<Filter>, filter: Filter) {
    let is_same =
        |known: &&mut Filter| known.column == filter.column && known.operator == Operator::Eq;
    match filters.iter_mut().find(is_same) {
        Some(known) if filter.operator == Operator::Eq => known.values.extend(filter.values),
        _ => filters.push(filter),
    }
}

/// Turns filters on the time column, which is the first, into bounds: those cost nothing.
pub(super) fn narrow(
    has_time: bool,
    filters: &mut Vec<Filter>,
    mut start: Option<i64>,
    mut stop: Option<i64>,
) -> (Option<i64>, Option<i64>) {
    if !has_time {
        return (start, stop);
    }
    filters.retain(|filter| {
        let [Value::Time(time_us)] = filter.values[..] else { return true };
        if filter.column != 0 {
            return true;
        }
        let (from, to) = match filter.operator {
            Operator::Eq | Operator::In => (Some(time_us), Some(time_us)),
            Operator::Gt => (Some(time_us.saturating_add(1)), None),
            Operator::Gte => (Some(time_us), None),
            Operator::Lt => (None, Some(time_us.saturating_sub(1))),
            Operator::Lte => (None, Some(time_us)),
            Operator::Not | Operator::Contains | Operator::Glob => return true,
        };
        start = start.max(from);
        stop = match (stop, to) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        false
    });
    (start, stop)
}

/// Whether a text is like a pattern. A `*` that fails to match takes one character more, and only the
/// last one does: what is before it matched as early as it could. So no pattern takes long.
fn is_like(text: &str, glob: &str) -> bool {
    let (mut text, mut glob) = (text.chars(), glob.chars());
    let mut retry = None;
    loop {
        let here = (text.clone(), glob.clone());
        match (text.next(), glob.next()) {
            (_, Some('*')) => {
                text = here.0;
                retry = Some((text.clone(), glob.clone()));
            }
            (Some(_), Some('?')) => {}
            (Some(character), Some(wanted)) if character == wanted => {}
            (None, None) => return true,
            _ => {
                let Some((again, after)) = &mut retry else { return false };
                if again.next().is_none() {
                    return false;
                }
                (text, glob) = (again.clone(), after.clone());
            }
        }
    }
}

/// Compares a cell with a value of the same column's kind; null compares with nothing.
fn compare(cell: &Value, value: &Value) -> Option<Ordering> {
    match (cell, value) {
        (Value::Text(a), Value::Text(b)) | (Value::Json(a), Value::Json(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        // Only a fraction or an exponent makes a number asked of an int column a float.
        (Value::Int(a), Value::Num(b)) => (*a as f64).partial_cmp(b),
        (Value::Num(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Num(a), Value::Num(b)) => a.partial_cmp(b),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn columns() -> Vec<Column> {
        [
            ("timestamp", ValueKind::Time),
            ("user", ValueKind::Text),
            ("a__b", ValueKind::Int),
            ("mean", ValueKind::Num),
        ]
        .map(|(name, kind)| Column { name: name.to_owned(), kind, unit: String::new() })
        .to_vec()
    }

    fn admits(name: &str, value: &str, cell: Value) -> bool {
        Condition::parse(name, value).bind(&columns(), 0).unwrap().admits(&cell)
    }

    #[test]
    fn operators_compare_by_the_columns_kind() {
        assert!(admits("user", "zoë", Value::Text("zoë".into())));
        assert!(admits("user__in", "ann,zoë", Value::Text("zoë".into())));
        assert!(admits("user__contains", "o", Value::Text("zoë".into())));
        assert!(admits("a__b", "10", Value::Int(10)));
        assert!(admits("a__b__gt", "9", Value::Int(10)));
        assert!(admits("a__b__gte", "9.5", Value::Int(10)));
        assert!(!admits("a__b__lt", "10", Value::Int(10)));
        assert!(admits("mean__lte", "1e3", Value::Num(1000.0)));
        assert!(admits("timestamp__lt", "1970-01-02", Value::Time(5)));
    }

    #[test]
    fn a_glob_is_like_whole_texts() {
        for (text, glob) in [
            ("", ""),
            ("", "*"),
            ("zoë", "zo?"),
            ("zoë", "*"),
            ("a.b.c", "a.*.c"),
            ("aXbXc", "*X*"),
            ("abcabc", "*abc"),
            ("a*", "a*"),
            ("aab", "*a?"),
        ] {
            assert!(is_like(text, glob), "{text} {glob}");
        }
        for (text, glob) in
            [("", "?"), ("ab", "a"), ("ab", "b"), ("abc", "a*b"), ("zoë", "zo??"), ("a", "A")]
        {
            assert!(!is_like(text, glob), "{text} {glob}");
        }
        let hostile = format!("{}b", "*a".repeat(2_000));
        assert!(!is_like(&"a".repeat(4_000), &hostile));
    }

    #[test]
    fn null_passes_only_not() {
        assert!(admits("user__not", "ann", Value::Null));
        for operator in ["eq", "gt", "gte", "lt", "lte", "in", "contains", "glob"] {
            assert!(!admits(&format!("user__{operator}"), "", Value::Null), "{operator}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_refused_by_name() {
        for (name, value) in [
            ("nobody", "x"),
            ("user__like", "x"),
            ("a__b", "ten"),
            ("mean__gt", "NaN"),
            ("mean__contains", "1"),
            ("timestamp", "noon"),
        ] {
            let error = Condition::parse(name, value).bind(&columns(), 0).unwrap_err();
            assert_eq!(error.param, name);
            assert!(!error.allowed.is_empty());
        }
    }
}
