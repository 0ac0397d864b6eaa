//! Where a run's CPU time went: threads by what they do, and a worker's two kinds of work apart.

use std::collections::BTreeMap;
use std::fmt;

use measure::usage::ThreadSeconds;

/// What took CPU time, in seconds.
#[derive(Debug)]
pub(crate) struct Stages {
    /// All threads.
    pub(crate) threads: ThreadSeconds,
    /// Draining, which the workers do.
    pub(crate) drain: f64,
    /// Reading the answers, which the main thread does.
    pub(crate) query: f64,
}

/// Stages and what the names of their threads begin with; sled calls its own `sled-io-N` and `log flusher`.
const THREADS: [(&str, &[&str]); 4] = [
    ("ingest lanes", &["lane", "project-"]),
    ("fold", &["worker-"]),
    ("committer", &["commit"]),
    ("sled and fsync", &["sled", "log flusher", "durable"]),
];

impl Stages {
    /// CPU-seconds of each stage.
    pub(crate) fn seconds(&self) -> BTreeMap<&'static str, f64> {
        let mut stages: BTreeMap<_, f64> = BTreeMap::new();
        for (thread, seconds) in &self.threads {
            let of_stage = |names: &[&str]| names.iter().any(|name| thread.starts_with(name));
            let stage = THREADS.iter().find(|(_, names)| of_stage(names));
            *stages.entry(stage.map_or("other", |(stage, _)| stage)).or_default() += seconds;
        }
        for (stage, part, within) in [("drain", self.drain, "fold"), ("query", self.query, "other")]
        {
            let whole = stages.entry(within).or_default();
            *whole = (*whole - part).max(0.0);
            stages.insert(stage, part);
        }
        stages
    }
}

impl fmt::Display for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut stages: Vec<_> = self.seconds().into_iter().collect();
        stages.sort_by(|a, b| b.1.total_cmp(&a.1));
        let all: f64 = stages.iter().map(|(_, seconds)| seconds).sum();
        for (place, (stage, seconds)) in stages.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{stage} {:.1} %", 100.0 * seconds / all)?;
        }
        Ok(())
    }
}

/// CPU-seconds of all drains, as the host's own metrics tell them.
pub(crate) fn drain(metrics: &str) -> f64 {
    let sums = metrics.lines().filter(|line| line.starts_with("statmill_drain_cpu_seconds_sum"));
    sums.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drains_and_queries_are_taken_out_of_the_threads_that_did_them() {
        let threads = [("worker-0", 3.0), ("worker-1", 2.0), ("commit", 1.0), ("bench", 2.0)];
        let metrics = "statmill_drain_cpu_seconds_sum{stat=\"a\"} 1.5\n\
            statmill_drain_cpu_seconds_count{stat=\"a\"} 7\n\
            statmill_drain_cpu_seconds_sum{stat=\"b\"} 0.5\n";
        let stages = Stages {
            threads: threads.map(|(name, seconds)| (name.to_owned(), seconds)).into(),
            drain: drain(metrics),
            query: 1.0,
        };
        let expected =
            [("committer", 1.0), ("drain", 2.0), ("fold", 3.0), ("other", 1.0), ("query", 1.0)];
        assert_eq!(stages.seconds(), expected.into());
        let text = "fold 37.5 %, drain 25.0 %, committer 12.5 %, other 12.5 %, query 12.5 %";
        assert_eq!(stages.to_string(), text);
    }
}
