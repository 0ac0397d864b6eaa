//! Times as people write them in a query, and as answers print them.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// What [`parse`] takes, for error texts and docs.
pub const ALLOWED: &str = "Unix seconds, milliseconds from 1e11 on, RFC 3339, a date, `now`, or a \
                           time relative to now such as `-7d`, `now-6h` or `-1h30m`";

/// What [`span`] takes, for error texts and docs.
pub const SPAN_ALLOWED: &str =
    "a number of seconds, or a length such as `90s`, `15m`, `1h30m`, `7d`";

const MICROS: i64 = 1_000_000;
/// From here on a number means milliseconds: as seconds it would be the year 5138.
const MILLIS_FROM: f64 = 1e11;

/// A time, µs since 1970, UTC; as text RFC 3339 (`2017-07-14T02:40:00Z`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcTime(pub i64);

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_microsecond(self.0) {
            Ok(time) => time.fmt(f),
            // Beyond the years RFC 3339 can write.
            Err(_) => f.write_str(&unix(self.0)),
        }
    }
}

impl Serialize for UtcTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtcTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text, 0).map(Self).ok_or_else(|| serde::de::Error::custom("not a time"))
    }
}

/// Returns `time_us` as Unix seconds the way statscache printed them: always with a fraction, which
/// is `0` for a whole second and never longer than it need be.
///
/// # Examples
///
/// ```
/// # use statmill::query::time::unix;
/// assert_eq!(unix(1_500_000_000_000_000), "1500000000.0");
/// assert_eq!(unix(-250_000), "-0.25");
/// ```
#[must_use]
pub fn unix(time_us: i64) -> String {
    let sign = if time_us < 0 { "-" } else { "" };
    let (whole, fraction) =
        (time_us.unsigned_abs() / 1_000_000, time_us.unsigned_abs() % 1_000_000);
    if fraction == 0 {
        return format!("{sign}{whole}.0");
    }
    let text = format!("{sign}{whole}.{fraction:06}");
    text.trim_end_matches('0').to_owned()
}

/// Reads a time as [`ALLOWED`] says; `now_us` is what `now` means.
#[must_use]
pub fn parse(text: &str, now_us: i64) -> Option<i64> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("now") {
        return if rest.is_empty() { Some(now_us) } else { relative(rest, now_us) };
    }
    if let Ok(number) = text.parse::<i64>() {
        let unit = if number.unsigned_abs() as f64 >= MILLIS_FROM { 1_000 } else { MICROS };
        return number.checked_mul(unit);
    }
    if let Ok(number) = text.parse::<f64>() {
        let unit = if number.abs() >= MILLIS_FROM { 1e3 } else { 1e6 };
        let time_us = (number * unit).round();
        return (time_us.abs() < 9e18).then_some(time_us as i64);
    }
    relative(text, now_us).or_else(|| calendar(text))
}

/// `-7d`, `+1h30m`: a sign, then numbers with units.
fn relative(text: &str, now_us: i64) -> Option<i64> {
    let sign = match text.as_bytes().first()? {
        b'-' => -1,
        // An unescaped `+` of a query string arrives as a blank.
        b'+' | b' ' => 1,
        _ => return None,
    };
    now_us.checked_add(units(&text[1..])?.checked_mul(sign)?)
}

/// Reads a length of time as [`SPAN_ALLOWED`] says, µs.
#[must_use]
pub fn span(text: &str) -> Option<i64> {
    let text = text.trim();
    match text.parse::<f64>() {
        Ok(seconds) => {
            let micros = (seconds * 1e6).round();
            (0.0..9e18).contains(&micros).then_some(micros as i64)
        }
        Err(_) => units(text),
    }
}

/// Reads the length of a window: one second or more, and whole seconds.
#[must_use]
pub fn whole_seconds(text: &str) -> Option<u64> {
    let micros = u64::try_from(span(text)?).ok()?;
    (micros > 0 && micros.is_multiple_of(MICROS as u64)).then_some(micros / MICROS as u64)
}

