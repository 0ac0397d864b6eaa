//! The database of an original statscache, read as a base to go on from.
//!
//! Enters: a connection and the stats of the loaded plugins. Leaves: rows of those stats, complete until the
//! newest event that the database shows. Every table is told of; one that cannot be taken is refused with its reason.

mod database;
mod rows;
mod tables;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use statmill_plugin_api::manifest::StatManifest;

pub use self::database::{Connection, DatabaseError};
use self::rows::Shape;
pub use self::tables::Names;
use crate::store::{self, BaseError, BaseRows, Database, StatStore, StoreError};

/// How an import goes about it.
pub struct Options {
    /// Where the original ran: it wrote times of its own time zone without naming it.
    pub zone: TimeZone,
    /// Which table holds the rows of which stat.
    pub names: Names,
    /// Up to which event time the rows account for everything, µs since 1970; none = the newest they show.
    pub until_us: Option<i64>,
    /// Take what can be taken although some tables are refused.
    pub partial: bool,
}

/// What became of a table.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Rows in it.
    pub rows: u64,
    /// What was done.
    pub outcome: Outcome,
}

/// What became of a table's rows.
#[derive(Debug)]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum Outcome {
    /// They are the stat's first `rows` rows; `left_out` of the table are of windows that are not complete. Counting
    /// goes on at `cutoff_us`.
    Taken { ident: String, rows: u64, left_out: u64, cutoff_us: Option<i64> },
    /// There are none.
    Empty { ident: String },
    /// They were not taken.
    Refused { reason: String },
}

/// What an import did.
#[derive(Debug)]
pub struct Report {
    /// Every table of the original.
    pub tables: Vec<Table>,
    /// Whether the rows serve: not where a table is refused, unless the import may be partial and took another.
    pub done: bool,
}

/// Why an import ended early; nothing was changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatscacheError {
    /// The database cannot be read.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It holds no table of a statscache.
    #[error("it has no tables of a statscache (data_…); name another database")]
    NoTables,
}

/// Reads the tables of `original` into `here`.
///
/// # Errors
/// [`StatscacheError`]; nothing was changed then.
pub fn import(
    original: &mut Connection,
    here: &Database,
    stats: &[StatManifest],
    options: &Options,
) -> Result<Report, StatscacheError> {
    let stats: BTreeMap<&str, &StatManifest> =
        stats.iter().map(|stat| (stat.ident.as_str(), stat)).collect();
    let (mut planned, mut tables) = (Vec::new(), Vec::new());
    for (name, columns) in original.tables()? {
        match Planned::new(&name, &columns, &stats, &options.names) {
            Ok(plan) => planned.push(plan),
            Err(reason) => {
                tables.push(Table { name, rows: 0, outcome: Outcome::Refused { reason } });
            }
        }
    }
    if planned.is_empty() && tables.is_empty() {
        return Err(StatscacheError::NoTables);
    }
    let until_us = match options.until_us {
        None => newest_us(original, &planned, options)?,
        told => told,
    };
    let mut filled = Vec::new();
    for plan in &planned {
        let (rows, outcome) = plan.take(original, here, until_us, &options.zone)?;
        let outcome = match outcome {
            Ok(None) => Outcome::Empty { ident: plan.stat.ident.clone() },
            Ok(Some(Filled { stat, outcome })) => {
                filled.push(stat);
                outcome
            }
            Err(reason) => Outcome::Refused { reason },
        };
        tables.push(Table { name: plan.name.clone(), rows, outcome });
    }
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    let is_refused = |table: &Table| matches!(table.outcome, Outcome::Refused { .. });
    let done = match tables.iter().any(is_refused) {
        true => options.partial && !filled.is_empty(),
        false => true,
    };
    if done {
        store::activate(here, &filled)?;
    } else {
        let begun: Vec<_> = filled.iter().map(|stat| stat.snapshot().manifest().clone()).collect();
        drop(filled);
        begun.iter().try_for_each(|stat| here.drop_beside(stat))?;
    }
    Ok(Report { tables, done })
}

/// The newest event time that the tables show: the original had flushed a message of then.
fn newest_us(
    original: &mut Connection,
    planned: &[Planned<'_>],
    options: &Options,
) -> Result<Option<i64>, StatscacheError> {
    let mut newest_us = None;
    for plan in planned {
        let text = original.newest(&plan.name)?;
        // What cannot be read is told of when its row is.
        let time_us = text.and_then(|text| rows::time_us(&text, &options.zone).ok());
        newest_us = newest_us.max(time_us.map(|time_us| plan.shape.earliest_message_us(time_us)));
    }
    Ok(newest_us)
}

/// A table, and the stat that takes its rows.
struct Planned<'a> {
    name: String,
    stat: &'a StatManifest,
    shape: Shape,
}

/// A stat with all its rows, and what to tell of it.
struct Filled {
    stat: StatStore,
    outcome: Outcome,
}

impl<'a> Planned<'a> {
    /// The error says why the table is refused.
    fn new(
        name: &str,
        columns: &[String],
        stats: &BTreeMap<&str, &'a StatManifest>,
        names: &Names,
    ) -> Result<Self, String> {
        let ident =
            (names.ident(name)).ok_or("no stat is known for it; name one: --table TABLE=IDENT")?;
        let stat = (stats.get(ident.as_str()))
            .ok_or_else(|| format!("no loaded plugin has {ident}; name its folder: --plugins"))?;
        let shape = Shape::new(stat, names.keeps_message_times(name), columns)?;
        Ok(Self { name: name.to_owned(), stat, shape })
    }

    /// Reads the table; answers how many rows it has, and the stat, none without rows. The inner error says why the
    /// table is refused.
    fn take(
        &self,
        original: &mut Connection,
        here: &Database,
        until_us: Option<i64>,
        zone: &TimeZone,
    ) -> Result<(u64, Result<Option<Filled>, String>), StatscacheError> {
        let Some(until_us) = until_us else { return Ok((0, Ok(None))) };
        let mut base = match BaseRows::begin(here, self.stat, until_us) {
            Ok(base) => base,
            Err(BaseError::Store(error)) => return Err(error.into()),
            Err(error) => return Ok((0, Err(error.to_string()))),
        };
        let (mut rows, mut stored) = (0, Ok(()));
        let read = original.each_row(&self.name, self.shape.columns(), &mut |cells| {
            rows += 1;
            let row = self.shape.row(cells, zone);
            let (key, value) = row.map_err(|reason| format!("row {rows}: {reason}"))?;
            stored = base.add(0, key, value);
            // The error itself is in `stored`.
            stored.as_ref().map_err(ToString::to_string).copied()
        })?;
        stored?;
        if rows == 0 || read.is_err() {
            drop(base);
            here.drop_beside(self.stat)?;
            return Ok((rows, read.map(|()| None)));
        }
        let cutoff_us = base.cutoff_us();
        let (stat, kept, left_out) = base.finish()?;
        let ident = self.stat.ident.clone();
        let outcome = Outcome::Taken { ident, rows: kept, left_out, cutoff_us };
        Ok((rows, Ok(Some(Filled { stat, outcome }))))
    }
}
