//! What of a host goes on while its plugins are exchanged.
//!
//! Sources, journals and answers go on; the engine is stopped at a commit and another one started over the
//! same rows and logs, with other plugins or settings. What is not wanted to begin leaves the old ones running.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::builder::HostBuilder;
use super::{Counters, HostError, longest_kept};
use crate::admin::{Admin, AdminError, LetterAt, Retried};
use crate::catalog::RunningCatalog;
use crate::config::Config;
use crate::engine::{Engine, HandedOver, LogInput, Shared, check_fields};
use crate::fault;
use crate::loader::Loaded;
use crate::query::{Catalog, PluginReport};
use crate::sources::{SourceOptions, Sources};
use crate::store::{Database, StatStore, StoreError};

/// A host without its HTTP server.
pub(crate) struct Running {
    pub(super) catalog: Arc<RunningCatalog>,
    exchanging: Mutex<()>,
    parts: Mutex<Parts>,
}

/// What an exchange concerns.
pub(super) struct Parts {
    pub(super) settings: HostBuilder,
    pub(super) database: Arc<Database>,
    /// None once the host stops, or if no engine can be started any more.
    pub(super) engine: Option<Engine>,
    /// What the next engine is to read, while there is none because the store cannot be used.
    pub(super) inputs: Option<Vec<LogInput>>,
    pub(super) sources: Sources,
    pub(super) source_options: SourceOptions,
    pub(super) loaded: Loaded,
    /// The rows of stats without a plugin.
    pub(super) detached: BTreeMap<String, StatStore>,
}

impl Running {
    pub(super) fn new(catalog: Arc<RunningCatalog>, parts: Parts) -> Arc<Self> {
        let running =
            Arc::new(Self { catalog, exchanging: Mutex::default(), parts: Mutex::new(parts) });
        let admin: Arc<dyn Admin> = running.clone();
        running.catalog.set_admin(Arc::downgrade(&admin));
        running
    }

    pub(super) fn counters(&self) -> Counters {
        self.parts.lock().engine.as_ref().map(Engine::counters).unwrap_or_default()
    }

    pub(super) fn flush(&self) {
        if let Some(engine) = &self.parts.lock().engine {
            engine.flush();
            engine.make_durable();
        }
    }

    pub(super) fn wait_finished(&self) -> Result<(), HostError> {
        let parts = self.parts.lock();
        parts.sources.wait_fed()?;
        let Some(engine) = &parts.engine else { return Ok(()) };
        engine.wait_finished();
        engine.make_durable();
        if let Some(refusal) = parts.database.refusals().now() {
            return Err(StoreError::Refused { reason: refusal.reason.clone() }.into());
        }
        match engine.shared().lost() {
            lost if lost.is_empty() => Ok(()),
            lost => Err(HostError::Lost(lost)),
        }
    }

    pub(super) fn stop(&self) {
        let mut parts = self.parts.lock();
        parts.sources.stop();
        parts.inputs = None;
        if let Some(engine) = parts.engine.take() {
            engine.stop();
        }
    }

    /// Opens the store again after its disk refused a write, if something can be written now, and goes on at
    /// the last commits.
    ///
    /// # Errors
    /// [`HostError`]: it is to be tried again. The last rows go on being answered as long as they can be read.
    pub(super) fn recover(&self) -> Result<(), HostError> {
        let _exchanging = self.exchanging.lock();
        self.parts.lock().recover(&self.catalog)
    }

