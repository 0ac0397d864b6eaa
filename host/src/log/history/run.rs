//! Fetches a fill: one thread asks the history a page ahead, the caller's judges and commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Cursor, History, HistoryError, Page};
use crate::clock::now_us;
use crate::log::LogError;
use crate::log::fill::{Fetched, Fill, FillState};
use crate::log::identity::{content_hash, identity_hash};
use crate::log::seam::{Known, SeamIndex};
use crate::log::segment::{Entries, Match};
use crate::project::{Limits, envelope};

/// More holes than that, and it is the history that is one.
const MAX_HOLES: usize = 1000;

/// How patient fetching is.
#[derive(Clone, Copy, Debug)]
pub struct FillOptions {
    /// Times a page is asked for before the fill is given up.
    pub attempts: u32,
    /// Pause after the first failure; it doubles with each.
    pub pause: Duration,
    /// Longest pause.
    pub longest_pause: Duration,
    /// What each message may be.
    pub limits: Limits,
}

impl Default for FillOptions {
    fn default() -> Self {
        Self {
            attempts: 10,
            pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(60),
            limits: Limits::default(),
        }
    }
}

/// How far a run got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct FillProgress {
    /// Pages committed.
    pub pages: u64,
    /// Messages given by the history.
    pub fetched: u64,
    /// Messages written to the fill.
    pub written: u64,
    /// Messages left out because a log holds them: by identity, or matched by content.
    pub known: u64,
    /// Rows that are no messages.
    pub rejected: u64,
    /// Event time of the last message given, µs since 1970.
    pub last_us: Option<i64>,
}

/// Why fetching a fill ended before its end. What was fetched is kept; the fill can be run again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FillError {
    /// It was asked to stop.
    #[error("fetching was stopped")]
    Stopped,
    /// The history did not answer, however often it was asked.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// All else was fetched, but so many parts are still not given.
    #[error("{0} parts are not given")]
    Holes(usize),
    /// The fill cannot be written, or a log at the seam not be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Fetches what is left of a fill, and marks it complete.
///
/// Each page is made durable together with the cursor behind it. `progress` is called after each page.
/// Setting `stop` ends the run after the page at hand.
///
/// At the end the holes that can be asked for again are, once each.
///
/// # Errors
/// [`FillError`]. A fill whose history did not answer, or has holes, is marked failed; it may be run again.
pub fn run_fill(
    history: &dyn History,
    fill: &Arc<Fill>,
    seam: &SeamIndex,
    options: FillOptions,
    mut progress: impl FnMut(&FillProgress),
    stop: &AtomicBool,
) -> Result<(), FillError> {
    if fill.state() == FillState::Complete {
        return Ok(());
    }
    if fill.state() != FillState::Fetching {
        fill.set_state(FillState::Fetching)?;
    }
    seam.add_fill(Arc::clone(fill));
    let mut done = FillProgress::default();
    let cursor = fill.fetched().next;
    let result = std::thread::scope(|scope| {
        // Two pages are in memory at most: the one being committed and the one in the channel.
        let (send, pages) = crossbeam_channel::bounded(0);
        scope.spawn(move || {
            let mut cursor = cursor;
            loop {
                let page = ask(history, fill, &cursor, &options, stop);
                let next = match &page {
                    Ok(page) if !page.done => Some(page.next.clone()),
                    _ => None,
                };
                if send.send(page).is_err() {
                    return;
                }
                let Some(next) = next else { return };
                cursor = next;
            }
        });
        for page in pages {
            let page = page?;
            if stop.load(Ordering::Relaxed) {
                return Err(FillError::Stopped);
            }
            take(&page, None, history, fill, seam, &options.limits, &mut done)?;
            progress(&done);
            if page.done {
                return Ok(());
            }
            if stop.load(Ordering::Relaxed) {
                return Err(FillError::Stopped);
            }
        }
        Err(FillError::Stopped)
    });
    let result =
        result.and_then(|()| close_holes(history, fill, seam, &options.limits, &mut done, stop));
    seam.forget_tables();
    match &result {
        Ok(()) => fill.set_state(FillState::Complete)?,
        Err(error @ (FillError::History(_) | FillError::Holes(_))) => {
            fill.set_state(FillState::Failed { at_us: now_us(), reason: error.to_string() })?;
        }
        Err(_) => {}
    }
    result
}

