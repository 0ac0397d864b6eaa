//! How far back logs reach: which of the messages that rows rest on can still be read.

use crate::log::{Log, LogId, Offset};
use crate::store::StatRecord;

/// Messages that were folded once and can be read no more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) log: LogId,
    /// All of them are of this event time or earlier, µs since 1970; none = unknown.
    pub(super) until_us: Option<i64>,
    /// Why, in words.
    pub(super) why: String,
}

/// What `logs` no longer hold of what `old` says was folded. With `fetched` what retired fills gave is
/// fetched again.
pub(super) fn gone(old: &StatRecord, logs: &[&dyn Log], fetched: bool) -> Vec<Gone> {
    let retired = (old.retired.messages > 0 && !fetched).then(|| Gone {
        log: LogId(0),
        until_us: old.retired.largest_time_us,
        why: "some of it was fetched from a history, which is asked only at a start that is given one"
            .to_owned(),
    });
    let folded = old.positions.iter().filter(|(_, at)| at.messages > 0);
    let gone = folded.filter_map(|(&id, at)| {
        let (until_us, why) = match logs.iter().find(|log| log.id() == id) {
            None => (at.largest_time_us, format!("log {} is no longer read", at.name)),
            Some(log) if log.start() > Offset(0) => {
                let why = format!("log {} no longer reaches back to its start", at.name);
                (at.largest_before(log.start()), why)
            }
            Some(_) => return None,
        };
        Some(Gone { log: id, until_us, why })
    });
    gone.chain(retired).collect()
}

/// The same for positions that nobody knows: whatever a log does not hold from its start on.
pub(super) fn gone_from_start(logs: &[&dyn Log]) -> Vec<Gone> {
    let short = logs.iter().filter(|log| log.start() > Offset(0));
    let gone = short.map(|log| Gone {
        log: log.id(),
        until_us: None,
        why: format!("log {} no longer reaches back to its start", log.name()),
    });
    gone.collect()
}
