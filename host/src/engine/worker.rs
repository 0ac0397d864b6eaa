//! One thread per worker: the only code that calls into a stat.
//!
//! A worker owns the instances of its stats and what each has folded since its last checkpoint;
//! nobody else can touch either. Work arrives on one bounded channel; increments leave as
//! [`Commit`]s for the committer. Nothing flows back to the sender. A thread that was given up while a
//! plugin had it ends without touching any of it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use statmill_plugin_api::encoding::BlockWriter;
use statmill_plugin_api::manifest::FieldKind;

use super::bisect;
use super::calls::{Calls, GivenUp, Watched};
use super::commit::{Commit, Progress};
use super::letters::Decision;
use super::queue::{Commits, Ended};
use super::stat::{Fault, StatShared, Stretch};
use crate::clock::{now_us, thread_cpu};
use crate::instance::Failure;
use crate::log::{LogId, Offset};
use crate::project::{Batch, Generation, TopicCache, select};
use crate::store::{DeadLetter, Kept, KeyBounds, Order, StatRecord};

/// Increments beyond either bound force a checkpoint at once.
const MAX_ROWS: u64 = 65_536;
const MAX_BYTES: u64 = 16 << 20;

/// Dead letters a stat may have before it is quarantined: they are part of its record.
const MAX_LETTERS: usize = 100;

/// How often its worker process may hang before it is quarantined while a message is looked for, of which
/// each costs the deadline: enough to find one among all of a batch.
const MOST_LATE: usize = 16;

/// Everything that can wake a worker.
pub(super) enum Work {
    /// The messages in one half-open range of offsets of one log, for these stats.
    Batch { batch: Arc<Batch>, stats: Arc<[Target]> },
    /// The messages in a range of one log are gone: go on behind it, and record the loss.
    Skip { log: LogId, range: Range<Offset>, reason: Arc<str>, stats: Arc<[Target]> },
    /// Start (again) from a committed record with a new instance.
    Reset {
        stat: Arc<StatShared>,
        epoch: u64,
        record: Box<StatRecord>,
        /// Where some message cannot be folded.
        suspect: Option<Stretch>,
    },
    /// Stop folding a stat; what it holds is dropped.
    Drop { stat: usize },
    /// Settle a dead letter.
    Decide(Decision),
    /// Drain all increments and hand them to the committer, then answer.
    Checkpoint(Sender<()>),
}

/// A stat that shall fold a batch, and in which of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Index of the stat.
    pub(super) stat: usize,
    /// Batches of an earlier epoch are for an instance that is gone.
    pub(super) epoch: u64,
    /// The worker that owns it.
    pub(super) worker: usize,
}

/// What a worker's thread works with.
pub(super) struct Desk {
    pub(super) work: Receiver<Work>,
    pub(super) commits: Commits,
    /// Time between two checkpoints.
    pub(super) period: Duration,
    pub(super) calls: Arc<Calls>,
    /// Once this is set, messages are left where they are.
    pub(super) leave: Option<Arc<AtomicBool>>,
}

/// An instance and what it holds.
struct Running {
    shared: Arc<StatShared>,
    epoch: u64,
    instance: Watched,
    columns: Vec<usize>,
    fields: Vec<(usize, FieldKind)>,
    topics: TopicCache,
    cutoff_us: Option<i64>,
    /// What old rows hold, if this is a rebuild that keeps some.
    kept: Option<Kept>,
    positions: BTreeMap<LogId, Offset>,
    generation: Option<Arc<Generation>>,
    /// Where some message cannot be folded; none = nobody knows of any.
    suspect: Option<Stretch>,
    /// Dead letters that wait for a decision.
    letters: usize,
    progress: Progress,
}

/// Runs a worker until the last sender of its work is dropped, and then checkpoints once more; or until its
/// thread was given up.
pub(super) fn run(desk: &Desk) {
    let mut stats = HashMap::new();
    if let Err(GivenUp) = serve(desk, &mut stats) {
        tracing::info!("a thread that was given up has ended");
    }
}

