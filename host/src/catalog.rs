//! What can be asked of a host: of a running one, or of a data folder at rest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::RwLock;

use crate::admin::{Admin, AdminError, LetterAt};
use crate::clock::now_us;
use crate::engine::{Engine, Shared, Views, complete_at_rest};
use crate::loader::{self, Loaded};
use crate::log::Log;
use crate::log::ingest::Ingest;
use crate::query::{
    Catalog, CompleteUntil, ComputedViews, Fault, HostStatus, PluginReport, StatState, StatStatus,
    StatView, Status, UtcTime, Watcher, Watchers,
};
use crate::store::{Database, Snapshot, StatStore, StoreError};

/// The stats of a running host; those without a plugin are there as well, detached.
pub(crate) struct RunningCatalog {
    now: RwLock<Arc<Now>>,
    sinks: BTreeMap<String, Arc<Ingest>>,
    watchers: Arc<Watchers>,
    started_us: i64,
    stopping: AtomicBool,
    was_ready: AtomicBool,
    admin: OnceLock<Weak<dyn Admin>>,
}

/// What an exchange of plugins replaces, all at once.
#[derive(Clone)]
struct Now {
    shared: Arc<Shared>,
    detached: Arc<BTreeMap<String, Detached>>,
    views: Arc<ComputedViews>,
    reports: Vec<PluginReport>,
    boot: u64,
    /// Why nothing is counted any more.
    given_up: Option<String>,
}

/// The rows of a stat without its plugin, and up to when they were complete.
struct Detached {
    snapshot: Arc<Snapshot>,
    complete_until: CompleteUntil,
}

impl RunningCatalog {
    /// The catalog of `engine`, whose sources take messages through `sinks`; `stats` are those whose
    /// plugin is not here. `watchers` are told of changes by all engines there will be.
    pub(crate) fn new(
        engine: &Engine,
        stats: &BTreeMap<String, StatStore>,
        loaded: &Loaded,
        sinks: BTreeMap<String, Arc<Ingest>>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            now: RwLock::new(Arc::new(Now::new(engine, stats, loaded, 0)?)),
            sinks,
            watchers: Arc::clone(&engine.shared().watchers),
            started_us: now_us(),
            stopping: AtomicBool::new(false),
            was_ready: AtomicBool::new(false),
            admin: OnceLock::new(),
        })
    }

    /// Takes no more messages, and says so.
    pub(crate) fn stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Who repairs the host.
    pub(crate) fn set_admin(&self, admin: Weak<dyn Admin>) {
        // There is one for the whole life of a host.
        let _ = self.admin.set(admin);
    }

    /// Answers from another engine from now on. Versions begin anew: other plugins may have made the rows.
    pub(crate) fn exchange(
        &self,
        engine: &Engine,
        stats: &BTreeMap<String, StatStore>,
        loaded: &Loaded,
    ) -> Result<(), StoreError> {
        let before = self.idents();
        let now = Now::new(engine, stats, loaded, self.now().boot)?;
        *self.now.write() = Arc::new(now);
        for ident in before.into_iter().chain(self.idents()).collect::<BTreeSet<_>>() {
            self.watchers.tell(&ident, || None);
        }
        Ok(())
    }

    /// What became of plugin files, though the engine is the same.
    pub(crate) fn set_reports(&self, loaded: &Loaded) {
        let mut now = self.now.write();
        *now = Arc::new(Now {
            reports: loaded.reports.iter().map(report).collect(),
            ..Now::clone(&now)
        });
    }

    /// Nothing is counted any more; the last rows go on being answered.
    pub(crate) fn give_up(&self, reason: &str) {
        let mut now = self.now.write();
        *now = Arc::new(Now { given_up: Some(reason.to_owned()), ..Now::clone(&now) });
    }

    fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.now.read().shared)
    }

    fn now(&self) -> Arc<Now> {
        Arc::clone(&self.now.read())
    }
}

