//! Models of newest events: rows without windows, kept in the order of a time that each shows.
//!
//! Such a model (its index is a measure of kind time) answers `start`, `stop` and `order` by that time, newest
//! first, as models with windows answer by theirs.

use statmill_plugin_api::manifest::ValueKind;

use super::filter::Condition;
use super::params::Query;
use super::shape::ModelShape;
use super::sort::Sort;
use crate::store::Order;

/// The query said in terms of the model's own column; none where the model is of another kind.
pub(super) fn adapt(query: &Query, shape: &ModelShape<'_>, index: Option<&str>) -> Option<Query> {
    let index = index.filter(|_| !shape.has_time())?;
    let mut columns = shape.columns().iter().skip(shape.key_columns());
    let column = columns.find(|column| column.name == index && column.kind == ValueKind::Time)?;
    let mut query = query.clone();
    let bounds = [("gte", query.start_us.take()), ("lte", query.stop_us.take())];
    for (operator, time_us) in bounds {
        // A time that cannot be written bounds nothing: no message has it.
        let time = time_us.and_then(|time_us| jiff::Timestamp::from_microsecond(time_us).ok());
        if let Some(time) = time {
            let name = format!("{}__{operator}", column.name);
            query.conditions.push(Condition::parse(&name, &time.to_string()));
        }
    }
    if query.sort.is_none() {
        let order = query.order.unwrap_or(Order::Desc);
        query.sort = Some(Sort { column: column.name.clone(), order });
    }
    Some(query)
}
