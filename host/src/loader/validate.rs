//! What `plugins check` does: the vetting of one file, explained step by step, and the author's validator
//! ([`crate::trial::check`]) in a child process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::trust::Admission;
use super::{LoadOptions, vet};
use crate::child::{self, ChildError, Limits, Program, Role};
use crate::trial::check::{Found, Outcome, Question, StatReport, Step};

/// Folding a million messages in a debug build takes a minute.
const WITHIN: Duration = Duration::from_secs(600);
const MEMORY_BYTES: u64 = 2 << 30;
/// The longest answer.
const MAX_ANSWER: usize = 8 << 20;

/// Everything that was found of one file.
#[derive(Debug, Serialize)]
pub(crate) struct Validated {
    /// The file.
    pub(crate) path: PathBuf,
    /// Whether a host would load it and all is as it should be.
    pub(crate) passed: bool,
    /// SHA-256 of the file.
    pub(crate) digest: Option<String>,
    /// What was looked at of the file.
    pub(crate) steps: Vec<Step>,
    /// What was looked at of its stats.
    pub(crate) stats: Vec<StatReport>,
}

/// Vets `file` and checks its stats on messages: made ones, and those of the file `messages`. `count` are
/// folded to measure speed and memory.
pub(crate) fn validate(
    file: &Path,
    options: &LoadOptions,
    messages: Option<&Path>,
    count: u64,
) -> Validated {
    let mut validated = Validated {
        path: file.into(),
        passed: false,
        digest: None,
        steps: Vec::new(),
        stats: Vec::new(),
    };
    if let Err((step, reason)) = look(file, options, messages, count, &mut validated) {
        validated.steps.push(Step::failed(step, reason));
    }
    let steps = validated.steps.iter().chain(validated.stats.iter().flat_map(|stat| &stat.steps));
    validated.passed =
        steps.clone().count() > 0 && steps.clone().all(|it| it.outcome != Outcome::Failed);
    validated
}

/// The steps until one fails: its name, and why.
fn look(
    file: &Path,
    options: &LoadOptions,
    messages: Option<&Path>,
    count: u64,
    validated: &mut Validated,
) -> Result<(), (&'static str, String)> {
    let vetted = vet::vet(file, &options.trust).map_err(|error| ("file", error.to_string()))?;
    let words = format!("{} bytes, a whole shared library for this machine", vetted.len());
    validated.steps.push(Step::passed("file", words));
    validated.digest = Some(vetted.digest.clone());
    validated.steps.push(match vetted.admission {
        Admission::Open => {
            Step::new("trust", Outcome::Noted, "no digest and no signature is asked for")
        }
        Admission::Listed => Step::passed("trust", "its digest is in vetting.allow"),
        Admission::Signed => Step::passed("trust", "signed with a key of vetting.trusted_keys"),
    });
    let private =
        vet::private_copy(&vetted, &options.copies).map_err(|error| ("copy", error.to_string()))?;

    let program = Program::find(options.child_program.as_deref())
        .ok_or_else(|| ("child", "this program does not serve as child process".to_owned()))?;
    let messages = messages
        .map(|path| path.canonicalize().map_err(|error| (path, error)))
        .transpose()
        .map_err(|(path, error)| {
            ("messages", format!("cannot read {}: {error}", path.display()))
        })?;
    let limits = Limits {
        memory_bytes: MEMORY_BYTES,
        cpu_s: Some(WITHIN.as_secs()),
        readable: std::iter::once(private.clone()).chain(messages.clone()).collect(),
    };
    let question = Question { library: private, configs: options.configs.clone(), messages, count };
    let question = serde_json::to_vec(&question).map_err(|error| ("child", error.to_string()))?;
    let answer = child::ask(&program, Role::Check, &limits, &question, MAX_ANSWER, WITHIN);
    let (answer, protection) = answer.map_err(|error| match error {
        ChildError::Start { .. } | ChildError::NoChild { .. } => ("child", error.to_string()),
        _ => ("survives", format!("{error}; in a host's own process it would have been the host")),
    })?;
    validated.steps.push(match &protection.lacks()[..] {
        [] => {
            Step::passed("sandbox", "no network, no files, no processes; limits on time and memory")
        }
        lacks => Step::new("sandbox", Outcome::Noted, lacks.join("; ")),
    });
    let found: Found = serde_json::from_slice(&answer)
        .map_err(|_| ("survives", "it ended the child without an answer".to_owned()))?;
    if let Some(reason) = found.refused {
        return Err(("loads", reason));
    }
    if let Some(plugin) = &found.plugin {
        let words = format!(
            "{} {}, API {}, {} stats",
            plugin.name,
            plugin.version,
            plugin.api,
            found.stats.len()
        );
        validated.steps.push(Step::passed("loads", words));
    }
    validated.stats = found.stats;
    Ok(())
}
