//! A picture for every stat: which chart its rows make, what to ask for it, and the chart itself.
//!
//! [`Asked`] is what a request says of the picture it wants. With a model's manifest it makes a
//! [`Plan`], whose [`Plan::query`] selects no more rows than a picture can show, and whose
//! [`Plan::chart`] draws the table that answers it. Values are joined only where that is exact: counts
//! and sums are added up, extremes compared; what can't be joined stays apart, or is refused.

mod buckets;
mod chart;
mod params;
mod plan;
mod summary;
mod table;

pub use chart::{About, completeness};
pub use params::{Asked, Kind, PARAMS, PictureParam};
pub use plan::{MOST_ROWS, Plan};
pub use summary::{Summary, summary};
