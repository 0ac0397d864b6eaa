//! Reading what [`super::export`] wrote, into a store that does not have it yet.
//!
//! Nothing serves before the last line was read and found right: a broken file changes nothing.

use std::io::{BufRead, Read};

use serde::Deserialize;
use statmill_plugin_api::aggregate;
use statmill_plugin_api::encoding::{check_key, key_window, window_start};
use statmill_plugin_api::manifest::StatManifest;

use super::database::Database;
use super::export::VERSION;
use super::models::common_window_us;
use super::record::{Base, StatRecord};
use super::rows::RowSetBuilder;
use super::stat::StatStore;
use super::{StoreError, chunks};
use crate::log::LogId;

/// Longest line that is read: a row and its cells.
pub(crate) const LINE_MOST: u64 = 256 << 20;
/// Bytes of rows that are committed together.
const BATCH_BYTES: usize = 1 << 20;

/// What an import may take for granted.
pub struct ImportOptions<'a> {
    /// Is the log one that this host can read on?
    pub known: &'a dyn Fn(LogId) -> bool,
    /// Take statistics whose logs are not known, as a base to go on from.
    pub as_base: Option<AsBase>,
}

/// Rows whose logs are not known here: those up to a time T are kept, T becomes the cutoff.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsBase {
    /// T in µs since 1970, where the export does not say it.
    pub complete_until_us: Option<i64>,
}

/// What was imported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The statistics.
    pub stats: Vec<String>,
    /// Rows of all of them.
    pub rows: u64,
    /// Rows left out, because they reach past the time an export is complete until.
    pub left_out: u64,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum ImportError {
    /// A line is not what an export has there.
    #[error("line {line}: {reason}")]
    Line { line: u64, reason: String },
    /// The statistic has rows here already.
    #[error("line {line}: {ident} has rows here already; import into another data folder")]
    Exists { line: u64, ident: String },
    /// Positions of logs that this host cannot read on.
    #[error(
        "line {line}: {ident} was folded from logs that are not known here ({logs}); add their \
         sources, or use --as-base to keep the rows and go on from the time they are complete until"
    )]
    UnknownLogs { line: u64, ident: String, logs: String },
    /// Totals over all time cannot be cut at a time.
    #[error(
        "line {line}: {ident} cannot be a base: model {model} has no window, and its rows reach \
         past the time up to which the export is complete"
    )]
    Totals { line: u64, ident: String, model: String },
    /// The export does not say up to when it is complete.
    #[error(
        "line {line}: {ident} does not say until when it is complete; name the time: --as-base=TIME"
    )]
    NoCompleteUntil { line: u64, ident: String },
    /// The input cannot be read.
    #[error("line {line}: cannot read: {source}")]
    Io { line: u64, source: std::io::Error },
    /// The store refused it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Deserialize)]
struct Line {
    statmill_export: Option<u32>,
    stat: Option<String>,
    manifest: Option<StatManifest>,
    #[serde(default)]
    record: StatRecord,
    #[serde(default)]
    rows: Vec<u64>,
    complete_until_us: Option<i64>,
    model: Option<String>,
    #[serde(default)]
    shard: u16,
    key: Option<String>,
    value: Option<String>,
}

/// Reads an export into `database`; all of it or nothing.
///
/// # Errors
/// [`ImportError`]; nothing was changed then.
pub fn import(
    database: &Database,
    input: &mut dyn BufRead,
    options: &ImportOptions<'_>,
) -> Result<Imported, ImportError> {
    let (mut begun, mut finished) = (Vec::new(), Vec::new());
    let outcome = read(database, input, options, &mut begun, &mut finished);
    if outcome.is_err() {
        drop(finished);
        begun.iter().try_for_each(|manifest| database.drop_beside(manifest))?;
        return outcome;
    }
    for stat in &finished {
        database.activate(stat)?;
    }
    database.sync()?;
    outcome
}

