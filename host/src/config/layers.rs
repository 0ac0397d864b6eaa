//! Values by key, each with its origin; a later layer goes before an earlier one, key by key.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::Flags;
use super::error::ConfigError;
use super::keys::{KEYS, NO_SETTINGS, NO_SETTINGS_PREFIX, begins, find, nearest};
use super::units::{parse_duration, parse_size};

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere.
    Default,
    /// In a file, at a line.
    File(PathBuf, usize),
    /// In a variable of the environment.
    Environment(String),
    /// On the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A value for people to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key's path, with dots.
    pub key: String,
    /// The value as in a file; stars if it is a secret.
    pub value: String,
    /// Where it was set.
    pub origin: Origin,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}  # {}", self.key, self.value, self.origin)
    }
}

#[derive(Debug, Default)]
pub(super) struct Layers {
    values: BTreeMap<Vec<String>, (Value, Origin)>,
    /// Tables with names the user chose, also those without a known key.
    names: BTreeMap<(String, String), Origin>,
    sources: Vec<String>,
}

impl Layers {
    pub(super) fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_path_buf(), source })?;
        let syntax = |error: &toml::de::Error| ConfigError::Syntax {
            path: path.to_path_buf(),
            line: line_of(&text, error.span()),
            reason: error.message().to_owned(),
        };
        let table: Table = toml::from_str(&text).map_err(|error| syntax(&error))?;
        let spans = DeTable::parse(&text).map_err(|error| syntax(&error))?;
        let file = File { path, text: &text };
        self.add_table(&file, &mut Vec::new(), table, spans.get_ref())
    }

    fn add_table(
        &mut self,
        file: &File<'_>,
        path: &mut Vec<String>,
        table: Table,
        spans: &DeTable<'_>,
    ) -> Result<(), ConfigError> {
        for (name, value) in table {
            let place = spans.iter().find(|(key, _)| key.get_ref() == name.as_str());
            let line = line_of(file.text, place.map(|(key, _)| key.span()));
            let origin = Origin::File(file.path.to_path_buf(), line);
            path.push(name);
            let inner = match place.map(|(_, value)| value.get_ref()) {
                Some(DeValue::Table(inner)) => Some(inner),
                _ => None,
            };
            match (value, inner) {
                (value, _) if find(path).is_some() => {
                    self.set(path.clone(), value, origin);
                }
                (Value::Table(table), Some(inner)) if KEYS.iter().any(|key| begins(key, path)) => {
                    self.note_name(path, &origin);
                    self.add_table(file, path, table, inner)?;
                }
                _ => return Err(unknown(path, origin)),
            }
            path.pop();
        }
        Ok(())
    }

    pub(super) fn add_environment(
        &mut self,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        let mut given: Vec<(String, String)> = environment
            .into_iter()
            .filter(|(name, _)| {
                name.strip_prefix("STATMILL_").is_some_and(|rest| {
                    !NO_SETTINGS.contains(&rest) && !rest.starts_with(NO_SETTINGS_PREFIX)
                })
            })
            .collect();
        given.sort();
        for (variable, text) in given {
            let rest = variable.trim_start_matches("STATMILL_").to_lowercase();
            let mut path: Vec<String> = rest.split("__").map(str::to_owned).collect();
            self.spell_as_in_the_file(&mut path);
            let origin = Origin::Environment(variable);
            if find(&path).is_none() {
                return Err(unknown(&path, origin));
            }
            self.set(path, Value::String(text), origin);
        }
        Ok(())
    }

    /// Names of variables have no hyphens: `volume_by_user` may be the file's `volume-by-user`.
    fn spell_as_in_the_file(&self, path: &mut [String]) {
        if let [table, name, ..] = path {
            let same = |it: &&(String, String)| {
                it.0 == *table && it.1.to_lowercase().replace('-', "_") == *name
            };
            if let Some((_, known)) = self.names.keys().find(same) {
                known.clone_into(name);
            }
        }
    }

    pub(super) fn add_flags(&mut self, flags: &Flags) {
        let mut set = |key: &str, flag: &str, value: Option<Value>| {
            if let Some(value) = value {
                self.set(vec![key.to_owned()], value, Origin::Flag(flag.to_owned()));
            }
        };
        let text = |text: &Option<String>| text.clone().map(Value::String);
        let path = |path: &PathBuf| Value::String(path.to_string_lossy().into_owned());
        set("data", "--data", flags.data.as_ref().map(path));
        let plugins: Vec<Value> = flags.plugins.iter().map(path).collect();
        set("plugins", "--plugins", (!plugins.is_empty()).then_some(Value::Array(plugins)));
        set("dashboards", "--dashboards", flags.dashboards.as_ref().map(path));
        set("history", "--history", text(&flags.history));
        set("listen", "--listen", text(&flags.listen));
        set("checkpoint", "--checkpoint", text(&flags.checkpoint));
        set("durable_every", "--durable-every", text(&flags.durable_every));
        let number = |number: Option<usize>| number.map(|number| Value::Integer(number as i64));
        set("threads", "--threads", number(flags.threads));
        set("ingest_threads", "--ingest-threads", number(flags.ingest_threads));
        set("isolation", "--isolation", text(&flags.isolation));
        self.sources.clone_from(&flags.sources);
    }

    fn set(&mut self, path: Vec<String>, value: Value, origin: Origin) {
        self.note_name(&path, &origin);
        self.values.insert(path, (value, origin));
    }

    fn note_name(&mut self, path: &[String], origin: &Origin) {
        let chosen = |it: &&super::keys::Key| it.path.get(1) == Some(&"*") && begins(it, path);
        if let [table, name, ..] = path
            && KEYS.iter().any(|key| chosen(&key))
        {
            let entry = self.names.entry((table.clone(), name.clone()));
            entry.or_insert_with(|| origin.clone());
        }
    }

    /// The names the user chose in a table, in order.
    pub(super) fn names(&self, table: &str) -> Vec<&String> {
        self.names.keys().filter(|(other, _)| other == table).map(|(_, name)| name).collect()
    }

    /// The sources of the command line.
    pub(super) fn flag_sources(&self) -> &[String] {
        &self.sources
    }

    pub(super) fn has(&self, key: &[&str]) -> bool {
        self.values.contains_key(&owned(key))
    }

    pub(super) fn origin(&self, key: &[&str]) -> Origin {
        if key.first() == Some(&"--source") {
            return Origin::Flag("--source".to_owned());
        }
        if let Some((_, origin)) = self.values.get(&owned(key)) {
            return origin.clone();
        }
        match key {
            [table, name] => {
                let named = self.names.get(&((*table).to_owned(), (*name).to_owned()));
                named.cloned().unwrap_or(Origin::Default)
            }
            _ => Origin::Default,
        }
    }

    fn value(&self, key: &[&str]) -> Option<Value> {
        let path = owned(key);
        if let Some((value, _)) = self.values.get(&path) {
            return Some(value.clone());
        }
        default(find(&path)?.default?)
    }

    pub(super) fn bad_value(&self, key: &[&str], reason: String) -> ConfigError {
        let name = if key.first() == Some(&"--source") { "source".into() } else { key.join(".") };
        ConfigError::BadValue { origin: self.origin(key), key: name, reason }
    }

    pub(super) fn missing(&self, table: &[&str], key: &str) -> ConfigError {
        let origin = self.origin(table);
        ConfigError::Missing { origin, table: table.join("."), key: key.to_owned() }
    }

    pub(super) fn text(&self, key: &[&str]) -> Result<Option<String>, ConfigError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, &other, "a text")),
        }
    }

    pub(super) fn parsed<T>(
        &self,
        key: &[&str],
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        read(&text).map(Some).map_err(|reason| self.bad_value(key, reason))
    }

    pub(super) fn duration(&self, key: &[&str]) -> Result<Option<Duration>, ConfigError> {
        self.parsed(key, |text| parse_duration(text).map_err(|error| error.to_string()))
    }

    /// One text, or several: as an array, or in a variable with commas between them.
    pub(super) fn texts(&self, key: &[&str]) -> Result<Vec<String>, ConfigError> {
        match self.value(key) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Ok(parts.map(str::to_owned).collect())
            }
            Some(Value::Array(items)) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Ok(text),
                    other => Err(self.wrong(key, &other, "a text")),
                })
                .collect(),
            Some(other) => Err(self.wrong(key, &other, "a list of texts")),
        }
    }

    pub(super) fn whole(
        &self,
        key: &[&str],
        least: u64,
        most: u64,
    ) -> Result<Option<u64>, ConfigError> {
        let number = match self.value(key) {
            None => return Ok(None),
            Some(Value::Integer(number)) => u64::try_from(number).ok(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(other) => return Err(self.wrong(key, &other, "a whole number")),
        };
        match number.filter(|number| (least..=most).contains(number)) {
            Some(number) => Ok(Some(number)),
            None if most == u64::MAX => {
                Err(self.bad_value(key, format!("write a whole number of {least} or more")))
            }
            None => {
                let reason = format!("write a whole number from {least} to {most}");
                Err(self.bad_value(key, reason))
            }
        }
    }

    pub(super) fn optional_size(
        &self,
        key: &[&str],
        least: u64,
    ) -> Result<Option<u64>, ConfigError> {
        let bytes = match self.value(key) {
            None => return Ok(None),
            Some(Value::Integer(bytes)) => u64::try_from(bytes).ok(),
            Some(Value::String(text)) => {
                let size = parse_size(&text);
                Some(size.map_err(|error| self.bad_value(key, error.to_string()))?)
            }
            Some(other) => return Err(self.wrong(key, &other, "a size such as \"64MiB\"")),
        };
        match bytes.filter(|bytes| *bytes >= least) {
            Some(bytes) => Ok(Some(bytes)),
            None => Err(self.bad_value(key, format!("write a size of {least} bytes or more"))),
        }
    }

    /// A size that has a default.
    pub(super) fn size(&self, key: &[&str], least: u64, most: u64) -> Result<u64, ConfigError> {
        let bytes = self.optional_size(key, least)?.unwrap_or(least);
        if bytes > most {
            return Err(self.bad_value(key, format!("write a size of {most} bytes or less")));
        }
        Ok(bytes)
    }

    pub(super) fn boolean(&self, key: &[&str]) -> Result<Option<bool>, ConfigError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Boolean(value)) => Ok(Some(value)),
            Some(Value::String(text)) => match text.as_str() {
                "true" | "1" => Ok(Some(true)),
                "false" | "0" => Ok(Some(false)),
                _ => Err(self.bad_value(key, format!("{text:?} is neither true nor false"))),
            },
            Some(other) => Err(self.wrong(key, &other, "true or false")),
        }
    }

    /// A value of any shape; a variable holds JSON. Null if nothing is set.
    pub(super) fn json(&self, key: &[&str]) -> Result<serde_json::Value, ConfigError> {
        let Some((value, origin)) = self.values.get(&owned(key)) else {
            return Ok(serde_json::Value::Null);
        };
        let read = match (value, origin) {
            (Value::String(text), Origin::Environment(_)) => serde_json::from_str(text),
            (value, _) => serde_json::to_value(value),
        };
        read.map_err(|error| self.bad_value(key, error.to_string()))
    }

    fn wrong(&self, key: &[&str], value: &Value, wanted: &str) -> ConfigError {
        self.bad_value(key, format!("it is {} but must be {wanted}", kind(value)))
    }

    /// All values in the order of the keys, with the defaults of those not set.
    pub(super) fn settings(&self) -> Vec<Setting> {
        let mut settings: Vec<Setting> = Vec::new();
        for key in KEYS {
            let mut push = |path: &[String], value: &Value, origin: &Origin| {
                let value = if key.secret { "\"***\"".to_owned() } else { shown(key.path, value) };
                let path = path.join(".");
                settings.push(Setting { key: path, value, origin: origin.clone() });
            };
            let mut set = false;
            for (path, (value, origin)) in &self.values {
                if path.len() == key.path.len() && begins(key, path) {
                    set = true;
                    push(path, value, origin);
                }
            }
            if let (false, Some(value)) = (set, key.default.and_then(default)) {
                push(&owned(key.path), &value, &Origin::Default);
            }
        }
        let flag = Origin::Flag("--source".to_owned());
        if !self.sources.is_empty() {
            // They are not used.
            settings.retain(|setting| !setting.key.starts_with("sources."));
        }
        for text in &self.sources {
            let value = shown(&["sources", "*", "url"], &Value::String(text.clone()));
            settings.push(Setting { key: "source".to_owned(), value, origin: flag.clone() });
        }
        settings
    }
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

fn owned(key: &[&str]) -> Vec<String> {
    key.iter().map(|name| (*name).to_owned()).collect()
}

fn unknown(path: &[String], origin: Origin) -> ConfigError {
    ConfigError::UnknownKey { origin, key: path.join("."), nearest: nearest(path) }
}

/// A default, as it would stand in a file.
fn default(text: &str) -> Option<Value> {
    toml::from_str::<Table>(&format!("it = {text}")).ok()?.remove("it")
}

/// A value as in a file; addresses without their secrets.
fn shown(path: &[&str], value: &Value) -> String {
    match value {
        Value::String(text) if matches!(path, ["history"] | ["sources", _, "url"]) => {
            Value::String(crate::log::source::redacted(text)).to_string()
        }
        value => value.to_string(),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// The line, from 1, on which a span of the text begins.
fn line_of(text: &str, span: Option<Range<usize>>) -> usize {
    let start = span.map_or(0, |span| span.start).min(text.len());
    1 + memchr::memchr_iter(b'\n', &text.as_bytes()[..start]).count()
}
