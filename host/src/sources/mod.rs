//! From URLs to logs: opens what the engine reads, and runs what feeds it.
//!
//! A file is a log as it stands. Every other source is written to its journal by a feeder of its own:
//! HTTP requests, a pump for standard input, the demo generator, connections over a network. Fills are planned at start and
//! fetched beside the live messages.

mod amqp;
mod feed;
mod fills;
mod needs;
mod network;
mod retire;
mod signature;
mod written;
mod zmq;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::sync::watch;

use self::feed::Patience;
use self::needs::Covered;
use self::network::{Intake, Stop};
use crate::clock::now_us;
use crate::config::Keep;
use crate::engine::LogInput;
use crate::host::HostError;
use crate::loader::Loaded;
use crate::log::connections::Connections;
use crate::log::coverage::Coverage;
use crate::log::file::{FileLog, FileOptions, Folded};
use crate::log::history::History;
use crate::log::ingest::{Ingest, IngestLimits};
use crate::log::journal::{Journal, JournalOptions};
use crate::log::seam::SeamIndex;
use crate::log::source::{HistoryUrl, SourceKind, SourceUrl};
use crate::log::{LogEnd, LogId, Offset};
use crate::project::{Limits, Mapping};
use crate::store::{Database, StatStore};

/// What the sources of a host need to be opened.
#[derive(Clone, Debug)]
pub(crate) struct SourceOptions {
    pub(crate) data: PathBuf,
    pub(crate) urls: Vec<SourceUrl>,
    pub(crate) history: Option<HistoryUrl>,
    pub(crate) mappings: BTreeMap<String, Mapping>,
    pub(crate) journal: JournalOptions,
    /// What decides how long journals are kept, where a source does not say.
    pub(crate) keep: Keep,
    pub(crate) ingest: IngestLimits,
    pub(crate) limits: Limits,
    pub(crate) once: bool,
}

/// The opened sources of a host.
pub(crate) struct Sources {
    inputs: Vec<LogInput>,
    sinks: BTreeMap<String, Arc<Ingest>>,
    feeders: Vec<feed::Feeder>,
    fetches: Vec<fills::Fetch>,
    history: Option<Arc<dyn History>>,
    seam: Arc<SeamIndex>,
    journals: Vec<Covered>,
    stopping: Arc<AtomicBool>,
    /// The same wish for those that wait for a network.
    stop: watch::Sender<bool>,
    /// Feeders first: `--once` waits for them.
    feeding: Mutex<Vec<Feeding>>,
    others: Mutex<Vec<JoinHandle<()>>>,
}

/// A feeder's thread.
struct Feeding {
    thread: JoinHandle<Result<(), HostError>>,
    ends_when_asked: bool,
}

impl Sources {
    /// Opens every source; `stats` and `loaded` tell what has been folded and what is missing.
    pub(crate) fn open(
        options: &SourceOptions,
        database: &Database,
        stats: &mut BTreeMap<String, StatStore>,
        loaded: &Loaded,
    ) -> Result<Self, HostError> {
        let mut sources = Self {
            inputs: Vec::new(),
            sinks: BTreeMap::new(),
            feeders: Vec::new(),
            fetches: Vec::new(),
            history: None,
            seam: SeamIndex::new(),
            journals: Vec::new(),
            stopping: Arc::new(AtomicBool::new(false)),
            stop: watch::Sender::new(false),
            feeding: Mutex::default(),
            others: Mutex::default(),
        };
        for url in &options.urls {
            sources.open_one(options, url, stats)?;
        }
        if options.urls.iter().any(SourceUrl::is_journaled) {
            written::note(&sources.journals, Covered::touch)?;
            fills::plan(&mut sources, options, database, stats, loaded)?;
        } else if options.history.is_some() {
            tracing::warn!(
                "the history is not used: files hold their own past, and no source needs it"
            );
        }
        Ok(sources)
    }

