//! Tests of a stat without a host.
//!
//! [`fold`] takes messages as JSON texts and answers the rows a host would have; [`Folded::rows`]
//! shows them as text, so a test reads as what goes in and what comes out:
//!
//! ```
//! # use statmill_plugin_api::prelude::*;
//! # #[derive(Models, Default)]
//! # pub struct Total {
//! #     #[model(window = "1h", measures = ["count"])]
//! #     total: Rollup<(), (Count,)>,
//! # }
//! # impl Stat for Total {
//! #     const INFO: StatInfo = StatInfo { ident: "total", title: "T", ..StatInfo::DEFAULT };
//! #     fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
//! #         batch.messages().for_each(|message| self.total.at(&message, ()).add((1,)));
//! #         Ok(())
//! #     }
//! # }
//! let folded = statmill_plugin_api::testing::fold::<Total>(&[
//!     r#"{"topic": "a.b", "timestamp": 7200.5}"#,
//!     r#"{"topic": "a.c", "timestamp": 7300}"#,
//! ]);
//! assert_eq!(folded.rows("total"), "time,count\n7200.0,2\n");
//! ```
//!
//! Messages are read as the host reads them by its mapping `auto`: topic at `/topic`; time at
//! `/timestamp`, `/headers/sent-at` or `/time`.

mod columns;
mod json;
mod text;
mod time;
mod topics;

use std::collections::BTreeMap;

use crate::aggregate;
use crate::encoding::BlockReader;
use crate::instance::Instance;
use crate::manifest::{ModelManifest, StatManifest};
use crate::stat::{self, PluginError, Stat};

use columns::{Columns, Dictionaries, Message};

/// How messages reach the stat.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The stat's configuration, JSON text; empty = none.
    pub config: &'a str,
    /// Messages in a batch.
    pub batch: usize,
    /// Batches between two drains; a new dictionary begins after each.
    pub drain_every: usize,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { config: "", batch: 1024, drain_every: 1 }
    }
}

/// The rows a host would have after a fold.
#[derive(Clone, Debug, PartialEq)]
pub struct Folded {
    manifest: StatManifest,
    rows: Vec<BTreeMap<Vec<u8>, Vec<u8>>>,
}

/// Folds messages, JSON texts, offsets ascending from 0.
///
/// It does so in several ways (all in one batch; each message in its own, with a drain after every
/// other one), and the rows must not depend on the way.
///
/// # Panics
///
/// If a text is no message, the fold fails, or the rows depend on how messages are split.
#[must_use]
pub fn fold<S: Stat>(messages: &[&str]) -> Folded {
    let ways = [
        Options::default(),
        Options { batch: 1, drain_every: 2, ..Options::default() },
        Options { batch: 3, drain_every: usize::MAX, ..Options::default() },
    ];
    let mut folded = ways.iter().map(|options| match fold_with::<S>(options, messages) {
        Ok(folded) => folded,
        Err(error) => panic!("fold failed: {error}"),
    });
    let first = folded.next().expect("there is a first way");
    for (options, other) in ways[1..].iter().zip(folded) {
        assert_eq!(first, other, "the rows depend on how messages are split: {options:?}");
    }
    first
}

/// Folds messages, JSON texts, as `options` say.
///
/// # Errors
///
/// What the stat answers, or [`PluginError::Decode`] if its rows are none.
///
/// # Panics
///
/// If a text is no message.
pub fn fold_with<S: Stat>(options: &Options<'_>, messages: &[&str]) -> Result<Folded, PluginError> {
    let manifest = stat::manifest::<S>()?;
    let messages: Vec<Message<'_>> = (messages.iter().enumerate())
        .map(|(number, text)| match Message::read(text) {
            Ok(message) => message,
            Err(reason) => panic!("message {number} would be rejected: {reason}: {text}"),
        })
        .collect();
    let wanted = |topic: &str| topics::matches(S::TOPICS, topic);
    let mut stat = Instance::<S>::new(options.config)?;
    let mut rows = vec![BTreeMap::new(); manifest.models.len()];
    let batches: Vec<_> = messages.chunks(options.batch.max(1)).collect();
    let mut offset = 0;
    for between_drains in batches.chunks(options.drain_every.max(1)) {
        let mut dictionaries = Dictionaries::of(S::FIELDS);
        for batch in between_drains {
            let columns = Columns::of(batch, offset, wanted, S::FIELDS, &mut dictionaries);
            offset += batch.len() as u64;
            columns.lend(S::FIELDS, &dictionaries, |batch| stat.fold(batch))?;
        }
        let mut blocks = Vec::new();
        stat.drain(&dictionaries.abi(), &mut |model, block| {
            blocks.push((model as usize, block.to_vec()));
            true
        })?;
        for (model, block) in blocks {
            merge(&manifest.models[model], &block, &mut rows[model])?;
        }
    }
    Ok(Folded { manifest, rows })
}

/// Does with a block what the host does.
fn merge(
    model: &ModelManifest,
    block: &[u8],
    rows: &mut BTreeMap<Vec<u8>, Vec<u8>>,
) -> Result<(), PluginError> {
    for row in BlockReader::new(block) {
        let (key, value) = row?;
        aggregate::check(&model.measures, value)?;
        match rows.get_mut(key) {
            None => drop(rows.insert(key.to_vec(), value.to_vec())),
            Some(old) => {
                let mut merged = Vec::new();
                aggregate::merge(&model.measures, old, value, &mut merged)?;
                *old = merged;
            }
        }
    }
    Ok(())
}

impl Folded {
    /// The rows of a model as CSV, ascending by key, with a header line; times are Unix seconds.
    ///
    /// # Panics
    ///
    /// If the stat has no model of this name.
    #[must_use]
    pub fn rows(&self, model: &str) -> String {
        let models = &self.manifest.models;
        let Some(number) = models.iter().position(|it| it.name == model) else {
            let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
            panic!("there is no model {model:?}; the stat has {names:?}");
        };
        match text::csv(&models[number], &self.rows[number]) {
            Ok(text) => text,
            Err(error) => panic!("the rows of {model:?} cannot be read: {error}"),
        }
    }

    /// The manifest the host would store with the rows.
    #[must_use]
    pub fn manifest(&self) -> &StatManifest {
        &self.manifest
    }
}
