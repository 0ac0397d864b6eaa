//! Journals: logs made of what a source delivers, written before it is acknowledged.
//!
//! Any number of threads append; one of them at a time leads, takes what the others have queued, leaves
//! out duplicates, and makes all of it durable with one fsync. A message is a duplicate if its identity is
//! within the [horizon](super::horizon) or in a fill; without identity it never is, except that a message
//! fetched from history is matched one to one by content ([`super::seam`]).

mod group;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use hashbrown::HashMap;
use parking_lot::{Condvar, Mutex};

use super::connections::Connections;
use super::horizon::{Horizon, HorizonOptions, HorizonStatus};
use super::seam::SeamIndex;
use super::segment::{
    Effort, Entries, Hold, KeyEntry, Loss, Packed, Retention, SegmentLog, SegmentOptions, pack,
};
use super::{Log, LogError, Offset};
use crate::clock::now_us;
use crate::project::Mapping;
use crate::query::{self, LogStatus, UtcTime};
use group::Group;

/// Bytes of text after which a group commit takes no further request.
const GROUP_BYTES: usize = 32 << 20;

/// Bytes of text from which on a submission has blocks of its own.
const PACKED_ALONE: usize = 128 << 10;

/// How a journal is kept and what it accepts.
#[derive(Clone, Copy, Debug)]
pub struct JournalOptions {
    /// Sizes of segments.
    pub segment: SegmentOptions,
    /// How far back duplicates are recognised.
    pub horizon: HorizonOptions,
    /// When segments are dropped.
    pub retention: Retention,
    /// Event time up to which the source may deliver late, µs.
    pub settle_us: i64,
    /// Messages may have no time of their own: it is then the arrival.
    pub arrival_time: bool,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment: SegmentOptions::default(),
            horizon: HorizonOptions::default(),
            retention: Retention::FOREVER,
            settle_us: 0,
            arrival_time: false,
        }
    }
}

/// A source's journal.
#[derive(Debug)]
pub struct Journal {
    log: SegmentLog,
    mapping: Mapping,
    options: JournalOptions,
    /// As in the options, until somebody needs it longer.
    retention: Mutex<Retention>,
    queue: Mutex<Queue>,
    answered: Condvar,
    /// Submissions that were brought and not yet answered.
    under_way: AtomicUsize,
    horizon: Mutex<Horizon>,
    seam: OnceLock<Arc<SeamIndex>>,
    connections: OnceLock<Arc<Connections>>,
}

/// What one request wants appended, all or nothing.
#[derive(Debug, Default)]
pub struct Submission {
    /// The records.
    pub entries: Entries,
    /// The request's idempotency key; the journal fills in the counts.
    pub key: Option<KeyEntry>,
    /// Messages of the request that were refused; kept with the key.
    pub rejected: u32,
}

/// A submission as it waits for its commit.
#[derive(Debug)]
struct Prepared {
    entries: Entries,
    /// All of `entries`, packed; nothing where there is little of it, which is packed with others.
    packed: Vec<Packed>,
    key: Option<KeyEntry>,
    rejected: u32,
}

/// What became of a submission. All of it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The records written.
    pub range: Range<Offset>,
    /// Number of records written; of the first request if `repeated`.
    pub accepted: u32,
    /// Number of records left out because they are known.
    pub duplicates: u32,
    /// Number of messages refused.
    pub rejected: u32,
    /// The key was known: nothing was written, and these are the counts first answered.
    pub repeated: bool,
}

/// Why a submission was not appended. Nothing of it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The idempotency key came with another body before.
    #[error("this idempotency key was used with another body before; use a new one")]
    KeyReused,
    /// The log cannot be written.
    #[error(transparent)]
    Log(#[from] LogError),
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    waiting: VecDeque<(u64, Prepared)>,
    answers: HashMap<u64, Result<Receipt, AppendError>>,
    led: bool,
}

