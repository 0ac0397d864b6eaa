//! Tables as HTML: pages to read, without scripts.
//!
//! Text enters a page through [`escape`] only, and addresses through [`encode`].

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use statmill_plugin_api::manifest::ValueKind;

use super::cell;
use crate::query::{CompleteUntil, Page, Table, TimeStyle};

/// What RFC 3986 calls unreserved stays as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns `text` as it must stand in HTML, also inside quotes.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Returns `text` as one segment of a path, a name or a value of a query string.
#[must_use]
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// What a page of rows says around its table.
pub struct RowsPage<'a> {
    /// The stat.
    pub ident: &'a str,
    /// Its human name.
    pub title: &'a str,
    /// One line about it.
    pub summary: &'a str,
    /// Up to when the rows account for all that reached the host.
    pub complete_until: CompleteUntil,
    /// Which page this is.
    pub page: Page,
    /// What the links lead to and where that is, formats first.
    pub links: &'a [(&'a str, String)],
}

/// A line of the page that lists the stats.
pub struct StatLine {
    /// The stat.
    pub ident: String,
    /// Its human name.
    pub title: String,
    /// What it is doing.
    pub state: String,
    /// Rows of its first model.
    pub rows: u64,
    /// Up to when they account for all that reached the host.
    pub complete_until: CompleteUntil,
}

/// Returns a page with the rows of a stat.
#[must_use]
pub fn rows(about: &RowsPage<'_>, table: &Table) -> String {
    let mut main = String::new();
    let _ = write!(
        main,
        "<h1>{}</h1>\n<p>{}</p>\n<p>{}</p>\n",
        escape(about.title),
        escape(about.summary),
        completeness(about.complete_until)
    );
    main.push_str("<nav aria-label=\"This table elsewhere\"><ul>\n");
    for (label, address) in about.links {
        let _ = writeln!(main, "<li><a href=\"{}\">{}</a></li>", escape(address), escape(label));
    }
    main.push_str("</ul></nav>\n");
    let _ = write!(
        main,
        "<table>\n<caption>{} rows, page {} of {}</caption>\n<thead><tr>",
        table.total,
        about.page.number,
        about.page.count.max(1)
    );
    for column in &table.columns {
        let unit =
            if column.unit.is_empty() { String::new() } else { format!(" ({})", column.unit) };
        let _ = write!(main, "<th scope=\"col\">{}{}</th>", escape(&column.name), escape(&unit));
    }
    main.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        main.push_str("<tr>");
        for (column, value) in table.columns.iter().zip(row) {
            let text = escape(&cell::text(value, TimeStyle::Rfc3339));
            match column.kind {
                ValueKind::Time if !text.is_empty() => {
                    let _ = write!(main, "<td><time datetime=\"{text}\">{text}</time></td>");
                }
                ValueKind::Int | ValueKind::Num => {
                    let _ = write!(main, "<td class=\"number\">{text}</td>");
                }
                _ => {
                    let _ = write!(main, "<td>{text}</td>");
                }
            }
        }
        main.push_str("</tr>\n");
    }
    main.push_str("</tbody>\n</table>\n");
    page(about.ident, &main)
}

/// Returns the page that lists the stats.
#[must_use]
pub fn index(stats: &[StatLine]) -> String {
    let mut main = String::from("<h1>Statistics</h1>\n");
    if stats.is_empty() {
        main.push_str("<p>There is no statistic yet: put a plugin into the plugins folder.</p>\n");
    } else {
        main.push_str(
            "<table>\n<caption>What this host keeps</caption>\n<thead><tr>\
             <th scope=\"col\">Statistic</th><th scope=\"col\">Rows</th>\
             <th scope=\"col\">State</th><th scope=\"col\">Complete until</th>\
             <th scope=\"col\">As</th></tr></thead>\n<tbody>\n",
        );
    }
    for stat in stats {
        let address = format!("/api/{}", encode(&stat.ident));
        let _ = writeln!(
            main,
            "<tr><th scope=\"row\"><a href=\"{address}.html\">{}</a></th>\
             <td class=\"number\">{}</td><td>{}</td><td>{}</td>\
             <td><a href=\"{address}.json\">JSON</a> <a href=\"{address}.csv\">CSV</a></td></tr>",
            escape(&format!("{} ({})", stat.title, stat.ident)),
            stat.rows,
            escape(&stat.state),
            escape(&stat.complete_until.to_string()),
        );
    }
    if !stats.is_empty() {
        main.push_str("</tbody>\n</table>\n");
    }
    main.push_str(
        "<p>For programs: <a href=\"/api/\">list</a>, <a href=\"/api/_status\">status</a>, \
         <a href=\"/metrics\">metrics</a>.</p>\n",
    );
    page("statmill", &main)
}

/// Returns the sentence that says up to when rows are complete.
#[must_use]
pub fn completeness(until: CompleteUntil) -> String {
    match until {
        CompleteUntil::Unknown => "It is not known yet up to when this is complete.".to_owned(),
        CompleteUntil::End => "Complete: everything there was has been read.".to_owned(),
        CompleteUntil::At(_) => {
            let time = escape(&until.to_string());
            format!("Complete until <time datetime=\"{time}\">{time}</time>.")
        }
    }
}

/// Where the style sheet of every page is served.
pub const STYLE_PATH: &str = "/style.css";

/// The style sheet of every page.
pub const STYLE: &str = "\
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
caption { text-align: left; padding: .25rem .5rem; }
th, td { border-bottom: 1px solid #8886; padding: .25rem .5rem; text-align: left; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
nav ul { display: flex; flex-wrap: wrap; gap: 1rem; list-style: none; padding: 0; }
";

fn page(title: &str, main: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<link rel=\"stylesheet\" href=\"{STYLE_PATH}\">\n</head>\n<body>\n\
         <header><a href=\"/\">statmill</a></header>\n<main>\n{main}</main>\n</body>\n</html>\n",
        escape(title)
    )
}
