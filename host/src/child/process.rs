//! The parent's side: starting a child, hearing what it says, ending it.

use std::io::{ErrorKind, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded, unbounded};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group};

use super::ask::Until;
use super::sandbox::{Limits, Protection};
use super::serve::{Hello, Orders};
use super::speech::Speech;
use super::{ChildError, MARK, Program, Role};

/// As much of what a child says on standard error is kept: its last words.
const KEPT_WORDS: usize = 4 << 10;
/// A child that is not ready after this long does not become it.
const STARTING: Duration = Duration::from_secs(10);
/// The longest hello.
const MAX_HELLO: usize = 64 << 10;

/// A child process that runs its role. Killed, with all it started, when dropped.
pub(crate) struct Child {
    /// What it reads. Dropped or taken and dropped: it reads to its end.
    pub(crate) input: Option<ChildStdin>,
    /// What it writes.
    pub(crate) output: ChildStdout,
    /// What it has given away.
    pub(crate) protection: Protection,
    process: Process,
}

/// Starts `program` in `role` and waits until it is ready to serve. What it prints is logged where it has a
/// `plugin`.
///
/// It has a clean environment, a process group and a sandbox of its own, and ends with this process.
///
/// # Errors
/// [`ChildError`]: the program cannot be started, is none that serves as child, or ended at once.
pub(crate) fn start(
    program: &Program,
    role: Role,
    limits: &Limits,
    plugin: Option<&str>,
) -> Result<Child, ChildError> {
    let failed = |source| ChildError::Start { program: program.0.clone(), source };
    let orders = Orders { parent: std::process::id().cast_signed(), limits: limits.clone() };
    let orders = serde_json::to_string(&orders).map_err(|error| failed(error.into()))?;
    let mut command = Command::new(&program.0);
    command
        .args([MARK, role.word(), &orders])
        .arg0("statmill")
        .env_clear()
        // mimalloc reserves address space; made writable at once it would count as memory.
        .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(path) = std::env::var_os("LD_LIBRARY_PATH") {
        command.env("LD_LIBRARY_PATH", path);
    }
    let mut child = spawn(command).map_err(failed)?;
    let missing = || failed(ErrorKind::BrokenPipe.into());
    let errors = child.stderr.take().ok_or_else(missing)?;
    let (input, mut output) = (child.stdin.take(), child.stdout.take().ok_or_else(missing)?);
    let words = Words::listen(errors, plugin.map(Speech::of)).map_err(failed)?;
    let mut process = Process { child, words };
    let hello = read_hello(&mut output).ok_or_else(|| {
        // Its last words come before its end.
        match process.wait(Until::after(STARTING)) {
            Some(status) if status.code() == Some(2) && !process.words.text().is_empty() => {
                process.ended(status)
            }
            Some(status) if status.code().is_none() => process.ended(status),
            _ => {
                process.kill();
                program.note(false);
                ChildError::NoChild { program: program.0.clone(), said: process.words.text() }
            }
        }
    })?;
    program.note(true);
    Ok(Child { input, output, protection: hello.protection, process })
}

impl Child {
    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.child.id()
    }

    /// Kills it and all it started, at once.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Waits until it has ended, at most `within`; then kills it. How it ended in words and its last
    /// ones; none where it ended well.
    pub(crate) fn finish(&mut self, within: Duration) -> Result<(), ChildError> {
        drop(self.input.take());
        match self.process.wait(Until::after(within)) {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(self.process.ended(status)),
            None => {
                self.kill();
                Err(ChildError::Late { within })
            }
        }
    }
}

/// A process of the system with its last words.
struct Process {
    child: std::process::Child,
    words: Words,
}

impl Process {
    /// What is to be said of its end.
    fn ended(&mut self, status: ExitStatus) -> ChildError {
        let killed = status.signal() == Some(Signal::KILL.as_raw());
        ChildError::Ended { how: ended(status), said: self.words.text(), killed }
    }

