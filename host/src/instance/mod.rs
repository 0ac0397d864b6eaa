//! Instances of stats, and how they are called.
//!
//! The engine says what is to be folded, drained, restored and computed; this module knows how the code of a
//! plugin is reached: it is mapped into this process ([`mapped`]), or each instance has a worker process
//! ([`isolated`]). What is said is the same. An instance that failed is only dropped: what it holds is worthless.

mod isolated;
mod line;
pub(crate) mod mapped;
mod sinks;
#[cfg(test)]
mod tests;

use std::time::Duration;

use statmill_plugin_api::abi::{FoldReport, StatBox, ViewBox};
use statmill_plugin_api::manifest::FieldKind;

pub(crate) use self::isolated::Isolated;
use self::isolated::{Computing, Folding};
use crate::loader::{Code, Plugin};
use crate::project::{Batch, Generation};

/// Drained increments: model number and block of rows.
pub(crate) type Blocks = Vec<(usize, Vec<u8>)>;

/// Why an instance is worthless.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The plugin's own words, or what is wrong with its answer.
    #[error("{0}")]
    Said(String),
    /// Its worker process ended by itself, or somebody ended it.
    #[error("the worker process {how}")]
    Died {
        how: String,
        /// By a signal that no code of a plugin can have sent.
        killed: bool,
    },
    /// Its worker process did not answer and was ended.
    #[error("no answer within {} s of CPU time, or much longer without: its worker process was ended", .0.as_secs_f64())]
    Late(Duration),
    /// Its worker process cannot be started, or says what nobody understands.
    #[error("trouble with the worker process: {0}")]
    Line(String),
    /// The thread that would have called it was given up.
    #[error("its thread was given up")]
    GivenUp,
}

impl Failure {
    /// Whether it has to do with a worker process, which costs more to start than an instance.
    pub(crate) fn is_of_process(&self) -> bool {
        matches!(self, Self::Died { .. } | Self::Late(_) | Self::Line(_))
    }

    /// Whether what it was asked is not to blame.
    pub(crate) fn is_foreign(&self) -> bool {
        matches!(self, Self::Died { killed: true, .. })
    }
}

/// An instance of a stat that folds. Called by one thread at a time.
pub(crate) enum Instance {
    /// Its code is mapped into this process.
    Mapped(StatBox),
    /// It has a process for itself.
    Isolated(Box<Folding>),
}

impl Instance {
    /// A new instance of the stat `ident` of `plugin` with `config` (JSON text).
    ///
    /// # Errors
    /// See [`Failure`]: the plugin refuses, or its worker cannot be started.
    pub(crate) fn create(plugin: &Plugin, ident: &str, config: &str) -> Result<Self, Failure> {
        match &plugin.code {
            Code::Mapped(module) => {
                let created = module.create(ident, config).map_err(Failure::Said)?;
                Ok(Self::Mapped(created.stat))
            }
            Code::Isolated(code) => Folding::create(code, &plugin.manifest, ident, config)
                .map(|folding| Self::Isolated(folding.into())),
        }
    }

    /// Folds the messages `rows` of `batch`; `columns` are the batch's columns of the stat's fields.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(crate) fn fold(
        &mut self,
        batch: &Batch,
        columns: &[usize],
        rows: &[u32],
    ) -> Result<FoldReport, Failure> {
        match self {
            Self::Mapped(stat) => mapped::fold(stat, batch, columns, rows).map_err(Failure::Said),
            Self::Isolated(folding) => folding.fold(batch, columns, rows),
        }
    }

    /// Drains all increments; their codes belong to `generation`. `fields` are the stat's fields: column
    /// of the projection and kind; `models` is the number of its models.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(crate) fn drain(
        &mut self,
        generation: &Generation,
        fields: &[(usize, FieldKind)],
        models: usize,
    ) -> Result<Blocks, Failure> {
        match self {
            Self::Mapped(stat) => {
                mapped::drain(stat, generation, fields, models).map_err(Failure::Said)
            }
            // It has the texts and the manifest.
            Self::Isolated(folding) => folding.drain(),
        }
    }

    /// Hands over a block of earlier rows of model number `model`; before the first fold only.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(crate) fn restore(&mut self, model: usize, block: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Mapped(stat) => mapped::restore(stat, model, block).map_err(Failure::Said),
            Self::Isolated(folding) => folding.restore(model, block),
        }
    }
}

/// An instance that computes views of a stat.
pub(crate) enum Computer {
    /// Its code is mapped into this process.
    Mapped(ViewBox),
    /// It has a process for itself.
    Isolated(Box<Computing>),
}

impl Computer {
    /// A new instance for the stat `ident` of `plugin` with `config` (JSON text).
    ///
    /// # Errors
    /// See [`Failure`]: the plugin refuses or computes nothing, or its worker cannot be started.
    pub(crate) fn create(plugin: &Plugin, ident: &str, config: &str) -> Result<Self, Failure> {
        match &plugin.code {
            Code::Mapped(module) => {
                let created = module.create(ident, config).map_err(Failure::Said)?;
                let views = created.views.into_option();
                views.map(Self::Mapped).ok_or_else(|| Failure::Said(mapped::NO_VIEWS.to_owned()))
            }
            Code::Isolated(code) => Computing::create(code, &plugin.manifest, ident, config)
                .map(|computing| Self::Isolated(computing.into())),
        }
    }

    /// Computes `view` over `rows`, a JSON array of objects. Only a process can be ended when `within` is over.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(crate) fn compute(
        &mut self,
        view: &str,
        rows: &str,
        within: Duration,
    ) -> Result<String, Failure> {
        match self {
            Self::Mapped(views) => mapped::compute(views, view, rows).map_err(Failure::Said),
            Self::Isolated(computing) => computing.compute(view, rows, within),
        }
    }
}
