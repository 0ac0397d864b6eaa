//! Addresses of histories: where past messages can be had, and how they are asked for.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::options::{Options, duration, integer};
use super::{SourceError, path, redacted, scheme};

/// Schemes of histories.
pub(super) const HISTORIES: [&str; 5] =
    ["file", "datagrepper+http", "datagrepper+https", "postgres", "postgresql"];

/// Where past messages can be had.
#[derive(Clone, PartialEq, Eq)]
pub struct HistoryUrl {
    /// What it is.
    pub kind: HistoryKind,
    /// Name of the field mapping.
    pub map: Option<String>,
    text: String,
}

/// The kinds of histories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryKind {
    /// Files of one message per line, in any order of time.
    File(PathBuf),
    /// A datagrepper, over HTTP.
    Datagrepper(DatagrepperOptions),
    /// The tables that datanommer writes, in PostgreSQL.
    Postgres(PostgresOptions),
}

/// How a datagrepper is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatagrepperOptions {
    /// The query's address, `https://host/raw` or `https://host/v2/search`.
    pub url: String,
    /// How late it may have a message.
    pub settle: Duration,
    /// Span of time asked for at first; it adapts to how much there is.
    pub slice: Duration,
    /// Rows of a page.
    pub rows: usize,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Parts of the query that choose messages: names and values.
    pub chosen: Vec<(&'static str, String)>,
}

/// How datanommer's tables are read.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    /// Name or address of the server, or the folder of its socket.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who asks.
    pub user: String,
    /// The password, if the server wants one.
    pub password: Option<String>,
    /// The database.
    pub database: String,
    /// How late it may have a message.
    pub settle: Duration,
    /// Rows read at once.
    pub rows: usize,
    /// How long a statement may take.
    pub timeout: Duration,
    /// The connection is encrypted, and the server's certificate checked.
    pub tls: bool,
}

/// Late messages are in an archive within seconds; what takes longer is named by `settle=`.
const SETTLE: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(60);
/// More makes each fill end late for no use.
const LONGEST: Duration = Duration::from_secs(86_400);

impl HistoryUrl {
    /// Name of the history, the same in every run and whatever its options.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.kind {
            HistoryKind::File(path) => format!("file:{}", path.display()),
            _ => redacted(self.text.split('?').next().unwrap_or_default()),
        }
    }

    /// Whether a place of a pass over the history at `other` (as shown) is one of this as well.
    #[must_use]
    pub fn is_same_as(&self, other: &str) -> bool {
        let shown = self.to_string();
        shown.split('?').next() == other.split('?').next()
    }
}

impl FromStr for HistoryUrl {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let (scheme, rest) = scheme(text, &HISTORIES)?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let bad_place = |reason: String| SourceError::BadPlace { url: redacted(text), reason };
        let (kind, map) = match scheme {
            "file" => {
                let options = Options::parse(text, scheme, query, &["map"])?;
                (HistoryKind::File(path(place).map_err(bad_place)?), options.text("map"))
            }
            "datagrepper+http" | "datagrepper+https" => {
                let names = ["settle", "slice", "rows", "timeout", "topic", "category", "map"];
                let options = Options::parse(text, scheme, query, &names)?;
                let protocol = scheme.trim_start_matches("datagrepper+");
                let url = datagrepper_url(protocol, place).map_err(bad_place)?;
                (HistoryKind::Datagrepper(datagrepper(url, &options)?), options.text("map"))
            }
            _ => {
                let names = ["settle", "rows", "timeout", "tls", "map"];
                let options = Options::parse(text, scheme, query, &names)?;
                let place = PostgresPlace::parse(place).map_err(bad_place)?;
                (HistoryKind::Postgres(postgres(place, &options)?), options.text("map"))
            }
        };
        Ok(Self { kind, map, text: text.to_owned() })
    }
}

