//! What commands print: rows and lists, as a table to read or as CSV and JSON to process.
//!
//! Rows are written as they are read, part by part, so that any number of them can be shown.

use std::io::{self, Write};

use crate::admin::Settled;
use crate::dashboards::{Dashboard, Fault};
use crate::query::status::{DeadLetterStatus, PluginReport, StatStatus};
use crate::query::{Limits, Query, QueryError, Selection, Table};
use crate::render::{csv, json, text};
use crate::store::Snapshot;

/// Rows held in memory at a time.
const PART_ROWS: u64 = 5_000;

/// How a command prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OutputFormat {
    /// Columns to read; times in UTC.
    #[default]
    Table,
    /// One JSON array.
    Json,
    /// Comma separated values with a header.
    Csv,
    /// One JSON object per line.
    Ndjson,
}

impl std::str::FromStr for OutputFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "table" => Ok(Self::Table),
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            "ndjson" => Ok(Self::Ndjson),
            _ => Err("is none of table, json, csv and ndjson".to_owned()),
        }
    }
}

/// Why nothing, or not everything, was printed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OutputError {
    /// The query has no answer.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The output is closed or full.
    #[error("cannot write the output: {0}")]
    Write(#[from] io::Error),
}

/// Prints all rows a query selects, or one page of them if it names a page or its size.
///
/// # Errors
///
/// [`OutputError`].
pub(crate) fn show(
    snapshot: &Snapshot,
    query: &Query,
    limits: &Limits,
    format: OutputFormat,
    out: &mut dyn Write,
) -> Result<(), OutputError> {
    let selection = Selection::new(snapshot, query, limits)?;
    let (mut at, end) = if query.page > 1 || query.rows_per_page.is_some() {
        let rows = query.rows_per_page.unwrap_or(limits.default_rows_per_page);
        let skip = (query.page - 1).saturating_mul(rows);
        (skip, skip.saturating_add(rows).min(selection.total()))
    } else {
        (0, selection.total())
    };
    let mut writer = RowWriter::new(format, out);
    loop {
        let table = selection.part(at, PART_ROWS.min(end.saturating_sub(at)))?;
        writer.write(&table, query)?;
        at = at.saturating_add(PART_ROWS);
        if at >= end {
            return Ok(writer.finish()?);
        }
    }
}

/// Prints tables one after the other; those without rows are left out.
///
/// # Errors
///
/// The output is closed or full.
pub(crate) fn print<'a>(
    tables: impl Iterator<Item = &'a Table>,
    format: OutputFormat,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut writer = RowWriter::new(format, out);
    for table in tables.filter(|table| !table.rows.is_empty()) {
        // Each has columns of its own.
        writer.begun = false;
        writer.write(table, &Query::default())?;
    }
    writer.finish()
}

/// Writes parts of one answer one after the other.
struct RowWriter<'a> {
    format: OutputFormat,
    out: &'a mut dyn Write,
    begun: bool,
    rows: u64,
}

impl<'a> RowWriter<'a> {
    fn new(format: OutputFormat, out: &'a mut dyn Write) -> Self {
        Self { format, out, begun: false, rows: 0 }
    }

    fn write(&mut self, table: &Table, query: &Query) -> io::Result<()> {
        let mut bytes = Vec::new();
        match self.format {
            OutputFormat::Table => {
                bytes.extend_from_slice(text::table(table, !self.begun).as_bytes());
            }
            OutputFormat::Csv => {
                if !self.begun {
                    csv::header(table, &mut bytes);
                }
                csv::rows(table, query.time, &mut bytes);
            }
            OutputFormat::Ndjson => json::lines(table, query.time, &mut bytes),
            OutputFormat::Json => {
                for row in &table.rows {
                    bytes.extend_from_slice(if self.rows == 0 { b"[\n" } else { b",\n" });
                    json::object(&table.columns, row, query.time, &mut bytes);
                    self.rows += 1;
                }
            }
        }
        self.begun = true;
        self.out.write_all(&bytes)
    }

    fn finish(self) -> io::Result<()> {
        if self.format == OutputFormat::Json {
            self.out.write_all(if self.rows == 0 { b"[]\n" } else { b"\n]\n" })?;
        }
        self.out.flush()
    }
}

