//! The form of a JSON object that fedmsg signs: what Python's `json.dumps` writes of it with sorted keys,
//! without blanks, in ASCII.
//!
//! Integers keep all their digits, fractions are written as Python writes the nearest double, of equal
//! keys the last one counts, and halves of surrogate pairs are kept as they are: nothing of it survives a
//! reader that makes values of it, so the text itself is rewritten.

use serde::de::IgnoredAny;

/// Deepest nesting that is followed.
const MAX_DEPTH: usize = 128;

/// Why a text has no canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoForm {
    /// It is no JSON object.
    #[error("it is no JSON object")]
    NotAnObject,
    /// It is nested deeper than is followed.
    #[error("it is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// Returns the canonical form of an object, without those of its own members that `leave_out` names.
pub(super) fn canonical(text: &[u8], leave_out: &[&str]) -> Result<Vec<u8>, NoForm> {
    let well_formed = serde_json::from_slice::<IgnoredAny>(text).is_ok();
    if !well_formed || !text.trim_ascii_start().starts_with(b"{") {
        return Err(NoForm::NotAnObject);
    }
    let mut reader = Reader { rest: text };
    let mut out = Vec::with_capacity(text.len());
    reader.object(&mut out, 1, leave_out)?;
    Ok(out)
}

/// Reads text that is known to be well-formed.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// The next byte that is no blank, left where it is.
    fn peek(&mut self) -> u8 {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied().unwrap_or_default()
    }

    /// Passes over a byte if it is the next one.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == byte;
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    fn value(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), NoForm> {
        match self.peek() {
            b'{' => self.object(out, depth + 1, &[]),
            b'[' => self.array(out, depth + 1),
            b'"' => {
                self.string(out);
                Ok(())
            }
            _ => {
                number(self.literal(), out);
                Ok(())
            }
        }
    }

    fn object(
        &mut self,
        out: &mut Vec<u8>,
        depth: usize,
        leave_out: &[&str],
    ) -> Result<(), NoForm> {
        if depth > MAX_DEPTH {
            return Err(NoForm::TooDeep);
        }
        let mut members: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        self.take(b'{');
        while !self.take(b'}') {
            let (mut key, mut value) = (Vec::new(), Vec::new());
            self.peek();
            self.string(&mut key);
            self.take(b':');
            self.value(&mut value, depth)?;
            self.take(b',');
            members.push((key, value));
        }
        // Stable, so that of equal keys the last one, which counts, stays last.
        members.sort_by_cached_key(|(key, _)| code_points(key));
        members.retain(|(key, _)| {
            !leave_out.iter().any(|name| key[1..key.len() - 1] == *name.as_bytes())
        });
        out.push(b'{');
        let start = out.len();
        for (at, (key, value)) in members.iter().enumerate() {
            if members.get(at + 1).is_some_and(|(next, _)| next == key) {
                continue;
            }
            if out.len() > start {
                out.push(b',');
            }
            out.extend_from_slice(key);
            out.push(b':');
            out.extend_from_slice(value);
        }
        out.push(b'}');
        Ok(())
    }

    fn array(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), NoForm> {
        if depth > MAX_DEPTH {
            return Err(NoForm::TooDeep);
        }
        self.take(b'[');
        out.push(b'[');
        while !self.take(b']') {
            self.value(out, depth)?;
            if self.take(b',') {
                out.push(b',');
            }
        }
        out.push(b']');
        Ok(())
    }

    /// A number, or `true`, `false`, `null`.
    fn literal(&mut self) -> &'a [u8] {
        let end = self.rest.iter().position(|it| b",]} \t\r\n".contains(it));
        let (literal, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        literal
    }

    /// A string with its quotes, in ASCII.
    fn string(&mut self, out: &mut Vec<u8>) {
        let end = string_end(self.rest);
        let (string, rest) = self.rest.split_at(end);
        self.rest = rest;
        let inside = &string[1..string.len() - 1];
        out.push(b'"');
        for chunk in inside.utf8_chunks() {
            let mut chars = chunk.valid().chars();
            while let Some(char) = chars.next() {
                match char {
                    '\\' => write(escaped(&mut chars), out),
                    char => {
                        char.encode_utf16(&mut [0; 2]).iter().for_each(|unit| write(*unit, out))
                    }
                }
            }
        }
        out.push(b'"');
    }
}

/// Where the string that begins the text ends: behind its closing quote.
fn string_end(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &text[at.min(text.len())..]) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// The unit of UTF-16 that what follows a backslash stands for.
fn escaped(chars: &mut std::str::Chars<'_>) -> u16 {
    match chars.next() {
        Some('b') => 8,
        Some('f') => 12,
        Some('n') => 10,
        Some('r') => 13,
        Some('t') => 9,
        Some('u') => {
            let digits = chars.by_ref().take(4).filter_map(|digit| digit.to_digit(16));
            digits.fold(0, |unit, digit| unit << 4 | digit as u16)
        }
        other => other.map_or(0, |char| char as u16),
    }
}

