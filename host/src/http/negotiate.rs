//! Which form an answer takes: the path's extension, else `?format=`, else `Accept`, else JSON.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

use super::problem::Problem;
use crate::query::Format;

/// Media types by which a format is asked for; the first is the one answered unless the list says
/// otherwise.
const MEDIA: &[(Format, &[&str])] = &[
    (Format::Json, &["application/json", "text/json", "application/javascript", "text/javascript"]),
    (Format::Csv, &["text/csv", "application/csv"]),
    (Format::Html, &["text/html", "application/xhtml+xml"]),
    (Format::Ndjson, &["application/x-ndjson", "application/ndjson", "application/jsonl"]),
    (Format::Svg, &["image/svg+xml"]),
];

/// The chosen form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Chosen {
    pub(super) format: Format,
    pub(super) content_type: &'static str,
}

impl Chosen {
    pub(super) fn of(format: Format) -> Self {
        let content_type = match format {
            Format::Json => "application/json",
            Format::Csv => "text/csv; charset=utf-8",
            Format::Html => "text/html; charset=utf-8",
            Format::Ndjson => "application/x-ndjson",
            Format::Svg => "image/svg+xml",
        };
        Self { format, content_type }
    }
}

/// Chooses among `offered`, the preferred first.
pub(super) fn choose(
    named: Option<Format>,
    headers: &HeaderMap,
    offered: &[Format],
) -> Result<Chosen, Problem> {
    if let Some(format) = named {
        return if offered.contains(&format) {
            Ok(Chosen::of(format))
        } else {
            Err(Problem::no_format(format.name(), offered))
        };
    }
    let mut values = headers.get_all(ACCEPT).iter().peekable();
    if values.peek().is_none() {
        return Ok(Chosen::of(offered[0]));
    }
    let text: Vec<_> = values.map(|value| value.to_str().unwrap_or("")).collect();
    let text = text.join(",");
    accept(&text, offered).ok_or_else(|| Problem::no_format(&text, offered))
}

/// Chooses by the text of `Accept` (RFC 9110, 12.5.1). A type named in full decides over a range
/// that covers it; among equals the first offered is taken.
fn accept(text: &str, offered: &[Format]) -> Option<Chosen> {
    let ranges: Vec<_> = text.split(',').filter_map(range).collect();
    let mut best: Option<(u32, Chosen)> = None;
    for &format in offered {
        let media = MEDIA.iter().find(|(of, _)| *of == format).map_or(&[][..], |(_, media)| media);
        // Most telling first: how exact, then how wanted.
        let found = ranges
            .iter()
            .filter_map(|&(range, quality)| Some((exactness(range, media)?, quality, range)))
            .max_by_key(|&(exactness, quality, _)| (exactness, quality));
        let Some((_, quality, range)) = found else { continue };
        if quality > 0 && best.is_none_or(|(least, _)| quality > least) {
            let mut chosen = Chosen::of(format);
            if range.eq_ignore_ascii_case("application/csv") {
                chosen.content_type = "application/csv";
            }
            best = Some((quality, chosen));
        }
    }
    best.map(|(_, chosen)| chosen)
}

/// One range of `Accept` and its quality in thousandths.
fn range(text: &str) -> Option<(&str, u32)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().filter(|range| !range.is_empty())?;
    let mut quality = 1_000;
    for part in parts {
        if let Some(value) = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")) {
            // A weight that cannot be read is none: the range does not count.
            let weight = value.trim().parse::<f64>().ok().filter(|q| (0.0..=1.0).contains(q))?;
            quality = (weight * 1_000.0).round() as u32;
        }
    }
    Some((range, quality))
}

fn exactness(range: &str, media: &[&str]) -> Option<u32> {
    if range == "*/*" || range == "*" {
        return Some(0);
    }
    if let Some(group) = range.strip_suffix("/*") {
        let within = |media: &&str| {
            media.split_once('/').is_some_and(|(of, _)| of.eq_ignore_ascii_case(group))
        };
        return media.iter().any(within).then_some(1);
    }
    media.iter().any(|media| media.eq_ignore_ascii_case(range)).then_some(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept_text: &str) -> Option<&'static str> {
        accept(accept_text, &Format::ALL).map(|chosen| chosen.content_type)
    }

    #[test]
    fn the_most_wanted_form_is_answered() {
        for (accept, expected) in [
            ("*/*", "application/json"),
            ("*", "application/json"),
            ("text/json", "application/json"),
            ("text/javascript", "application/json"),
            ("application/javascript, */*; q=0.01", "application/json"),
            ("text/csv", "text/csv; charset=utf-8"),
            ("application/csv", "application/csv"),
            ("APPLICATION/CSV;q=0.5, application/json;q=0.4", "application/csv"),
            ("application/json;q=0.5, text/csv;q=0.51", "text/csv; charset=utf-8"),
            ("text/csv, application/json", "application/json"),
            ("application/json;q=0, */*", "text/csv; charset=utf-8"),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                "text/html; charset=utf-8",
            ),
            ("application/x-ndjson", "application/x-ndjson"),
            ("text/csv;q=x, application/x-ndjson", "application/x-ndjson"),
            (", ,text/csv;charset=utf-8;q=1.000", "text/csv; charset=utf-8"),
        ] {
            assert_eq!(chosen(accept), Some(expected), "{accept}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_chosen() {
        for accept in ["", "image/png", "text/csv;q=0", "*/*;q=0", "text/csv;q=2", "json", "/"] {
            assert_eq!(chosen(accept), None, "{accept}");
        }
    }
}
