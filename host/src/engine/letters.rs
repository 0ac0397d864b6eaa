//! Decides on dead letters: folds their messages again, or gives them up.
//!
//! Whoever decides reads the message from its log and waits; the stat's worker folds it, in an instance made
//! for nothing else, so that a failure spoils nothing; the committer commits its increments and the removal
//! of the letter as one, if the letter is still there. So a message is counted once, or its letter stays.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use super::calls::{Calls, GivenUp};
use super::commit::{Commit, Progress};
use super::projectors::UnderWay;
use super::queue::Commits;
use super::stat::{Control, StatShared};
use super::worker::{Work, instance_of};
use super::{LaneContext, Shared, durable};
use crate::admin::{AdminError, LetterAt, Retried};
use crate::fault;
use crate::instance::{Blocks, Failure};
use crate::log::{LogError, LogId, Offset, Records};
use crate::project::{Batch, TopicCache, select};
use crate::query::StatState;
use crate::store::{DeadLetter, StatRecord};

/// The longest that a decision is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A decision on a dead letter.
pub(super) struct Decision {
    pub(super) stat: Arc<StatShared>,
    pub(super) at: LetterAt,
    /// What to fold; none = the letter is given up.
    pub(super) batch: Option<Arc<Batch>>,
    /// The life of the stat in which it was decided.
    pub(super) epoch: u64,
    pub(super) done: Sender<Done>,
}

/// How a decision ended; none = the letter was not there any more.
pub(super) type Done = Option<Retried>;

/// What a commit does to a dead letter.
pub(super) struct Settled {
    at: LetterAt,
    outcome: Retried,
    done: Sender<Done>,
}

impl Settled {
    /// Whether the letter is in `record`; who waits is told if it is not.
    pub(super) fn is_in(&self, record: &StatRecord) -> bool {
        let there = record.letters.iter().any(|it| (it.log, it.offset) == place(self.at));
        if !there {
            let _ = self.done.send(None);
        }
        there
    }

    /// Changes the letters of `record`.
    pub(super) fn apply(&self, record: &mut StatRecord) {
        match &self.outcome {
            Retried::Folded => record.letters.retain(|it| (it.log, it.offset) != place(self.at)),
            Retried::Failed { reason } => {
                let same = |it: &&mut DeadLetter| (it.log, it.offset) == place(self.at);
                if let Some(letter) = record.letters.iter_mut().find(same) {
                    letter.reason.clone_from(reason);
                }
            }
        }
    }

    /// The commit is done.
    pub(super) fn tell(self) {
        // Who waited may have given up.
        let _ = self.done.send(Some(self.outcome));
    }
}

fn place(at: LetterAt) -> (LogId, Offset) {
    (at.log, at.offset)
}

impl Decision {
    /// Folds the message where one is to be folded, and hands over the commit that settles the letter.
    pub(super) fn carry_out(self, commits: &Commits, calls: &Arc<Calls>) -> Result<(), GivenUp> {
        let Self { stat, at, batch, epoch, done } = self;
        let folded = batch.map(|batch| fold(&stat, &batch, calls));
        calls.check()?;
        let (increments, outcome, messages) = match folded {
            None => (Vec::new(), Retried::Folded, 0),
            Some(Ok(increments)) => (increments, Retried::Folded, 1),
            Some(Err(failure)) => (Vec::new(), Retried::Failed { reason: failure.to_string() }, 0),
        };
        let settled = Some(Settled { at, outcome, done });
        let progress = Progress { messages, settled, ..Progress::default() };
        fault::point("retry");
        // The committer outlives the workers; without it nobody waits either.
        let _ = commits.send(Commit { stat, epoch, increments, progress });
        Ok(())
    }
}

/// What an instance made for nothing else drains after the one message of `batch`.
fn fold(stat: &Arc<StatShared>, batch: &Batch, calls: &Arc<Calls>) -> Result<Blocks, Failure> {
    let mut instance = instance_of(stat, calls)?;
    let columns: Vec<usize> = stat.fields.iter().map(|&(column, _)| column).collect();
    instance.fold(batch, &columns, &[0])?;
    instance.drain(&batch.generation, &stat.fields, stat.manifest.models.len())
}

impl Shared {
    /// See [`crate::admin::Admin::retry`].
    pub(crate) fn retry(
        self: &Arc<Self>,
        ident: &str,
        at: LetterAt,
    ) -> Result<Retried, AdminError> {
        let stat = self.stat(ident)?;
        has_letter(stat, at)?;
        if stat.manifest.restore {
            return Err(AdminError::InOrder { ident: ident.to_owned() });
        }
        let context = self.context.lock().clone().ok_or(AdminError::Stopping)?;
        let batch = self.message(stat, at, &context)?;
        self.decide(stat, at, Some(Arc::new(batch)), context)
    }

