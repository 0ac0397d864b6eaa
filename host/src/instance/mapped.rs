//! Calls into a mapped library: host batches as borrowed ABI batches, drained blocks as owned bytes.

use statmill_plugin_api::abi::{
    BatchAbi, ColumnAbi, DictionaryAbi, FoldReport, RResult, RSlice, StatBox, ViewBox,
};
use statmill_plugin_api::manifest::FieldKind;

use super::{Blocks, sinks};
use crate::loader::words;
use crate::project::{Batch, Generation};

/// A drain may hand over at most this much: increments force a checkpoint long before.
pub(crate) const MAX_DRAIN_BYTES: usize = 256 << 20;

/// The longest answer of a computed view that is taken.
pub(crate) const MAX_VIEW_BYTES: usize = 4 << 20;
/// Said of a plugin whose instance has no views.
pub(crate) const NO_VIEWS: &str = "its plugin computes no views, though its manifest names one";

/// Folds the messages `rows` of `batch`; `columns` are the batch's columns of the stat's fields.
///
/// # Errors
/// The plugin's own words. The instance must then be dropped.
pub(crate) fn fold(
    stat: &mut StatBox,
    batch: &Batch,
    columns: &[usize],
    rows: &[u32],
) -> Result<FoldReport, String> {
    let columns: Vec<ColumnAbi<'_>> = columns
        .iter()
        .map(|&index| {
            let column = &batch.columns[index];
            ColumnAbi {
                kind: column.kind as u8,
                states: RSlice::from_slice(&column.states),
                codes: RSlice::from_slice(&column.codes),
                words: RSlice::from_slice(&column.words),
                dictionary: dictionary(&batch.generation, index, column.kind),
                reserved: [0; 2],
            }
        })
        .collect();
    let abi = BatchAbi {
        log_key: batch.log_key,
        offsets: RSlice::from_slice(&batch.offsets),
        times: RSlice::from_slice(&batch.times),
        topics: RSlice::from_slice(&batch.topics),
        rows: RSlice::from_slice(rows),
        columns: RSlice::from_slice(&columns),
        topic_names: batch.generation.topics_abi(),
        text: RSlice::from_slice(&batch.text),
        unescaped: RSlice::from_slice(&batch.unescaped),
        reserved: [0; 4],
    };
    match stat.fold(&abi) {
        RResult::ROk(report) => Ok(report),
        RResult::RErr(reason) => Err(words(&reason)),
    }
}

/// Drains all increments; their codes belong to `generation`. `fields` are the stat's fields: column
/// of the projection and kind.
///
/// # Errors
/// The plugin's own words, or that it handed over too much. The instance must then be dropped.
pub(crate) fn drain(
    stat: &mut StatBox,
    generation: &Generation,
    fields: &[(usize, FieldKind)],
    models: usize,
) -> Result<Blocks, String> {
    let dictionaries: Vec<DictionaryAbi<'_>> = std::iter::once(generation.topics_abi())
        .chain(fields.iter().map(|&(column, kind)| dictionary(generation, column, kind)))
        .collect();
    let open = sinks::open(models);
    let drained = stat.drain(RSlice::from_slice(&dictionaries), open.sink());
    // Whatever it answers: rows that were not taken are not counted.
    match (drained, open.close()) {
        (_, Err(refused)) => Err(refused),
        (RResult::ROk(()), Ok(blocks)) => Ok(blocks),
        (RResult::RErr(reason), Ok(_)) => Err(words(&reason)),
    }
}

/// Hands a block of earlier rows of model number `model` to a new instance.
///
/// # Errors
/// The plugin's own words. The instance must then be dropped.
pub(crate) fn restore(stat: &mut StatBox, model: usize, block: &[u8]) -> Result<(), String> {
    let model = u32::try_from(model).unwrap_or(u32::MAX);
    match stat.restore(model, RSlice::from_slice(block)) {
        RResult::ROk(()) => Ok(()),
        RResult::RErr(reason) => Err(words(&reason)),
    }
}

/// Computes `view` over `rows`, a JSON array of objects.
///
/// # Errors
/// The plugin's own words, or what is wrong with its answer. The instance must then be dropped.
pub(crate) fn compute(views: &ViewBox, view: &str, rows: &str) -> Result<String, String> {
    match views.compute(view.into(), rows.into()) {
        RResult::ROk(text) if text.len() > MAX_VIEW_BYTES => Err(format!(
            "its answer has {} bytes, more than the {MAX_VIEW_BYTES} that are taken",
            text.len()
        )),
        RResult::ROk(text) => String::from_utf8(text.as_bytes().to_vec())
            .map_err(|_| "its answer is not UTF-8".to_owned()),
        RResult::RErr(reason) => Err(words(&reason)),
    }
}

fn dictionary(generation: &Generation, column: usize, kind: FieldKind) -> DictionaryAbi<'_> {
    match kind {
        FieldKind::Sym => generation.abi(column),
        _ => DictionaryAbi::empty(),
    }
}
