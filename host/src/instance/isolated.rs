//! Instances in a worker process each: what one does to its process happens to nobody else.

use std::path::PathBuf;
use std::time::Duration;

use statmill_plugin_api::abi::FoldReport;
use statmill_plugin_api::manifest::{PluginManifest, StatManifest};

use super::line::{self, Line, Patience};
use super::{Blocks, Failure, mapped};
use crate::child::worker::batch::{self, Sent};
use crate::child::worker::frame::{Kind, Parts};
use crate::child::worker::{Create, Open};
use crate::child::{self, Limits, Program, Role};
use crate::project::Batch;

/// A call that waits may take this many times as long as one that computes. Less than half of what a thread
/// of the host is given: that one cannot be ended, and making an instance takes two calls.
const WAITING: u32 = 9;

/// How large a manifest may be.
const MAX_MANIFEST_BYTES: usize = 4 << 20;
/// What a block costs besides its rows, so that empty ones are not free.
const BLOCK_BYTES: usize = 64;

/// Code of a plugin that this process never maps: how worker processes for it are started.
#[derive(Clone, Debug)]
pub(crate) struct Isolated {
    /// The program that serves as worker.
    pub(crate) program: Program,
    /// The plugin's file.
    pub(crate) file: PathBuf,
    /// The private copy of it.
    pub(crate) library: PathBuf,
    /// Memory that a worker may write to, bytes.
    pub(crate) max_memory: u64,
    /// What a call may take, CPU time.
    pub(crate) deadline: Duration,
    /// What of the sandbox this kernel does not have, in words.
    pub(crate) lacks: Vec<String>,
}

impl Isolated {
    /// The plugin's manifest, JSON text; and what of the sandbox its processes do not have.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(crate) fn describe(&self) -> Result<(String, Vec<String>), Failure> {
        self.open().map(|(line, manifest)| (manifest, line.lacks()))
    }

    /// The plugin's name as far as it is known before it is asked.
    fn name(&self) -> String {
        self.file.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn open(&self) -> Result<(Line, String), Failure> {
        let limits = Limits {
            memory_bytes: self.max_memory,
            cpu_s: None,
            readable: vec![self.library.clone()],
        };
        let child = child::start(&self.program, Role::Worker, &limits, Some(&self.name()))
            .map_err(line::failure)?;
        let mut line =
            Line::new(child, Patience { cpu: self.deadline, wall: self.deadline * WAITING })?;
        let open = Open { file: self.file.clone(), library: self.library.clone() };
        let manifest = match ask_json(&mut line, Kind::Open, &open, MAX_MANIFEST_BYTES)? {
            (Kind::Text, text) => String::from_utf8(text.to_vec()).ok(),
            _ => None,
        };
        let manifest = manifest.ok_or_else(|| line.nonsense("with no manifest"))?;
        Ok((line, manifest))
    }

    fn create(&self, stat: &StatManifest, config: &str, computes: bool) -> Result<Line, Failure> {
        let (mut line, _) = self.open()?;
        let create = Create {
            ident: stat.ident.clone(),
            config: config.to_owned(),
            fields: stat.fields.iter().map(|field| field.kind).collect(),
            models: stat.models.len(),
            computes,
        };
        match ask_json(&mut line, Kind::Create, &create, 0)? {
            (Kind::Done, _) => Ok(line),
            _ => Err(line.nonsense("with no instance")),
        }
    }
}

/// The stat `ident` of a plugin.
fn stat_of<'a>(manifest: &'a PluginManifest, ident: &str) -> Result<&'a StatManifest, Failure> {
    let stat = manifest.stats.iter().find(|stat| stat.ident == ident);
    stat.ok_or_else(|| Failure::Said(format!("it has no stat {ident:?}")))
}

fn ask_json<'a>(
    line: &'a mut Line,
    kind: Kind,
    question: &impl serde::Serialize,
    most: usize,
) -> Result<(Kind, &'a [u8]), Failure> {
    let text = serde_json::to_vec(question).map_err(|error| Failure::Line(error.to_string()))?;
    line.question(kind).bytes(&text);
    line.ask(most)
}

/// An instance that folds.
pub(crate) struct Folding {
    line: Line,
    sent: Sent,
    models: usize,
}

impl Folding {
    pub(super) fn create(
        code: &Isolated,
        manifest: &PluginManifest,
        ident: &str,
        config: &str,
    ) -> Result<Self, Failure> {
        let stat = stat_of(manifest, ident)?;
        let line = code.create(stat, config, false)?;
        Ok(Self { line, sent: Sent::default(), models: stat.models.len() })
    }

    pub(super) fn fold(
        &mut self,
        batch: &Batch,
        columns: &[usize],
        rows: &[u32],
    ) -> Result<FoldReport, Failure> {
        const REPORT: usize = 16;
        batch::write(self.line.question(Kind::Fold), &mut self.sent, batch, columns, rows);
        let report = match self.line.ask(REPORT)? {
            (Kind::Folded, body) => {
                let mut parts = Parts(body);
                parts.u64().and_then(|rows| Ok(FoldReport { rows, bytes: parts.u64()? })).ok()
            }
            _ => None,
        };
        report.ok_or_else(|| self.line.nonsense("with no report of a fold"))
    }

    pub(super) fn drain(&mut self) -> Result<Blocks, Failure> {
        let mut blocks = Blocks::new();
        let mut left = mapped::MAX_DRAIN_BYTES;
        self.line.question(Kind::Drain);
        let mut heard = self.line.ask(left)?;
        loop {
            let taken = match heard {
                (Kind::Done, _) => return Ok(blocks),
                (Kind::Rows, body) => {
                    let mut parts = Parts(body);
                    let model = parts.u32().ok().map(|model| model as usize);
                    let cost = body.len() + BLOCK_BYTES;
                    left = left.saturating_sub(cost);
                    model.filter(|model| *model < self.models && left > 0).map(|model| {
                        blocks.push((model, parts.rest().to_vec()));
                    })
                }
                _ => None,
            };
            if taken.is_none() {
                return Err(self.line.nonsense("with rows of no model of its, or too many"));
            }
            heard = self.line.hear(left)?;
        }
    }

    pub(super) fn restore(&mut self, model: usize, block: &[u8]) -> Result<(), Failure> {
        let model = u32::try_from(model).unwrap_or(u32::MAX);
        self.line.question(Kind::Restore).u32(model).bytes(block);
        match self.line.ask(0)? {
            (Kind::Done, _) => Ok(()),
            _ => Err(self.line.nonsense("something else to earlier rows")),
        }
    }
}

/// An instance that computes views.
pub(crate) struct Computing {
    line: Line,
}

impl Computing {
    pub(super) fn create(
        code: &Isolated,
        manifest: &PluginManifest,
        ident: &str,
        config: &str,
    ) -> Result<Self, Failure> {
        let line = code.create(stat_of(manifest, ident)?, config, true)?;
        Ok(Self { line })
    }

    pub(super) fn compute(
        &mut self,
        view: &str,
        rows: &str,
        within: Duration,
    ) -> Result<String, Failure> {
        let name = view.as_bytes();
        let question = self.line.question(Kind::Compute);
        question.u32(name.len() as u32).bytes(name).bytes(rows.as_bytes());
        let patience = Patience { cpu: within, wall: within };
        let text = match self.line.ask_within(mapped::MAX_VIEW_BYTES, patience)? {
            (Kind::Text, text) => String::from_utf8(text.to_vec()).ok(),
            _ => None,
        };
        text.ok_or_else(|| self.line.nonsense("with no text"))
    }
}