    /// See [`crate::admin::Admin::drop_letter`].
    pub(crate) fn drop_letter(
        self: &Arc<Self>,
        ident: &str,
        at: LetterAt,
    ) -> Result<(), AdminError> {
        let stat = self.stat(ident)?;
        has_letter(stat, at)?;
        let context = self.context.lock().clone().ok_or(AdminError::Stopping)?;
        self.decide(stat, at, None, context).map(drop)
    }

    /// See [`crate::admin::Admin::resume`].
    pub(crate) fn resume(&self, ident: &str) -> Result<(), AdminError> {
        let stat = self.stat(ident)?;
        let state = self.state_of(stat, stat.written().record());
        let is_moved = stat.outside.read().is_some() && !stat.is_given_up();
        if state != StatState::Quarantined && !is_moved {
            let remedy = match state {
                StatState::Failed => "its status says what to do before the host is started again",
                _ => "only what is quarantined, or was moved to a worker process, is resumed",
            };
            return Err(AdminError::State { ident: ident.to_owned(), state, remedy });
        }
        let (done, resumed) = bounded(1);
        self.controls.tell(Control::Resume { stat: stat.index, done });
        resumed.recv_timeout(PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Timeout => {
                AdminError::TooSlow { what: format!("the resumption of {ident}") }
            }
            // Nobody will answer.
            RecvTimeoutError::Disconnected => AdminError::Stopping,
        })
    }

    /// The stat `ident`, which runs.
    pub(super) fn stat(&self, ident: &str) -> Result<&Arc<StatShared>, AdminError> {
        let found = self.stats.iter().find(|stat| stat.ident == ident);
        found.ok_or_else(|| AdminError::NoSuchStat { ident: ident.to_owned() })
    }

    fn decide(
        &self,
        stat: &Arc<StatShared>,
        at: LetterAt,
        batch: Option<Arc<Batch>>,
        context: LaneContext,
    ) -> Result<Retried, AdminError> {
        let (done, ended) = bounded(1);
        let epoch = stat.epoch.load(Ordering::SeqCst);
        let decision = Decision { stat: Arc::clone(stat), at, batch, epoch, done };
        let what = || format!("what was decided on offset {}", at.offset.0);
        let worker = stat.worker.load(Ordering::Acquire);
        let sent = context.workers[worker].send_timeout(Work::Decide(decision), PATIENCE);
        // A host that stops waits for the last way to its workers to go.
        drop(context);
        sent.map_err(|_| AdminError::TooSlow { what: what() })?;
        match ended.recv_timeout(PATIENCE) {
            Ok(Some(outcome)) => {
                durable::make_durable(self);
                Ok(outcome)
            }
            Ok(None) => Err(AdminError::NoSuchLetter { ident: stat.ident.clone(), at }),
            Err(RecvTimeoutError::Timeout) => Err(AdminError::TooSlow { what: what() }),
            Err(RecvTimeoutError::Disconnected) => Err(AdminError::Failed {
                what: what(),
                reason: "the stat was started again meanwhile; try again".to_owned(),
            }),
        }
    }

    /// The message of a dead letter, as a batch of one.
    fn message(
        &self,
        stat: &StatShared,
        at: LetterAt,
        context: &LaneContext,
    ) -> Result<Batch, AdminError> {
        let gone = |reason: String| AdminError::Gone { at, reason };
        let slot = self.logs.iter().find(|slot| slot.log.id() == at.log);
        let slot = slot.ok_or_else(|| gone("its log is no source any more".to_owned()))?;
        let log = &*slot.log;
        let mut records = Records::default();
        match log.read(at.offset, 1, 1, &mut records) {
            Ok(()) if records.at(at.offset).is_some() => {}
            Ok(()) => return Err(gone("no message begins there".to_owned())),
            Err(error @ (LogError::Expired { .. } | LogError::Damaged { .. })) => {
                return Err(gone(error.to_string()));
            }
            Err(error) => {
                let what = format!("log {} cannot be read", log.name());
                return Err(AdminError::Failed { what, reason: error.to_string() });
            }
        }
        let recipe = self.recipe(slot, context);
        let batch = UnderWay::new(recipe, context.projectors.clone()).make(&mut records);
        let unwanted = |reason: &str| AdminError::Unwanted {
            ident: stat.ident.clone(),
            at,
            reason: reason.to_owned(),
        };
        if batch.offsets.first() != Some(&at.offset.0) {
            return Err(unwanted("it is refused as a message now"));
        }
        if select(&batch, &stat.filter, &mut TopicCache::default()).first() != Some(&0) {
            return Err(unwanted("its topic is none of those that are asked for"));
        }
        Ok(batch)
    }
}

fn has_letter(stat: &StatShared, at: LetterAt) -> Result<(), AdminError> {
    let written = stat.written();
    let there = written.record().letters.iter().any(|it| (it.log, it.offset) == place(at));
    there.then_some(()).ok_or_else(|| AdminError::NoSuchLetter { ident: stat.ident.clone(), at })
}
