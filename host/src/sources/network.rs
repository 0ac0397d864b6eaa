//! What feeders over a network share: a runtime on their own thread, the wish to stop, pauses.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::host::HostError;
use crate::log::connections::Connections;
use crate::log::ingest::{Accepted, Ingest, IngestError};
use crate::log::{Log, LogError};

/// Longest time until a connection is made, or a broker has answered.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A source that is fed over a network, and what becomes of its messages.
#[derive(Clone, Debug)]
pub(super) struct Intake {
    pub(super) ingest: Arc<Ingest>,
    pub(super) connections: Arc<Connections>,
}

/// Why a message is no record: one word to count it by, and what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: &'static str,
    pub(super) what: String,
}

impl Refusal {
    pub(super) fn new(reason: &'static str, what: impl Into<String>) -> Self {
        Self { reason, what: what.into() }
    }
}

/// Becomes true when the feeders shall end.
#[derive(Clone, Debug)]
pub(super) struct Stop(pub(super) watch::Receiver<bool>);

impl Stop {
    /// Waits for the wish to stop; also where nobody is left who could have it.
    pub(super) async fn asked(&mut self) {
        let _ = self.0.wait_for(|asked| *asked).await;
    }

    /// Waits so long, or until a stop is asked for, which it answers.
    pub(super) async fn asked_within(&mut self, pause: Duration) -> bool {
        tokio::time::timeout(pause, self.asked()).await.is_ok()
    }
}

/// Runs `feeder` to its end on this thread.
pub(super) fn block_on(feeder: impl Future<Output = ()>) -> Result<(), HostError> {
    let io = |source| HostError::Io { what: "cannot start a source's event loop".into(), source };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .build()
        .map_err(io)?;
    runtime.block_on(feeder);
    // A name that is still being looked up would else hold up the end.
    runtime.shutdown_background();
    Ok(())
}

impl Intake {
    /// Journals those of `records` that are good; the others are told by their places. Returns when they
    /// are durable; connections are kept alive meanwhile.
    pub(super) async fn journal(
        &self,
        records: Arc<Vec<Vec<u8>>>,
    ) -> Result<Accepted, IngestError> {
        let ingest = Arc::clone(&self.ingest);
        let written =
            tokio::task::spawn_blocking(move || ingest.push_good(records.iter().map(|it| &**it)));
        let accepted = written.await.map_err(|error| {
            let source = std::io::Error::other(error.to_string());
            let log = self.ingest.journal().name().to_owned();
            IngestError::Log(LogError::Io { log, what: "write".to_owned(), source })
        })??;
        self.connections.journaled(&accepted);
        Ok(accepted)
    }

    pub(super) fn refuse(&self, refusal: &Refusal) {
        self.connections.refused(refusal.reason, &refusal.what);
    }
}
