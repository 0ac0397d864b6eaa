//! The line to a worker process: a question, its answer, and patience that ends.
//!
//! Everything that comes from a worker is taken for hostile: no answer is longer than what was asked for
//! allows, none is waited for longer than a call may take, and what is not understood ends the process.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::Failure;
use crate::child::worker::frame::{self, Frame, HEAD, Kind};
use crate::child::{Child, ChildError};

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// CPU time of the worker.
    pub(super) cpu: Duration,
    /// In all: a worker that waits uses no CPU.
    pub(super) wall: Duration,
}

/// Time in which a worker that has closed its line ends.
const ENDING: Duration = Duration::from_secs(2);
/// How often a worker's CPU time is looked at.
const GLANCE: Duration = Duration::from_millis(100);
/// Room for an answer is made in steps: that it will be long is only said so far.
const STEP: usize = 1 << 20;

/// The line to a worker; dropped, the process is killed.
pub(super) struct Line {
    child: Child,
    frame: Frame,
    body: Vec<u8>,
    /// How long a question may take, unless it has a time of its own.
    patience: Patience,
    /// Since the last question.
    wait: Wait,
}

/// Why nothing is heard.
enum Silence {
    Late,
    Io(io::Error),
}

impl From<io::Error> for Silence {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Line {
    pub(super) fn new(child: Child, patience: Patience) -> Result<Self, Failure> {
        let wait = Wait::new(child.id(), patience);
        let line = Self { child, frame: Frame::default(), body: Vec::new(), patience, wait };
        let pipes = line.child.input.iter().map(AsFd::as_fd).chain([line.child.output.as_fd()]);
        for pipe in pipes {
            let flags = fcntl_getfl(pipe).and_then(|f| fcntl_setfl(pipe, f | OFlags::NONBLOCK));
            flags.map_err(|error| Failure::Line(error.to_string()))?;
        }
        Ok(line)
    }

    /// What of the sandbox the worker does not have, in words.
    pub(super) fn lacks(&self) -> Vec<String> {
        self.child.protection.lacks()
    }

    /// Begins a question.
    pub(super) fn question(&mut self, kind: Kind) -> &mut Frame {
        self.frame.begin(kind)
    }

    /// Sends the question and takes an answer of at most `most` bytes.
    ///
    /// # Errors
    /// See [`Failure`]; [`Failure::Said`] is the worker's answer.
    pub(super) fn ask(&mut self, most: usize) -> Result<(Kind, &[u8]), Failure> {
        self.ask_within(most, self.patience)
    }

    /// As [`Line::ask`], within a time of its own.
    ///
    /// # Errors
    /// See [`Line::ask`].
    pub(super) fn ask_within(
        &mut self,
        most: usize,
        patience: Patience,
    ) -> Result<(Kind, &[u8]), Failure> {
        self.wait = Wait::new(self.child.id(), patience);
        if let Err(silence) = self.send() {
            return Err(self.end(silence));
        }
        self.frame.shrink();
        self.hear(most)
    }

    /// The failure of an answer that is none.
    pub(super) fn nonsense(&mut self, what: &str) -> Failure {
        self.child.kill();
        Failure::Line(format!("it answered {what}"))
    }

    /// Takes an answer, or one more, of at most `most` bytes.
    ///
    /// # Errors
    /// See [`Line::ask`].
    pub(super) fn hear(&mut self, most: usize) -> Result<(Kind, &[u8]), Failure> {
        let mut head = [0; HEAD];
        if let Err(silence) = take(&mut self.child.output, &mut head, &mut self.wait) {
            return Err(self.end(silence));
        }
        let Some((length, kind)) = frame::head(head) else {
            return Err(self.nonsense("what is no frame"));
        };
        let most = if kind == Kind::Said { MAX_WORDS } else { most };
        if length > most {
            return Err(self.nonsense(&format!("with {length} bytes where {most} are the most")));
        }
        self.body.clear();
        while self.body.len() < length {
            let (start, step) = (self.body.len(), (length - self.body.len()).min(STEP));
            self.body.resize(start + step, 0);
            let place = &mut self.body[start..];
            if let Err(silence) = take(&mut self.child.output, place, &mut self.wait) {
                return Err(self.end(silence));
            }
        }
        match kind {
            Kind::Said => Err(Failure::Said(String::from_utf8_lossy(&self.body).into_owned())),
            kind => Ok((kind, &self.body)),
        }
    }

