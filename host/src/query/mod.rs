//! Questions about committed rows, and their answers as tables.
//!
//! A [`Query`] is parsed from names and values ([`params`]) and [`run`] against the rows of one
//! stat, or through the code of its plugin for a view that is [`computed`]; the [`Table`] that comes
//! back is written by [`crate::render`]. What can be asked at all is a [`Catalog`]. Nothing in here
//! knows HTTP, the store's layout, or how a plugin is called.

mod agg;
mod buckets;
pub mod catalog;
pub mod computed;
mod cursor;
mod describe;
mod event_time;
mod facets;
pub mod filter;
#[cfg(test)]
pub(crate) mod memory;
pub mod params;
mod run;
#[cfg(test)]
mod run_tests;
mod select;
pub mod shape;
mod sort;
pub mod status;
mod table;
pub mod time;
mod watch;

pub use crate::store::Order;
pub use agg::Agg;
pub use buckets::{Buckets, buckets};
pub use catalog::{Catalog, CompleteUntil, StatState, StatView};
pub use computed::{Compute, ComputeError, ComputedView, ComputedViews, GivenUp, computed_views};
pub use cursor::Cursor;
pub use describe::{Description, describe, edge};
pub use facets::facets;
pub use params::{Format, ParamError, Query, Shape, TimeStyle};
pub use run::{Answer, Limits, Page, QueryError, run};
pub use select::Selection;
pub use sort::Sort;
pub use statmill_plugin_api::encoding::Value;
pub use status::{
    ConnectionState, ConnectionStatus, Fault, FillStatus, Hole, HorizonStatus, HostStatus,
    LogStatus, PluginReport, PositionStatus, Progress, SourceStatus, StatStatus, Status, TimeSpan,
};
pub use table::{Column, Table};
pub use time::UtcTime;
pub use watch::{ChangedTimes, Watcher, Watchers};
