//! Where messages come from and what is to be known of it, as one address.
//!
//! A source is a URL: a scheme, a place, and options as its query
//! (`file:/var/log/bus.ndjson?map=fedmsg`). A history is a URL too. Passwords in addresses are read but
//! never shown.

mod history;
mod options;

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use self::history::HISTORIES;
pub use self::history::{DatagrepperOptions, HistoryKind, HistoryUrl, PostgresOptions};
use self::options::{Options, duration, float, integer, one_of, size, time_us};
use super::LogError;
use super::demo::DemoParams;
use crate::config::Keep;
use crate::config::nearest::{nearest, suggestion};

/// Schemes of sources that are read now.
const SCHEMES: [&str; 4] = ["file", "stdin", "demo", "http"];
/// Schemes that are planned.
const LATER: [&str; 4] = ["zmq+tcp", "zmq", "amqp", "amqps"];

/// A source of messages.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceUrl {
    /// What it is.
    pub kind: SourceKind,
    /// Name of the field mapping; `auto` if not given.
    pub map: Option<String>,
    /// A log read in place drops messages whose identity it has seen lately.
    pub dedup: bool,
    /// How far ahead of its arrival a message's time may lie; journaled sources only.
    pub max_ahead: Option<Duration>,
    /// A message without a time gets that of its arrival; journaled sources only.
    pub arrival_time: bool,
    /// How long its journal is kept, if not as all journals are; journaled sources only.
    pub keep: Option<Keep>,
    /// Messages read a second at most; 0 = no limit.
    pub max_rate: u64,
    text: String,
}

/// The kinds of sources.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceKind {
    /// A file of one message per line, read in place.
    File(PathBuf),
    /// Lines from the standard input, through a journal.
    Stdin,
    /// The generated stream, through a journal.
    Demo(DemoParams),
    /// What is sent to `/ingest/NAME`, through a journal.
    Http(String),
}

/// Why an address makes no sense. Messages name the address without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "variant docs describe their fields")]
#[non_exhaustive]
pub enum SourceError {
    /// There is nothing before a colon that could be a scheme.
    #[error("{url:?} has no scheme; a file is named `file:{url}`, and there are {known}")]
    NoScheme { url: String, known: String },
    /// Nobody knows the scheme.
    #[error("{url:?}: there is no scheme {scheme:?}, only {known}{}", suggestion(nearest.as_deref()))]
    UnknownScheme { url: String, scheme: String, known: String, nearest: Option<String> },
    /// The scheme is known but this version has no reader for it.
    #[error("{url:?}: {scheme:?} is not in this version; it reads {known}")]
    NotInThisVersion { url: String, scheme: String, known: String },
    /// The part behind the scheme is wrong.
    #[error("{url:?}: {reason}")]
    BadPlace { url: String, reason: String },
    /// The scheme has no such option.
    #[error(
        "{url:?}: {scheme:?} has no option {option:?}, only {allowed}{}",
        suggestion(nearest.as_deref())
    )]
    UnknownOption {
        url: String,
        scheme: String,
        option: String,
        allowed: String,
        nearest: Option<String>,
    },
    /// An option's value makes no sense.
    #[error("{url:?}: option {option:?}: {reason}")]
    BadValue { url: String, option: String, reason: String },
}

impl SourceUrl {
    /// Name of the source's log: what tells it from other logs of the same host, in every run.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.kind {
            SourceKind::File(path) => format!("file:{}", path.display()),
            SourceKind::Stdin => "stdin:".to_owned(),
            SourceKind::Demo(params) => format!("demo:{}", params.seed),
            SourceKind::Http(name) => format!("http:{name}"),
        }
    }

    /// Whether its messages are written to a journal; else it is a log as it stands.
    #[must_use]
    pub fn is_journaled(&self) -> bool {
        !matches!(self.kind, SourceKind::File(_))
    }

    /// The same source with one option more.
    ///
    /// # Errors
    /// As of parsing; also if the address has the option already.
    pub fn with(&self, option: &str, value: &str) -> Result<Self, SourceError> {
        let (base, query) = self.text.split_once('?').unwrap_or((&self.text, ""));
        if Options::names(query).any(|name| name == option) {
            let (url, option) = (redacted(&self.text), option.to_owned());
            let reason = "it is given twice, in the address and beside it".to_owned();
            return Err(SourceError::BadValue { url, option, reason });
        }
        let value =
            percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
        let join = if query.is_empty() { "" } else { "&" };
        format!("{base}?{query}{join}{option}={value}").parse()
    }
}