/// Length of `1d12h` and the like, µs.
fn units(text: &str) -> Option<i64> {
    let (mut total, mut number) = (0i64, None);
    let mut rest = text;
    while let Some(first) = rest.bytes().next() {
        if first.is_ascii_digit() {
            let next = number.unwrap_or(0i64).checked_mul(10)?;
            number = Some(next.checked_add(i64::from(first - b'0'))?);
            rest = &rest[1..];
            continue;
        }
        let (unit, length) = match first {
            b'm' if rest.starts_with("ms") => (1_000, 2),
            b's' => (MICROS, 1),
            b'm' => (60 * MICROS, 1),
            b'h' => (3_600 * MICROS, 1),
            b'd' => (86_400 * MICROS, 1),
            b'w' => (7 * 86_400 * MICROS, 1),
            b'y' => (365 * 86_400 * MICROS, 1),
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
        rest = &rest[length..];
    }
    (number.is_none() && !text.is_empty()).then_some(total)
}

/// RFC 3339, or a date with or without a time, taken as UTC.
fn calendar(text: &str) -> Option<i64> {
    let instant = |text: &str| text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond);
    instant(text)
        .or_else(|| {
            // The `+` of an offset arrives as a blank when a client did not escape it.
            let (time, offset) = text.rsplit_once(' ')?;
            instant(&format!("{time}+{offset}"))
        })
        .or_else(|| {
            let civil = text.parse::<DateTime>().ok()?;
            Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000_000;

    #[test]
    fn every_form_of_the_same_time_is_the_same_time() {
        let expected = Some(1_500_000_000_000_000);
        for text in [
            "1500000000",
            "1500000000.0",
            "1.5e9",
            "1500000000000",
            "2017-07-14T02:40:00Z",
            "2017-07-14T04:40:00+02:00",
            "2017-07-14T04:40:00 02:00",
            "2017-07-14 02:40:00",
        ] {
            assert_eq!(parse(text, NOW), expected, "{text}");
        }
        assert_eq!(parse("2017-07-14", NOW), Some(1_499_990_400_000_000));
        assert_eq!(parse("1500000000.25", NOW), Some(1_500_000_000_250_000));
        assert_eq!(parse("-7", NOW), Some(-7_000_000));
    }

    #[test]
    fn relative_times_count_from_now() {
        assert_eq!(parse("now", NOW), Some(NOW));
        assert_eq!(parse("-7d", NOW), Some(NOW - 7 * 86_400 * MICROS));
        assert_eq!(parse("now-1h30m", NOW), Some(NOW - 5_400 * MICROS));
        assert_eq!(parse("now+500ms", NOW), Some(NOW + 500_000));
    }

    #[test]
    fn a_length_is_seconds_or_numbers_with_units() {
        assert_eq!(span("90"), Some(90 * MICROS));
        assert_eq!(span("0.5"), Some(500_000));
        assert_eq!(span("1h30m"), Some(5_400 * MICROS));
        assert_eq!(whole_seconds("7d"), Some(604_800));
        for text in ["", "-1", "NaN", "inf", "1e300", "h", "-1h", "1x"] {
            assert_eq!(span(text), None, "{text}");
        }
        for text in ["0", "0.5", "500ms", "1.5"] {
            assert_eq!(whole_seconds(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "x",
            "-",
            "-d",
            "now7d",
            "-7d3",
            "NaN",
            "inf",
            "1e300",
            "99999999999999999999",
            "-é",
            "2017-13-01",
            "-99999999999999w",
        ] {
            assert_eq!(parse(text, NOW), None, "{text}");
        }
    }

    #[test]
    fn printed_times_keep_their_fraction_and_sign() {
        assert_eq!(unix(1_500_000_000_750_000), "1500000000.75");
        assert_eq!(unix(-1_000_000), "-1.0");
        assert_eq!(unix(i64::MIN), "-9223372036854.775808");
        assert_eq!(UtcTime(1_500_000_000_000_000).to_string(), "2017-07-14T02:40:00Z");
        assert_eq!(UtcTime(i64::MAX).to_string(), "9223372036854.775807");
    }
}
