//! A host as a value: what an embedder builds, asks and stops. The `statmill` command is one embedder.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::RunningCatalog;
use crate::engine::{Engine, EngineError, EngineOptions};
use crate::http::{self, HttpOptions};
use crate::loader;
use crate::log::LogError;
use crate::log::source::{HistoryUrl, Source, SourceError};
use crate::project::{Caps, Limits};
use crate::query::{self, Answer, Catalog, IngestSink, Query, QueryError, Table};
use crate::sources::{JournalOptions, Sources};
use crate::store::{Database, StoreError};

/// How a host shall run. Made by [`Host::builder`]; every setting has a default.
#[derive(Clone, Debug)]
pub struct HostBuilder {
    data: PathBuf,
    plugins: Vec<PathBuf>,
    sources: Vec<Source>,
    history: Option<HistoryUrl>,
    listen: Option<String>,
    http: HttpOptions,
    threads: usize,
    checkpoint: Duration,
    durable_every: Duration,
    limits: Limits,
    journal: JournalOptions,
    fold_rows: Option<usize>,
    stat_config: BTreeMap<String, String>,
    accept_loss: bool,
    once: bool,
}

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
    /// Listening beyond this machine without tokens would let anyone in.
    #[error(
        "{address} can be reached from other machines, but no tokens are configured; listen on \
         127.0.0.1, or set tokens.ingest, tokens.query and tokens.admin"
    )]
    Open { address: SocketAddr },
    /// A file or folder cannot be used.
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    /// A source has no end, so that nothing could ever be read to it.
    #[error("source {0} has no end; leave it out, or leave out --once")]
    Endless(String),
}

/// A running host. Dropped without [`Host::stop`] it ends as at SIGKILL: nothing is lost, what was not
/// committed is folded again.
pub struct Host {
    engine: Engine,
    catalog: Arc<RunningCatalog>,
    sources: Sources,
    http: Option<http::Server>,
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

impl HostBuilder {
    /// Folder of the store, the journals and the copies of plugins. Default: `statmill-data`.
    #[must_use]
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = folder.into();
        self
    }

    /// Adds a folder of plugins, or a single library. Default: `plugins` in the data folder.
    #[must_use]
    pub fn plugin(mut self, path: impl AsRef<Path>) -> Self {
        self.plugins.push(path.as_ref().into());
        self
    }

    /// Adds a source by its URL (`file:PATH`, `http:NAME`, `stdin:`, `demo:`).
    ///
    /// # Errors
    /// [`SourceError`] naming what is wrong with the URL.
    pub fn source(mut self, url: &str) -> Result<Self, SourceError> {
        self.sources.push(Source::parse(url)?);
        Ok(self)
    }

    /// Sets where messages missed while no host ran are fetched from (`file:PATH`).
    ///
    /// # Errors
    /// [`SourceError`] naming what is wrong with the URL.
    pub fn history(mut self, url: &str) -> Result<Self, SourceError> {
        self.history = Some(HistoryUrl::parse(url)?);
        Ok(self)
    }

    /// Serves HTTP on `address`; port 0 takes any. Default: no HTTP.
    #[must_use]
    pub fn listen(mut self, address: &str) -> Self {
        self.listen = Some(address.to_owned());
        self
    }

    /// Limits and tokens of the HTTP server.
    #[must_use]
    pub fn http(mut self, options: HttpOptions) -> Self {
        self.http = options;
        self
    }

    /// Number of workers. Default: the number of cores.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Time between two commits of a stat. Default: 1 s.
    #[must_use]
    pub fn checkpoint(mut self, period: Duration) -> Self {
        self.checkpoint = period;
        self
    }

    /// Time between two fsyncs of the store. Default: 1 s.
    #[must_use]
    pub fn durable_every(mut self, period: Duration) -> Self {
        self.durable_every = period;
        self
    }

    /// Limits of a message.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How journals are kept.
    #[must_use]
    pub fn journal(mut self, options: JournalOptions) -> Self {
        self.journal = options;
        self
    }

    /// Rows a stat may hold in memory before they are folded into pages.
    #[must_use]
    pub fn fold_rows(mut self, rows: Option<usize>) -> Self {
        self.fold_rows = rows;
        self
    }

    /// Configuration of the stat `ident`, JSON text.
    #[must_use]
    pub fn stat_config(mut self, ident: &str, json: &str) -> Self {
        self.stat_config.insert(ident.to_owned(), json.to_owned());
        self
    }

    /// Lets a rebuild take over though it does not reach back as far as the rows it replaces.
    #[must_use]
    pub fn accept_loss(mut self, accept: bool) -> Self {
        self.accept_loss = accept;
        self
    }