    /// Looks into the plugins folders again, with what `config` says of plugins and stats.
    pub(super) fn reload_with(
        &self,
        config: Option<&Config>,
    ) -> Result<Vec<PluginReport>, AdminError> {
        // One after the other; nobody else waits for what plugins do while they are tried.
        let _exchanging = self.exchanging.lock();
        let (before, running) = {
            let parts = self.parts.lock();
            parts.check_running()?;
            (parts.settings.clone(), parts.loaded.clone())
        };
        let mut settings = before.clone();
        if let Some(config) = config {
            settings.take_stats(config);
        }
        let loaded = load(&settings, &running);
        if !settings.has_same_stats(&before) {
            check_settings(&settings, &loaded)?;
        }
        let mut parts = self.parts.lock();
        parts.check_running()?;
        let (mut outcome, standing) = (Ok(()), loaded.standing.clone());
        if loaded.is_same(&running) && settings.has_same_stats(&before) {
            (parts.loaded, parts.settings) = (loaded, settings);
        } else {
            tracing::info!("exchanging plugins");
            let reports = loaded.reports.clone();
            outcome = parts.exchange(loaded, settings, &self.catalog);
            if let Err(error) = &outcome {
                parts.loaded.report_failure(reports, &error.to_string());
            }
        }
        parts.loaded.standing = standing;
        parts.loaded.sweep(&before.copies());
        self.catalog.set_reports(&parts.loaded);
        outcome.map_err(|error| AdminError::Failed {
            what: "the plugins cannot be exchanged, what ran before goes on".to_owned(),
            reason: error.to_string(),
        })?;
        Ok(self.catalog.plugins())
    }

    /// The engine that runs; waits while it is being exchanged.
    fn shared(&self) -> Result<Arc<Shared>, AdminError> {
        let parts = self.parts.lock();
        parts.check_running()?;
        parts.engine.as_ref().map(|it| Arc::clone(it.shared())).ok_or(AdminError::Stopping)
    }

    /// A stat that does not run, but has rows, is without its plugin.
    fn tell_detached(&self, error: AdminError) -> AdminError {
        match error {
            AdminError::NoSuchStat { ident } if self.catalog.stat(&ident).is_some() => {
                AdminError::Detached { ident }
            }
            error => error,
        }
    }
}

/// The plugins that are there now; in place of those that cannot be had, what ran until now.
fn load(settings: &HostBuilder, running: &Loaded) -> Loaded {
    let mut loaded = settings.load();
    let known = |digest: &str| running.plugins.iter().any(|plugin| plugin.digest == digest);
    let changed = loaded.plugins.iter().filter(|plugin| !known(&plugin.digest));
    let refused: Vec<_> = changed
        .filter_map(|plugin| Some((plugin.path.clone(), settings.refusal(plugin)?)))
        .collect();
    for (file, reason) in refused {
        tracing::error!(path = %file.display(), "plugin left out: {reason}");
        loaded.refuse(&file, &reason);
    }
    loaded.keep_from(running);
    settings.adjust(&mut loaded);
    loaded
}

/// That the stats take what is set for them now.
fn check_settings(settings: &HostBuilder, loaded: &Loaded) -> Result<(), AdminError> {
    let refusal = loaded.plugins.iter().find_map(|plugin| settings.refusal(plugin));
    refusal.map_or(Ok(()), |reason| {
        Err(AdminError::Failed { what: "the configuration is refused".to_owned(), reason })
    })
}

impl Parts {
    /// That an engine runs and can commit.
    fn check_running(&self) -> Result<(), AdminError> {
        if let Some(refusal) = self.database.refusals().now() {
            let what = "nothing can be changed now".to_owned();
            return Err(AdminError::Failed { what, reason: refusal.in_words() });
        }
        if self.engine.is_none() { Err(AdminError::Stopping) } else { Ok(()) }
    }

    /// See [`Running::recover`].
    fn recover(&mut self, catalog: &RunningCatalog) -> Result<(), HostError> {
        // Readers go on in the broken store until there is a better one.
        self.database.probe()?;
        let inputs = match self.engine.take() {
            Some(engine) => engine.hand_over().inputs,
            None => match self.inputs.take() {
                Some(inputs) => inputs,
                // The host has stopped.
                None => return Ok(()),
            },
        };
        let (loaded, settings) = (std::mem::take(&mut self.loaded), self.settings.clone());
        let started = self.database.reopen().map_err(HostError::from);
        let started =
            started.and_then(|stores| self.start(stores, inputs.clone(), &loaded, &settings));
        self.loaded = loaded;
        if let Err(error) = started {
            self.inputs = Some(inputs);
            catalog.give_up(&format!("{error}; it is tried again"));
            return Err(error);
        }
        if let Some(engine) = &self.engine {
            catalog.exchange(engine, &self.detached, &self.loaded)?;
        }
        Ok(())
    }

