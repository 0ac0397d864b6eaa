//! Rows and positions on disk: the only state there is.
//!
//! A [`Database`] is one data folder's store; a [`StatStore`] is one statistic in it, owned by the
//! worker that folds it. Increments enter through [`StatStore::commit`], which merges them into
//! rows and applies rows and positions in one batch; rows leave through [`Snapshot`]s, which never
//! change and never stop a commit. Nothing here calls a plugin or knows a log.
//! The layout is written in `docs/store-format.md`.

mod changes;
mod chunks;
mod commit;
mod cut;
mod database;
mod delta;
mod directory;
mod error;
mod export;
mod fold;
mod garbage;
mod import;
pub mod kv;
mod layout;
mod lock;
mod memory;
mod models;
mod pages;
mod record;
mod rows;
mod scan;
mod sled;
mod snapshot;
mod stat;
mod table;
mod tuning;

pub use self::sled::SledStore;
pub use commit::CommitReport;
pub use cut::KeyBounds;
pub(crate) use database::tree_name;
pub use database::{Aside, Database, Opened};
pub use error::StoreError;
pub use export::{ExportedStat, export};
pub use import::{AsBase, ImportError, ImportOptions, Imported, import};
pub use kv::Store;
pub use memory::MemoryStore;
pub use models::{StoredModel, stored_models};
pub use record::{Base, Position, Span, StatRecord};
pub use scan::{Order, Rows};
pub use snapshot::{Reader, Snapshot};
pub use stat::StatStore;
pub use tuning::Tuning;

#[cfg(test)]
mod tests;
