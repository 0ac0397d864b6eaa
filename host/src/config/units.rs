//! Durations and sizes as people write them: `5ms`, `90d`, `1h30m`, `64MiB`.

use std::time::Duration;

/// The text is no duration or size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}: write a number and a unit, such as {example}")]
pub struct UnitError {
    text: String,
    what: &'static str,
    example: &'static str,
}

const DURATIONS: &[(&str, f64)] = &[
    ("us", 1e-6),
    ("µs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("min", 60.0),
    ("h", 3600.0),
    ("d", 86_400.0),
    ("w", 604_800.0),
];

const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1000),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Reads a duration: numbers with units (`us`, `ms`, `s`, `m`, `h`, `d`, `w`) that are summed up. Only
/// 0 needs no unit. The longest is a thousand years.
///
/// # Errors
/// [`UnitError`] for anything else.
///
/// # Examples
///
/// ```
/// # use statmill::config::parse_duration;
/// # use std::time::Duration;
/// assert_eq!(parse_duration("1h30m").unwrap(), Duration::from_secs(5400));
/// assert_eq!(parse_duration("1.5s").unwrap(), Duration::from_millis(1500));
/// assert!(parse_duration("5").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let error = || UnitError { text: text.to_owned(), what: "duration", example: "5ms or 90d" };
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(error());
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let (number, unit, after) = number_and_unit(rest).ok_or_else(error)?;
        let found = DURATIONS.iter().find(|(name, _)| *name == unit);
        let (_, factor) = found.ok_or_else(error)?;
        seconds += number.parse::<f64>().map_err(|_| error())? * factor;
        rest = after.trim_start();
    }
    if seconds > 1000.0 * 365.25 * 86_400.0 {
        return Err(error());
    }
    // Whole µs: 0.1 s is 100 ms and not a hair less.
    Ok(Duration::from_micros((seconds * 1e6).round() as u64))
}

/// Reads a size in bytes: a number, and a unit (`kB`, `MB`, `GB`, `KiB`, `MiB`, `GiB`…) or none.
///
/// # Errors
/// [`UnitError`] for anything else.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let error = || UnitError { text: text.to_owned(), what: "size", example: "64MiB" };
    let (number, unit, rest) = number_and_unit(text.trim()).ok_or_else(error)?;
    let found = SIZES.iter().find(|(name, _)| *name == unit || unit.is_empty());
    let (_, factor) = found.ok_or_else(error)?;
    if !rest.is_empty() {
        return Err(error());
    }
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(*factor).ok_or_else(error);
    }
    let bytes = number.parse::<f64>().map_err(|_| error())? * *factor as f64;
    if bytes > 1e18 { Err(error()) } else { Ok(bytes.round() as u64) }
}

/// `1.5h 3m` → `1.5`, `h`, ` 3m`.
fn number_and_unit(text: &str) -> Option<(&str, &str, &str)> {
    let end = text.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    if number.is_empty() {
        return None;
    }
    let rest = rest.trim_start();
    let end = rest.find(|it: char| !it.is_alphabetic()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    Some((number, unit, rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn durations_are_read_with_every_unit() {
        for (text, us) in [
            ("0", 0),
            ("20us", 20),
            ("5ms", 5000),
            ("0.1s", 100_000),
            ("1s", 1_000_000),
            (" 2 min ", 120_000_000),
            ("1h30m", 5_400_000_000),
            ("1h 30m", 5_400_000_000),
            ("90d", 7_776_000_000_000),
            ("2w", 1_209_600_000_000),
        ] {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_micros(us), "{text}");
        }
        for text in ["", "5", "s", "-1s", "1y", "1.2.3s", "1s1", "9999999d", "1e3s", "∞"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_with_every_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("64MiB", 64 << 20),
            ("1.5 KiB", 1536),
            ("2GB", 2_000_000_000),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1MiB2", "99999999999TiB", "1 potato"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