impl Journal {
    /// Opens the journal in `dir`, or makes one there for the source `name`.
    ///
    /// # Errors
    /// [`LogError::Io`] if the folder cannot be read or written; [`LogError::Damaged`] if its files do
    /// not belong together.
    pub fn open(
        dir: &Path,
        name: &str,
        mapping: Mapping,
        options: JournalOptions,
    ) -> Result<Arc<Self>, LogError> {
        let log = SegmentLog::open(dir, name, options.segment, "ingest")?;
        let horizon = recall(&log, options.horizon)?;
        Ok(Arc::new(Self {
            log,
            mapping,
            options,
            retention: Mutex::new(options.retention),
            queue: Mutex::default(),
            answered: Condvar::new(),
            under_way: AtomicUsize::new(0),
            horizon: Mutex::new(horizon),
            seam: OnceLock::new(),
            connections: OnceLock::new(),
        }))
    }

    /// Appends a submission, duplicates left out, and returns when it is durable and readable.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was appended then.
    pub fn append(&self, submission: Submission) -> Result<Receipt, AppendError> {
        // Only a guess at how much is going on: nothing is ordered by it.
        let others = self.under_way.fetch_add(1, Ordering::Relaxed);
        let effort = if others == 0 { Effort::Usual } else { Effort::Hurried };
        let answer = self.prepare(submission, effort).map_err(AppendError::Log);
        let answer = answer.and_then(|submission| self.append_prepared(submission));
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        answer
    }

    fn append_prepared(&self, submission: Prepared) -> Result<Receipt, AppendError> {
        let mut queue = self.queue.lock();
        let ticket = queue.next;
        queue.next += 1;
        queue.waiting.push_back((ticket, submission));
        loop {
            if let Some(answer) = queue.answers.remove(&ticket) {
                return answer;
            }
            if queue.led {
                self.answered.wait(&mut queue);
                continue;
            }
            queue.led = true;
            let group = take_group(&mut queue.waiting);
            drop(queue);
            let (tickets, group): (Vec<_>, Vec<_>) = group.into_iter().unzip();
            let answers = self.commit(group);
            queue = self.queue.lock();
            queue.answers.extend(tickets.into_iter().zip(answers));
            queue.led = false;
            self.answered.notify_all();
        }
    }

    /// Keeps the records from `from` on while the guard lives.
    #[must_use]
    pub fn hold(&self, from: Offset) -> Hold {
        self.log.hold(from)
    }

    /// Says that the source has ended: nothing will be appended any more.
    pub fn finish(&self) {
        self.log.finish();
    }

    /// How far back duplicates are recognised.
    #[must_use]
    pub fn horizon(&self) -> HorizonStatus {
        self.horizon.lock().status()
    }

    /// What was acknowledged and can no longer be read.
    #[must_use]
    pub fn losses(&self) -> Vec<Loss> {
        self.log.losses()
    }

    /// Size on disk, bytes.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.log.stored_bytes()
    }

    /// When the journal was made, µs since 1970.
    #[must_use]
    pub fn created_us(&self) -> i64 {
        self.log.created_us()
    }

    /// Largest arrival of its records, µs since 1970; `None` without records.
    #[must_use]
    pub fn newest_us(&self) -> Option<i64> {
        let newest_us = self.log.outline().iter().map(|segment| segment.2).max();
        newest_us.filter(|newest_us| *newest_us != i64::MIN)
    }

    pub(crate) fn segments(&self) -> &SegmentLog {
        &self.log
    }

    /// Lets the journal ask the seam; see [`SeamIndex::add_journal`].
    pub(super) fn join(&self, seam: Arc<SeamIndex>) {
        let _ = self.seam.set(seam);
    }

    /// Says over what the journal is fed; the first time counts.
    pub(crate) fn fed_over(&self, connections: Arc<Connections>) {
        let _ = self.connections.set(connections);
    }

    /// Packs a large submission on the thread that brings it: the others need not wait for that.
    fn prepare(&self, submission: Submission, effort: Effort) -> Result<Prepared, LogError> {
        let Submission { entries, key, rejected } = submission;
        let packed = match entries.text_bytes() {
            PACKED_ALONE.. => {
                pack(&entries, effort).map_err(|source| self.log.io("pack", source))?
            }
            _ => Vec::new(),
        };
        Ok(Prepared { entries, packed, key, rejected })
    }

    /// Commits a group of submissions with one fsync.
    fn commit(&self, submissions: Vec<Prepared>) -> Vec<Result<Receipt, AppendError>> {
        let count = submissions.len();
        let mut horizon = self.horizon.lock();
        // Held until the records are readable: no fill may decide on the same messages in between.
        let mut group = Group::new(self.seam.get().map(|seam| seam.live()));
        let judged = submissions.into_iter().try_for_each(|submission| {
            let verdict = group.judge(submission, &mut horizon)?;
            group.verdicts.push(verdict);
            Ok(())
        });
        let committed = judged.and_then(|()| {
            let blocks = group.take_blocks().map_err(|source| self.log.io("pack", source))?;
            self.log.commit_packed(blocks, &group.extras)
        });
        match committed {
            Ok(committed) => {
                group.seal(&committed, &mut horizon);
                group.verdicts
            }
            Err(error) => {
                horizon.undo(&group.extras.keys);
                (0..count).map(|_| Err(AppendError::Log(again(&error)))).collect()
            }
        }
    }
}

