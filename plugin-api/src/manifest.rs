//! What a plugin says of itself: the JSON text that `describe` returns, and the types behind it.
//!
//! The host stores a stat's manifest beside its rows, so that rows can be merged, read and exported
//! without the plugin. Unknown members are ignored, so that an older host reads a newer plugin; a
//! plugin that cannot work without a feature of the host names it in [`PluginManifest::requires`].

use serde::{Deserialize, Serialize};

/// A shared library and the stats in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginManifest {
    /// Version of `statmill-plugin-api` the plugin was built with.
    pub api: String,
    /// Crate name of the plugin.
    pub name: String,
    /// Crate version of the plugin.
    pub version: String,
    /// Features of the host without which the plugin refuses to work.
    #[serde(default)]
    pub requires: Vec<String>,
    /// The stats, in the order the plugin exports them.
    pub stats: Vec<StatManifest>,
}

/// One statistic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatManifest {
    /// Name in URLs and on the command line, unique in a host: the title's words or what the author
    /// chose, with `-<interval>` appended for a stat with an interval (`volume-by-category-1d`).
    pub ident: String,
    /// Human name.
    pub title: String,
    /// One line.
    #[serde(default)]
    pub summary: String,
    /// Long text for the stat's page.
    #[serde(default)]
    pub description: String,
    /// Version of the models: rows of another version are rebuilt.
    pub model_version: u32,
    /// Version of the fold: what it counts changed though the models did not; rows are rebuilt.
    #[serde(default)]
    pub fold_version: u32,
    /// Topic patterns (`*` one word, `#` any number of words); empty = every topic.
    #[serde(default)]
    pub topics: Vec<String>,
    /// Wanted fields, in the order of the batch's columns.
    #[serde(default)]
    pub fields: Vec<FieldManifest>,
    /// Length of the window the stat works in, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_s: Option<u64>,
    /// Age of the oldest message of use to the stat, seconds; none = no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backlog_delta_s: Option<u64>,
    /// The models; the first is what `/api/{ident}` answers.
    pub models: Vec<ModelManifest>,
    /// View definitions, as in a dashboard file.
    #[serde(default)]
    pub views: Vec<serde_json::Value>,
    /// How front ends show the stat, in words that they and the author agree on; null = nothing is said.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub layout: serde_json::Value,
    /// JSON Schema of the stat's configuration; null = none.
    #[serde(default)]
    pub config: serde_json::Value,
    /// The stat reads its earlier rows before it folds (order-dependent; one log in order).
    #[serde(default)]
    pub restore: bool,
    /// With `restore`: the most rows the host will hand over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rows: Option<u64>,
}

/// A wanted field of each message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FieldManifest {
    /// Name in the stat's code.
    pub name: String,
    /// JSON pointer (RFC 6901) from the message's root; empty = the whole document.
    pub pointer: String,
    /// How the value is handed over.
    pub kind: FieldKind,
}

/// How a wanted value is handed to a stat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum FieldKind {
    /// Text, as a dictionary code: to group by.
    Sym = 0,
    /// Text, as it stands (unescaped UTF-8).
    Str = 1,
    /// A number without a fraction that fits an `i64`.
    Int = 2,
    /// Any number, as `f64`.
    Num = 3,
    /// `true` or `false`.
    Bool = 4,
    /// A time (seconds, milliseconds or RFC 3339), as µs since 1970.
    Time = 5,
    /// The bytes of a sub-value, whatever its type.
    Raw = 6,
    /// The whole document (pointer empty).
    Doc = 7,
}

/// A typed table of rows: a key (window start and dimensions) and measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelManifest {
    /// Name, unique in the stat.
    pub name: String,
    /// Window length in seconds; none = totals over all time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_s: Option<u64>,
    /// How the window column is shown.
    #[serde(default)]
    pub stamp: Stamp,
    /// The key's dimensions, in order.
    #[serde(default)]
    pub dimensions: Vec<Dimension>,
    /// The measures, in order.
    pub measures: Vec<Measure>,
    /// Windows older than this (seconds) are dropped; none = kept for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_s: Option<u64>,
    /// Coarser copies of this model that the host keeps by itself.
    #[serde(default)]
    pub rollups: Vec<Rollup>,
    /// A column of a measure, a number or a time, by which the host keeps the rows of each window in
    /// order (for top-k); none = none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
}

/// Which edge of its window a row shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stamp {
    /// Column `time`, the window's start.
    #[default]
    Start,
    /// Column `timestamp`, the window's end, as statscache showed it.
    End,
}

/// A coarser copy of a model: the same rows re-keyed to a longer window and merged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollup {
    /// Window length in seconds, a multiple of the model's.
    pub window_s: u64,
    /// As [`ModelManifest::retention_s`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_s: Option<u64>,
}

/// A dimension of a model's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimension {
    /// Column name.
    pub name: String,
    /// Type of its values.
    pub kind: ValueKind,
}

/// A measure of a model's rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// Column name, or the prefix of its columns where the aggregator reads as several.
    pub name: String,
    /// How states are made, merged and read.
    #[serde(flatten)]
    pub aggregator: Aggregator,
    /// Unit of the values (`ms`, `bytes`); empty = none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
}

/// Type of a value in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueKind {
    /// UTF-8 text.
    Text,
    /// A whole number.
    Int,
    /// A finite `f64`.
    Num,
    /// `true` or `false`.
    Bool,
    /// µs since 1970, UTC.
    Time,
    /// JSON text of any value.
    Json,
}

/// The commutative, associative operation that merges a measure's states.
///
/// All but [`Aggregator::TopKApprox`] are canonical: equal sets of messages give equal bytes,
/// whatever the order, the split or the number of merges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "aggregator", rename_all = "snake_case")]
pub enum Aggregator {
    /// Number of additions.
    Count,
    /// Exact sum of `Int` or `Num`.
    Sum {
        /// `Int` or `Num`.
        of: ValueKind,
    },
    /// Number, exact sum and exact sum of squares; mean, variance and deviations derived on read.
    Moments {
        /// `Int` or `Num`.
        of: ValueKind,
    },
    /// Smallest value.
    Min {
        /// Type of the values.
        of: ValueKind,
    },
    /// Largest value.
    Max {
        /// Type of the values.
        of: ValueKind,
    },
    /// Value with the smallest (time, log, offset).
    First {
        /// Type of the values.
        of: ValueKind,
    },
    /// Value with the greatest (time, log, offset).
    Last {
        /// Type of the values.
        of: ValueKind,
    },
    /// Log-linear histogram from which quantiles are read.
    Quantiles {
        /// Buckets per octave, a power of two; 16 bounds the relative error by 1/16.
        #[serde(default = "sixteen")]
        per_octave: u32,
        /// Quantiles shown as columns, each in `0..=1`.
        #[serde(default)]
        show: Vec<f64>,
    },
    /// Number of distinct values: exact up to 256, then estimated from HyperLogLog registers.
    Distinct,
    /// The newest `keep` values by (time, log, offset).
    Log {
        /// How many values are kept.
        keep: u32,
        /// Type of the values.
        of: ValueKind,
    },
    /// The `keep` most frequent texts, approximately (space-saving).
    TopKApprox {
        /// How many counters are kept.
        keep: u32,
    },
}

fn sixteen() -> u32 {
    16
}