impl FromStr for SourceUrl {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let (scheme, rest) = scheme(text, &SCHEMES)?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut url = Self {
            kind: SourceKind::Stdin,
            map: None,
            dedup: false,
            max_ahead: None,
            arrival_time: false,
            keep: None,
            max_rate: 0,
            text: text.to_owned(),
        };
        let bad_place = |reason: String| SourceError::BadPlace { url: redacted(text), reason };
        match scheme {
            "file" => {
                let options = Options::parse(text, scheme, query, &["map", "dedup", "rate"])?;
                url.max_rate = options.get("rate", |it| integer(it, 0, 1 << 32))?.unwrap_or(0);
                url.kind = SourceKind::File(path(place).map_err(bad_place)?);
                url.dedup = options.get("dedup", |it| one_of(it, &["id", "none"]))? == Some("id");
                url.map = options.text("map");
            }
            "stdin" => {
                if !["", "-"].contains(&place) {
                    let reason = "nothing follows `stdin:` but options".to_owned();
                    return Err(bad_place(reason));
                }
                let options = Options::parse(text, scheme, query, &JOURNALED)?;
                url.take_journaled(&options)?;
            }
            "http" => {
                let options = Options::parse(text, scheme, query, &JOURNALED)?;
                url.kind = SourceKind::Http(ingest_name(place).map_err(bad_place)?);
                url.take_journaled(&options)?;
            }
            _ => {
                if !place.is_empty() {
                    let reason = "nothing follows `demo:` but options".to_owned();
                    return Err(bad_place(reason));
                }
                url.kind = SourceKind::Demo(demo(text, query)?);
            }
        }
        Ok(url)
    }
}

const JOURNALED: [&str; 5] = ["map", "max_ahead", "no_time", "keep", "rate"];

impl SourceUrl {
    fn take_journaled(&mut self, options: &Options<'_>) -> Result<(), SourceError> {
        self.map = options.text("map");
        self.max_ahead = options.get("max_ahead", duration)?;
        self.keep = options.get("keep", Keep::named)?;
        self.max_rate = options.get("rate", |it| integer(it, 0, 1 << 32))?.unwrap_or(0);
        let no_time = options.get("no_time", |it| one_of(it, &["arrival", "reject"]))?;
        self.arrival_time = no_time == Some("arrival");
        Ok(())
    }
}

fn demo(text: &str, query: &str) -> Result<DemoParams, SourceError> {
    let names = ["rate", "days", "per_day", "seed", "size", "start", "count"];
    let options = Options::parse(text, "demo", query, &names)?;
    let usual = DemoParams::default();
    Ok(DemoParams {
        rate: options.get("rate", |it| float(it, 0.001, 1e6))?.unwrap_or(usual.rate),
        days: options.get("days", |it| integer(it, 0, 3660))?.unwrap_or(usual.days.into()) as u32,
        per_day: options.get("per_day", |it| integer(it, 0, 1 << 36))?.unwrap_or(usual.per_day),
        seed: options.get("seed", |it| integer(it, 0, u64::MAX))?.unwrap_or(usual.seed),
        size: options.get("size", |it| size(it, 100, 8 << 20))?.unwrap_or(usual.size as u64)
            as usize,
        start_us: options.get("start", time_us)?,
        count: options.get("count", |it| integer(it, 0, u64::MAX))?,
    })
}

impl fmt::Display for SourceUrl {
    /// Without passwords and tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(&self.text))
    }
}