fn datagrepper(url: String, options: &Options<'_>) -> Result<DatagrepperOptions, SourceError> {
    let mut chosen = Vec::new();
    for name in ["topic", "category"] {
        let values = options.text(name).unwrap_or_default();
        let values = values.split(',').filter(|value| !value.is_empty());
        chosen.extend(values.map(|value| (name, value.to_owned())));
    }
    Ok(DatagrepperOptions {
        url,
        settle: options.get("settle", |it| span(it, Duration::ZERO))?.unwrap_or(SETTLE),
        slice: options
            .get("slice", |it| span(it, Duration::from_secs(1)))?
            .unwrap_or(Duration::from_secs(3600)),
        rows: options.get("rows", |it| integer(it, 1, 100))?.unwrap_or(100) as usize,
        timeout: options.get("timeout", |it| span(it, SHORTEST_WAIT))?.unwrap_or(TIMEOUT),
        chosen,
    })
}

const SHORTEST_WAIT: Duration = Duration::from_millis(10);

fn span(text: &str, least: Duration) -> Result<Duration, String> {
    let span = duration(text)?;
    if (least..=LONGEST).contains(&span) {
        return Ok(span);
    }
    Err(format!("{text:?} is not from {least:?} to a day"))
}

/// The address of `place` (`//host/raw`).
fn datagrepper_url(protocol: &str, place: &str) -> Result<String, String> {
    let rest = place.strip_prefix("//").ok_or("write `datagrepper+https://HOST/raw`")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.is_empty() {
        return Err("it names no host; write `datagrepper+https://HOST/raw`".to_owned());
    }
    if authority.contains('@') {
        return Err("it must not hold a password: a datagrepper asks for none".to_owned());
    }
    let path = path.trim_end_matches('/');
    if path != "raw" && !path.ends_with("/raw") && !path.ends_with("v2/search") {
        let reason = "its path must end in /raw or in /v2/search";
        return Err(format!("{reason}; write `datagrepper+{protocol}://{authority}/raw`"));
    }
    Ok(format!("{protocol}://{authority}/{path}"))
}

struct PostgresPlace {
    host: String,
    port: u16,
    user: String,
    password: Option<String>,
    database: String,
}

impl PostgresPlace {
    /// Reads `//user:password@host:port/database`.
    fn parse(place: &str) -> Result<Self, String> {
        let form = "write `postgres://USER@HOST/DATABASE`";
        let rest = place.strip_prefix("//").ok_or(form)?;
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, host) =
            authority.rsplit_once('@').ok_or(format!("it names no user; {form}"))?;
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(decoded(password)?)),
            None => (login, None),
        };
        // An address of version 6 stands in brackets.
        let (host, port) = match host.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
            Some((host, port)) => (host, port.parse().map_err(|_| "its port is none")?),
            None => (host, 5432),
        };
        let place = Self {
            host: decoded(host.trim_start_matches('[').trim_end_matches(']'))?,
            port,
            user: decoded(user)?,
            password,
            database: decoded(database)?,
        };
        if place.host.is_empty() || place.user.is_empty() || place.database.is_empty() {
            return Err(format!("it lacks a user, a host or a database; {form}"));
        }
        Ok(place)
    }
}

fn decoded(text: &str) -> Result<String, String> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| "it is no text")?;
    if text.contains('\0') {
        return Err("it has a zero byte".to_owned());
    }
    Ok(text.into_owned())
}

fn postgres(place: PostgresPlace, options: &Options<'_>) -> Result<PostgresOptions, SourceError> {
    // A password that is read by someone else costs more than a setting.
    let is_near = place.host.starts_with('/')
        || place.host == "localhost"
        || place.host.parse().is_ok_and(|it: std::net::IpAddr| it.is_loopback());
    let tls = options.get("tls", |it| super::options::one_of(it, &["require", "off"]))?;
    Ok(PostgresOptions {
        host: place.host,
        port: place.port,
        user: place.user,
        password: place.password,
        database: place.database,
        settle: options.get("settle", |it| span(it, Duration::ZERO))?.unwrap_or(SETTLE),
        rows: options.get("rows", |it| integer(it, 1, 4096))?.unwrap_or(1000) as usize,
        timeout: options.get("timeout", |it| span(it, SHORTEST_WAIT))?.unwrap_or(TIMEOUT),
        tls: tls.map_or(!is_near, |tls| tls == "require"),
    })
}

