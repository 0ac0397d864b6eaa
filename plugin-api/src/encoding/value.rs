//! A decoded cell.

use std::cmp::Ordering;

/// A value of a row, decoded.
///
/// Values of one kind order as their cells in a key do, `Null` first; kinds order among each other
/// as they are listed. −0 equals 0.
#[derive(Clone, Debug)]
pub enum Value {
    /// No value.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A finite number.
    Num(f64),
    /// UTF-8 text.
    Text(Box<str>),
    /// µs since 1970, UTC.
    Time(i64),
    /// JSON text of any value.
    Json(Box<str>),
}

impl Value {
    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Num(_) => 3,
            Self::Text(_) => 4,
            Self::Time(_) => 5,
            Self::Json(_) => 6,
        }
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            // Adding 0 turns −0 into 0 and changes nothing else.
            (Self::Num(a), Self::Num(b)) => (a + 0.0).total_cmp(&(b + 0.0)),
            (Self::Text(a), Self::Text(b)) | (Self::Json(a), Self::Json(b)) => a.cmp(b),
            (Self::Time(a), Self::Time(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Value {}
