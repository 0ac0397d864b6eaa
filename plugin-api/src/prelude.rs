//! All that a stat needs: `use statmill_plugin_api::prelude::*;`.

pub use crate::aggregate::{
    Count, Distinct, First, Json, Last, Log, Max, Min, Moments, Quantiles, Sum, Text, Time,
    TopKApprox,
};
pub use crate::batch::{Batch, Message, Sym};
pub use crate::fields::{FieldSet, FieldValue, Fields};
pub use crate::memo::Memo;
pub use crate::model::{Label, Models, Rollup, SymOrText};
pub use crate::stat::{PluginError, RestoredRow, Stat, StatInfo};
pub use crate::{export_plugin, fields};
pub use statmill_plugin_api_macros::Models;