impl Now {
    fn new(
        engine: &Engine,
        stats: &BTreeMap<String, StatStore>,
        loaded: &Loaded,
        before: u64,
    ) -> Result<Self, StoreError> {
        let shared = Arc::clone(engine.shared());
        let mut boot = shared.database.next_boot()?;
        // A store that was opened again may have forgotten the last one: two commits must not share a version.
        while boot <= before {
            boot = shared.database.next_boot()?;
        }
        let detached = stats.iter().map(|(ident, stat)| {
            let detached = Detached::new(&shared.database, stat);
            (ident.clone(), detached)
        });
        Ok(Self {
            detached: Arc::new(detached.collect()),
            views: Arc::new(ComputedViews::new(Box::new(Views::new(&shared)))),
            reports: loaded.reports.iter().map(report).collect(),
            boot,
            given_up: None,
            shared,
        })
    }
}

impl Catalog for RunningCatalog {
    fn idents(&self) -> Vec<String> {
        let now = self.now();
        let running = now.shared.idents().map(str::to_owned);
        let mut idents: Vec<String> = running.chain(now.detached.keys().cloned()).collect();
        idents.sort();
        idents
    }

    fn stat(&self, ident: &str) -> Option<StatView> {
        let now = self.now();
        if let Some(view) = now.shared.view(ident, now.boot) {
            return Some(view);
        }
        now.detached.get(ident).map(|stat| stat.view(now.boot))
    }

    fn status(&self) -> Status {
        let now = self.now();
        let mut stats = now.shared.stat_statuses(now.boot);
        if let Some(reason) = &now.given_up {
            for stat in &mut stats {
                (stat.state, stat.reason) = (StatState::Failed, Some(reason.clone()));
            }
        }
        stats.extend(now.detached.values().map(|stat| stat.status(now.boot)));
        for (ident, reason) in &now.shared.refused {
            stats.retain(|stat| stat.ident != *ident);
            stats.push(failed(ident, reason.clone()));
        }
        stats.sort_by(|a, b| a.ident.cmp(&b.ident));
        Status {
            host: HostStatus {
                version: env!("CARGO_PKG_VERSION").into(),
                boot: now.boot,
                started: Some(UtcTime(self.started_us)),
                uptime_s: (now_us() - self.started_us) as f64 / 1e6,
                ready: self.ready(),
                stopping: self.stopping.load(Ordering::Acquire),
                refused: now.shared.database.refusals().now().map(|refusal| Fault {
                    at: UtcTime(refusal.since_us),
                    text: refusal.reason.clone(),
                }),
                views: now.views.given_up(),
                threads: now.shared.given_up(),
            },
            stats,
            logs: now.shared.log_status(),
            plugins: now.reports.clone(),
        }
    }

    fn ready(&self) -> bool {
        if self.was_ready.load(Ordering::Acquire) {
            return true;
        }
        let ready = self.shared().all_level();
        self.was_ready.fetch_or(ready, Ordering::AcqRel);
        ready
    }

    fn logs(&self) -> Vec<Arc<dyn Log>> {
        self.shared().logs()
    }

    fn ingest(&self, source: &str) -> Option<Arc<Ingest>> {
        self.sinks.get(source).cloned()
    }

    fn ingest_sources(&self) -> Vec<String> {
        self.sinks.keys().cloned().collect()
    }

    fn plugins(&self) -> Vec<PluginReport> {
        self.now().reports.clone()
    }

    fn watch(&self, watcher: &Arc<dyn Watcher>) {
        self.watchers.add(watcher);
    }

    fn views(&self) -> Option<Arc<ComputedViews>> {
        Some(Arc::clone(&self.now().views))
    }

    fn admin(&self) -> Option<Arc<dyn Admin>> {
        self.admin.get()?.upgrade()
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
        isolation: report.isolation.to_string(),
        sandbox_lacks: report.sandbox_lacks.clone(),
        error: report.error.clone(),
    }
}