/// Prints the list of stats.
///
/// # Errors
///
/// The output is closed or full.
pub(crate) fn stats(
    stats: &[StatStatus],
    format: OutputFormat,
    out: &mut dyn Write,
) -> io::Result<()> {
    let columns = [
        ("ident", false),
        ("state", false),
        ("rows", true),
        ("messages", true),
        ("rejected", true),
        ("lag_messages", true),
        ("complete_until", false),
    ];
    list(stats, columns, format, out, |stat| {
        [
            stat.ident.clone(),
            stat.state.to_string(),
            stat.rows.to_string(),
            stat.messages.to_string(),
            stat.rejects.values().sum::<u64>().to_string(),
            stat.lag_messages.map(|lag| lag.to_string()).unwrap_or_default(),
            stat.complete_until.to_string(),
        ]
    })
}

/// Prints what became of each plugin file.
///
/// # Errors
///
/// The output is closed or full.
pub(crate) fn plugins(
    reports: &[PluginReport],
    format: OutputFormat,
    out: &mut dyn Write,
) -> io::Result<()> {
    let columns = [
        ("file", false),
        ("name", false),
        ("version", false),
        ("api", false),
        ("stats", true),
        ("error", false),
    ];
    list(reports, columns, format, out, |report| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        [
            report.file.clone(),
            text(&report.name),
            text(&report.version),
            text(&report.api),
            report.stats.len().to_string(),
            text(&report.error),
        ]
    })
}

/// Prints what is wrong with definitions.
///
/// # Errors
///
/// The output is closed or full.
pub(crate) fn faults(
    faults: &[Fault],
    format: OutputFormat,
    out: &mut dyn Write,
) -> io::Result<()> {
    if faults.is_empty() && format == OutputFormat::Table {
        return Ok(());
    }
    let columns = [("file", false), ("pointer", false), ("reason", false)];
    list(faults, columns, format, out, |fault| {
        [fault.file.clone(), fault.pointer.clone(), fault.reason.clone()]
    })
}

/// A dashboard as the command lists it.
#[derive(serde::Serialize)]
struct DashboardLine<'a> {
    name: &'a str,
    title: &'a str,
    section: &'a str,
    views: Vec<&'a str>,
}

/// Prints dashboards.
///
/// # Errors
///
/// The output is closed or full.
pub(crate) fn dashboards(
    dashboards: &[Dashboard],
    format: OutputFormat,
    out: &mut dyn Write,
) -> io::Result<()> {
    fn line(dashboard: &Dashboard) -> DashboardLine<'_> {
        DashboardLine {
            name: &dashboard.name,
            title: &dashboard.title,
            section: &dashboard.section,
            views: dashboard.views.iter().map(|view| view.name.as_str()).collect(),
        }
    }
    let lines: Vec<_> = dashboards.iter().map(line).collect();
    let columns = [("name", false), ("title", false), ("section", false), ("views", false)];
    list(&lines, columns, format, out, |line| {
        let [name, title, section] = [line.name, line.title, line.section].map(str::to_owned);
        [name, title, section, line.views.join(" ")]
    })
}

/// A dead letter and whose it is.
#[derive(serde::Serialize)]
pub(crate) struct LetterLine<'a> {
    stat: &'a str,
    #[serde(flatten)]
    letter: &'a DeadLetterStatus,
}

/// Prints the dead letters of `stats`.
///
/// # Errors
///
/// The output is closed or full.
pub(crate) fn dead_letters<'a>(
    stats: impl Iterator<Item = &'a StatStatus>,
    format: OutputFormat,
    out: &mut dyn Write,
) -> io::Result<()> {
    let letters: Vec<_> = stats
        .flat_map(|stat| stat.letters.iter().map(|letter| LetterLine { stat: &stat.ident, letter }))
        .collect();
    let columns = [
        ("stat", false),
        ("log", false),
        ("offset", true),
        ("time", false),
        ("topic", false),
        ("reason", false),
    ];
    list(&letters, columns, format, out, |LetterLine { stat, letter }| {
        [
            (*stat).to_owned(),
            letter.log.to_string(),
            letter.offset.0.to_string(),
            letter.time.to_string(),
            letter.topic.clone(),
            letter.reason.clone(),
        ]
    })
}

/// Prints what became of dead letters.
///
/// # Errors
///
/// The output is closed or full.
pub(crate) fn settled(
    settled: &Settled,
    format: OutputFormat,
    out: &mut dyn Write,
) -> io::Result<()> {
    let columns = [("log", false), ("offset", true), ("outcome", false), ("reason", false)];
    list(&settled.letters, columns, format, out, |letter| {
        [
            letter.at.log.to_string(),
            letter.at.offset.0.to_string(),
            letter.outcome.clone(),
            letter.reason.clone().unwrap_or_default(),
        ]
    })
}

