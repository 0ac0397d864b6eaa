//! Event times: exact, in µs since 1970, floored.

use jiff::civil;

use crate::project::decode::{self, Number, Text};

/// 0001-01-01T00:00:00Z.
const FIRST_US: i64 = -62_135_596_800_000_000;
/// The last µs of the year 9999.
const LAST_US: i64 = 253_402_300_799_999_999;

/// Reads a time from the text of a JSON value, in µs since 1970.
///
/// A number is seconds, whole or not, with or without exponent; from 1e11 on it is milliseconds. A
/// string is RFC 3339: any offset or `Z`, a `T` or a blank between date and time, either in lower case;
/// without an offset it is UTC. A leap second counts as the second before it. What is finer than a µs
/// is cut off towards the past. `None` for anything else and for times outside the years 1 to 9999.
///
/// # Examples
///
/// ```
/// use statmill::project::time::parse;
/// assert_eq!(parse(b"1438992000.486204"), Some(1_438_992_000_486_204));
/// assert_eq!(parse(b"1438992000486"), Some(1_438_992_000_486_000));
/// assert_eq!(parse(br#""2015-08-08T02:00:00+02:00""#), Some(1_438_992_000_000_000));
/// assert_eq!(parse(b"true"), None);
/// ```
#[must_use]
pub fn parse(value: &[u8]) -> Option<i64> {
    match value {
        [b'"', inside @ .., b'"'] => match decode::text(inside)? {
            Text::Plain(text) => rfc3339(text.as_bytes()),
            Text::Escaped(text) => {
                let mut plain = Vec::new();
                decode::unescape(text, &mut plain).then_some(())?;
                rfc3339(&plain)
            }
        },
        _ => number(&Number::of(value)?),
    }
}

/// The time a number stands for: see [`parse`].
pub(super) fn number(number: &Number<'_>) -> Option<i64> {
    if let Some(time_us) = common(number) {
        return in_range(time_us);
    }
    let digits = || number.whole.iter().chain(number.fraction).map(|digit| i64::from(digit - b'0'));
    let zeros = digits().take_while(|&digit| digit == 0).count();
    if zeros == number.whole.len() + number.fraction.len() {
        return Some(0);
    }
    // The value is 0.d₁d₂d₃… × 10^point with d₁ ≠ 0.
    let point =
        (number.whole.len() as i64 - zeros as i64).saturating_add(number.exponent.unwrap_or(0));
    let is_ms = point >= 12 && !number.is_negative;
    let shift = if is_ms { 3 } else { 6 };
    // That many digits are whole µs.
    let whole = point.saturating_add(shift);
    if whole > 18 {
        return None;
    }
    let whole = usize::try_from(whole).unwrap_or(0);
    let mut significant = digits().skip(zeros);
    let time_us = (0..whole).fold(0, |us, _| us * 10 + significant.next().unwrap_or(0));
    let is_inexact = significant.any(|digit| digit != 0);
    in_range(if number.is_negative { -time_us - i64::from(is_inexact) } else { time_us })
}

/// Seconds up to 1e11 with at most six digits after the point: what nearly all messages carry.
fn common(number: &Number<'_>) -> Option<i64> {
    let (whole, fraction) = (number.whole, number.fraction);
    if whole.len() > 11 || fraction.len() > 6 || number.exponent.is_some() {
        return None;
    }
    let append = |value: i64, digit: &u8| value * 10 + i64::from(digit - b'0');
    let digits = fraction.iter().fold(whole.iter().fold(0, append), append);
    let time_us = digits * 10_i64.pow(6 - fraction.len() as u32);
    Some(if number.is_negative { -time_us } else { time_us })
}