    fn kill(&mut self) {
        if let Some(group) = Pid::from_raw(self.child.id().cast_signed()) {
            // Until it is waited for its number is nobody else's.
            if matches!(self.child.try_wait(), Ok(None)) {
                let _ = kill_process_group(group, Signal::KILL);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn wait(&mut self, until: Until) -> Option<ExitStatus> {
        let mut pause = Duration::from_micros(50);
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if until.is_over() => return None,
                Ok(None) => std::thread::sleep(pause),
                Err(_) => return None,
            }
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How a process ended, in words.
fn ended(status: ExitStatus) -> String {
    let by = |signal: i32| match signal {
        4 => "SIGILL: it ran into code that is none".to_owned(),
        6 => "SIGABRT: it aborted".to_owned(),
        7 => "SIGBUS: it read what its file does not have".to_owned(),
        9 => "SIGKILL".to_owned(),
        11 => "SIGSEGV: it touched memory that is not its own, or ran out of stack".to_owned(),
        24 => "SIGXCPU: it used more CPU time than it may".to_owned(),
        25 => "SIGXFSZ: it wrote to a file".to_owned(),
        31 => "SIGSYS: it made a forbidden system call".to_owned(),
        other => format!("signal {other}"),
    };
    match (status.code(), status.signal()) {
        (_, Some(signal)) => format!("ended by {}", by(signal)),
        (Some(code), _) => format!("exited with code {code}"),
        _ => "ended".to_owned(),
    }
}

fn read_hello(output: &mut ChildStdout) -> Option<Hello> {
    let until = Until::after(STARTING);
    let mut take = |bytes: &mut [u8]| {
        let mut taken = 0;
        while taken < bytes.len() {
            until.readable(&*output).ok()?;
            match output.read(&mut bytes[taken..]) {
                Ok(0) => return None,
                Ok(more) => taken += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        Some(())
    };
    let mut length = [0; 4];
    take(&mut length)?;
    let length = usize::try_from(u32::from_le_bytes(length)).ok().filter(|it| *it <= MAX_HELLO)?;
    let mut text = vec![0; length];
    take(&mut text)?;
    serde_json::from_slice(&text).ok()
}

/// What a child says on standard error; a thread reads it, so that the child never waits.
struct Words {
    last: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Words {
    fn listen(mut errors: ChildStderr, mut speech: Option<Speech>) -> std::io::Result<Self> {
        let last = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&last);
        let reader = std::thread::Builder::new().name("child-words".into()).spawn(move || {
            let mut bytes = [0; 1024];
            while let Ok(read @ 1..) = errors.read(&mut bytes) {
                if let Some(speech) = &mut speech {
                    speech.hear(&bytes[..read]);
                }
                let mut kept = kept.lock();
                kept.extend_from_slice(&bytes[..read]);
                let over = kept.len().saturating_sub(KEPT_WORDS);
                kept.drain(..over);
            }
        })?;
        Ok(Self { last, reader: Some(reader) })
    }

    /// The last words of a child that has ended.
    fn text(&mut self) -> String {
        let soon = Instant::now() + Duration::from_secs(1);
        if let Some(reader) = self.reader.take() {
            // Somebody else may hold the pipe: not for ever.
            while !reader.is_finished() && Instant::now() < soon {
                std::thread::sleep(Duration::from_micros(100));
            }
        }
        let bytes = self.last.lock().clone();
        let text = String::from_utf8_lossy(&bytes);
        text.chars().filter(|c| !c.is_control() || *c == '\n').collect()
    }
}

/// Starts a process from a thread that never ends: the kernel takes the end of the thread that started a
/// process for the end of its parent.
fn spawn(command: Command) -> std::io::Result<std::process::Child> {
    type Order = (Command, Sender<std::io::Result<std::process::Child>>);
    static SPAWNER: OnceLock<Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, receiver) = unbounded::<Order>();
        // Without the thread the receiver is dropped, and every order is answered by an error.
        let _ = std::thread::Builder::new().name("child-spawner".into()).spawn(move || {
            for (mut command, answer) in receiver {
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let gone = || std::io::Error::other("the thread that starts child processes is not there");
    let (answer, answers) = bounded(1);
    spawner.send((command, answer)).map_err(|_| gone())?;
    answers.recv().map_err(|_| gone())?
}