fn serve(desk: &Desk, stats: &mut HashMap<usize, Running>) -> Result<(), GivenUp> {
    let mut next = Instant::now() + desk.period;
    loop {
        match desk.work.recv_deadline(next) {
            Ok(Work::Batch { .. } | Work::Skip { .. }) if desk.leaves_messages() => {}
            Ok(Work::Batch { batch, stats: targets }) => {
                for target in targets.iter() {
                    if let Some(running) = alive(stats, target)
                        && let Err(reason) = running.take(&batch, &desk.commits)
                    {
                        fail(desk, stats, target.stat, reason)?;
                    }
                }
            }
            Ok(Work::Skip { log, range, reason, stats: targets }) => {
                for target in targets.iter() {
                    if let Some(running) = alive(stats, target) {
                        running.skip(log, &range, &reason);
                    }
                }
            }
            Ok(Work::Reset { stat, epoch, record, suspect }) => {
                let index = stat.index;
                drop(stats.remove(&index));
                desk.calls.check()?;
                match Running::new(stat, epoch, &record, &desk.calls) {
                    Ok(running) => drop(stats.insert(index, Running { suspect, ..running })),
                    Err((stat, reason)) => {
                        desk.calls.check()?;
                        stat.fault(epoch, Fault::Create(reason));
                    }
                }
            }
            Ok(Work::Drop { stat }) => drop(stats.remove(&stat)),
            Ok(Work::Decide(decision)) => decision.carry_out(&desk.commits, &desk.calls)?,
            Ok(Work::Checkpoint(done)) => {
                desk.calls.asked_by(done);
                checkpoint(desk, stats)?;
                desk.calls.answer();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        desk.calls.check()?;
        if Instant::now() >= next {
            checkpoint(desk, stats)?;
            next = Instant::now() + desk.period;
        }
    }
    checkpoint(desk, stats)
}

impl Desk {
    fn leaves_messages(&self) -> bool {
        self.leave.as_ref().is_some_and(|leave| leave.load(Ordering::Acquire))
    }
}

/// The life of a stat that a batch is for, unless it is over.
fn alive<'a>(stats: &'a mut HashMap<usize, Running>, target: &Target) -> Option<&'a mut Running> {
    let running = stats.get_mut(&target.stat)?;
    (running.epoch == target.epoch && running.is_alive()).then_some(running)
}

/// As much of a text as is kept of it.
pub(super) fn beginning(text: &str) -> String {
    const MOST: usize = 300;
    text.chars().take(MOST).collect()
}

fn checkpoint(desk: &Desk, stats: &mut HashMap<usize, Running>) -> Result<(), GivenUp> {
    let mut failed = Vec::new();
    for (&index, running) in stats.iter_mut().filter(|(_, running)| running.is_alive()) {
        if let Err(reason) = running.checkpoint(&desk.commits) {
            desk.calls.check()?;
            failed.push((index, reason));
        }
    }
    failed.into_iter().try_for_each(|(index, reason)| fail(desk, stats, index, reason))
}

/// Drops the instance with its increments: after an error both are worthless. The supervisor starts
/// it again from the committed position.
fn fail(
    desk: &Desk,
    stats: &mut HashMap<usize, Running>,
    index: usize,
    fault: Fault,
) -> Result<(), GivenUp> {
    desk.calls.check()?;
    if let Some(Running { shared, epoch, instance, .. }) = stats.remove(&index) {
        // Before its instance, which may hang: then there is nobody left to report it.
        shared.fault(epoch, fault);
        drop(instance);
    }
    desk.calls.check()
}

/// A new instance, with the earlier rows if the stat asks for them.
pub(super) fn instance_of(
    shared: &Arc<StatShared>,
    calls: &Arc<Calls>,
) -> Result<Watched, Failure> {
    let mut instance = Watched::create(shared, calls)?;
    if shared.manifest.restore {
        restore(shared, &mut instance)?;
    }
    Ok(instance)
}

/// Rows handed over in one block.
const RESTORE_ROWS: usize = 4096;

