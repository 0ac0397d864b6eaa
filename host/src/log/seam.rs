//! Where live messages and fetched ones meet: each message enters exactly one log.
//!
//! With an identity a message is the same as another when the identities are equal. Without one, a live
//! message and a row of a history are matched one to one by canonical content: of the copies of a content,
//! as many are left out on one side as the other side has unmatched. What was left out is committed with
//! the records (`matched`), so the count survives a kill.
//!
//! Judging and committing exclude each other across the seam: while a page of a fill is judged and made
//! durable no journal commits, and while a journal does no fill may.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::{Arc, Weak};

use hashbrown::{HashMap, HashSet};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::LogError;
use super::fill::Fill;
use super::journal::Journal;
use super::retired::Retired;
use super::segment::{SegmentLog, Table};

/// Archives may store a message under another time than its sender gave it: so far apart, µs, two times of
/// one identity are looked for.
const SLACK_US: i64 = 3_600_000_000;

/// What is already known of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing: it is to be written.
    New,
    /// Its identity: it is to be left out.
    Duplicate,
    /// An unmatched copy of its content: it is to be left out, and the match kept.
    Copy,
}

/// The journals and fills of a host, as far as they may hold the same messages.
#[derive(Debug, Default)]
pub struct SeamIndex {
    members: RwLock<Members>,
}

#[derive(Debug, Default)]
struct Members {
    journals: Vec<Weak<Journal>>,
    fills: Vec<Arc<Fill>>,
    /// Live messages are checked against it; fills only where who reads them has read what it knows.
    retired: Option<Retired>,
}

impl SeamIndex {
    /// An index without logs.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Adds a journal: fills are checked against it, and it is checked against fills.
    pub fn add_journal(self: &Arc<Self>, journal: &Arc<Journal>) {
        journal.join(Arc::clone(self));
        self.members.write().journals.push(Arc::downgrade(journal));
    }

    /// Adds a fill, running or complete, if it is not there yet.
    pub fn add_fill(&self, fill: Arc<Fill>) {
        let mut members = self.members.write();
        if !members.fills.iter().any(|have| Arc::ptr_eq(have, &fill)) {
            members.fills.push(fill);
        }
    }

    /// Removes a fill that nobody reads any more.
    pub fn remove_fill(&self, fill: &Arc<Fill>) {
        self.members.write().fills.retain(|have| !Arc::ptr_eq(have, fill));
    }

    /// Sets what is known of fills that are gone.
    pub fn set_retired(&self, retired: Retired) {
        self.members.write().retired = Some(retired);
    }

    /// Changes what is known of fills that are gone; `None` if nothing is.
    pub fn with_retired<T>(&self, change: impl FnOnce(&mut Retired) -> T) -> Option<T> {
        self.members.write().retired.as_mut().map(change)
    }

    /// All fills.
    #[must_use]
    pub fn fills(&self) -> Vec<Arc<Fill>> {
        self.members.read().fills.clone()
    }

    /// Drops the hashes kept in memory for lookups; they are read again when needed.
    pub fn forget_tables(&self) {
        let members = self.members.read();
        for journal in members.journals.iter().filter_map(Weak::upgrade) {
            journal.segments().forget_tables();
        }
        for log in members.fetched() {
            log.forget_tables();
        }
    }

    /// Begins judging live messages; to be kept until what was judged is durable.
    pub(super) fn live(&self) -> Live<'_> {
        let shared = self.members.read();
        if shared.fetched().next().is_none() {
            return Live { members: Guard::Shared(shared), taken: HashMap::new() };
        }
        drop(shared);
        // Two journals must not match the same fetched row.
        Live { members: Guard::Alone(self.members.write()), taken: HashMap::new() }
    }

    /// Begins judging a page of a fill; to be kept until it is durable.
    pub(super) fn page<'a>(&'a self, fill: &'a Fill) -> Page<'a> {
        Page {
            members: self.members.write(),
            fill,
            readers: fill.header().readers,
            identities: HashSet::new(),
            taken: HashMap::new(),
        }
    }
}

impl Members {
    /// The logs that hold what was fetched, as far as there are any.
    fn fetched(&self) -> impl Iterator<Item = &SegmentLog> {
        let retired = self.retired.iter().map(Retired::segments);
        let retired = retired.filter(|log| log.end_offset() > log.start());
        self.fills.iter().map(|fill| fill.segments()).chain(retired)
    }
}

