//! What all threads may know of a stat: its manifest, its store, its health.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crossbeam_channel::Sender;
use parking_lot::{Mutex, RwLock};
use statmill_plugin_api::encoding::BlockReader;
use statmill_plugin_api::manifest::{FieldKind, ModelManifest, StatManifest};

use super::health::Health;
use super::worker::Target;
use crate::instance::{Blocks, Failure};
use crate::limits::StatLimits;
use crate::loader::Plugin;
use crate::log::{LogId, Offset};
use crate::project::TopicFilter;
use crate::query::shape::ModelShape;
use crate::query::{ChangedTimes, StatState, Watchers};
use crate::store::{Reader, Snapshot, StatStore};

/// A stat of a running host.
pub(super) struct StatShared {
    /// Index in the engine's list.
    pub(super) index: usize,
    /// See [`StatManifest::ident`].
    pub(super) ident: String,
    pub(super) manifest: Arc<StatManifest>,
    /// Its plugin as it was loaded.
    pub(super) found: Arc<Plugin>,
    /// In place of that, if it hung.
    pub(super) outside: RwLock<Option<Outside>>,
    /// Its configuration, JSON text.
    pub(super) config: String,
    /// The worker that owns its instance; the supervisor alone changes it.
    pub(super) worker: AtomicUsize,
    /// Its fields: column of the projection and kind.
    pub(super) fields: Vec<(usize, FieldKind)>,
    pub(super) filter: TopicFilter,
    pub(super) limits: StatLimits,
    /// Rows and record. Locked for the time of a commit, and to read the record for a restart.
    pub(super) store: Mutex<StatStore>,
    /// Reads `store` without locking it.
    pub(super) written: RwLock<Reader>,
    /// The rows that a rebuild will replace; nobody writes them meanwhile.
    pub(super) replaced: Mutex<Option<StatStore>>,
    /// Reads what is answered: `store`, or until a rebuild is level the rows it will replace.
    pub(super) served: RwLock<Reader>,
    /// Number of the instance's life. A commit of an earlier life is dropped.
    pub(super) epoch: AtomicU64,
    pub(super) health: Mutex<Health>,
    /// The supervisor was told that something is damaged.
    pub(super) damage_reported: AtomicBool,
    /// Where faults are reported.
    pub(super) controls: Controls,
    /// Who is told of changes.
    pub(super) watchers: Arc<Watchers>,
}

/// A stat whose instances have processes of their own, though its plugin is mapped.
pub(super) struct Outside {
    pub(super) plugin: Arc<Plugin>,
    /// Why.
    pub(super) reason: String,
    pub(super) since_us: i64,
}

/// The way to the supervisor; what it is told is counted.
#[derive(Clone)]
pub(super) struct Controls {
    supervisor: Sender<Control>,
    told: Arc<AtomicU64>,
    handled: Arc<AtomicU64>,
}

impl Controls {
    pub(super) fn new(supervisor: Sender<Control>) -> Self {
        Self { supervisor, told: Arc::default(), handled: Arc::default() }
    }

    /// Tells the supervisor; never waits.
    pub(super) fn tell(&self, control: Control) {
        self.told.fetch_add(1, Ordering::SeqCst);
        if self.supervisor.send(control).is_err() {
            // The supervisor is gone, so the host is stopping: nothing is to follow.
            self.note_handled();
        }
    }

    /// How often it was told something.
    pub(super) fn told(&self) -> u64 {
        self.told.load(Ordering::SeqCst)
    }

    /// How often it has acted upon what it was told; never more than [`Controls::told`].
    pub(super) fn handled(&self) -> u64 {
        self.handled.load(Ordering::SeqCst)
    }

    /// The supervisor has acted upon one.
    pub(super) fn note_handled(&self) {
        self.handled.fetch_add(1, Ordering::SeqCst);
    }
}

/// What the supervisor acts upon.
pub(super) enum Control {
    /// A life of a stat has ended, the one before `epoch`.
    Fault { stat: usize, epoch: u64, fault: Fault },
    /// The thread of a worker was given up, in a call of `stat` where that is known; another one serves.
    GivenUp { worker: usize, stat: Option<usize>, reason: String },
    /// A stat holds up all others.
    TooSlow { stat: usize },
    /// A lane feeds a stat no more because its queue is full: it has everything of the log before `from`.
    Left { target: Target, log: LogId, from: Offset },
    /// Somebody has mended what a stat was quarantined for.
    Resume { stat: usize, done: Sender<()> },
    /// The disk refused a write: nobody can commit.
    Refused,
    /// The host stops.
    Stop,
}

/// Some of the messages of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) log: LogId,
    pub(super) range: Range<Offset>,
}

impl Stretch {
    /// Whether a message may lie in both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.log == other.log
            && self.range.start < other.range.end
            && other.range.start < self.range.end
    }
}

/// Why an instance had to be dropped.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the plugin does not make an instance: {0}")]
    Create(Failure),
    #[error("fold failed in the messages {}..{}: {reason}", at.range.start.0, at.range.end.0)]
    Fold { reason: Failure, at: Stretch },
    #[error("it cannot fold {0}; mend the plugin and restart the host")]
    DeadLetters(String),
    #[error("drain failed: {0}")]
    Drain(Failure),
    #[error("commit failed: {0}")]
    Commit(String),
    #[error("messages are missing: expected offset {}, got {}", expected.0, got.0)]
    Gap { expected: Offset, got: Offset },
    #[error("{0}")]
    Damaged(String),
    #[error("{0}")]
    Hung(String),
    #[error("the host is stopping")]
    Stopped,
}