/// Asks for a page until it is answered or patience is over.
fn ask(
    history: &dyn History,
    fill: &Fill,
    cursor: &Cursor,
    options: &FillOptions,
    stop: &AtomicBool,
) -> Result<Page, FillError> {
    let mut pause = options.pause;
    let mut attempt = 1;
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(FillError::Stopped);
        }
        match history.fetch(fill.span_us(), cursor) {
            Ok(page) => {
                fill.note_trouble(None);
                return Ok(page);
            }
            Err(HistoryError::Early { until_us, .. }) => {
                let left_us = u64::try_from(until_us.saturating_sub(now_us())).unwrap_or(0);
                // The clock of the host may be set meanwhile.
                rest(Duration::from_micros(left_us + 1).min(options.longest_pause), stop);
                continue;
            }
            Err(HistoryError::Unavailable { reason, .. }) if attempt < options.attempts => {
                tracing::warn!(
                    history = history.url(),
                    attempt,
                    "asking again in {pause:?}: {reason}"
                );
                fill.note_trouble(Some(reason));
            }
            Err(error) => return Err(error.into()),
        }
        attempt += 1;
        rest(pause, stop);
        pause = (pause * 2).min(options.longest_pause);
    }
}

/// Asks once for each hole that may be given now.
fn close_holes(
    history: &dyn History,
    fill: &Fill,
    seam: &SeamIndex,
    limits: &Limits,
    done: &mut FillProgress,
    stop: &AtomicBool,
) -> Result<(), FillError> {
    let mut open = 0;
    for hole in fill.header().holes {
        let Some(again) = &hole.again else { continue };
        let answer = history.fetch(fill.span_us(), again);
        if stop.load(Ordering::Relaxed) {
            return Err(FillError::Stopped);
        }
        match answer {
            Ok(page) if page.holes.is_empty() => {
                take(&page, Some(again), history, fill, seam, limits, done)?;
                fill.close_holes()?;
                tracing::info!(history = history.url(), "a hole is closed: {}", hole.reason);
            }
            Ok(_) | Err(_) => open += 1,
        }
    }
    if open > 0 { Err(FillError::Holes(open)) } else { Ok(()) }
}

fn rest(pause: Duration, stop: &AtomicBool) {
    const STEP: Duration = Duration::from_millis(50);
    let mut left = pause;
    while !left.is_zero() && !stop.load(Ordering::Relaxed) {
        let step = left.min(STEP);
        std::thread::sleep(step);
        left -= step;
    }
}

/// Writes what no log holds of a page, and the cursor behind it, or which hole it closes.
fn take(
    page: &Page,
    closes: Option<&Cursor>,
    history: &dyn History,
    fill: &Fill,
    seam: &SeamIndex,
    limits: &Limits,
    progress: &mut FillProgress,
) -> Result<(), FillError> {
    if !page.holes.is_empty() && fill.header().holes.len() >= MAX_HOLES {
        let (url, reason) = (history.url().to_owned(), format!("it has {MAX_HOLES} holes"));
        return Err(HistoryError::Unavailable { url, reason }.into());
    }
    for hole in &page.holes {
        tracing::warn!(history = history.url(), "a hole: {}", hole.reason);
        fill.add_hole(hole.clone())?;
    }
    let (rows, rejected) = prepare(page, fill, limits);
    progress.fetched += page.len() as u64;
    progress.last_us = rows.times.last().copied().or(progress.last_us);

    let mut new = Entries::default();
    let mut matched = Vec::new();
    // Kept until the page is durable: no journal may decide on the same messages in between.
    let mut judge = seam.page(fill);
    for row in 0..rows.len() {
        let (identity, content, time_us) =
            (rows.identities[row], rows.contents[row], rows.times[row]);
        match judge.judge(identity, content, time_us)? {
            Known::New => new.push_from(&rows, row),
            Known::Duplicate => {}
            Known::Copy => matched.push(Match { content, identity, time_us }),
        }
    }
    crate::fault::point("fill_seam");
    let known = (rows.len() - new.len()) as u64;
    let rejected = rejected + page.rejected;
    let before = fill.fetched();
    let next = if closes.is_some() { before.next } else { page.next.clone() };
    let mut closed = before.closed;
    closed.extend(closes.cloned());
    let fetched =
        Fetched { next, known: before.known + known, rejected: before.rejected + rejected, closed };
    fill.commit(&new, matched, fetched)?;
    crate::fault::point("fill_seam");
    drop(judge);
    progress.pages += 1;
    progress.written += new.len() as u64;
    progress.known += known;
    progress.rejected += rejected;
    Ok(())
}

/// Reads the messages of a page that lie in the fill's span; also the number of those that are none.
fn prepare(page: &Page, fill: &Fill, limits: &Limits) -> (Entries, u64) {
    use crate::log::Log;
    let mut rows = Entries::default();
    let mut rejected = 0;
    let (mapping, span_us, now_us) = (fill.mapping(), fill.span_us(), now_us());
    for text in page.iter() {
        let message = envelope(text, mapping, limits).and_then(|envelope| {
            let time_us = limits.event_time(envelope.time_us, Some(now_us), false)?;
            Ok((envelope, time_us))
        });
        match message {
            Ok((envelope, time_us)) if span_us.contains(&time_us) => {
                let content = content_hash(text, mapping, &envelope.topic, time_us);
                rows.push(text, time_us, now_us, identity_hash(&envelope), content);
            }
            Ok(_) => {}
            Err(_) => rejected += 1,
        }
    }
    (rows, rejected)
}
