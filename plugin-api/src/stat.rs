//! What the author of a stat writes: its description and its fold.

use std::fmt::Display;

use serde_json::Value as Json;

use crate::aggregate::MeasureError;
use crate::batch::Batch;
use crate::encoding::{DecodeError, Value};
use crate::fields::Fields;
use crate::manifest::StatManifest;
use crate::model::Models;

/// A statistic: typed models, and a fold that adds messages to them.
///
/// # Contract
///
/// - The same messages give the same additions: a fold has no clock, no random numbers, no thread,
///   no file. A stat that needs time takes [`Message::time`](crate::batch::Message::time).
/// - A fold adds and never reads back: the models hold only what was added since the last
///   checkpoint, the host keeps the rows. What else the struct holds may be lost at any moment
///   without changing any row (a cache such as [`Memo`](crate::memo::Memo)), or is its
///   configuration.
/// - One instance is called from one thread at a time.
/// - After an error or a panic the instance is dropped, and a new one folds the same messages again.
pub trait Stat: Models + Default + Send + 'static {
    /// Who it is.
    const INFO: StatInfo;

    /// What it reads of each message besides topic and time.
    const FIELDS: Fields = Fields::NONE;

    /// Topic patterns (`*` one word, `#` any number of words); empty = every topic.
    const TOPICS: &'static [&'static str] = &[];

    /// Whether [`compute`](Self::compute) answers any view.
    const COMPUTES: bool = false;

    /// Adds the messages of `batch`, which ascend by offset, to the models.
    ///
    /// # Errors
    ///
    /// Only for what makes all further work wrong. A message the stat cannot use is skipped: the
    /// host tries a failed batch again, and in the end leaves out the message that fails.
    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError>;

    /// Takes the stat's configuration (JSON text), once, before anything else.
    ///
    /// # Errors
    ///
    /// When it is not what [`config_schema`](Self::config_schema) describes. A stat without this
    /// method takes no configuration but an empty one.
    fn configure(&mut self, config: &str) -> Result<(), PluginError> {
        match config.trim() {
            "" | "null" | "{}" => Ok(()),
            _ => Err(PluginError::new("this stat takes no configuration")),
        }
    }

    /// JSON Schema of the configuration; `null` = none is taken.
    fn config_schema() -> Json {
        Json::Null
    }

    /// Definitions of the stat's views, as in a dashboard file. One that [`compute`](Self::compute)
    /// answers has a `name` and says so: `"compute": {}`, or `{"model": "name"}` for the rows of
    /// another model than the first.
    fn views() -> Vec<Json> {
        Vec::new()
    }

    /// How front ends show the stat: any structure that they and the author agree on, served as it is at
    /// `/api/{ident}/layout`; `null` = nothing is said.
    fn layout() -> Json {
        Json::Null
    }

    /// Computes `view` over `rows`, an array of row objects; answers a table:
    /// `{"columns": [{"name": "user", "kind": "text", "unit": ""}], "rows": [["ann"]]}`.
    ///
    /// Kinds are those of [`ValueKind`](crate::manifest::ValueKind), times are numbers of seconds since
    /// 1970 in rows and answers, any cell may be `null`. For what needs the whole table (shares,
    /// tests of significance, change points). Called outside the fold, on any thread, with a limit
    /// of time and rows; set [`COMPUTES`](Self::COMPUTES). The same rows must give the same table:
    /// answers are remembered.
    ///
    /// # Errors
    ///
    /// When there is no such view, or the rows are not what it needs.
    fn compute(view: &str, rows: &Json) -> Result<Json, PluginError> {
        let _ = rows;
        Err(PluginError::new(format_args!("there is no computed view {view:?}")))
    }

    /// Takes one earlier row, before the first fold; only with [`StatInfo::restore`].
    ///
    /// # Errors
    ///
    /// When the row makes no sense to the stat: it is then rebuilt.
    fn restore(&mut self, row: &RestoredRow<'_>) -> Result<(), PluginError> {
        let _ = row;
        Ok(())
    }
}

/// Who a stat is. Write `..StatInfo::DEFAULT` for what is not said.
#[derive(Clone, Copy, Debug)]
pub struct StatInfo {
    /// Name in URLs and on the command line: lower-case letters, digits, `-`, `_`, `.`. The text of
    /// the interval is appended to it (`volume` with `interval: Some(60)` is `volume-1m`).
    pub ident: &'static str,
    /// Human name.
    pub title: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Long text for the stat's page.
    pub description: &'static str,
    /// Raise it when a model changes: the rows are rebuilt.
    pub model_version: u32,
    /// Raise it when the fold counts differently and the models stay: the rows are rebuilt.
    pub fold_version: u32,
    /// Length in seconds of the window the stat works in: `window = interval` takes it.
    pub interval: Option<u64>,
    /// Age in seconds of the oldest message of use to the stat; none = no limit.
    pub backlog_delta: Option<u64>,
    /// The stat needs its earlier rows before it folds, at most so many; it then reads one log, in
    /// order. Only where `First` and `Last`, which go by event time, cannot do it.
    pub restore: Option<u64>,
}

impl StatInfo {
    /// No texts, versions 1 and 0, no interval, all of history.
    pub const DEFAULT: Self = Self {
        ident: "",
        title: "",
        summary: "",
        description: "",
        model_version: 1,
        fold_version: 0,
        interval: None,
        backlog_delta: None,
        restore: None,
    };