    /// Reads all sources to their ends instead of following them.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Starts the host: opens the store, loads the plugins, brings every stat level and follows the sources.
    ///
    /// # Errors
    /// [`HostError`]. A plugin that cannot be loaded, or a stat that fails, is no error: it is in the status.
    pub fn start(self) -> Result<Host, HostError> {
        let io = |what: String| move |source| HostError::Io { what, source };
        std::fs::create_dir_all(&self.data)
            .map_err(io(format!("cannot make the data folder {}", self.data.display())))?;
        let database = Database::open(&self.data.join("store"))?;
        if let Some(rows) = self.fold_rows {
            database.set_fold_rows(rows);
        }
        let database = Arc::new(database);
        let folders = self.plugin_folders();
        let loaded = loader::load_folders(&folders, &self.data.join("plugin-copies"));

        let mut sources = Sources::open(&self.data, &self.sources, &self.journal, &self.limits, self.once)?;
        sources.plan_fills(&database, &loaded, self.history.as_ref(), &self.data)?;
        let options = EngineOptions {
            threads: self.threads,
            checkpoint: self.checkpoint,
            durable_every: self.durable_every,
            limits: self.limits,
            caps: Caps::default(),
            stat_config: self.stat_config,
            accept_loss: self.accept_loss,
            data: self.data.clone(),
        };
        let engine = Engine::start(Arc::clone(&database), &loaded, sources.inputs(), options)?;
        let catalog = Arc::new(RunningCatalog::new(&engine, &loaded, sources.sinks())?);
        let http = match &self.listen {
            None => None,
            Some(address) => Some(listen(address, &catalog, self.http)?),
        };
        sources.start();
        Ok(Host { engine, catalog, sources, http, once: self.once })
    }

    fn plugin_folders(&self) -> Vec<PathBuf> {
        if !self.plugins.is_empty() {
            return self.plugins.clone();
        }
        let default = self.data.join("plugins");
        if default.is_dir() { vec![default] } else { Vec::new() }
    }
}

fn listen(
    address: &str,
    catalog: &Arc<RunningCatalog>,
    options: HttpOptions,
) -> Result<http::Server, HostError> {
    let fail = |source| HostError::Listen { address: address.to_owned(), source };
    let resolved = address
        .to_socket_addrs()
        .map_err(fail)?
        .next()
        .ok_or_else(|| fail(std::io::ErrorKind::AddrNotAvailable.into()))?;
    if !resolved.ip().is_loopback() && !options.tokens.complete() {
        return Err(HostError::Open { address: resolved });
    }
    let listener = TcpListener::bind(resolved).map_err(fail)?;
    let catalog: Arc<dyn Catalog> = Arc::clone(catalog) as _;
    http::serve(listener, catalog, options).map_err(fail)
}

impl Host {
    /// Starts to describe a host.
    #[must_use]
    pub fn builder() -> HostBuilder {
        HostBuilder {
            data: "statmill-data".into(),
            plugins: Vec::new(),
            sources: Vec::new(),
            history: None,
            listen: None,
            http: HttpOptions::default(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            checkpoint: Duration::from_secs(1),
            durable_every: Duration::from_secs(1),
            limits: Limits::default(),
            journal: JournalOptions::default(),
            fold_rows: None,
            stat_config: BTreeMap::new(),
            accept_loss: false,
            once: false,
        }
    }

    /// Where HTTP is served.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(http::Server::address)
    }

    /// All that can be asked of the host.
    #[must_use]
    pub fn catalog(&self) -> Arc<dyn Catalog> {
        Arc::clone(&self.catalog) as _
    }

    /// Where messages for the source `http:NAME` go, without HTTP: accepted once they are durable.
    #[must_use]
    pub fn ingest(&self, source: &str) -> Option<Arc<dyn IngestSink>> {
        self.catalog.ingest(source)
    }

    /// Answers a query over a stat's committed rows.
    ///
    /// # Errors
    /// [`QueryError`]; an unknown stat is [`QueryError::NoSuchStat`].
    pub fn query(&self, ident: &str, query: &Query) -> Result<Answer, QueryError> {
        let view = self.catalog.stat(ident).ok_or_else(|| QueryError::NoSuchStat(ident.into()))?;
        query::run(&*view.snapshot, query, &query::Limits::default())
    }

    /// Returns all committed rows of a model of a stat (none = its first), ascending.
    ///
    /// # Errors
    /// As [`Host::query`].
    pub fn rows(&self, ident: &str, model: Option<&str>) -> Result<Table, QueryError> {
        let view = self.catalog.stat(ident).ok_or_else(|| QueryError::NoSuchStat(ident.into()))?;
        query::all_rows(&*view.snapshot, model)
    }

    /// Commits what has been folded so far and makes it durable.
    pub fn flush(&self) {
        self.engine.flush();
        self.engine.make_durable();
    }

    /// With `once`: waits until all sources are read to their ends, everything is committed and durable.
    ///
    /// # Errors
    /// A source that could not be read to its end.
    pub fn wait_finished(&self) -> Result<(), HostError> {
        debug_assert!(self.once);
        self.sources.wait_pumped()?;
        self.engine.wait_finished();
        self.engine.make_durable();
        Ok(())
    }

    /// Numbers since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.engine.counters()
    }

    /// Stops: takes nothing more, commits everything that was taken, makes it durable.
    pub fn stop(self) {
        if let Some(http) = self.http {
            http.stop();
        }
        self.sources.stop();
        self.engine.stop();
    }
}

/// Waits for SIGTERM or SIGINT; a second one ends the process at once.
///
/// # Errors
/// The handlers cannot be installed.
pub fn wait_for_signal() -> std::io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    let asked = Arc::new(std::sync::atomic::AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal arms the second.
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&asked))?;
        signal_hook::flag::register(signal, Arc::clone(&asked))?;
    }
    signals.forever().next();
    Ok(())
}

