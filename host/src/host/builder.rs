//! How a host shall run, and its start.

mod audit;
mod plugins;

use std::collections::BTreeMap;
use std::net::{TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use self::audit::{Audit, Audited};
use super::folders::Watched;
use super::recovery::Recovery;
use super::retention::longest_kept;
use super::running::{Parts, Running};
use super::{Host, HostError};
use crate::catalog::RunningCatalog;
use crate::config::{Config, Keep};
use crate::engine::{Engine, EngineOptions};
use crate::http::{self, HttpOptions};
use crate::limits::StatLimits;
use crate::loader::{Isolation, Isolations, Trust};
use crate::log::ingest::IngestLimits;
use crate::log::journal::JournalOptions;
use crate::log::segment::{Retention, SegmentOptions};
use crate::log::source::{HistoryUrl, SourceError, SourceUrl};
use crate::project::{Caps, Limits, Mapping};
use crate::query::{self, Catalog, Watchers};
use crate::sources::{SourceOptions, Sources};
use crate::store::{Database, Tuning};

/// How a host shall run. Made by [`Host::builder`]; every setting has a default.
#[derive(Clone)]
pub struct HostBuilder {
    data: PathBuf,
    plugins: Vec<PathBuf>,
    dashboards: Option<PathBuf>,
    child_program: Option<PathBuf>,
    trust: Trust,
    sources: Vec<SourceUrl>,
    mappings: BTreeMap<String, Mapping>,
    history: Option<HistoryUrl>,
    listen: Option<String>,
    http: HttpOptions,
    threads: usize,
    ingest_threads: usize,
    isolations: Isolations,
    caps: Caps,
    stat_limits: StatLimits,
    checkpoint: Duration,
    durable_every: Duration,
    limits: Limits,
    journal: JournalOptions,
    tuning: Tuning,
    disabled: Vec<String>,
    backlogs: BTreeMap<String, Duration>,
    keep: Keep,
    stat_config: BTreeMap<String, String>,
    accept_loss: bool,
    once: bool,
    watch_plugins: bool,
    watchers: Arc<Watchers>,
}

impl HostBuilder {
    /// Every setting at its default.
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            data: "statmill-data".into(),
            plugins: Vec::new(),
            dashboards: None,
            child_program: None,
            trust: Trust::default(),
            sources: Vec::new(),
            mappings: BTreeMap::new(),
            history: None,
            listen: None,
            http: HttpOptions::default(),
            threads: cores,
            ingest_threads: cores,
            isolations: Isolations::default(),
            caps: Caps::default(),
            stat_limits: StatLimits::default(),
            checkpoint: Duration::from_secs(1),
            durable_every: Duration::from_secs(1),
            limits: Limits::default(),
            journal: JournalOptions::default(),
            tuning: Tuning::default(),
            disabled: Vec::new(),
            backlogs: BTreeMap::new(),
            keep: Keep::Models,
            stat_config: BTreeMap::new(),
            accept_loss: false,
            once: false,
            watch_plugins: true,
            watchers: Arc::default(),
        }
    }

    /// Takes every setting from a checked configuration.
    #[must_use]
    pub fn config(mut self, config: &Config) -> Self {
        self.data.clone_from(&config.data);
        self.plugins.extend(config.plugins.iter().cloned());
        if config.dashboards.is_some() {
            self.dashboards.clone_from(&config.dashboards);
        }
        self.sources.extend(config.sources.iter().map(|source| source.url.clone()));
        self.history.clone_from(&config.history);
        self.mappings.clone_from(&config.mappings);
        self.threads = config.threads.get();
        self.ingest_threads = config.ingest_threads.get();
        self.isolations.clone_from(&config.isolations);
        self.checkpoint = config.checkpoint;
        self.durable_every = config.durable_every;
        self.limits = Limits {
            max_message: config.limits.max_message,
            max_depth: config.limits.max_depth,
            max_ahead_us: micros(config.limits.max_ahead),
            validate: config.limits.validate,
        };
        self.http.limits = query::Limits {
            max_rows: config.query.max_rows,
            max_time: config.query.max_time,
            default_rows_per_page: config.query.default_rows_per_page as u64,
            max_rows_per_page: config.query.max_rows_per_page as u64,
        };
        self.stat_limits = config.stat_limits;
        self.http.tokens.clone_from(&config.tokens);
        self.http.base_url.clone_from(&config.base_url);
        self.journal.segment = SegmentOptions { roll_bytes: config.journal.segment_bytes };
        self.journal.retention = Retention {
            age_us: config.journal.max_age.map(micros),
            max_bytes: None,
            disk_limit: config.journal.max_bytes,
        };
        self.keep = config.journal.keep;
        self.tuning.fold_deltas = config.fold_deltas;
        self.watch_plugins = config.watch_plugins;
        self.set_stats(config);
        self
    }

    fn set_stats(&mut self, config: &Config) {
        self.trust.clone_from(&config.vetting);
        self.stat_config.extend(config.stat_configs());
        for (ident, stat) in &config.stats {
            if !stat.enabled {
                self.disabled.push(ident.clone());
            }
            if let Some(backlog) = stat.backlog {
                self.backlogs.insert(ident.clone(), backlog);
            }
        }
    }

    /// Folder of the store, the journals and the copies of plugins. Default: `statmill-data`.
    #[must_use]
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = folder.into();
        self
    }

    /// Adds a folder of plugins, or a single library. `plugins` in the data folder is always looked into.
    #[must_use]
    pub fn plugin(mut self, path: impl AsRef<Path>) -> Self {
        self.plugins.push(path.as_ref().into());
        self
    }

    /// Folder whose `*.json` define dashboards. Default: `dashboards` in the data folder.
    #[must_use]
    pub fn dashboards(mut self, folder: impl Into<PathBuf>) -> Self {
        self.dashboards = Some(folder.into());
        self
    }

    /// Adds a dashboard by its definition, JSON text; `file` names it where something is wrong with it.
    #[must_use]
    pub fn dashboard(mut self, file: &str, json: &str) -> Self {
        self.http.dashboards.add(file, json);
        self
    }

    /// Names the program that is started as child process, in which plugins are tried before they are
    /// mapped: one whose `main` calls [`serve_as_child`](crate::serve_as_child). Default: this program,
    /// if its own does.
    #[must_use]
    pub fn child_program(mut self, path: impl Into<PathBuf>) -> Self {
        self.child_program = Some(path.into());
        self
    }

    /// Sets which plugins' files are let in. Default: all.
    #[must_use]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Adds a source by its URL (`file:PATH`, `http:NAME`, `stdin:`, `demo:`, `zmq+tcp://HOST:PORT`,
    /// `amqp://HOST/VHOST?queue=NAME`, `amqps://…`).
    ///
    /// # Errors
    /// [`SourceError`] naming what is wrong with the URL.
    pub fn source(mut self, url: &str) -> Result<Self, SourceError> {
        self.sources.push(url.parse()?);
        Ok(self)
    }

    /// Lets `/metrics` also tell what the process measured of itself. Installs the recorder of the
    /// `metrics` crate, unless the program has one already.
    #[must_use]
    pub fn measured(mut self) -> Self {
        self.http.metrics = http::metrics::install();
        self
    }

    /// Sets where messages missed while no host ran are fetched from (`file:PATH`, `datagrepper+https://HOST/raw`,
    /// `postgres://USER@HOST/DATABASE`).
    ///
    /// # Errors
    /// [`SourceError`] naming what is wrong with the URL.
    pub fn history(mut self, url: &str) -> Result<Self, SourceError> {
        self.history = Some(url.parse()?);
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

    /// Threads that may read messages out of one log's text at a time, in batches that keep the log's
    /// order. Default: the number of cores.
    #[must_use]
    pub fn ingest_threads(mut self, threads: usize) -> Self {
        self.ingest_threads = threads;
        self
    }

    /// Where the code of plugins runs, unless it is said of one by itself. Default: in this process.
    ///
    /// A process needs a program that calls [`serve_as_child`](crate::serve_as_child).
    #[must_use]
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolations.default = isolation;
        self
    }

    /// Where the code of the plugin `name` runs: its file without `lib` and `.so`.
    #[must_use]
    pub fn plugin_isolation(mut self, name: &str, isolation: Isolation) -> Self {
        self.isolations.plugins.insert(name.to_owned(), isolation);
        self
    }

    /// Whether a stat that hangs in this process goes on in one of its own, where what it hangs in can be found and
    /// passed over. Default: yes; without a program that serves as process it is left alone.
    #[must_use]
    pub fn move_hung(mut self, moves: bool) -> Self {
        self.isolations.takes_hung = moves;
        self
    }

    /// How large the dictionaries of texts may become before they are begun anew.
    #[must_use]
    pub fn dictionaries(mut self, caps: Caps) -> Self {
        self.caps = caps;
        self
    }

    /// What a stat may take before it is stopped.
    #[must_use]
    pub fn stat_limits(mut self, limits: StatLimits) -> Self {
        self.stat_limits = limits;
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

    /// How journals are kept. Without an age: as long as the longest model that reads them.
    #[must_use]
    pub fn journal(mut self, options: JournalOptions) -> Self {
        self.journal = options;
        self
    }

    /// Sizes of the store.
    #[must_use]
    pub fn store(mut self, tuning: Tuning) -> Self {
        self.tuning = tuning;
        self
    }

    /// Configuration of the stat `ident`, JSON text.
    #[must_use]
    pub fn stat_config(mut self, ident: &str, json: &str) -> Self {
        self.stat_config.insert(ident.to_owned(), json.to_owned());
        self
    }

    /// Leaves out the stat `ident` though its plugin is loaded.
    #[must_use]
    pub fn disable(mut self, ident: &str) -> Self {
        self.disabled.push(ident.to_owned());
        self
    }

    /// Lets a rebuild take over though it does not reach back as far as the rows it replaces.
    #[must_use]
    pub fn accept_loss(mut self, accept: bool) -> Self {
        self.accept_loss = accept;
        self
    }

    /// Whether plugins that appear, change or go while the host runs are noticed by themselves. Default: yes;
    /// never with [`HostBuilder::once`].
    #[must_use]
    pub fn watch_plugins(mut self, watch: bool) -> Self {
        self.watch_plugins = watch;
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
    pub fn start(mut self) -> Result<Host, HostError> {
        let io = |what: String| move |source| HostError::Io { what, source };
        std::fs::create_dir_all(&self.data)
            .map_err(io(format!("cannot make the data folder {}", self.data.display())))?;
        // Who reads to the end and exits 0 says that the numbers are right; a host that serves starts at
        // once, and says so when it finds a damaged page.
        let verify = self.tuning.verify || self.once;
        let tuning = Tuning { verify, stat_limits: self.stat_limits, ..self.tuning };
        let opened = Database::open_tuned(&self.data, tuning)?;
        let (database, mut stats) = (Arc::new(opened.database), opened.stats);
        let watches = self.watch_plugins && !self.once;
        if watches {
            let folder = self.data.join("plugins");
            let made = std::fs::create_dir_all(&folder);
            made.map_err(io(format!("cannot make the plugins folder {}", folder.display())))?;
        }
        let watched = watches.then(|| Watched::begin(&self.plugin_folders())).flatten();
        let mut loaded = self.load();
        loaded.sweep(&self.copies());
        self.adjust(&mut loaded);
        let mut journal = self.journal;
        if self.keeps_for_models() {
            journal.retention.age_us = longest_kept(&loaded).and_then(|longest| longest.kept_us);
        }
        let source_options = SourceOptions {
            data: self.data.clone(),
            urls: self.sources.clone(),
            history: self.history.clone(),
            mappings: self.mappings.clone(),
            journal,
            keep: self.keep,
            ingest: IngestLimits { message: self.limits, ..IngestLimits::default() },
            limits: self.limits,
            once: self.once,
        };
        let mut sources = Sources::open(&source_options, &database, &mut stats, &loaded)?;
        let (inputs, options) = (sources.take_inputs(), self.engine_options());
        let engine = Engine::start(Arc::clone(&database), &mut stats, &loaded, inputs, options)?;
        let catalog = Arc::new(RunningCatalog::new(&engine, &stats, &loaded, sources.sinks())?);
        let (limits, once) = (self.http.limits.clone(), self.once);
        let folder = self.dashboards.clone().unwrap_or_else(|| self.data.join("dashboards"));
        self.http.dashboards.read(&folder);
        let http = match &self.listen {
            None => None,
            Some(address) => Some(listen(address, &catalog, self.http.clone())?),
        };
        sources.start()?;
        let refusals = Arc::clone(database.refusals());
        let running = Running::new(
            catalog,
            Parts {
                settings: self,
                database,
                engine: Some(engine),
                inputs: None,
                sources,
                source_options,
                loaded,
                detached: stats,
            },
        );
        let folders = watched.and_then(|watched| watched.follow(&running));
        // Who reads to the end and exits 0 says that all is counted: there it is a failure.
        let recovery = (!once).then(|| Recovery::begin(&running, refusals)).transpose()?;
        Ok(Host { running, http, folders, recovery, limits, once })
    }

    /// Whether journals are kept as long as the longest model that reads them.
    pub(super) fn keeps_for_models(&self) -> bool {
        self.journal.retention.age_us.is_none()
    }

    pub(super) fn engine_options(&self) -> EngineOptions {
        EngineOptions {
            threads: self.threads,
            ingest_threads: self.ingest_threads,
            checkpoint: self.checkpoint,
            durable_every: self.durable_every,
            limits: self.limits,
            caps: self.caps,
            stat_limits: self.stat_limits,
            stat_config: self.stat_config.clone(),
            accept_loss: self.accept_loss,
            history: self.history.is_some(),
            watchers: Arc::clone(&self.watchers),
        }
    }
}

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
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
    let listener = TcpListener::bind(resolved).map_err(fail)?;
    let catalog: Arc<dyn Catalog> = Arc::clone(catalog) as _;
    Ok(http::serve(listener, catalog, options, http::Shutdown::new())?)
}