impl Journal {
    /// When segments are dropped now.
    fn retention(&self) -> Retention {
        *self.retention.lock()
    }

    /// Keeps records so long from now on, µs, if they are not kept longer already; none = for ever.
    pub fn keep_at_least(&self, age_us: Option<i64>) {
        let mut retention = self.retention.lock();
        retention.age_us = retention.age_us.zip(age_us).map(|(kept, asked)| kept.max(asked));
    }
}

impl Log for Journal {
    super::segment::reads_segments!(log);

    fn describe(&self, status: &mut LogStatus) {
        let horizon = self.horizon();
        status.horizon = Some(query::HorizonStatus {
            since: horizon.horizon_since_us.map(UtcTime),
            identities: horizon.horizon_ids,
            short: horizon.short,
        });
        status.source = self.connections.get().map(|connections| connections.status());
        self.log.describe(status);
    }

    fn release(&self, below: Offset) {
        if let Err(error) = self.log.release(below, &self.retention(), now_us()) {
            tracing::warn!(log = self.name(), %error, "old segments could not be dropped");
        }
        let start = self.log.start().0;
        self.horizon.lock().forget_below(start);
    }

    fn settle_us(&self) -> i64 {
        self.options.settle_us
    }

    fn lacks_from_us(&self) -> Option<i64> {
        self.connections.get().and_then(|connections| connections.lacks_from_us())
    }

    fn arrival_time(&self) -> bool {
        self.options.arrival_time
    }

    fn mapping(&self) -> &Mapping {
        &self.mapping
    }
}

/// Takes requests off the queue until their texts fill a commit.
fn take_group(waiting: &mut VecDeque<(u64, Prepared)>) -> Vec<(u64, Prepared)> {
    let mut bytes = 0;
    let mut group = Vec::new();
    while let Some((_, next)) = waiting.front() {
        bytes += next.entries.text_bytes();
        if bytes > GROUP_BYTES && !group.is_empty() {
            break;
        }
        group.extend(waiting.pop_front());
    }
    group
}

/// Fills a horizon from the log, block by block, as it was filled when they were written.
fn recall(log: &SegmentLog, options: HorizonOptions) -> Result<Horizon, LogError> {
    let mut horizon = Horizon::new(options);
    let from = horizon.begins_in(&log.outline());
    let keys = log.visit_identities(from, |first, arrival_us, identities| {
        let ids = identities.filter(|identity| *identity != 0 && horizon.insert(*identity)).count();
        horizon.seal(first, arrival_us, ids);
        horizon.trim();
    })?;
    for entry in keys {
        horizon.insert_key(entry);
        horizon.seal_key(&entry);
    }
    horizon.trim();
    Ok(horizon)
}

/// The same error for everybody who waited for the commit.
fn again(error: &LogError) -> LogError {
    match error {
        LogError::Io { log, what, source } => LogError::Io {
            log: log.clone(),
            what: what.clone(),
            source: std::io::Error::new(source.kind(), source.to_string()),
        },
        other => LogError::Damaged { log: String::new(), at: Offset(0), reason: other.to_string() },
    }
}
