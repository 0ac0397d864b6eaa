//! Instances of stats, and how they are called.
//!
//! The engine says what is to be folded, drained, restored and computed; this module knows how the code of a
//! plugin is reached. An instance that failed is only dropped: what it holds is worthless.

mod mapped;

use statmill_plugin_api::abi::{FoldReport, StatBox, ViewBox};
use statmill_plugin_api::manifest::FieldKind;

use crate::loader::Plugin;
use crate::project::{Batch, Generation};

/// Drained increments: model number and block of rows.
pub(crate) type Blocks = Vec<(usize, Vec<u8>)>;

/// Why an instance is worthless.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The plugin's own words, or what is wrong with its answer.
    #[error("{0}")]
    Said(String),
    /// The thread that would have called it was given up.
    #[error("its thread was given up")]
    GivenUp,
}

/// An instance of a stat that folds. Called by one thread at a time.
pub(crate) struct Instance(StatBox);

impl Instance {
    /// A new instance of the stat `ident` of `plugin` with `config` (JSON text).
    ///
    /// # Errors
    /// The plugin refuses.
    pub(crate) fn create(plugin: &Plugin, ident: &str, config: &str) -> Result<Self, Failure> {
        let created = plugin.module.create(ident, config).map_err(Failure::Said)?;
        Ok(Self(created.stat))
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
        mapped::fold(&mut self.0, batch, columns, rows).map_err(Failure::Said)
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
        mapped::drain(&mut self.0, generation, fields, models).map_err(Failure::Said)
    }

    /// Hands over a block of earlier rows of model number `model`; before the first fold only.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(crate) fn restore(&mut self, model: usize, block: &[u8]) -> Result<(), Failure> {
        mapped::restore(&mut self.0, model, block).map_err(Failure::Said)
    }
}

/// An instance that computes views of a stat.
pub(crate) struct Computer(ViewBox);

impl Computer {
    /// A new instance for the stat `ident` of `plugin` with `config` (JSON text).
    ///
    /// # Errors
    /// The plugin refuses, or computes nothing.
    pub(crate) fn create(plugin: &Plugin, ident: &str, config: &str) -> Result<Self, Failure> {
        let created = plugin.module.create(ident, config).map_err(Failure::Said)?;
        let none = "its plugin computes no views, though its manifest names one";
        created.views.into_option().map(Self).ok_or_else(|| Failure::Said(none.to_owned()))
    }

    /// Computes `view` over `rows`, a JSON array of objects.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(crate) fn compute(&mut self, view: &str, rows: &str) -> Result<String, Failure> {
        mapped::compute(&self.0, view, rows).map_err(Failure::Said)
    }
}
