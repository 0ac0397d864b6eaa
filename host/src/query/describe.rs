//! What the rows of a query are, told without reading them.

use statmill_plugin_api::manifest::{Aggregator, Measure, Stamp};

use super::params::{ParamError, Query};
use super::run::QueryError;
use super::select::{projection, refused};
use super::shape::ModelShape;
use super::table::Column;
use crate::clock::now_us;
use crate::store::{KeyBounds, Order, Snapshot, StoredModel};

/// The rows of a model as a query asks for them.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Name of the model.
    pub model: String,
    /// Every column of it.
    pub all: Vec<Column>,
    /// How many of those, from the first, make up the key.
    pub key_columns: usize,
    /// The columns that the query shows.
    pub columns: Vec<Column>,
    /// Seconds of a window, where rows have one.
    pub window_s: Option<u64>,
    /// A row shows the end of its window.
    pub shows_end: bool,
    /// Rows have a time, which is the first of all columns.
    pub has_time: bool,
    /// Columns of which values of several rows may be added up.
    pub additive: Vec<String>,
    /// The rows lie in the order of this column, from which the largest are read.
    pub index: Option<String>,
}

/// Describes the rows that a query would select of a statistic with these tables.
///
/// # Errors
///
/// [`QueryError`] if the query names a model, a column or an operator that there is not.
pub fn describe(models: &[StoredModel], query: &Query) -> Result<Description, QueryError> {
    let at = named(models, query.model.as_deref())?;
    let model = &models[at].model;
    let shape = ModelShape::new(model);
    let (columns, _) = projection(&shape, query)?;
    let conditions = query.conditions.iter();
    let wrong = conditions.filter_map(|condition| condition.bind(shape.columns(), now_us()).err());
    let sorted_by = query.sort.as_ref().and_then(|sort| sort.bind(shape.columns()).err());
    let errors: Vec<ParamError> = wrong.chain(sorted_by).collect();
    if !errors.is_empty() {
        return Err(QueryError::Params(errors));
    }
    Ok(Description {
        model: models[at].name.clone(),
        all: shape.columns().to_vec(),
        key_columns: shape.key_columns(),
        columns,
        window_s: model.window_s,
        shows_end: model.window_s.is_some() && model.stamp == Stamp::End,
        has_time: shape.has_time(),
        additive: model.measures.iter().filter_map(additive).collect(),
        index: model.index.clone(),
    })
}

/// The time that the first or the last row of a model shows, µs; none where rows have no time.
///
/// # Errors
///
/// [`QueryError`] if there is no such model, or it cannot be read.
pub fn edge(
    snapshot: &Snapshot,
    model: Option<&str>,
    order: Order,
) -> Result<Option<i64>, QueryError> {
    let at = named(snapshot.models(), model)?;
    let shape = ModelShape::new(&snapshot.models()[at].model);
    if !shape.has_time() {
        return Ok(None);
    }
    match snapshot.scan(at, &KeyBounds::default(), order, 0).next() {
        Some(row) => Ok(shape.shown_time(&row?.0)?),
        None => Ok(None),
    }
}

/// The table of that name; the first where none is named.
fn named(models: &[StoredModel], name: Option<&str>) -> Result<usize, QueryError> {
    let place = models.iter().position(|stored| name.is_none_or(|name| stored.name == name));
    place.ok_or_else(|| {
        let names: Vec<_> = models.iter().map(|stored| stored.name.as_str()).collect();
        refused("model", "the stat has no such model".to_owned(), &names)
    })
}

/// The column of a measure that is a number of things, or their sum.
fn additive(measure: &Measure) -> Option<String> {
    match measure.aggregator {
        Aggregator::Count | Aggregator::Sum { .. } => Some(measure.name.clone()),
        Aggregator::Moments { .. } | Aggregator::Quantiles { .. } => {
            Some(format!("{}_count", measure.name))
        }
        _ => None,
    }
}
