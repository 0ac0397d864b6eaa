//! The rows a query selects: which, in which order, any part of them.
//!
//! Which rows match is a [`scan`]'s to know; in the order of a column they are found by [`sorted`];
//! longer windows than stored ones are made by [`join`]. Here they become columns and cells.

mod behind;
mod join;
mod scan;
mod sorted;
mod step;
#[cfg(test)]
mod tests;

use std::hash::{Hash, Hasher};

use self::join::Join;
use self::scan::Scan;
use super::cursor::Cursor;
use super::event_time;
use super::params::{ParamError, Query, quoted};
use super::run::{Limits, QueryError};
use super::shape::ModelShape;
use super::table::{Column, Table};
use crate::store::Snapshot;
use statmill_plugin_api::encoding::Value;

/// Key and value, encoded.
type Row = (Vec<u8>, Vec<u8>);
/// Takes the key and the value of a row.
type TakeRow<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), QueryError> + 'a;

/// What a query matches among the rows of one stat, as columns it shows.
pub struct Selection<'a> {
    name: &'a str,
    step_s: Option<u64>,
    pub(super) scan: Scan<'a>,
    total: u64,
    columns: Vec<Column>,
    /// The query named the columns: their places in the whole row.
    chosen: Option<Vec<usize>>,
    /// What decides in which order rows stand.
    question: u64,
    /// Rows that lie before the place where it begins; 0 in the order of a column, which begins there.
    before: u64,
    /// Rows that were given before, in this walk.
    given: u64,
    /// Rows that may still be given.
    left: u64,
}

impl<'a> Selection<'a> {
    /// Holds a query against a stat's rows; with filters, counts its matches.
    ///
    /// # Errors
    ///
    /// [`QueryError`], but never [`QueryError::NoSuchPage`]: pages are the caller's.
    pub fn new(snapshot: &'a Snapshot, query: &Query, limits: &Limits) -> Result<Self, QueryError> {
        let models = snapshot.models();
        let is_wanted = |name: &str| query.model.as_ref().is_none_or(|wanted| wanted == name);
        let Some(named) = models.iter().position(|stored| is_wanted(&stored.name)) else {
            let names: Vec<_> = models.iter().map(|stored| stored.name.as_str()).collect();
            return Err(refused("model", "the stat has no such model".to_owned(), &names));
        };
        let plan = step::plan(snapshot, named, query)?;
        let (shape, join) = match plan.step_s {
            None => (ModelShape::new(&models[plan.model].model), None),
            Some(step_s) => {
                let (join, joined) = Join::new(snapshot, plan.model, step_s, query)?;
                (ModelShape::owned(joined), Some(join))
            }
        };
        let of_events = event_time::adapt(query, &shape, models[plan.model].model.index.as_deref());
        let query = of_events.as_ref().unwrap_or(query);
        let (columns, chosen) = projection(&shape, query)?;
        let mut scan = Scan::new(snapshot, plan.model, shape, join, query, limits)?;
        let limit = query.limit.unwrap_or(u64::MAX);
        let total = scan.total()?.min(limit);
        let name = &models[plan.model].name;
        let question = question(name, plan.step_s, query);
        let (mut before, mut given, mut left) = (0, 0, total);
        if let Some(cursor) = &query.cursor {
            if cursor.question != question {
                let reason = "it is a place in the answer to another question".to_owned();
                return Err(refused("cursor", reason, &["the same order, sort, model and step"]));
            }
            before = scan.begin_behind(cursor)?;
            given = cursor.given;
            let behind =
                if query.sort.is_some() { limit } else { scan.total()?.saturating_sub(before) };
            left = behind.min(limit.saturating_sub(given));
        }
        let step_s = plan.step_s;
        Ok(Self { name, step_s, scan, total, columns, chosen, question, before, given, left })
    }