impl From<SourceError> for LogError {
    fn from(error: SourceError) -> Self {
        let url = match &error {
            SourceError::NoScheme { url, .. }
            | SourceError::UnknownScheme { url, .. }
            | SourceError::NotInThisVersion { url, .. }
            | SourceError::BadPlace { url, .. }
            | SourceError::UnknownOption { url, .. }
            | SourceError::BadValue { url, .. } => url.clone(),
        };
        let text = error.to_string();
        let reason = text.strip_prefix(&format!("{url:?}: ")).unwrap_or(&text).to_owned();
        Self::BadSource { url, reason }
    }
}

/// `scheme:rest`, if the scheme is one of the `readable`.
fn scheme<'a>(text: &'a str, readable: &[&str]) -> Result<(&'a str, &'a str), SourceError> {
    let known = || {
        let quoted: Vec<_> = readable.iter().map(|scheme| format!("`{scheme}:`")).collect();
        quoted.join(", ")
    };
    let is_scheme = |it: &str| {
        it.starts_with(|first: char| first.is_ascii_alphabetic())
            && it.chars().all(|it| it.is_ascii_alphanumeric() || "+-.".contains(it))
    };
    let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
        return Err(SourceError::NoScheme { url: redacted(text), known: known() });
    };
    if readable.contains(&scheme) {
        return Ok((scheme, rest));
    }
    let (url, scheme) = (redacted(text), scheme.to_owned());
    if HISTORIES.contains(&scheme.as_str()) {
        let reason = "it is a history, not a source: give it with --history".to_owned();
        return Err(SourceError::BadPlace { url, reason });
    }
    if SCHEMES.contains(&scheme.as_str()) {
        let reason = format!("{scheme:?} has no past to ask for; a history is one of {}", known());
        return Err(SourceError::BadPlace { url, reason });
    }
    if LATER.contains(&scheme.as_str()) || scheme == "https" {
        return Err(SourceError::NotInThisVersion { url, scheme, known: known() });
    }
    let nearest = nearest(&scheme, readable.iter().copied().chain(LATER)).map(str::to_owned);
    Err(SourceError::UnknownScheme { url, scheme, known: known(), nearest })
}

/// The path of a file address: `PATH`, relative or not, or `//` and an absolute path. `%3F` is a `?`.
fn path(place: &str) -> Result<PathBuf, String> {
    let place = match place.strip_prefix("//") {
        None => place,
        Some(rest) if rest.starts_with('/') => rest,
        Some(rest) if rest.starts_with("localhost/") => &rest["localhost".len()..],
        Some(_) => return Err("a file on another host cannot be read".to_owned()),
    };
    if place.is_empty() {
        return Err("it names no file; write `file:PATH`".to_owned());
    }
    let bytes: Vec<u8> = percent_decode_str(place).collect();
    if bytes.contains(&0) {
        return Err("a path has no zero bytes".to_owned());
    }
    Ok(Path::new(OsStr::from_bytes(&bytes)).to_path_buf())
}

fn ingest_name(place: &str) -> Result<String, String> {
    if place.starts_with("//") {
        let reason = "nothing is fetched over HTTP; `http:NAME` takes what is sent to /ingest/NAME";
        return Err(reason.to_owned());
    }
    let fine = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    if place.is_empty() || place.len() > 64 || place.starts_with('.') || !place.chars().all(fine) {
        let reason = "a name has 1 to 64 of letters, digits, `-`, `_` and `.`, no `.` in front";
        return Err(reason.to_owned());
    }
    Ok(place.to_owned())
}

/// The address without what stands between `//` and the last `@`, and without secret options. Passwords may
/// hold any character, so that all before an `@` may be one; file names hold none.
pub(crate) fn redacted(text: &str) -> String {
    let login = match text.find("//").filter(|_| !text.starts_with("file:")) {
        Some(at) => text[at + 2..].rfind('@').map(|end| at + 2..at + 2 + end),
        None => None,
    };
    let mut shown = text.to_owned();
    if let Some(login) = login {
        shown.replace_range(login, "***");
    }
    let Some((base, query)) = shown.split_once('?') else { return shown };
    let secret = ["password", "token", "secret", "key"];
    let parts = query.split('&').map(|part| match part.split_once('=') {
        Some((name, _)) if secret.iter().any(|it| name.contains(it)) => format!("{name}=***"),
        _ => part.to_owned(),
    });
    format!("{base}?{}", parts.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests;
