//! Messages to check a stat with.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use statmill_plugin_api::manifest::StatManifest;

use crate::log::demo::{DemoParams, DemoStream};
use crate::trial::Generated;

/// Messages made for the stat.
const GENERATED: u64 = 4096;
/// Messages of the demo stream.
const DEMO: u64 = 4096;
/// Real messages that are taken of a file, and their bytes.
const MOST_REAL: usize = 20_000;
const MOST_REAL_BYTES: usize = 64 << 20;
/// 2020-01-01: the same messages every day.
const DEMO_START_US: i64 = 1_577_836_800_000_000;

/// Messages of all kinds, with where each comes from.
pub(super) struct Sample {
    texts: Vec<Vec<u8>>,
    generated: usize,
    demo: usize,
}

impl Sample {
    /// Messages made for `stat`, those of the demo stream, and `real` ones.
    pub(super) fn new(stat: &StatManifest, real: Option<&[Vec<u8>]>) -> Self {
        let generated = Generated::new(stat);
        let params = DemoParams { per_day: DEMO, days: 1, ..DemoParams::default() };
        let demo = DemoStream::new(params, DEMO_START_US);
        let made = (0..GENERATED).map(|index| generated.message(index));
        let shown = (0..DEMO).map(|index| demo.message(index).1.into_bytes());
        let texts: Vec<_> =
            made.chain(shown).chain(real.unwrap_or_default().iter().cloned()).collect();
        Self { texts, generated: GENERATED as usize, demo: DEMO as usize }
    }

    pub(super) fn texts(&self) -> &[Vec<u8>] {
        &self.texts
    }

    /// What the messages are, in words.
    pub(super) fn words(&self) -> String {
        let real = match self.texts.len() - self.generated - self.demo {
            0 => String::new(),
            real => format!(", {real} real"),
        };
        format!("{} generated, {} of the demo stream{real}", self.generated, self.demo)
    }

    /// Which message `index` is, in words.
    pub(super) fn place(&self, index: usize) -> String {
        let behind = index.checked_sub(self.generated);
        match behind.map(|behind| behind.checked_sub(self.demo).ok_or(behind)) {
            None => format!("generated message {index}"),
            Some(Err(demo)) => format!("message {demo} of the demo stream"),
            Some(Ok(real)) => format!("line {} of the messages", real + 1),
        }
    }
}

/// The first messages of a file, one on each line; a line that is blank or none counts as one.
pub(super) fn read(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let failed = |error| format!("cannot read {}: {error}", path.display());
    let mut lines = BufReader::new(File::open(path).map_err(failed)?).split(b'\n');
    let (mut texts, mut bytes) = (Vec::new(), 0);
    while texts.len() < MOST_REAL && bytes < MOST_REAL_BYTES {
        let Some(line) = lines.next() else { break };
        let line = line.map_err(failed)?;
        bytes += line.len();
        texts.push(line);
    }
    Ok(texts)
}
