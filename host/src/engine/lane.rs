//! A lane: one thread that reads one log from one place on and hands batches to workers.
//!
//! Each log has a live lane, which follows the log's end for ever. Stats that are behind it are fed
//! by a catch-up lane of their own, which joins them to the live lane when it has come level. A stat
//! is fed by at most one lane of a log at a time; batches may overlap what it folded, never leave a hole.
//! A slow stat with a worker of its own is left behind by the live lane whenever its queue is full.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::projectors::{Ended, Projectors, Recipe, UnderWay};
use super::stat::{Control, Controls};
use super::worker::{Target, Work};
use super::workers::Queue;
use crate::log::{Log, LogEnd, LogError, Offset, Records};
use crate::project::{Batch, Dictionaries};

/// Bounds of a batch.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_RECORDS: usize = 1024;

/// Ends of the log that are remembered, and how far apart in time, µs: together longer than any commit takes.
const SEEN_ENDS: usize = 256;
const SEEN_STEP_US: i64 = 100_000;

/// How long a lane at the end of its log sleeps before it looks whether it shall stop.
const IDLE: Duration = Duration::from_millis(50);

/// A log and who reads it.
pub(super) struct LogSlot {
    pub(super) log: Arc<dyn Log>,
    pub(super) live: Arc<Lane>,
    /// Lanes that feed stats which are behind.
    pub(super) behind: Mutex<Vec<Arc<Lane>>>,
    /// Only stats with these idents read it (a fill); none = all.
    pub(super) readers: Option<Vec<String>>,
    /// Why it is read no further.
    pub(super) error: Mutex<Option<String>>,
    /// Messages a second at most; 0 = no limit.
    pub(super) max_rate: u64,
    /// See [`super::LogInput::max_ahead_us`].
    pub(super) max_ahead_us: Option<i64>,
}

/// A place in a log, and the stats fed from there.
#[derive(Default)]
pub(super) struct Lane {
    /// Locked while a batch is handed out, so that joining falls between two batches.
    seat: Mutex<Seat>,
    /// Where the log ended when the lane stood there, and when; ascending, the newest last.
    seen: Mutex<VecDeque<LogEnd>>,
}

#[derive(Default)]
struct Seat {
    next: Offset,
    targets: Arc<[Target]>,
}

/// What every lane needs.
#[derive(Clone)]
pub(super) struct LaneContext {
    pub(super) workers: Arc<[Queue]>,
    pub(super) controls: Controls,
    pub(super) dictionaries: Arc<Dictionaries>,
    pub(super) projectors: Projectors,
    pub(super) stopping: Arc<AtomicBool>,
}

impl LogSlot {
    /// Whether the stat `ident` reads the log.
    pub(super) fn read_by(&self, ident: &str) -> bool {
        self.readers.as_ref().is_none_or(|readers| readers.iter().any(|reader| reader == ident))
    }

    /// Feeds `stat` no more.
    pub(super) fn remove(&self, stat: usize) {
        for lane in &*self.behind.lock() {
            lane.remove(stat);
        }
        self.live.remove(stat);
    }
}

impl Lane {
    pub(super) fn starting_at(next: Offset, targets: Vec<Target>) -> Self {
        Self { seat: Mutex::new(Seat { next, targets: targets.into() }), seen: Mutex::default() }
    }

    /// Goes on with the ends that a lane before it saw.
    pub(super) fn having_seen(mut self, seen: VecDeque<LogEnd>) -> Self {
        self.seen = Mutex::new(seen);
        self
    }

    /// The ends of the log that were seen.
    pub(super) fn seen(&self) -> VecDeque<LogEnd> {
        self.seen.lock().clone()
    }

    /// The newest end of the log that was seen and that `position` has reached: everything that had come
    /// by then is folded.
    pub(super) fn seen_by(&self, position: Offset) -> Option<LogEnd> {
        self.seen.lock().iter().rev().find(|end| end.offset <= position).copied()
    }

