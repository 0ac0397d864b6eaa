//! The worker's side: answers one question after the other until there are none.

use std::io::{self, Read, Write};
use std::sync::Arc;

use statmill_plugin_api::abi::{FoldReport, StatBox, ViewBox};
use statmill_plugin_api::manifest::FieldKind;

use super::batch;
use super::frame::{self, Frame, Kind, Parts};
use super::{Create, Open};
use crate::instance::{Blocks, mapped};
use crate::loader::Module;
use crate::project::Generation;

/// Serves until `input` ends.
///
/// # Errors
/// The host is gone, or does not speak as it should.
pub(crate) fn serve(mut input: impl Read, mut output: impl Write) -> io::Result<()> {
    let mut worker = Worker::default();
    let (mut body, mut out) = (Vec::new(), Frame::default());
    while let Some(kind) = frame::read(&mut input, &mut body)? {
        match worker.answer(kind, &body) {
            Ok(answer) => answer.write(&mut out, &mut output)?,
            Err(reason) => send(out.begin(Kind::Said).bytes(reason.as_bytes()), &mut output)?,
        }
        if body.capacity() > USUAL_BYTES {
            body = Vec::new();
        }
    }
    Ok(())
}

/// Memory that only an unusually large question needed is given back.
const USUAL_BYTES: usize = 4 << 20;

enum Answer {
    Done,
    Text(String),
    Folded(FoldReport),
    Rows(Blocks),
}

impl Answer {
    fn write(self, frame: &mut Frame, output: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Done => send(frame.begin(Kind::Done), output),
            Self::Text(text) => send(frame.begin(Kind::Text).bytes(text.as_bytes()), output),
            Self::Folded(held) => {
                send(frame.begin(Kind::Folded).u64(held.rows).u64(held.bytes), output)
            }
            Self::Rows(blocks) => {
                for (model, block) in blocks {
                    send(frame.begin(Kind::Rows).u32(model as u32).bytes(&block), output)?;
                }
                send(frame.begin(Kind::Done), output)
            }
        }
    }
}

fn send(frame: &mut Frame, output: &mut impl Write) -> io::Result<()> {
    output.write_all(frame.finish().map_err(io::Error::other)?)?;
    output.flush()?;
    frame.shrink();
    Ok(())
}

/// What a worker has come to.
#[derive(Default)]
struct Worker {
    module: Option<Module>,
    stat: Option<StatBox>,
    views: Option<ViewBox>,
    fields: Vec<FieldKind>,
    models: usize,
    /// Texts of the batches so far.
    generation: Option<Arc<Generation>>,
}

impl Worker {
    /// # Errors
    /// The plugin's own words.
    fn answer(&mut self, kind: Kind, body: &[u8]) -> Result<Answer, String> {
        match kind {
            Kind::Open => self.open(&json(body)?).map(Answer::Text),
            Kind::Create => self.create(json(body)?).map(|()| Answer::Done),
            Kind::Fold => self.fold(body).map(Answer::Folded),
            Kind::Drain => self.drain().map(Answer::Rows),
            Kind::Restore => {
                let mut parts = Parts(body);
                let model = parts.u32().map_err(|error| error.to_string())? as usize;
                let stat = self.stat.as_mut().ok_or(NONE)?;
                mapped::restore(stat, model, parts.rest()).map(|()| Answer::Done)
            }
            Kind::Compute => {
                let mut parts = Parts(body);
                let name = parts.u32().and_then(|length| parts.bytes(length as usize));
                let view = text(name.map_err(|error| error.to_string())?)?;
                let views = self.views.as_ref().ok_or(NONE)?;
                mapped::compute(views, view, text(parts.rest())?).map(Answer::Text)
            }
            _ => Err(format!("{kind:?} is no question")),
        }
    }

    fn open(&mut self, open: &Open) -> Result<String, String> {
        let module = Module::map(&open.file, &open.library).map_err(|error| error.to_string())?;
        self.module.insert(module).describe()
    }

    fn create(&mut self, create: Create) -> Result<(), String> {
        let module = self.module.as_ref().ok_or(NONE)?;
        let made = module.create(&create.ident, &create.config)?;
        (self.fields, self.models) = (create.fields, create.models);
        if create.computes {
            self.views = Some(made.views.into_option().ok_or(mapped::NO_VIEWS)?);
        } else {
            self.stat = Some(made.stat);
        }
        Ok(())
    }

    fn fold(&mut self, body: &[u8]) -> Result<FoldReport, String> {
        let batch = batch::read(body, &self.fields, &mut self.generation)
            .map_err(|error| error.to_string())?;
        let columns: Vec<usize> = (0..self.fields.len()).collect();
        let rows: Vec<u32> = (0..batch.len() as u32).collect();
        mapped::fold(self.stat.as_mut().ok_or(NONE)?, &batch, &columns, &rows)
    }

    fn drain(&mut self) -> Result<Blocks, String> {
        let stat = self.stat.as_mut().ok_or(NONE)?;
        let generation = self.generation.as_ref().ok_or("nothing was folded")?;
        let fields: Vec<_> = self.fields.iter().copied().enumerate().collect();
        mapped::drain(stat, generation, &fields, self.models)
    }
}

/// A question out of its turn.
const NONE: &str = "there is no instance";

fn json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| error.to_string())
}
