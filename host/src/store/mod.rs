//! Rows and positions on disk: the only state there is.
//!
//! A [`Database`] is one data folder's store; a [`StatStore`] is one statistic in it, owned by the
//! worker that folds it. Increments enter through [`StatStore::commit`], which merges them into
//! rows and applies rows and positions in one batch; rows leave through [`Snapshot`]s, which never
//! change and never stop a commit. Nothing here calls a plugin or knows a log.
//! The layout is written in `docs/store-format.md`.

mod aside;
mod base;
mod bulk;
mod changes;
mod chunks;
mod commit;
mod cut;
mod damage;
mod database;
mod delta;
mod directory;
mod error;
mod export;
mod fold;
mod garbage;
mod import;
mod index;
mod keep;
pub mod kv;
mod layout;
mod lock;
mod memory;
mod meta;
mod models;
mod pages;
mod ranked;
mod record;
mod refusal;
mod reindex;
mod rows;
mod runs;
mod scan;
mod sled;
mod snapshot;
mod stat;
mod table;
mod tuning;

pub use self::sled::SledStore;
pub use aside::{Aside, Renewed};
pub use base::{BaseError, BaseRows, activate};
pub use commit::CommitReport;
pub use cut::KeyBounds;
pub(crate) use database::tree_name;
pub use database::{Database, Opened};
pub use error::StoreError;
pub use export::{Exported, ExportedStat, export};
pub(crate) use import::LINE_MOST as EXPORT_LINE_MOST;
pub use import::{AsBase, ImportError, ImportOptions, Imported, import};
pub(crate) use index::{push_order, refusal as index_refusal};
pub use kv::Store;
pub use memory::MemoryStore;
pub use models::{StoredModel, common_window_us, same_rows, stored_models};
pub use ranked::{Ranked, RankedRows};
pub use record::{Base, DeadLetter, Held, Kept, Position, Span, StatRecord, Taken};
pub use refusal::{Refusal, Refusals};
pub use scan::{Order, Rows};
pub use snapshot::{Reader, Snapshot};
pub use stat::StatStore;
pub use tuning::Tuning;

#[cfg(test)]
mod tests;
