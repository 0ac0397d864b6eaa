//! Strict decoding of wanted scalars: equal to serde_json's wherever serde_json accepts the document.

use memchr::memchr;

/// A scalar that is not a string.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Literal<'a> {
    Null,
    Bool(bool),
    Number(Number<'a>),
}

impl<'a> Literal<'a> {
    /// The literal that `bytes` are, all of them.
    #[inline]
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        match bytes {
            b"null" => Some(Self::Null),
            b"true" => Some(Self::Bool(true)),
            b"false" => Some(Self::Bool(false)),
            _ => Number::of(bytes).map(Self::Number),
        }
    }
}

/// A number by its parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number<'a> {
    /// ASCII.
    text: &'a [u8],
    pub(super) is_negative: bool,
    /// Digits before the point: no leading zero but in "0".
    pub(super) whole: &'a [u8],
    /// Digits after the point; empty where there is no point.
    pub(super) fraction: &'a [u8],
    /// Power of ten, saturating.
    pub(super) exponent: Option<i64>,
}

impl<'a> Number<'a> {
    /// The number that `bytes` are by JSON's grammar, all of them.
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        let is_negative = bytes.first() == Some(&b'-');
        let (whole, rest) = digits(&bytes[usize::from(is_negative)..]);
        if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
            return None;
        }
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => match digits(rest) {
                ([], _) => return None,
                found => found,
            },
            _ => (&[][..], rest),
        };
        let exponent = match rest {
            [] => None,
            [b'e' | b'E', rest @ ..] => Some(power(rest)?),
            _ => return None,
        };
        Some(Self { text: bytes, is_negative, whole, fraction, exponent })
    }

    /// Its value if it is written without fraction and exponent and fits. `-0` does not: it is a float.
    pub(super) fn int(&self) -> Option<i64> {
        if !self.fraction.is_empty() || self.exponent.is_some() || self.text == b"-0" {
            return None;
        }
        // Summed up below zero, where there is room for one more.
        let digit = |sum: i64, &byte: &u8| sum.checked_mul(10)?.checked_sub((byte - b'0').into());
        let negative = self.whole.iter().try_fold(0, digit)?;
        if self.is_negative { Some(negative) } else { negative.checked_neg() }
    }

    /// The nearest `f64`; none where that is infinite.
    pub(super) fn num(&self) -> Option<f64> {
        let text = std::str::from_utf8(self.text).ok()?;
        text.parse().ok().filter(|num: &f64| num.is_finite())
    }
}

fn digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len()))
}

fn power(bytes: &[u8]) -> Option<i64> {
    let (is_negative, rest) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, bytes),
    };
    let (found, []) = digits(rest) else {
        return None;
    };
    let add =
        |power: i64, &digit: &u8| power.saturating_mul(10).saturating_add((digit - b'0').into());
    let power = found.iter().fold(0_i64, add);
    (!found.is_empty()).then_some(if is_negative { -power } else { power })
}

/// What stands between the quotes of a string: UTF-8 without control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text<'a> {
    /// The text itself.
    Plain(&'a str),
    /// To be unescaped; that may fail yet.
    Escaped(&'a str),
}

/// Checks what stands between the quotes of a string.
#[inline]
pub(super) fn text(inside: &[u8]) -> Option<Text<'_>> {
    // One pass without branches, which the compiler turns into vector code.
    let (mut control, mut escape) = (false, false);
    for &byte in inside {
        control |= byte < b' ';
        escape |= byte == b'\\';
    }
    if control {
        return None;
    }
    let text = std::str::from_utf8(inside).ok()?;
    Some(if escape { Text::Escaped(text) } else { Text::Plain(text) })
}

/// Appends `escaped` to `out` with its escapes undone; `false`, and nothing appended, if one is bad.
pub(super) fn unescape(escaped: &str, out: &mut Vec<u8>) -> bool {
    let before = out.len();
    let done = append(escaped.as_bytes(), out).is_some();
    if !done {
        out.truncate(before);
    }
    done
}

fn append(mut rest: &[u8], out: &mut Vec<u8>) -> Option<()> {
    while let Some(at) = memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let letter = *rest.get(at + 1)?;
        rest = &rest[at + 2..];
        out.push(match letter {
            b'"' | b'\\' | b'/' => letter,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let found = character(&mut rest)?;
                out.extend_from_slice(found.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            _ => return None,
        });
    }
    out.extend_from_slice(rest);
    Some(())
}

/// The character whose `\u` was just read; takes the second half of a surrogate pair as well.
fn character(rest: &mut &[u8]) -> Option<char> {
    let first = hex(rest)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first);
    }
    *rest = rest.strip_prefix(b"\\u")?;
    let second = hex(rest)?.checked_sub(0xdc00).filter(|&second| second < 0x400)?;
    char::from_u32(0x1_0000 + ((first - 0xd800) << 10 | second))
}

fn hex(rest: &mut &[u8]) -> Option<u32> {
    let (four, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    four.iter().try_fold(0, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_grammar() {
        for good in ["0", "-0", "12", "1.5", "-1.50", "1e3", "1E+3", "0e-7", "10.0e0"] {
            assert!(Number::of(good.as_bytes()).is_some(), "{good}");
        }
        for bad in
            ["", "-", "+1", "01", "1.", ".5", "1e", "1e+", "1.e3", "0x1", "1 ", "Infinity", "1_0"]
        {
            assert!(Number::of(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_int_is_written_without_fraction_and_exponent() {
        let int = |text: &'static str| Number::of(text.as_bytes()).and_then(|number| number.int());
        assert_eq!(int("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(int("9223372036854775807"), Some(i64::MAX));
        for other in ["9223372036854775808", "2.0", "1e3", "-0"] {
            assert_eq!(int(other), None, "{other}");
        }
    }

    #[test]
    fn strings_are_unescaped_as_serde_json_does() {
        for escaped in [
            r#"a\"\\\/\b\f\n\r\tz"#,
            r"\u00e9\u0000",
            r"\ud83d\ude00",
            r"\uD83D\uDE00",
            r"\ud83d",
            r"\ud83d\u0041",
            r"\ude00",
            r"\ud83d\n",
            r"\u12",
            r"\u12g4",
            r"\u+123",
            r"\x",
        ] {
            let expected: Option<String> = serde_json::from_str(&format!("\"{escaped}\"")).ok();
            let mut out = b"kept".to_vec();
            let found = unescape(escaped, &mut out)
                .then(|| String::from_utf8_lossy(&out[4..]).into_owned());
            assert_eq!(found, expected, "{escaped}");
            assert!(expected.is_some() || out == b"kept");
        }
    }

    #[test]
    fn control_characters_and_broken_utf8_are_no_text() {
        assert_eq!(text(b"a\x1fb"), None);
        assert_eq!(text(b"a\xffb"), None);
        assert_eq!(text(b"a\x7fb"), Some(Text::Plain("a\x7fb")));
        assert_eq!(text(br"a\n"), Some(Text::Escaped(r"a\n")));
    }
}