impl fmt::Display for HistoryUrl {
    /// Without passwords and tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(&self.text))
    }
}

impl fmt::Debug for HistoryUrl {
    /// Without passwords and tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HistoryUrl({self})")
    }
}

impl fmt::Debug for PostgresOptions {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, user, database, .. } = self;
        write!(f, "PostgresOptions({user}@{host}:{port}/{database})")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parse(text: &str) -> Result<HistoryUrl, SourceError> {
        text.parse()
    }

    #[test]
    fn a_datagrepper_is_an_address_and_how_it_is_asked() {
        let url = "datagrepper+https://apps.example.org/datagrepper/raw/?settle=30s&slice=10m\
            &rows=50&timeout=5s&topic=a.b,c.d&category=git";
        let HistoryKind::Datagrepper(options) = parse(url).unwrap().kind else { panic!() };
        let chosen =
            [("topic", "a.b"), ("topic", "c.d"), ("category", "git")].map(|(n, v)| (n, v.into()));
        assert_eq!(
            options,
            DatagrepperOptions {
                url: "https://apps.example.org/datagrepper/raw".to_owned(),
                settle: Duration::from_secs(30),
                slice: Duration::from_secs(600),
                rows: 50,
                timeout: Duration::from_secs(5),
                chosen: chosen.to_vec(),
            }
        );
        let modern = parse("datagrepper+http://127.0.0.1:8080/v2/search").unwrap();
        assert!(matches!(modern.kind, HistoryKind::Datagrepper(it) if it.rows == 100));
        for (bad, reason) in [
            ("datagrepper+https:x", "HOST/raw"),
            ("datagrepper+https:///raw", "names no host"),
            ("datagrepper+https://a/", "must end in /raw"),
            ("datagrepper+https://a/raw?rows=0", "from 1 to 100"),
            ("datagrepper+https://a/raw?slice=10ms", "not from 1s to a day"),
            ("datagrepper+https://a/raw?grouped=1", "no option \"grouped\""),
            ("datagrepper+https://me:hush@a/raw", "must not hold a password"),
        ] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn a_password_is_read_and_never_shown() {
        let text = "postgres://me:h%40ush@[::1]:5433/messages?settle=0s";
        let url = parse(text).unwrap();
        let shown = format!("{url} {url:?} {} {:?}", url.name(), url.kind);
        assert!(!shown.contains("ush"), "{shown}");
        let HistoryKind::Postgres(options) = url.kind else { panic!() };
        assert_eq!(options.password.as_deref(), Some("h@ush"));
        assert_eq!((options.host.as_str(), options.port), ("::1", 5433));
        assert_eq!((options.user.as_str(), options.database.as_str()), ("me", "messages"));
        assert!(!options.tls);
        let far = parse("postgres://me@db.example.org/messages").unwrap();
        assert!(matches!(far.kind, HistoryKind::Postgres(it) if it.tls && it.port == 5432));
        for bad in ["postgres://host/db", "postgres://me@host", "postgres://me@/db", "postgres:me"]
        {
            assert!(parse(bad).unwrap_err().to_string().contains("postgres://USER@HOST"), "{bad}");
        }
    }

    #[test]
    fn a_history_is_the_same_whatever_its_options() {
        let url = parse("postgres://me:a@host/db?settle=1s").unwrap();
        assert!(url.is_same_as(&parse("postgres://me:b@host/db").unwrap().to_string()));
        assert!(!url.is_same_as("file:old.ndjson"));
    }
}
