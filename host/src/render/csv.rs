//! Tables as CSV: RFC 4180 quoting, lines end with `\n`, null is empty.
//!
//! The first column is the time, the others follow by name, as statscache wrote them.

use statmill_plugin_api::encoding::Value;

use super::cell;
use crate::query::{Table, TimeStyle};

/// Appends the header line.
pub fn header(table: &Table, out: &mut Vec<u8>) {
    let names = table.csv_order().into_iter().map(|place| table.columns[place].name.as_bytes());
    lines(std::iter::once(names), out);
}

/// Appends the rows, each with its line end.
pub fn rows(table: &Table, style: TimeStyle, out: &mut Vec<u8>) {
    let order = table.csv_order();
    let cells = |place: &usize, row: &[Value]| cell::text(&row[*place], style).into_owned();
    lines(table.rows.iter().map(|row| order.iter().map(|place| cells(place, row))), out);
}

/// Returns header and rows without the last line end, as HTTP answers them.
#[must_use]
pub fn body(table: &Table, style: TimeStyle) -> Vec<u8> {
    let mut out = Vec::new();
    header(table, &mut out);
    rows(table, style, &mut out);
    out.pop();
    out
}

fn lines<R>(records: impl Iterator<Item = R>, out: &mut Vec<u8>)
where
    R: IntoIterator,
    R::Item: AsRef<[u8]>,
{
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(out);
    for record in records {
        writer.write_record(record).expect("writing CSV to memory cannot fail");
    }
    writer.flush().expect("writing to memory cannot fail");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use statmill_plugin_api::manifest::ValueKind;

    use super::*;
    use crate::query::Column;

    fn table(values: &[&str]) -> Table {
        let column = |name: &str, kind| Column { name: name.into(), kind, unit: String::new() };
        Table {
            columns: vec![
                column("timestamp", ValueKind::Time),
                column("user", ValueKind::Text),
                column("count", ValueKind::Int),
            ],
            rows: values
                .iter()
                .map(|value| {
                    vec![
                        Value::Time(1_500_000_000_000_000),
                        Value::Text((*value).into()),
                        Value::Null,
                    ]
                })
                .collect(),
            total: values.len() as u64,
            chosen: false,
        }
    }

    #[test]
    fn hostile_text_reads_back_as_it_was() {
        let hostile = ["a,b", "quo\"te", "line\nbreak", "\r\n", "zo\u{eb}", "=1+1", "", " x "];
        let body = body(&table(&hostile), TimeStyle::Unix);
        let mut reader = csv::Reader::from_reader(&body[..]);
        assert_eq!(reader.headers().unwrap(), vec!["timestamp", "count", "user"]);
        let read: Vec<_> = reader.records().map(|row| row.unwrap()[2].to_owned()).collect();
        assert_eq!(read, hostile);
    }

    #[test]
    fn no_line_end_follows_the_last_line() {
        assert_eq!(body(&table(&[]), TimeStyle::Unix), b"timestamp,count,user");
        assert_eq!(body(&table(&["a"]), TimeStyle::Unix), b"timestamp,count,user\n1500000000.0,,a");
    }
}