impl Fault {
    /// What went wrong in an instance.
    pub(super) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Create(reason) | Self::Fold { reason, .. } | Self::Drain(reason) => Some(reason),
            _ => None,
        }
    }

    /// Whether it is of the rows or the store, and there whoever writes them.
    pub(super) fn is_of_rows(&self) -> bool {
        matches!(self, Self::Commit(_) | Self::Damaged(_))
    }
}

impl StatShared {
    /// The plugin that makes its instances.
    pub(super) fn plugin(&self) -> Arc<Plugin> {
        let outside = self.outside.read();
        Arc::clone(outside.as_ref().map_or(&self.found, |outside| &outside.plugin))
    }

    /// The newest commit.
    pub(super) fn written(&self) -> Arc<Snapshot> {
        self.written.read().snapshot()
    }

    /// Goes on writing to `rows` instead of `store`, which is its own; with `beside` those that serve go
    /// on serving.
    pub(super) fn go_on_in(&self, store: &mut StatStore, rows: StatStore, beside: bool) {
        *store = rows;
        *self.written.write() = store.handle();
        if !beside {
            *self.served.write() = store.handle();
            self.tell_change(None);
        }
    }

    /// Whether the rows being written are made beside those that are answered.
    pub(super) fn rebuilding(&self) -> bool {
        !self.served.read().reads_same(&self.written.read())
    }

    /// What is damaged of the rows that are written or answered.
    pub(super) fn damage(&self) -> Option<String> {
        let (written, served) = (self.written(), self.served());
        written.damage().or(served.damage()).map(str::to_owned)
    }

    /// The rows that are answered.
    pub(super) fn served(&self) -> Arc<Snapshot> {
        self.served.read().snapshot()
    }

    /// Ends the life `epoch` of the stat and reports why; the supervisor decides what follows. What
    /// comes of a life that is over already is nobody's business.
    pub(super) fn fault(&self, epoch: u64, fault: Fault) {
        let ends =
            self.epoch.compare_exchange(epoch, epoch + 1, Ordering::SeqCst, Ordering::SeqCst);
        if ends.is_ok() {
            self.controls.tell(Control::Fault { stat: self.index, epoch: epoch + 1, fault });
        }
    }

    /// Ends the life of the stat, whichever it is: its rows are damaged.
    pub(super) fn damaged(&self, reason: String) {
        let epoch = self.epoch.fetch_add(1, Ordering::SeqCst) + 1;
        let fault = Fault::Damaged(reason);
        self.controls.tell(Control::Fault { stat: self.index, epoch, fault });
    }

    /// See [`Health::suspect`].
    pub(super) fn suspect(&self) -> Option<Stretch> {
        self.health.lock().suspect()
    }

    pub(super) fn set_state(&self, state: StatState, reason: impl Into<String>) {
        self.change_state(|_| true, state, reason.into());
    }

    pub(super) fn is_quarantined(&self) -> bool {
        self.health.lock().state == StatState::Quarantined
    }

    /// Nothing feeds it any more.
    pub(super) fn is_given_up(&self) -> bool {
        matches!(self.health.lock().state, StatState::Quarantined | StatState::Failed)
    }

    /// Leaves `before` for `state`; nothing happens where the state has become another meanwhile.
    pub(super) fn leave_state(&self, before: StatState, state: StatState, reason: &str) {
        self.change_state(|now| now == before, state, reason.to_owned());
    }

    fn change_state(
        &self,
        may_change: impl Fn(StatState) -> bool,
        state: StatState,
        reason: String,
    ) {
        let mut health = self.health.lock();
        if !may_change(health.state) {
            return;
        }
        if health.state != state {
            health.since_us = crate::clock::now_us();
            let colon = if reason.is_empty() { "" } else { ": " };
            tracing::info!(stat = self.ident, "now {state}{colon}{reason}");
        }
        let is_new = health.state != state;
        health.state = state;
        health.reason = reason;
        drop(health);
        if is_new {
            self.watchers.tell(&self.ident, || None);
        }
    }

    /// Tells those who watch that the rows that are answered have changed: all of them, or those of
    /// the increments `blocks`.
    pub(super) fn tell_change(&self, blocks: Option<&Blocks>) {
        self.watchers.tell(&self.ident, || changed_times(self.manifest.models.first()?, blocks?));
    }
}

/// Shown times of the rows of the first model that increments change.
fn changed_times(model: &ModelManifest, blocks: &Blocks) -> Option<ChangedTimes> {
    let shape = ModelShape::new(model);
    let mut times: Option<ChangedTimes> = None;
    for (_, block) in blocks.iter().filter(|(model, _)| *model == 0) {
        // Keys ascend, so these are the first and the last time.
        let mut keys = BlockReader::new(block).filter_map(|row| row.ok().map(|(key, _)| key));
        let first = keys.next()?;
        let last = keys.last().unwrap_or(first);
        let (from, to) = (shape.shown_time(first).ok()??, shape.shown_time(last).ok()??);
        times = Some(times.map_or((from, to), |(a, b)| (a.min(from), b.max(to))));
    }
    times
}
