//! Projection on several threads: batches of one log are made beside each other and leave in its order.
//!
//! A lane that has much to read begins some batches before it hands out the first. The threads serve all
//! lanes, and a lane that waits for its oldest batch makes one itself meanwhile: its own thread is enough.

use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::log::{Log, LogId, Records};
use crate::project::{Batch, Dictionaries, Generation, Limits, Projection, Projector};

/// What is made of a log's records.
pub(super) struct Recipe {
    projection: Arc<Projection>,
    limits: Limits,
    dictionaries: Arc<Dictionaries>,
    log: LogId,
    log_key: u64,
    arrival_time: bool,
}

/// Records that are to become a batch.
pub(super) struct Job {
    recipe: Arc<Recipe>,
    records: Records,
    generation: Arc<Generation>,
    done: Sender<Batch>,
}

/// The way to the threads that project beside the lanes, which end with the last of these.
#[derive(Clone)]
pub(super) struct Projectors {
    jobs: Sender<Job>,
    waiting: Receiver<Job>,
    threads: usize,
}

/// Batches of one lane that are being made, the oldest first.
pub(super) struct UnderWay {
    recipe: Arc<Recipe>,
    projectors: Projectors,
    /// For what the lane makes itself.
    own: Vec<Projector>,
    batches: VecDeque<Receiver<Batch>>,
}

/// A thread that projects has ended, and a batch with it. Its messages are in the log as before.
#[derive(Debug, thiserror::Error)]
#[error("a thread that reads messages has failed; restart the host to go on reading")]
pub(super) struct Ended;

/// Makes batches until the last of [`Projectors`] is gone.
pub(super) fn run(jobs: &Receiver<Job>) {
    let mut own = Vec::new();
    for job in jobs {
        job.run(&mut own);
    }
}

impl Recipe {
    pub(super) fn new(
        log: &dyn Log,
        projection: Arc<Projection>,
        limits: Limits,
        dictionaries: Arc<Dictionaries>,
    ) -> Self {
        let (log_key, arrival_time, log) = (log.key(), log.arrival_time(), log.id());
        Self { projection, limits, dictionaries, log, log_key, arrival_time }
    }

    fn make(
        &self,
        records: &mut Records,
        generation: Arc<Generation>,
        own: &mut Vec<Projector>,
    ) -> Batch {
        let known = own.iter().position(|known| known.is_for(&self.projection, self.limits));
        let at = known.unwrap_or_else(|| {
            own.push(Projector::new(Arc::clone(&self.projection), self.limits));
            own.len() - 1
        });
        let of = (self.log, self.log_key);
        own[at].project_into(generation, records, of, self.arrival_time, &self.dictionaries)
    }
}

impl Job {
    fn run(mut self, own: &mut Vec<Projector>) {
        let batch = self.recipe.make(&mut self.records, self.generation, own);
        // A lane that has stopped wants it no more.
        let _ = self.done.send(batch);
    }
}

impl Projectors {
    /// The way to `threads` threads, each of which is to [`run`] on the queue that is answered.
    pub(super) fn new(threads: usize) -> (Self, Receiver<Job>) {
        let (jobs, waiting) = unbounded();
        (Self { jobs, waiting: waiting.clone(), threads }, waiting)
    }

    /// Batches that a lane may have under way: one more than can be made at a time, so that none waits
    /// for the lane to read.
    pub(super) fn most_under_way(&self) -> usize {
        match self.threads {
            0 => 0,
            threads => threads + 2,
        }
    }
}

impl UnderWay {
    pub(super) fn new(recipe: Recipe, projectors: Projectors) -> Self {
        Self { recipe: Arc::new(recipe), projectors, own: Vec::new(), batches: VecDeque::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.batches.len()
    }

    /// Begins the batch of `records`.
    pub(super) fn begin(&mut self, records: Records) {
        let (done, batch) = bounded(1);
        // Taken here, so that generations follow each other in the log's order.
        let generation = self.recipe.dictionaries.current();
        let recipe = Arc::clone(&self.recipe);
        // This lane holds the queue's other end as well.
        let _ = self.projectors.jobs.send(Job { recipe, records, generation, done });
        self.batches.push_back(batch);
    }

    /// Makes the batch of `records` at once; those under way must have been taken.
    pub(super) fn make(&mut self, records: &mut Records) -> Batch {
        debug_assert!(self.batches.is_empty());
        self.recipe.make(records, self.recipe.dictionaries.current(), &mut self.own)
    }

    /// The oldest batch under way, when it is made; `None` if there is none.
    pub(super) fn oldest(&mut self) -> Option<Result<Batch, Ended>> {
        let batch = self.batches.pop_front()?;
        // Until it is there: what no thread has begun yet, its own before all.
        while batch.is_empty()
            && let Ok(job) = self.projectors.waiting.try_recv()
        {
            job.run(&mut self.own);
        }
        Some(batch.recv().map_err(|_| Ended))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::log::Offset;
    use crate::project::{Caps, Mapping};

    fn records(number: u64) -> Records {
        // The first are the longest, so that others are made before them.
        let padding = "x".repeat(400_000 / (number as usize + 1));
        let text = format!(r#"{{"topic":"a","timestamp":1,"padding":"{padding}"}}"#);
        let spans = vec![(0, text.len() as u32)];
        let range = Offset(number)..Offset(number + 1);
        Records { range, text: text.into(), spans, offsets: vec![number], ..Records::default() }
    }

    #[test]
    fn batches_leave_in_the_order_in_which_they_were_begun() {
        for threads in [0, 1, 3] {
            let (projectors, jobs) = Projectors::new(threads);
            let running: Vec<_> = (0..threads)
                .map(|_| {
                    let jobs = jobs.clone();
                    std::thread::spawn(move || run(&jobs))
                })
                .collect();
            let recipe = Recipe {
                projection: Arc::new(Projection::compile(&Mapping::auto(), &[]).unwrap()),
                limits: Limits::default(),
                dictionaries: Arc::new(Dictionaries::new(&[], Caps::default())),
                log: LogId(1),
                log_key: 2,
                arrival_time: false,
            };
            let mut under_way = UnderWay::new(recipe, projectors);
            (0..100).for_each(|number| under_way.begin(records(number)));
            assert_eq!(under_way.len(), 100);
            for number in 0..100 {
                let batch = under_way.oldest().unwrap().unwrap();
                assert_eq!(batch.range, Offset(number)..Offset(number + 1));
                assert_eq!(batch.offsets, [number]);
            }
            assert!(under_way.oldest().is_none());
            drop(under_way);
            running.into_iter().for_each(|thread| thread.join().unwrap());
        }
    }
}
