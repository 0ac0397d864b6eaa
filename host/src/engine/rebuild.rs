//! A rebuild: rows of a new version, made beside the old ones, begin to serve once they are level.
//!
//! It says first how far back its logs reach. Windows before that keep their old rows, where both
//! versions' rows mean the same: what the old rows hold is not folded again, and at the swap they are
//! taken over. Where that cannot be, the swap waits until the loss is accepted.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Shared;
use super::reach::{Gone, gone};
use super::stat::StatShared;
use crate::fault;
use crate::log::{Log, Offset};
use crate::query::{StatState, UtcTime};
use crate::store::{
    Held, Kept, KeyBounds, Order, Snapshot, Span, StatRecord, StatStore, StoreError, Taken,
    common_window_us, same_rows,
};

/// The cutoff of a rebuild: it reaches back as far as the rows it replaces did, or farther.
pub(crate) fn cutoff_beside(new_us: Option<i64>, old: &StatRecord) -> Option<i64> {
    new_us.zip(old.cutoff_us).map(|(new_us, old_us)| new_us.min(old_us))
}

/// A log that a stat reads, and whether it is a fill.
pub(super) type Read<'a> = (&'a dyn Log, bool);

/// Decides, once for each rebuild, what it keeps of the rows `old`, and answers with that in words;
/// `known_until_us` is the event time up to which these are complete, `fetched` as in [`gone`].
pub(super) fn begin(
    store: &mut StatStore,
    old: &Snapshot,
    logs: &[Read<'_>],
    fetched: bool,
    known_until_us: Option<i64>,
) -> Result<String, StoreError> {
    let mut record = store.record().clone();
    if record.kept.is_none() {
        record.cutoff_us = cutoff_beside(record.cutoff_us, old.record());
        let plan = Plan { old, new: &store.snapshot(), logs, fetched, known_until_us };
        plan.decide(&mut record)?;
    }
    if let Some(kept) = &mut record.kept
        && !kept.taken_over()
    {
        // Also of logs that came later: what they hold of the kept windows is new, or was fetched anew.
        for &(log, is_fill) in logs {
            let until_us = kept.known_until_us.unwrap_or(i64::MAX);
            let unknown = if is_fill { Held::Until(until_us) } else { Held::Before(Offset(0)) };
            kept.held.entry(log.id()).or_insert(unknown);
        }
    }
    let words = in_words(&record);
    if record != *store.record() {
        store.commit(&[], record)?;
    }
    Ok(words)
}

/// What is known of a rebuild's beginning.
struct Plan<'a> {
    old: &'a Snapshot,
    new: &'a Snapshot,
    logs: &'a [Read<'a>],
    fetched: bool,
    known_until_us: Option<i64>,
}

impl Plan<'_> {
    fn decide(&self, record: &mut StatRecord) -> Result<(), StoreError> {
        let old = self.old.record();
        let none = Kept {
            before_us: i64::MIN,
            held: BTreeMap::new(),
            // Old rows that lack something do not tell where they are complete.
            known_until_us: self.known_until_us.filter(|_| old.skipped.is_empty()),
            taken: None,
        };
        let gone = self.out_of_reach(record)?;
        record.kept = Some(none.clone());
        if gone.is_empty() {
            return Ok(());
        }
        let ident = &self.new.manifest().ident;
        match self.keeps_before(&gone, &none) {
            Ok(before_us) => {
                let held = old.positions.iter().map(|(&log, at)| (log, Held::Before(at.end)));
                let (held, taken) = (held.collect(), Some(Taken::default()));
                record.kept = Some(Kept { before_us, held, taken, ..none });
                let why: Vec<&str> = gone.iter().map(|gone| gone.why.as_str()).collect();
                tracing::warn!(stat = ident, "{}: {}", in_words(record), why.join("; "));
            }
            Err(because) => {
                let from_us = Some(oldest_window(self.old)?.unwrap_or(0));
                for Gone { log, until_us, why } in gone {
                    let reason = format!("{why}, and {because}");
                    tracing::warn!(stat = ident, "the rebuild will lack rows: {reason}");
                    record.skipped.push(Span { log, from_us, to_us: until_us, reason });
                }
            }
        }
        Ok(())
    }

    /// What the old rows rest on and the rebuild cannot read.
    fn out_of_reach(&self, record: &StatRecord) -> Result<Vec<Gone>, StoreError> {
        let logs: Vec<&dyn Log> = self.logs.iter().map(|(log, _)| *log).collect();
        let old = self.old.record();
        let mut gone = gone(old, &logs, self.fetched);
        let mut add = |until_us: i64, why: &str| {
            let log = old.positions.keys().next().copied().unwrap_or(crate::log::LogId(0));
            gone.push(Gone { log, until_us: Some(until_us), why: why.to_owned() });
        };
        if let Some(kept) = old.kept.as_ref().filter(|kept| kept.before_us > i64::MIN) {
            add(kept.before_us - 1, "older rows were kept from a version before");
        }
        if let Some(base) = &old.base {
            add(base.complete_until_us - 1, "older rows were imported without their logs");
        }
        if let Some(cutoff_us) = record.cutoff_us
            && oldest_window(self.old)?.is_some_and(|oldest_us| oldest_us < cutoff_us)
        {
            add(cutoff_us - 1, "older rows are beyond the backlog delta");
        }
        Ok(gone)
    }

    /// The start of the windows that can be made anew whole; or why rows cannot be kept by windows.
    fn keeps_before(&self, gone: &[Gone], kept: &Kept) -> Result<i64, String> {
        if self.new.manifest().restore {
            return Err("it folds in order and cannot begin in the middle".to_owned());
        }
        let (old, new) = (self.old.models(), self.new.models());
        if let Some(model) =
            new.iter().find(|model| !old.iter().any(|stored| same_rows(stored, model)))
        {
            return Err(format!("its model {} has another key or other measures", model.name));
        }
        let common_us = common_window_us(new).ok_or("a model without windows cannot be split")?;
        let mut until_us = i64::MIN;
        for gone in gone {
            let known = gone.until_us.ok_or("of which time its messages were is not known")?;
            until_us = until_us.max(known);
        }
        let positions = &self.old.record().positions;
        let mut new = self.logs.iter().filter(|(log, _)| !positions.contains_key(&log.id()));
        let lost = positions.keys().any(|id| self.logs.iter().all(|(log, _)| log.id() != *id));
        if lost && new.clone().any(|(_, is_fill)| !is_fill) {
            return Err("another log is new: it may hold the same messages".to_owned());
        }
        let fetched = new.any(|(_, is_fill)| *is_fill);
        if fetched && kept.known_until_us.is_none() {
            return Err("what is fetched anew cannot be told from what was counted".to_owned());
        }
        // The first start of a window after all of it.
        Ok(until_us.div_euclid(common_us).saturating_add(1).saturating_mul(common_us))
    }
}

