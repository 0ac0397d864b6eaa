//! A picture for every table: which chart rows make, what to ask for it, and the chart itself.
//!
//! [`Asked`] says what is wanted of a picture, by a request or by the definition of a view. With the
//! [`Fields`] of a model, or of a table that was computed, it makes a [`Plan`]. [`Plan::read`] reads no more
//! rows than a picture can show, and [`Plan::chart`] draws them. Values are joined only where that is exact:
//! counts and sums are added up, extremes compared, buckets merged; what can't be joined stays apart,
//! or is refused.

mod ask;
mod bars;
mod buckets;
mod chart;
mod computed;
mod fields;
mod heat;
mod kind;
mod lines;
mod params;
mod plan;
mod read;
mod scatter;
mod small;
mod spread;
mod sum;
mod summary;
mod table;
#[cfg(test)]
mod tests;
mod value;

pub use ask::MOST_ROWS;
pub use chart::{About, completeness, span};
pub use fields::Fields;
pub use kind::Kind;
pub use params::{Asked, PARAMS, PictureParam, model};
pub use plan::Plan;
pub use read::Rows;
pub(crate) use sum::Sum;
pub use summary::{Summary, summary};
