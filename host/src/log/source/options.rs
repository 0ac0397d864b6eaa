//! Options of an address: the part behind the question mark.

use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::{SourceError, redacted};
use crate::config::nearest::nearest;
use crate::config::{parse_duration, parse_size};

/// Options that may be given several times.
const REPEATABLE: [&str; 3] = ["bind", "topic", "endpoint"];

/// The options given, all of them known.
pub(super) struct Options<'a> {
    url: &'a str,
    given: Vec<(&'a str, String)>,
}

impl<'a> Options<'a> {
    pub(super) fn parse(
        url: &'a str,
        scheme: &str,
        query: &'a str,
        allowed: &[&str],
    ) -> Result<Self, SourceError> {
        let mut given: Vec<(&str, String)> = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            if !allowed.contains(&name) {
                let near = nearest(name, allowed.iter().copied()).map(str::to_owned);
                // What looks like no name may be the rest of a password with a question mark in it.
                let is_name =
                    name.chars().all(|it| it.is_ascii_alphanumeric() || "-_".contains(it));
                return Err(SourceError::UnknownOption {
                    url: redacted(url),
                    scheme: scheme.to_owned(),
                    option: if is_name { name } else { "***" }.to_owned(),
                    allowed: allowed.join(", "),
                    nearest: near,
                });
            }
            let bad = |reason: &str| SourceError::BadValue {
                url: redacted(url),
                option: name.to_owned(),
                reason: reason.to_owned(),
            };
            if !REPEATABLE.contains(&name) && given.iter().any(|(other, _)| *other == name) {
                return Err(bad("it is given twice"));
            }
            let value =
                percent_decode_str(value).decode_utf8().map_err(|_| bad("it is no text"))?;
            if value.is_empty() {
                return Err(bad("it has no value"));
            }
            given.push((name, value.into_owned()));
        }
        Ok(Self { url, given })
    }

    /// Names of the options in a query.
    pub(super) fn names(query: &str) -> impl Iterator<Item = &str> {
        query.split('&').map(|part| part.split_once('=').map_or(part, |(name, _)| name))
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.given.iter().find(|(other, _)| *other == name).map(|(_, value)| value.clone())
    }

    /// All values of an option that may be given several times.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let values = self.given.iter().filter(|(other, _)| *other == name);
        values.map(|(_, value)| value.clone()).collect()
    }

    pub(super) fn get<'s, T>(
        &'s self,
        name: &str,
        read: impl FnOnce(&'s str) -> Result<T, String>,
    ) -> Result<Option<T>, SourceError> {
        let Some((_, value)) = self.given.iter().find(|(other, _)| *other == name) else {
            return Ok(None);
        };
        let bad = |reason| SourceError::BadValue {
            url: redacted(self.url),
            option: name.to_owned(),
            reason,
        };
        read(value).map(Some).map_err(bad)
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(format!("{text:?} is not one of true, false")),
    }
}

pub(super) fn integer(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("{text:?} is no whole number from {least} to {most}"))
}

pub(super) fn size(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let bytes = parse_size(text).map_err(|error| error.to_string())?;
    if (least..=most).contains(&bytes) {
        return Ok(bytes);
    }
    Err(format!("{text:?} is not from {least} to {most} bytes"))
}

pub(super) fn float(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("{text:?} is no number from {least} to {most}"))
}

pub(super) fn one_of<'a>(text: &'a str, allowed: &[&str]) -> Result<&'a str, String> {
    if allowed.contains(&text) {
        return Ok(text);
    }
    Err(format!("{text:?} is not one of {}", allowed.join(", ")))
}

/// A time as seconds since 1970 or RFC 3339, in µs.
pub(super) fn time_us(text: &str) -> Result<i64, String> {
    // The year 1000 to the year 5000: a demo needs no more.
    let seconds = text.parse().ok().filter(|it: &f64| (-3e10..1e11).contains(it));
    if let Some(seconds) = seconds {
        return Ok((seconds * 1e6).round() as i64);
    }
    let time: Result<jiff::Timestamp, _> = text.parse();
    time.map(jiff::Timestamp::as_microsecond).map_err(|_| {
        format!("{text:?} is no time: write seconds since 1970, or 2026-01-31T00:00:00Z")
    })
}
