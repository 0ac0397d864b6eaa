//! Progress of long work: a bar on a terminal, log lines otherwise.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::query::Catalog;

/// How often the bar is drawn.
const DRAW: Duration = Duration::from_millis(200);
/// How often a line is logged where there is no terminal.
const LOG: Duration = Duration::from_secs(5);

/// Shows how far the stats of a host have come until it is dropped.
pub(super) struct ShownProgress {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ShownProgress {
    /// Begins to show the progress of the stats of `catalog`, until they are level for the first time.
    pub(super) fn of(catalog: Arc<dyn Catalog>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("progress".into())
            .spawn(move || show(&*catalog, &stopped))
            .ok();
        Self { stop, thread }
    }
}

impl Drop for ShownProgress {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn show(catalog: &dyn Catalog, stop: &AtomicBool) {
    let terminal = std::io::stderr().is_terminal();
    let bar = if terminal { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let style = "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar.set_message("reading the past");
    while !stop.load(Ordering::Acquire) {
        std::thread::park_timeout(if terminal { DRAW } else { LOG });
        if catalog.ready() {
            break;
        }
        // When all is read, what is left is to commit it: the bar stays as it was.
        let Some((done, total)) = slowest(catalog) else { continue };
        bar.set_length(total);
        bar.set_position(done);
        if !terminal && !stop.load(Ordering::Acquire) {
            let percent = done.saturating_mul(100) / total;
            tracing::info!(done, total, "reading the past: {percent} %");
        }
    }
    bar.finish_and_clear();
}

/// Bytes read and bytes to read of the stat that is furthest behind, if one is.
fn slowest(catalog: &dyn Catalog) -> Option<(u64, u64)> {
    let behind = catalog.status().stats.into_iter().filter_map(|stat| {
        let progress = stat.progress?;
        Some((progress.done, progress.total?))
    });
    behind.max_by_key(|(done, total)| total - done)
}
