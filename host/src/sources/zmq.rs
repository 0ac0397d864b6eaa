//! Feeds a journal from fedmsg's publishers over ZeroMQ.
//!
//! One task for each publisher reads and hands on; one writes what has come since with one fsync. What
//! they hold together is bounded: while the disk is slow nobody reads, and publishers drop what they
//! cannot send. Nothing is acknowledged on this wire: what is sent while a publisher is not connected is
//! gone, so those times are told, and a history can be asked for them.

mod frames;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use self::wire::{Message, Subscription, WireError};
use super::network::{Intake, Refusal, Stop};
use super::signature::{Checker, TrustError};
use crate::backoff::Backoff;
use crate::log::connections::{Connections, Failure};
use crate::log::ingest::IngestError;
use crate::log::source::ZmqParams;
use crate::query::status::reject_name;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Short, for what is sent before we are back is lost.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Pause before the journal is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Messages that wait for the journal, and those of one commit.
const WAITING: usize = 4096;
/// KiB of messages that wait for the journal; one alone may be larger.
const WAITING_KIB: usize = 32 << 10;

/// Publishers, and what their messages must satisfy.
pub(super) struct Publishers {
    params: ZmqParams,
    checker: Option<Arc<Mutex<Checker>>>,
    max_message: usize,
}

impl Publishers {
    /// Reads the files that signatures are checked by.
    pub(super) fn open(params: &ZmqParams, max_message: usize) -> Result<Self, TrustError> {
        let checker = params.signatures.as_ref().map(Checker::open).transpose()?;
        let checker = checker.map(|checker| Arc::new(Mutex::new(checker)));
        Ok(Self { params: params.clone(), checker, max_message })
    }
}

/// A message on its way to the journal; memory is given back when it is dropped.
struct Waiting {
    message: Message,
    memory: Option<OwnedSemaphorePermit>,
}

/// Feeds until a stop is asked for, then journals what has come.
pub(super) async fn run(publishers: Publishers, intake: &Intake, mut stop: Stop) {
    let (sender, mut waiting) = mpsc::channel(WAITING);
    let memory = Arc::new(Semaphore::new(WAITING_KIB));
    let params = Arc::new(publishers.params);
    let mut readers = JoinSet::new();
    for at in 0..params.endpoints.len() {
        let reader = Reader {
            at,
            params: Arc::clone(&params),
            max_message: publishers.max_message,
            connections: Arc::clone(&intake.connections),
            sender: sender.clone(),
            memory: Arc::clone(&memory),
        };
        readers.spawn(reader.run());
    }
    drop(sender);
    loop {
        let mut group = Vec::new();
        let came = tokio::select! {
            biased;
            () = stop.asked() => break,
            came = waiting.recv_many(&mut group, WAITING) => came,
        };
        if came == 0 {
            break;
        }
        write(intake, publishers.checker.as_ref(), group, &mut stop).await;
    }
    readers.shutdown().await;
    let mut rest = Vec::new();
    while waiting.recv_many(&mut rest, WAITING).await > 0 {}
    write(intake, publishers.checker.as_ref(), rest, &mut stop).await;
    intake.connections.stopped();
}

/// Journals a group, for as long as it takes; after a stop was asked for it is tried once.
async fn write(
    intake: &Intake,
    checker: Option<&Arc<Mutex<Checker>>>,
    group: Vec<Waiting>,
    stop: &mut Stop,
) {
    intake.connections.received(group.len() as u64);
    let checker = checker.cloned();
    // Signatures take a while: connections must not wait for them.
    let judged = tokio::task::spawn_blocking(move || judge(group, checker.as_deref())).await;
    let Ok((records, refusals, memory)) = judged else { return };
    refusals.iter().for_each(|refusal| intake.refuse(refusal));
    if records.is_empty() {
        return;
    }
    let records = Arc::new(records);
    loop {
        match journal(intake, &records).await {
            Ok(()) => break,
            Err(error) => tracing::error!("messages cannot be journaled yet: {error}"),
        }
        if stop.asked_within(RETRY_PAUSE).await {
            tracing::error!(
                messages = records.len(),
                "messages are lost: the journal cannot be written"
            );
            break;
        }
    }
    drop(memory);
}

type Judged = (Vec<Vec<u8>>, Vec<Refusal>, Vec<OwnedSemaphorePermit>);

/// The records of a group, what is refused, and the memory that the records still take.
fn judge(group: Vec<Waiting>, checker: Option<&Mutex<Checker>>) -> Judged {
    let mut checker = checker.map(Mutex::lock);
    let (mut records, mut refusals, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for waiting in group {
        match frames::record(waiting.message, checker.as_deref_mut()) {
            Ok(record) => {
                records.push(record);
                memory.extend(waiting.memory);
            }
            Err(refusal) => refusals.push(refusal),
        }
    }
    (records, refusals, memory)
}

async fn journal(intake: &Intake, records: &Arc<Vec<Vec<u8>>>) -> Result<(), IngestError> {
    let accepted = intake.journal(Arc::clone(records)).await?;
    for line in &accepted.rejected {
        intake.connections.refused(&reject_name(line.reason), &line.remedy);
    }
    Ok(())
}

/// Reads one publisher.
struct Reader {
    at: usize,
    params: Arc<ZmqParams>,
    max_message: usize,
    connections: Arc<Connections>,
    sender: mpsc::Sender<Waiting>,
    memory: Arc<Semaphore>,
}

impl Reader {
    /// Connects and reads, again and again, until nobody takes what it reads.
    async fn run(self) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let Err(error) = self.session(&mut backoff).await else { return };
            let failure = match &error {
                WireError::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    Failure::NobodySends
                }
                _ => Failure::Unknown,
            };
            self.connections.failed(self.at, &error.to_string(), failure);
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    async fn session(&self, backoff: &mut Backoff) -> Result<(), WireError> {
        let endpoint = &self.params.endpoints[self.at];
        let mut subscription =
            Subscription::open(endpoint, &self.params.topics, self.max_message).await?;
        self.connections.connected(self.at);
        self.connections.missed(self.at, "nothing is kept for who is not connected");
        loop {
            let message = subscription.next().await?;
            backoff.reset();
            let kib = match &message {
                Message::Frames(frames) => frames.iter().map(Vec::len).sum::<usize>() / 1024 + 1,
                Message::TooLarge => 1,
            };
            let kib = kib.min(WAITING_KIB) as u32;
            let memory = Arc::clone(&self.memory).acquire_many_owned(kib).await.ok();
            if self.sender.send(Waiting { message, memory }).await.is_err() {
                return Ok(());
            }
        }
    }
}