/// Writes one unit of UTF-16.
fn write(unit: u16, out: &mut Vec<u8>) {
    match u8::try_from(unit) {
        Ok(byte @ (b'"' | b'\\')) => out.extend_from_slice(&[b'\\', byte]),
        Ok(byte @ b' '..=b'~') => out.push(byte),
        Ok(8) => out.extend_from_slice(b"\\b"),
        Ok(12) => out.extend_from_slice(b"\\f"),
        Ok(b'\n') => out.extend_from_slice(b"\\n"),
        Ok(b'\r') => out.extend_from_slice(b"\\r"),
        Ok(b'\t') => out.extend_from_slice(b"\\t"),
        _ => out.extend_from_slice(format!("\\u{unit:04x}").as_bytes()),
    }
}

/// The characters of a canonical string as Python compares them: halves of no pair by themselves.
fn code_points(string: &[u8]) -> Vec<u32> {
    let inside = std::str::from_utf8(&string[1..string.len() - 1]).unwrap_or_default();
    let mut chars = inside.chars();
    let units = std::iter::from_fn(|| match chars.next()? {
        '\\' => Some(escaped(&mut chars)),
        char => Some(char as u16),
    });
    let decoded = char::decode_utf16(units);
    decoded
        .map(|it| it.map_or_else(|half| u32::from(half.unpaired_surrogate()), u32::from))
        .collect()
}

/// A number as Python writes the value it reads; other literals as they are.
fn number(literal: &[u8], out: &mut Vec<u8>) {
    let text = std::str::from_utf8(literal).unwrap_or_default();
    let is_fraction = text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && text.contains(['.', 'e', 'E']);
    match text {
        "-0" => out.push(b'0'),
        _ if is_fraction => {
            out.extend_from_slice(double(text.parse().unwrap_or_default()).as_bytes())
        }
        _ => out.extend_from_slice(literal),
    }
}

/// The shortest text of a double, in Python's form: an exponent below 1e-4 and from 1e16 on.
fn double(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() };
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if value != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let plain = value.to_string();
    if plain.contains('.') { plain } else { format!("{plain}.0") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn form(text: &str) -> String {
        String::from_utf8(canonical(text.as_bytes(), &[]).unwrap()).unwrap()
    }

    #[test]
    fn keys_are_sorted_and_blanks_are_gone() {
        assert_eq!(
            form(" { \"b\" : [ 1 , {\"z\":null,\"y\":true} ] , \"a\" : \"x y\" } \n"),
            r#"{"a":"x y","b":[1,{"y":true,"z":null}]}"#
        );
        assert_eq!(form("{}"), "{}");
        assert_eq!(form(r#"{"a": [], "b": {}}"#), r#"{"a":[],"b":{}}"#);
    }

    #[test]
    fn of_equal_keys_the_last_counts() {
        assert_eq!(form(r#"{"a":1,"b":2,"\u0061":3}"#), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn keys_are_compared_by_code_point() {
        // In UTF-16 the pair of U+1F600 would come before U+FF00.
        assert_eq!(
            form("{\"😀\":1,\"\u{ff00}\":2,\"z\":3,\"é\":4}"),
            r#"{"z":3,"\u00e9":4,"\uff00":2,"\ud83d\ude00":1}"#
        );
    }

    #[test]
    fn text_is_written_in_ascii_as_python_does() {
        assert_eq!(
            form(r#"{"a":"\u00E9\/\b\f\n\r\t\"\\é\u007f~\ud83d\ude00😀\ud800"}"#),
            r#"{"a":"\u00e9/\b\f\n\r\t\"\\\u00e9\u007f~\ud83d\ude00\ud83d\ude00\ud800"}"#
        );
        assert_eq!(form(r#"{"a":"\u0041\u0022\u005c\u001F"}"#), r#"{"a":"A\"\\\u001f"}"#);
    }

    #[test]
    fn numbers_are_written_as_python_does() {
        for (given, written) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.0", "-0.0"),
            ("0.0", "0.0"),
            ("0e5", "0.0"),
            ("1500000000", "1500000000"),
            ("1500000000.0", "1500000000.0"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("1.50", "1.5"),
            ("1e5", "100000.0"),
            ("1E+2", "100.0"),
            ("1e16", "1e+16"),
            ("9999999999999998.0", "9999999999999998.0"),
            ("1.5e300", "1.5e+300"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("1.25e-7", "1.25e-07"),
            ("1e999", "Infinity"),
            ("-1e999", "-Infinity"),
            ("0.1", "0.1"),
            ("1368038919.389492", "1368038919.389492"),
        ] {
            assert_eq!(
                form(&format!("{{\"n\":{given}}}")),
                format!("{{\"n\":{written}}}"),
                "{given}"
            );
        }
    }

    #[test]
    fn members_are_left_out_at_the_top_only() {
        let form = canonical(br#"{"b":{"sig":1},"sig":2,"a":3}"#, &["sig"]).unwrap();
        assert_eq!(form, br#"{"a":3,"b":{"sig":1}}"#);
    }

    #[test]
    fn what_is_no_object_has_no_form() {
        for text in ["", "[]", "1", "{", "{\"a\":}", "{} {}", "{\"a\":NaN}"] {
            assert_eq!(canonical(text.as_bytes(), &[]), Err(NoForm::NotAnObject), "{text}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(1000), "]".repeat(1000));
        assert_eq!(canonical(deep.as_bytes(), &[]), Err(NoForm::TooDeep));
    }
}
