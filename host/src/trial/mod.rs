//! A stat tried on messages, without an engine: projected, folded, drained and merged in memory.
//!
//! The dry run ([`crate::loader`]) and `plugins check` use it, in a child process.

pub(crate) mod check;
mod generated;
pub(crate) mod views;

use std::collections::BTreeMap;
use std::sync::Arc;

use statmill_plugin_api::aggregate;
use statmill_plugin_api::encoding::{BlockReader, BlockWriter};
use statmill_plugin_api::manifest::{FieldKind, ModelManifest, StatManifest};

pub(crate) use self::generated::Generated;
use crate::instance::Instance;
use crate::loader::Plugin;
use crate::log::{LogId, Offset, Records};
use crate::project::{
    Batch, Caps, Dictionaries, Generation, Limits, Mapping, PointerError, Projection, Projector,
    TopicCache, TopicFilter, select,
};
use crate::query::shape::ModelShape;

/// Makes batches of what one stat wants of messages.
pub(crate) struct Reader {
    projection: Arc<Projection>,
    projector: Projector,
    dictionaries: Dictionaries,
    /// Offset of the next message.
    next: u64,
}

impl Reader {
    /// A reader of the fields of `stat`, by the mapping `auto`.
    ///
    /// # Errors
    /// A pointer that leads nowhere.
    pub(crate) fn new(stat: &StatManifest) -> Result<Self, PointerError> {
        let wanted = wanted(stat);
        let projection = Arc::new(Projection::compile(&Mapping::auto(), &wanted)?);
        let projector = Projector::new(Arc::clone(&projection), Limits::default());
        let dictionaries = Dictionaries::new(&wanted, Caps::default());
        Ok(Self { projection, projector, dictionaries, next: 0 })
    }

    /// The batch of `messages`, JSON texts; those of a next call lie behind them.
    pub(crate) fn batch<'a>(&mut self, messages: impl IntoIterator<Item = &'a [u8]>) -> Batch {
        let mut records = Records::default();
        records.begin(Offset(self.next));
        for message in messages {
            let start = u32::try_from(records.text.len()).unwrap_or(u32::MAX);
            records.text.extend_from_slice(message);
            records.spans.push((start, u32::try_from(message.len()).unwrap_or(u32::MAX)));
            records.offsets.push(self.next);
            self.next += 1;
        }
        records.range.end = Offset(self.next);
        self.projector.project(&mut records, LogId(1), 1, false, &self.dictionaries)
    }

    /// Begins new dictionaries, as a host does after a drain now and then.
    pub(crate) fn renew_dictionaries(&mut self) {
        self.dictionaries = Dictionaries::new(self.projection.columns(), Caps::default());
        // It remembers codes by the number of a generation, which begins anew as well.
        self.projector = Projector::new(Arc::clone(&self.projection), Limits::default());
    }
}

/// The different fields of a stat: what a projection of it alone has as columns.
fn wanted(stat: &StatManifest) -> Vec<(String, FieldKind)> {
    let mut wanted: Vec<(String, FieldKind)> = Vec::new();
    for field in &stat.fields {
        let entry = (field.pointer.clone(), field.kind);
        if !wanted.contains(&entry) {
            wanted.push(entry);
        }
    }
    wanted
}

/// Merged rows of every model, by key: all that a stat's messages come to.
pub(crate) type Rows = Vec<BTreeMap<Vec<u8>, Vec<u8>>>;

/// An instance of a stat that is tried.
pub(crate) struct Trial<'m> {
    instance: Instance,
    models: &'m [ModelManifest],
    fields: Vec<(usize, FieldKind)>,
    filter: TopicFilter,
    topics: TopicCache,
    generation: Option<Arc<Generation>>,
    rows: Rows,
}

