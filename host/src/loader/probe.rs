//! The child's side of a dry run: maps a plugin, tries it, tells what it saw.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use statmill_plugin_api::manifest::StatManifest;

use super::Plugin;
use crate::child::Link;
use crate::query::computed::computed_views;
use crate::trial::views;
use crate::trial::{Generated, Reader, Rows, Trial};

/// Messages that every stat is tried on.
const SAMPLE: u64 = 64;
/// Those that one which asks for its earlier rows is tried on when it has them again.
const BEHIND: u64 = 16;
/// What all computed views may take together: one that never ends costs a host a thread, and nothing else.
const VIEWS_WITHIN: Duration = Duration::from_millis(500);
/// With less of it left none is tried any more.
const LEAST: Duration = Duration::from_millis(20);

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
            let (mut tried, rows): (Vec<_>, Vec<_>) =
                stats.iter().map(|stat| try_stat(&plugin, stat, config(stat))).unzip();
            // Last of all, for one that never ends goes on beside what follows.
            let until = Instant::now() + VIEWS_WITHIN;
            for ((stat, rows), tried) in stats.iter().zip(rows).zip(&mut tried) {
                let error = rows
                    .and_then(|rows| try_views(&plugin, stat, config(stat), &rows, until).err());
                tried.error = tried.error.take().or(error);
            }
            Answer::Tried(tried)
        }
    }
}

/// What became of a stat, and the rows it came to where all went well.
fn try_stat(plugin: &Plugin, stat: &StatManifest, config: &str) -> (TriedStat, Option<Rows>) {
    let mut tried = TriedStat { ident: stat.ident.clone(), messages: 0, rows: 0, error: None };
    match run(plugin, stat, config, &mut tried) {
        Ok(rows) => (tried, Some(rows)),
        Err(error) => (TriedStat { error: Some(error), ..tried }, None),
    }
}

/// Creates, folds a batch and drains it; where the stat asks for its earlier rows, hands them to another
/// instance, which goes on.
fn run(
    plugin: &Plugin,
    stat: &StatManifest,
    config: &str,
    tried: &mut TriedStat,
) -> Result<Rows, String> {
    let mut reader = Reader::new(stat).map_err(|error| error.to_string())?;
    let generated = Generated::new(stat);
    let messages: Vec<_> = (0..SAMPLE + BEHIND).map(|index| generated.message(index)).collect();
    let (first, behind) = messages.split_at(SAMPLE as usize);
    let batch = reader.batch(first.iter().map(Vec::as_slice));
    let mut trial = Trial::begin(plugin, stat, config)?;
    tried.messages = trial.fold(&batch)?;
    tried.rows = trial.drain()?;
    let rows = trial.into_rows();
    if !stat.restore {
        return Ok(rows);
    }
    let mut trial = Trial::resume(plugin, stat, config, rows)
        .map_err(|error| format!("it does not take its earlier rows: {error}"))?;
    trial.fold(&reader.batch(behind.iter().map(Vec::as_slice)))?;
    trial.drain()?;
    Ok(trial.into_rows())
}

/// Computes every view over `rows`, unless it is too late for that.
fn try_views(
    plugin: &Plugin,
    stat: &StatManifest,
    config: &str,
    rows: &Rows,
    until: Instant,
) -> Result<(), String> {
    let mut said = Ok(());
    for view in computed_views(stat) {
        let left = until.saturating_duration_since(Instant::now());
        if left < LEAST {
            break;
        }
        let name = &view.name;
        // One that never ends leaves time for those behind it.
        if let Err(fault) = views::compute(plugin, stat, config, &view, rows, left / 2) {
            said = said.and(Err(format!("view {name:?}: {fault}")));
        }
    }
    said
}