    /// Notes where the log ends while the lane stands there.
    fn see(&self, end: LogEnd) {
        let mut seen = self.seen.lock();
        let step_us = end.seen_us - SEEN_STEP_US;
        match seen.len().checked_sub(2).map(|last_but_one| seen[last_but_one].seen_us) {
            // Commits come seldom: a few ends a second are enough to tell how far they reach.
            Some(before) if before > step_us => drop(seen.pop_back()),
            _ => {}
        }
        seen.push_back(end);
        if seen.len() > SEEN_ENDS {
            seen.pop_front();
        }
    }

    /// Adds targets that are level: they have folded, or been sent, everything before `level`.
    /// Answers whether they were taken; if not they must come closer first.
    pub(super) fn join(&self, targets: &[Target], level: Offset) -> bool {
        let mut seat = self.seat.lock();
        if seat.next > level {
            return false;
        }
        seat.targets = seat.targets.iter().chain(targets).copied().collect();
        true
    }

    /// Feeds `stat` no more.
    pub(super) fn remove(&self, stat: usize) {
        let mut seat = self.seat.lock();
        seat.targets = seat.targets.iter().filter(|target| target.stat != stat).copied().collect();
    }

    /// Whether a catch-up lane has nobody left to feed, the live lane having taken those that are level.
    fn is_through(&self, slot: &LogSlot, context: &LaneContext) -> bool {
        let targets = self.targets();
        // What would be left behind again at the next batch stays here.
        let keeps_up = |target: &Target| {
            let worker = &context.workers[target.worker];
            !worker.own || worker.has_room()
        };
        targets.is_empty() || targets.iter().all(keeps_up) && slot.live.join(&targets, self.next())
    }

    /// Where it goes on: everything before has been handed out.
    fn next(&self) -> Offset {
        self.seat.lock().next
    }

    pub(super) fn targets(&self) -> Arc<[Target]> {
        Arc::clone(&self.seat.lock().targets)
    }

    /// Gives every worker with a target the work that takes the lane to `next`. The live lane does not
    /// wait for a worker that serves one stat alone: it leaves the stat behind.
    fn pass(
        &self,
        next: Offset,
        slot: &LogSlot,
        context: &LaneContext,
        work: impl Fn(Arc<[Target]>) -> Work,
    ) {
        let mut seat = self.seat.lock();
        let is_live = std::ptr::eq(self, Arc::as_ptr(&slot.live));
        let mut left: Vec<Target> = Vec::new();
        for (index, worker) in context.workers.iter().enumerate() {
            let mut its = seat.targets.iter().filter(|target| target.worker == index).peekable();
            if its.peek().is_none() {
                continue;
            }
            let work = work(Arc::clone(&seat.targets));
            if is_live && worker.own {
                if worker.try_send(work).is_err() {
                    left.extend(its);
                }
            } else {
                worker.send(work);
            }
        }
        let from = seat.next;
        seat.next = next;
        if !left.is_empty() {
            seat.targets = seat.targets.iter().filter(|it| !left.contains(it)).copied().collect();
        }
        drop(seat);
        for target in left {
            context.controls.tell(Control::Left { target, log: slot.log.id(), from });
        }
    }
}

/// Why a lane reads no further.
#[derive(Debug, thiserror::Error)]
pub(super) enum LaneError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Projection(#[from] Ended),
}

