//! The same program as a child process, in which a plugin can hurt nobody.
//!
//! A child is this program, started again with a hidden first argument ([`MARK`]). It talks with its
//! parent over two pipes, gives away every right that a plugin does not need ([`sandbox`]), says what
//! it could give away, and only then serves its [`Role`]. It ends with its parent, whatever happens.
//!
//! ```text
//! parent: start(program, role, limits) ─► Child { input, output, protection, … }
//! child:  serve_as_child() ─► close, redirect, confine ─► hello ─► the role's function(Link)
//! ```
//!
//! A role is a function in [`serve`]; what it and its parent say to each other is theirs alone.

mod ask;
mod process;
pub(crate) mod sandbox;
mod serve;
mod speech;
pub(crate) mod worker;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

pub(crate) use self::ask::ask;
pub(crate) use self::process::{Child, start};
pub(crate) use self::sandbox::{Limits, Protection};
pub(crate) use self::serve::Link;
pub use self::serve::serve_as_child;

/// The hidden first argument. The role follows, then what the parent says of the child's life, as JSON.
const MARK: &str = "--statmill-child";

/// Whether [`serve_as_child`] was called: a program that does not call it would, started again, do all
/// that it does a second time.
static SERVES: AtomicBool = AtomicBool::new(false);

/// What a child is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Maps one plugin, tries it and tells what it saw.
    Probe,
    /// As a plugin's author wants to know it: how good its stats are.
    Check,
    /// Maps one plugin and holds one instance of it ([`worker`]).
    Worker,
}

impl Role {
    /// Its word on the command line.
    const fn word(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Check => "check",
            Self::Worker => "worker",
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        [Self::Probe, Self::Check, Self::Worker].into_iter().find(|role| role.word() == word)
    }
}

/// The program that serves as child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program(PathBuf);

/// Whether a program has ever got ready as a child. With one that did not, each further start would wait
/// as long for it.
static KNOWN: Mutex<BTreeMap<PathBuf, bool>> = Mutex::new(BTreeMap::new());

impl Program {
    /// `named`, else this program where it calls [`serve_as_child`]; none where there is neither, or
    /// where it has shown that it does not serve.
    pub(crate) fn find(named: Option<&Path>) -> Option<Self> {
        // The link leads to the very file that runs, also when another was put in its place since.
        let own = || SERVES.load(Ordering::SeqCst).then(|| "/proc/self/exe".into());
        let program = named.map(PathBuf::from).or_else(own)?;
        let fails = KNOWN.lock().get(&program) == Some(&false);
        (!fails).then_some(Self(program))
    }

    /// Notes whether it got ready. One that once did may fail now and then.
    fn note(&self, ready: bool) {
        let mut known = KNOWN.lock();
        let served = known.entry(self.0.clone()).or_insert(ready);
        *served |= ready;
    }
}

/// Why a child did not answer.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub(crate) enum ChildError {
    /// It cannot be started.
    #[error("cannot start the child process {program:?}: {source}")]
    Start { program: PathBuf, source: std::io::Error },
    /// It did not get ready. Nothing of a plugin was mapped by then.
    #[error(
        "{program:?} does not serve as child process: its main must call statmill::serve_as_child() first{}",
        words(.said)
    )]
    NoChild { program: PathBuf, said: String },
    /// It ended before it had answered.
    #[error("the child process {how}{}", words(.said))]
    Ended {
        how: String,
        said: String,
        /// By SIGKILL, which it cannot have sent itself.
        killed: bool,
    },
    /// It did not answer in time and was killed.
    #[error("no answer within {} s", .within.as_secs_f64())]
    Late { within: std::time::Duration },
    /// It answered more than is taken and was killed.
    #[error("the answer has more than {most} bytes")]
    TooLong { most: usize },
    /// Its pipes failed.
    #[error("cannot talk with the child process: {0}")]
    Pipe(std::io::Error),
}

fn words(said: &str) -> String {
    match said.trim() {
        "" => String::new(),
        said => format!("; it said: {said}"),
    }
}

#[cfg(test)]
mod tests;