/// The time that a text says by RFC 3339: see [`parse`].
pub(super) fn rfc3339(text: &[u8]) -> Option<i64> {
    let mut rest = text;
    let year = digits(&mut rest, 4)?;
    literal(&mut rest, b"-")?;
    let month = digits(&mut rest, 2)?;
    literal(&mut rest, b"-")?;
    let day = digits(&mut rest, 2)?;
    literal(&mut rest, b"Tt ")?;
    let hour = digits(&mut rest, 2)?;
    literal(&mut rest, b":")?;
    let minute = digits(&mut rest, 2)?;
    literal(&mut rest, b":")?;
    let second = digits(&mut rest, 2)?;
    let fraction_us = if rest.first() == Some(&b'.') { fraction(&mut rest)? } else { 0 };
    let offset_s = offset(rest)?;

    let date = civil::Date::new(year as i16, month as i8, day as i8).ok()?;
    if second > 60 {
        return None;
    }
    let clock = civil::Time::new(hour as i8, minute as i8, second.min(59) as i8, 0).ok()?;
    // Not by way of `jiff::Timestamp`, which ends a day before the year 9999 does.
    let epoch = civil::date(1970, 1, 1).to_datetime(civil::Time::midnight());
    let local_s = date.to_datetime(clock).duration_since(epoch).as_secs();
    in_range((local_s - offset_s) * 1_000_000 + fraction_us)
}

fn in_range(time_us: i64) -> Option<i64> {
    (FIRST_US..=LAST_US).contains(&time_us).then_some(time_us)
}

fn digits(rest: &mut &[u8], count: usize) -> Option<i64> {
    let (found, after) = rest.split_at_checked(count)?;
    *rest = after;
    found.iter().try_fold(0, |value, digit| {
        digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0'))
    })
}

fn literal(rest: &mut &[u8], one_of: &[u8]) -> Option<()> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    one_of.contains(first).then_some(())
}

/// The fraction of a second that begins with the point, cut off after six digits.
fn fraction(rest: &mut &[u8]) -> Option<i64> {
    let count = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (found, after) = rest[1..].split_at(count);
    *rest = after;
    let six = found.iter().map(|digit| i64::from(digit - b'0')).chain(std::iter::repeat(0)).take(6);
    (count > 0).then(|| six.fold(0, |us, digit| us * 10 + digit))
}

