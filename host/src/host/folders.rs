//! Watches the plugins folders: what appears, changes or goes has the plugins exchanged.
//!
//! A library is written in many steps, so nothing is looked at before the folders have been quiet for a moment. A
//! file that is still not whole then is refused by its check, and looked at again after its next change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::running::Running;

/// The folders must be quiet for so long before they are looked into.
const QUIET: Duration = Duration::from_millis(300);
/// After this time they are looked into all the same.
const PATIENCE: Duration = Duration::from_secs(10);

/// Folders whose changes are noted, though nobody acts upon them yet.
pub(super) struct Watched {
    watcher: RecommendedWatcher,
    changes: Receiver<()>,
}

/// Notices changes until it is dropped.
pub(super) struct FolderWatch {
    /// Dropped first: the thread ends with the last sender of changes.
    watcher: Option<RecommendedWatcher>,
    thread: Option<JoinHandle<()>>,
}

impl Watched {
    /// Begins before anybody looks into `folders`, so that no change is missed; or says in the log why not.
    pub(super) fn begin(folders: &[PathBuf]) -> Option<Self> {
        Self::watch(folders).inspect_err(|error| warn(&error.to_string())).ok()
    }

    fn watch(folders: &[PathBuf]) -> notify::Result<Self> {
        let (changed, changes) = bounded(1);
        let mut watcher = notify::recommended_watcher(move |event| note(event, &changed))?;
        for folder in folders {
            // A library that was named by itself is replaced in its folder.
            let folder = if folder.is_dir() { folder } else { folder.parent().unwrap_or(folder) };
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                warn(&error.to_string());
            }
        }
        Ok(Self { watcher, changes })
    }

    /// Has the plugins of `running` exchanged at each change, those included that were noted until now.
    pub(super) fn follow(self, running: &Arc<Running>) -> Option<FolderWatch> {
        let (running, changes) = (Arc::downgrade(running), self.changes);
        let thread = std::thread::Builder::new()
            .name("plugins".to_owned())
            .spawn(move || follow(&changes, &running))
            .inspect_err(|error| warn(&error.to_string()));
        Some(FolderWatch { watcher: Some(self.watcher), thread: Some(thread.ok()?) })
    }
}

fn warn(error: &str) {
    tracing::warn!(
        "changes of plugins are not noticed; `statmill plugins reload` looks at them: {error}"
    );
}

impl Drop for FolderWatch {
    fn drop(&mut self) {
        drop(self.watcher.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Tells of a change, once however many there are. That a file was read is none.
fn note(event: notify::Result<Event>, changed: &Sender<()>) {
    let is_change = match &event {
        Ok(event) => match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
            EventKind::Access(_) => false,
            _ => event.need_rescan() || event.paths.iter().any(|path| is_library(path)),
        },
        // Something was missed: better look once too often.
        Err(_) => true,
    };
    if is_change {
        let _ = changed.try_send(());
    }
}

fn is_library(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "so")
}

fn follow(changes: &Receiver<()>, running: &Weak<Running>) {
    while changes.recv().is_ok() {
        let since = Instant::now();
        while since.elapsed() < PATIENCE && changes.recv_timeout(QUIET).is_ok() {}
        let Some(running) = running.upgrade() else { return };
        if let Err(error) = running.reload_with(None) {
            tracing::error!("{error}");
        }
    }
}
