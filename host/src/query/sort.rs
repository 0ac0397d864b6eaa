//! The order asked for by `sort=column` and `sort=-column`.

use statmill_plugin_api::manifest::ValueKind;

use super::params::{ParamError, quoted};
use super::table::Column;
use crate::store::Order;

/// A column that rows are ordered by; rows of equal values are ordered by key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sort {
    /// The column's name.
    pub column: String,
    /// Smallest or largest first.
    pub order: Order,
}

impl Sort {
    pub(crate) fn parse(text: &str) -> Self {
        match text.strip_prefix('-') {
            Some(column) => Self { column: column.to_owned(), order: Order::Desc },
            None => Self { column: text.to_owned(), order: Order::Asc },
        }
    }

    /// The column's place in a model's row.
    pub(super) fn bind(&self, columns: &[Column]) -> Result<(usize, Order), ParamError> {
        let place = columns.iter().position(|column| column.name == self.column);
        // The order of JSON texts would tell nothing.
        let place = place.filter(|&place| columns[place].kind != ValueKind::Json);
        let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
        place.map(|place| (place, self.order)).ok_or_else(|| ParamError {
            param: "sort".to_owned(),
            reason: format!("rows cannot be ordered by {}", quoted(&self.column)),
            allowed: format!("{}, with - before it for the largest first", names.join(", ")),
        })
    }
}