fn read(
    database: &Database,
    input: &mut dyn BufRead,
    options: &ImportOptions<'_>,
    begun: &mut Vec<StatManifest>,
    finished: &mut Vec<StatStore>,
) -> Result<Imported, ImportError> {
    let mut imported = Imported::default();
    let mut text = Vec::new();
    let mut current: Option<Incoming> = None;
    let mut number = 0;
    loop {
        number += 1;
        text.clear();
        let read = input.take(LINE_MOST).read_until(b'\n', &mut text);
        if read.map_err(|source| ImportError::Io { line: number, source })? == 0 {
            break;
        }
        let bad = |reason: String| ImportError::Line { line: number, reason };
        if text.pop_if(|last| *last == b'\n').is_none() {
            return Err(bad("the line does not end: the export was cut off".to_owned()));
        }
        let line: Line = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
        match (number, line.statmill_export) {
            (1, Some(VERSION)) => continue,
            (1, Some(version)) => {
                return Err(bad(format!(
                    "export version {version}, this statmill reads {VERSION}"
                )));
            }
            (1, None) => return Err(bad("no statmill export".to_owned())),
            _ => {}
        }
        if line.manifest.is_some() {
            if let Some(done) = current.take() {
                finished.push(done.finish(number, &mut imported)?);
            }
            current = Some(Incoming::new(database, line, number, options, begun)?);
        } else {
            let current = current.as_mut();
            current
                .ok_or_else(|| bad("a row before its statistic".to_owned()))?
                .row(line, number)?;
        }
    }
    if number == 1 {
        return Err(ImportError::Line { line: 1, reason: "no statmill export".to_owned() });
    }
    if let Some(done) = current.take() {
        finished.push(done.finish(number, &mut imported)?);
    }
    Ok(imported)
}

/// A statistic that is being read.
struct Incoming {
    stat: StatStore,
    record: StatRecord,
    /// Rows each table shall have, and how many were read.
    expected: Vec<u64>,
    read: Vec<u64>,
    left_out: u64,
    /// Rows of windows from here on are left out.
    until_us: Option<i64>,
    model: usize,
    last_keys: Vec<Vec<u8>>,
    rows: RowSetBuilder,
    bytes: usize,
}

impl Incoming {
    fn new(
        database: &Database,
        line: Line,
        number: u64,
        options: &ImportOptions<'_>,
        begun: &mut Vec<StatManifest>,
    ) -> Result<Self, ImportError> {
        let bad = |reason: &str| ImportError::Line { line: number, reason: reason.to_owned() };
        let manifest = line.manifest.ok_or_else(|| bad("no manifest"))?;
        let ident = manifest.ident.clone();
        if line.stat.as_ref() != Some(&ident) {
            return Err(bad("the manifest is of another statistic"));
        }
        if database.serves(&manifest)?.is_some() {
            return Err(ImportError::Exists { line: number, ident });
        }
        let mut record = line.record;
        let mut until_us = None;
        let unknown = record.positions.iter().filter(|(log, _)| !(options.known)(**log));
        let unknown: Vec<_> =
            unknown.map(|(log, position)| format!("{log} {}", position.name)).collect();
        if !unknown.is_empty() {
            let Some(base) = options.as_base else {
                let logs = unknown.join(", ");
                return Err(ImportError::UnknownLogs { line: number, ident, logs });
            };
            let complete = base.complete_until_us.or(line.complete_until_us);
            let complete = complete.ok_or(ImportError::NoCompleteUntil { line: number, ident })?;
            until_us = rest_on(&mut record, &manifest, complete, number)?;
        }
        database.drop_beside(&manifest)?;
        begun.push(manifest.clone());
        let stat = database.open_beside(&manifest)?;
        let tables = stat.models().len();
        if line.rows.len() != tables {
            return Err(bad("`rows` does not name every model"));
        }
        Ok(Self {
            stat,
            record,
            expected: line.rows,
            read: vec![0; tables],
            left_out: 0,
            until_us,
            model: 0,
            last_keys: vec![Vec::new(); tables],
            rows: RowSetBuilder::default(),
            bytes: 0,
        })
    }

