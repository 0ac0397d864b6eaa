//! From logs to committed rows: threads, their wiring, start and stop.
//!
//! ```text
//! log ─► lane ─► Arc<Batch> ─► worker ─► Commit ─► committer ─► store ─► readers
//!                                 ▲ Reset                │
//!                             supervisor ◄── Fault ──────┘
//! ```
//!
//! One direction; the supervisor alone starts stats again after a fault. The watchdog looks at the workers.

mod bisect;
mod calls;
mod commit;
mod durable;
mod exchange;
mod gaps;
mod health;
mod lane;
mod lane_count;
mod letters;
mod projectors;
mod queue;
mod reach;
mod rebuild;
mod renewal;
mod resume;
mod ruling;
mod slow;
mod stat;
mod status;
mod supervisor;
mod views;
mod watchdog;
mod worker;
mod workers;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded, unbounded};
use parking_lot::Mutex;
use statmill_plugin_api::manifest::FieldKind;

pub(crate) use self::exchange::{HandedOver, check_fields};
pub(crate) use self::gaps::{Need, plan as plan_fills};
use self::lane::{Lane, LaneContext, LogSlot};
use self::lane_count::LaneCount;
use self::projectors::{Projectors, Recipe};
use self::queue::Commits;
pub(crate) use self::rebuild::cutoff_beside;
pub(crate) use self::resume::cutoff;
use self::stat::{Control, Controls, StatShared, Stretch};
pub(crate) use self::status::complete_at_rest;
pub(crate) use self::views::Views;
use self::worker::{Target, Work};
use self::workers::{Queue, Workers};
use crate::limits::StatLimits;
use crate::loader::Loaded;
use crate::log::{Log, LogEnd, LogError, LogId};
use crate::project::{Caps, Dictionaries, Limits, Mapping, PointerError, Projection};
use crate::query::Watchers;
use crate::store::{Database, StatStore, StoreError};

/// How the engine runs.
#[derive(Clone)]
pub(crate) struct EngineOptions {
    /// Number of workers.
    pub(crate) threads: usize,
    /// Threads that project one log at most.
    pub(crate) ingest_threads: usize,
    /// Time between two commits of a stat.
    pub(crate) checkpoint: Duration,
    /// Time between two fsyncs of the store.
    pub(crate) durable_every: Duration,
    /// Limits of a message.
    pub(crate) limits: Limits,
    /// Limits of the dictionaries.
    pub(crate) caps: Caps,
    /// What a stat may take.
    pub(crate) stat_limits: StatLimits,
    /// Configuration of stats by ident, JSON text.
    pub(crate) stat_config: BTreeMap<String, String>,
    /// A rebuild may swap though it does not reach back as far as the rows it replaces.
    pub(crate) accept_loss: bool,
    /// A history is given, from which can be asked again what retired fills gave.
    pub(crate) history: bool,
    /// Who is told when answered rows change; of all engines of a process.
    pub(crate) watchers: Arc<Watchers>,
}

/// A log to read, and by whom.
#[derive(Clone)]
pub(crate) struct LogInput {
    /// The log.
    pub(crate) log: Arc<dyn Log>,
    /// Only stats with these idents read it; none = all.
    pub(crate) readers: Option<Vec<String>>,
    /// Messages a second at most; 0 = no limit.
    pub(crate) max_rate: u64,
    /// How far ahead of its arrival a message's time may lie, µs; none = as the engine's limits say.
    pub(crate) max_ahead_us: Option<i64>,
    /// Ends of it that an engine before this one saw.
    pub(crate) seen: VecDeque<LogEnd>,
}

