//! How generations are found again: after a restart, and when something else lies at the path.

use std::io;
use std::sync::Arc;

use super::content::{Content, Extent, HEAD, Stamp};
use super::rotated::{self, Sibling, begins_like, holds, siblings};
use super::state::Generation;
use super::watch::Watch;
use crate::log::LogError;

impl Watch {
    /// Opens again what the state knows of, after a restart.
    pub(super) fn find_again(&mut self) -> Result<(), LogError> {
        self.find_closed()?;
        if self.newest().is_some_and(|it| !it.closed) { self.find_newest() } else { Ok(()) }
    }

    /// Opens the closed generations that are not open, and forgets those that are gone.
    pub(super) fn find_closed(&mut self) -> Result<(), LogError> {
        let missing = |watch: &Self, index: usize| {
            watch.state.generations[index].closed && watch.open[index].content.is_none()
        };
        if !(0..self.open.len()).any(|index| missing(self, index)) {
            return Ok(());
        }
        let siblings = self.siblings()?;
        for index in (0..self.open.len()).rev() {
            if missing(self, index) {
                let generation = &self.state.generations[index];
                match rotated::find(&siblings, generation, generation.len) {
                    Some(content) => self.open[index].content = Some(Arc::new(content)),
                    None => self.vanish(index)?,
                }
            }
        }
        Ok(())
    }

    /// Finds the newest generation, which is not closed and not open: at the path, or moved away from
    /// it. If something else lies at the path it is closed or forgotten.
    pub(super) fn find_newest(&mut self) -> Result<(), LogError> {
        let reached = self.reached();
        let Some(newest) = self.state.generations.last_mut() else { return Ok(()) };
        newest.len = newest.len.max(reached.saturating_sub(newest.base));
        let newest = newest.clone();
        let fail = |error| self.io("cannot read the file", error);
        let at_path = match Content::open(self.path()) {
            Ok(content) => Some(content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            // A directory and the like: the look that follows says it better.
            Err(_) if !self.path().is_file() => return Ok(()),
            Err(error) => return Err(fail(error)),
        };
        let is_inode = |it: &Stamp| (it.device, it.inode) == (newest.device, newest.inode);
        let mut stayed = None;
        if let Some(content) = &at_path
            && holds(content, &newest, newest.len).map_err(fail)?
        {
            stayed = Some(content.stamp().map_err(fail)?);
        }
        let siblings = self.siblings()?;
        // A copy at the path counts only if the file itself was not moved away.
        if !stayed.as_ref().is_some_and(is_inode)
            && let Some(content) = rotated::find(&siblings, &newest, newest.len)
        {
            let moved = is_inode(&content.stamp().map_err(fail)?);
            if moved || stayed.is_none() {
                return self.rotate_away(content, &siblings, at_path.is_some());
            }
        }
        let Some(content) = at_path else { return Ok(()) };
        if let Some(stamp) = stayed {
            self.adopt(content)?;
            self.set_seen(stamp);
            return self.grow();
        }
        if newest.head_len > 0 && begins_like(&content, &newest).map_err(fail)? {
            let size = content.extent(&Extent::default()).map_err(fail)?.len;
            return Err(self.shrunk(size));
        }
        tracing::info!(log = %self.name(), "the file holds something else now: a new generation begins");
        self.vanish(self.state.generations.len() - 1)
    }

    /// The newest generation was found beside the path, together with what came and went after it.
    fn rotate_away(
        &mut self,
        content: Content,
        siblings: &[Sibling],
        replaced: bool,
    ) -> Result<(), LogError> {
        let stamp = content.stamp().map_err(|error| self.io("cannot look at", error))?;
        self.adopt(content)?;
        self.grow()?;
        if !replaced && rotated::rotated_after(siblings, &stamp).is_empty() {
            // Rotation is under way; the old file may still be written to.
            return Ok(());
        }
        self.close_all(siblings, &stamp)
    }

    /// Closes the newest generation, whose file is `own`, and takes in what came and went after it
    /// while nobody looked.
    fn close_all(&mut self, siblings: &[Sibling], own: &Stamp) -> Result<(), LogError> {
        let later = rotated::rotated_after(siblings, own);
        self.close()?;
        for content in later {
            self.push(content)?;
            self.close()?;
        }
        Ok(())
    }

    /// Closes the newest generation, whose file `own` was moved away and replaced.
    pub(super) fn close_moved(&mut self, own: &Stamp) -> Result<(), LogError> {
        let siblings = self.siblings()?;
        self.close_all(&siblings, own)
    }

    /// Whether the path is a copy of the newest generation, perhaps with more at its end: it is taken
    /// for the same content then.
    pub(super) fn goes_on_in_another_file(&mut self) -> Result<bool, LogError> {
        let (Some(open), Some(generation)) = (self.open.last(), self.newest()) else {
            return Ok(false);
        };
        let Some(old) = &open.content else { return Ok(false) };
        let outcome = (|| {
            let len = open.extent.len;
            let new = Content::open(self.path())?;
            if len == 0 || generation.head_len == 0 || !holds(&new, generation, len)? {
                return Ok(None);
            }
            let from = len.saturating_sub(HEAD);
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            old.read_into(from, (len - from) as usize, &mut ours)?;
            new.read_into(from, ours.len(), &mut theirs)?;
            Ok((ours == theirs).then_some(new))
        })();
        let same = outcome.map_err(|error| self.io("cannot compare with the new file", error))?;
        let Some(new) = same else { return Ok(false) };
        self.adopt(new)?;
        Ok(true)
    }

    /// Closes the newest generation, whose content was overwritten, with the copy rotation made of it.
    pub(super) fn close_away(&mut self) -> Result<(), LogError> {
        let siblings = self.siblings()?;
        let Some(open) = self.open.last_mut() else { return Ok(()) };
        open.content = None;
        open.extent = Extent::default();
        let Some(generation) = self.newest().cloned() else { return Ok(()) };
        match rotated::find(&siblings, &generation, generation.len) {
            Some(content) => {
                let stamp = content.stamp().map_err(|error| self.io("cannot look at", error))?;
                self.adopt(content)?;
                self.close_all(&siblings, &stamp)
            }
            None => self.vanish(self.state.generations.len() - 1),
        }
    }

    /// Forgets a generation that is nowhere to be found; what was not read of it is lost.
    fn vanish(&mut self, index: usize) -> Result<(), LogError> {
        let generation: Generation = self.state.generations.remove(index);
        self.open.remove(index);
        self.state.next_base = self.state.next_base.max(generation.end());
        if generation.end() > self.state.released {
            let from = generation.base.max(self.state.released);
            let reason = "the rotated file was removed before it was read".to_owned();
            self.lose(from, generation.end(), reason);
        }
        self.save()
    }

    fn siblings(&self) -> Result<Vec<Sibling>, LogError> {
        match siblings(self.path()) {
            Ok(siblings) => Ok(siblings),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(self.io("cannot list the folder of", error)),
        }
    }
}
