//! The author's validator, as far as it runs in a child: every stat of a plugin, step by step.

mod memory;
mod sample;
mod stat;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use self::sample::Sample;
use crate::child::Link;
use crate::loader::map_plugin;

/// What a parent asks: to check this library.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Question {
    /// The private copy.
    pub(crate) library: PathBuf,
    /// Configuration of the stats that have one, JSON text.
    pub(crate) configs: BTreeMap<String, String>,
    /// A file of real messages, one on each line.
    pub(crate) messages: Option<PathBuf>,
    /// How many messages are folded to measure speed and memory.
    pub(crate) count: u64,
}

/// What a child found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    /// The plugin and its version, API and stats.
    pub(crate) plugin: Option<Described>,
    /// Why the library is none for this host, or the messages cannot be read.
    pub(crate) refused: Option<String>,
    /// Every stat.
    pub(crate) stats: Vec<StatReport>,
}

/// What a plugin says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Described {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) api: String,
}

/// What was found of one stat.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StatReport {
    pub(crate) ident: String,
    pub(crate) title: String,
    pub(crate) steps: Vec<Step>,
    /// CPU time of the fold for each message, nanoseconds.
    pub(crate) fold_ns: Option<f64>,
    /// CPU time of the drain for each row, nanoseconds.
    pub(crate) drain_ns: Option<f64>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
    /// What was seen.
    pub(crate) words: String,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// As it should be.
    Passed,
    /// Worth a look, and no reason to refuse.
    Noted,
    /// Not as it should be.
    Failed,
}

impl Step {
    pub(crate) fn new(name: &str, outcome: Outcome, words: impl Into<String>) -> Self {
        Self { name: name.to_owned(), outcome, words: words.into() }
    }

    pub(crate) fn passed(name: &str, words: impl Into<String>) -> Self {
        Self::new(name, Outcome::Passed, words)
    }

    pub(crate) fn failed(name: &str, words: impl Into<String>) -> Self {
        Self::new(name, Outcome::Failed, words)
    }
}

/// Serves one question and answers the exit code.
pub(crate) fn serve(mut link: Link) -> i32 {
    let mut question = String::new();
    let read = link.input.read_to_string(&mut question).map_err(|error| error.to_string());
    let found = read
        .and_then(|_| serde_json::from_str(&question).map_err(|error| error.to_string()))
        .and_then(|question| check(&question))
        .unwrap_or_else(|reason| Found { plugin: None, refused: Some(reason), stats: Vec::new() });
    let text = serde_json::to_vec(&found).unwrap_or_default();
    i32::from(link.output.write_all(&text).is_err())
}

fn check(question: &Question) -> Result<Found, String> {
    let plugin = map_plugin(&question.library, &question.library, String::new())
        .map_err(|error| error.to_string())?;
    let real = question.messages.as_deref().map(sample::read).transpose()?;
    let stats = &plugin.manifest.stats;
    let reports = stats.iter().map(|stat| {
        let config = question.configs.get(&stat.ident).map_or("{}", String::as_str);
        let sample = Sample::new(stat, real.as_deref());
        stat::check(&plugin, stat, config, &sample, question.count)
    });
    let reports = reports.collect();
    let (name, version) = (plugin.manifest.name.clone(), plugin.manifest.version.clone());
    let described = Described { name, version, api: plugin.manifest.api.clone() };
    Ok(Found { plugin: Some(described), refused: None, stats: reports })
}

/// Says what is looked at: if the plugin ends the child, these are its last words.
fn begin(ident: &str, what: &str) {
    eprintln!("checking {ident}: {what}");
}
