//! Writes tables: JSON, NDJSON, CSV, HTML, and text for a terminal.
//!
//! Every format writes from the same [`Table`](crate::query::Table), cell by cell, and escapes at
//! one place: [`cell`] for JSON and plain text, [`html::escape`] for HTML, the `csv` crate for CSV.

pub mod cell;
pub mod csv;
pub mod html;
pub mod json;
pub mod picture;
pub mod svg;
pub mod text;