/// Prints a list: as JSON all there is of each item, else the named columns, the marked ones to the right.
fn list<T: serde::Serialize, const N: usize>(
    items: &[T],
    columns: [(&str, bool); N],
    format: OutputFormat,
    out: &mut dyn Write,
    line: impl Fn(&T) -> [String; N],
) -> io::Result<()> {
    let lines = items.iter().map(|item| line(item).map(|cell| text::escape_controls(&cell)));
    match format {
        OutputFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, items)?;
            writeln!(out)?;
        }
        OutputFormat::Ndjson => {
            for item in items {
                serde_json::to_writer(&mut *out, item)?;
                writeln!(out)?;
            }
        }
        OutputFormat::Csv => {
            let mut writer = ::csv::WriterBuilder::new().from_writer(&mut *out);
            writer.write_record(columns.map(|(name, _)| name))?;
            for line in lines {
                writer.write_record(line)?;
            }
            writer.flush()?;
        }
        OutputFormat::Table => {
            let header = columns.map(|(name, _)| name.to_owned()).to_vec();
            let right = columns.map(|(_, right)| right);
            let lines = lines.map(|line| line.to_vec());
            out.write_all(text::lines(Some(header), &right, lines).as_bytes())?;
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use statmill_plugin_api::encoding::Value;
    use statmill_plugin_api::manifest::ValueKind;

    use super::*;
    use crate::query::memory::MemoryRows;
    use crate::query::params;

    fn printed(rows: i64, query: &[(&str, &str)], format: OutputFormat) -> String {
        let mut source = MemoryRows::new("users", true, &[("user", ValueKind::Text)]);
        for second in 1..=rows {
            source.add(Some(second * 1_000_000), &[Value::Text("a,\u{1b}[31m".into())], 7);
        }
        let query = params::parse(query.iter().copied(), 0).unwrap();
        let mut out = Vec::new();
        show(&source.snapshot(), &query, &Limits::default(), format, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_row_is_printed_however_many_there_are() {
        let csv = printed(12_345, &[], OutputFormat::Csv);
        assert_eq!(csv.lines().count(), 12_346);
        assert!(csv.ends_with("\n1.0,\"a,\u{1b}[31m\",7\n"));
        let json = printed(12_345, &[("volume", "7")], OutputFormat::Json);
        let rows: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
        assert_eq!(rows.len(), 12_345);
        assert_eq!(rows[0]["timestamp"], 12_345.0);
        assert_eq!(printed(7, &[("limit", "3")], OutputFormat::Ndjson).lines().count(), 3);
    }

    #[test]
    fn no_rows_are_still_a_whole_answer() {
        assert_eq!(printed(0, &[], OutputFormat::Json), "[]\n");
        assert_eq!(printed(0, &[], OutputFormat::Csv), "timestamp,user,volume\n");
        assert_eq!(printed(0, &[], OutputFormat::Ndjson), "");
    }

    #[test]
    fn a_page_that_is_asked_for_is_printed_alone() {
        let page =
            [("rows_per_page", "2"), ("page", "2"), ("order", "asc"), ("columns", "timestamp")];
        assert_eq!(printed(5, &page, OutputFormat::Csv), "timestamp\n3.0\n4.0\n");
        let beyond = [("rows_per_page", "2"), ("page", "9")];
        assert_eq!(printed(5, &beyond, OutputFormat::Json), "[]\n");
    }

    #[test]
    fn tables_are_aligned_and_cannot_steer_the_terminal() {
        let table = printed(2, &[], OutputFormat::Table);
        assert!(table.contains("a,\\u{1b}[31m"), "{table}");
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].contains("1970-01-01T00:00:02Z"));
        assert_eq!(lines[1].rfind('7'), lines[0].rfind('e'));
    }

    #[test]
    fn stats_as_json_hold_rows_positions_and_completeness() {
        let stat = StatStatus { ident: "users".to_owned(), rows: 3, ..StatStatus::default() };
        let mut out = Vec::new();
        stats(&[stat], OutputFormat::Json, &mut out).unwrap();
        let listed: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(listed[0]["rows"], 3);
        assert!(listed[0]["positions"].is_object());
        assert_eq!(listed[0]["complete_until"], "unknown");
    }
}