    /// Name of the model the rows are of.
    #[must_use]
    pub fn model(&self) -> &'a str {
        self.name
    }

    /// Seconds of the windows, where stored ones are joined.
    #[must_use]
    pub fn step_s(&self) -> Option<u64> {
        self.step_s
    }

    /// How many rows match, those before the query's cursor among them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The columns of the rows.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Hands every row that matches to `take`, ascending by key, whatever order, limit and columns the query
    /// says; none is kept.
    ///
    /// # Errors
    ///
    /// [`QueryError`], that of `take` among them.
    pub fn each(
        &self,
        take: &mut dyn FnMut(&[Value]) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let mut cells = Vec::new();
        for row in self.scan.all() {
            let (key, value) = row?;
            cells.clear();
            self.scan.shape.key_cells(&key, &mut cells)?;
            self.scan.shape.value_cells(&value, &mut cells)?;
            take(&cells)?;
        }
        Ok(())
    }

    /// Reads the selected rows without the first `skip`, and no more than `take` of them.
    ///
    /// # Errors
    ///
    /// [`QueryError`].
    pub fn part(&self, skip: u64, take: u64) -> Result<Table, QueryError> {
        Ok(self.page(skip, take)?.0)
    }

    /// As [`Selection::part`], with the place behind the last row, if there are rows behind it.
    ///
    /// # Errors
    ///
    /// [`QueryError`].
    pub fn page(&self, skip: u64, take: u64) -> Result<(Table, Option<Cursor>), QueryError> {
        let take = take.min(self.left.saturating_sub(skip));
        let shape = &self.scan.shape;
        let (mut rows, mut last) = (Vec::new(), None);
        self.scan.each(self.before + skip, take, &mut |key, value| {
            let mut cells = Vec::with_capacity(shape.columns().len());
            shape.key_cells(key, &mut cells)?;
            shape.value_cells(value, &mut cells)?;
            if rows.len() as u64 + 1 == take {
                last = Some((key.to_vec(), self.scan.sort_cell(&cells)));
            }
            rows.push(match &self.chosen {
                None => cells,
                Some(places) => places.iter().map(|&place| cells[place].clone()).collect(),
            });
            Ok(())
        })?;
        let given = self.given + skip + rows.len() as u64;
        let is_more = skip + (rows.len() as u64) < self.left;
        let next = last.filter(|_| is_more).map(|(key, cell)| Cursor {
            question: self.question,
            given,
            cell,
            key,
        });
        let table = Table {
            columns: self.columns.clone(),
            rows,
            total: self.total,
            chosen: self.chosen.is_some(),
        };
        Ok((table, next.filter(Cursor::is_short)))
    }
}

/// Names what decides in which order rows stand, and what keys they have.
fn question(model: &str, step_s: Option<u64>, query: &Query) -> u64 {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    (model, step_s, query.agg, query.clip, query.order, &query.sort).hash(&mut hash);
    hash.finish()
}

pub(super) fn refused(param: &str, reason: String, allowed: &[&str]) -> QueryError {
    let allowed = allowed.join(", ");
    QueryError::Params(vec![ParamError { param: param.to_owned(), reason, allowed }])
}

/// The columns shown and, if the query chose, their places in the whole row.
pub(super) fn projection(
    shape: &ModelShape<'_>,
    query: &Query,
) -> Result<(Vec<Column>, Option<Vec<usize>>), QueryError> {
    let all = shape.columns();
    let Some(wanted) = &query.columns else { return Ok((all.to_vec(), None)) };
    let names: Vec<_> = all.iter().map(|column| column.name.as_str()).collect();
    // An object has each name once; and a row with one column many times would outgrow the page's bound.
    let twice = (1..wanted.len()).find(|&at| wanted[..at.min(all.len())].contains(&wanted[at]));
    if let Some(at) = twice {
        let reason = format!("names {} twice", quoted(&wanted[at]));
        return Err(refused("columns", reason, &names));
    }
    let place = |name: &String| {
        let place = names.iter().position(|known| known == name);
        let reason = || format!("there is no column {}", quoted(name));
        place.ok_or_else(|| refused("columns", reason(), &names))
    };
    let places = wanted.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    Ok((places.iter().map(|&place| all[place].clone()).collect(), Some(places)))
}