/// Seconds east of UTC: nothing, `Z`, `±hh:mm`, `±hhmm` or `±hh`.
fn offset(text: &[u8]) -> Option<i64> {
    let (sign, mut rest) = match text {
        [] | [b'Z' | b'z'] => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let hours = digits(&mut rest, 2)?;
    if rest.first() == Some(&b':') {
        rest = &rest[1..];
        // A colon promises minutes.
        (!rest.is_empty()).then_some(())?;
    }
    let minutes = if rest.is_empty() { 0 } else { digits(&mut rest, 2)? };
    let is_sound = rest.is_empty() && hours < 24 && minutes < 60;
    is_sound.then_some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use jiff::tz::Offset;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_exact_and_floored() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("0.0e99", Some(0)),
            ("1438992000", Some(1_438_992_000_000_000)),
            ("1438992000.486204", Some(1_438_992_000_486_204)),
            ("1438992000.4862049", Some(1_438_992_000_486_204)),
            ("1438992000.9999999", Some(1_438_992_000_999_999)),
            ("1.438992000486204e9", Some(1_438_992_000_486_204)),
            ("14389920004862.04E-4", Some(1_438_992_000_486_204)),
            ("0.0000001", Some(0)),
            ("0.000001", Some(1)),
            ("-0.0000001", Some(-1)),
            ("-0.000001", Some(-1)),
            ("-1.5", Some(-1_500_000)),
            ("-1.0000001", Some(-1_000_001)),
            ("1e-999999999999999999999", Some(0)),
            ("-1e-999999999999999999999", Some(-1)),
            ("1e999999999999999999999", None),
            ("99999999999", Some(99_999_999_999_000_000)),
            ("99999999999.9999999", Some(99_999_999_999_999_999)),
            ("100000000000", Some(100_000_000_000_000)),
            ("1e11", Some(100_000_000_000_000)),
            ("1438992000486", Some(1_438_992_000_486_000)),
            ("1438992000486.2049", Some(1_438_992_000_486_204)),
            ("253402300799999", Some(LAST_US - 999)),
            ("253402300799999.9999", Some(LAST_US)),
            ("253402300800000", None),
            ("1438992000486204", None),
            ("-62135596800", Some(FIRST_US)),
            ("-62135596800.0000001", None),
            ("-100000000000", None),
            ("01", None),
            ("\"1438992000\"", None),
            ("null", None),
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn texts_are_rfc3339_with_a_little_latitude() {
        for (text, expected) in [
            ("2015-08-08T00:00:00Z", Some(1_438_992_000_000_000)),
            ("2015-08-08t00:00:00z", Some(1_438_992_000_000_000)),
            ("2015-08-08 00:00:00", Some(1_438_992_000_000_000)),
            ("2015-08-08T00:00:00.486204999Z", Some(1_438_992_000_486_204)),
            ("2015-08-08T02:00:00.5+02:00", Some(1_438_992_000_500_000)),
            ("2015-08-07T18:30:00-0530", Some(1_438_992_000_000_000)),
            ("2015-08-08 02:00:00+02", Some(1_438_992_000_000_000)),
            ("2016-12-31T23:59:60Z", Some(1_483_228_799_000_000)),
            ("1969-12-31T23:59:59.9999999Z", Some(-1)),
            ("0001-01-01T00:00:00Z", Some(FIRST_US)),
            ("0001-01-01T00:00:00+00:01", None),
            ("9999-12-31T23:59:59.999999Z", Some(LAST_US)),
            ("9999-12-31T23:59:59-00:01", None),
            ("2016-02-29T00:00:00Z", Some(1_456_704_000_000_000)),
            ("2015-02-29T00:00:00Z", None),
            ("2015-13-01T00:00:00Z", None),
            ("2015-08-08T24:00:00Z", None),
            ("2015-08-08T00:60:00Z", None),
            ("2015-08-08T00:00:61Z", None),
            ("2015-08-08T00:00:00.Z", None),
            ("2015-08-08T00:00:00+24:00", None),
            ("2015-08-08T00:00:00+02:", None),
            ("2015-08-08T00:00:00+2", None),
            ("2015-08-08T00:00:00ZZ", None),
            ("2015-08-08T00:00Z", None),
            ("2015-08-08", None),
            ("+2015-08-08T00:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(rfc3339(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(parse(br#""2015-08-08T00:00:00\u005a""#), Some(1_438_992_000_000_000));
        assert_eq!(parse(b"\"2015-08-08T00:00:00\xff\""), None);
        assert_eq!(parse(b"\""), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn printed_times_are_read_back(time_us in FIRST_US..=jiff::Timestamp::MAX.as_microsecond(), east_m in -1439..1440_i32) {
            let time = jiff::Timestamp::from_microsecond(time_us).unwrap();
            prop_assert_eq!(rfc3339(time.to_string().as_bytes()), Some(time_us));
            let shown = time.display_with_offset(Offset::from_seconds(east_m * 60).unwrap()).to_string();
            if shown.len() >= 25 && !shown.starts_with(['-', '+']) && !shown.starts_with("0000") {
                prop_assert_eq!(rfc3339(shown.as_bytes()), Some(time_us), "{}", shown);
            }
            let seconds = format!("{}{}.{:06}", if time_us < 0 { "-" } else { "" },
                time_us.abs() / 1_000_000, time_us.abs() % 1_000_000);
            if time_us < 100_000_000_000_000_000 {
                prop_assert_eq!(parse(seconds.as_bytes()), Some(time_us));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9TtZz:+. \\-]{0,32}") {
            let _ = rfc3339(text.as_bytes());
            let _ = parse(text.as_bytes());
        }
    }
}
