//! The whole state of a host as `/api/_status`, `/metrics` and `statmill stats` show it.

mod source;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::source::{ConnectionState, ConnectionStatus, SourceStatus};
use super::catalog::{CompleteUntil, StatState, StatView};
use super::computed::GivenUp;
use super::time::UtcTime;
use crate::log::{LogId, Offset};
use crate::project::Reject;
use crate::store::DeadLetter;

/// Host, stats, logs and plugins.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Status {
    /// The process.
    pub host: HostStatus,
    /// Every stat that has rows or a plugin, by ident.
    pub stats: Vec<StatStatus>,
    /// Every log that is read or kept.
    pub logs: Vec<LogStatus>,
    /// Every plugin file found.
    pub plugins: Vec<PluginReport>,
}

/// The process that answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HostStatus {
    /// Version of statmill.
    pub version: String,
    /// How often this data folder was opened.
    pub boot: u64,
    /// When this process started; none for a data folder at rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<UtcTime>,
    /// Seconds since then.
    pub uptime_s: f64,
    /// Every stat was level once since the start.
    pub ready: bool,
    /// A stop was asked for: what was taken is being committed.
    pub stopping: bool,
    /// Why nothing can be committed, and since when; none while the disk takes what is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Fault>,
    /// Computed views that did not end in time.
    #[serde(default)]
    pub views: GivenUp,
    /// Threads that were given up because a stat hung in them.
    #[serde(default)]
    pub threads: GivenUp,
}

/// One stat.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StatStatus {
    /// Name in URLs.
    pub ident: String,
    /// What it is doing.
    pub state: StatState,
    /// Why, where the state alone does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when; none for a data folder at rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<UtcTime>,
    /// `<boot>.<commit>` of its rows.
    pub version: String,
    /// Rows of its first model.
    pub rows: u64,
    /// Rows of every stored model, roll-ups included.
    pub models: BTreeMap<String, u64>,
    /// How far it has folded each log.
    pub positions: BTreeMap<LogId, PositionStatus>,
    /// Messages of fills that all had folded and that are gone.
    #[serde(default)]
    pub retired_messages: u64,
    /// Messages the logs hold beyond the positions; none where a log cannot count.
    pub lag_messages: Option<u64>,
    /// Age of the oldest unread message, seconds; 0 when level, none when unknown.
    pub lag_s: Option<f64>,
    /// Messages folded, over all logs.
    pub messages: u64,
    /// Messages refused, by reason.
    pub rejects: BTreeMap<String, u64>,
    /// Increments older than every roll-up keeps.
    pub too_late: u64,
    /// Messages before the backlog's cutoff.
    pub before_cutoff: u64,
    /// Messages its plugin could not fold, set aside.
    pub dead_letters: u64,
    /// Those of them that wait for a decision.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub letters: Vec<DeadLetterStatus>,
    /// Below this event time it folds nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cutoff: Option<UtcTime>,
    /// Largest event time folded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest_time: Option<UtcTime>,
    /// Windows before it rest on rows that an earlier version made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_before: Option<UtcTime>,
    /// Spans of event time it passed over on purpose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<TimeSpan>,
    /// Up to when its rows account for all that reached the host.
    pub complete_until: CompleteUntil,
    /// Why and since when it runs in a worker process of its own though its plugin does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<Fault>,
    /// The newest fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<Fault>,
    /// How far a backlog, replay or rebuild has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

impl StatStatus {
    /// Returns what a commit by itself tells; lag, faults and progress are the engine's to add.
    #[must_use]
    pub fn stored(view: &StatView) -> Self {
        let (snapshot, record) = (&view.snapshot, view.snapshot.record());
        let mut rejects = BTreeMap::new();
        for position in record.positions.values() {
            for (reject, messages) in &position.rejects {
                *rejects.entry(reject_name(*reject)).or_default() += messages;
            }
        }
        for (reject, messages) in &record.retired.rejects {
            *rejects.entry(reject_name(*reject)).or_default() += messages;
        }
        let positions = record.positions.iter().map(|(log, position)| {
            let status = PositionStatus {
                name: position.name.clone(),
                end: position.end,
                messages: position.messages,
                lag_messages: None,
            };
            (*log, status)
        });
        let skipped = record.skipped.iter().map(|span| TimeSpan {
            log: Some(span.log),
            from: span.from_us.map(UtcTime),
            to: span.to_us.map(UtcTime),
            reason: span.reason.clone(),
        });
        let models = snapshot.models().iter().enumerate();
        let kept_before = record.kept.as_ref().filter(|kept| kept.before_us > i64::MIN);
        Self {
            ident: snapshot.manifest().ident.clone(),
            state: view.state,
            version: view.version.clone(),
            rows: snapshot.rows(0),
            models: models.map(|(at, model)| (model.name.clone(), snapshot.rows(at))).collect(),
            positions: positions.collect(),
            retired_messages: record.retired.messages,
            messages: record.messages,
            rejects,
            too_late: record.too_late,
            before_cutoff: record.before_cutoff,
            dead_letters: record.dead_letters,
            letters: record.letters.iter().map(DeadLetterStatus::of).collect(),
            cutoff: record.cutoff_us.map(UtcTime),
            largest_time: record.largest_time_us.map(UtcTime),
            kept_before: kept_before.map(|kept| UtcTime(kept.before_us)),
            skipped: skipped.collect(),
            complete_until: view.complete_until,
            ..Self::default()
        }
    }
}

