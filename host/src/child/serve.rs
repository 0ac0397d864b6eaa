//! The child's side: from `main` to its role.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::Ordering;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

use super::sandbox::{self, Limits, Protection};
use super::{MARK, Role, SERVES, worker};

/// What a parent says of a child's life, before all else.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Orders {
    /// Process id of the parent: with another one it has ended meanwhile.
    pub(super) parent: i32,
    pub(super) limits: Limits,
}

/// The first words of a child, said before anything of a plugin is mapped: its length as four bytes
/// (little-endian), then this as JSON. What follows is the role's.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) protection: Protection,
}

/// What a role has to talk with.
pub(crate) struct Link {
    /// What the parent writes.
    pub(crate) input: File,
    /// What the parent reads. Standard output is not: a plugin may print.
    pub(crate) output: File,
}

/// Serves as child process, and ends with it, if the host started this program as one; else does nothing.
///
/// Call it first in `main`, before any thread is started or file opened: a host tries every plugin in such
/// a child before it maps it, and can run plugins in one for good. A program that does not call this has
/// to name another that does ([`HostBuilder::child_program`](crate::HostBuilder::child_program)), or goes
/// without that protection.
pub fn serve_as_child() {
    SERVES.store(true, Ordering::SeqCst);
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != MARK) {
        return;
    }
    let code = match prepare(arguments) {
        Ok((role, link)) => serve(role, link),
        Err(reason) => {
            eprintln!("{reason}");
            2
        }
    };
    std::process::exit(code);
}

fn serve(role: Role, link: Link) -> i32 {
    match role {
        Role::Probe => crate::loader::serve_probe(link),
        Role::Check => crate::trial::check::serve(link),
        Role::Worker => match worker::serve(link.input, link.output) {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("{error}");
                1
            }
        },
    }
}

/// Ends with the parent, keeps only its three pipes, gives rights away and says hello.
fn prepare(mut arguments: impl Iterator<Item = OsString>) -> Result<(Role, Link), String> {
    let mut next = || arguments.next().and_then(|argument| argument.into_string().ok());
    let role = next().and_then(|word| Role::of_word(&word)).ok_or("no such role of a child")?;
    let orders: Orders = next()
        .and_then(|text| serde_json::from_str(&text).ok())
        .ok_or("a child is started by its host only")?;
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| format!("cannot ask to end with the parent: {error}"))?;
    if getppid().map(Pid::as_raw_pid) != Some(orders.parent) {
        return Err("the parent has ended".to_owned());
    }
    close_inherited();
    let (input, mut output) =
        take_pipes().map_err(|error| format!("cannot keep the pipes: {error}"))?;
    let protection = sandbox::confine(&orders.limits);

    let text = serde_json::to_vec(&Hello { protection }).map_err(|error| error.to_string())?;
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
    output.write_all(&[&length[..], &text].concat()).map_err(|error| error.to_string())?;
    Ok((role, Link { input, output }))
}

/// Closes what the parent had open without saying that its children shall not have it: libraries in C do.
fn close_inherited() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| *number > 2)
        .collect();
    for number in open {
        // That of the listing itself is closed by now: an error that does not matter.
        let _ = nix::unistd::close(number);
    }
}

/// Keeps the pipes under other numbers: what a plugin prints goes to standard error, and it reads nothing.
fn take_pipes() -> std::io::Result<(File, File)> {
    let input = fcntl_dupfd_cloexec(std::io::stdin(), 3)?;
    let output = fcntl_dupfd_cloexec(std::io::stdout(), 3)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    rustix::stdio::dup2_stdout(std::io::stderr())?;
    Ok((input.into(), output.into()))
}
