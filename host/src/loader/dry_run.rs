//! The host's side of a dry run: a child maps a file first. What it answers is hostile input.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::probe::{Answer, Question, TriedStat};
use crate::child::{self, ChildError, Limits, Program, Protection, Role};

/// Enough for any plugin that is not broken: a dry run takes milliseconds.
const WITHIN: Duration = Duration::from_secs(5);
/// CPU time within that, seconds.
const CPU_S: u64 = 3;
const MEMORY_BYTES: u64 = 1 << 30;
/// The longest answer.
const MAX_ANSWER: usize = 8 << 20;

/// What a dry run showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DryRun {
    pub(crate) stats: Vec<TriedStat>,
    pub(crate) protection: Protection,
}

impl DryRun {
    /// The stats that answered an error, with it.
    pub(super) fn errors(&self) -> impl Iterator<Item = (&str, &str)> {
        self.stats.iter().filter_map(|stat| Some((&*stat.ident, stat.error.as_deref()?)))
    }
}

/// Why a library did not pass.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DryRunError {
    /// It killed the child, and would the host.
    #[error("{0}")]
    Died(String),
    /// It cannot be mapped, or did not answer in time; another time it may.
    #[error("{0}")]
    Failed(String),
    /// Nobody's fault that is known: no child could be started.
    #[error("{0}")]
    NoChild(ChildError),
}

/// Lets a child of `program` map the private copy `library` and try every stat in it.
pub(super) fn run(
    program: &Program,
    library: &Path,
    configs: &BTreeMap<String, String>,
) -> Result<DryRun, DryRunError> {
    let failed = |reason: String| DryRunError::Failed(reason);
    let limits =
        Limits { memory_bytes: MEMORY_BYTES, cpu_s: Some(CPU_S), readable: vec![library.into()] };
    let question = Question { library: library.into(), configs: configs.clone() };
    let question = serde_json::to_vec(&question).map_err(|error| failed(error.to_string()))?;
    let answer = child::ask(program, Role::Probe, &limits, &question, MAX_ANSWER, WITHIN);
    let (answer, protection) = answer.map_err(|error| match error {
        ChildError::Start { .. } | ChildError::NoChild { .. } => DryRunError::NoChild(error),
        ChildError::Late { .. } | ChildError::Pipe(_) => failed(error.to_string()),
        ChildError::Ended { .. } | ChildError::TooLong { .. } => {
            DryRunError::Died(error.to_string())
        }
    })?;
    let lacks = protection.lacks();
    if !lacks.is_empty() {
        static SAID: Once = Once::new();
        SAID.call_once(|| {
            tracing::warn!("the dry run of plugins is less protected: {}", lacks.join("; "))
        });
    }
    match serde_json::from_slice(&answer) {
        Ok(Answer::Tried(stats)) => Ok(DryRun { stats, protection }),
        Ok(Answer::Refused(reason)) => Err(failed(reason)),
        Err(_) => Err(failed("the child answered what is no answer".to_owned())),
    }
}
