//! Typed models: what a fold adds to, and how it leaves at a drain.
//!
//! A [`Rollup`] holds only what was added since the last drain, by codes where the host coded the
//! texts, so an addition costs a few nanoseconds and never hashes a coded text. A drain looks the
//! codes up, sorts, and writes blocks of rows ([`crate::encoding`]): equal additions give equal
//! bytes, whatever the codes were and in whatever order they came.

mod dimension;
mod dimensions;
mod drain;
mod measure;
mod ranks;
mod rollup;
mod spec;

pub use dimension::{Dictionaries, Dimension, Label, LabelKey, SymOrText};
pub use dimensions::Dimensions;
pub use drain::Drain;
pub use measure::Measures;
pub use ranks::Ranks;
pub use rollup::{Entry, Rollup};
pub use spec::{MeasureSpec, ModelSpec, Window};

use crate::abi::FoldReport;
use crate::manifest::ModelManifest;
use crate::stat::PluginError;

/// The models of a stat. Derive it: `#[derive(Models)]`.
pub trait Models {
    /// Whether a model has `window = interval`.
    const NEEDS_INTERVAL: bool;

    /// The models' manifests, in order.
    ///
    /// # Errors
    ///
    /// [`PluginError::Interval`] where a model does not fit the interval.
    fn manifests(interval_s: Option<u64>) -> Result<Vec<ModelManifest>, PluginError>;

    /// Makes the models ready for additions; called once, before anything else.
    ///
    /// # Errors
    ///
    /// As [`manifests`](Self::manifests).
    fn prepare(&mut self, interval_s: Option<u64>) -> Result<(), PluginError>;

    /// The models, in order.
    fn models(&mut self) -> Vec<&mut dyn Model>;
}

/// A model without its types.
pub trait Model {
    /// What it holds.
    fn report(&self) -> FoldReport;

    /// Writes its rows to `drain`, ascending by key, as model number `model`, and forgets them.
    ///
    /// # Errors
    ///
    /// When the dictionaries are not those it was folded with, or the host takes no more.
    fn drain(&mut self, model: u32, drain: &mut Drain<'_>) -> Result<(), PluginError>;
}