/// Hands all earlier rows of a stat that asks for them to its new instance.
fn restore(shared: &StatShared, instance: &mut Watched) -> Result<(), Failure> {
    let snapshot = shared.written();
    let models = snapshot.models();
    let most = shared.manifest.max_rows.unwrap_or(0);
    // Roll-ups are the host's own: the stat knows only the models it declared.
    let declared = models.iter().enumerate().filter(|(_, stored)| !stored.name.contains('@'));
    for (table, stored) in declared {
        let rows = snapshot.rows(table);
        if rows > most {
            return Err(Failure::Said(format!(
                "its model {} has {rows} rows, more than the {most} it takes at a start",
                stored.name
            )));
        }
        let mut block = BlockWriter::new();
        for row in snapshot.scan(table, &KeyBounds::default(), Order::Asc, 0) {
            let (key, value) = row.map_err(|error| Failure::Said(error.to_string()))?;
            block.push(&key, &value);
            if block.rows() as usize >= RESTORE_ROWS {
                instance.restore(stored.source, block.as_bytes())?;
                block = BlockWriter::new();
            }
        }
        instance.restore(stored.source, block.as_bytes())?;
    }
    Ok(())
}

impl Running {
    fn new(
        shared: Arc<StatShared>,
        epoch: u64,
        record: &StatRecord,
        calls: &Arc<Calls>,
    ) -> Result<Self, (Arc<StatShared>, Failure)> {
        let instance = match instance_of(&shared, calls) {
            Ok(instance) => instance,
            Err(reason) => return Err((shared, reason)),
        };
        Ok(Self {
            epoch,
            instance,
            columns: shared.fields.iter().map(|&(column, _)| column).collect(),
            fields: shared.fields.clone(),
            topics: TopicCache::default(),
            cutoff_us: record.cutoff_us,
            kept: record.kept.clone().filter(|kept| !kept.taken_over()),
            positions: record.positions.iter().map(|(&log, at)| (log, at.end)).collect(),
            generation: None,
            suspect: None,
            letters: record.letters.len(),
            progress: Progress::default(),
            shared,
        })
    }

    /// Whether nobody has ended this life yet.
    fn is_alive(&self) -> bool {
        self.shared.epoch.load(Ordering::SeqCst) == self.epoch
    }

    /// Folds what of `batch` lies at or after the position.
    fn take(&mut self, batch: &Arc<Batch>, commits: &Commits) -> Result<(), Fault> {
        let position = self.positions.get(&batch.log).copied().unwrap_or(batch.range.start);
        if batch.range.end <= position {
            return Ok(());
        }
        if batch.range.start > position {
            return Err(Fault::Gap { expected: position, got: batch.range.start });
        }
        if self.generation.as_ref().is_some_and(|held| held.id() != batch.generation.id()) {
            self.checkpoint(commits)?;
        }
        let mut rows = select(batch, &self.shared.filter, &mut self.topics);
        if batch.range.start < position {
            rows.retain(|&row| batch.offsets[row as usize] >= position.0);
        }
        if let Some(cutoff) = self.cutoff_us {
            let before = rows.len();
            rows.retain(|&row| batch.times[row as usize] >= cutoff);
            self.progress.before_cutoff += (before - rows.len()) as u64;
        }
        if let Some(kept) = &self.kept {
            let held =
                |row: usize| kept.holds(batch.log, Offset(batch.offsets[row]), batch.times[row]);
            rows.retain(|&row| !held(row as usize));
        }
        let at = Stretch { log: batch.log, range: batch.range.clone() };
        let is_suspect = self.suspect.as_ref().is_some_and(|suspect| suspect.meets(&at));
        if is_suspect {
            self.checkpoint_and_wait(commits)?;
            self.progress.letters = self.dead_letters(batch, &mut rows)?;
        }
        let report = if rows.is_empty() {
            None
        } else {
            self.generation.get_or_insert_with(|| Arc::clone(&batch.generation));
            let folded = self.instance.fold(batch, &self.columns, &rows);
            Some(folded.map_err(|reason| Fault::Fold { reason, at })?)
        };
        self.progress.folded(batch, position, &rows);
        self.positions.insert(batch.log, batch.range.end);
        match report {
            _ if is_suspect => self.checkpoint_and_wait(commits),
            Some(held) if held.rows >= MAX_ROWS || held.bytes >= MAX_BYTES => {
                self.checkpoint(commits)
            }
            _ => Ok(()),
        }
    }