    fn send(&mut self) -> Result<(), Silence> {
        let mut rest = self.frame.finish().map_err(io::Error::other)?;
        let input = self.child.input.as_mut().ok_or(io::Error::from(ErrorKind::BrokenPipe))?;
        while !rest.is_empty() {
            match input.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.wait.until(input.as_fd(), PollFlags::OUT)?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What is to be said of a worker that does not answer. It is gone afterwards.
    fn end(&mut self, silence: Silence) -> Failure {
        match silence {
            Silence::Late => {
                self.child.kill();
                Failure::Late(self.wait.patience.cpu)
            }
            Silence::Io(error) => match self.child.finish(ENDING) {
                Err(error @ ChildError::Ended { .. }) => failure(error),
                Ok(()) => Failure::Died { how: "exited with code 0".into(), killed: false },
                Err(_) => Failure::Line(error.to_string()),
            },
        }
    }
}

/// What is to be said of an instance whose process `error` befell.
pub(super) fn failure(error: ChildError) -> Failure {
    match error {
        ChildError::Ended { how, said, killed } => {
            let said = said.lines().last().map(|last| format!("; it said: {last}"));
            Failure::Died { how: how + &said.unwrap_or_default(), killed }
        }
        error => Failure::Line(error.to_string()),
    }
}

/// The longest words of a plugin that are taken.
const MAX_WORDS: usize = 64 << 10;

/// Reads until `bytes` are full.
fn take(from: &mut (impl Read + AsFd), bytes: &mut [u8], wait: &mut Wait) -> Result<(), Silence> {
    let mut taken = 0;
    while taken < bytes.len() {
        match from.read(&mut bytes[taken..]) {
            Ok(0) => return Err(io::Error::from(ErrorKind::UnexpectedEof).into()),
            Ok(more) => taken += more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                wait.until(from.as_fd(), PollFlags::IN)?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Waits for a worker as long as patience lasts.
struct Wait {
    process: u32,
    patience: Patience,
    since: Instant,
    /// CPU time the worker had used when it was first waited for in vain.
    cpu_before: Option<Duration>,
}

impl Wait {
    fn new(process: u32, patience: Patience) -> Self {
        Self { process, patience, since: Instant::now(), cpu_before: None }
    }

    fn until(&mut self, pipe: BorrowedFd<'_>, ready: PollFlags) -> Result<(), Silence> {
        let glance = GLANCE.min(self.patience.wall);
        let glance = Timespec::try_from(glance).map_err(io::Error::other)?;
        loop {
            match poll(&mut [PollFd::new(&pipe, ready)], Some(&glance)) {
                Ok(0) if self.is_over() => return Err(Silence::Late),
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
    }

    fn is_over(&mut self) -> bool {
        let Some(used) = cpu_time(self.process) else {
            return self.since.elapsed() >= self.patience.wall;
        };
        let before = *self.cpu_before.get_or_insert(used);
        used.saturating_sub(before) >= self.patience.cpu
            || self.since.elapsed() >= self.patience.wall
    }
}

/// The CPU time of all threads of a process.
fn cpu_time(process: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Its name stands in brackets and may hold anything; user and system time are the 12th and 13th after.
    let mut numbers = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut next = || numbers.next()?.parse::<u64>().ok();
    let ticks = next()? + next()?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Some(Duration::from_micros(ticks.saturating_mul(1_000_000) / per_second))
}
