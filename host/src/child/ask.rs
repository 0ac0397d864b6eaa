//! One question, one answer, a limit on everything.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::process::{Child, start};
use super::{ChildError, Limits, Program, Protection, Role};

/// A moment after which nothing is waited for.
#[derive(Clone, Copy)]
pub(super) struct Until(Instant);

impl Until {
    pub(super) fn after(span: Duration) -> Self {
        Self(Instant::now() + span)
    }

    pub(super) fn is_over(self) -> bool {
        Instant::now() >= self.0
    }

    /// Waits until something can be read, or the other side is gone.
    pub(super) fn readable(self, from: impl AsFd) -> std::io::Result<()> {
        let from = from.as_fd();
        self.poll(&mut [PollFd::new(&from, PollFlags::IN)])
    }

    fn poll(self, fds: &mut [PollFd<'_>]) -> std::io::Result<()> {
        loop {
            let left = self.0.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            let left = Timespec::try_from(left).map_err(std::io::Error::other)?;
            match poll(fds, Some(&left)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Starts a child in `role`, gives it `question`, and takes its answer of at most `most` bytes once it has
/// ended well, all `within` some time.
///
/// # Errors
/// [`ChildError`]. The child is gone in any case.
pub(crate) fn ask(
    program: &Program,
    role: Role,
    limits: &Limits,
    question: &[u8],
    most: usize,
    within: Duration,
) -> Result<(Vec<u8>, Protection), ChildError> {
    let mut child = start(program, role, limits, None)?;
    let until = Until::after(within);
    let answer = exchange(&mut child, question, most, until).map_err(|error| match error {
        Stopped::TooLong => ChildError::TooLong { most },
        Stopped::Pipe(error) if error.kind() == ErrorKind::TimedOut => ChildError::Late { within },
        Stopped::Pipe(error) => ChildError::Pipe(error),
    })?;
    child.finish(until.0.saturating_duration_since(Instant::now())).map_err(
        |error| match error {
            ChildError::Late { .. } => ChildError::Late { within },
            other => other,
        },
    )?;
    Ok((answer, child.protection.clone()))
}

enum Stopped {
    TooLong,
    Pipe(std::io::Error),
}

impl From<std::io::Error> for Stopped {
    fn from(error: std::io::Error) -> Self {
        Self::Pipe(error)
    }
}

/// Writes and reads at once: neither side may have to wait for the other.
fn exchange(
    child: &mut Child,
    mut question: &[u8],
    most: usize,
    until: Until,
) -> Result<Vec<u8>, Stopped> {
    never_wait(&child.output)?;
    if let Some(input) = &child.input {
        never_wait(input)?;
    }
    let mut answer = Vec::new();
    let mut bytes = vec![0; 64 << 10];
    loop {
        if question.is_empty() {
            // Its end is the end of the question.
            child.input = None;
        }
        match &mut child.input {
            Some(input) => {
                let (out, inn) = (child.output.as_fd(), input.as_fd());
                until.poll(&mut [
                    PollFd::new(&out, PollFlags::IN),
                    PollFd::new(&inn, PollFlags::OUT),
                ])?;
                match input.write(question) {
                    Ok(written) => question = &question[written..],
                    // It does not want to hear more: what it answers is what counts.
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => question = &[],
                    Err(error) if may_go_on(&error) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            None => until.readable(&child.output)?,
        }
        match child.output.read(&mut bytes) {
            Ok(0) => return Ok(answer),
            Ok(read) if answer.len() + read > most => return Err(Stopped::TooLong),
            Ok(read) => answer.extend_from_slice(&bytes[..read]),
            Err(error) if may_go_on(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn may_go_on(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn never_wait(pipe: impl AsFd) -> std::io::Result<()> {
    let flags = fcntl_getfl(&pipe)?;
    Ok(fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?)
}