    /// Commits what was folded before more is tried: the next fault drops what is still under way.
    fn checkpoint_and_wait(&mut self, commits: &Commits) -> Result<(), Fault> {
        self.checkpoint(commits)?;
        commits.wait_all();
        Ok(())
    }

    /// Takes those that cannot be folded out of `rows`.
    fn dead_letters(
        &mut self,
        batch: &Batch,
        rows: &mut Vec<u32>,
    ) -> Result<Vec<DeadLetter>, Fault> {
        let (mut late, all) = (Vec::<Failure>::new(), rows.len());
        let found = bisect::culprits(rows, |rows| {
            if late.len() == MOST_LATE {
                return Err(late[0].clone());
            }
            let folded = bisect::undisturbed(|| {
                let mut trial = instance_of(&self.shared, self.instance.calls())?;
                trial.fold(batch, &self.columns, rows).map(drop)
            });
            late.extend(folded.as_ref().err().filter(|it| matches!(it, Failure::Late(_))).cloned());
            folded
        });
        if late.len() == MOST_LATE {
            let what = format!("{all} messages without hanging {MOST_LATE} times: {}", late[0]);
            return Err(Fault::DeadLetters(what));
        }
        let found = found.map_err(|reason| {
            let too_many = format!("more than {} of {all} messages", bisect::MOST);
            Fault::DeadLetters(format!(
                "{too_many}: too many of one batch, the last said \"{reason}\""
            ))
        })?;
        if let Some((_, failure)) = found.iter().find(|(_, failure)| failure.is_foreign()) {
            let at = Stretch { log: batch.log, range: batch.range.clone() };
            return Err(Fault::Fold { reason: failure.clone(), at });
        }
        rows.retain(|row| !found.iter().any(|(dead, _)| dead == row));
        self.letters += found.len();
        if let Some((_, reason)) = found.last()
            && self.letters > MAX_LETTERS
        {
            return Err(Fault::DeadLetters(format!("{} messages: {reason}", self.letters)));
        }
        let letter = |(row, reason): (u32, Failure)| {
            let row = row as usize;
            let letter = DeadLetter {
                log: batch.log,
                offset: Offset(batch.offsets[row]),
                time_us: batch.times[row],
                topic: beginning(batch.generation.topic(batch.topics[row])),
                reason: beginning(&reason.to_string()),
                noted_us: now_us(),
            };
            let (stat, at) = (&self.shared.ident, letter.offset.0);
            tracing::error!(stat, "passed over the message at offset {at}: {}", letter.reason);
            letter
        };
        Ok(found.into_iter().map(letter).collect())
    }

    /// Goes on behind messages that are gone.
    fn skip(&mut self, log: LogId, range: &Range<Offset>, reason: &str) {
        let position = self.positions.get(&log).copied().unwrap_or(range.start);
        if range.contains(&position) {
            self.progress.skipped(log, range.end, reason);
            self.positions.insert(log, range.end);
        }
    }

    fn checkpoint(&mut self, commits: &Commits) -> Result<(), Fault> {
        if self.progress.is_empty() {
            return Ok(());
        }
        let increments = match self.generation.take() {
            None => Vec::new(),
            Some(generation) => {
                let models = self.shared.manifest.models.len();
                let before = thread_cpu();
                let drained = self.instance.drain(&generation, &self.fields, models);
                let stat = self.shared.ident.clone();
                metrics::histogram!("statmill_drain_cpu_seconds", "stat" => stat)
                    .record(thread_cpu() - before);
                drained.map_err(Fault::Drain)?
            }
        };
        let commit = Commit {
            stat: Arc::clone(&self.shared),
            epoch: self.epoch,
            increments,
            progress: std::mem::take(&mut self.progress),
        };
        // The committer outlives the workers: it ends only when the last sender is gone.
        commits.send(commit).map_err(|Ended| Fault::Stopped)
    }
}
