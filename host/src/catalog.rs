//! What can be asked of a host: of a running one, or of a data folder at rest.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::clock::now_us;
use crate::engine::{Engine, Shared, Views, complete_at_rest};
use crate::loader::{self, Loaded};
use crate::log::Log;
use crate::log::ingest::Ingest;
use crate::query::{
    Catalog, CompleteUntil, ComputedViews, HostStatus, PluginReport, StatState, StatStatus,
    StatView, Status, UtcTime,
};
use crate::store::{Database, Snapshot, StoreError};

/// The stats of a running host; those without a plugin are there as well, detached.
pub(crate) struct RunningCatalog {
    shared: Arc<Shared>,
    detached: BTreeMap<String, Detached>,
    sinks: BTreeMap<String, Arc<Ingest>>,
    views: Arc<ComputedViews>,
    reports: Vec<PluginReport>,
    boot: u64,
    started_us: i64,
    stopping: AtomicBool,
    was_ready: AtomicBool,
}

/// The rows of a stat without its plugin, and up to when they were complete.
struct Detached {
    snapshot: Arc<Snapshot>,
    complete_until: CompleteUntil,
}

impl RunningCatalog {
    /// The catalog of `engine`, whose sources take messages through `sinks`.
    pub(crate) fn new(
        engine: &Engine,
        loaded: &Loaded,
        sinks: BTreeMap<String, Arc<Ingest>>,
    ) -> Result<Self, StoreError> {
        let shared = Arc::clone(engine.shared());
        let boot = shared.database.next_boot()?;
        // Only those without a plugin: a store is open once.
        let detached = detached(&shared.database, |ident| shared.idents().all(|it| it != ident))?;
        Ok(Self {
            detached,
            sinks,
            views: Arc::new(ComputedViews::new(Box::new(Views::new(&shared)))),
            reports: loaded.reports.iter().map(report).collect(),
            boot,
            started_us: now_us(),
            stopping: AtomicBool::new(false),
            was_ready: AtomicBool::new(false),
            shared,
        })
    }

    /// Takes no more messages, and says so.
    pub(crate) fn stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }
}

impl Catalog for RunningCatalog {
    fn idents(&self) -> Vec<String> {
        let running = self.shared.idents().map(str::to_owned);
        let mut idents: Vec<String> = running.chain(self.detached.keys().cloned()).collect();
        idents.sort();
        idents
    }

    fn stat(&self, ident: &str) -> Option<StatView> {
        if let Some(view) = self.shared.view(ident, self.boot) {
            return Some(view);
        }
        self.detached.get(ident).map(|stat| stat.view(self.boot))
    }

    fn status(&self) -> Status {
        let mut stats = self.shared.stat_statuses(self.boot);
        stats.extend(self.detached.values().map(|stat| stat.status(self.boot)));
        for (ident, reason) in &self.shared.refused {
            stats.retain(|stat| stat.ident != *ident);
            stats.push(StatStatus {
                ident: ident.clone(),
                state: StatState::Failed,
                reason: Some(reason.clone()),
                ..StatStatus::default()
            });
        }
        stats.sort_by(|a, b| a.ident.cmp(&b.ident));
        Status {
            host: HostStatus {
                version: env!("CARGO_PKG_VERSION").into(),
                boot: self.boot,
                started: Some(UtcTime(self.started_us)),
                uptime_s: (now_us() - self.started_us) as f64 / 1e6,
                ready: self.ready(),
                stopping: self.stopping.load(Ordering::Acquire),
                views: self.views.given_up(),
            },
            stats,
            logs: self.shared.log_status(),
            plugins: self.reports.clone(),
        }
    }

    fn ready(&self) -> bool {
        if self.was_ready.load(Ordering::Acquire) {
            return true;
        }
        let ready = self.shared.all_level();
        self.was_ready.fetch_or(ready, Ordering::AcqRel);
        ready
    }

    fn logs(&self) -> Vec<Arc<dyn Log>> {
        self.shared.logs()
    }

    fn ingest(&self, source: &str) -> Option<Arc<Ingest>> {
        self.sinks.get(source).cloned()
    }

    fn ingest_sources(&self) -> Vec<String> {
        self.sinks.keys().cloned().collect()
    }

    fn plugins(&self) -> Vec<PluginReport> {
        self.reports.clone()
    }

    fn views(&self) -> Option<Arc<ComputedViews>> {
        Some(Arc::clone(&self.views))
    }
}

/// The stats of a data folder that no host has open. No plugin is needed.
pub struct DataFolder {
    stats: BTreeMap<String, Detached>,
    boot: u64,
}

impl DataFolder {
    /// Reads the data folder `data`.
    ///
    /// # Errors
    /// [`StoreError`]: no such folder, it is in use by a running host, or it is damaged.
    pub fn open(data: &Path) -> Result<Self, StoreError> {
        let database = Database::open_existing(data)?;
        Ok(Self { boot: database.boot()?, stats: detached(&database, |_| true)? })
    }
}

impl Catalog for DataFolder {
    fn idents(&self) -> Vec<String> {
        self.stats.keys().cloned().collect()
    }

    fn stat(&self, ident: &str) -> Option<StatView> {
        self.stats.get(ident).map(|stat| stat.view(self.boot))
    }

    fn status(&self) -> Status {
        Status {
            host: HostStatus {
                version: env!("CARGO_PKG_VERSION").into(),
                boot: self.boot,
                ..HostStatus::default()
            },
            stats: self.stats.values().map(|stat| stat.status(self.boot)).collect(),
            logs: Vec::new(),
            plugins: Vec::new(),
        }
    }

    fn ready(&self) -> bool {
        false
    }

    fn logs(&self) -> Vec<Arc<dyn Log>> {
        Vec::new()
    }

    fn ingest(&self, _: &str) -> Option<Arc<Ingest>> {
        None
    }

    fn ingest_sources(&self) -> Vec<String> {
        Vec::new()
    }

    fn plugins(&self) -> Vec<PluginReport> {
        Vec::new()
    }
}

impl Detached {
    fn view(&self, boot: u64) -> StatView {
        StatView {
            snapshot: Arc::clone(&self.snapshot) as _,
            version: format!("{boot}.{}", self.snapshot.version()),
            complete_until: self.complete_until,
            state: StatState::Detached,
        }
    }

    fn status(&self, boot: u64) -> StatStatus {
        StatStatus::stored(&self.view(boot))
    }
}

/// The stats that have rows and pass `wanted`, as they are now.
fn detached(
    database: &Database,
    wanted: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, Detached>, StoreError> {
    let mut stats = BTreeMap::new();
    for ident in database.idents()?.into_iter().filter(|ident| wanted(ident)) {
        let snapshot = database.open_stored(&ident)?.snapshot();
        let complete_until = complete_at_rest(database, &ident);
        stats.insert(ident, Detached { snapshot, complete_until });
    }
    Ok(stats)
}

/// What became of a plugin file, in the words of the API.
pub(crate) fn report(report: &loader::PluginReport) -> PluginReport {
    PluginReport {
        file: report.path.display().to_string(),
        name: report.name.clone(),
        version: report.version.clone(),
        api: report.api.clone(),
        stats: report.stats.clone(),
        error: report.error.clone(),
    }
}