fn in_words(record: &StatRecord) -> String {
    match &record.kept {
        Some(kept) if kept.before_us > i64::MIN => format!(
            "windows from {} on are made anew, older ones keep the rows they have",
            UtcTime(kept.before_us)
        ),
        _ => String::new(),
    }
}

/// Start of the oldest window of all rows.
fn oldest_window(rows: &Snapshot) -> Result<Option<i64>, StoreError> {
    let mut oldest_us: Option<i64> = None;
    for (model, stored) in rows.models().iter().enumerate() {
        if stored.model.window_s.is_none() {
            continue;
        }
        if let Some(row) = rows.scan(model, &KeyBounds::default(), Order::Asc, 0).next() {
            let window_us = statmill_plugin_api::encoding::key_window(&row?.0);
            oldest_us = Some(oldest_us.map_or(window_us, |oldest_us| oldest_us.min(window_us)));
        }
    }
    Ok(oldest_us)
}

/// Lets every rebuild that is level with its logs serve.
pub(super) fn swap_those_level(shared: &Shared) {
    for stat in &shared.stats {
        // Looked at, not remembered: a fault meanwhile must not make the swap forgotten.
        if stat.is_given_up() || !stat.rebuilding() || !shared.level(stat) {
            continue;
        }
        match what_is_lost(stat) {
            Some(lost) if !shared.options.accept_loss => stat.set_state(
                StatState::Rebuilding,
                format!("level, but {lost}; start with --accept-loss to let it serve all the same"),
            ),
            _ => match swap(shared, stat) {
                Ok(()) => stat.set_state(StatState::Live, ""),
                Err(error) => {
                    tracing::error!(stat = stat.ident, "rebuild cannot take over: {error}")
                }
            },
        }
    }
}

/// Takes over what is kept of the old rows, then the step that readers see. Killed before that step the
/// old rows serve, after it the new ones.
fn swap(shared: &Shared, stat: &Arc<StatShared>) -> Result<(), StoreError> {
    let old = stat.served();
    // Step by step, so that a commit never waits for all of it.
    while stat.store.lock().take_over(&old)? {
        fault::point("rebuild_swap");
    }
    let store = stat.store.lock();
    shared.database.sync()?;
    fault::point("rebuild_swap");
    shared.database.activate(&store)?;
    fault::point("rebuild_swap");
    shared.database.sync()?;
    *stat.served.write() = store.handle();
    drop(store);
    drop(stat.replaced.lock().take());
    stat.tell_change(None);
    shared.note_completeness();
    tracing::info!(stat = stat.ident, "rebuilt rows serve");
    Ok(())
}

/// What the old rows account for and the new ones do not, in words.
fn what_is_lost(stat: &StatShared) -> Option<String> {
    let (old, new) = (stat.served(), stat.written());
    let known = |span: &&Span| {
        old.record().skipped.iter().any(|old| (old.log, &old.reason) == (span.log, &span.reason))
    };
    new.record().skipped.iter().find(|span| !known(span)).map(|span| span.reason.clone())
}