impl<'m> Trial<'m> {
    /// A new instance of `stat`, with `config` (JSON text).
    ///
    /// # Errors
    /// The plugin's own words.
    pub(crate) fn begin(
        plugin: &Plugin,
        stat: &'m StatManifest,
        config: &str,
    ) -> Result<Self, String> {
        let instance = Instance::create(plugin, &stat.ident, config).map_err(words)?;
        let wanted = wanted(stat);
        let column = |pointer: &str, kind| {
            wanted
                .iter()
                .position(|(other, of)| other == pointer && *of == kind)
                .unwrap_or_default()
        };
        Ok(Self {
            instance,
            models: &stat.models,
            fields: stat
                .fields
                .iter()
                .map(|field| (column(&field.pointer, field.kind), field.kind))
                .collect(),
            filter: TopicFilter::new(&stat.topics),
            topics: TopicCache::default(),
            generation: None,
            rows: vec![BTreeMap::new(); stat.models.len()],
        })
    }

    /// As [`Self::begin`], where the stat comes back to the rows that it had before: those are merged into. A
    /// stat that asks for them gets them.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub(crate) fn resume(
        plugin: &Plugin,
        stat: &'m StatManifest,
        config: &str,
        rows: Rows,
    ) -> Result<Self, String> {
        let mut trial = Self::begin(plugin, stat, config)?;
        let handed = if stat.restore { &rows[..] } else { &[] };
        for (model, rows) in handed.iter().enumerate() {
            let mut block = BlockWriter::new();
            rows.iter().for_each(|(key, value)| block.push(key, value));
            trial.instance.restore(model, block.as_bytes()).map_err(words)?;
        }
        trial.rows = rows;
        Ok(trial)
    }

    /// Folds what the stat wants of `batch`, and answers how many messages that were.
    ///
    /// # Errors
    /// The plugin's own words; only to be dropped then.
    pub(crate) fn fold(&mut self, batch: &Batch) -> Result<usize, String> {
        if self.generation.as_ref().is_some_and(|held| held.id() != batch.generation.id()) {
            self.drain()?;
        }
        let rows = select(batch, &self.filter, &mut self.topics);
        if rows.is_empty() {
            return Ok(0);
        }
        let columns: Vec<usize> = self.fields.iter().map(|&(column, _)| column).collect();
        self.generation.get_or_insert_with(|| Arc::clone(&batch.generation));
        self.instance.fold(batch, &columns, &rows).map_err(words)?;
        Ok(rows.len())
    }

    /// Drains what was folded, checks it as the host does and merges it into the rows; answers how many
    /// rows came.
    ///
    /// # Errors
    /// The plugin's own words, or what is wrong with its rows; only to be dropped then.
    pub(crate) fn drain(&mut self) -> Result<usize, String> {
        let Some(generation) = self.generation.take() else { return Ok(0) };
        self.topics = TopicCache::default();
        let blocks =
            self.instance.drain(&generation, &self.fields, self.models.len()).map_err(words)?;
        let mut drained = 0;
        for (number, block) in blocks {
            let (model, rows) = (&self.models[number], &mut self.rows[number]);
            drained += merge(model, &block, rows)
                .map_err(|reason| format!("its rows of model {:?}: {reason}", model.name))?;
        }
        Ok(drained)
    }

    /// As [`Self::drain`], and merges nothing.
    ///
    /// # Errors
    /// As [`Self::drain`].
    pub(crate) fn drain_and_forget(&mut self) -> Result<usize, String> {
        let drained = self.drain();
        self.rows.iter_mut().for_each(BTreeMap::clear);
        drained
    }

    /// The merged rows of all that was drained.
    pub(crate) fn into_rows(self) -> Rows {
        self.rows
    }
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Merges a block of rows into `rows`, and answers how many it has.
fn merge(
    model: &ModelManifest,
    block: &[u8],
    rows: &mut BTreeMap<Vec<u8>, Vec<u8>>,
) -> Result<usize, String> {
    let shape = ModelShape::new(model);
    let mut cells = Vec::new();
    let mut number = 0;
    for row in BlockReader::new(block) {
        let (key, value) = row.map_err(words)?;
        cells.clear();
        shape.key_cells(key, &mut cells).map_err(words)?;
        aggregate::check(&model.measures, value).map_err(words)?;
        number += 1;
        let Some(old) = rows.get_mut(key) else {
            rows.insert(key.to_vec(), value.to_vec());
            continue;
        };
        let mut merged = Vec::new();
        aggregate::merge(&model.measures, old, value, &mut merged).map_err(words)?;
        *old = merged;
    }
    Ok(number)
}