    fn open_one(
        &mut self,
        options: &SourceOptions,
        url: &SourceUrl,
        stats: &BTreeMap<String, StatStore>,
    ) -> Result<(), HostError> {
        let mapping = mapping(&options.mappings, url.map.as_deref())?;
        if let SourceKind::File(path) = &url.kind {
            let state_folder = options.data.join("logs");
            let folded = folded(stats, FileLog::stored_id(path, &state_folder)?);
            let log = FileLog::open(
                path,
                FileOptions {
                    once: options.once,
                    limits: options.limits,
                    dedup: url.dedup.then_some(options.journal.horizon),
                    folded,
                    ..FileOptions::new(mapping, state_folder)
                },
            )?;
            self.inputs.push(LogInput {
                log: Arc::new(log),
                readers: None,
                max_rate: url.max_rate,
                max_ahead_us: None,
                seen: VecDeque::new(),
            });
            return Ok(());
        }
        let max_ahead_us =
            url.max_ahead.map(|ahead| i64::try_from(ahead.as_micros()).unwrap_or(i64::MAX));
        let name = url.name();
        let folder = options.data.join("journals").join(folder_name(&name));
        let mut journal_options =
            JournalOptions { arrival_time: url.arrival_time, ..options.journal };
        if url.keep.unwrap_or(options.keep) == Keep::Forever {
            journal_options.retention.age_us = None;
        }
        let journal = Journal::open(&folder, &name, mapping, journal_options)?;
        self.seam.add_journal(&journal);
        let coverage = Coverage::open(&folder).map_err(|source| HostError::Io {
            what: format!("cannot use {}", folder.display()),
            source,
        })?;
        let coverage = Arc::new(coverage);
        let connections = connections(&url.kind, &name, coverage.end_us());
        if let Some(connections) = &connections {
            journal.fed_over(Arc::clone(connections));
        }
        self.journals.push(Covered { journal: Arc::clone(&journal), coverage });
        self.inputs.push(LogInput {
            log: Arc::clone(&journal) as _,
            readers: None,
            max_rate: url.max_rate,
            max_ahead_us,
            seen: VecDeque::new(),
        });
        let mut limits = options.ingest;
        limits.message.max_ahead_us = max_ahead_us.unwrap_or(limits.message.max_ahead_us);
        let ingest = Arc::new(Ingest::new(journal, limits));
        let patience = if options.once { Patience::GivesUp } else { Patience::Waits };
        let intake = |ingest| connections.map(|connections| Intake { ingest, connections });
        match &url.kind {
            SourceKind::Http(_) | SourceKind::Amqp(_) | SourceKind::Zmq(_) if options.once => {
                return Err(HostError::Endless(name));
            }
            SourceKind::Http(source) => {
                self.sinks.insert(source.clone(), ingest);
            }
            SourceKind::Demo(params) if options.once && params.count.is_none() => {
                return Err(HostError::Endless(format!("{name} without a count")));
            }
            SourceKind::Demo(params) => {
                let params = params.clone();
                self.feeders.push(feed::Feeder::Demo { params, ingest, patience });
            }
            SourceKind::Stdin => self.feeders.push(feed::Feeder::Stdin {
                ingest,
                max_line: options.limits.max_message,
                patience,
            }),
            SourceKind::Amqp(params) => {
                let params = (**params).clone();
                self.feeders
                    .extend(intake(ingest).map(|intake| feed::Feeder::Amqp { params, intake }));
            }
            SourceKind::Zmq(params) => {
                let publishers = zmq::Publishers::open(params, limits.message.max_message)
                    .map_err(|error| HostError::Feed(format!("{name}: {error}")))?;
                self.feeders
                    .extend(intake(ingest).map(|intake| feed::Feeder::Zmq { publishers, intake }));
            }
            SourceKind::File(_) => {}
        }
        Ok(())
    }

    /// The logs for the engine; to be taken once.
    pub(crate) fn take_inputs(&mut self) -> Vec<LogInput> {
        std::mem::take(&mut self.inputs)
    }

    /// Where messages sent to the sources `http:NAME` go, by name.
    pub(crate) fn sinks(&self) -> BTreeMap<String, Arc<Ingest>> {
        self.sinks.clone()
    }

    /// Goes on beside another engine: `inputs` are those of the one before it, `stats` and `loaded` what the
    /// next one is started with. What its stats miss is asked from the history; feeders go on as they are.
    pub(crate) fn go_on(
        &mut self,
        inputs: Vec<LogInput>,
        options: &SourceOptions,
        stats: &BTreeMap<String, StatStore>,
        loaded: &Loaded,
    ) -> Result<Vec<LogInput>, HostError> {
        let (fills, mut inputs): (Vec<_>, Vec<_>) =
            inputs.into_iter().partition(|input| input.readers.is_some());
        let mut seen: HashMap<LogId, VecDeque<LogEnd>> =
            fills.into_iter().map(|fill| (fill.log.id(), fill.seen)).collect();
        if !self.journals.is_empty() {
            fills::plan_on(self, options, stats, loaded)?;
        }
        inputs.extend(self.take_inputs().into_iter().map(|input| LogInput {
            seen: seen.remove(&input.log.id()).unwrap_or_default(),
            ..input
        }));
        self.start_fetches()?;
        Ok(inputs)
    }

    /// Keeps what journals hold so long from now on, µs, if it is not kept longer already; none = for ever.
    pub(crate) fn keep_at_least(&self, age_us: Option<i64>) {
        for covered in &self.journals {
            covered.journal.keep_at_least(age_us);
        }
    }

