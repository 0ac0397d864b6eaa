//! The database of an original statscache, read as a base to go on from.
//!
//! Enters: a connection ([`database`]) and the stats of the loaded plugins. Leaves: rows of those stats, complete until the
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
    let mut planned = Vec::new();
    let mut tables = Vec::new();
    for (name, columns) in original.tables()? {
        let Some(ident) = options.names.ident(&name) else {
            let reason = "statmill ships no stat for it; name one: --table TABLE=IDENT".to_owned();
            tables.push(Table { name, rows: 0, outcome: Outcome::Refused { reason } });
            continue;
        };
        let shape = (stats.get(ident.as_str()))
            .ok_or_else(|| format!("no loaded plugin has {ident}; name its folder: --plugins"))
            .and_then(|stat| {
                Shape::new(stat, options.names.keeps_message_times(&name), &columns)
                    .map(|shape| (*stat, shape))
            });
        match shape {
            Ok((stat, shape)) => planned.push((name, stat, shape)),
            Err(reason) => {
                tables.push(Table { name, rows: 0, outcome: Outcome::Refused { reason } });
            }
        }
    }
    if planned.is_empty() && tables.is_empty() {
        return Err(StatscacheError::NoTables);
    }
    let newest_us = newest(original, &planned, options)?;
    let until_us = options.until_us.or(newest_us);
    let mut filled = Vec::new();
    for (name, stat, shape) in &planned {
        let mut rows = 0;
        let outcome = take(original, here, name, stat, shape, until_us, options, &mut rows)?;
        let outcome = match outcome {
            Ok((outcome, stat)) => {
                filled.extend(stat);
                outcome
            }
            Err(reason) => Outcome::Refused { reason },
        };
        tables.push(Table { name: name.clone(), rows, outcome });
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
        drop(filled);
        planned.iter().try_for_each(|(_, stat, _)| here.drop_beside(stat))?;
    }
    Ok(Report { tables, done })
}

/// The newest event time that the tables show: the original had flushed a message of then.
fn newest(
    original: &mut Connection,
    planned: &[(String, &StatManifest, Shape)],
    options: &Options,
) -> Result<Option<i64>, StatscacheError> {
    let mut newest = None;
    for (name, _, shape) in planned {
        let text = original.newest(name)?;
        // What cannot be read is told of when its row is.
        let time_us = text.and_then(|text| rows::time_us(&text, &options.zone).ok());
        newest = newest.max(time_us.map(|time_us| shape.earliest_message_us(time_us)));
    }
    Ok(newest)
}

/// Reads one table; the inner error is why it is refused.
#[allow(clippy::too_many_arguments, reason = "all of them are the import's own")]
fn take(
    original: &mut Connection,
    here: &Database,
    name: &str,
    stat: &StatManifest,
    shape: &Shape,
    until_us: Option<i64>,
    options: &Options,
    rows: &mut u64,
) -> Result<Result<(Outcome, Option<StatStore>), String>, StatscacheError> {
    let ident = stat.ident.clone();
    let Some(until_us) = until_us else { return Ok(Ok((Outcome::Empty { ident }, None))) };
    let mut base = match BaseRows::begin(here, stat, until_us) {
        Ok(base) => base,
        Err(BaseError::Store(error)) => return Err(error.into()),
        Err(error) => return Ok(Err(error.to_string())),
    };
    let mut stored = Ok(());
    let read = original.each_row(name, shape.columns(), &mut |cells| {
        *rows += 1;
        let (key, value) =
            shape.row(cells, &options.zone).map_err(|reason| format!("row {rows}: {reason}"))?;
        stored = base.add(0, key, value);
        if stored.is_err() { Err(String::new()) } else { Ok(()) }
    })?;
    stored?;
    if let Err(reason) = read {
        drop(base);
        here.drop_beside(stat)?;
        return Ok(Err(reason));
    }
    let cutoff_us = base.cutoff_us();
    if *rows == 0 {
        drop(base);
        here.drop_beside(stat)?;
        return Ok(Ok((Outcome::Empty { ident }, None)));
    }
    let (filled, kept, left_out) = base.finish()?;
    Ok(Ok((Outcome::Taken { ident, rows: kept, left_out, cutoff_us }, Some(filled))))
}
