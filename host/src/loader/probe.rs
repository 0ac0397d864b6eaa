//! The child's side of a dry run: maps a plugin, tries it, tells what it saw.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use statmill_plugin_api::manifest::StatManifest;

use super::Plugin;
use crate::child::Link;
use crate::trial::{Generated, Reader, Trial};

/// Messages that every stat is tried on.
const SAMPLE: u64 = 64;

/// What a parent asks: to try this library.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Question {
    /// The private copy.
    pub(super) library: PathBuf,
    /// Configuration of the stats that have one, JSON text.
    pub(super) configs: BTreeMap<String, String>,
}

/// What a child saw.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// The library was mapped, and every stat tried.
    Tried(Vec<TriedStat>),
    /// It is none for this host.
    Refused(String),
}

/// What became of one stat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TriedStat {
    pub(crate) ident: String,
    /// Messages it folded.
    pub(crate) messages: usize,
    /// Rows it drained.
    pub(crate) rows: usize,
    /// The error it answered; none = none. The host can live with errors.
    pub(crate) error: Option<String>,
}

/// Serves one question and answers the exit code.
pub(crate) fn serve(mut link: Link) -> i32 {
    let mut question = String::new();
    let read = link.input.read_to_string(&mut question).map_err(|error| error.to_string());
    let answer = read
        .and_then(|_| serde_json::from_str(&question).map_err(|error| error.to_string()))
        .map_or_else(Answer::Refused, |question| try_out(&question));
    let text = serde_json::to_vec(&answer).unwrap_or_default();
    i32::from(link.output.write_all(&text).is_err())
}

fn try_out(question: &Question) -> Answer {
    match super::map_plugin(&question.library, &question.library, String::new()) {
        Err(error) => Answer::Refused(error.to_string()),
        Ok(plugin) => {
            let config = |stat: &StatManifest| {
                question.configs.get(&stat.ident).map_or("{}", String::as_str)
            };
            let stats = &plugin.manifest.stats;
            let tried = stats.iter().map(|stat| try_stat(&plugin, stat, config(stat)));
            Answer::Tried(tried.collect())
        }
    }
}

fn try_stat(plugin: &Plugin, stat: &StatManifest, config: &str) -> TriedStat {
    let mut tried = TriedStat { ident: stat.ident.clone(), messages: 0, rows: 0, error: None };
    tried.error = run(plugin, stat, config, &mut tried).err();
    tried
}

/// Creates, folds a batch, drains it, and drains nothing.
fn run(
    plugin: &Plugin,
    stat: &StatManifest,
    config: &str,
    tried: &mut TriedStat,
) -> Result<(), String> {
    let mut reader = Reader::new(stat).map_err(|error| error.to_string())?;
    let generated = Generated::new(stat);
    let messages: Vec<_> = (0..SAMPLE).map(|index| generated.message(index)).collect();
    let batch = reader.batch(messages.iter().map(Vec::as_slice));
    let mut trial = Trial::begin(plugin, stat, config)?;
    tried.messages = trial.fold(&batch)?;
    tried.rows = trial.drain()?;
    Ok(())
}