    /// Starts the feeders, the fetches and the notes of coverage.
    pub(crate) fn start(&mut self) -> Result<(), HostError> {
        for feeder in self.feeders.drain(..) {
            let (stopping, stop) = (Arc::clone(&self.stopping), Stop(self.stop.subscribe()));
            let ends_when_asked = feeder.ends_when_asked();
            let thread = std::thread::Builder::new()
                .name("feed".into())
                .spawn(move || {
                    let outcome = feed::run(feeder, &stopping, stop);
                    outcome.inspect_err(|error| tracing::error!("a source has ended: {error}"))
                })
                .map_err(no_thread)?;
            self.feeding.lock().push(Feeding { thread, ends_when_asked });
        }
        self.start_fetches()?;
        if !self.journals.is_empty() {
            let (journals, stopping) = (self.journals.clone(), Arc::clone(&self.stopping));
            let spawned = std::thread::Builder::new()
                .name("coverage".into())
                .spawn(move || written::keep_noting(&journals, &stopping))
                .map_err(no_thread)?;
            self.others.lock().push(spawned);
        }
        Ok(())
    }

    fn start_fetches(&mut self) -> Result<(), HostError> {
        let fetches = std::mem::take(&mut self.fetches);
        if !fetches.is_empty() {
            let (seam, stopping) = (Arc::clone(&self.seam), Arc::clone(&self.stopping));
            let spawned = std::thread::Builder::new()
                .name("fetch".into())
                .spawn(move || fills::run(fetches, &seam, fills::Patience::default(), &stopping))
                .map_err(no_thread)?;
            self.others.lock().push(spawned);
        }
        Ok(())
    }

    /// Waits until every feeder has come to its end.
    pub(crate) fn wait_fed(&self) -> Result<(), HostError> {
        let feeding = std::mem::take(&mut *self.feeding.lock());
        for Feeding { thread, .. } in feeding {
            if let Ok(outcome) = thread.join() {
                outcome?;
            }
        }
        Ok(())
    }

    /// Stops feeding and fetching; what was accepted is in the journals.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.stop.send_replace(true);
        if let Some(history) = &self.history {
            history.stop();
        }
        for thread in std::mem::take(&mut *self.others.lock()) {
            thread.thread().unpark();
            let _ = thread.join();
        }
        for Feeding { thread, ends_when_asked } in std::mem::take(&mut *self.feeding.lock()) {
            thread.thread().unpark();
            // A pump that waits ends with the process.
            if ends_when_asked || thread.is_finished() {
                let _ = thread.join();
            }
        }
        if let Err(error) = written::note(&self.journals, Covered::pause) {
            tracing::warn!("some history will be asked again: {error}");
        }
    }
}

fn no_thread(source: std::io::Error) -> HostError {
    HostError::Io { what: "cannot start a thread".into(), source }
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The connections that a source is fed over, which have brought nothing since `covered_us`.
fn connections(kind: &SourceKind, name: &str, covered_us: Option<i64>) -> Option<Arc<Connections>> {
    let now = now_us();
    let connections = match kind {
        // The queue has kept what was sent since.
        SourceKind::Amqp(params) => {
            Connections::new(name, [params.address()], covered_us.unwrap_or(now))
        }
        SourceKind::Zmq(params) => {
            let addresses = params.endpoints.iter().map(|endpoint| format!("tcp://{endpoint}"));
            Connections::new(name, addresses, now)
        }
        _ => return None,
    };
    Some(Arc::new(connections))
}

/// The mapping of this name: built in, or the configuration's.
pub(crate) fn mapping(
    mappings: &BTreeMap<String, Mapping>,
    name: Option<&str>,
) -> Result<Mapping, HostError> {
    let name = name.unwrap_or("auto");
    let known = mappings.get(name).cloned().or_else(|| Mapping::named(name));
    known.ok_or_else(|| {
        let mut names = vec!["auto", "fedmsg", "plain"];
        names.extend(mappings.keys().map(String::as_str));
        HostError::NoMapping { name: name.to_owned(), known: names.join(", ") }
    })
}

/// How far the stats of the store have come with a log.
fn folded(stats: &BTreeMap<String, StatStore>, log: Option<LogId>) -> Folded {
    let Some(log) = log else { return Folded::default() };
    let ends = stats.values().filter_map(|stat| Some(stat.record().positions.get(&log)?.end));
    Folded {
        by_all: ends.clone().min().unwrap_or(Offset(0)),
        by_any: ends.max().unwrap_or(Offset(0)),
    }
}

/// A source's name as the name of a folder.
pub(crate) fn folder_name(source: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let hash = xxhash_rust::xxh3::xxh3_64(source.as_bytes()) as u32;
    format!("{}-{hash:08x}", source.chars().map(plain).take(64).collect::<String>())
}

/// Ids of the logs that a data folder knows: journals, fills, and files read in place.
pub(crate) fn known_logs(data: &Path) -> HashSet<LogId> {
    let mut known = HashSet::new();
    let mut folders = vec![data.join("logs"), data.join("journals"), data.join("fills")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                let id = std::fs::read(&path).ok().and_then(|text| {
                    let json: serde_json::Value = serde_json::from_slice(&text).ok()?;
                    json.get("id")?.as_str()?.parse::<LogId>().ok()
                });
                known.extend(id);
            }
        }
    }
    known
}
