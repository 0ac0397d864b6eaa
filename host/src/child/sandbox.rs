//! What a child gives away before anything of a plugin is mapped.
//!
//! Applied by the child to itself, for good: limits of the process, no new privileges, Landlock (reads
//! only what mapping a library needs, writes nothing, no TCP, no signals to others) and a seccomp filter
//! ([`calls`]). Where the kernel does not have one of them, the others remain and [`Protection`] says so.

mod calls;

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

/// Address space that is not memory: reservations of allocators, mapped libraries, stacks.
const RESERVED_BYTES: u64 = 8 << 30;

/// What Landlock shall handle: all that Linux 6.12 can. Older kernels handle what they know.
const LANDLOCK: ABI = ABI::V6;

/// Where libraries and what the loader and the runtime ask for lie.
const READABLE: [&str; 7] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    // Its own: limits, memory, and nothing of others.
    "/proc/self",
];

/// How much a child may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// Memory it may write to, bytes.
    pub(crate) memory_bytes: u64,
    /// CPU time, seconds; none = no limit.
    pub(crate) cpu_s: Option<u64>,
    /// Files and folders that it may read besides the system's libraries.
    pub(crate) readable: Vec<PathBuf>,
}

/// What holds of a child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Protection {
    /// Limits of memory, CPU time, file size, open files and core files.
    pub(crate) limits: Given,
    /// It can get no privileges that it was not started with.
    pub(crate) no_new_privileges: Given,
    /// Landlock: files, TCP, signals.
    pub(crate) landlock: Given,
    /// Filter of system calls: no network, no file is written, nothing is started, nobody else is touched.
    pub(crate) system_calls: Given,
}

/// Whether the kernel gave a protection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "given", content = "lacks", rename_all = "snake_case")]
pub(crate) enum Given {
    /// It holds.
    Whole,
    /// It holds as far as this kernel knows it.
    Part(String),
    /// It does not hold, and why.
    Not(String),
}

impl Protection {
    /// What does not hold, in words; empty when all does.
    pub(crate) fn lacks(&self) -> Vec<String> {
        let all = [
            ("process limits", &self.limits),
            ("no_new_privs", &self.no_new_privileges),
            ("Landlock", &self.landlock),
            ("seccomp", &self.system_calls),
        ];
        all.into_iter()
            .filter_map(|(name, given)| match given {
                Given::Whole => None,
                Given::Part(why) => Some(format!("{name} in part ({why})")),
                Given::Not(why) => Some(format!("no {name} ({why})")),
            })
            .collect()
    }
}

/// Gives away, for this process and for good, what a plugin does not need.
pub(super) fn confine(limits: &Limits) -> Protection {
    Protection {
        limits: given(set_limits(limits)),
        no_new_privileges: given(rustix::thread::set_no_new_privs(true)),
        landlock: restrict_files(&limits.readable)
            .unwrap_or_else(|error| Given::Not(error.to_string())),
        // Last: it forbids what the others need.
        system_calls: given(calls::forbid()),
    }
}

fn given<E: std::fmt::Display>(outcome: Result<(), E>) -> Given {
    outcome.map_or_else(|error| Given::Not(error.to_string()), |()| Given::Whole)
}

fn set_limits(limits: &Limits) -> rustix::io::Result<()> {
    let most = |value| Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(Resource::Core, most(0))?;
    setrlimit(Resource::Fsize, most(0))?;
    setrlimit(Resource::Nofile, most(64))?;
    setrlimit(Resource::Data, most(limits.memory_bytes))?;
    setrlimit(Resource::As, most(limits.memory_bytes.saturating_add(RESERVED_BYTES)))?;
    // Shared memory of old and message queues outlive a process: there are none.
    setrlimit(Resource::Msgqueue, most(0))?;
    setrlimit(Resource::Memlock, most(0))?;
    // Not `Nproc`: it counts all processes of the user. The filter of system calls forbids new ones.
    if let Some(seconds) = limits.cpu_s {
        setrlimit(Resource::Cpu, Rlimit { current: Some(seconds), maximum: Some(seconds + 1) })?;
    }
    Ok(())
}

fn restrict_files(readable: &[PathBuf]) -> Result<Given, landlock::RulesetError> {
    // What the program was told to look for libraries in, as the loader understands it.
    let named = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let named: Vec<PathBuf> =
        std::env::split_paths(&named).filter(|path| path.is_absolute()).collect();
    let paths =
        READABLE.iter().map(Path::new).chain(named.iter().chain(readable).map(AsRef::as_ref));
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?
        .add_rules(path_beneath_rules(paths, read))?
        .restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Given::Whole,
        RulesetStatus::PartiallyEnforced => Given::Part(format!("{:?}", status.landlock)),
        RulesetStatus::NotEnforced => Given::Not(format!("{:?}", status.landlock)),
    })
}

#[cfg(test)]
mod tests;
