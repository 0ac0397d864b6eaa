//! The configuration: `statmill.toml`, over it the environment (`STATMILL_…`), over it flags.
//!
//! [`Config::load`] reads and checks all of it before anything is started, and remembers of each value
//! where it came from, so that every error and `check-config` can say so. Secrets are never printed.

mod address;
mod error;
mod keys;
mod layers;
pub(crate) mod nearest;
#[cfg(test)]
mod tests;
mod tokens;
mod units;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

pub use self::error::ConfigError;
use self::layers::Layers;
pub use self::layers::{Origin, Setting};
pub use self::tokens::Tokens;
pub use self::units::{UnitError, parse_duration, parse_size};
use crate::limits::StatLimits;
use crate::loader::{Isolation, Isolations, Trust, TrustError};
use crate::log::source::{HistoryUrl, SourceUrl};
use crate::project::Mapping;

/// Everything that can be configured, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder of the store, the journals and all else the host writes.
    pub data: PathBuf,
    /// Folders in which plugins are looked for before `<data>/plugins`.
    pub plugins: Vec<PathBuf>,
    /// Plugins that appear, change or go while a host runs are noticed by themselves.
    pub watch_plugins: bool,
    /// Folder of dashboard files; none = `dashboards` in the data folder.
    pub dashboards: Option<PathBuf>,
    /// Where messages come from, by name.
    pub sources: Vec<Source>,
    /// Where past messages can be had.
    pub history: Option<HistoryUrl>,
    /// Address of the HTTP server.
    pub listen: SocketAddr,
    /// The address under which clients know it, where that is another.
    pub base_url: Option<String>,
    /// Time between two commits.
    pub checkpoint: Duration,
    /// Time between two fsyncs of the store.
    pub durable_every: Duration,
    /// Worker threads.
    pub threads: NonZeroUsize,
    /// Threads that may read messages out of one log's text at a time.
    pub ingest_threads: NonZeroUsize,
    /// Where the code of plugins runs.
    pub isolations: Isolations,
    /// What a message may be.
    pub limits: Limits,
    /// What a stat may take.
    pub stat_limits: StatLimits,
    /// What a query may cost.
    pub query: Query,
    /// Who may do what over HTTP.
    pub tokens: Tokens,
    /// Field mappings by name, besides `auto`, `fedmsg` and `plain`.
    pub mappings: BTreeMap<String, Mapping>,
    /// Settings of single stats, by ident.
    pub stats: BTreeMap<String, StatConfig>,
    /// How long journals are kept.
    pub journal: JournalConfig,
    /// Commits of a stat after which its deltas are folded into pages at the latest.
    pub fold_deltas: u64,
    /// Which plugins' files are let in.
    pub vetting: Trust,
    settings: Vec<Setting>,
}

/// A source with the name it is known by.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The name in the configuration, or that of the address.
    pub name: String,
    /// The address, with the options that stood beside it.
    pub url: SourceUrl,
}

/// What a message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest message, bytes.
    pub max_message: usize,
    /// Deepest nesting.
    pub max_depth: usize,
    /// How far ahead of its arrival its time may lie; a source's own option goes before.
    pub max_ahead: Duration,
    /// Each message is checked to the last byte.
    pub validate: bool,
}

/// What a query may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Rows looked at.
    pub max_rows: u64,
    /// Time taken.
    pub max_time: Duration,
    /// Rows of one page at most.
    pub max_rows_per_page: usize,
    /// Rows of one page if nothing is asked for.
    pub default_rows_per_page: usize,
}

/// Settings of one stat.
#[derive(Clone, Debug, PartialEq)]
pub struct StatConfig {
    /// Whether it runs at all.
    pub enabled: bool,
    /// Age of the oldest message of use to it, instead of the plugin's own.
    pub backlog: Option<Duration>,
    /// What the plugin itself is given.
    pub config: serde_json::Value,
}

/// How long journals are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// What decides.
    pub keep: Keep,
    /// Largest size of one journal, bytes; what it forces out unread is a recorded loss.
    pub max_bytes: Option<u64>,
    /// Oldest record of a journal that is not kept for ever; none = as the models need it.
    pub max_age: Option<Duration>,
    /// Size at which a segment is closed and the next begun, bytes.
    pub segment_bytes: u64,
}

/// What decides how long a journal is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// As long as the longest model that reads it.
    Models,
    /// For ever: it is a store of documents.
    Forever,
}

impl Keep {
    /// The one of that name; what there is otherwise.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        match name {
            "models" => Ok(Self::Models),
            "forever" => Ok(Self::Forever),
            _ => Err(format!("{name:?} is not one of models, forever")),
        }
    }
}