/// Why the engine cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum EngineError {
    /// A plugin wants a field that is no JSON pointer.
    #[error("a plugin wants a field that cannot be read: {0}")]
    Pointer(#[from] PointerError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// A running engine. Dropped without [`Engine::stop`] it stops as at SIGKILL: nothing is lost,
/// what was not committed is folded again.
pub(crate) struct Engine {
    pub(crate) shared: Arc<Shared>,
    commits: Commits,
    threads: Vec<JoinHandle<()>>,
    watchdog: Option<(Sender<()>, JoinHandle<()>)>,
    /// Joined last: the committer and the thread that makes commits durable.
    tail: Vec<JoinHandle<()>>,
}

/// What the engine's threads and readers share.
pub(crate) struct Shared {
    pub(crate) database: Arc<Database>,
    stats: Vec<Arc<StatShared>>,
    /// Stats whose rows cannot be opened, and why.
    pub(crate) refused: Vec<(String, String)>,
    logs: Vec<Arc<LogSlot>>,
    durable: durable::Durable,
    projections: HashMap<Mapping, Arc<Projection>>,
    options: EngineOptions,
    context: Mutex<Option<LaneContext>>,
    stopping: Arc<AtomicBool>,
    lanes: Arc<LaneCount>,
    controls: Controls,
    workers: Workers,
    /// Who is told when answered rows change.
    pub(crate) watchers: Arc<Watchers>,
    lane_threads: Mutex<Vec<JoinHandle<()>>>,
    /// What stats that were made anew could not count again, in words.
    lost: Mutex<Vec<String>>,
}

impl Engine {
    /// Takes every admitted stat's rows out of `stored` (or begins them), brings each level with
    /// `inputs` and follows them.
    ///
    /// # Errors
    /// See [`EngineError`]. A fault of one stat is not an error of the engine: it is in its status.
    pub(crate) fn start(
        database: Arc<Database>,
        stored: &mut BTreeMap<String, StatStore>,
        loaded: &Loaded,
        inputs: Vec<LogInput>,
        options: EngineOptions,
    ) -> Result<Self, EngineError> {
        let wanted = wanted_fields(loaded);
        let mut projections = HashMap::new();
        for input in &inputs {
            let mapping = input.log.mapping();
            if !projections.contains_key(mapping) {
                let projection = Projection::compile(mapping, &wanted)?;
                projections.insert(mapping.clone(), Arc::new(projection));
            }
        }
        let dictionaries = Arc::new(Dictionaries::new(&wanted, options.caps));
        let (control, told) = unbounded();
        let controls = Controls::new(control);
        let watchers = Arc::clone(&options.watchers);
        let (mut stats, mut refused) = (Vec::new(), Vec::new());
        for (plugin, manifest) in &loaded.stats {
            let report = (&controls, &watchers);
            let place = (stats.len(), plugin);
            match resume::open(&database, stored, place, manifest, &wanted, &options, report) {
                Ok(stat) => {
                    ruling::keep(&database, &stat)?;
                    stats.push(stat);
                }
                Err(error) => {
                    tracing::error!(stat = manifest.ident, "not started: {error}");
                    refused.push((manifest.ident.clone(), error.to_string()));
                }
            }
        }

        let mut lost = Vec::new();
        for stat in &stats {
            let read = inputs.iter().filter(|input| input.read_by(&stat.ident));
            let read = read.map(|input| (&*input.log, input.readers.is_some())).collect::<Vec<_>>();
            let store = &mut stat.store.lock();
            lost.extend(renewal::begin(&database, stat, store, &read, options.history)?);
        }
        // Whoever comes later had no rows in a store that was set aside as a whole.
        database.forget_renewed("")?;
        let stopping = Arc::new(AtomicBool::new(false));
        let (commits, commit_work) = queue::commits();
        let (workers, queues) = workers::workers(
            options.threads.max(1),
            stats.len(),
            commits.clone(),
            options.checkpoint,
            Arc::clone(&stopping),
        );
        // A lane's own thread is one of them.
        let beside = options.ingest_threads.saturating_sub(1);
        let (projectors, projector_jobs) = Projectors::new(beside);
        let context = LaneContext {
            workers: queues,
            controls: controls.clone(),
            dictionaries,
            projectors,
            stopping: Arc::clone(&stopping),
        };
        let plan = resume::plan(&stats, &inputs)?;
        let logs = inputs
            .into_iter()
            .zip(&plan)
            .map(|(input, plan)| {
                Arc::new(LogSlot {
                    live: Arc::new(
                        Lane::starting_at(plan.live_from, plan.live.clone())
                            .having_seen(input.seen),
                    ),
                    behind: Mutex::default(),
                    log: input.log,
                    readers: input.readers,
                    error: Mutex::new(None),
                    max_rate: input.max_rate,
                    max_ahead_us: input.max_ahead_us,
                })
            })
            .collect::<Vec<_>>();
        let shared = Arc::new(Shared {
            durable: durable::Durable::new(stats.len()),
            database,
            stats,
            refused,
            logs,
            projections,
            context: Mutex::new(Some(context.clone())),
            stopping,
            lanes: Arc::default(),
            controls,
            workers,
            watchers,
            lane_threads: Mutex::default(),
            lost: Mutex::new(lost),
            options,
        });

        let mut engine = Self { shared, commits, threads: vec![], watchdog: None, tail: vec![] };
        // Dropped before `engine` if the start fails: its threads end with their last sender.
        let context = context;
        let names: HashMap<LogId, String> =
            engine.shared.logs.iter().map(|s| (s.log.id(), s.log.name().to_owned())).collect();
        engine.tail.push(spawn("commit", move || {
            commit::run(&commit_work, |id| names.get(&id).cloned().unwrap_or_default());
        })?);
        let shared = Arc::clone(&engine.shared);
        engine.tail.push(spawn("durable", move || durable::run(&shared))?);
        engine.shared.workers.start_shared()?;
        let (stop, stopped) = bounded(0);
        let shared = Arc::clone(&engine.shared);
        let watchdog = spawn("watchdog", move || watchdog::run(&shared, &stopped))?;
        engine.watchdog = Some((stop, watchdog));
        for index in 0..beside {
            let jobs = projector_jobs.clone();
            let project = move || projectors::run(&jobs);
            engine.threads.push(spawn(&format!("project-{index}"), project)?);
        }
        drop(projector_jobs);
        let shared = Arc::clone(&engine.shared);
        engine.threads.push(spawn("supervisor", move || supervisor::run(&shared, &told))?);

        for stat in engine.shared.stats.iter().filter(|stat| !stat.is_quarantined()) {
            stat.send_reset(&context.workers, stat.epoch.load(Ordering::SeqCst), None);
        }
        for (slot, plan) in engine.shared.logs.iter().zip(plan) {
            engine.shared.spawn_lane(slot, &slot.live, &context)?;
            if let Some((from, targets)) = plan.behind {
                let lane = Arc::new(Lane::starting_at(from, targets));
                engine.shared.spawn_lane(slot, &lane, &context)?;
            }
        }
        Ok(engine)
    }

    /// Waits until all logs are read to their ends (they must be finite) and everything is committed.
    pub(crate) fn wait_finished(&self) {
        let controls = &self.shared.controls;
        loop {
            // What the supervisor acts upon starts new lanes, which may be through before anybody looks: what they
            // handed out is flushed for certain only if it acted upon everything before, and no lane ran since.
            let before = controls.handled();
            self.shared.lanes.wait_none();
            self.flush();
            renewal::report_damage(&self.shared);
            let is_quiet = || controls.told() == before;
            if self.shared.lanes.none() && is_quiet() {
                rebuild::swap_those_level(&self.shared);
                renewal::report_damage(&self.shared);
                if is_quiet() {
                    return;
                }
            }
        }
    }

    /// Commits what has been folded so far.
    pub(crate) fn flush(&self) {
        let context = self.shared.context.lock().clone();
        if let Some(context) = context {
            let (done, all_done) = bounded(context.workers.len());
            for (index, worker) in context.workers.iter().enumerate() {
                if self.shared.workers.is_started(index) {
                    worker.send(Work::Checkpoint(done.clone()));
                }
            }
            drop(done);
            all_done.iter().for_each(drop);
        }
        self.commits.wait_all();
    }

    /// Stops reading, commits everything that was folded, makes it durable and ends all threads.
    pub(crate) fn stop(mut self) {
        self.halt();
    }

    fn halt(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.lanes.wait_none();
        self.flush();
        self.end_threads();
        durable::make_durable(&self.shared);
    }

    /// Ends all threads once the lanes were told to stop; a second time does nothing.
    fn end_threads(&mut self) {
        self.shared.controls.tell(Control::Stop);
        drop(self.shared.context.lock().take());
        for thread in std::mem::take(&mut *self.shared.lane_threads.lock()) {
            let _ = thread.join();
        }
        // The supervisor may wait for a worker that hangs, so the watchdog is there to the last.
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        self.shared.workers.wait_ended();
        if let Some((stop, watchdog)) = self.watchdog.take() {
            drop(stop);
            let _ = watchdog.join();
        }
        self.commits.end();
        self.shared.durable.stop();
        for thread in self.tail.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Engine {
    /// What was not committed is given up, as at SIGKILL; the store is free for another host afterwards.
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        // The committer drops what comes from an earlier life.
        for stat in &self.shared.stats {
            stat.epoch.fetch_add(1, Ordering::SeqCst);
        }
        self.end_threads();
    }
}

impl Engine {
    /// What readers see of the engine.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Makes durable what is committed.
    pub(crate) fn make_durable(&self) {
        durable::make_durable(&self.shared);
    }
}

impl LogInput {
    /// Whether the stat `ident` reads the log.
    fn read_by(&self, ident: &str) -> bool {
        self.readers.as_ref().is_none_or(|readers| readers.iter().any(|reader| reader == ident))
    }
}

impl Shared {
    /// What stats that were made anew could not count again, in words.
    pub(crate) fn lost(&self) -> Vec<String> {
        self.lost.lock().clone()
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// The logs that the stat `ident` reads.
    fn logs_of(&self, ident: &str) -> Vec<rebuild::Read<'_>> {
        let read = self.logs.iter().filter(|slot| slot.read_by(ident));
        read.map(|slot| (&*slot.log, slot.readers.is_some())).collect()
    }

    /// How batches are made of a log.
    fn recipe(&self, slot: &LogSlot, context: &LaneContext) -> Recipe {
        let projection = Arc::clone(&self.projections[slot.log.mapping()]);
        let mut limits = self.options.limits;
        limits.max_ahead_us = slot.max_ahead_us.unwrap_or(limits.max_ahead_us);
        Recipe::new(&*slot.log, projection, limits, Arc::clone(&context.dictionaries))
    }

    /// Starts the thread of `lane`; its end is counted and an error noted at the log.
    fn spawn_lane(
        self: &Arc<Self>,
        slot: &Arc<LogSlot>,
        lane: &Arc<Lane>,
        context: &LaneContext,
    ) -> Result<(), EngineError> {
        let recipe = self.recipe(slot, context);
        let (slot, lane, context) = (Arc::clone(slot), Arc::clone(lane), context.clone());
        let running = self.lanes.enter();
        if !Arc::ptr_eq(&lane, &slot.live) {
            slot.behind.lock().push(Arc::clone(&lane));
        }
        let thread = spawn("lane", move || {
            let _running = running;
            if let Err(error) = lane::run(&slot, &lane, recipe, &context) {
                tracing::error!(log = slot.log.name(), "{error}");
                *slot.error.lock() = Some(error.to_string());
            }
            slot.behind.lock().retain(|behind| !Arc::ptr_eq(behind, &lane));
        })?;
        let mut threads = self.lane_threads.lock();
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        Ok(())
    }
}

impl StatShared {
    /// Tells the stat's worker to start it from its committed record; where `suspect` comes, some message
    /// cannot be folded.
    fn send_reset(self: &Arc<Self>, workers: &[Queue], epoch: u64, suspect: Option<Stretch>) {
        let record = Box::new(self.store.lock().snapshot().record().clone());
        let stat = Arc::clone(self);
        let worker = self.worker.load(Ordering::Acquire);
        workers[worker].send(Work::Reset { stat, epoch, record, suspect });
    }

    fn target(&self, epoch: u64) -> Target {
        Target { stat: self.index, epoch, worker: self.worker.load(Ordering::Acquire) }
    }
}

/// Union of all stats' fields, each (pointer, kind) once.
fn wanted_fields(loaded: &Loaded) -> Vec<(String, FieldKind)> {
    let mut wanted = Vec::new();
    for field in loaded.stats.iter().flat_map(|(_, stat)| &stat.fields) {
        let entry = (field.pointer.clone(), field.kind);
        if !wanted.contains(&entry) {
            wanted.push(entry);
        }
    }
    wanted
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, EngineError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body).map_err(EngineError::Thread)
}
