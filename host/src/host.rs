//! A host as a value: what an embedder builds, asks and stops. The `statmill` command is one embedder.

mod builder;
mod folders;
mod recovery;
mod retention;
mod running;

use std::net::SocketAddr;
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

pub use self::builder::{Audit, Audited, HostBuilder};
use self::folders::FolderWatch;
use self::recovery::Recovery;
pub(crate) use self::retention::{LongestKept, longest_kept};
use self::running::Running;
use crate::admin::AdminError;
use crate::config::Config;
pub use crate::engine::EngineError;
use crate::http::{self, HttpError};
use crate::log::LogError;
use crate::log::history::HistoryError;
use crate::log::ingest::Ingest;
use crate::log::source::SourceError;
use crate::project::PointerError;
use crate::query::{
    self, Answer, Catalog, ComputeError, PluginReport, Query, QueryError, Selection, Table,
};
use crate::store::StoreError;

/// Why a host cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum HostError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A source cannot be opened.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A source makes no sense.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The engine cannot start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; give another with --listen")]
    Listen { address: String, source: std::io::Error },
    /// The HTTP server cannot start.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The history cannot be used.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A mapping's pointer is none.
    #[error(transparent)]
    Pointer(#[from] PointerError),
    /// A source names a field mapping that does not exist.
    #[error("there is no field mapping {name:?}; there are {known}")]
    NoMapping { name: String, known: String },
    /// A source that is fed by the host itself failed.
    #[error("a source failed: {0}")]
    Feed(String),
    /// A file or folder cannot be used.
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    /// Damaged rows were made anew, but not all that they had counted can be read again.
    #[error("not everything can be counted again: {}", .0.join("; "))]
    Lost(Vec<String>),
    /// An audit cannot be made.
    #[error("cannot audit {ident:?}: {reason}")]
    Audit { ident: String, reason: String },
    /// A source has no end, so that nothing could ever be read to it.
    #[error("source {0} has no end; leave it out, or leave out --once")]
    Endless(String),
}

/// A running host. Dropped without [`Host::stop`] it ends as at SIGKILL: nothing is lost, what was not
/// committed is folded again.
pub struct Host {
    running: Arc<Running>,
    http: Option<http::Server>,
    folders: Option<FolderWatch>,
    recovery: Option<Recovery>,
    limits: query::Limits,
    once: bool,
}

/// Numbers of a running host since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages accepted from all logs by the stats that read them: the most any stat accepted.
    pub messages: u64,
    /// Commits of all stats, since their first.
    pub commits: u64,
    /// Fsyncs of the store.
    pub syncs: u64,
}

impl Host {
    /// Starts to describe a host.
    #[must_use]
    pub fn builder() -> HostBuilder {
        HostBuilder::new()
    }

    /// Where HTTP is served.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(http::Server::address)
    }

    /// All that can be asked of the host.
    #[must_use]
    pub fn catalog(&self) -> Arc<dyn Catalog> {
        Arc::clone(&self.running.catalog) as _
    }

    /// The way in for messages of the source `http:NAME`, without HTTP.
    #[must_use]
    pub fn ingest(&self, source: &str) -> Option<Arc<Ingest>> {
        self.running.catalog.ingest(source)
    }

    /// Answers a query over a stat's committed rows, within the limits of [`HostBuilder::http`].
    ///
    /// # Errors
    /// [`QueryError`]; an unknown stat is [`QueryError::NoSuchStat`].
    pub fn query(&self, ident: &str, query: &Query) -> Result<Answer, QueryError> {
        let view =
            self.running.catalog.stat(ident).ok_or_else(|| QueryError::NoSuchStat(ident.into()))?;
        query::run(&view.snapshot, query, &self.limits)
    }

    /// Answers a view that a stat's plugin computes over the rows that the query selects.
    ///
    /// # Errors
    /// [`ComputeError`]; an unknown stat is a [`QueryError::NoSuchStat`] in it.
    pub fn view(&self, ident: &str, view: &str, query: &Query) -> Result<Answer, ComputeError> {
        let stat =
            self.running.catalog.stat(ident).ok_or_else(|| QueryError::NoSuchStat(ident.into()))?;
        let detached = || ComputeError::Detached { ident: ident.to_owned() };
        let views = self.running.catalog.views().ok_or_else(detached)?;
        views.run(&stat, view, query, &self.limits)
    }

    /// Returns all committed rows of a model of a stat (none = its first), ascending.
    ///
    /// # Errors
    /// As [`Host::query`].
    pub fn rows(&self, ident: &str, model: Option<&str>) -> Result<Table, QueryError> {
        let view =
            self.running.catalog.stat(ident).ok_or_else(|| QueryError::NoSuchStat(ident.into()))?;
        let query = Query {
            model: model.map(str::to_owned),
            order: Some(query::Order::Asc),
            ..Query::default()
        };
        let selection = Selection::new(&view.snapshot, &query, &query::Limits::none())?;
        selection.part(0, selection.total())
    }

    /// Commits what has been folded so far and makes it durable.
    pub fn flush(&self) {
        self.running.flush();
    }

    /// Looks into the plugins folders again: new plugins begin, changed ones take over at the positions of
    /// their stats, those that are gone leave their rows. `config` is where else plugins are looked for and how
    /// stats are set now; the rest of it waits for the next start. Answers what became of each file.
    ///
    /// # Errors
    /// [`AdminError`]: what ran before goes on.
    pub fn reload(&self, config: Option<&Config>) -> Result<Vec<PluginReport>, AdminError> {
        self.running.reload_with(config)
    }

    /// With `once`: waits until all sources are read to their ends, everything is committed and durable.
    ///
    /// # Errors
    /// A source that could not be read to its end; [`HostError::Lost`], with all else committed.
    pub fn wait_finished(&self) -> Result<(), HostError> {
        debug_assert!(self.once);
        self.running.wait_finished()
    }

    /// Numbers since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.running.counters()
    }

    /// Stops: takes nothing more, commits everything that was taken, makes it durable.
    pub fn stop(self) {
        self.running.catalog.stopping();
        drop((self.folders, self.recovery));
        if let Some(http) = self.http {
            http.stop();
        }
        self.running.stop();
    }
}

/// Waits for SIGTERM or SIGINT; a second one ends the process at once.
///
/// # Errors
/// The handlers cannot be installed.
pub fn wait_for_signal() -> std::io::Result<()> {
    wait(&[SIGINT, SIGTERM], || {})
}

/// As [`wait_for_signal`]; each SIGHUP until then calls `reload`.
///
/// # Errors
/// The handlers cannot be installed.
pub fn wait_for_signals(reload: impl FnMut()) -> std::io::Result<()> {
    wait(&[SIGINT, SIGTERM, SIGHUP], reload)
}

fn wait(which: &[i32], mut reload: impl FnMut()) -> std::io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new(which)?;
    let asked = Arc::new(std::sync::atomic::AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal arms the second.
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&asked))?;
        signal_hook::flag::register(signal, Arc::clone(&asked))?;
    }
    for signal in signals.forever() {
        match signal {
            SIGHUP => reload(),
            _ => break,
        }
    }
    Ok(())
}
