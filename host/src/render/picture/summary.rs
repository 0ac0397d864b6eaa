//! One number of a stat: what badges show.

use super::fields::{Combine, Fields};
use super::kind::Kind;
use super::params::Asked;
use super::plan::{Plan, refused};
use super::table::{groups, total};
use crate::query::{ParamError, Query, Table};

/// One number of a stat.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The number; `None` = there are no rows.
    pub value: Option<f64>,
    /// What it is.
    pub measure: String,
    /// Its unit.
    pub unit: String,
}

impl Plan {
    /// Plans one number of a model's rows.
    ///
    /// # Errors
    ///
    /// [`ParamError`] if the model has not what was asked for.
    pub fn number(fields: &Fields, asked: &Asked, query: &Query) -> Result<Self, ParamError> {
        // Whether rows can be joined is seen when they are there: bars never ask for it.
        Self::new(fields, &Asked { kind: Some(Kind::Bar), ..asked.clone() }, query)
    }

    /// Returns the query for the rows of one number: all windows joined to one.
    #[must_use]
    pub fn summary_query(&self, query: &Query) -> Query {
        let whole = Query { step_s: None, points: self.has_time.then_some(1), ..query.clone() };
        Query { clip: true, ..Self { kind: Kind::Tile, ..self.clone() }.query(&whole) }
    }
}

/// Joins the rows that answer [`Plan::summary_query`] to one number.
///
/// # Errors
///
/// [`ParamError`] if they cannot be joined.
pub fn summary(plan: &Plan, table: &Table) -> Result<Summary, ParamError> {
    let groups = groups(table, &plan.measured, &plan.by, plan.has_time);
    let values: usize = groups.iter().map(|group| group.values.len()).sum();
    if plan.measured.combine == Combine::Never && values > 1 {
        let reason =
            "has a value for each of several rows, which cannot be joined; filter the rows to one";
        return Err(refused(
            "measure",
            reason,
            ["a count", "a sum", "a smallest or largest value"],
        ));
    }
    Ok(Summary {
        value: total(&groups, plan.measured.combine),
        measure: plan.measured.column.clone().unwrap_or_else(|| "rows".to_owned()),
        unit: plan.measured.unit.clone(),
    })
}