    fn row(&mut self, line: Line, number: u64) -> Result<(), ImportError> {
        let bad = |reason: String| ImportError::Line { line: number, reason };
        let (Some(stat), Some(model), Some(key), Some(value)) =
            (line.stat, line.model, line.key, line.value)
        else {
            return Err(bad("a row has stat, model, key and value".to_owned()));
        };
        if stat != self.stat.ident() {
            return Err(bad(format!("a row of {stat} among those of {}", self.stat.ident())));
        }
        let models = self.stat.models();
        let table = models.iter().position(|stored| stored.name == model);
        let table = table.ok_or_else(|| bad(format!("{stat} has no model {model}")))?;
        let shape = &models[table].model;
        let (Some(mut key), Some(value)) = (chunks::unhex(&key), chunks::unhex(&value)) else {
            return Err(bad("key and value are base 16".to_owned()));
        };
        let windowed = shape.window_s.is_some();
        check_key(windowed, &shape.dimensions, &key).map_err(|error| bad(error.to_string()))?;
        aggregate::check(&shape.measures, &value).map_err(|error| bad(error.to_string()))?;
        let late = self.until_us.is_some_and(|until| windowed && key_window(&key) >= until);
        key.extend_from_slice(&line.shard.to_be_bytes());
        if key <= self.last_keys[table] {
            return Err(bad("the rows of a model must ascend by key".to_owned()));
        }
        self.read[table] += 1;
        if late {
            self.left_out += 1;
        } else {
            if table != self.model || self.bytes >= BATCH_BYTES {
                self.flush()?;
                self.model = table;
            }
            self.bytes += key.len() + value.len();
            self.rows.push(&key, &value, true);
        }
        self.last_keys[table] = key;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ImportError> {
        self.bytes = 0;
        let rows = std::mem::take(&mut self.rows).finish();
        Ok(self.stat.put_rows(self.model, rows)?)
    }

    fn finish(mut self, number: u64, imported: &mut Imported) -> Result<StatStore, ImportError> {
        self.flush()?;
        if self.read != self.expected {
            let (ident, read, expected) = (self.stat.ident(), &self.read, &self.expected);
            let reason = format!("{ident} shall have {expected:?} rows by model but has {read:?}");
            return Err(ImportError::Line { line: number, reason });
        }
        self.stat.put_record(self.record)?;
        imported.stats.push(self.stat.ident().to_owned());
        imported.rows += self.read.iter().sum::<u64>() - self.left_out;
        imported.left_out += self.left_out;
        Ok(self.stat)
    }
}

/// Makes the record one that rests on rows complete until a time; returns the window start from
/// which rows are to be left out, if any are.
fn rest_on(
    record: &mut StatRecord,
    manifest: &StatManifest,
    complete_us: i64,
    line: u64,
) -> Result<Option<i64>, ImportError> {
    let mut until_us = None;
    let mut cutoff_us = complete_us;
    if record.largest_time_us.is_some_and(|largest_us| largest_us >= complete_us) {
        // Some rows hold messages beyond the time: it moves to a start of every window, so that
        // each row lies on one side of it.
        let stored = super::models::stored_models(manifest);
        let Some(common_us) = common_window_us(&stored) else {
            let total = stored.into_iter().find(|table| table.window_us().is_none());
            let (ident, model) =
                (manifest.ident.clone(), total.map_or_else(String::new, |it| it.name));
            return Err(ImportError::Totals { line, ident, model });
        };
        cutoff_us = window_start(complete_us, common_us);
        until_us = Some(cutoff_us);
        record.largest_time_us = record.largest_time_us.min(Some(cutoff_us.saturating_sub(1)));
    }
    record.positions.clear();
    record.cutoff_us = record.cutoff_us.max(Some(cutoff_us));
    record.base = Some(Base { complete_until_us: cutoff_us });
    Ok(until_us)
}