/// Reads until told to stop, the log is finished, or (catch-up) the lane has joined the live one.
///
/// # Errors
/// What the log answers; the lane ends with it.
pub(super) fn run(
    slot: &LogSlot,
    lane: &Lane,
    recipe: Recipe,
    context: &LaneContext,
) -> Result<(), LaneError> {
    let live = std::ptr::eq(lane, Arc::as_ptr(&slot.live));
    let log = &*slot.log;
    let mut records = Records::default();
    let mut under_way = UnderWay::new(recipe, context.projectors.clone());
    let pass = |batch: Result<Batch, Ended>| {
        let batch = batch?;
        metrics::counter!("statmill_messages_total").increment(batch.offsets.len() as u64);
        metrics::counter!("statmill_rejects_total").increment(batch.rejects.len() as u64);
        log.note(&batch);
        let (next, batch) = (batch.range.end, Arc::new(batch));
        let work = |stats| Work::Batch { batch: Arc::clone(&batch), stats };
        lane.pass(next, slot, context, work);
        Ok::<_, Ended>(())
    };
    let mut next = lane.next();
    let mut pace = Pace::new(slot.max_rate);
    let records_at_once = pace.batch_records();
    while !context.stopping.load(Ordering::Acquire) {
        if !live && lane.is_through(slot, context) {
            break;
        }
        let outcome = log.read(next, BATCH_BYTES, records_at_once, &mut records);
        if outcome.is_ok() && records.range.end > next {
            next = records.range.end;
            pace.wait_for(records.spans.len());
            if has_more(&records) && context.projectors.most_under_way() > 0 {
                under_way.begin(std::mem::take(&mut records));
                if under_way.len() > context.projectors.most_under_way() {
                    under_way.oldest().map(pass).transpose()?;
                }
                continue;
            }
        }
        // The log's end, or a place where it cannot be read, comes after what lies before it.
        while let Some(batch) = under_way.oldest() {
            pass(batch)?;
        }
        if let Err(error) = outcome {
            let Some(on) = way_on(log, next, &error) else { return Err(error.into()) };
            tracing::error!(
                log = log.name(),
                "a recorded loss, reading goes on at {}: {error}",
                on.0
            );
            let reason: Arc<str> = error.to_string().into();
            lane.pass(on, slot, context, |stats| Work::Skip {
                log: log.id(),
                range: next..on,
                reason: Arc::clone(&reason),
                stats,
            });
            next = on;
        } else if records.range.end > lane.next() {
            pass(Ok(under_way.make(&mut records)))?;
        } else {
            let end = log.end()?;
            lane.see(end);
            // Another look after the end was seen: what came in between must not be left.
            if end.offset <= next {
                if end.finished {
                    break;
                }
                log.wait(next, IDLE);
            }
        }
    }
    Ok(())
}

/// Whether more of the log is likely to be there: these are about as many as are read at once.
fn has_more(records: &Records) -> bool {
    records.text.len() > BATCH_BYTES / 2 || records.spans.len() > BATCH_RECORDS / 2
}

/// Where a lane goes on after messages that are gone for good.
fn way_on(log: &dyn Log, next: Offset, error: &LogError) -> Option<Offset> {
    let on = match error {
        LogError::Expired { oldest, .. } => Some(*oldest),
        LogError::Damaged { at, .. } => log.after_damage(*at),
        _ => None,
    };
    on.filter(|on| *on > next)
}

/// Holds a lane to a number of messages a second.
struct Pace {
    rate: u64,
    started: Instant,
    sent: u64,
}

impl Pace {
    fn new(rate: u64) -> Self {
        Self { rate, started: Instant::now(), sent: 0 }
    }

    /// A slow source is read in small steps, so that its pace is even.
    fn batch_records(&self) -> usize {
        match self.rate {
            0 => BATCH_RECORDS,
            rate => usize::try_from(rate / 100).unwrap_or(BATCH_RECORDS).clamp(1, BATCH_RECORDS),
        }
    }

    fn wait_for(&mut self, messages: usize) {
        if self.rate == 0 {
            return;
        }
        self.sent += messages as u64;
        let due = Duration::from_secs_f64(self.sent as f64 / self.rate as f64);
        if let Some(early) = due.checked_sub(self.started.elapsed()) {
            std::thread::sleep(early.min(Duration::from_millis(200)));
        }
    }
}
