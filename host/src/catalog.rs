//! What can be asked of a host: of a running one, or of a data folder at rest.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::admin::{Admin, AdminError, LetterAt, Retried};
use crate::clock::now_us;
use crate::engine::{Engine, Shared, Views, complete_at_rest};
use crate::loader::{self, Loaded};
use crate::log::Log;
use crate::log::ingest::Ingest;
use crate::query::{
    Catalog, CompleteUntil, ComputedViews, HostStatus, PluginReport, StatState, StatStatus,
    StatView, Status, UtcTime, Watcher,
};
use crate::store::{Database, Snapshot, StatStore, StoreError};

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
    /// The catalog of `engine`, whose sources take messages through `sinks`; `stats` are those whose
    /// plugin is not here.
    pub(crate) fn new(
        engine: &Engine,
        stats: BTreeMap<String, StatStore>,
        loaded: &Loaded,
        sinks: BTreeMap<String, Arc<Ingest>>,
    ) -> Result<Self, StoreError> {
        let shared = Arc::clone(engine.shared());
        let boot = shared.database.next_boot()?;
        let detached = stats.into_iter().map(|(ident, stat)| {
            let detached = Detached::new(&shared.database, &stat);
            (ident, detached)
        });
        Ok(Self {
            detached: detached.collect(),
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
            stats.push(failed(ident, reason.clone()));
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
                threads: self.shared.given_up(),
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

    fn watch(&self, watcher: &Arc<dyn Watcher>) {
        self.shared.watchers.add(watcher);
    }

    fn admin(&self) -> Option<Arc<dyn Admin>> {
        Some(Arc::new(Repair(Arc::clone(&self.shared))))
    }

    fn views(&self) -> Option<Arc<ComputedViews>> {
        Some(Arc::clone(&self.views))
    }
}

/// Repairs a running host.
struct Repair(Arc<Shared>);

impl Admin for Repair {
    fn retry(&self, ident: &str, letter: LetterAt) -> Result<Retried, AdminError> {
        self.0.retry(ident, letter)
    }

    fn drop_letter(&self, ident: &str, letter: LetterAt) -> Result<(), AdminError> {
        self.0.drop_letter(ident, letter)
    }
}

/// The stats of a data folder that no host has open, each opened when it is asked for. No plugin is
/// needed.
pub struct DataFolder {
    database: Database,
    idents: Vec<String>,
    boot: u64,
}

impl DataFolder {
    /// Opens the data folder `data`.
    ///
    /// # Errors
    /// [`StoreError`]: no such folder, it is in use by a running host, or it is damaged as a whole.
    pub fn open(data: &Path) -> Result<Self, StoreError> {
        let database = Database::open_existing(data)?;
        Ok(Self { idents: database.idents()?, boot: database.boot()?, database })
    }

    /// The stats' names, sorted.
    #[must_use]
    pub fn idents(&self) -> &[String] {
        &self.idents
    }

    /// One stat's rows; `None` if there is no such stat.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Backend`]: its rows cannot be read.
    pub fn stat(&self, ident: &str) -> Result<Option<StatView>, StoreError> {
        if !self.idents.iter().any(|known| known == ident) {
            return Ok(None);
        }
        let stat = self.database.open_stored(ident)?;
        Ok(Some(Detached::new(&self.database, &stat).view(self.boot)))
    }

    /// Takes a dead letter of the stat `ident` off its list: the message will never be counted.
    ///
    /// # Errors
    /// [`AdminError::NoSuchStat`], [`AdminError::NoSuchLetter`]; [`AdminError::Failed`] if the store fails.
    pub fn drop_letter(&self, ident: &str, letter: LetterAt) -> Result<(), AdminError> {
        let failed = |error: StoreError| AdminError::Failed {
            what: "the dead letter cannot be dropped".to_owned(),
            reason: error.to_string(),
        };
        if !self.idents.iter().any(|known| known == ident) {
            return Err(AdminError::NoSuchStat { ident: ident.to_owned() });
        }
        let mut stat = self.database.open_stored(ident).map_err(failed)?;
        let mut record = stat.record().clone();
        record.letters.retain(|it| (it.log, it.offset) != (letter.log, letter.offset));
        if record.letters.len() == stat.record().letters.len() {
            return Err(AdminError::NoSuchLetter { ident: ident.to_owned(), at: letter });
        }
        stat.commit(&[], record).map_err(failed)?;
        self.database.sync().map_err(failed)
    }

    /// Notes for the next start what a reader of `view` found damaged, if anything.
    ///
    /// # Errors
    /// [`StoreError::Backend`], [`StoreError::Io`].
    pub fn note_damage(&self, view: &StatView) -> Result<(), StoreError> {
        note_damage(&self.database, &view.snapshot)
    }

    /// Everything that is known without a host; a stat that cannot be opened has failed.
    #[must_use]
    pub fn status(&self) -> Status {
        let status = |ident: &String| match self.stat(ident) {
            Ok(Some(view)) => StatStatus::stored(&view),
            Ok(None) => failed(ident, "its rows are gone".to_owned()),
            Err(error) => failed(ident, error.to_string()),
        };
        Status {
            host: HostStatus {
                version: env!("CARGO_PKG_VERSION").into(),
                boot: self.boot,
                ..HostStatus::default()
            },
            stats: self.idents.iter().map(status).collect(),
            ..Status::default()
        }
    }
}

/// Notes for the next start what a reader of `snapshot` found damaged: it sets the stat aside.
pub(crate) fn note_damage(database: &Database, snapshot: &Snapshot) -> Result<(), StoreError> {
    let Some(reason) = snapshot.damage() else { return Ok(()) };
    database.mark_damaged(&snapshot.manifest().ident, reason)?;
    database.sync()
}

/// What is known of a stat without rows.
fn failed(ident: &str, reason: String) -> StatStatus {
    StatStatus {
        ident: ident.to_owned(),
        state: StatState::Failed,
        reason: Some(reason),
        ..StatStatus::default()
    }
}

impl Detached {
    fn new(database: &Database, stat: &StatStore) -> Self {
        let complete_until = complete_at_rest(database, stat.ident());
        Self { snapshot: stat.snapshot(), complete_until }
    }

    fn view(&self, boot: u64) -> StatView {
        StatView {
            snapshot: Arc::clone(&self.snapshot) as _,
            version: format!("{boot}.{}", self.snapshot.version()),
            complete_until: self.complete_until,
            state: match self.snapshot.damage() {
                Some(_) => StatState::Failed,
                None => StatState::Detached,
            },
        }
    }

    fn status(&self, boot: u64) -> StatStatus {
        let reason = self.snapshot.damage().map(str::to_owned);
        StatStatus { reason, ..StatStatus::stored(&self.view(boot)) }
    }
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