    /// Starts another engine in the place of the one that runs. If it does not start, one like that goes on.
    fn exchange(
        &mut self,
        loaded: Loaded,
        settings: HostBuilder,
        catalog: &RunningCatalog,
    ) -> Result<(), HostError> {
        check_fields(&loaded)?;
        let Some(engine) = self.engine.take() else { return Ok(()) };
        fault::point("swap");
        let HandedOver { mut stores, inputs } = engine.hand_over();
        fault::point("swap");
        stores.append(&mut self.detached);
        let outcome = match self.start(stores, inputs.clone(), &loaded, &settings) {
            Ok(()) => {
                (self.loaded, self.settings) = (loaded, settings);
                Ok(())
            }
            Err(error) => {
                tracing::error!("what ran before goes on: {error}");
                let (loaded, settings) = (std::mem::take(&mut self.loaded), self.settings.clone());
                let again = self.reopen();
                let again =
                    again.and_then(|stores| self.start(stores, inputs.clone(), &loaded, &settings));
                self.loaded = loaded;
                match (again, self.database.refusals().now()) {
                    (Ok(()), _) => {}
                    (Err(_), Some(refusal)) => {
                        self.inputs = Some(inputs);
                        catalog.give_up(&refusal.in_words());
                    }
                    (Err(error), None) => {
                        tracing::error!("nothing is counted any more, restart the host: {error}");
                        catalog.give_up(&error.to_string());
                    }
                }
                Err(error)
            }
        };
        if let Some(engine) = &self.engine {
            catalog.exchange(engine, &self.detached, &self.loaded)?;
        }
        fault::point("swap");
        outcome
    }

    fn start(
        &mut self,
        mut stores: BTreeMap<String, StatStore>,
        inputs: Vec<LogInput>,
        loaded: &Loaded,
        settings: &HostBuilder,
    ) -> Result<(), HostError> {
        self.database.drop_replaced()?;
        if settings.keeps_for_models() {
            let longest = longest_kept(loaded).and_then(|longest| longest.kept_us);
            self.sources.keep_at_least(longest);
        }
        let inputs = self.sources.go_on(inputs, &self.source_options, &stores, loaded)?;
        let (database, options) = (Arc::clone(&self.database), settings.engine_options());
        let engine = Engine::start(database, &mut stores, loaded, inputs, options)?;
        fault::point("swap");
        (self.engine, self.detached) = (Some(engine), stores);
        Ok(())
    }

    /// The rows of all stats, after a start that did not come to its end.
    fn reopen(&self) -> Result<BTreeMap<String, StatStore>, HostError> {
        let idents = self.database.idents()?;
        let open = |ident: String| Ok((ident.clone(), self.database.open_stored(&ident)?));
        idents.into_iter().map(open).collect()
    }
}

impl Admin for Running {
    fn retry(&self, ident: &str, letter: LetterAt) -> Result<Retried, AdminError> {
        self.shared()?.retry(ident, letter).map_err(|error| self.tell_detached(error))
    }

    fn drop_letter(&self, ident: &str, letter: LetterAt) -> Result<(), AdminError> {
        self.shared()?.drop_letter(ident, letter).map_err(|error| self.tell_detached(error))
    }

    fn resume(&self, ident: &str) -> Result<(), AdminError> {
        self.shared()?.resume(ident).map_err(|error| self.tell_detached(error))
    }

    fn reload(&self) -> Result<Vec<PluginReport>, AdminError> {
        self.reload_with(None)
    }
}
