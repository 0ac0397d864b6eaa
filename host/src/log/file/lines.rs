//! What a record is: a line without its end, neither blank nor longer than the limit allows to see.

use std::io::Read;

use serde::Deserialize;

use crate::log::Records;

/// Some editors begin a file with it.
pub(in crate::log) const BOM: &[u8] = b"\xef\xbb\xbf";

/// Room beyond the limit after which a line is too long however it ends: a byte order mark, a carriage
/// return, the one byte that tells.
pub(super) const MARGIN: usize = 8;

/// Where in `line`, given without its line feed, the record lies: start and length; `None` if blank.
///
/// Of a line longer than `max_line` the record is its first `max_line + 1` bytes: enough for the
/// projector to refuse it as too large. `line` may then be any longer prefix of the line.
pub(super) fn record(line: &[u8], first: bool, max_line: usize) -> Option<(usize, usize)> {
    let start = if first && line.starts_with(BOM) { BOM.len() } else { 0 };
    let mut text = &line[start..];
    if let [rest @ .., b'\r'] = text {
        text = rest;
    }
    if text.len() > max_line {
        return Some((start, max_line + 1));
    }
    (!text.iter().all(u8::is_ascii_whitespace)).then_some((start, text.len()))
}

/// Cuts `records.text` into records and returns how many of its bytes they took, line ends included.
///
/// The text lies at `offset`, `first` tells that a file begins there, and `last` that the records end
/// with it, line feed or not. At most `max_records` records are taken.
pub(super) fn cut(
    records: &mut Records,
    offset: u64,
    first: bool,
    last: bool,
    max_line: usize,
    max_records: usize,
) -> usize {
    let Records { text, spans, offsets, .. } = records;
    let mut start = 0;
    let mut feeds = memchr::memchr_iter(b'\n', text);
    while spans.len() < max_records && start < text.len() {
        let (end, next) = match feeds.next() {
            Some(feed) => (feed, feed + 1),
            None if last => (text.len(), text.len()),
            None => break,
        };
        if let Some((skip, len)) = record(&text[start..end], first && start == 0, max_line) {
            // A read is far below 4 GiB.
            spans.push(((start + skip) as u32, len as u32));
            offsets.push(offset + start as u64);
        }
        start = next;
    }
    start
}

/// Whether `text` is one whole JSON document that could not go on: no number, which one more digit
/// changes.
pub(in crate::log) fn is_document(mut text: impl Read) -> bool {
    let mut first = [0];
    let got = text.read_exact(&mut first);
    if got.is_err() || first[0] == b'-' || first[0].is_ascii_digit() {
        return false;
    }
    let mut reader = serde_json::Deserializer::from_reader(first.as_slice().chain(text));
    serde::de::IgnoredAny::deserialize(&mut reader).is_ok() && reader.end().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str, last: bool, max_line: usize) -> (Vec<String>, usize) {
        let mut records = Records { text: text.as_bytes().to_vec(), ..Records::default() };
        let taken = cut(&mut records, 0, true, last, max_line, 100);
        let texts = records
            .spans
            .iter()
            .map(|&(start, len)| {
                let bytes = &records.text[start as usize..(start + len) as usize];
                String::from_utf8_lossy(bytes).into_owned()
            })
            .collect();
        (texts, taken)
    }

    #[test]
    fn line_ends_byte_order_mark_and_blank_lines_are_no_part_of_a_record() {
        assert_eq!(
            texts("\u{feff}a\r\n\n \t\r\nb\nc", false, 100),
            (vec!["a".to_owned(), "b".to_owned()], 13)
        );
    }

    #[test]
    fn an_unterminated_line_is_a_record_only_where_the_records_end_with_it() {
        assert_eq!(texts("a\nbc", false, 100), (vec!["a".to_owned()], 2));
        assert_eq!(texts("a\nbc", true, 100), (vec!["a".to_owned(), "bc".to_owned()], 4));
    }

    #[test]
    fn a_line_over_the_limit_is_handed_over_cut() {
        assert_eq!(texts("abcdef\ng\n", false, 3), (vec!["abcd".to_owned(), "g".to_owned()], 9));
        assert_eq!(texts("abc\r\n", false, 3), (vec!["abc".to_owned()], 5));
    }
}
