//! Rows of a running host, page by page.

use std::io::{self, Write};

use serde::Deserialize;
use statmill_plugin_api::manifest::ValueKind;

use super::{Client, ClientError};
use crate::cli::table::OutputFormat;
use crate::query::Column;
use crate::query::time::{self, unix};
use crate::render::html::encode;
use crate::render::text;

/// Rows asked for at a time.
const PAGE_ROWS: u64 = 1_000;

/// What is to be said of the rows that were printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Up to when they account for all that reached the host, as the first page said.
    pub(crate) complete_until: Option<String>,
    /// Rows were committed between the first page and the last.
    pub(crate) moved: bool,
}

impl Client {
    /// Prints all rows that a query selects, or those of a computed view over them, or one page of
    /// them if it names a page or its size.
    /// `pairs` are the query's names and values as [`crate::query::params`] takes them.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub(crate) fn show(
        &self,
        ident: &str,
        view: Option<&str>,
        pairs: &[(String, String)],
        format: OutputFormat,
        out: &mut dyn Write,
    ) -> Result<Shown, ClientError> {
        let mut path = format!("/api/{}", encode(ident));
        if let Some(view) = view {
            path.push_str(&format!("/views/{}", encode(view)));
        }
        let given = |name: &str| pairs.iter().any(|(known, _)| known == name);
        let mut sent = vec![("format".to_owned(), wire_format(format).to_owned())];
        sent.extend(pairs.iter().filter(|(name, _)| name != "format").cloned());
        pin_times(&mut sent);
        let one_page = given("page") || given("rows_per_page");
        if !one_page {
            sent.push(("rows_per_page".to_owned(), PAGE_ROWS.to_string()));
        }
        let mut right = Vec::new();
        if format == OutputFormat::Table {
            sent.push(("time".to_owned(), "rfc3339".to_owned()));
        }
        // Those of a view are in their own order, and nobody knows their kinds beforehand.
        if format == OutputFormat::Table && view.is_none() {
            let columns = self.columns(&path, pairs)?;
            right = columns
                .iter()
                .map(|column| matches!(column.kind, ValueKind::Int | ValueKind::Num))
                .collect();
            sent.retain(|(name, _)| name != "columns");
            let names: Vec<_> = columns.into_iter().map(|column| column.name).collect();
            sent.push(("columns".to_owned(), names.join(",")));
        }
        let query: Vec<_> = sent
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        let query = query.join("&");

        let mut shown = Shown::default();
        let mut version = None;
        let mut printer = Printer { format, right, rows: 0, begun: false };
        let mut number = 1;
        loop {
            let address = if one_page {
                format!("{path}?{query}")
            } else {
                format!("{path}?{query}&page={number}")
            };
            let page = self.get(&address)?;
            if number == 1 {
                shown.complete_until = page.complete_until;
                version = page.version;
            } else {
                shown.moved |= page.version != version;
            }
            printer.print(&page.body, out).map_err(|error| self.unwritten(&address, error))?;
            if one_page || number >= page.pages {
                break;
            }
            number += 1;
        }
        printer.finish(out)?;
        Ok(shown)
    }

    /// The columns a table shows, in their own order: CSV would put them into another.
    fn columns(&self, path: &str, pairs: &[(String, String)]) -> Result<Vec<Column>, ClientError> {
        #[derive(Deserialize)]
        struct Schema {
            models: Vec<Model>,
        }
        #[derive(Deserialize)]
        struct Model {
            name: String,
            columns: Vec<Column>,
        }
        let schema: Schema = self.parsed(&format!("{path}/schema"))?;
        let value = |name: &str| {
            let given = pairs.iter().find(|(known, value)| known == name && !value.is_empty());
            given.map(|(_, value)| value.as_str())
        };
        let model = match value("model") {
            Some(wanted) => schema.models.into_iter().find(|model| model.name == wanted),
            None => schema.models.into_iter().next(),
        };
        let known = model.map(|model| model.columns).unwrap_or_default();
        let Some(wanted) = value("columns") else { return Ok(known) };
        // A name the host does not know is for the host to refuse.
        let column = |name: &str| {
            known.iter().find(|column| column.name == name).cloned().unwrap_or_else(|| Column {
                name: name.to_owned(),
                kind: ValueKind::Text,
                unit: String::new(),
            })
        };
        Ok(wanted.split(',').map(|name| column(name.trim())).collect())
    }

    fn unwritten(&self, path: &str, error: PrintError) -> ClientError {
        match error {
            PrintError::Write(error) => ClientError::Write(error),
            PrintError::NotCsv(error) => ClientError::NotUnderstood {
                url: format!("{}{path}", self.base),
                reason: error.to_string(),
            },
        }
    }
}

fn wire_format(format: OutputFormat) -> &'static str {
    match format {
        OutputFormat::Table | OutputFormat::Csv => "csv",
        OutputFormat::Json | OutputFormat::Ndjson => "ndjson",
    }
}

/// Relative times are made absolute, so that all pages mean the same time.
fn pin_times(pairs: &mut [(String, String)]) {
    let now_us = crate::clock::now_us();
    for (name, value) in pairs {
        if ["start", "from", "stop", "end", "to"].contains(&name.as_str())
            && let Some(time_us) = time::parse(value, now_us)
        {
            *value = unix(time_us);
        }
    }
}

/// Puts pages of text together.
struct Printer {
    format: OutputFormat,
    right: Vec<bool>,
    rows: u64,
    begun: bool,
}

enum PrintError {
    Write(io::Error),
    NotCsv(csv::Error),
}

impl From<io::Error> for PrintError {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl Printer {
    fn print(&mut self, body: &[u8], out: &mut dyn Write) -> Result<(), PrintError> {
        match self.format {
            OutputFormat::Ndjson => out.write_all(body)?,
            OutputFormat::Json => {
                for line in body.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
                    out.write_all(if self.rows == 0 { b"[\n" } else { b",\n" })?;
                    out.write_all(line)?;
                    self.rows += 1;
                }
            }
            OutputFormat::Csv => {
                // Every page repeats the header; no name of a column has a line end unquoted.
                let rows = if self.begun { after_header(body) } else { body };
                if !rows.is_empty() {
                    out.write_all(rows)?;
                    out.write_all(b"\n")?;
                }
            }
            OutputFormat::Table => {
                let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(body);
                let cells = |record: csv::StringRecord| -> Vec<String> {
                    record.iter().map(text::escape_controls).collect()
                };
                let mut records = reader.records().map(|record| record.map(cells));
                let header = records.next().transpose().map_err(PrintError::NotCsv)?;
                let rows = records.collect::<Result<Vec<_>, _>>().map_err(PrintError::NotCsv)?;
                let header = header.filter(|_| !self.begun);
                out.write_all(text::lines(header, &self.right, rows.into_iter()).as_bytes())?;
            }
        }
        self.begun = true;
        Ok(())
    }

    fn finish(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.format == OutputFormat::Json {
            out.write_all(if self.rows == 0 { b"[]\n" } else { b"\n]\n" })?;
        }
        out.flush()
    }
}

fn after_header(body: &[u8]) -> &[u8] {
    let mut is_quoted = false;
    for (at, &byte) in body.iter().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' if !is_quoted => return &body[at + 1..],
            _ => {}
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_may_hold_line_ends_in_quotes() {
        assert_eq!(after_header(b"a,\"b\nc\"\n1,2"), b"1,2");
        assert_eq!(after_header(b"a,b"), b"");
    }
}