enum Guard<'a> {
    Shared(RwLockReadGuard<'a, Members>),
    Alone(RwLockWriteGuard<'a, Members>),
}

/// Judges live messages against fills.
pub(super) struct Live<'a> {
    members: Guard<'a>,
    /// Matches of this commit, not in any log yet.
    taken: HashMap<u128, u32>,
}

impl Live<'_> {
    /// Says what the fills know of a message.
    pub(super) fn judge(
        &mut self,
        identity: u128,
        content: u128,
        time_us: i64,
    ) -> Result<Known, LogError> {
        let members = match &self.members {
            Guard::Shared(members) => &**members,
            Guard::Alone(members) => &**members,
        };
        let near = around(time_us);
        let fills: Vec<_> = members.fetched().filter(|log| log.overlaps(&near)).collect();
        if fills.is_empty() {
            return Ok(Known::New);
        }
        if identity != 0 {
            for fill in fills {
                if fill.copies(Table::Identities, identity, near.clone())? > 0 {
                    return Ok(Known::Duplicate);
                }
            }
            return Ok(Known::New);
        }
        if content == 0 {
            return Ok(Known::New);
        }
        let second = second(time_us);
        let mut fetched = 0;
        for fill in fills {
            fetched += fill.copies(Table::Contents, content, second.clone())?;
        }
        if fetched == 0 {
            return Ok(Known::New);
        }
        let mut matched = self.taken.get(&content).copied().unwrap_or(0);
        for journal in members.journals.iter().filter_map(Weak::upgrade) {
            matched += journal.segments().copies(Table::Matched, content, second.clone())?;
        }
        if fetched > matched {
            *self.taken.entry(content).or_default() += 1;
            return Ok(Known::Copy);
        }
        Ok(Known::New)
    }
}

/// Judges the rows of a fetched page against journals, other fills, and the fill itself.
pub(super) struct Page<'a> {
    members: RwLockWriteGuard<'a, Members>,
    fill: &'a Fill,
    readers: BTreeSet<String>,
    identities: HashSet<u128>,
    taken: HashMap<u128, u32>,
}

impl Page<'_> {
    /// Says what the logs know of a row.
    pub(super) fn judge(
        &mut self,
        identity: u128,
        content: u128,
        time_us: i64,
    ) -> Result<Known, LogError> {
        let near = around(time_us);
        let own = self.fill.segments();
        let journals: Vec<_> = self.members.journals.iter().filter_map(Weak::upgrade).collect();
        let others = self.members.fills.iter().filter(|fill| !std::ptr::eq(&***fill, self.fill));
        let elsewhere: Vec<_> =
            journals.iter().map(|j| j.segments()).chain(others.map(|f| f.segments())).collect();

        if identity != 0 {
            if !self.identities.insert(identity)
                || own.copies(Table::Identities, identity, near.clone())? > 0
                || own.copies(Table::MatchedIdentities, identity, near.clone())? > 0
            {
                return Ok(Known::Duplicate);
            }
            let retired = self.members.retired.iter();
            let retired = retired.filter(|it| it.is_folded_by_all(&self.readers));
            for log in elsewhere.iter().copied().chain(retired.map(Retired::segments)) {
                if log.copies(Table::Identities, identity, near.clone())? > 0 {
                    return Ok(Known::Duplicate);
                }
            }
        }
        // Also where there is an identity: the archive may have given it.
        let second = second(time_us);
        let mut present = 0;
        for log in &elsewhere {
            present += log.copies(Table::Loose, content, second.clone())?;
        }
        if present == 0 {
            return Ok(Known::New);
        }
        let matched = own.copies(Table::Matched, content, second)?
            + self.taken.get(&content).copied().unwrap_or(0);
        if present > matched {
            *self.taken.entry(content).or_default() += 1;
            return Ok(Known::Copy);
        }
        Ok(Known::New)
    }
}

fn around(time_us: i64) -> RangeInclusive<i64> {
    time_us.saturating_sub(SLACK_US)..=time_us.saturating_add(SLACK_US)
}

/// The whole second a canonical content belongs to.
fn second(time_us: i64) -> RangeInclusive<i64> {
    let start = time_us.div_euclid(1_000_000).saturating_mul(1_000_000);
    start..=start.saturating_add(999_999)
}
