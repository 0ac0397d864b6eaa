//! How fast a fold is, and what it keeps though everything was drained.

use statmill_plugin_api::manifest::StatManifest;

use super::sample::Sample;
use super::{Outcome, Step};
use crate::clock::thread_cpu;
use crate::loader::Plugin;
use crate::trial::{Reader, Trial};

/// Messages in a batch, as a host makes them.
const BATCH: usize = 1024;
/// Batches between two drains: about a second of a busy host.
const DRAIN_EVERY: u64 = 16;
/// A tenth of the messages is folded before memory is measured for the first time.
const WARM_UP: u64 = 10;
/// What allocators and caches may still take after that.
const MAY_GROW: u64 = 4 << 20;

/// What was measured.
pub(super) struct Measured {
    pub(super) step: Step,
    pub(super) fold_ns: f64,
    pub(super) drain_ns: f64,
}

/// Folds about `count` messages, the sample again and again, with drains in between.
pub(super) fn measure(
    plugin: &Plugin,
    stat: &StatManifest,
    config: &str,
    sample: &Sample,
    count: u64,
) -> Result<Measured, String> {
    let mut reader = Reader::new(stat).map_err(|error| error.to_string())?;
    let batches: Vec<_> = sample
        .texts()
        .chunks(BATCH)
        .map(|texts| reader.batch(texts.iter().map(Vec::as_slice)))
        .collect();
    let mut trial = Trial::begin(plugin, stat, config)?;
    let (mut folded, mut rows, mut seen) = (0u64, 0u64, 0u64);
    let (mut folding, mut draining) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
    let mut before = None;
    for (number, batch) in (1u64..).zip(batches.iter().cycle()) {
        let start = thread_cpu();
        folded += trial.fold(batch)? as u64;
        let end = thread_cpu();
        folding += end - start;
        seen += batch.len() as u64;
        if number.is_multiple_of(DRAIN_EVERY) || seen >= count {
            rows += trial.drain_and_forget()? as u64;
            draining += thread_cpu() - end;
            if seen * WARM_UP >= count && before.is_none() {
                before = Some((resident_bytes()?, folded));
            }
        }
        if seen >= count || batch.is_empty() {
            break;
        }
    }
    let (before, warm) = before.unwrap_or((resident_bytes()?, folded));
    let grown = resident_bytes()?.saturating_sub(before);
    let (messages, mib) = (folded - warm, grown as f64 / f64::from(1 << 20));
    let step = if grown > MAY_GROW {
        let each = grown as f64 / messages.max(1) as f64;
        let words = format!(
            "{mib:.1} MiB more after {messages} messages, {each:.1} bytes for each, though everything was \
             drained: it keeps what it should have given away"
        );
        Step::failed("memory", words)
    } else if messages == 0 {
        Step::new("memory", Outcome::Noted, "not measured: it wants none of the messages")
    } else {
        Step::passed("memory", format!("{mib:.1} MiB more after {messages} messages"))
    };
    Ok(Measured {
        step,
        fold_ns: folding.as_nanos() as f64 / folded.max(1) as f64,
        drain_ns: draining.as_nanos() as f64 / rows.max(1) as f64,
    })
}

/// Memory of this process that is there.
fn resident_bytes() -> Result<u64, String> {
    let text = std::fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let resident = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map(|kib| kib << 10).ok_or_else(|| "cannot tell how much memory is used".to_owned())
}