/// A message that a plugin could not fold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeadLetterStatus {
    /// The log it is in.
    pub log: LogId,
    /// Where; `GET /api/_messages/{log}/{offset}` answers its text as long as the log keeps it.
    pub offset: Offset,
    /// Its event time.
    pub time: UtcTime,
    /// Its topic; of a long one the beginning.
    pub topic: String,
    /// What the plugin said; of a long text the beginning.
    pub reason: String,
    /// When it was passed over.
    pub noted: UtcTime,
}

impl DeadLetterStatus {
    fn of(letter: &DeadLetter) -> Self {
        Self {
            log: letter.log,
            offset: letter.offset,
            time: UtcTime(letter.time_us),
            topic: letter.topic.clone(),
            reason: letter.reason.clone(),
            noted: UtcTime(letter.noted_us),
        }
    }
}

/// The reason as it is stored.
pub(crate) fn reject_name(reject: Reject) -> String {
    match serde_json::to_value(reject) {
        Ok(serde_json::Value::String(name)) => name,
        _ => format!("{reject:?}"),
    }
}

/// How far a stat has folded one log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PositionStatus {
    /// The log's name.
    pub name: String,
    /// End of the last folded range.
    pub end: Offset,
    /// Messages folded from it.
    pub messages: u64,
    /// Records of it beyond the position; none where the log cannot count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_messages: Option<u64>,
}

/// A span of event time of a log and why it is special.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TimeSpan {
    /// The log, where it is not told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogId>,
    /// First instant; none = the log's start.
    pub from: Option<UtcTime>,
    /// Just past the last instant; none = unknown.
    pub to: Option<UtcTime>,
    /// Why.
    pub reason: String,
}

/// Something that went wrong.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Fault {
    /// When.
    pub at: UtcTime,
    /// What.
    pub text: String,
}

/// How far a long piece of work has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// What is being done (`backlog`, `fill`, `replay`, `rebuild`).
    pub what: String,
    /// Done so far, in `unit`.
    pub done: u64,
    /// All there is to do; none when unknown.
    pub total: Option<u64>,
    /// `bytes`, `messages` or `slices`.
    pub unit: String,
    /// Seconds left at the present rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<f64>,
}

/// One log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LogStatus {
    /// Its id: 16 hexadecimal digits.
    pub id: Option<LogId>,
    /// The source's name.
    pub name: String,
    /// Oldest offset kept.
    pub start: Offset,
    /// Just past the newest record.
    pub end: Offset,
    /// Records kept, where an index knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// Bytes kept.
    pub bytes: u64,
    /// Nothing will ever be appended.
    pub finished: bool,
    /// Why it is read no further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How far back equal messages are recognised; none where they are not looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizon: Option<HorizonStatus>,
    /// Messages passed over because their identity was known; none where they are not looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicates: Option<u64>,
    /// Its connections, for one that is fed over a network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceStatus>,
    /// Ranges of records that are damaged or gone.
    pub holes: Vec<Hole>,
    /// Fetches of history beside this log.
    pub fills: Vec<FillStatus>,
    /// What is known to be lost for good.
    pub losses: Vec<TimeSpan>,
}

/// How far back a source recognises messages it has seen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HorizonStatus {
    /// Event time of the oldest identity kept.
    pub since: Option<UtcTime>,
    /// Identities kept.
    pub identities: u64,
    /// Memory forced it to be shorter than configured.
    pub short: bool,
}

/// A range of offsets that cannot be read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Hole {
    /// First offset.
    pub start: Offset,
    /// Just past the last offset.
    pub end: Offset,
    /// Why.
    pub reason: String,
}

/// One fetch of history.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FillStatus {
    /// Id of the log it is written to.
    pub id: Option<LogId>,
    /// Where from.
    pub history: String,
    /// First event time fetched.
    pub from: UtcTime,
    /// Just past the last event time fetched.
    pub to: UtcTime,
    /// The stats that read it.
    pub stats: Vec<String>,
    /// Messages fetched.
    pub messages: u64,
    /// Messages that were in the journal or the fill already.
    pub duplicates: u64,
    /// All of it is fetched.
    pub finished: bool,
    /// How far the fetch has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The newest failure of the history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<Fault>,
}

/// A file in the plugins folder.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PluginReport {
    /// The file.
    pub file: String,
    /// Crate name, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Crate version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Version of the plugin API it was built with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// Idents of its stats that are loaded.
    pub stats: Vec<String>,
    /// Where its code runs: `in-process`, or `process` for a worker process for each stat.
    #[serde(default)]
    pub isolation: String,
    /// What of the sandbox this kernel does not have for its worker processes, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sandbox_lacks: Vec<String>,
    /// Why it, or one of its stats, was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