/// What was given on the command line; it goes before file and environment.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--plugins`.
    pub plugins: Vec<PathBuf>,
    /// `--dashboards`.
    pub dashboards: Option<PathBuf>,
    /// `--source`, each; if any is given, those configured elsewhere are not used.
    pub sources: Vec<String>,
    /// `--history`.
    pub history: Option<String>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--checkpoint`.
    pub checkpoint: Option<String>,
    /// `--durable-every`.
    pub durable_every: Option<String>,
    /// `--threads`.
    pub threads: Option<usize>,
    /// `--ingest-threads`.
    pub ingest_threads: Option<usize>,
    /// `--isolation`.
    pub isolation: Option<String>,
}

/// Shortest time between two commits.
const LEAST_CHECKPOINT: Duration = Duration::from_millis(5);

/// Shortest time that a call into a plugin is given.
const LEAST_DEADLINE: Duration = Duration::from_millis(100);

impl Config {
    /// Reads `file`, if there is one, then the variables of `environment` that begin with `STATMILL_`,
    /// then `flags`; what comes later goes before.
    ///
    /// A variable is named by the path of its key, `STATMILL_QUERY__MAX_TIME` for `query.max_time`.
    ///
    /// # Errors
    /// [`ConfigError`] names the key, where it was set, and what to write instead.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &Flags,
    ) -> Result<Self, ConfigError> {
        let mut layers = Layers::default();
        if let Some(file) = file {
            layers.add_file(file)?;
        }
        layers.add_environment(environment)?;
        layers.add_flags(flags);
        Self::build(layers)
    }

    /// All values with their origins, by key; secrets are not shown.
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// What the stats that are configured are given, JSON text by ident.
    pub(crate) fn stat_configs(&self) -> BTreeMap<String, String> {
        let given = self.stats.iter().filter(|(_, stat)| !stat.config.is_null());
        given.map(|(ident, stat)| (ident.clone(), stat.config.to_string())).collect()
    }

    /// The mapping of that name from this configuration.
    #[must_use]
    pub fn mapping(&self, name: &str) -> Option<&Mapping> {
        self.mappings.get(name)
    }

    fn build(layers: Layers) -> Result<Self, ConfigError> {
        let mappings = layers
            .names("mappings")
            .into_iter()
            .map(|name| Ok((name.clone(), mapping(&layers, name)?)))
            .collect::<Result<BTreeMap<_, _>, ConfigError>>()?;
        let sources = sources(&layers, &mappings)?;
        let history = layers.parsed(&["history"], |text| {
            text.parse::<HistoryUrl>().map_err(|error| error.to_string())
        })?;
        if let Some(map) = history.as_ref().and_then(|history| history.map.as_deref()) {
            known_mapping(&layers, &["history"], map, &mappings)?;
        }
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let threads = |key| {
            let threads = layers
                .whole(&[key], 1, 1024)?
                .and_then(|threads| NonZeroUsize::new(threads as usize));
            Ok::<_, ConfigError>(threads.unwrap_or(cores))
        };
        let config = Self {
            data: layers.text(&["data"])?.unwrap_or_default().into(),
            plugins: layers.texts(&["plugins"])?.into_iter().map(PathBuf::from).collect(),
            watch_plugins: layers.boolean(&["watch_plugins"])?.unwrap_or(true),
            dashboards: layers.text(&["dashboards"])?.map(PathBuf::from),
            sources,
            history,
            listen: layers
                .parsed(&["listen"], address::listened)?
                .unwrap_or(([127, 0, 0, 1], 0).into()),
            base_url: layers.parsed(&["base_url"], address::base)?,
            checkpoint: layers.duration(&["checkpoint"])?.unwrap_or_default(),
            durable_every: layers.duration(&["durable_every"])?.unwrap_or_default(),
            threads: threads("threads")?,
            ingest_threads: threads("ingest_threads")?,
            isolations: isolations(&layers)?,
            limits: Limits {
                max_message: layers.size(&["limits", "max_message"], 1 << 10, 1 << 30)? as usize,
                max_depth: layers.whole(&["limits", "max_depth"], 1, 10_000)?.unwrap_or(0) as usize,
                max_ahead: layers.duration(&["limits", "max_ahead"])?.unwrap_or_default(),
                validate: layers.boolean(&["limits", "validate"])?.unwrap_or_default(),
            },
            stat_limits: StatLimits {
                deadline: layers.duration(&["stat_limits", "deadline"])?.unwrap_or_default(),
                checkpoint_rows: most(&layers, "checkpoint_rows")?,
                checkpoint_bytes: layers.size(
                    &["stat_limits", "checkpoint_bytes"],
                    1 << 20,
                    256 << 20,
                )?,
                row_bytes: layers.size(&["stat_limits", "row_bytes"], 1 << 10, 64 << 20)?,
                model_rows: most(&layers, "model_rows")?,
            },
            query: Query {
                max_rows: layers.whole(&["query", "max_rows"], 1, u64::MAX)?.unwrap_or(0),
                max_time: layers.duration(&["query", "max_time"])?.unwrap_or_default(),
                max_rows_per_page: rows_per_page(&layers, "max_rows_per_page")?,
                default_rows_per_page: rows_per_page(&layers, "default_rows_per_page")?,
            },
            tokens: Tokens {
                ingest: token(&layers, "ingest")?,
                query: token(&layers, "query")?,
                admin: token(&layers, "admin")?,
            },
            mappings,
            stats: layers
                .names("stats")
                .into_iter()
                .map(|ident| Ok((ident.clone(), stat(&layers, ident)?)))
                .collect::<Result<_, ConfigError>>()?,
            journal: JournalConfig {
                keep: layers.parsed(&["journal", "keep"], Keep::named)?.unwrap_or(Keep::Models),
                max_bytes: layers.optional_size(&["journal", "max_bytes"], 1 << 20)?,
                max_age: layers.duration(&["journal", "max_age"])?,
                segment_bytes: layers.size(&["journal", "segment_bytes"], 4 << 10, 1 << 30)?,
            },
            fold_deltas: layers.whole(&["store", "fold_deltas"], 1, 1 << 20)?.unwrap_or(512),
            vetting: Trust {
                allow: parsed_each(&layers, &["vetting", "allow"])?,
                keys: parsed_each(&layers, &["vetting", "trusted_keys"])?,
            },
            settings: layers.settings(),
        };
        config.check(&layers)?;
        Ok(config)
    }

    /// What cannot be told from one value alone.
    fn check(&self, layers: &Layers) -> Result<(), ConfigError> {
        let too_short = format!("the shortest is {}ms", LEAST_CHECKPOINT.as_millis());
        for (key, value) in [("checkpoint", self.checkpoint), ("durable_every", self.durable_every)]
        {
            if value < LEAST_CHECKPOINT {
                return Err(layers.bad_value(&[key], too_short));
            }
        }
        if self.stat_limits.deadline < LEAST_DEADLINE {
            let reason = format!("the shortest is {}ms", LEAST_DEADLINE.as_millis());
            return Err(layers.bad_value(&["stat_limits", "deadline"], reason));
        }
        if self.query.default_rows_per_page > self.query.max_rows_per_page {
            let reason = "it is more than query.max_rows_per_page".to_owned();
            return Err(layers.bad_value(&["query", "default_rows_per_page"], reason));
        }
        if !self.listen.ip().is_loopback() {
            let missing = self.tokens.missing();
            let missing: Vec<String> =
                missing.iter().map(|name| format!("tokens.{name}")).collect();
            if !missing.is_empty() {
                return Err(ConfigError::OpenToAll {
                    listen: self.listen,
                    origin: layers.origin(&["listen"]),
                    missing: missing.join(", "),
                });
            }
        }
        Ok(())
    }
}

/// Each text of a list, read.
fn parsed_each<T: FromStr<Err = TrustError>>(
    layers: &Layers,
    key: &[&str],
) -> Result<Vec<T>, ConfigError> {
    let read = |text: String| {
        text.parse().map_err(|error| layers.bad_value(key, format!("{text:?}: {error}")))
    };
    layers.texts(key)?.into_iter().map(read).collect()
}

fn sources(
    layers: &Layers,
    mappings: &BTreeMap<String, Mapping>,
) -> Result<Vec<Source>, ConfigError> {
    let mut sources: Vec<Source> = Vec::new();
    for (index, text) in layers.flag_sources().iter().enumerate() {
        let number = index.to_string();
        let key = ["--source", number.as_str()];
        let bad = |reason| layers.bad_value(&key, reason);
        let url: SourceUrl = text
            .parse()
            .map_err(|error: crate::log::source::SourceError| bad(error.to_string()))?;
        if let Some(map) = &url.map {
            known_mapping(layers, &key, map, mappings)?;
        }
        if sources.iter().any(|other| other.url.name() == url.name()) {
            return Err(bad(format!("{} is given twice", url.name())));
        }
        sources.push(Source { name: url.name(), url });
    }
    if !sources.is_empty() {
        return Ok(sources);
    }
    for name in layers.names("sources") {
        let key = ["sources", name, "url"];
        let url = layers
            .parsed(&key, |text| text.parse::<SourceUrl>().map_err(|error| error.to_string()))?;
        let Some(mut url) = url else {
            return Err(layers.missing(&["sources", name], "url"));
        };
        for option in ["map", "dedup", "max_ahead", "no_time", "keep", "rate"] {
            let key = ["sources", name, option];
            if let Some(value) = layers.text(&key)? {
                let with = url.with(option, &value);
                url = with.map_err(|error| layers.bad_value(&key, error.to_string()))?;
            }
        }
        if let Some(map) = &url.map {
            let beside = ["sources", name, "map"];
            let key = if layers.has(&beside) { beside } else { key };
            known_mapping(layers, &key, map, mappings)?;
        }
        if sources.iter().any(|other| other.url.name() == url.name()) {
            let reason = format!("{} is the address of another source already", url.name());
            return Err(layers.bad_value(&key, reason));
        }
        sources.push(Source { name: name.clone(), url });
    }
    Ok(sources)
}

fn known_mapping(
    layers: &Layers,
    key: &[&str],
    name: &str,
    mappings: &BTreeMap<String, Mapping>,
) -> Result<(), ConfigError> {
    let known = || keys::MAPPINGS.into_iter().chain(mappings.keys().map(String::as_str));
    if known().any(|other| other == name) {
        return Ok(());
    }
    let all = known().collect::<Vec<_>>().join(", ");
    let near = nearest::suggestion(nearest::nearest(name, known()));
    Err(layers.bad_value(key, format!("there is no mapping {name:?}, only {all}{near}")))
}

fn mapping(layers: &Layers, name: &str) -> Result<Mapping, ConfigError> {
    let pointers = |field: &str| {
        let key = ["mappings", name, field];
        let pointers = layers.texts(&key)?;
        match pointers.iter().find(|pointer| !pointer.starts_with('/')) {
            Some(pointer) => {
                let reason = format!("{pointer:?} is no JSON pointer: write \"/a/b\"");
                Err(layers.bad_value(&key, reason))
            }
            None => Ok(pointers),
        }
    };
    if keys::MAPPINGS.contains(&name) {
        let reason = "the name is taken by a mapping that is always there".to_owned();
        return Err(layers.bad_value(&["mappings", name], reason));
    }
    let (topic, time) = (pointers("topic")?, pointers("time")?);
    for (field, pointers) in [("topic", &topic), ("time", &time)] {
        if pointers.is_empty() {
            return Err(layers.missing(&["mappings", name], field));
        }
    }
    let producer = match <[String; 2]>::try_from(pointers("producer")?) {
        Ok([producer, sequence]) => Some((producer, sequence)),
        Err(none) if none.is_empty() => None,
        Err(_) => {
            let reason = "write two pointers: the producer's and the sequence number's".to_owned();
            return Err(layers.bad_value(&["mappings", name, "producer"], reason));
        }
    };
    Ok(Mapping { name: name.to_owned(), id: pointers("id")?, topic, time, producer })
}

fn stat(layers: &Layers, ident: &str) -> Result<StatConfig, ConfigError> {
    Ok(StatConfig {
        enabled: layers.boolean(&["stats", ident, "enabled"])?.unwrap_or(true),
        backlog: layers.duration(&["stats", ident, "backlog"])?,
        config: layers.json(&["stats", ident, "config"])?,
    })
}

fn isolations(layers: &Layers) -> Result<Isolations, ConfigError> {
    let of = |key: &[&str]| layers.parsed(key, Isolation::named);
    let mut plugins = BTreeMap::new();
    for name in layers.names("plugin") {
        if let Some(isolation) = of(&["plugin", name, "isolation"])? {
            plugins.insert(name.clone(), isolation);
        }
    }
    let max_memory = layers.size(&["worker", "max_memory"], 64 << 20, u64::MAX)?;
    let takes_hung = layers.boolean(&["worker", "takes_hung"])?.unwrap_or(true);
    let default = of(&["isolation"])?.unwrap_or_default();
    Ok(Isolations { default, plugins, max_memory, takes_hung, ..Isolations::default() })
}

fn most(layers: &Layers, limit: &str) -> Result<u64, ConfigError> {
    Ok(layers.whole(&["stat_limits", limit], 1, u64::MAX)?.unwrap_or(u64::MAX))
}

fn token(layers: &Layers, name: &str) -> Result<Option<String>, ConfigError> {
    let key = ["tokens", name];
    let token = layers.text(&key)?;
    if token.as_ref().is_some_and(|token| token.len() < 16) {
        let reason = "a token has at least 16 characters".to_owned();
        return Err(layers.bad_value(&key, reason));
    }
    Ok(token)
}

fn rows_per_page(layers: &Layers, name: &str) -> Result<usize, ConfigError> {
    Ok(layers.whole(&["query", name], 1, 1_000_000)?.unwrap_or(1) as usize)
}
