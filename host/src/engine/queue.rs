//! Commits on their way from workers to the committer: bounded in number and in bytes, so that a slow
//! disk slows folding and not more.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::{Condvar, Mutex};

use super::commit::{Commit, CommitWork};

/// Most commits that wait.
const MOST: usize = 64;
/// Bytes of increments beyond which no other commit may wait beside them.
const MOST_BYTES: usize = 12 << 20;

/// Where workers send commits.
#[derive(Clone)]
pub(super) struct Commits {
    queue: Sender<CommitWork>,
    room: Arc<Room>,
}

/// The committer has ended.
pub(super) struct Ended;

#[derive(Default)]
struct Room {
    bytes: Mutex<usize>,
    freed: Condvar,
}

/// Room that a commit takes until it is dropped.
pub(super) struct Taken {
    room: Arc<Room>,
    bytes: usize,
}

/// A queue of commits.
pub(super) fn commits() -> (Commits, Receiver<CommitWork>) {
    let (queue, work) = bounded(MOST);
    (Commits { queue, room: Arc::default() }, work)
}

impl Commits {
    /// Hands a commit over; waits while too much does.
    pub(super) fn send(&self, commit: Commit) -> Result<(), Ended> {
        let bytes = commit.increments.iter().map(|(_, block)| block.len()).sum();
        let taken = self.room.take(bytes);
        self.queue.send(CommitWork::Commit(Box::new(commit), taken)).map_err(|_| Ended)
    }

    /// Ends the committer once everything sent before is committed.
    pub(super) fn end(&self) {
        // It has ended already, then.
        let _ = self.queue.send(CommitWork::End);
    }

    /// Waits until everything sent before is committed, or the committer has ended.
    pub(super) fn wait_all(&self) {
        let (done, committed) = bounded(1);
        if self.queue.send(CommitWork::Barrier(done)).is_ok() {
            let _ = committed.recv();
        }
    }
}

impl Room {
    fn take(self: &Arc<Self>, bytes: usize) -> Taken {
        let mut held = self.bytes.lock();
        // One alone may be larger than all room there is.
        self.freed.wait_while(&mut held, |held| *held > 0 && *held + bytes > MOST_BYTES);
        *held += bytes;
        Taken { room: Arc::clone(self), bytes }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        *self.room.bytes.lock() -= self.bytes;
        self.room.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_too_large_waits_for_those_before_it_and_then_has_all_the_room() {
        let room = Arc::new(Room::default());
        let first = room.take(MOST_BYTES);
        let (sent, came) = bounded(1);
        let other = Arc::clone(&room);
        let waiting = std::thread::spawn(move || {
            let _large = other.take(2 * MOST_BYTES);
            let _ = sent.send(*other.bytes.lock());
        });
        assert!(came.try_recv().is_err());
        drop(first);
        assert_eq!(came.recv(), Ok(2 * MOST_BYTES));
        assert!(waiting.join().is_ok());
        assert_eq!(*room.bytes.lock(), 0);
    }
}
