//! Feeders: what writes to a journal by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::network::{Intake, Stop, block_on};
use super::{amqp, zmq};
use crate::backoff::Backoff;
use crate::clock::now_us;
use crate::host::HostError;
use crate::log::demo::{DemoId, DemoParams, DemoStream};
use crate::log::ingest::{Ingest, IngestError};
use crate::log::source::AmqpParams;
use crate::log::{Log, LogError, Records, stdin};

/// Messages of the demo written at once.
const DEMO_BATCH: u64 = 1000;
/// Wait for the next live message at most so long before looking whether to stop.
const STEP: Duration = Duration::from_millis(200);

/// Between attempts to write what the disk refused.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A source that has to be written to its journal by a thread of ours.
pub(super) enum Feeder {
    /// Our own stream of messages.
    Demo { params: DemoParams, ingest: Arc<Ingest>, patience: Patience },
    /// Standard input.
    Stdin { ingest: Arc<Ingest>, max_line: usize, patience: Patience },
    /// A broker's queue.
    Amqp { params: AmqpParams, intake: Intake },
    /// fedmsg's publishers.
    Zmq { publishers: zmq::Publishers, intake: Intake },
}

/// What is done when the disk refuses what is fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// It is tried again until there is room; nothing is read meanwhile.
    Waits,
    /// The source ends: who reads to the end is told at once.
    GivesUp,
}

impl Feeder {
    /// Whether it ends soon after a stop is asked for; a pump may wait for standard input for ever.
    pub(super) fn ends_when_asked(&self) -> bool {
        !matches!(self, Self::Stdin { .. })
    }
}

/// Feeds until the source ends or the host stops, and marks the journal as finished at its end.
pub(super) fn run(feeder: Feeder, stopping: &AtomicBool, stop: Stop) -> Result<(), HostError> {
    match feeder {
        Feeder::Amqp { params, intake } => block_on(amqp::run(&params, &intake, stop)),
        Feeder::Zmq { publishers, intake } => block_on(zmq::run(publishers, &intake, stop)),
        Feeder::Demo { params, ingest, patience } => demo(params, &ingest, patience, stopping),
        Feeder::Stdin { ingest, max_line, patience } => {
            lines(&ingest, max_line, patience, stopping)
        }
    }
}

fn demo(
    params: DemoParams,
    ingest: &Ingest,
    patience: Patience,
    stopping: &AtomicBool,
) -> Result<(), HostError> {
    let (stream, mut next) = match last_demo_id(ingest)? {
        Some(last) => DemoStream::resume(params, last, now_us()),
        None => (DemoStream::begin(params, now_us()), 0),
    };
    let mut text = Vec::new();
    while !stopping.load(Ordering::Acquire) {
        let end = stream.len();
        if end.is_some_and(|end| next >= end) {
            ingest.journal().finish();
            break;
        }
        let due = stream.due(now_us()).min(end.unwrap_or(u64::MAX)).min(next + DEMO_BATCH);
        if due <= next {
            let wait_us = (stream.time_us(next) - now_us()).max(0).unsigned_abs();
            std::thread::park_timeout(Duration::from_micros(wait_us).min(STEP));
            continue;
        }
        text.clear();
        let mut spans = Vec::new();
        for index in next..due {
            let from = text.len();
            stream.write(index, &mut text);
            spans.push(from..text.len());
        }
        let texts = || spans.iter().map(|span| &text[span.clone()]);
        written(patience, stopping, || ingest.push(texts())).map_err(feed_error)?;
        next = due;
    }
    Ok(())
}

/// Id of the last message that was journaled: the stream goes on behind it.
fn last_demo_id(ingest: &Ingest) -> Result<Option<DemoId>, HostError> {
    let journal = ingest.journal();
    let end = journal.end()?.offset;
    let Some(last) = end.0.checked_sub(1).filter(|last| *last >= journal.start().0) else {
        return Ok(None);
    };
    let mut records = Records::default();
    journal.read(crate::log::Offset(last), usize::MAX, 1, &mut records)?;
    Ok(records.spans.first().and_then(|&(start, len)| {
        let text = &records.text[start as usize..(start + len) as usize];
        let message: serde_json::Value = serde_json::from_slice(text).ok()?;
        message.get("msg_id")?.as_str()?.parse().ok()
    }))
}

fn lines(
    ingest: &Ingest,
    max_line: usize,
    patience: Patience,
    stopping: &AtomicBool,
) -> Result<(), HostError> {
    let pumped = stdin::pump(std::io::stdin(), max_line, |batch| {
        let accept = || ingest.accept(batch, Some("application/x-ndjson"), None, true);
        let accepted = written(patience, stopping, accept)?;
        for refused in &accepted.rejected {
            tracing::warn!("standard input: a line was refused: {}", refused.remedy);
        }
        Ok::<(), IngestError>(())
    });
    match pumped {
        Ok(pumped) => {
            ingest.journal().finish();
            tracing::info!(lines = pumped.lines, "standard input has ended");
            Ok(())
        }
        Err(stdin::PumpError::Input(source)) => {
            Err(HostError::Io { what: "cannot read standard input".into(), source })
        }
        Err(stdin::PumpError::Sink(error)) => Err(feed_error(error)),
    }
}

/// Writes to a journal; where the disk refuses, it depends on `patience` whether that is tried again.
fn written<T>(
    patience: Patience,
    stopping: &AtomicBool,
    mut write: impl FnMut() -> Result<T, IngestError>,
) -> Result<T, IngestError> {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        match write() {
            Err(error @ IngestError::Log(LogError::Io { .. }))
                if patience == Patience::Waits && !stopping.load(Ordering::Acquire) =>
            {
                tracing::error!("messages cannot be journaled yet: {error}");
                std::thread::park_timeout(backoff.pause());
            }
            outcome => return outcome,
        }
    }
}

fn feed_error(error: IngestError) -> HostError {
    HostError::Feed(error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn refused() -> IngestError {
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        IngestError::Log(LogError::Io { log: "demo".to_owned(), what: "write".to_owned(), source })
    }

    #[test]
    fn what_a_full_disk_refuses_is_written_again_until_there_is_room() {
        let mut refusals = 2;
        let mut write = || {
            refusals -= 1;
            if refusals >= 0 { Err(refused()) } else { Ok("written") }
        };
        let going_on = AtomicBool::new(false);
        assert!(written(Patience::GivesUp, &going_on, &mut write).is_err());
        assert_eq!(written(Patience::Waits, &going_on, &mut write).unwrap(), "written");
        let stopping = AtomicBool::new(true);
        assert!(written(Patience::Waits, &stopping, || Err::<(), _>(refused())).is_err());
    }
}