    /// Whether `ident` can stand in a URL as it is.
    #[must_use]
    pub(crate) const fn ident_is_plain(&self) -> bool {
        let bytes = self.ident.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            if !matches!(bytes[at], b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.') {
                return false;
            }
            at += 1;
        }
        !bytes.is_empty()
    }

    /// The ident with the interval's text: `volume-by-topic-1d`.
    #[must_use]
    pub fn full_ident(&self) -> String {
        match self.interval {
            None => self.ident.to_owned(),
            Some(seconds) => format!("{}-{}", self.ident, interval_text(seconds)),
        }
    }
}

/// The manifest of the stat `S`.
///
/// # Errors
///
/// [`PluginError::Interval`] where a model or a roll-up does not fit the stat's interval,
/// [`PluginError::Measure`] where the options of a measure make no sense.
pub fn manifest<S: Stat>() -> Result<StatManifest, PluginError> {
    const {
        assert!(
            S::INFO.ident_is_plain(),
            "`ident` takes lower-case letters, digits, `-`, `_`, `.`"
        );
        assert!(
            !S::NEEDS_INTERVAL || S::INFO.interval.is_some(),
            "a model has `window = interval`: say `interval: Some(seconds)` in the stat's INFO"
        );
    }
    Ok(StatManifest {
        ident: S::INFO.full_ident(),
        title: S::INFO.title.to_owned(),
        summary: S::INFO.summary.to_owned(),
        description: S::INFO.description.to_owned(),
        model_version: S::INFO.model_version,
        fold_version: S::INFO.fold_version,
        topics: S::TOPICS.iter().map(|&pattern| pattern.to_owned()).collect(),
        fields: S::FIELDS.manifest(),
        interval_s: S::INFO.interval,
        backlog_delta_s: S::INFO.backlog_delta,
        models: S::manifests(S::INFO.interval)?,
        views: S::views(),
        layout: S::layout(),
        config: S::config_schema(),
        restore: S::INFO.restore.is_some(),
        max_rows: S::INFO.restore,
    })
}

/// Text of a length of time as statscache writes it: `1d1h1m1s`, parts that are zero left out.
///
/// ```
/// # use statmill_plugin_api::stat::interval_text;
/// assert_eq!(interval_text(86_400), "1d");
/// assert_eq!(interval_text(90_061), "1d1h1m1s");
/// assert_eq!(interval_text(0), "0s");
/// ```
#[must_use]
pub fn interval_text(seconds: u64) -> String {
    let parts = [
        (seconds / 86_400, 'd'),
        (seconds / 3600 % 24, 'h'),
        (seconds / 60 % 60, 'm'),
        (seconds % 60, 's'),
    ];
    let text: String = (parts.iter().filter(|(count, _)| *count > 0))
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// One earlier row, given back to a stat with [`StatInfo::restore`].
#[derive(Clone, Copy, Debug)]
pub struct RestoredRow<'a> {
    /// Name of the model.
    pub model: &'a str,
    /// Start of the window, µs since 1970; none = the model has no window.
    pub window: Option<i64>,
    /// The dimensions, in order.
    pub dimensions: &'a [Value],
    /// The measures' columns, in order.
    pub measures: &'a [Value],
}

/// Why a stat could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// What the stat's own code says.
    #[error("{0}")]
    Stat(String),
    /// The stat's code panicked.
    #[error("the stat panicked: {message}")]
    Panic {
        /// What the panic says.
        message: String,
    },
    /// The instance failed earlier.
    #[error("this instance failed before; make a new one and fold again from the position")]
    Poisoned,
    /// `create` was asked for a stat that is not in the plugin.
    #[error("the plugin has no stat {ident:?}")]
    UnknownStat {
        /// The ident asked for.
        ident: String,
    },
    /// `restore` was called for a model that is not in the stat.
    #[error("the stat has no model number {model}")]
    UnknownModel {
        /// Place in the manifest's models.
        model: u32,
    },
    /// A dictionary lacks a code: the host drained with other dictionaries than it folded with.
    #[error("code {code} is not in dictionary {column} (0 = topics, else field number plus one)")]
    UnknownCode {
        /// Place among the dictionaries.
        column: u32,
        /// The code.
        code: u32,
    },
    /// The host's sink takes no more.
    #[error("the host refused rows of model number {model}")]
    Refused {
        /// Place in the manifest's models.
        model: u32,
    },
    /// The host's batch is not what the manifest asked for.
    #[error("the host's batch has {reason}; host and plugin do not agree on the stat's fields")]
    Batch {
        /// What is wrong.
        reason: &'static str,
    },
    /// The stat's interval does not fit a model.
    #[error("model {model:?}: {reason}")]
    Interval {
        /// The model.
        model: &'static str,
        /// What is wrong, and the remedy.
        reason: &'static str,
    },
    /// A measure's options make no sense.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// Bytes of a row that are none.
    #[error("row cannot be read: {0}")]
    Decode(#[from] DecodeError),
    /// JSON that is none, or another than expected.
    #[error("JSON cannot be read: {0}")]
    Json(#[from] serde_json::Error),
}

impl PluginError {
    /// An error of the stat's own code.
    pub fn new(message: impl Display) -> Self {
        Self::Stat(message.to_string())
    }
}

impl From<String> for PluginError {
    fn from(message: String) -> Self {
        Self::Stat(message)
    }
}

impl From<&str> for PluginError {
    fn from(message: &str) -> Self {
        Self::Stat(message.to_owned())
    }
}
